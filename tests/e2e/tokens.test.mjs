// Forged, stale and foreign access tokens against every program that asks for one. What is refused here was made with
// the real signing key wherever that key can make it, so that only the guard under test stands in the way.
import assert from "node:assert/strict";
import { createHmac, createPublicKey, createSign, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { before, test } from "node:test";
import * as jose from "jose";
import { api, auth, env, newUser, request } from "./harness.mjs";

const encode = (value) => Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");
const hour = 3600;
const now = () => Math.floor(Date.now() / 1000);

let user, key, pem, kid, strangers;

before(async () => {
  user = await newUser({ confirmAge: false });
  const secret = readFileSync(env.SANDBOX_KEY_FILE, "utf8");
  key = await jose.importPKCS8(secret, "ES256");
  pem = createPublicKey(secret).export({ type: "spki", format: "pem" });
  kid = jose.decodeProtectedHeader(user.token).kid;
  strangers = {
    ES256: (await jose.generateKeyPair("ES256")).privateKey,
    RS256: (await jose.generateKeyPair("RS256")).privateKey,
    EdDSA: (await jose.generateKeyPair("EdDSA")).privateKey,
    ES384: (await jose.generateKeyPair("ES384")).privateKey,
  };
});

// The user's own claims with some replaced (undefined: dropped), signed as told.
async function forge(claims = {}, header = {}, by = key) {
  const payload = { ...jose.decodeJwt(user.token), iat: now(), exp: now() + hour, ...claims };
  const protectedHeader = { alg: "ES256", kid, typ: "JWT", ...header };
  return new jose.CompactSign(Buffer.from(JSON.stringify(payload))).setProtectedHeader(protectedHeader).sign(by);
}

const bearer = (token) => ({ token });
const account = (token) => api(bearer(token), "GET", "/api/account");

async function refusedEverywhere(label, token) {
  const answers = await Promise.all([
    account(token),
    api(bearer(token), "GET", "/api/history"),
    api(bearer(token), "POST", "/api/generate", { model: "any", prompt: "a boat" }),
  ]);
  for (const answer of answers) {
    assert.equal(answer.status, 401, `${label}: ${answer.text}`);
    assert.match(answer.headers.get("content-type"), /^application\/problem\+json/);
    assert.equal(answer.json.code, "unauthenticated", label);
    assert.ok(answer.headers.get("www-authenticate"), label);
  }
}

test("genuine tokens are accepted", async () => {
  assert.equal((await account(user.token)).status, 200);
  assert.equal((await account(user.token)).json.user_id, user.id);
  assert.equal((await account(await forge())).status, 200);
  assert.equal((await account(await forge({ aud: ["other", "authenticated"] }))).status, 200);
  assert.equal((await account(await forge({ nbf: now() - 10 }))).status, 200);
  assert.equal((await account(await forge({}, { typ: undefined }))).status, 200);
});

test("no token, another scheme, another project's key", async () => {
  for (const authorization of [undefined, "", "Bearer", "Bearer ", `Basic ${user.token}`, user.token, "Bearer null"]) {
    const headers = authorization === undefined ? {} : { Authorization: authorization };
    const answer = await request("GET", "/api/account", { headers });
    assert.equal(answer.status, 401, String(authorization));
    assert.equal(answer.json.code, "unauthenticated");
  }
  await refusedEverywhere("publishable key", env.SUPABASE_ANON_KEY);
  await refusedEverywhere("secret key", env.SUPABASE_SECRET_KEY);
  await refusedEverywhere("refresh token", user.refresh_token);
});

test("tampered tokens", async () => {
  const [header, payload, signature] = user.token.split(".");
  const other = encode({ ...jose.decodeJwt(user.token), sub: randomUUID() });
  const flipped = signature.slice(0, -5) + (signature.at(-5) === "A" ? "B" : "A") + signature.slice(-4);
  await refusedEverywhere("payload", [header, other, signature].join("."));
  await refusedEverywhere("signature", [header, payload, flipped].join("."));
  await refusedEverywhere("empty signature", `${header}.${payload}.`);
  await refusedEverywhere("signature of zeroes", [header, payload, "A".repeat(86)].join("."));
});

test("alg none in every spelling", async () => {
  const payload = encode({ ...jose.decodeJwt(user.token), exp: now() + hour });
  const signature = user.token.split(".")[2];
  for (const alg of ["none", "None", "NONE", "NoNe"]) {
    for (const header of [{ alg }, { alg, typ: "JWT" }, { alg, kid, typ: "JWT" }]) {
      await refusedEverywhere(alg, `${encode(header)}.${payload}.`);
      await refusedEverywhere(`${alg}, signed`, `${encode(header)}.${payload}.${signature}`);
    }
  }
});

test("the public key is no HMAC secret", async () => {
  for (const secret of [pem, pem.trimEnd(), "", "\0"]) {
    const mac = (header) => {
      const input = `${encode(header)}.${encode({ ...jose.decodeJwt(user.token), exp: now() + hour })}`;
      return `${input}.${createHmac("sha256", secret).update(input).digest("base64url")}`;
    };
    await refusedEverywhere("HS256", mac({ alg: "HS256", kid, typ: "JWT" }));
    await refusedEverywhere("HS256 without kid", mac({ alg: "HS256", typ: "JWT" }));
    await refusedEverywhere("hs256", mac({ alg: "hs256", kid, typ: "JWT" }));
  }
});

test("strangers' keys and other algorithms", async () => {
  for (const [alg, by] of Object.entries(strangers))
    await refusedEverywhere(alg, await forge({}, { alg }, by));
  await refusedEverywhere("RS256 named ES256's kid", await forge({}, { alg: "RS256" }, strangers.RS256));
  const jwk = await jose.exportJWK((await jose.generateKeyPair("ES256", { extractable: true })).publicKey);
  await refusedEverywhere("a key of his own in the header", await forge({}, { jwk }, strangers.ES256));
  await refusedEverywhere("a key set of his own", await forge({}, { jku: "http://127.0.0.1/keys" }, strangers.ES256));
});

test("kid: unknown, absent, odd", async () => {
  for (const odd of [undefined, "", "x", "../../dev/null", "' or 1=1 --", "k".repeat(5000), randomUUID()])
    await refusedEverywhere(`kid ${String(odd).slice(0, 20)}`, await forge({}, { kid: odd }));
  assert.equal((await account(user.token)).status, 200);
});

test("headers that ask for more than we know", async () => {
  await refusedEverywhere("at+jwt", await forge({}, { typ: "at+jwt" }));
  const input = `${encode({ alg: "ES256", kid, typ: "JWT", crit: ["exp"] })}.${encode(jose.decodeJwt(user.token))}`;
  const signature = createSign("sha256").update(input).sign(
    { key: readFileSync(env.SANDBOX_KEY_FILE, "utf8"), dsaEncoding: "ieee-p1363" }, "base64url");
  await refusedEverywhere("crit", `${input}.${signature}`);
});

test("claims of the wrong time", async () => {
  for (const claims of [
    { exp: now() - 1 }, { exp: now() - 86400 }, { exp: undefined }, { exp: 0 }, { exp: -1 },
    { exp: String(now() + hour) }, { exp: now() + hour + 0.5 }, { nbf: now() + 300 }, { nbf: "0" }, { iat: now() + 300 },
  ])
    await refusedEverywhere(JSON.stringify(claims), await forge(claims));
});

test("claims of somebody or something else", async () => {
  for (const claims of [
    { aud: undefined }, { aud: "anon" }, { aud: [] }, { aud: ["other"] }, { aud: null },
    { iss: undefined }, { iss: "supabase" }, { iss: "https://other.supabase.co/auth/v1" }, { iss: `${env.SUPABASE_URL}/auth/v1/` },
    { role: undefined }, { role: "service_role" }, { role: "anon" }, { role: "supabase_admin" }, { role: ["authenticated"] },
    { sub: undefined }, { sub: "" }, { sub: "1" }, { sub: `${user.id}'` }, { sub: 7 }, { sub: `${user.id} ` },
    { session_id: "x" }, { session_id: 7 }, { is_anonymous: "false" }, { email: 7 },
  ])
    await refusedEverywhere(JSON.stringify(claims), await forge(claims));
});

test("a service_role key", async () => {
  await refusedEverywhere("service_role", await new jose.CompactSign(Buffer.from(JSON.stringify(
    { iss: "supabase", ref: "local", role: "service_role", iat: now(), exp: now() + 10 * 365 * 86400 })))
    .setProtectedHeader({ alg: "ES256", kid, typ: "JWT" }).sign(key));
});

// Reading one's history asks no more than the token; whatever creates, spends or shows the account asks the database.
test("a session or a person that is no longer there", async () => {
  const other = await newUser({ confirmAge: false });
  for (const claims of [{ session_id: randomUUID() }, { sub: randomUUID() }, { sub: other.id }, { session_id: undefined }]) {
    const token = await forge(claims);
    const answers = [await account(token), await api(bearer(token), "POST", "/api/generate", { model: "any", prompt: "a boat" })];
    for (const answer of answers) {
      assert.equal(answer.status, 401, `${JSON.stringify(claims)}: ${answer.text}`);
      assert.equal(answer.json.code, "unauthenticated");
    }
  }
});

test("shapes that are no token", async () => {
  const token = user.token;
  const [header, payload, signature] = token.split(".");
  const shapes = [
    ".", "..", "...", "a", "a.b", "a.b.c", `${token}.`, `${token}.${signature}`, `.${payload}.${signature}`,
    `${header}..${signature}`, `${header}.${payload}`, `${token}==`, `${token}=`, `${token}!`, `${token}%00`,
    `${header}.${payload}.${signature.slice(0, 40)}!${signature.slice(40)}`, `${encode("{}")}.${payload}.${signature}`,
    `${encode("[]")}.${payload}.${signature}`, `${encode("x")}.${payload}.${signature}`,
    `${encode('{"alg":"ES256","alg":"none"}')}.${payload}.${signature}`,
  ];
  for (const shape of shapes) await refusedEverywhere(shape.slice(0, 30), shape);
});

test("long tokens: refused, and the program lives on", async () => {
  const long = await forge({ user_metadata: { filler: "x".repeat(6500) } });
  assert.ok(long.length > 8192);
  await refusedEverywhere("over 8 KB", long);
  const fits = await forge({ user_metadata: { filler: "x".repeat(4000) } });
  assert.equal((await account(fits)).status, 200);
});

test("ten wrong tokens in a row do not spoil a good one, nor a good one the wrong", async () => {
  const bad = `${user.token.slice(0, -4)}AAAA`;
  for (let i = 0; i < 10; i++) {
    assert.equal((await account(bad)).status, 401);
    assert.equal((await account(user.token)).status, 200);
  }
});

test("an anonymous user and another application may look, not spend", async () => {
  const anonymous = (await auth("POST", "/signup", {})).json.access_token;
  const foreign = await forge({ client_id: randomUUID(), scope: "openid" });
  const spend = (token) => api(bearer(token), "POST", "/api/generate", { model: "any", prompt: "a boat" });
  for (const [token, code] of [[anonymous, "anonymous_not_allowed"], [foreign, "client_not_allowed"]]) {
    assert.equal((await account(token)).status, 200);
    const answer = await spend(token);
    assert.equal(answer.status, 403);
    assert.equal(answer.json.code, code);
  }
});

// The stand-in for Supabase Auth, through Supabase's own client and as the documents describe the wire.
import assert from "node:assert/strict";
import { readFileSync, statSync } from "node:fs";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import supabase from "@supabase/auth-js";
import path from "node:path";
import { api, auth, env, execute, newUser, psql, request, signIn } from "./harness.mjs";

const url = `${env.url}/auth/v1`;
const password = "correct horse";
const newEmail = () => `${randomUUID()}@example.test`;

function client() {
  return new supabase.AuthClient({
    url,
    headers: { apikey: env.SUPABASE_ANON_KEY, Authorization: `Bearer ${env.SUPABASE_ANON_KEY}` },
    autoRefreshToken: false,
    persistSession: false,
  });
}

function operator() {
  const key = env.SUPABASE_SECRET_KEY;
  return new supabase.GoTrueAdminApi({ url, headers: { apikey: key, Authorization: `Bearer ${key}` } });
}

async function signedUp() {
  const person = client();
  const email = newEmail();
  const { data, error } = await person.signUp({ email, password, options: { data: { colour: "blue" } } });
  assert.equal(error, null);
  return { person, email, ...data };
}

const refused = ({ data, error }, status, code) => {
  assert.equal(error?.status, status, JSON.stringify(error ?? data));
  assert.equal(error.code, code);
};

const claimsOf = (token) => JSON.parse(Buffer.from(token.split(".")[1], "base64url").toString());

test("signing up gives a session and a confirmed user", async () => {
  const { email, session, user } = await signedUp();
  assert.equal(session.token_type, "bearer");
  assert.equal(session.expires_in, 3600);
  assert.ok(Math.abs(session.expires_at - Date.now() / 1000 - 3600) < 30);
  assert.equal(user.email, email);
  assert.equal(user.role, "authenticated");
  assert.equal(user.is_anonymous, false);
  assert.ok(user.email_confirmed_at && user.confirmed_at && user.last_sign_in_at);
  assert.deepEqual(user.app_metadata, { provider: "email", providers: ["email"] });
  assert.equal(user.user_metadata.colour, "blue");
  assert.equal(user.identities.length, 1);
  assert.equal(user.identities[0].identity_data.email, email);
  assert.equal(user.encrypted_password, undefined);
});

test("an access token carries the claims of a Supabase token", async () => {
  const { email, session, user } = await signedUp();
  const { session_id, amr, exp, iat, ...claims } = claimsOf(session.access_token);
  assert.deepEqual(claims, {
    iss: `${env.SUPABASE_URL}/auth/v1`,
    sub: user.id,
    aud: "authenticated",
    email,
    phone: "",
    app_metadata: user.app_metadata,
    user_metadata: user.user_metadata,
    role: "authenticated",
    aal: "aal1",
    is_anonymous: false,
  });
  assert.equal(exp - iat, 3600);
  assert.equal(amr.length, 1);
  assert.equal(amr[0].method, "password");
  const [row] = await psql(`select id, ip, user_agent from auth.sessions where user_id = '${user.id}'`);
  assert.deepEqual(row, { id: session_id, ip: null, user_agent: null });
});

test("a password that is too short is weak, one of 73 bytes too long", async () => {
  const weak = await client().signUp({ email: newEmail(), password: "12345" });
  refused(weak, 422, "weak_password");
  assert.deepEqual(weak.error.reasons, ["length"]);
  refused(await client().signUp({ email: newEmail(), password: "x".repeat(73) }), 400, "validation_failed");
  assert.equal((await client().signUp({ email: newEmail(), password: "x".repeat(72) })).error, null);
});

test("an address is taken once, whatever its case, also by twenty at a time", async () => {
  const { email } = await signedUp();
  refused(await client().signUp({ email: email.toUpperCase(), password }), 422, "user_already_exists");
  const contested = newEmail();
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => auth("POST", "/signup", { email: contested, password })));
  assert.deepEqual(answers.map((a) => a.status).sort(), [200, ...Array(19).fill(422)]);
});

test("what is no address, no password or no JSON is refused", async () => {
  for (const email of ["x", "x@", "@x.test", "a b@x.test", "a@x..test", `${"a".repeat(250)}@x.test`])
    refused(await client().signUp({ email, password }), 400, "validation_failed");
  refused(await client().signUp({ email: newEmail(), password: "" }), 400, "validation_failed");
  refused(await client().signUp({ phone: "+31600000000", password }), 400, "phone_provider_disabled");
  for (const body of ["", "{", "[]", '{"email":1}{}'])
    assert.equal((await auth("POST", "/signup", body)).json.error_code, "bad_json", body);
});

test("signing in works with the right password only, and tells nobody which part was wrong", async () => {
  const { email } = await signedUp();
  const good = await client().signInWithPassword({ email: email.toUpperCase(), password });
  assert.equal(good.error, null);
  assert.equal(good.data.user.email, email);
  const wrong = await auth("POST", "/token?grant_type=password", { email, password: "wrong horse" });
  const unknown = await auth("POST", "/token?grant_type=password", { email: newEmail(), password });
  const none = await auth("POST", "/token?grant_type=password", { email });
  for (const answer of [wrong, unknown, none]) {
    assert.equal(answer.status, 400);
    assert.equal(answer.text, '{"code":400,"error_code":"invalid_credentials","msg":"Invalid login credentials"}');
  }
});

test("a password hash is bcrypt of cost 10", async () => {
  const { user } = await signedUp();
  const [{ hash }] = await psql(`select encrypted_password as hash from auth.users where id = '${user.id}'`);
  assert.match(hash, /^\$2b\$10\$[./A-Za-z0-9]{53}$/);
});

test("errors come in the shape that the request's version asks for", async () => {
  const body = { email: newEmail(), password };
  const headers = { apikey: env.SUPABASE_ANON_KEY };
  const old = await request("POST", "/auth/v1/token?grant_type=password", { body, headers });
  assert.deepEqual(old.json, { code: 400, error_code: "invalid_credentials", msg: "Invalid login credentials" });
  assert.equal(old.headers.get("x-sb-error-code"), "invalid_credentials");
  assert.equal(old.headers.get("x-supabase-api-version"), null);
  headers["X-Supabase-Api-Version"] = "2024-01-01";
  const now = await request("POST", "/auth/v1/token?grant_type=password", { body, headers });
  assert.deepEqual(now.json, { code: "invalid_credentials", message: "Invalid login credentials" });
  assert.equal(now.headers.get("x-sb-error-code"), "invalid_credentials");
  assert.equal(now.headers.get("x-supabase-api-version"), "2024-01-01");
});

test("a refresh rotates the refresh token and keeps session and sign-in time", async () => {
  const { person, session } = await signedUp();
  const { data, error } = await person.refreshSession({ refresh_token: session.refresh_token });
  assert.equal(error, null);
  assert.notEqual(data.session.refresh_token, session.refresh_token);
  const before = claimsOf(session.access_token), after = claimsOf(data.session.access_token);
  assert.equal(after.session_id, before.session_id);
  assert.deepEqual(after.amr, before.amr);
  refused(await client().refreshSession({ refresh_token: "nobody's" }), 400, "refresh_token_not_found");
  const missing = await auth("POST", "/token?grant_type=refresh_token", {});
  assert.equal(missing.status, 400);
  assert.deepEqual(missing.json, { error: "invalid_request", error_description: "refresh_token required" });
});

const refresh = (token) => auth("POST", "/token?grant_type=refresh_token", { refresh_token: token });
const age = (session) => psql(`update auth.refresh_tokens set updated_at = updated_at - interval '11 seconds'
  where session_id = '${claimsOf(session.access_token).session_id}' returning id`);

test("within ten seconds a refresh token may come again and gives the current one", async () => {
  const { session } = await signedUp();
  const answers = await Promise.all(Array.from({ length: 8 }, () => refresh(session.refresh_token)));
  assert.deepEqual(answers.map((a) => a.status), Array(8).fill(200));
  assert.equal(new Set(answers.map((a) => a.json.refresh_token)).size, 1);
  const second = await refresh(answers[0].json.refresh_token);
  const again = await refresh(session.refresh_token);
  assert.equal(again.json.refresh_token, second.json.refresh_token);
});

test("later, only the current one's parent may; an older one revokes the whole family", async () => {
  const { session } = await signedUp();
  const other = (await signedUp()).session;
  const second = (await refresh(session.refresh_token)).json;
  await age(session);
  assert.equal((await refresh(session.refresh_token)).json.refresh_token, second.refresh_token);
  const third = (await refresh(second.refresh_token)).json;
  await age(session);
  const stolen = await refresh(session.refresh_token);
  assert.equal(stolen.status, 400);
  assert.equal(stolen.json.error_code, "refresh_token_already_used");
  const current = await refresh(third.refresh_token);
  assert.equal(current.json.error_code, "refresh_token_already_used");
  assert.equal((await refresh(other.refresh_token)).status, 200);
});

test("getUser, getClaims and the settings", async () => {
  const { person, user, session } = await signedUp();
  const got = await person.getUser(session.access_token);
  assert.equal(got.error, null);
  assert.equal(got.data.user.id, user.id);
  const { data, error } = await person.getClaims(session.access_token);
  assert.equal(error, null);
  assert.equal(data.claims.sub, user.id);
  assert.equal(data.header.alg, "ES256");
  const settings = await auth("GET", "/settings");
  assert.equal(settings.json.external.email, true);
  assert.equal(settings.json.mailer_autoconfirm, true);
  assert.equal((await auth("GET", "/health")).json.name, "GoTrue");
});

test("without a token 401, with a bad one 403", async () => {
  const headers = { apikey: env.SUPABASE_ANON_KEY };
  const none = await request("GET", "/auth/v1/user", { headers });
  assert.equal(none.status, 401);
  assert.equal(none.json.error_code, "no_authorization");
  const { session } = await signedUp();
  for (const token of ["x", env.SUPABASE_ANON_KEY, `${session.access_token}x`]) {
    const bad = await auth("GET", "/user", undefined, token);
    assert.equal(bad.status, 403);
    assert.equal(bad.json.error_code, "bad_jwt");
  }
});

test("the project's key is asked for, but not for the key set", async () => {
  for (const headers of [{}, { apikey: "wrong" }]) {
    const answer = await request("POST", "/auth/v1/signup", { body: { email: newEmail(), password }, headers });
    assert.equal(answer.status, 401);
    assert.ok(answer.json.message && answer.json.hint);
  }
  const keys = await request("GET", "/auth/v1/.well-known/jwks.json");
  assert.equal(keys.status, 200);
  assert.equal(keys.headers.get("cache-control"), "public, max-age=600");
  const [{ kid, x, y, ...key }] = keys.json.keys;
  assert.deepEqual(key, { kty: "EC", crv: "P-256", alg: "ES256", use: "sig", key_ops: ["verify"], ext: true });
  assert.ok(kid && x && y);
});

test("a person changes data and password; other sessions end with the old password", async () => {
  const { person, email, session } = await signedUp();
  const elsewhere = await signIn({ email, password });
  const data = await person.updateUser({ data: { colour: null, size: { width: 3 } } });
  assert.equal(data.error, null);
  assert.equal("colour" in data.data.user.user_metadata, false);
  assert.deepEqual(data.data.user.user_metadata.size, { width: 3 });
  refused(await person.updateUser({ password }), 422, "same_password");
  refused(await person.updateUser({ password: "12345" }), 422, "weak_password");
  assert.equal((await person.updateUser({ password: "another horse" })).error, null);
  assert.equal((await auth("GET", "/user", undefined, elsewhere.token)).json.error_code, "session_not_found");
  assert.equal((await auth("GET", "/user", undefined, session.access_token)).status, 200);
  refused(await client().signInWithPassword({ email, password }), 400, "invalid_credentials");
  assert.equal((await client().signInWithPassword({ email, password: "another horse" })).error, null);
});

test("nobody gives himself app_metadata or somebody else's address", async () => {
  const { person, session, email } = await signedUp();
  const other = await signedUp();
  const meta = await auth("PUT", "/user", { app_metadata: { role: "admin" } }, session.access_token);
  assert.equal(meta.status, 403);
  assert.equal(meta.json.error_code, "not_admin");
  refused(await person.updateUser({ email: other.email }), 422, "email_exists");
  const fresh = newEmail();
  const changed = await person.updateUser({ email: fresh });
  assert.equal(changed.data.user.email, email); // until the new address is confirmed
  assert.equal(changed.data.user.new_email, fresh);
});

test("an anonymous user is one, and becomes a person with an address", async () => {
  const person = client();
  const { data, error } = await person.signInAnonymously();
  assert.equal(error, null);
  assert.equal(data.user.is_anonymous, true);
  const claims = claimsOf(data.session.access_token);
  assert.equal(claims.is_anonymous, true);
  assert.equal(claims.email, "");
  assert.equal(claims.role, "authenticated");
  assert.equal(claims.amr[0].method, "anonymous");
  refused(await person.updateUser({ password: "another horse" }), 422, "validation_failed");
  const email = newEmail();
  const changed = await person.updateUser({ email, password });
  assert.equal(changed.error, null);
  assert.equal(changed.data.user.is_anonymous, false);
  assert.equal(changed.data.user.email, email);
  assert.equal((await client().signInWithPassword({ email, password })).data.user.id, data.user.id);
});

test("recover and otp tell nobody whether an address is known; no code fits", async () => {
  const { email } = await signedUp();
  for (const address of [email, newEmail()]) {
    assert.equal((await client().resetPasswordForEmail(address)).error, null);
    assert.equal((await client().signInWithOtp({ email: address })).error, null);
  }
  refused(await client().verifyOtp({ email, token: "123456", type: "email" }), 403, "otp_expired");
  const pkce = await auth("POST", "/token?grant_type=pkce", { auth_code: randomUUID(), code_verifier: "x" });
  assert.equal(pkce.json.error_code, "flow_state_not_found");
  const grant = await auth("POST", "/token?grant_type=magic", {});
  assert.equal(grant.status, 400);
});

test("signing out ends the sessions of its scope", async () => {
  const { person, email, session } = await signedUp();
  const [second, third] = [await signIn({ email, password }), await signIn({ email, password })];
  const alive = async (token) => (await auth("GET", "/user", undefined, token)).status === 200;
  assert.equal((await auth("POST", "/logout?scope=local", undefined, second.token)).status, 204);
  assert.deepEqual(await Promise.all([session.access_token, second.token, third.token].map(alive)), [true, false, true]);
  assert.equal((await auth("POST", "/logout?scope=others", undefined, third.token)).status, 204);
  assert.deepEqual(await Promise.all([session.access_token, third.token].map(alive)), [false, true]);
  assert.equal((await auth("POST", "/logout?scope=elsewhere", undefined, third.token)).status, 400);
  await person.setSession({ access_token: third.token, refresh_token: third.refresh_token });
  assert.equal((await person.signOut()).error, null);
  const gone = await person.getUser(third.token);
  assert.equal(gone.error?.name, "AuthSessionMissingError"); // how the client reads session_not_found
  assert.equal((await auth("GET", "/user", undefined, third.token)).json.error_code, "session_not_found");
  assert.equal((await refresh(third.refresh_token)).json.error_code, "refresh_token_not_found");
});

test("the operator deletes and bans; nobody else does", async () => {
  const { user, session, email } = await signedUp();
  const path = `/admin/users/${user.id}`;
  assert.equal((await auth("DELETE", path, {}, session.access_token)).json.error_code, "not_admin");
  assert.equal((await auth("DELETE", path, {})).json.error_code, "not_admin");
  const admin = operator();
  assert.equal((await admin.getUserById(user.id)).data.user.id, user.id);
  assert.equal((await admin.updateUserById(user.id, { ban_duration: "24h" })).error, null);
  refused(await client().signInWithPassword({ email, password }), 400, "user_banned");
  assert.equal((await refresh(session.refresh_token)).json.error_code, "user_banned");
  assert.equal((await auth("GET", "/user", undefined, session.access_token)).json.error_code, "user_banned");
  assert.equal((await admin.updateUserById(user.id, { ban_duration: "none" })).error, null);
  assert.equal((await client().signInWithPassword({ email, password })).error, null);
  assert.equal((await admin.deleteUser(user.id)).error, null);
  refused(await admin.deleteUser(user.id), 404, "user_not_found");
  assert.equal((await auth("GET", "/user", undefined, session.access_token)).json.error_code, "user_not_found");
  assert.deepEqual(await psql(`select id from auth.sessions where user_id = '${user.id}'`), []);
  refused(await client().signInWithPassword({ email, password }), 400, "invalid_credentials");
});

test("a soft deletion keeps the row and nothing of the person", async () => {
  const { user, email, session } = await signedUp();
  assert.equal((await operator().deleteUser(user.id, true)).error, null);
  const [row] = await psql(`select email, encrypted_password, deleted_at is not null as deleted,
    (select count(*) from auth.sessions s where s.user_id = u.id) as sessions from auth.users u where id = '${user.id}'`);
  assert.equal(row.deleted, "t");
  assert.equal(row.sessions, "0");
  assert.equal(row.email.includes(email), false);
  assert.equal((await auth("GET", "/user", undefined, session.access_token)).json.error_code, "user_not_found");
  assert.equal((await client().signUp({ email, password })).error, null);
});

test("a user made by the operator signs in once confirmed", async () => {
  const [email, waiting] = [newEmail(), newEmail()];
  const made = await operator().createUser({ email, password, email_confirm: true, user_metadata: { a: 1 } });
  assert.equal(made.error, null);
  assert.equal(made.data.user.user_metadata.a, 1);
  assert.equal((await client().signInWithPassword({ email, password })).error, null);
  assert.equal((await operator().createUser({ email: waiting, password })).error, null);
  refused(await client().signInWithPassword({ email: waiting, password }), 400, "email_not_confirmed");
});

test("sign-out and a ban hold in ShotAI at once", async () => {
  const user = await newUser();
  const other = await signIn(user);
  assert.equal((await api(user, "GET", "/api/account")).status, 200);
  assert.equal((await auth("POST", "/logout?scope=local", undefined, user.token)).status, 204);
  const gone = await api(user, "GET", "/api/account");
  assert.equal(gone.status, 401);
  assert.equal(gone.json.code, "unauthenticated");
  assert.equal((await api(other, "GET", "/api/account")).status, 200);
  await operator().updateUserById(user.id, { ban_duration: "1h" });
  assert.equal((await api(other, "GET", "/api/account")).status, 401);
});

test("the signing key is for its owner only", () => {
  assert.equal(statSync(env.SANDBOX_KEY_FILE).mode & 0o777, 0o600);
  assert.match(readFileSync(env.SANDBOX_KEY_FILE, "utf8"), /^-----BEGIN PRIVATE KEY-----\n/);
});

test("the stand-in serves loopback only", async () => {
  const check = (publicUrl) => execute(path.join(env.home, "sandbox", "auth"), ["--check-config"],
    { env: { ...process.env, ...env, PUBLIC_URL: publicUrl } });
  assert.equal((await check("http://localhost:8080")).status, 0);
  for (const publicUrl of ["https://shotai.example", "https://127.0.0.1.example", "https://localhost.example"]) {
    const { status, stderr } = await check(publicUrl);
    assert.equal(status, 1, publicUrl);
    assert.match(stderr, /PUBLIC_URL is not loopback/);
  }
});

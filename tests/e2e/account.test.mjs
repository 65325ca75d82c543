// The account: what it shows, its settings, the confirmation of age and the one welcome grant.
import assert from "node:assert/strict";
import { test } from "node:test";
import { randomUUID } from "node:crypto";

import { api, auth, env, newUser, psql, request, waitFor } from "./harness.mjs";
import { balanceOf, call, refused, withClaims } from "./contract.mjs";

const confirm = (user, at_least_13, headers) => call(user, "POST", "/api/account/confirm-age", { at_least_13 }, headers);
const admin = (method, id) => request(method, `/auth/v1/admin/users/${id}`, { headers: { apikey: env.SUPABASE_SECRET_KEY, Authorization: `Bearer ${env.SUPABASE_SECRET_KEY}` } });
const accountRows = (user) => psql(`select status, user_id from shotai.account where user_id = '${user.id}'`);

async function deleteUser(user) {
  const { status, text } = await admin("DELETE", user.id);
  assert.ok(status === 200 || status === 204, text);
}

test("the page's settings are public", async () => {
  const { json } = await call(null, "GET", "/api/config");
  assert.deepEqual(
    [json.supabase_url, json.supabase_anon_key, json.support_email],
    [env.SUPABASE_URL, env.SUPABASE_ANON_KEY, env.SUPPORT_EMAIL],
  );
});

test("an account is there at the first visit, with nothing in it", async () => {
  const user = await newUser({ confirmAge: false });
  assert.deepEqual(await accountRows(user), []);
  const { json } = await call(user, "GET", "/api/account");
  assert.equal(json.user_id, user.id);
  assert.equal(json.email, user.email);
  assert.deepEqual(
    [json.balance, json.credit_lots, json.subscription, json.notifications, json.age_confirmed, json.policy.acknowledged, json.status],
    [0, [], null, { receipts: false, announcements: false }, false, null, "active"],
  );
  assert.deepEqual([json.limits.unfinished_max, json.limits.generate_burst, json.limits.generate_per_minute], [250, 100, 60]);
  const actions = await psql("select action from shotai.plan_limit where plan = 'free'");
  assert.deepEqual(
    Object.keys(json.limits).toSorted(),
    ["unfinished_max", "uploads_max", ...actions.flatMap(({ action }) => [`${action}_burst`, `${action}_per_minute`])].toSorted(),
  );
  assert.equal(json.policy.version, (await call(null, "GET", "/api/config")).json.policy_version);
  assert.equal((await accountRows(user)).length, 1);
});

test("confirming the age gives the welcome credits, once", async () => {
  const user = await newUser({ confirmAge: false });
  const { status, json } = await confirm(user, true);
  assert.equal(status, 200);
  assert.equal(json.age_confirmed, true);
  assert.deepEqual(json.credit_lots, [{ source: "welcome", remaining: 50, expires_at: null }]);
  assert.deepEqual((await confirm(user, true)).json, json);
  const again = await Promise.all(Array.from({ length: 8 }, () => confirm(user, true)));
  for (const answer of again) assert.equal(answer.json.balance, 50);
});

test("a version of the policy is acknowledged", async () => {
  const user = await newUser();
  const version = (await call(null, "GET", "/api/config")).json.policy_version;
  const { json } = await call(user, "POST", "/api/account/acknowledge-policy", { version });
  assert.deepEqual(json.policy, { version, acknowledged: version, notice: false });
  for (const body of [{}, { version: "" }, { version: 1 }, { version, more: 1 }, { version: "1999-01-01" }])
    await refused("invalid_request", user, "POST", "/api/account/acknowledge-policy", body);
  assert.deepEqual((await call(user, "GET", "/api/account")).json, json);
});

test("many confirmations at once grant once", async () => {
  const user = await newUser({ confirmAge: false });
  await Promise.all(Array.from({ length: 16 }, () => confirm(user, true)));
  assert.equal(await balanceOf(user), 50);
});

test("a person who comes back under another spelling of the address gets no second welcome", async () => {
  const name = `a${randomUUID().replaceAll("-", "")}`;
  const first = await newUser({ email: `${name}@gmail.com` });
  assert.equal(await balanceOf(first), 50);
  await deleteUser(first);
  const dotted = `${name.slice(0, 3)}.${name.slice(3)}`;
  for (const email of [`${name}@gmail.com`, `${dotted}@gmail.com`, `${name}+more@gmail.com`, `${dotted}+x.y@googlemail.com`, `${name.toUpperCase()}@GMAIL.com`]) {
    const again = await newUser({ email });
    assert.equal(await balanceOf(again), 0, email);
    assert.equal((await call(again, "GET", "/api/account")).json.age_confirmed, true);
    await deleteUser(again);
  }
});

test("elsewhere dots and tags tell people apart", async () => {
  const name = randomUUID();
  for (const email of [`${name}@example.test`, `${name}+x@example.test`, `a.${name}@example.test`])
    assert.equal(await balanceOf(await newUser({ email })), 50, email);
});

test("a hash made under the previous secret still counts, and is renewed", async () => {
  const user = await newUser({ confirmAge: false });
  const session = JSON.parse(Buffer.from(user.token.split(".")[1], "base64url")).session_id;
  const [old, fresh] = [randomUUID(), randomUUID()].map((id) => id.replaceAll("-", "").repeat(2));
  const owner = await newUser();
  await psql(`
    insert into shotai.welcome_grant (email_hash, account)
      select decode('${old}', 'hex'), id from shotai.account where user_id = '${owner.id}'`);
  const [row] = await psql(`
    select problem, balance from shotai.confirm_age('${user.id}', '${session}', true, '${user.email}', '${fresh}', '${old}')`);
  assert.deepEqual(row, { problem: null, balance: "0" });
  const hashes = await psql(`select encode(email_hash, 'hex') as hash from shotai.welcome_grant where encode(email_hash, 'hex') in ('${old}', '${fresh}')`);
  assert.deepEqual(hashes, [{ hash: fresh }]);
});

test("anonymous people and changed addresses get no welcome", async () => {
  const user = await newUser({ confirmAge: false });
  const [{ json }, other] = [await confirm(await withClaims(user, { email: `${randomUUID()}@example.test` }), true), await newUser({ confirmAge: false })];
  assert.equal(json.balance, 0);
  await psql(`update auth.users set email_confirmed_at = null where id = '${other.id}'`);
  assert.equal((await confirm(other, true)).json.balance, 0);
});

test("who is younger than 13 is gone, and stays away", async () => {
  const email = `${randomUUID()}@example.test`;
  const young = await newUser({ email, confirmAge: false });
  assert.equal((await call(young, "GET", "/api/account")).status, 200);
  const { status, json } = await confirm(young, false);
  assert.equal(status, 202);
  assert.equal(json.status_url, `${env.PUBLIC_URL}/erasure/${json.erasure_id}`);
  await waitFor(async () => (await admin("GET", young.id)).status === 404, { what: "the Auth user to be deleted" });
  for (const [method, target] of [["GET", "/api/account"], ["POST", "/api/account/confirm-age"]]) {
    const answer = await api(young, method, target, method === "POST" ? { at_least_13: true } : undefined);
    assert.ok([401, 403].includes(answer.status), `${target}: ${answer.status}`);
  }
  await waitFor(async () => (await accountRows(young)).length === 0, { what: "the account to be gone" });
  assert.deepEqual(await psql(`select id from auth.users where email = '${email}'`), []);
  const again = await newUser({ email: email.toUpperCase(), confirmAge: false });
  await refused("account_suspended", again, "POST", "/api/account/confirm-age", { at_least_13: true });
  assert.equal((await refused("account_suspended", again, "POST", "/api/generate", { model: "gpt-image-1-mini", prompt: "p" })).reason, "age");
  assert.equal(await balanceOf(again), 0);
});

test("confirm-age takes one boolean from the person, not from another application", async () => {
  const user = await newUser({ confirmAge: false });
  const rows = [[{}, "/at_least_13"], [{ at_least_13: null }, "/at_least_13"], [{ at_least_13: 1 }, "/at_least_13"], [{ at_least_13: "true" }, "/at_least_13"], [{ at_least_13: true, age: 14 }, "/age"]];
  for (const [body, pointer] of rows) {
    const { errors } = await refused("invalid_request", user, "POST", "/api/account/confirm-age", body);
    assert.deepEqual(errors.map((error) => error.pointer), [pointer]);
  }
  await refused("client_not_allowed", await withClaims(user, { client_id: randomUUID() }), "POST", "/api/account/confirm-age", { at_least_13: false });
  await refused("unauthenticated", null, "POST", "/api/account/confirm-age", { at_least_13: true });
  assert.equal((await call(user, "GET", "/api/account")).json.age_confirmed, false);
});

test("the language is a setting", async () => {
  const user = await newUser();
  assert.equal((await call(user, "GET", "/api/account")).json.locale, "en");
  assert.equal((await call(user, "PATCH", "/api/account", { locale: "nl" })).json.locale, "nl");
  assert.equal((await call(user, "PATCH", "/api/account", {})).json.locale, "nl");
  assert.equal((await call(user, "PATCH", "/api/account", { locale: null })).json.locale, "nl");
  const rows = [[{ locale: "fr" }, "/locale"], [{ locale: "NL" }, "/locale"], [{ locale: "" }, "/locale"], [{ locale: 1 }, "/locale"], [{ balance: 9 }, "/balance"]];
  for (const [body, pointer] of rows) {
    const { errors } = await refused("invalid_request", user, "PATCH", "/api/account", body);
    assert.deepEqual(errors.map((error) => error.pointer), [pointer]);
  }
  assert.equal((await call(user, "GET", "/api/account")).json.locale, "nl");
  await refused("unsupported_media_type", user, "PATCH", "/api/account", '{"locale":"en"}', { "Content-Type": "text/plain" });
  await refused("too_large", user, "PATCH", "/api/account", { locale: "x".repeat(5000) });
});

test("a session that ended, or a user who was deleted, is out at once", async () => {
  const out = await newUser();
  assert.equal((await auth("POST", "/logout", undefined, out.token)).status, 204);
  await refused("unauthenticated", out, "GET", "/api/account");
  await refused("unauthenticated", out, "PATCH", "/api/account", { locale: "nl" });
  const gone = await newUser();
  await deleteUser(gone);
  await refused("unauthenticated", gone, "GET", "/api/account");
});

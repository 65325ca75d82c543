// Every route of the description, asked by everybody who might try: the table says what each of them gets. A route
// without a row fails. Where a path names a thing, it is the owner's.
import assert from "node:assert/strict";
import { before, test } from "node:test";

import { api, auth, finished, newUser, psql } from "./harness.mjs";
import { assertDescribed, description, heldGeneration, setPace, suspend, unsubscribeLink, withClaims } from "./contract.mjs";
import { picture, uploaded } from "./uploads.mjs";

const MATRIX = `
                              nobody  expired  ended  stranger  anonymous  client  unconfirmed  suspended  owner
GET /api/models                  200      200    200       200        200     200          200        200    200
GET /api/config                  200      200    200       200        200     200          200        200    200
GET /api/billing/products        200      200    200       200        200     200          200        200    200
GET /api/openapi.json            200      200    200       200        200     200          200        200    200
GET /privacy                     200      200    200       200        200     200          200        200    200
GET /privacy/{version}           200      200    200       200        200     200          200        200    200
GET /terms                       200      200    200       200        200     200          200        200    200
GET /support                     200      200    200       200        200     200          200        200    200
GET /s/{slug}                    200      200    200       200        200     200          200        200    200
GET /s/{slug}/image              200      200    200       200        200     200          200        200    200
POST /s/{slug}/report            202      202    202       202        202     202          202        202    202
POST /api/support                202      202    202       202        202     202          202        202    202
GET /unsubscribe/{token}         200      200    200       200        200     200          200        200    200
POST /unsubscribe/{token}        200      200    200       200        200     200          200        200    200
GET /api/account/erasures/{id}   404      404    404       404        404     404          404        404    404
GET /erasure/{id}                404      404    404       404        404     404          404        404    404
GET /files/{key}                 404      404    404       404        404     404          404        404    404
GET /healthz/{program}           200      200    200       200        200     200          200        200    200
GET /metrics                     200      200    200       200        200     200          200        200    200
POST /webhooks/creem             401      401    401       401        401     401          401        401    401
GET /api/account                 401      401    401       200        200     200          200        200    200
GET /api/account/credits         401      401    200       200        200     200          200        200    200
GET /api/account/export          401      401    401       200        200     403          200        200    200
POST /api/account/archives       401      401    401       202        202     403          202        202    202
GET /api/account/archives/{id}   401      401    401       404        404     403          404        404    200
GET /api/history                 401      401    200       200        200     200          200        200    200
GET /api/shares                  401      401    200       200        200     200          200        200    200
GET /api/billing/orders          401      401    200       200        200     200          200        200    200
GET /api/billing/subscription    401      401    200       200        200     200          200        200    200
GET /api/generate/{id}           401      401    404       404        404     404          404        404    200
GET /api/history/{id}            401      401    404       404        404     404          404        404    200
PATCH /api/history/{id}          401      401    401       404        404     404          404        404    200
POST /api/shares                 401      401    401       404        403     403          403        403    201
POST /api/generate               401      401    401       202        403     403          403        403    202
POST /api/uploads                401      401    401       201        403     403          403        403    201
POST /api/billing/checkout       401      401    401       201        403     403          403        403    201
POST /api/billing/portal         401      401    401       404        403     403          404        404    404
DELETE /api/shares/{slug}        401      401    401       404        404     404          404        404    204
DELETE /api/uploads/{id}         401      401    401       404        403     403          404        404    204
DELETE /api/generate/{id}        401      401    401       404        403     403          404        404    200
POST /api/history/delete         401      401    401       204        204     403          204        204    204
DELETE /api/history/{id}         401      401    401       404        404     403          404        404    204
PATCH /api/account               401      401    401       200        200     403          200        200    200
POST /api/account/confirm-age    401      401    401       200        200     403          200        200    200
POST /api/account/acknowledge-policy  401  401    401       200        200     403          200        200    200
DELETE /api/account              401      401    401       202        202     403          202        202    202
`;

const [people, ...rows] = MATRIX.trim().split("\n").map((line) => line.trim().split(/\s{2,}/));

const bodyOf = (operation, things) => ({
  "POST /api/generate": { model: "gpt-image-1-mini", prompt: "a boat" },
  "POST /api/uploads": picture("plain.png"),
  "PATCH /api/history/{id}": { favourite: true },
  "POST /api/history/delete": { ids: [things.queued] },
  "POST /api/shares": { generation_id: things.generation },
  "POST /s/{slug}/report": { reason: "other" },
  "POST /api/support": { message: "hello" },
  "POST /unsubscribe/{token}": {},
  "POST /api/billing/checkout": { product_id: "top-up-100" },
  "PATCH /api/account": { locale: "nl" },
  "POST /api/account/confirm-age": { at_least_13: true },
  "POST /api/account/acknowledge-policy": { version: "2026-11-01" },
  "POST /api/account/archives": {},
  "POST /webhooks/creem": {},
})[operation];

// The thing of the owner that a path names.
const pathOf = (operation, things) => operation.split(" ")[1]
  .replace("{program}", "account")
  .replace("{version}", "2026-11-01")
  .replace("{key}", "gen/00000000-0000-4000-8000-000000000000/0-1")
  .replace("{slug}", things.slug)
  .replace("/unsubscribe/{token}", things.unsubscribe)
  .replace("{id}", operation === "DELETE /api/generate/{id}" ? things.queued : operation.includes("/uploads/") ? things.upload
    : operation.includes("/archives/") ? things.archive : things.generation);

const operations = Object.entries(description.paths).flatMap(([target, methods]) =>
  Object.keys(methods).map((method) => `${method.toUpperCase()} ${target}`));

let owner, things, tokens;

const ownersThings = () => psql(`
  select g.id::text, g.status, g.favourite::text, g.deleted_at::text, g.credits_refunded::text from shotai.generation g join shotai.account a on a.id = g.account where a.user_id = '${owner.id}'
  union all select s.slug, s.show_prompt::text, s.taken_down_at::text, null, null from shotai.share s join shotai.account a on a.id = s.account where a.user_id = '${owner.id}'
  union all select u.id::text, u.key, u.deleted_at::text, u.expires_at::text, null from shotai.upload u join shotai.account a on a.id = u.account where a.user_id = '${owner.id}'
  union all select 'account', a.balance::text, a.locale, a.status, a.entry_no::text from shotai.account a where a.user_id = '${owner.id}'
  order by 1`);

before(async () => {
  owner = await newUser();
  await setPace("support");
  const asked = await api(owner, "POST", "/api/generate", { model: "gpt-image-1-mini", prompt: "a red boat" });
  assert.equal((await finished(owner, asked.json.id)).status, "succeeded");
  const share = await api(owner, "POST", "/api/shares", { generation_id: asked.json.id });
  things = {
    generation: asked.json.id,
    queued: await heldGeneration(owner),
    upload: (await uploaded(owner)).id,
    slug: share.json.slug,
    archive: (await api(owner, "POST", "/api/account/archives", { generation_ids: [asked.json.id] })).json.id,
    unsubscribe: await unsubscribeLink(owner),
  };

  const ended = await newUser(), suspended = await newUser(), nameless = await newUser();
  assert.equal((await auth("POST", "/logout?scope=local", undefined, ended.token)).status, 204);
  await suspend(suspended);
  tokens = {
    nobody: null,
    expired: await withClaims(owner, { exp: Math.floor(Date.now() / 1000) - 1 }),
    ended,
    stranger: await newUser(),
    anonymous: await withClaims(nameless, { is_anonymous: true }),
    client: await withClaims(await newUser(), { client_id: "0195f0c2-7d1a-7c3e-9d64-3f0f2a6f3b10" }),
    unconfirmed: await newUser({ confirmAge: false }),
    suspended,
    owner,
  };
});

const ask = async (operation, user) => {
  const [method] = operation.split(" ");
  const body = bodyOf(operation, things), headers = body instanceof Uint8Array ? { "Content-Type": "image/png" } : {};
  const target = pathOf(operation, things);
  const answer = await api(user, method, target, body, headers);
  assertDescribed(method, target, answer);
  return answer.status;
};

test("the table has every route, and no other", () => {
  assert.deepEqual(rows.map(([operation]) => operation).toSorted(), operations.toSorted());
  assert.deepEqual(people, Object.keys(tokens));
});

async function differences(names) {
  const found = [];
  for (const [operation, ...statuses] of rows)
    for (const name of names) {
      const status = await ask(operation, tokens[name]), said = Number(statuses[people.indexOf(name)]);
      if (status !== said) found.push(`${operation}: ${name} got ${status}, not ${said}`);
    }
  return found;
}

test("each of them gets what the table says, and the owner keeps what there was", async () => {
  const had = await ownersThings();
  assert.deepEqual(await differences(people.slice(0, -1)), []);
  assert.deepEqual(await ownersThings(), had);
});

test("the owner may do all of it", async () => {
  assert.deepEqual(await differences(["owner"]), []);
});

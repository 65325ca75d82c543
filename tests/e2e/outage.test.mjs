// Storage away while people upload, order and delete: nothing is lost, nothing is charged for what is not there, and what
// was to be deleted is deleted when it is back. OUTAGE_ITEMS and OUTAGE_SECONDS make it larger.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";

import { door, objects } from "./bucket.mjs";
import { call, setLimits } from "./contract.mjs";
import { allCalled, assertAudit, assertPaid, balanceOf, generate, promptOf, richUser } from "./faults.mjs";
import { api, env, finished, psql, waitFor } from "./harness.mjs";
import { age, picture, rowOf, upload, uploaded } from "./uploads.mjs";

const items = Number(process.env.OUTAGE_ITEMS ?? 6), seconds = Number(process.env.OUTAGE_SECONDS ?? 2);
const many = (one, count = items) => Promise.all(Array.from({ length: count }, (_, n) => one(n)));
const PATIENT = { timeout: 180_000 };

let user;
before(async () => {
  user = await richUser(10 * items);
  await setLimits(user, { upload_burst: 1000, uploads_max: 1000, generate_burst: 1000, unfinished_max: 1000 });
});
after(() => door({ mode: "pass" }));

// Uploads again until the storage takes it; how often it did not.
async function insist() {
  for (let refused = 0; ; refused++) {
    const answer = await upload(user, picture("plain.png"));
    if (answer.status === 201) return { ...answer.json, refused };
    assert.equal(answer.status, 503, answer.text);
    assert.equal(answer.json.code, "storage_unavailable");
    await pause(300);
  }
}

const keysOf = (generation) => psql(`select image_key, thumbnail_key from shotai.image where generation = '${generation.id}'`)
  .then((rows) => rows.flatMap(({ image_key: image, thumbnail_key: thumbnail }) => [image, thumbnail]));

test("storage away while people upload, order and delete", { timeout: 600_000 }, async (t) => {
  const balance = await balanceOf(user);
  const due = await many(() => uploaded(user));
  const dueKeys = await Promise.all(due.map(async ({ id }) => (await rowOf(id)).key));
  const prompts = Array.from({ length: items }, () => promptOf("sandbox:slow=1"));
  const unwanted = await Promise.all((await many(() => generate(user, promptOf("soon deleted")), 2)).map(({ id }) => finished(user, id, PATIENT)));
  const unwantedKeys = (await Promise.all(unwanted.map(keysOf))).flat();
  const begun = await Promise.all(prompts.slice(0, items / 2).map((prompt) => generate(user, prompt)));
  await allCalled(prompts.slice(0, items / 2));

  await door({ mode: "answer", status: 500 });
  const back = pause(seconds * 1000).then(() => door({ mode: "pass" }));
  const half = pause(seconds * 500).then(() => door({ mode: "refuse" }));
  const insisting = many(insist);
  for (const { id } of due) await age(id, 1800);
  for (const { id } of unwanted) assert.equal((await call(user, "DELETE", `/api/history/${id}`)).status, 204);
  const late = await Promise.all(prompts.slice(items / 2).map((prompt) => generate(user, prompt)));
  await half;
  for (const key of unwantedKeys) assert.equal((await api(null, "GET", `/files/${key}`)).status, 404, "gone before the object is");
  await back;
  const since = Date.now();

  const kept = await insisting;
  assert.ok(kept.some(({ refused }) => refused > 0), "the storage really was away");
  const ends = await Promise.all([...begun, ...late].map(({ id }) => finished(user, id, PATIENT)));
  assert.equal(ends.length, items);
  for (const end of ends) {
    assert.ok(["succeeded", "failed"].includes(end.status), end.status);
    await assertPaid(end);
    for (const { url, thumbnail_url: thumbnail } of end.images)
      for (const link of [url, thumbnail]) assert.equal((await call(null, "GET", link)).status, 200, "what was charged is there");
  }
  const spent = [...ends, ...unwanted].reduce((sum, end) => sum + end.credits_charged - end.credits_refunded, 0);
  assert.equal(await balanceOf(user), balance - spent);

  const waiting = due.map(({ id }) => `'${id}'`).join(", ");
  await waitFor(async () => (await psql(`select count(*) from shotai.upload where id in (${waiting}) and deleted_at is null`))[0].count === "0",
    { what: "deletions to catch up", ...PATIENT });
  const caughtUp = Date.now() - since;
  await waitFor(async () => !(await objects(env.R2_BUCKET)).some((key) => unwantedKeys.includes(key)), { what: "deleted pictures to go", every: 500, ...PATIENT });

  const stored = await objects();
  for (const key of dueKeys) assert.ok(!stored.includes(key), key);
  const keptKeys = await Promise.all(kept.map(async ({ id }) => (await rowOf(id)).key));
  for (const key of keptKeys) assert.ok(stored.includes(key), "what was taken is kept");
  const named = new Set((await psql(`select key from shotai.upload where key is not null
    union all select image_key from shotai.image union all select thumbnail_key from shotai.image`)).map(({ key }) => key));
  const orphans = [...stored, ...(await objects(env.R2_BUCKET))].filter((key) => /^(gen|uploads)\//.test(key) && !named.has(key));
  assert.deepEqual(orphans, [], "no object without a row");
  await assertAudit();

  const count = (status) => ends.filter((end) => end.status === status).length;
  const refusals = kept.reduce((sum, { refused }) => sum + refused, 0);
  t.diagnostic(`${items} uploads taken after ${refusals} refusals; of ${items} generations ${count("succeeded")} made, ${count("failed")} refunded; ` +
    `deletions caught up in ${caughtUp} ms; ${spent} credits spent`);
});

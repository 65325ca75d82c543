// Uploads in R2, or here in Swift: in a bucket of their own, gone in time, whatever the storage answers.
import assert from "node:assert/strict";
import { afterEach, before, test } from "node:test";
import { randomBytes } from "node:crypto";

import { client, door, objects } from "./bucket.mjs";
import { env, finished, newUser, psql, waitFor } from "./harness.mjs";
import { call, setLimits } from "./contract.mjs";
import { withOwnWorkers } from "./faults.mjs";
import { age, picture, png, rowOf, upload, uploaded } from "./uploads.mjs";

const buried = (id) => waitFor(async () => (await rowOf(id)).deleted_at !== null, { what: "the tombstone", timeout: 40_000 });

let user;
before(async () => {
  user = await newUser();
  await setLimits(user, { upload_burst: 1000, uploads_max: 1000 });
});
afterEach(() => door({ mode: "pass" }));

test("an upload is in the bucket of uploads, cleaned, and in no other", async () => {
  const { id, bytes } = await uploaded(user, picture("plain.jpg"), "image/jpeg");
  const { key } = await rowOf(id);
  const { stdout } = await client("list", env.R2_UPLOAD_BUCKET);
  assert.match(stdout, new RegExp(`^${key} ${bytes}$`, "m"));
  assert.ok(!(await objects(env.R2_BUCKET)).some((name) => name.startsWith("uploads/")));
});

test("it is a reference from there", async () => {
  const { id } = await uploaded(user);
  const { json } = await call(user, "POST", "/api/generate", { model: "gpt-image-1-mini", prompt: "from the bucket", upload_id: id });
  assert.equal((await finished(user, json.id, { timeout: 120_000 })).status, "succeeded");
});

test("deleted by its owner or by time it is gone from the bucket", async () => {
  const own = await uploaded(user), old = await Promise.all(Array.from({ length: 12 }, () => uploaded(user)));
  const keys = await Promise.all([own, ...old].map(async ({ id }) => (await rowOf(id)).key));
  assert.equal((await call(user, "DELETE", `/api/uploads/${own.id}`)).status, 204);
  for (const { id } of old) await age(id, 1800);
  for (const { id } of old) await buried(id);
  const left = await objects();
  for (const key of keys) assert.ok(!left.includes(key), key);
});

for (const setting of [{ mode: "answer", status: 503, methods: ["PUT"] }, { mode: "answer", status: 403, methods: ["PUT"] }, { mode: "answer", status: 503 }]) {
  test(`storage that answers ${setting.status} to ${setting.methods ?? "everything"}: refused, nothing left`, { timeout: 120_000 }, async () => {
    const person = await newUser(), before = await objects();
    await door(setting);
    const answer = await upload(person, picture("plain.png"));
    assert.equal(answer.status, 503);
    assert.equal(answer.json.code, "storage_unavailable");
    await door({ mode: "pass" });
    await waitFor(async () => (await psql(`select u.id from shotai.upload u join shotai.account a on a.id = u.account
      where a.user_id = '${person.id}' and u.deleted_at is null`)).length === 0, { what: "the row to go", timeout: 40_000 });
    const fresh = (await objects()).filter((key) => !before.includes(key));
    const named = new Set((await psql("select key from shotai.upload where key is not null")).map(({ key }) => key));
    for (const key of fresh) assert.ok(named.has(key), "an object without a row");
    assert.equal((await upload(person, png(8, 8))).status, 201);
  });
}

test("deletions wait for storage that is away and catch up", { timeout: 120_000 }, async () => {
  const old = await Promise.all(Array.from({ length: 5 }, () => uploaded(user)));
  const keys = await Promise.all(old.map(async ({ id }) => (await rowOf(id)).key));
  await door({ mode: "answer", status: 503, methods: ["DELETE", "POST"] });
  await door();
  for (const { id } of old) await age(id, 1800);
  await waitFor(async () => (await door()).some(({ method }) => method !== "GET"), { what: "a deletion to be tried" });
  for (const { id } of old) assert.equal((await rowOf(id)).deleted_at, null);
  await door({ mode: "pass" });
  for (const { id } of old) await buried(id);
  const left = await objects();
  for (const key of keys) assert.ok(!left.includes(key));
});

test("what no row names is swept from the bucket, what one names is not", { timeout: 120_000 }, async () => {
  const orphan = `uploads/29000000/${randomBytes(16).toString("hex")}`;
  const { id } = await uploaded(user);
  const { key } = await rowOf(id);
  await client("put", env.R2_UPLOAD_BUCKET, orphan, "left behind");
  await withOwnWorkers(() => waitFor(async () => !(await objects()).includes(orphan), { what: "the sweep", timeout: 60_000 }));
  assert.ok((await objects()).includes(key));
});

// References: which uploads an order may name, what leaves for the provider, and what happens when they are gone.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { randomUUID } from "node:crypto";
import { chmodSync, existsSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import path from "node:path";

import { api, finished, newUser, psql, waitFor } from "./harness.mjs";
import { balanceOf, call, refused, setLimits } from "./contract.mjs";
import { assertAudit, assertPaid, promptOf, providerCalls, richUser, storage, withOwnWorkers } from "./faults.mjs";
import { age, objectOf, picture, png, rowOf, storedBytes, uploaded } from "./uploads.mjs";

const ONE = "gpt-image-1-mini", SEVERAL = "gpt-image-1.5";
let user;
before(async () => {
  user = await richUser();
  await setLimits(user, { upload_burst: 1000, uploads_max: 1000 });
});
after(assertAudit);

const order = (body, who = user) => call(who, "POST", "/api/generate", { model: ONE, prompt: promptOf("a reference"), ...body });
const refusedOrder = (code, body, who = user) => refused(code, who, "POST", "/api/generate", { model: ONE, prompt: "x", ...body });

// A provider that keeps all it is sent, and answers with one picture.
async function withProvider(body) {
  const seen = [];
  const server = createServer((incoming, answer) => {
    const parts = [];
    incoming.on("data", (bytes) => parts.push(bytes)).on("end", () => {
      seen.push({ target: incoming.url, headers: incoming.rawHeaders.join("\n"), type: incoming.headers["content-type"], body: Buffer.concat(parts) });
      answer.setHeader("Content-Type", "application/json");
      answer.end(JSON.stringify({ created: 1, data: [{ b64_json: png(64, 64).toString("base64") }] }));
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    return await withOwnWorkers(() => body(seen), { OPENAI_BASE_URL: `http://127.0.0.1:${server.address().port}/v1` });
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

// The files of a multipart body, in order.
async function filesOf({ type, body }) {
  const form = await new Response(body, { headers: { "Content-Type": type } }).formData();
  const files = [];
  for (const [name, value] of form.entries())
    if (typeof value !== "string") files.push({ name, type: value.type, bytes: Buffer.from(await value.arrayBuffer()) });
  return { files, fields: [...form.entries()].filter(([, value]) => typeof value === "string").map(([name]) => name) };
}

test("the stand-in edits with one reference and with several", async () => {
  const first = await uploaded(user), second = await uploaded(user, picture("plain.jpg"), "image/jpeg");
  const one = await order({ upload_id: first.id });
  const several = await order({ model: SEVERAL, upload_ids: [first.id, second.id], count: 2 });
  for (const { json } of [one, several]) {
    const end = await finished(user, json.id);
    assert.equal(end.status, "succeeded", JSON.stringify(end.error));
    assert.equal(end.images.length, end.count);
  }
});

test("the cleaned bytes go to the provider, in order, and nothing about the person or the place", () =>
  withProvider(async (seen) => {
    const first = await uploaded(user, picture("plain.webp"), "image/webp"), second = await uploaded(user, picture("p3.png"));
    const prompt = promptOf("two references");
    const { json } = await order({ model: SEVERAL, prompt, upload_ids: [second.id, first.id] });
    assert.equal((await finished(user, json.id)).status, "succeeded");
    assert.equal(seen.length, 1);
    assert.equal(seen[0].target, "/v1/images/edits");
    const { files, fields } = await filesOf(seen[0]);
    assert.deepEqual(files.map(({ name, type }) => [name, type]), [["image[]", "image/png"], ["image[]", "image/webp"]]);
    assert.deepEqual(files[0].bytes, await storedBytes(second.id));
    assert.deepEqual(files[1].bytes, await storedBytes(first.id));
    assert.ok(fields.every((name) => ["model", "prompt", "n", "size", "quality", "output_format"].includes(name)), fields.join());
    const all = `${seen[0].target}\n${seen[0].headers}\n${seen[0].body.toString("latin1")}`;
    const rows = await Promise.all([rowOf(first.id), rowOf(second.id)]);
    for (const secret of [user.id, user.email, user.token, first.id, second.id, json.id, ...rows.map((row) => row.key), "uploads/", "plain.webp"])
      assert.ok(!all.includes(secret), `the provider was told ${secret}`);
    assert.doesNotMatch(all.replace(/^Host\n.*$/im, ""), /https?:\/\/|file:/);
  }));

test("only uploads of one's own that are there, and as many as the model takes", async () => {
  const { id } = await uploaded(user);
  const other = await richUser();
  const foreign = await uploaded(other);
  await refusedOrder("upload_unknown", { upload_id: randomUUID() });
  await refusedOrder("upload_unknown", { upload_id: foreign.id });
  await refusedOrder("upload_unknown", { model: SEVERAL, upload_ids: [id, foreign.id] });
  const both = await refusedOrder("invalid_request", { upload_id: id, upload_ids: [id] });
  assert.equal(both.errors[0].pointer, "/upload_ids");
  const second = await uploaded(user);
  const many = await refusedOrder("invalid_request", { upload_ids: [id, second.id] });
  assert.equal(many.errors[0].detail, "at most 1");
  await refusedOrder("invalid_request", { upload_ids: [id, id] });
  await refusedOrder("invalid_request", { upload_ids: [] });
  await refusedOrder("invalid_request", { upload_id: "x" });
  await call(user, "DELETE", `/api/uploads/${second.id}`);
  const dutch = await refused("upload_expired", user, "POST", "/api/generate", { model: ONE, prompt: "x", upload_id: second.id }, { "Accept-Language": "nl" });
  assert.equal(dutch.title, "Deze upload is al gewist");
  await psql("update shotai.model set accepts_reference = false where id = 'gpt-image-2'");
  try {
    const none = await refusedOrder("invalid_request", { model: "gpt-image-2", upload_id: id });
    assert.equal(none.errors[0].detail, "this model takes no reference");
    const { items } = (await api(null, "GET", "/api/models")).json;
    assert.deepEqual(items.map(({ max_references: most }) => most), [1, 4, 0]);
  } finally {
    await psql("update shotai.model set accepts_reference = true where id = 'gpt-image-2'");
  }
});

// Orders while no worker runs; then `spoil` happens, and one comes.
async function startedLate(count, spoil) {
  const mine = await richUser(100);
  const balance = await balanceOf(mine);
  const upload = await uploaded(mine);
  const prompt = promptOf("too late");
  let id;
  await withOwnWorkers(async (worker, start) => {
    worker.child.kill("SIGKILL");
    await worker.ended;
    id = (await order({ prompt, upload_id: upload.id, count }, mine)).json.id;
    assert.equal(await balanceOf(mine), balance - 2 * count);
    await spoil(upload, mine);
    await start();
    await finished(mine, id);
  });
  const end = await finished(mine, id);
  assert.equal(end.status, "failed");
  assert.equal(end.error.code, "reference_expired");
  await assertPaid(end);
  assert.equal(await balanceOf(mine), balance, "the money is back");
  assert.equal(await providerCalls(prompt), 0, "and the provider was not asked");
}

test("a reference that has ended when its turn comes: refunded, the provider not asked", () => startedLate(2, (upload) => age(upload.id, 1800)));

test("one that was deleted meanwhile", () =>
  startedLate(1, async (upload, mine) => assert.equal((await api(mine, "DELETE", `/api/uploads/${upload.id}`)).status, 204)));

test("one whose object is gone, whatever its row says", () =>
  startedLate(1, async (upload) => rmSync(objectOf((await rowOf(upload.id)).key))));

test("storage that is away for a while delays, no more", async () => {
  const mine = await richUser(100);
  const { id: reference } = await uploaded(mine);
  const prompt = promptOf("later");
  await withOwnWorkers(async (worker) => {
    chmodSync(path.join(storage, "uploads"), 0o000);
    let id;
    try {
      id = (await order({ prompt, upload_id: reference }, mine)).json.id;
      await waitFor(() => worker.log.includes("job_handed_back"), { what: "the job to wait" });
      assert.equal(await providerCalls(prompt), 0);
      assert.equal((await api(mine, "GET", `/api/generate/${id}`)).json.status, "queued");
    } finally {
      chmodSync(path.join(storage, "uploads"), 0o755);
    }
    const end = await finished(mine, id);
    assert.equal(end.status, "succeeded", JSON.stringify(end.error));
    assert.equal(await providerCalls(prompt), 1);
  });
});

test("an order that names an upload may be repeated under its key, also once that is gone", async () => {
  const mine = await richUser(100);
  const { id: reference } = await uploaded(mine);
  const body = { model: ONE, prompt: promptOf("again"), upload_id: reference }, key = { "Idempotency-Key": randomUUID() };
  const first = await call(mine, "POST", "/api/generate", body, key);
  await finished(mine, first.json.id);
  const file = objectOf((await rowOf(reference)).key);
  await call(mine, "DELETE", `/api/uploads/${reference}`);
  assert.ok(!existsSync(file));
  const again = await call(mine, "POST", "/api/generate", body, key);
  assert.equal(again.headers.get("idempotency-replayed"), "true");
  assert.equal(again.json.id, first.json.id);
  await refused("upload_expired", mine, "POST", "/api/generate", body, { "Idempotency-Key": randomUUID() });
});

test("a new person's upload is of no use to another one's order", async () => {
  const other = await newUser();
  const { id } = await uploaded(other);
  await refusedOrder("upload_unknown", { upload_id: id });
  await age(id, 1800);
  await refusedOrder("upload_unknown", { upload_id: id });
});

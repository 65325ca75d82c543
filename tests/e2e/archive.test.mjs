// What people take with them: the export, and archives that the worker makes; with whatever may go wrong meanwhile.
import assert from "node:assert/strict";
import { afterEach, before, test } from "node:test";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmod, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";

import { env, execute, finished, newUser, psql, waitFor } from "./harness.mjs";
import { call, refused, setLimits, signLink, suspend } from "./contract.mjs";
import { richUser, withOwnWorkers } from "./faults.mjs";

const stored = env.STORAGE === "r2";
const client = (...args) => execute(new URL("../s3-client", import.meta.url).pathname, [env.R2_ENDPOINT, ...args]);
const door = (setting) => fetch(`${env.R2_ENDPOINT}/.door`, { method: "PUT", body: JSON.stringify(setting) });
const folder = env.STORAGE.replace(/^file:/, "");

async function objects() {
  const { stdout } = stored ? await client("list", env.R2_BUCKET) : await execute("find", [folder, "-type", "f", "-printf", "%P\n"]);
  return stdout.split("\n").filter((line) => line.startsWith("archives/")).map((line) => line.split(" ")[0]);
}

// Storage that gives nothing, until the function that comes back is called.
async function outage() {
  if (stored) await door({ mode: "answer", status: 500 });
  else await chmod(`${folder}/gen`, 0);
  return () => (stored ? door({ mode: "pass" }) : chmod(`${folder}/gen`, 0o750));
}

const sessions = new Set();
afterEach(() => sessions.forEach((child) => child.kill()));

// A session of the database that holds what it locked until it is let go.
function session(sql) {
  const child = spawn("psql", ["-h", `${env.home}/sockets`, "-U", "supabase_admin", "-d", "shotai", "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1"], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  sessions.add(child);
  const locked = new Promise((resolve, reject) => {
    child.stdout.on("data", (bytes) => String(bytes).includes("locked") && resolve());
    child.on("close", () => reject(new Error("the session ended")));
  });
  child.stdin.write(`begin; set local statement_timeout = 0; ${sql};\n\\echo locked\n`);
  const ended = new Promise((resolve) => child.on("close", resolve));
  return locked.then(() => () => (child.stdin.end("commit;\n"), ended));
}

const order = (user, body = {}, headers) => call(user, "POST", "/api/account/archives", body, headers);
const look = async (user, id) => (await call(user, "GET", `/api/account/archives/${id}`)).json;
const made = (user, id, status = "ready") =>
  waitFor(async () => {
    const archive = await look(user, id);
    return archive.status !== "pending" && (assert.equal(archive.status, status), archive);
  }, { what: `archive ${id}` });
const rowOf = async (id) => (await psql(`select * from shotai.archive where id = '${id}'`))[0];

// What a foreign client finds in the ZIP of a link: its names, its sums checked, and its index.
async function unpack(url, index) {
  const { status, bytes, text } = await call(null, "GET", url);
  assert.equal(status, 200, text);
  const file = path.join(tmpdir(), `${randomBytes(8).toString("hex")}.zip`);
  await writeFile(file, bytes);
  try {
    const script = `import json,sys,zipfile
z = zipfile.ZipFile(sys.argv[1])
assert z.testzip() is None
print(json.dumps({"files": {i.filename: [i.compress_type, z.read(i)[:4].hex()] for i in z.infolist()}, "index": json.loads(z.read(sys.argv[2]))}))`;
    const read = await execute("/usr/bin/python3", ["-c", script, file, index]);
    assert.equal(read.status, 0, read.stderr);
    return JSON.parse(read.stdout);
  } finally {
    await execute("rm", ["-f", file]);
  }
}

async function generate(user, prompt, count = 1) {
  const { json } = await call(user, "POST", "/api/generate", { model: "gpt-image-1-mini", prompt, count });
  const generation = await finished(user, json.id);
  assert.equal(generation.status, "succeeded");
  return generation;
}

let anna, bert, pair, single;
before(async () => {
  [anna, bert] = await Promise.all([richUser(), newUser()]);
  await setLimits(anna, { archives_per_day: 100, whole_archives_per_day: 100, archive_burst: 1000, export_burst: 1000 });
  [pair, single] = await Promise.all([generate(anna, "één vos / \"op\" de kade 狐", 2), generate(anna, "a boat")]);
});

test("the export holds the account, with links that work", async () => {
  const answer = await call(anna, "GET", "/api/account/export");
  assert.equal(answer.status, 200);
  assert.equal(answer.headers.get("content-length"), null);
  const { account: [account], generations, images, credit_entries: entries, credit_lots: lots } = answer.json;
  assert.equal(account.email, anna.email);
  assert.equal(account.user_id, anna.id);
  assert.equal(account.balance, (await call(anna, "GET", "/api/account")).json.balance);
  assert.equal(entries.reduce((sum, { amount }) => sum + amount, 0), account.balance);
  assert.equal(lots.reduce((sum, { remaining }) => sum + remaining, 0), account.balance);
  assert.deepEqual(generations.map(({ prompt }) => prompt).toSorted(), ["a boat", pair.prompt].toSorted());
  assert.ok(generations.every(({ moderation }) => moderation === "allow"));
  assert.equal(images.length, 3);
  for (const { url, thumbnail_url } of images)
    for (const link of [url, thumbnail_url]) assert.equal((await call(null, "GET", link)).status, 200);
  for (const other of [bert.id, bert.email]) assert.ok(!answer.text.includes(other));
});

test("who is suspended exports, who is closed does not, and too often is told", { skip: stored }, async () => {
  const user = await newUser();
  await suspend(user);
  assert.equal((await call(user, "GET", "/api/account/export")).status, 200);
  assert.equal((await order(user)).status, 202);
  await suspend(user, "closed");
  await refused("account_suspended", user, "GET", "/api/account/export");
  await refused("account_suspended", user, "POST", "/api/account/archives", {});
  await setLimits(bert, { export_burst: 1, export_per_minute: 1 });
  assert.equal((await call(bert, "GET", "/api/account/export")).status, 200);
  await refused("rate_limited", bert, "GET", "/api/account/export");
});

test("an archive of chosen generations holds their pictures and what is known of them", async () => {
  const answer = await order(anna, { generation_ids: [pair.id] });
  assert.equal(answer.status, 202);
  assert.equal(answer.headers.get("location"), `/api/account/archives/${answer.json.id}`);
  assert.deepEqual(answer.json, { id: answer.json.id, status: "pending", url: null, expires_at: null });
  const archive = await made(anna, answer.json.id);
  const left = new Date(archive.expires_at) - Date.now();
  assert.ok(left > 23.9 * 3600e3 && left <= 24 * 3600e3);
  const file = await call(null, "GET", archive.url);
  assert.equal(file.status, 200);
  assert.equal(file.headers.get("content-type"), "application/zip");
  assert.equal(file.headers.get("content-disposition"), `attachment; filename="shotai-${new Date().toISOString().slice(0, 10)}.zip"`);
  assert.equal(file.headers.get("cache-control"), "no-store");
  const { files, index } = await unpack(archive.url, "generations.json");
  assert.deepEqual(Object.keys(index), ["made_at", "generations", "images"]);
  assert.deepEqual(index.generations.map(({ id, prompt, model }) => ({ id, prompt, model })), [{ id: pair.id, prompt: pair.prompt, model: pair.model }]);
  const day = pair.created_at.slice(0, 10), name = `pictures/${day}-één-vos-op-de-kade-狐-${pair.id.slice(0, 8)}`;
  assert.deepEqual(index.images.map(({ file }) => file), [`${name}-1.png`, `${name}-2.png`]);
  assert.deepEqual(files, { [`${name}-1.png`]: [0, "89504e47"], [`${name}-2.png`]: [0, "89504e47"], "generations.json": [8, "7b226d61"] });
  const part = await call(null, "GET", archive.url, undefined, { Range: "bytes=0-3" });
  assert.equal(part.status, 206);
  assert.equal(part.bytes.toString(), "PK\u0003\u0004");
});

test("an archive of the account holds the whole export and all pictures; one that is gone is named", async () => {
  const gone = await generate(anna, "gone");
  const [{ image_key: key }] = await psql(`select image_key from shotai.image where generation = '${gone.id}'`);
  if (stored) await client("delete", env.R2_BUCKET, key);
  else await execute("rm", [`${folder}/${key}`]);
  const archive = await made(anna, (await order(anna)).json.id);
  const { files, index } = await unpack(archive.url, "export.json");
  const online = (await call(anna, "GET", "/api/account/export")).json;
  assert.deepEqual(Object.keys(index), Object.keys(online));
  assert.deepEqual(index.credit_entries, online.credit_entries);
  assert.equal(Object.keys(files).length, 4);
  assert.ok(index.images.every(({ generation_id: id, file, missing }) => (id === gone.id ? missing === true && !file : file in files)));
});

test("foreign, unknown and deleted generations are refused, and nobody sees another's archive", async () => {
  const deleted = await generate(anna, "deleted");
  await call(anna, "DELETE", `/api/history/${deleted.id}`);
  for (const id of [deleted.id, crypto.randomUUID()]) await refused("not_found", anna, "POST", "/api/account/archives", { generation_ids: [single.id, id] });
  await refused("not_found", bert, "POST", "/api/account/archives", { generation_ids: [single.id] });
  for (const generation_ids of [[], Array.from({ length: 101 }, () => crypto.randomUUID()), [single.id, single.id], ["x"]])
    await refused("invalid_request", anna, "POST", "/api/account/archives", { generation_ids });
  const { id } = (await order(anna, { generation_ids: [single.id] })).json;
  await refused("not_found", bert, "GET", `/api/account/archives/${id}`);
  const { url } = await made(anna, id);
  const { pathname, searchParams } = new URL(url, env.url), key = pathname.slice("/files/".length);
  for (const link of [
    `${pathname}?e=${Number(searchParams.get("e")) + 1}&s=${searchParams.get("s")}`,
    `${pathname}?e=${searchParams.get("e")}&s=${"A".repeat(22)}`,
    signLink(key, Math.floor(Date.now() / 1000) - 1),
    signLink(`archives/${"0".repeat(32)}`, searchParams.get("e")),
  ]) await refused("not_found", null, "GET", link);
  await suspend(anna, "closed");
  await refused("not_found", null, "GET", url);
  await suspend(anna, "active");
  assert.equal((await call(null, "GET", url)).status, 200);
});

test("what a day allows, and a key that answers with what it ordered", { skip: stored }, async () => {
  const user = await richUser();
  await setLimits(user, { archives_per_day: 2, archive_burst: 100 });
  const body = { generation_ids: [(await generate(user, "a kite")).id] };
  const first = await order(user, body, { "Idempotency-Key": "one" });
  const again = await order(user, body, { "Idempotency-Key": "one" });
  assert.equal(again.json.id, first.json.id);
  assert.equal(again.status, 202);
  assert.equal(again.headers.get("idempotency-replayed"), "true");
  await refused("idempotency_key_reused", user, "POST", "/api/account/archives", {}, { "Idempotency-Key": "one" });
  assert.equal((await order(user, body)).status, 202);
  const answer = await order(user, body);
  assert.equal(answer.json.code, "rate_limited");
  assert.ok(Number(answer.headers.get("retry-after")) > 86000);
  assert.equal((await order(user)).status, 202);
  await refused("rate_limited", user, "POST", "/api/account/archives", {});
});

const allMade = () =>
  waitFor(async () => (await psql("select id from shotai.archive where status = 'pending'")).length === 0, { what: "the archives before it" });
const claimed = (id) => waitFor(async () => (await rowOf(id)).lease_until, { what: "the claim" });

test("a worker that is killed after it stored the object leaves none, and another makes it", { timeout: 180_000 }, async () => {
  await allMade();
  await withOwnWorkers(async (worker, start) => {
    // It may begin, but neither read the pictures nor, once it has, say that it is done.
    const letRead = await session("lock table shotai.image in access exclusive mode");
    const { id } = (await order(anna, { generation_ids: [pair.id] })).json;
    await claimed(id);
    const letFinish = await session(`select from shotai.archive where id = '${id}' for update`);
    await letRead();
    const { key } = await rowOf(id);
    await waitFor(async () => (await objects()).includes(key), { what: "the object", every: 300 });
    worker.child.kill("SIGKILL");
    await worker.ended;
    // What it sent last may still wait in the database.
    await psql("select pg_terminate_backend(pid) from pg_stat_activity where wait_event_type = 'Lock' and query like '%finish_archive%'");
    await letFinish();
    assert.equal((await look(anna, id)).status, "pending");
    await psql(`update shotai.archive set lease_until = clock_timestamp() - interval '1 second' where id = '${id}'`);
    await start();
    const { url } = await made(anna, id);
    assert.ok(!url.includes(key));
    assert.equal(Object.keys((await unpack(url, "generations.json")).files).length, 3);
    await waitFor(async () => !(await objects()).includes(key), { what: "the first object to go", every: 300 });
  });
});

test("storage that is away postpones it; its end, erasure and the sweep leave no object", { timeout: 180_000 }, async () => {
  const person = await richUser();
  const ids = [(await generate(person, "a kite")).id];
  const back = await outage();
  try {
    const { id } = (await order(person, { generation_ids: ids })).json;
    await waitFor(async () => Number((await rowOf(id)).released) > 0, { what: "an attempt in vain" });
    assert.equal((await look(person, id)).status, "pending");
    await back();
    const { url } = await made(person, id);
    assert.equal((await call(null, "GET", url)).status, 200);
    assert.equal((await psql(`select attempt - released as counted from shotai.archive where id = '${id}'`))[0].counted, "1");
  } finally {
    await back();
  }

  const old = (await order(anna, { generation_ids: [single.id] })).json, { url } = await made(anna, old.id);
  const { key } = await rowOf(old.id);
  const others = await psql(`select r.key from shotai.archive r join shotai.account a on a.id = r.account where a.user_id = '${person.id}'`);
  assert.equal((await call(person, "POST", "/api/account/confirm-age", { at_least_13: false })).status, 202);
  await psql(`update shotai.archive set expires_at = clock_timestamp() where id = '${old.id}'`);
  await refused("not_found", null, "GET", url);
  await refused("not_found", anna, "GET", `/api/account/archives/${old.id}`);
  const orphan = `archives/${randomBytes(16).toString("hex")}`;
  if (stored) await client("begin", env.R2_BUCKET, orphan);
  else {
    await writeFile(`${folder}/${orphan}`, "PK", { mode: 0o640 });
    await utimes(`${folder}/${orphan}`, Date.now() / 1000 - 7200, Date.now() / 1000 - 7200);
  }
  await withOwnWorkers(() => waitFor(async () => {
    const left = await objects();
    const begun = stored ? (await client("begun", env.R2_BUCKET)).stdout : "";
    return ![key, orphan, ...others.map((row) => row.key)].some((gone) => left.includes(gone)) && !begun.includes(orphan);
  }, { what: "the objects to go", every: 300 }));
});

// Uploads while something is away, dies or is killed: nothing is left behind, and deletion catches up.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { randomBytes } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, utimesSync, writeFileSync } from "node:fs";
import path from "node:path";

import { env, kill, newUser, pids, psql, waitFor } from "./harness.mjs";
import { call, refused, setLimits } from "./contract.mjs";
import {
  allCalled, assertAudit, cheapest, generate, promptOf, replaced, richUser, signalWorker, storage, withOwnWorkers,
} from "./faults.mjs";
import { age, allObjects, objectOf, picture, png, rowOf, upload, uploaded } from "./uploads.mjs";

let user;
before(async () => {
  user = await richUser();
  await setLimits(user, { upload_burst: 1000, uploads_max: 1000 });
});
after(assertAudit);

const mine = async (who = user) =>
  psql(`select u.* from shotai.upload u join shotai.account a on a.id = u.account where a.user_id = '${who.id}' order by u.created_at`);
const buried = (id) => waitFor(async () => (await rowOf(id)).deleted_at !== null, { what: "the tombstone", timeout: 30_000 });
const uploads = path.join(storage, "uploads");

// While body runs these folders have this mode.
async function closed(folders, mode, body) {
  for (const folder of folders) chmodSync(folder, mode);
  try {
    return await body();
  } finally {
    for (const folder of folders) chmodSync(folder, 0o755);
  }
}

const minutes = () => readdirSync(uploads).map((name) => path.join(uploads, name));

test("storage that is away or read-only is said so, and nothing is left", async () => {
  const person = await newUser();
  await uploaded(person);
  const [first] = await mine(person);
  for (const [folders, mode] of [[[uploads], 0o000], [[uploads, ...minutes()], 0o555], [[storage], 0o000]]) {
    await closed(folders, mode, async () => {
      const answer = await upload(person, picture("plain.png"));
      assert.equal(answer.status, 503);
      assert.equal(answer.json.code, "storage_unavailable");
      assert.ok(Number(answer.headers.get("retry-after")) > 0);
    });
  }
  await waitFor(async () => (await mine(person)).filter((row) => !row.deleted_at).length === 1, { what: "the failed ones to be given up", timeout: 30_000 });
  assert.ok(existsSync(objectOf(first.key)));
  const keys = new Set((await mine(person)).map((row) => row.key).filter(Boolean));
  assert.deepEqual([...keys], [first.key]);
  assert.equal((await upload(person, picture("plain.png"))).status, 201, "and all is well again");
});

test("what is deleted while storage is away is out of use at once and gone as soon as it is back", async () => {
  const { id } = await uploaded(user);
  const file = objectOf((await rowOf(id)).key);
  const model = await cheapest();
  await closed([uploads], 0o000, async () => {
    assert.equal((await call(user, "DELETE", `/api/uploads/${id}`)).status, 503);
    await refused("upload_expired", user, "POST", "/api/generate", { model: model.id, prompt: "x", upload_id: id });
  });
  assert.ok(existsSync(file), "it really was away");
  await buried(id);
  assert.ok(!existsSync(file));
});

test("kill -9 of the upload program while it decodes leaves nothing", async () => {
  const person = await newUser();
  const before = allObjects().length;
  const sent = upload(person, png(6500, 6500)).catch((error) => ({ error }));
  const [row] = await waitFor(async () => {
    const rows = await mine(person);
    return rows.length === 1 && rows;
  }, { every: 10 });
  const { parent, children } = pids("upload");
  for (const pid of [parent, ...children]) process.kill(pid, "SIGKILL");
  const answer = await sent;
  assert.ok(answer.error || answer.status >= 500, String(answer.status));
  await replaced("upload", parent);
  assert.equal((await rowOf(row.id)).stored_at, null);
  await age(row.id, 90);
  await buried(row.id);
  assert.ok(!existsSync(objectOf(row.key)));
  assert.ok(allObjects().length <= before);
  await waitFor(async () => (await upload(person, picture("plain.png"))).status === 201, { what: "upload to be back" });
});

test("kill -9 of the upload program between the object and its confirmation leaves nothing", async () => {
  const person = await newUser();
  const sent = upload(person, png(6500, 6500)).catch((error) => ({ error }));
  const [row] = await waitFor(async () => {
    const rows = await mine(person);
    return rows.length === 1 && rows;
  }, { every: 10 });
  assert.equal(row.stored_at, null, "the test came in time");
  const held = psql(`begin; select 1 from shotai.upload where id = '${row.id}' for update; select pg_sleep(8); commit;`);
  await waitFor(() => existsSync(objectOf(row.key)), { what: "the object", every: 5 });
  const { parent, children } = pids("upload");
  for (const pid of [parent, ...children]) process.kill(pid, "SIGKILL");
  await sent;
  await replaced("upload", parent);
  await held;
  assert.ok(existsSync(objectOf(row.key)));
  assert.equal((await rowOf(row.id)).stored_at, null);
  await age(row.id, 90);
  await buried(row.id);
  assert.ok(!existsSync(objectOf(row.key)));
});

const decodersOf = (pid) => readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean).map(Number);

test("a decoder that dies costs its request, not the program", async () => {
  const { children } = pids("upload");
  let killed = 0;
  for (const child of children)
    for (const pid of decodersOf(child)) {
      process.kill(pid, "SIGKILL");
      killed++;
    }
  assert.ok(killed > 0);
  await waitFor(async () => {
    const answer = await upload(user, picture("plain.png"));
    assert.ok([201, 500, 502].includes(answer.status), answer.text);
    return answer.status === 201 && pids("upload").children.every((pid) => !children.includes(pid)) && pids("upload").children.length > 0;
  }, { what: "every child to be replaced" });
  for (const row of await mine()) assert.ok(row.stored_at || row.deleted_at, "no row is left without an object");
});

test("a worker that was away past the end deletes as soon as it is back, and nobody used it meanwhile", async () => {
  const model = await cheapest();
  const { id } = await uploaded(user);
  const file = objectOf((await rowOf(id)).key);
  signalWorker("SIGSTOP");
  try {
    await age(id, 1800 + 120);
    await refused("upload_expired", user, "POST", "/api/generate", { model: model.id, prompt: "x", upload_id: id });
    assert.ok(existsSync(file));
    const [{ value }] = await psql("select value from shotai.operator_status() where name = 'upload_deletion_lag_seconds'");
    assert.ok(Number(value) >= 120, value);
  } finally {
    signalWorker("SIGCONT");
  }
  await buried(id);
  assert.ok(!existsSync(file));
  const [{ lag }] = await psql(`select extract(epoch from deleted_at - expires_at) as lag from shotai.upload where id = '${id}'`);
  assert.ok(lag >= 120 && lag < 150, lag);
});

test("many due at once, and the database killed in between", async () => {
  const many = await Promise.all(Array.from({ length: 40 }, () => uploaded(user)));
  const ids = many.map(({ id }) => `'${id}'`).join(", ");
  signalWorker("SIGSTOP");
  try {
    await psql(`update shotai.upload set created_at = created_at - interval '30 minutes', expires_at = expires_at - interval '30 minutes',
      due_at = due_at - interval '30 minutes' where id in (${ids})`);
  } finally {
    signalWorker("SIGCONT");
  }
  await replaced("postgres", kill("postgres", "SIGKILL"));
  await waitFor(async () => (await psql(`select count(*) from shotai.upload where id in (${ids}) and deleted_at is null`))[0].count === "0", { what: "all tombstones" });
  const [{ lag }] = await psql(`select max(extract(epoch from deleted_at - expires_at)) as lag from shotai.upload where id in (${ids})`);
  assert.ok(Number(lag) < 60, lag);
});

test("objects without a row are swept, and old ones whose row says otherwise", async () => {
  const live = await uploaded(user), old = await uploaded(user);
  const liveFile = objectOf((await rowOf(live.id)).key), oldFile = objectOf((await rowOf(old.id)).key);
  const orphan = objectOf(`uploads/29000000/${randomBytes(16).toString("hex")}`);
  mkdirSync(path.dirname(orphan), { recursive: true });
  chmodSync(path.dirname(orphan), 0o777);
  writeFileSync(orphan, "left behind");
  const past = new Date(Date.now() - 1900_000);
  utimesSync(oldFile, past, past);
  await withOwnWorkers(async () => {
    await waitFor(() => !existsSync(orphan), { what: "the orphan to be swept" });
    await buried(old.id);
  });
  assert.ok(!existsSync(oldFile));
  assert.ok(existsSync(liveFile));
  assert.equal((await rowOf(live.id)).deleted_at, null);
});

test("a worker that drains goes on deleting", async () => {
  const { id } = await uploaded(user);
  await withOwnWorkers(async (worker) => {
    const prompt = promptOf("sandbox:slow=8");
    await generate(user, prompt);
    await allCalled([prompt]);
    worker.child.kill("SIGTERM");
    await waitFor(() => worker.log.includes("draining"));
    await age(id, 1800);
    await buried(id);
    assert.equal(worker.child.exitCode, null, "it still has a call in hand");
    await worker.ended;
  });
});

assert.ok(env.STORAGE.startsWith("file:"), "these tests look into the folder of the objects");

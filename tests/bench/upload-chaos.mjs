// Uploads with a life of a few seconds while the worker, the storage and the upload program die at random; at the end
// no object may be left, no row without its tombstone, and the worst lag is told.
//   node tests/bench/upload-chaos.mjs [UPLOADS [SEED [TTL_SECONDS]]]      (2000, 1, 5)
// It starts a ShotAI of its own with ./run (SHOTAI_PRESET says which build) and ends with status 1 when something is
// left, somebody was answered wrongly, or an object outlived the longest outage by more than 30 seconds.
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { chmodSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const [wanted = 2000, seed = 1, ttl = 5] = process.argv.slice(2).map(Number);
const PEOPLE = 8, CLIENTS = 8;
const run = fileURLToPath(new URL("../../run", import.meta.url));

// xorshift32: the same seed breaks the same things in the same order.
let state = seed | 0 || 1;
const random = (n) => {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return (state >>> 0) % n;
};

const port = await new Promise((resolve) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const { port } = server.address();
    server.close(() => resolve(port));
  });
});
const home = mkdtempSync(path.join(tmpdir(), "shotai-chaos-"));
const stack = spawn(run, [], {
  env: {
    PATH: process.env.PATH, HOME: process.env.HOME, SHOTAI_PRESET: process.env.SHOTAI_PRESET ?? "release",
    SHOTAI_HOME: home, SHOTAI_PORT: String(port), UPLOAD_TTL_SECONDS: String(ttl), ASAN_OPTIONS: process.env.ASAN_OPTIONS ?? "",
  },
  stdio: ["ignore", "pipe", "pipe"],
});
let output = "";
for (const stream of [stack.stdout, stack.stderr]) stream.on("data", (bytes) => (output += bytes));
const ended = new Promise((resolve) => stack.on("close", resolve));
while (!output.includes("ShotAI is ready")) {
  if (stack.exitCode !== null) throw new Error(output);
  await sleep(100);
}
Object.assign(process.env, { SHOTAI_URL: `http://127.0.0.1:${port}`, SHOTAI_HOME: home, SHOTAI_RUN: run });
const { api, env, kill, newUser, pids, psql } = await import("../e2e/harness.mjs");
const { allObjects, picture, typeOf } = await import("../e2e/uploads.mjs");
const storage = env.STORAGE.replace(/^file:/, "");

let stopping = false;
const counts = { worker: 0, storage: 0, upload: 0 }, answers = {}, faults = [], accepted = new Set(), removed = new Set();
let longest = 0;

// What dies, one after the other. An outage is as long as it takes until the thing works again.
const breakers = {
  async worker() {
    const old = kill("worker", "SIGKILL");
    await until(() => pids("worker").parent !== old && readFileSync(path.join(home, "log", "worker.log"), "latin1").split(" ready ").length > counts.worker + 2);
  },
  async storage() {
    chmodSync(storage, 0o000);
    await sleep(300 + random(3000));
    chmodSync(storage, 0o755);
  },
  async upload() {
    const { parent, children } = pids("upload");
    for (const pid of [parent, ...children]) process.kill(pid, "SIGKILL");
    await until(async () => (await fetch(`${env.url}/healthz/upload`)).status === 200);
  },
};
const until = async (condition) => {
  for (;;) {
    if (await Promise.resolve().then(condition).catch(() => false)) return;
    await sleep(50);
  }
};
async function breakThings() {
  while (!stopping) {
    await sleep(200 + random(1500));
    const name = ["worker", "storage", "worker", "storage", "upload"][random(5)];
    const start = performance.now();
    await breakers[name]();
    longest = Math.max(longest, (performance.now() - start) / 1000);
    counts[name]++;
  }
}

const names = ["plain.png", "plain.jpg", "plain.webp", "p3.png", "cmyk.jpg"];
const tally = (what) => (answers[what] = (answers[what] ?? 0) + 1);
const EXPECTED = new Set([201, 204, 404, 500, 502, 503, 504]);

async function client(people) {
  // Until there are enough, and everything was killed at least once.
  while (accepted.size < wanted || Object.values(counts).some((n) => n === 0)) {
    const person = people[random(people.length)], name = names[random(names.length)];
    const remove = random(10) === 0;
    try {
      const { status, json, text } = await api(person, "POST", "/api/uploads", picture(name), { "Content-Type": typeOf(name) });
      tally(`POST ${status}`);
      if (!EXPECTED.has(status)) faults.push(text);
      if (status === 201) accepted.add(json.id);
      else await sleep(100);
      if (status !== 201 || !remove) continue;
      const gone = await api(person, "DELETE", `/api/uploads/${json.id}`);
      tally(`DELETE ${gone.status}`);
      if (!EXPECTED.has(gone.status)) faults.push(gone.text);
      if (gone.status === 204) removed.add(json.id);
    } catch (error) {
      tally(`lost ${error.cause?.code ?? error.message}`);
      await sleep(100);
    }
  }
}

const live = async () => Number((await psql("select count(*) from shotai.upload where deleted_at is null"))[0].count);

let problems = [];
try {
  const people = await Promise.all(Array.from({ length: PEOPLE }, () => newUser({ email: `${randomUUID()}@example.test` })));
  await psql("update shotai.plan set upload_burst = 1000000, upload_per_minute = 1000000, uploads_max = 1000000");
  const start = performance.now();
  const breaking = breakThings();
  await Promise.all(Array.from({ length: CLIENTS }, () => client(people)));
  stopping = true;
  await breaking;
  const took = (performance.now() - start) / 1000;
  const caught = performance.now();
  // A row that was never confirmed is due after the life of an upload; an object without a row waits for the next sweep.
  while ((await live()) > 0 && performance.now() - caught < 120_000) await sleep(200);
  const rowsAfter = (performance.now() - caught) / 1000;
  const orphans = allObjects(storage).length;
  while (allObjects(storage).length > 0 && performance.now() - caught < 330_000) await sleep(1000);
  const objectsAfter = (performance.now() - caught) / 1000;

  const ids = [...accepted].map((id) => `'${id}'`).join(", ");
  const [sums] = await psql(`select count(*) as rows, count(*) filter (where deleted_at is null) as live,
    count(*) filter (where deleted_at is not null and num_nonnulls(key, content_type, width, height, bytes) = 0) as tombstones,
    round(max(extract(epoch from deleted_at - expires_at)), 1) as worst,
    round(percentile_cont(0.99) within group (order by extract(epoch from deleted_at - expires_at))::numeric, 1) as p99,
    round(percentile_cont(0.5) within group (order by extract(epoch from deleted_at - expires_at))::numeric, 1) as median,
    round(max(extract(epoch from deleted_at - created_at)), 1) as oldest
    from shotai.upload`);
  const [{ known }] = await psql(`select count(*) as known from shotai.upload where id in (${ids}) and deleted_at is not null`);
  const left = allObjects(storage).length;
  console.log(`seed ${seed}, life ${ttl} s: ${accepted.size} uploads accepted in ${took.toFixed(0)} s by ${CLIENTS} clients of ${PEOPLE} people`);
  console.log(`killed: worker ${counts.worker} times, storage ${counts.storage}, upload program ${counts.upload}; longest outage ${longest.toFixed(1)} s`);
  console.log(`answers: ${Object.entries(answers).sort().map(([what, n]) => `${what} ${n}`).join(", ")}`);
  console.log(`rows ${sums.rows}, tombstones ${sums.tombstones}, live ${sums.live} (none after ${rowsAfter.toFixed(1)} s); of the accepted ${known} are tombstones`);
  console.log(`objects left ${left} (without a row when the last row ended: ${orphans}, none after ${objectsAfter.toFixed(1)} s)`);
  console.log(`lag after the end of life: median ${sums.median} s, 99 % ${sums.p99} s, worst ${sums.worst} s; oldest object at deletion ${sums.oldest} s`);
  if (left > 0) problems.push(`${left} objects are left`);
  if (sums.live !== "0" || sums.rows !== sums.tombstones) problems.push("rows without a tombstone");
  if (Number(known) !== accepted.size) problems.push("accepted uploads without a tombstone");
  if (Number(sums.worst) > 30 + longest) problems.push("deleted too late");
} catch (error) {
  problems.push(error.stack);
} finally {
  stopping = true;
  chmodSync(storage, 0o755);
  stack.kill("SIGTERM");
  await ended;
  const logs = ["upload", "worker"].map((name) => readFileSync(path.join(home, "log", `${name}.log`), "utf8")).join("");
  if (/Sanitizer|runtime error:/.test(logs)) problems.push(logs.match(/.*(Sanitizer|runtime error:)[^]{0,2000}/)[0]);
  rmSync(home, { recursive: true, force: true });
}
problems = problems.concat(faults.slice(0, 5));
console.log(problems.length > 0 ? `FAILED: ${problems.join("; ")}` : "nothing is left");
process.exit(problems.length > 0 ? 1 : 0);

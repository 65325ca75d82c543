// An account of so many generations (500) is exported and packed, the worker being killed once in the middle, on a stack
// that runs with STORAGE=file:. Prints sizes, times and the most memory that worker and account program had.
//   SHOTAI_URL=http://127.0.0.1:8080 SHOTAI_HOME=$PWD/var SHOTAI_RUN=$PWD/run node tests/bench/archive.mjs [GENERATIONS]
import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, readFileSync, rmSync, statSync } from "node:fs";
import path from "node:path";

import { api, env, execute, finished, grant, kill, newUser, pids, psql, waitFor } from "../e2e/harness.mjs";

const count = Number(process.argv[2] ?? 500);
const storage = env.STORAGE.replace(/^file:/, "");
const peak = (pid) => Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1]) / 1024;
const peaks = (program) => { const { parent, children } = pids(program); return Math.max(...[parent, ...children].map(peak)).toFixed(1); };
const megabytes = (bytes) => (bytes / 2 ** 20).toFixed(1);
const seconds = (since) => ((Date.now() - since) / 1000).toFixed(1);

const user = await newUser();
await grant(user, 10 * count);
const { json } = await api(user, "POST", "/api/generate", { model: "gpt-image-1-mini", prompt: "a lighthouse", count: 2 });
assert.equal((await finished(user, json.id)).status, "succeeded");
const copies = await psql(`
  with made as (
    insert into shotai.generation (account, change_no, status, model, price, unit_price, prompt, aspect_ratio, count, delivered,
      credits_charged, created_at, started_at, finished_at, moderation, moderated_at)
    select g.account, g.change_no, g.status, g.model, g.price, g.unit_price, repeat('a lighthouse by the sea, ', 40) || n, g.aspect_ratio, g.count,
      g.delivered, g.credits_charged, g.created_at - n * interval '1 minute', g.started_at, g.finished_at, g.moderation, g.moderated_at
    from shotai.generation g cross join generate_series(2, ${count}) n where g.id = '${json.id}'
    returning id
  )
  insert into shotai.image (generation, index, attempt, image_key, thumbnail_key, width, height, content_type, bytes)
  select m.id, i.index, i.attempt, replace(i.image_key, '${json.id}', m.id::text), replace(i.thumbnail_key, '${json.id}', m.id::text),
    i.width, i.height, i.content_type, i.bytes
  from made m cross join shotai.image i where i.generation = '${json.id}'
  returning image_key, thumbnail_key, generation`);
for (const { image_key, thumbnail_key, generation } of copies) {
  mkdirSync(`${storage}/gen/${generation}`, { recursive: true, mode: 0o750 });
  for (const key of [image_key, thumbnail_key]) copyFileSync(`${storage}/${key.replace(generation, json.id)}`, `${storage}/${key}`);
}

let since = Date.now();
const exported = await api(user, "GET", "/api/account/export");
assert.equal(exported.json.images.length, 2 * count);
console.log(`export: ${exported.json.generations.length} generations, ${exported.json.images.length} images, ${megabytes(exported.bytes.length)} MiB in ${seconds(since)} s; account at most ${peaks("account")} MiB`);

since = Date.now();
const { id } = (await api(user, "POST", "/api/account/archives", {})).json;
await waitFor(async () => (await psql(`select id from shotai.archive where id = '${id}' and lease_until is not null`)).length, { every: 5 });
const killed = kill("worker");
await waitFor(() => pids("worker").parent !== killed);
console.log(`killed worker ${killed} ${seconds(since)} s after the order`);
const ready = await waitFor(async () => {
  const { json: archive } = await api(user, "GET", `/api/account/archives/${id}`);
  return archive.status !== "pending" && archive;
}, { timeout: 600_000 });
assert.equal(ready.status, "ready");
const [{ attempt }] = await psql(`select attempt from shotai.archive where id = '${id}'`);
const file = path.join(env.home, "bench.zip");
await execute("curl", ["-sf", "-o", file, new URL(ready.url, env.url).href]);
const { status, stdout } = await execute("unzip", ["-tq", file]);
console.log(`archive: ${megabytes(statSync(file).size)} MiB, attempt ${attempt}, ready ${seconds(since)} s after the order; worker at most ${peaks("worker")} MiB; unzip: ${status} ${stdout.trim()}`);
rmSync(file);

// What the tests that break things share: customers with credits, a worker of one's own, and what must hold after
// every fault.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";

import { api, ctl, env, grant, newUser, pids, psql, waitFor } from "./harness.mjs";

export const storage = env.STORAGE.replace(/^file:/, "");

let models;
export async function cheapest() {
  models ??= (await api(null, "GET", "/api/models")).json.items;
  return models.reduce((best, model) => (model.credits < best.credits ? model : best));
}

export async function richUser(credits = 1000) {
  const user = await newUser();
  await grant(user, credits);
  return user;
}

export async function balanceOf(user) {
  const { status, json } = await api(user, "GET", "/api/account");
  assert.equal(status, 200);
  return json.balance;
}

// A prompt that no other test uses; the sandbox counts calls by it.
export const promptOf = (what) => `${randomUUID()} ${what}`;

export async function generate(user, prompt, count = 1) {
  const { status, json, text } = await api(user, "POST", "/api/generate", { model: (await cheapest()).id, prompt, count });
  assert.equal(status, 202, text);
  return json;
}

// Calls that really reached the provider's door.
export async function providerCalls(prompt) {
  const response = await fetch(`${env.OPENAI_BASE_URL}/sandbox/calls?prompt=${encodeURIComponent(prompt)}`);
  assert.equal(response.status, 200);
  return (await response.json()).calls;
}

export const allCalled = (prompts, times = 1) =>
  waitFor(async () => (await Promise.all(prompts.map(providerCalls))).every((calls) => calls >= times), {
    what: "the provider to be called",
  });

// Charged for exactly what was delivered.
export async function assertPaid(generation) {
  const { credits } = await cheapest();
  assert.equal(generation.credits_charged, credits * generation.count, generation.id);
  assert.equal(generation.credits_charged - generation.credits_refunded, credits * generation.images.length, generation.id);
}

export async function assertAudit() {
  const { status, stdout, stderr } = await ctl("audit");
  assert.equal(status, 0, stdout + stderr);
}

// Everything that money and pictures of a generation consist of, to be compared before and after.
export async function recordsOf(id) {
  const parts = await Promise.all(
    [
      `select status, error_code, credits_charged, credits_refunded, delivered from shotai.generation where id = '${id}'`,
      `select index, attempt, image_key, thumbnail_key from shotai.image where generation = '${id}' order by index`,
      `select kind, amount, balance_after from shotai.credit_entry where generation = '${id}' order by id`,
    ].map(psql),
  );
  return JSON.stringify(parts);
}

export function storedObjects(id) {
  try {
    return readdirSync(path.join(storage, "gen", id)).sort();
  } catch {
    return [];
  }
}

export async function namedObjects(id) {
  const rows = await psql(`select image_key, thumbnail_key from shotai.image where generation = '${id}'`);
  return rows.flatMap((row) => [row.image_key, row.thumbnail_key]).map((key) => path.basename(key)).sort();
}

export function signalWorker(signal) {
  const { parent } = pids("worker");
  process.kill(parent, signal);
  return parent;
}

// Until the supervisor has started another process under that name.
export const replaced = (program, pid) =>
  waitFor(() => pids(program).parent !== pid && process.kill(pids(program).parent, 0), { what: `${program} to be started again` });

const settings = Object.fromEntries(Object.entries(env).filter(([name]) => /^[A-Z]/.test(name)));

// A worker of the test's own, with what it wrote and how it ended. overrides: settings, undefined removes one.
export function spawnWorker(args = [], overrides = {}) {
  const environment = { PATH: process.env.PATH, ...settings, ...overrides };
  for (const name of Object.keys(environment)) if (environment[name] === undefined) delete environment[name];
  const child = spawn(path.join(env.home, "bin", "worker"), args, { env: environment, stdio: ["ignore", "pipe", "pipe"] });
  const worker = { child, pid: child.pid, log: "", output: "" };
  child.stdout.on("data", (bytes) => (worker.output += bytes));
  child.stderr.on("data", (bytes) => (worker.log += bytes));
  worker.ended = new Promise((resolve) => child.on("close", (code, signal) => resolve({ code, signal })));
  return worker;
}

export const logged = (worker, text) => waitFor(() => worker.log.includes(text), { what: `the worker to log ${text}` });

// Runs body with workers of its own as the only ones awake: one that runs, and start() for more. They are patient, so
// that a slow machine does not look like a slow provider.
export async function withOwnWorkers(body, overrides = {}) {
  const workers = [];
  const start = async () => {
    const worker = spawnWorker([], { PROVIDER_TIMEOUT_SECONDS: "120", ...overrides });
    workers.push(worker);
    await logged(worker, " ready ");
    return worker;
  };
  await idle();
  signalWorker("SIGSTOP");
  try {
    return await body(await start(), start);
  } finally {
    signalWorker("SIGCONT");
    for (const { child, ended } of workers) {
      child.kill("SIGKILL");
      await ended;
    }
    for (const { log } of workers) assert.doesNotMatch(log, /Sanitizer|runtime error:/);
  }
}

// Nothing queued and nothing running.
export const idle = () =>
  waitFor(async () => (await psql("select count(*) from shotai.job"))[0].count === "0", { what: "the queue to be empty" });

// The decoder parent of a worker: its only child.
export function decoderOf(pid) {
  const child = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ")[0];
  assert.match(child, /^\d+$/);
  return Number(child);
}

// What the end-to-end tests share: they talk to a whole running stack, which `./run tests` starts and
// whose address, home and keys it hands over in the environment.
import { execFile } from "node:child_process";
import { randomBytes, randomUUID } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import path from "node:path";

const need = (name) => {
  if (!process.env[name]) throw new Error(`${name} is not set: start the tests with ./run tests`);
  return process.env[name];
};

const home = need("SHOTAI_HOME");

// NAME=value lines, as ./run writes them.
export function readSettings(file = path.join(home, "shotai.env")) {
  const settings = {};
  for (const line of readFileSync(file, "utf8").split("\n")) {
    const match = /^([A-Z][A-Z0-9_]*)=(.*)$/.exec(line);
    if (match) settings[match[1]] = match[2].replace(/^(["'])(.*)\1$/, "$2");
  }
  return settings;
}

// Every setting of the stack, and where it is: url, home, run (the script).
export const env = Object.freeze({ ...readSettings(), url: need("SHOTAI_URL"), home, run: need("SHOTAI_RUN") });

// One request; path may be absolute. body: a string or bytes go out as they are, anything else as JSON.
export async function request(method, target, { body, headers = {}, ...rest } = {}) {
  const raw = body === undefined || typeof body === "string" || body instanceof Uint8Array;
  const response = await fetch(new URL(target, env.url), {
    method,
    headers: { ...(raw ? {} : { "Content-Type": "application/json" }), ...headers },
    body: raw ? body : JSON.stringify(body),
    redirect: "manual",
    ...rest,
  });
  const bytes = Buffer.from(await response.arrayBuffer());
  const text = bytes.toString("utf8");
  let json;
  if (text && /\bjson\b/.test(response.headers.get("content-type") ?? "")) json = JSON.parse(text);
  return { status: response.status, headers: response.headers, json, text, bytes };
}

// A request to ShotAI; user: from newUser, or null for nobody.
export function api(user, method, target, body, headers = {}) {
  const authorization = user ? { Authorization: `Bearer ${user.token}` } : {};
  return request(method, target, { body, headers: { ...authorization, ...headers } });
}

// A request to Supabase Auth's API.
export function auth(method, target, body, token = env.SUPABASE_ANON_KEY) {
  const headers = { apikey: env.SUPABASE_ANON_KEY, Authorization: `Bearer ${token}` };
  return request(method, `/auth/v1${target}`, { body, headers });
}

function expectStatus(answer, status, what) {
  if (answer.status !== status) throw new Error(`${what}: ${answer.status} ${answer.text}`);
  return answer;
}

const asUser = (session, password) => ({
  id: session.user.id,
  email: session.user.email,
  password,
  token: session.access_token,
  refresh_token: session.refresh_token,
  session,
});

// A person who signed up and, unless told otherwise, confirmed the age (and so has the welcome credits).
export async function newUser({ email = `${randomUUID()}@example.test`, confirmAge = true } = {}) {
  const password = randomBytes(12).toString("base64url");
  const answer = await auth("POST", "/signup", { email, password });
  const user = asUser(expectStatus(answer, 200, "sign-up").json, password);
  if (confirmAge) {
    const confirmed = await api(user, "POST", "/api/account/confirm-age", { at_least_13: true });
    expectStatus(confirmed, 200, "confirm-age");
  }
  return user;
}

// A new session of the same person.
export async function signIn({ email, password }) {
  const answer = await auth("POST", "/token?grant_type=password", { email, password });
  return asUser(expectStatus(answer, 200, "sign-in").json, password);
}

// Polls until condition() gives something truthy and returns that. An exception counts as "not yet".
export async function waitFor(condition, { what = "condition", timeout = 60_000, every = 50 } = {}) {
  const end = Date.now() + timeout;
  for (let last; ; await sleep(every)) {
    try {
      const value = await condition();
      if (value) return value;
      last = undefined;
    } catch (error) {
      last = error;
    }
    if (Date.now() > end) throw new Error(`waited ${timeout} ms in vain for ${what}`, { cause: last });
  }
}

const FINAL = new Set(["succeeded", "partial", "failed", "canceled"]);

// The generation once it is final.
export const finished = (user, id, options = {}) =>
  waitFor(async () => {
    const { json } = await api(user, "GET", `/api/generate/${id}`);
    return FINAL.has(json?.status) && json;
  }, { what: `generation ${id} to end`, ...options });

// { status, stdout, stderr } of a program that ended.
export function execute(file, args = [], { input = "", ...options } = {}) {
  return new Promise((resolve, reject) => {
    const child = execFile(file, args, { maxBuffer: 64 << 20, ...options }, (error, stdout, stderr) => {
      if (error && typeof error.code !== "number" && !error.signal) reject(error);
      else resolve({ status: error ? (error.code ?? error.signal) : 0, stdout, stderr });
    });
    child.stdin.on("error", () => {});
    child.stdin.end(input);
  });
}

export const run = (...args) => execute(env.run, args, { env: { ...process.env, SHOTAI_HOME: home } });
export const ctl = (...args) => run("ctl", ...args);

export async function restart(program) {
  const { status, stderr } = await run("restart", program);
  if (status !== 0) throw new Error(`restart ${program}: ${stderr}`);
}

const NULL = "\u0001null\u0001";

function parseCsv(text) {
  const records = [];
  let record = [], field = "", quoted = false;
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (quoted) {
      if (c !== '"') field += c;
      else if (text[i + 1] === '"') field += text[i++];
      else quoted = false;
    } else if (c === '"') quoted = true;
    else if (c === "," || c === "\n") {
      record.push(field === NULL ? null : field);
      field = "";
      if (c === "\n") records.push(record.splice(0));
    } else field += c;
  }
  return records;
}

// The rows of one statement as objects of strings (null stays null), run as the database's superuser.
export async function psql(sql) {
  const args = ["-X", "-q", "--csv", "-v", "ON_ERROR_STOP=1", "-P", `null=${NULL}`, "-f", "-"];
  const where = ["-h", path.join(home, "sockets"), "-U", "supabase_admin", "-d", "shotai"];
  const { status, stdout, stderr } = await execute("psql", [...where, ...args], { input: sql });
  if (status !== 0) throw new Error(stderr || `psql ended with ${status}`);
  const [names = [], ...rows] = parseCsv(stdout);
  return rows.map((row) => Object.fromEntries(names.map((name, i) => [name, row[i]])));
}

export async function grant(user, credits) {
  const sql = `select * from shotai.grant_credits('${user.id}', ${Number(credits)}, 'adjustment', null, 'test', 'test')`;
  const [{ problem }] = await psql(sql);
  if (problem) throw new Error(`grant: ${problem}`);
}

function stat(pid) {
  const text = readFileSync(`/proc/${pid}/stat`, "utf8");
  const [state, parent] = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return { state, parent: Number(parent) };
}

function childrenOf(parent) {
  return readdirSync("/proc").filter((pid) => /^\d+$/.test(pid)).map(Number).filter((pid) => {
    try {
      const it = stat(pid);
      return it.parent === parent && it.state !== "Z";
    } catch {
      return false;
    }
  });
}

// What runs under a name (generate, history, ..., auth, models, worker, nginx, postgres): its main process
// and that one's children.
export function pids(program) {
  const parent = Number(readFileSync(path.join(home, "pids", program), "utf8").split(" ")[0]);
  return { parent, children: childrenOf(parent) };
}

// Signals the main process; returns its pid.
export function kill(program, signal = "SIGKILL") {
  const { parent } = pids(program);
  process.kill(parent, signal);
  return parent;
}

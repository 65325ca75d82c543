// ./run and nginx: what they promise while things restart, die, are missing or asked for too much.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { request as send } from "node:http";
import { createServer, connect } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";

import {
  api, env, execute, finished, kill, newUser, pids, psql, readSettings, request, restart, run, waitFor,
} from "./harness.mjs";

const source = new URL("../../", import.meta.url);
const listed = (name) => readFileSync(env.run, "utf8").match(new RegExp(`^${name}=\\((.*)\\)$`, "m"))[1].split(" ");
const programs = listed("programs"), standIns = listed("sandbox");
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

const healthy = async (program, base = env.url) =>
  (await request("GET", new URL(`/healthz/${program}`, base).href)).status === 200;
const allHealthy = (base) => Promise.all(programs.map((program) => healthy(program, base))).then((all) => all.every(Boolean));

// One request on a connection of its own: whoever keeps one has to expect that nginx closes it at any time.
const get = (target, headers) =>
  new Promise((resolve) => {
    const failed = (error) => resolve({ status: error.code, text: "" });
    const outgoing = send(new URL(target, env.url), { agent: false, headers }, (answer) => {
      let text = "";
      answer.setEncoding("utf8").on("data", (data) => (text += data)).on("error", failed);
      answer.on("end", () => resolve({ status: answer.statusCode, text }));
    });
    outgoing.on("error", failed).end();
  });

// Runs body while several clients send one request after the other; every answer that was not 200.
async function underLoad(target, headers, body) {
  let stopped = false, sent = 0;
  const bad = [];
  const client = async () => {
    while (!stopped) {
      const { status, text } = await get(target, headers);
      sent++;
      if (status !== 200) bad.push(`${status} ${text}`);
    }
  };
  const clients = Array.from({ length: 6 }, client);
  const goesOn = (more = 1, from = sent) => waitFor(() => sent >= from + more, { what: "traffic to go on" });
  try {
    await body(goesOn);
  } finally {
    stopped = true;
    await Promise.all(clients);
  }
  return bad;
}

function assertProblem(answer, status, code) {
  assert.equal(answer.status, status, answer.text);
  assert.equal(answer.headers.get("content-type"), "application/problem+json");
  assert.equal(answer.headers.get("cache-control"), "no-store");
  assert.equal(answer.json.status, status);
  assert.equal(answer.json.code, code);
  assert.equal(answer.json.type, `urn:shotai:problem:${code}`);
  assert.ok(answer.json.detail.length > 3);
  assert.match(answer.json.request_id, uuid);
  assert.equal(answer.headers.get("x-request-id"), answer.json.request_id);
}

function assertGuarded(answer) {
  const policy = answer.headers.get("content-security-policy");
  assert.ok(policy, "a content security policy");
  assert.doesNotMatch(policy, /unsafe|\*/);
  assert.match(policy, /default-src 'none'/);
  assert.equal(answer.headers.get("x-content-type-options"), "nosniff");
  assert.ok(answer.headers.get("referrer-policy"));
  assert.match(answer.headers.get("x-request-id"), uuid);
  assert.equal(answer.headers.get("strict-transport-security"), null, "no HSTS without TLS");
  assert.doesNotMatch(answer.headers.get("server") ?? "", /\d/);
  return policy;
}

// Bytes as they are, which fetch would tidy up.
const raw = (bytes) =>
  new Promise((resolve, reject) => {
    let answer = "";
    const socket = connect(Number(new URL(env.url).port), "127.0.0.1", () => socket.end(bytes));
    socket.on("data", (data) => (answer += data)).on("close", () => resolve(answer)).on("error", reject);
  });

test("every program is healthy, and says so only under its own name", async () => {
  for (const program of [...programs, ...standIns]) {
    const answer = await request("GET", `/healthz/${program}`);
    if (programs.includes(program)) {
      assert.equal(answer.status, 200);
      assert.deepEqual([answer.json.status, answer.json.program, answer.json.database], ["ok", program, "ok"]);
    } else assertProblem(answer, 404, "not_found");
  }
});

test("nginx sends each program the paths of its routes", async () => {
  const routes = ["routes.conf", "health.conf"].map((file) => readFileSync(path.join(env.home, "nginx", file), "utf8")).join("");
  const locations = [...routes.matchAll(/^location (=|~)? ?(\S+) \{[^{}]*?fastcgi_pass unix:\S+\/([\w-]+)\.sock/gm)];
  const owner = (target) => {
    const exact = locations.find(([, kind, prefix]) => kind === "=" && prefix === target);
    const longest = locations
      .filter(([, kind, prefix]) => kind === undefined && target.startsWith(prefix))
      .sort((a, b) => b[2].length - a[2].length)[0];
    return (exact ?? longest)?.[3];
  };
  for (const program of programs) {
    const { status, stdout } = await execute(path.join(env.home, "cgi-bin", program), ["--routes"]);
    assert.equal(status, 0);
    const targets = stdout.trim().split("\n").map((line) => line.split(/\s+/)[1]).filter((target) => !target.startsWith("/healthz"));
    assert.ok(targets.length > 0);
    for (const target of targets) assert.equal(owner(target), program, target);
  }
});

test("pages, assets, answers and errors carry the security headers", async () => {
  const style = (await request("GET", "/")).text.match(/href="(\/assets\/[^"]+\.css)"/)[1];
  for (const target of ["/", "/sign-in", "/history", "/account", style, "/api/models", "/api/account", "/api/nothing", "/nothing", "/api/openapi.json"]) {
    const policy = assertGuarded(await request("GET", target));
    assert.ok(policy.includes(`connect-src 'self' ${new URL(env.SUPABASE_URL).origin};`), `${target}: ${policy}`);
    assert.match(policy, /frame-ancestors 'none'/);
  }
});

test("pages and assets are checked again by their ETag", async () => {
  const style = (await request("GET", "/")).text.match(/href="(\/assets\/[^"]+\.css)"/)[1];
  const first = await request("GET", style);
  assert.equal(first.headers.get("cache-control"), "no-cache");
  assert.match(first.headers.get("content-type"), /^text\/css/);
  const again = await request("GET", style, { headers: { "If-None-Match": first.headers.get("etag") } });
  assert.equal(again.status, 304);
});

test("text is compressed for those who ask", async () => {
  const { headers } = await request("GET", "/api/openapi.json", { headers: { "Accept-Encoding": "gzip" } });
  assert.equal(headers.get("content-encoding"), "gzip");
});

test("a dead link shows people a page and programs a problem", async () => {
  for (const target of ["/nothing", "/privacy/nothing", "/erasure/nothing"]) {
    assertProblem(await request("GET", target), 404, "not_found");
    const page = await request("GET", target, { headers: { Accept: "text/html,*/*;q=0.8" } });
    assert.equal(page.status, 404);
    assert.match(page.headers.get("content-type"), /^text\/html/);
    assert.match(page.text, /<h1/);
    assertGuarded(page);
  }
});

test("nginx refuses by itself in the same shape as the programs", async () => {
  assertProblem(await request("GET", "/api/nothing"), 404, "not_found");
  assertProblem(await request("GET", "/_storage/anything"), 404, "not_found");
  const refused = await request("POST", "/sign-in", { body: "x" });
  assertProblem(refused, 405, "method_not_allowed");
  assert.equal(refused.headers.get("allow"), "GET, HEAD");
  const big = "x".repeat(1 << 20);
  assertProblem(await request("POST", "/api/generate", { body: big, headers: { "Content-Type": "application/json" } }), 413, "too_large");
  assertProblem(await request("GET", `/api/models?${"x".repeat(20000)}`), 414, "invalid_request");
  assertProblem(await request("GET", "/api/models", { headers: { "X-Long": "x".repeat(20000) } }), 431, "invalid_request");
  const range = await request("GET", "/sign-in", { headers: { Range: "bytes=99999999-" } });
  assert.equal(range.status, 416);
  assert.equal(range.json.code, "invalid_request");
  for (const bytes of ["NONSENSE\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n"]) {
    const answer = await raw(bytes);
    assert.match(answer, /^HTTP\/1\.1 400 /);
    assert.match(answer, /"code":"invalid_request"/);
    assert.match(answer, /X-Content-Type-Options: nosniff/);
  }
});

test("nginx's titles and details are those of the programs, in both languages", async () => {
  const list = readFileSync(new URL("lib/base/problem.h", source), "utf8");
  const [, english, dutch] = list.match(/X\(NOT_FOUND, 404, "not_found", "([^"]+)", "([^"]+)"\)/);
  const title = async (language) => (await request("GET", "/api/nothing", { headers: { "Accept-Language": language } })).json.title;
  assert.equal(await title("en"), english);
  assert.equal(await title("nl-NL,en;q=0.5"), dutch);
  const maps = readFileSync(path.join(env.home, "nginx", "problem-maps.conf"), "utf8");
  const rows = (name) => [...maps.matchAll(new RegExp(`\\$problem_${name} \\{([^}]+)`, "g"))][0][1].matchAll(/^\t(\w+)\/(en|nl) "([^"]+)";$/gm);
  const texts = list.replace(/"[\s\\]*"/g, ""); // long ones are broken over two lines
  for (const [, code, language, text] of rows("title")) {
    const row = texts.match(new RegExp(`"${code}",\\s*"([^"]+)",[\\s\\\\]*"([^"]+)"`));
    assert.equal(text, row[language === "en" ? 1 : 2], code);
  }
  for (const [, code, language, text] of rows("detail")) {
    const row = texts.match(new RegExp(`X\\(${code.toUpperCase()},[\\s\\\\]*"([^"]+)",[\\s\\\\]*"([^"]+)"\\)`));
    assert.equal(text, row[language === "en" ? 1 : 2], code);
  }
});

test("a program that is away is a 502 with Retry-After, and only that", async () => {
  const socket = path.join(env.home, "sockets", "history.sock");
  renameSync(socket, `${socket}.away`);
  try {
    const answer = await request("GET", "/api/history");
    assertProblem(answer, 502, "upstream_failed");
    assert.match(answer.headers.get("retry-after"), /^[1-9]\d*$/);
    assert.equal((await request("GET", "/api/models")).status, 200);
  } finally {
    renameSync(`${socket}.away`, socket);
  }
  assertProblem(await request("GET", "/api/history"), 401, "unauthenticated");
});

test("a database that does not answer is a 503 with Retry-After, and the log says which route it was", async () => {
  const { parent } = pids("postgres");
  await request("GET", "/api/models");
  const backends = await psql("select pid from pg_stat_activity where usename = 'shotai_web'");
  process.kill(parent, "SIGSTOP");
  try {
    for (const { pid } of backends) process.kill(Number(pid), "SIGTERM");
    const answer = await waitFor(async () => {
      const now = await request("GET", "/api/models?told=nobody");
      return now.status !== 200 && now;
    }, { what: "the connections to be gone" });
    assertProblem(answer, 503, "database_unavailable");
    assert.match(answer.headers.get("retry-after"), /^[1-9]\d*$/);
    const log = readFileSync(path.join(env.home, "log", "generate.log"), "utf8");
    const line = log.split("\n").find((text) => text.includes(`answered request=${answer.json.request_id}`));
    assert.match(line, / warn generate answered request=\S+ method=GET route=\/api\/models status=503 code=database_unavailable ms=\d+$/);
  } finally {
    process.kill(parent, "SIGCONT");
  }
  await waitFor(async () => (await request("GET", "/api/models")).status === 200, { what: "the database to be back" });
});

test("restarting programs under load loses no request", { timeout: 240_000 }, async (t) => {
  const headers = { Authorization: `Bearer ${(await newUser()).token}` };
  const targets = { history: "/api/history", generate: "/api/models", account: "/api/account", billing: "/api/billing/products" };
  const cases = [
    ...programs.map((program) => [program, targets[program] ?? `/healthz/${program}`, program === "history" ? 10 : 2]),
    ["auth", "/auth/v1/.well-known/jwks.json", 2], ["creem", "/sandbox/creem/style.css", 2],
    ["models", "/sandbox/openai/v1/sandbox/calls?prompt=x", 2], ["nginx", "/api/models", 4],
  ];
  assert.deepEqual(cases.map(([program]) => program), [...programs, ...standIns, "nginx"]);
  for (const [program, target, times] of cases) {
    await t.test(program, async () => {
      const bad = await underLoad(target, headers, async (goesOn) => {
        for (let i = 0; i < times; i++) {
          const { parent, children } = pids(program);
          await restart(program);
          assert.equal(pids(program).parent, parent, "the parent stays");
          assert.ok(pids(program).children.some((pid) => !children.includes(pid)), "children are new");
          await goesOn();
        }
      });
      assert.deepEqual(bad, []);
    });
  }
});

test("a killed child takes at most the request in hand along", async () => {
  const headers = { Authorization: `Bearer ${(await newUser()).token}` };
  const bad = await underLoad("/api/history", headers, async (goesOn) => {
    for (let i = 0; i < 3; i++) {
      const { children } = pids("history");
      process.kill(children[0], "SIGKILL");
      const replaced = () => {
        const now = pids("history").children;
        return now.length === children.length && !now.includes(children[0]);
      };
      await waitFor(replaced, { what: "a new child" });
      await goesOn(20);
    }
  });
  assert.ok(bad.length <= 3 && bad.every((line) => line.startsWith("502 ") && line.includes("upstream_failed")), bad.join("\n"));
});

test("whatever is killed comes back", { timeout: 240_000 }, async (t) => {
  const user = await newUser();
  for (const program of [...programs, ...standIns, "worker", "nginx", "postgres"]) {
    await t.test(program, async () => {
      const old = kill(program, "SIGKILL");
      await waitFor(async () => pids(program).parent !== old && (await allHealthy()), { what: `${program} to be back`, timeout: 30_000 });
      await waitFor(async () => (await api(user, "GET", "/api/account")).status === 200, { what: "accounts to be read", timeout: 30_000 });
    });
  }
  await t.test("and makes pictures", async () => {
    const { items } = (await api(user, "GET", "/api/models")).json;
    const { status, json, text } = await api(user, "POST", "/api/generate", { model: items[0].id, prompt: "after the storm" });
    assert.equal(status, 202, text);
    assert.equal((await finished(user, json.id)).status, "succeeded");
  });
});

test("the worker is replaced by its restart", async () => {
  const { parent } = pids("worker");
  await restart("worker");
  assert.notEqual(pids("worker").parent, parent);
});

test("restart refuses what does not run", async () => {
  const { status, stderr } = await run("restart", "nonsense");
  assert.equal(status, 1);
  assert.match(stderr, /nonsense is not running/);
});

test("no address that a proxy or a caller names is kept", async () => {
  const told = "203.0.113.77";
  const headers = { "X-Forwarded-For": told, "X-Real-IP": told, Forwarded: `for=${told}`, "User-Agent": "told-agent/1.0" };
  const user = await newUser();
  for (const [method, target, body] of [["GET", "/api/history"], ["GET", "/api/nothing"], ["POST", "/api/generate", { model: "none" }], ["GET", "/files/gen/none"]])
    await api(user, method, target, body, headers);
  await request("POST", "/auth/v1/token?grant_type=password", { body: { email: user.email, password: user.password }, headers: { ...headers, apikey: env.SUPABASE_ANON_KEY } });
  for (const name of readdirSync(path.join(env.home, "log")))
    assert.ok(!readFileSync(path.join(env.home, "log", name), "utf8").includes(told), name);
  const [{ kept }] = await psql("select count(*) as kept from auth.sessions where ip is not null or user_agent is not null");
  assert.equal(kept, "0");
});

// ---- other homes

const folders = [];
const scratch = () => folders[folders.push(mkdtempSync(path.join(tmpdir(), "shotai-home-"))) - 1];
after(() => folders.forEach((folder) => rmSync(folder, { recursive: true, force: true })));

const freePort = () =>
  new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });

const elsewhere = (home, port, settings = {}) => {
  const inherited = Object.entries(process.env).filter(([name]) => !(name in env) || !/^[A-Z]/.test(name));
  return { ...Object.fromEntries(inherited), SHOTAI_HOME: home, SHOTAI_PORT: String(port), ...settings };
};

function startHome(home, port, settings) {
  const child = spawn(env.run, [], { env: elsewhere(home, port, settings), stdio: ["ignore", "pipe", "pipe"] });
  const it = { child, output: "", ended: new Promise((resolve) => child.on("close", (code, signal) => resolve(code ?? signal))) };
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (it.output += data));
  return it;
}
const ready = (it) =>
  waitFor(() => {
    if (it.child.exitCode !== null) throw new Error(it.output);
    return it.output.includes("ShotAI is ready at ");
  }, { what: "another home to be ready" });

test("a port that is taken is named, and nothing is left of the attempt", async () => {
  const home = scratch(), port = new URL(env.url).port;
  const { status, stderr } = await execute(env.run, [], { env: elsewhere(home, port) });
  assert.equal(status, 1);
  assert.match(stderr, new RegExp(`port ${port} is taken.*SHOTAI_PORT`));
});

test("a home has one ./run at a time", async () => {
  const { status, stderr } = await execute(env.run, [], { env: elsewhere(env.home, await freePort()) });
  assert.equal(status, 1);
  assert.match(stderr, /another \.\/run .* owns/);
  assert.ok(await allHealthy());
});

test("a second home runs beside the first, survives kill -9 of ./run and ends without a trace", { timeout: 240_000 }, async () => {
  const home = scratch(), port = await freePort(), url = `http://127.0.0.1:${port}`;
  const first = startHome(home, port, { OPENAI_API_KEY: "sk-made-up" });
  await ready(first);
  assert.ok(first.output.includes(`ShotAI is ready at ${url}\n`), first.output);
  assert.ok((await allHealthy(url)) && (await allHealthy()));
  const settings = readSettings(path.join(home, "shotai.env"));
  assert.notEqual(settings.SECRET_KEY, env.SECRET_KEY);
  assert.equal(settings.OPENAI_BASE_URL, "https://api.openai.com/v1", "a real key leaves the stand-in");

  first.child.kill("SIGKILL");
  await first.ended;
  const otherPort = await freePort();
  const second = startHome(home, otherPort, {});
  await ready(second);
  const moved = readSettings(path.join(home, "shotai.env"));
  assert.equal(moved.SECRET_KEY, settings.SECRET_KEY, "secrets are kept");
  assert.equal(moved.PUBLIC_URL, `http://127.0.0.1:${otherPort}`);
  await assert.rejects(request("GET", `${url}/api/models`), "the old port is closed");

  second.child.kill("SIGTERM");
  assert.equal(await second.ended, 0, second.output);
  await assert.rejects(request("GET", `http://127.0.0.1:${otherPort}/api/models`));
  const left = readdirSync("/proc").filter((pid) => /^\d+$/.test(pid)).filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(`${home}/`);
    } catch {
      return false;
    }
  });
  assert.deepEqual(left, []);
});

test("a setting that is wrong stops the start with its name", async () => {
  const home = scratch();
  const { status, stderr } = await execute(env.run, [], { env: elsewhere(home, await freePort(), { WORKER_CONCURRENCY: "many" }) });
  assert.equal(status, 1);
  assert.match(stderr, /WORKER_CONCURRENCY/);
});

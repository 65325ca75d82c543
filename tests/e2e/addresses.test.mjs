// Where a person's address is found afterwards: with TELEMETRY=off nowhere, whatever went wrong meanwhile, and otherwise
// in one column. Everything that writes is provoked to, from several addresses; then all that was written is searched.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomBytes, randomUUID } from "node:crypto";
import { chmodSync, mkdirSync, openSync, readFileSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer, request as send } from "node:http";
import { request as sendSecure } from "node:https";
import { connect, createServer as createTcp } from "node:net";
import { networkInterfaces } from "node:os";
import path from "node:path";
import { connect as connectSecure } from "node:tls";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { api, ctl, env, execute, finished, kill, newUser, pids, psql, request, waitFor } from "./harness.mjs";
import { assertAudit, generate, promptOf, richUser, storage, withOwnWorkers } from "./faults.mjs";
import { withProgram } from "./fastcgi.mjs";
import { act, generateSignature, purchase } from "./payments.mjs";
import { picture } from "./uploads.mjs";

const HERE = ["127.0.0.2", "127.0.0.3"], SIX = "::1";
const TOLD = "203.0.113.251"; // by headers
const NAMED = "198.51.100.97"; // by a provider
const VALUE = "192.0.2.213"; // in rows that a constraint refuses
const AGENT = `told-agent-${randomUUID()}`;
const told = {
  "User-Agent": AGENT, "X-Forwarded-For": TOLD, "X-Real-IP": TOLD, Forwarded: `for=${TOLD}`, "CF-Connecting-IP": TOLD, "True-Client-IP": TOLD,
};
const hasSix = Object.values(networkInterfaces()).flat().some(({ address }) => address === SIX);
const source = new URL("../../", import.meta.url);
const fronts = path.join(env.home, "fronts");

// One request from an address of this machine; the status, or the code of the error.
const ask = (address, method, target, { body, headers = {}, base = env.url } = {}) =>
  new Promise((resolve) => {
    const url = new URL(target, base), sender = url.protocol === "https:" ? sendSecure : send;
    const outgoing = sender(url, { method, localAddress: address, agent: false, rejectUnauthorized: false, headers: { ...told, ...headers } }, (answer) => {
      let text = "";
      answer.setEncoding("utf8").on("data", (data) => (text += data)).on("error", ({ code }) => resolve({ status: code, text }));
      answer.on("end", () => resolve({ status: answer.statusCode, id: answer.headers["x-request-id"], text }));
    });
    outgoing.on("error", ({ code }) => resolve({ status: code })).end(body);
  });

// Bytes as they are, until the other side closes; body(socket) may do something else with the connection.
const talk = (address, bytes, { base = env.url, secure = false, body = () => {} } = {}) =>
  new Promise((resolve) => {
    const { port, hostname } = new URL(base);
    const options = { port: Number(port), host: hostname.replace(/[[\]]/g, ""), localAddress: address, rejectUnauthorized: false };
    const socket = secure ? connectSecure({ ...options, ...secure }) : connect(options);
    let answer = "";
    socket.on(secure ? "secureConnect" : "connect", () => socket.write(bytes, () => body(socket)));
    socket.on("data", (data) => (answer += data)).on("error", () => {}).on("close", () => resolve(answer));
  });

const freePort = (host) =>
  new Promise((resolve) => {
    const server = createTcp().listen(0, host, () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });

// Another nginx before the same programs, with settings of its own; what it writes stays in the home to be searched.
async function withFront(name, overrides, body) {
  const prefix = path.join(fronts, name), local = overrides.NGINX_LISTEN.startsWith("127.0.0.1:");
  const health = local ? overrides.NGINX_LISTEN : `127.0.0.1:${await freePort("127.0.0.1")}`;
  const { PUBLIC_URL, SUPABASE_URL, STORAGE } = env;
  const settings = { PATH: process.env.PATH, PUBLIC_URL, SUPABASE_URL, STORAGE, NGINX_SOCKETS: path.join(env.home, "sockets"), NGINX_WEB: path.join(env.home, "web"),
    NGINX_HEALTH_LISTEN: health, ...overrides };
  const rendered = await execute(fileURLToPath(new URL("nginx/render", source)), [prefix], { env: settings });
  assert.equal(rendered.status, 0, rendered.stderr);
  const file = path.join(prefix, "nginx.conf");
  writeFileSync(file, readFileSync(file, "utf8").replace(/(client_(?:header|body)_timeout|send_timeout) \d+s/g, "$1 300ms"));
  const nginx = spawn("nginx", ["-p", prefix, "-c", file, "-e", "stderr"], { env: settings, stdio: ["ignore", "ignore", openSync(`${prefix}.log`, "a")] });
  const closed = new Promise((resolve) => nginx.on("close", resolve));
  try {
    await waitFor(async () => (await request("GET", `http://${health}/healthz/history`)).status < 600, { what: "nginx to listen" }).catch((error) => {
      throw new Error(readFileSync(`${prefix}.log`, "utf8"), { cause: error });
    });
    return await body();
  } finally {
    nginx.kill("SIGTERM");
    await closed;
  }
}

const json = { "Content-Type": "application/json" };
const bearer = ({ token }) => ({ Authorization: `Bearer ${token}` });
let person;

// Whatever one address may ask for, well and badly.
const requests = async () => {
  const mine = bearer(person), event = JSON.stringify({ id: `evt_${randomUUID()}` });
  const signed = { "creem-signature": await generateSignature(event, env.CREEM_WEBHOOK_SECRET) };
  return [
    [200, "GET", "/"], [200, "GET", "/api/models"], [200, "GET", "/api/history", { headers: mine }], [200, "GET", "/api/account", { headers: mine }],
    [400, "GET", `/api/history?cursor=${AGENT}`, { headers: mine }], [404, "GET", `/api/${AGENT}`], [404, "GET", `/s/${AGENT}`], [405, "POST", "/sign-in", { body: "x" }],
    [401, "GET", "/api/history", { headers: { Authorization: "Bearer x" } }], [400, "POST", "/api/generate", { body: "{", headers: { ...mine, ...json } }],
    [415, "POST", "/api/generate", { body: "x", headers: mine }], [422, "POST", "/api/generate", { body: '{"model":"none","prompt":"x"}', headers: { ...mine, ...json } }],
    [413, "POST", "/api/generate", { body: "x".repeat(1 << 20), headers: { ...mine, ...json } }], [414, "GET", `/api/models?${"x".repeat(20000)}`],
    [431, "GET", "/api/models", { headers: { "X-Long": "x".repeat(20000) } }], [416, "GET", "/sign-in", { headers: { Range: "bytes=99999999-" } }],
    [401, "POST", "/webhooks/creem", { body: event, headers: json }], [400, "POST", "/webhooks/creem", { body: event, headers: { ...json, ...signed } }],
    [413, "POST", "/webhooks/creem", { body: "x".repeat(300 << 10), headers: json }],
    [201, "POST", "/api/uploads", { body: picture("plain.png"), headers: { ...mine, "Content-Type": "image/png" } }],
    [415, "POST", "/api/uploads", { body: randomBytes(1 << 20), headers: { ...mine, "Content-Type": "image/png" } }],
  ];
};
const signIns = [
  [200, () => ({ email: person.email, password: person.password })], [400, () => ({ email: person.email, password: AGENT })],
];

// ---- what was written

// The files below the home that hold one of these, with the place.
async function found(needles, ...options) {
  const { status, stdout, stderr } = await execute("grep", ["-raoFi", "--exclude-dir=src", "--exclude=*.conf", ...options, ...needles.flatMap((needle) => ["-e", needle]), env.home]);
  assert.ok(status < 2 || /No such file/.test(stderr), stderr);
  return stdout;
}

async function dump(...options) {
  const { status, stdout, stderr } = await execute("pg_dump", ["-h", path.join(env.home, "sockets"), "-U", "supabase_admin", ...options, "shotai"], { maxBuffer: 1 << 30 });
  assert.equal(status, 0, stderr);
  return stdout;
}

const logs = () => [path.join(env.home, "log"), fronts].flatMap((folder) =>
  readdirSync(folder).filter((name) => name.endsWith(".log")).map((name) => [name, readFileSync(path.join(folder, name), "utf8")]));

// Nothing of it anywhere: files of every kind, the database's own among them, the tables, the logs.
async function assertNowhere({ except = [] } = {}) {
  const needles = [...HERE, TOLD, NAMED, AGENT];
  assert.equal(await found(needles, ...(except.length ? ["--exclude-dir=postgres"] : [])), "");
  const tables = await dump(...except.map((table) => `--exclude-table-data=${table}`));
  const texts = [...logs(), ["tables", tables]];
  for (const [name, text] of texts) {
    for (const needle of [...needles, VALUE]) assert.ok(!text.includes(needle), `${needle} in ${name}`);
    assert.doesNotMatch(text.replaceAll(/0:0:0:0:0:0:0:1/g, SIX), /(?<![0-9a-f:])::1(?![0-9a-f:])/i, name);
  }
  assert.ok(tables.includes(person.email), "the search finds what is there");
}

before(async () => {
  rmSync(fronts, { recursive: true, force: true });
  mkdirSync(fronts);
  person = await newUser();
});
after(async () => {
  await assertAudit();
  rmSync(fronts, { recursive: true, force: true });
});

// ---- off

test("good and bad requests, from each address", async () => {
  for (const address of HERE) {
    for (const [status, method, target, options] of await requests()) assert.equal((await ask(address, method, target, options)).status, status, `${method} ${target.slice(0, 40)}`);
    for (const [status, credentials] of signIns) {
      const options = { body: JSON.stringify(credentials()), headers: { ...json, apikey: env.SUPABASE_ANON_KEY } };
      assert.equal((await ask(address, "POST", "/auth/v1/token?grant_type=password", options)).status, status);
    }
    for (const bytes of ["NONSENSE\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc"])
      assert.match(await talk(address, bytes), /400/);
    await talk(address, `POST /api/uploads HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${person.token}\r\nContent-Type: image/png\r\nContent-Length: 9000000\r\n\r\n${"x".repeat(1 << 20)}`,
      { body: (socket) => socket.destroy() });
  }
  const [{ kept }] = await psql("select count(*) as kept from auth.sessions where ip is not null or user_agent is not null");
  assert.equal(kept, "0");
});

test("limits that are tripped, and clients that are too slow", async () => {
  const base = `http://127.0.0.1:${await freePort("127.0.0.1")}`;
  const narrow = Object.fromEntries(["", "SIGN_IN_", "REPORT_", "UPLOAD_"].flatMap((name) => [[`NGINX_${name}RATE`, "1"], [`NGINX_${name}BURST`, "1"]]));
  await withFront("narrow", { ...narrow, NGINX_UPLOAD_CONNECTIONS: "1", NGINX_LISTEN: new URL(base).host }, async () => {
    for (const address of HERE) {
      await talk(address, "GET /api/mod", { base });
      assert.equal(await talk(address, `POST /api/generate HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n${AGENT}`, { base }), "");
      const asked = [["GET", "/api/models"], ["POST", "/api/uploads"], ["POST", `/s/${AGENT}/report`], ["POST", "/auth/v1/token?grant_type=password"]];
      for (const [method, target] of asked) {
        const statuses = await Promise.all(Array.from({ length: 6 }, async () => (await ask(address, method, target, { base, headers: json })).status));
        assert.ok(statuses.includes(429), `${target}: ${statuses}`);
      }
    }
  });
});

test("TLS that is none, and the other family of addresses", { skip: !hasSix && "no IPv6 here" }, async () => {
  const [tls, plain] = await Promise.all([freePort(SIX), freePort(SIX)]), base = `https://[${SIX}]:${tls}`;
  const key = path.join(fronts, "key.pem"), certificate = path.join(fronts, "certificate.pem");
  await execute("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=shotai.example", "-keyout", key, "-out", certificate]);
  const settings = { PUBLIC_URL: "https://shotai.example", NGINX_LISTEN: `[${SIX}]:${tls}`, NGINX_REDIRECT_LISTEN: `[${SIX}]:${plain}`, NGINX_CERTIFICATE: certificate, NGINX_CERTIFICATE_KEY: key };
  await withFront("secure", settings, async () => {
    for (const [status, method, target, options] of await requests()) assert.equal((await ask(SIX, method, target, { ...options, base })).status, status, `${method} ${target.slice(0, 40)}`);
    assert.match(await talk(SIX, `GET /${AGENT} HTTP/1.1\r\nHost: x\r\n\r\n`, { base }), /400/);
    assert.equal((await ask(SIX, "GET", `/${AGENT}`, { base: `http://[${SIX}]:${plain}` })).status, 308);
    await talk(SIX, randomBytes(200), { base });
    await talk(SIX, "x", { base, secure: { maxVersion: "TLSv1.1", minVersion: "TLSv1", ciphers: "DEFAULT@SECLEVEL=0" } });
    await talk(SIX, "GET / HTTP/1.1\r\n", { base, secure: {} });
  });
});

test("a program that is away, and one that dies", async () => {
  const socket = path.join(env.home, "sockets", "history.sock");
  renameSync(socket, `${socket}.away`);
  try {
    for (const address of HERE) assert.equal((await ask(address, "GET", `/api/history?q=${AGENT}`)).status, 502);
  } finally {
    renameSync(`${socket}.away`, socket);
  }
  const old = kill("history");
  await waitFor(async () => {
    const statuses = await Promise.all(HERE.map(async (address) => (await ask(address, "GET", "/api/history", { headers: bearer(person) })).status));
    return pids("history").parent !== old && statuses.every((status) => status === 200);
  }, { what: "history to be back" });
});

test("a database that dies, and one that refuses rows", async () => {
  const old = kill("postgres", "SIGQUIT");
  const away = await waitFor(async () => {
    const answers = await Promise.all(HERE.map((address) => ask(address, "GET", "/api/history", { headers: bearer(person) })));
    return answers.find(({ status }) => status === 503);
  }, { what: "the outage to be noticed" });
  await waitFor(async () => pids("postgres").parent !== old && (await ask(HERE[0], "GET", "/api/history", { headers: bearer(person) })).status === 200, { what: "the database to be back" });
  assert.ok(logs().some(([, text]) => text.includes(away.id)), "the outage is in a log");
  const refused = {
    unique: `insert into shotai.provider (id, name) select id, '${VALUE}' from shotai.provider limit 1`,
    "not-null": `insert into shotai.provider (id, name) values ('${VALUE}', null)`,
    "foreign key": `update shotai.account set plan = '${VALUE}' where user_id = '${person.id}'`,
    check: `insert into shotai.model (id, provider, name, adapter, vendor_model, aspect_ratios, max_count, description, description_nl)
      select '${VALUE}', id, '${VALUE}', '${VALUE}', '', '{1:1}', 1, '', '' from shotai.provider limit 1`,
    "no partition": `insert into shotai.telemetry_request values ('1999-01-01', 'x', 'x', 'x', 200, 1, null, '${VALUE}')`,
  };
  for (const [kind, sql] of Object.entries(refused)) {
    await assert.rejects(psql(sql), /violates|no partition/);
    const { 1: text } = logs().find(([name]) => name === "postgres.log");
    assert.match(text, new RegExp(kind === "no partition" ? kind : `violates ${kind} constraint`), kind);
  }
});

test("Auth and storage that are away", async () => {
  const more = { REMOTE_ADDR: HERE[0] };
  await withProgram("history", { SUPABASE_URL: `http://127.0.0.1:${await freePort("127.0.0.1")}` }, async (ask, it) => {
    assert.equal((await ask("GET", "/api/history", { headers: { ...told, ...bearer(person) }, more })).status, 503);
    for (const needle of [HERE[0], TOLD, AGENT]) assert.ok(!it.log.includes(needle), it.log);
  });
  const folder = path.join(storage, "uploads");
  chmodSync(folder, 0);
  try {
    for (const address of HERE)
      assert.equal((await ask(address, "POST", "/api/uploads", { body: picture("plain.png"), headers: { ...bearer(person), "Content-Type": "image/png" } })).status, 503);
  } finally {
    chmodSync(folder, 0o700);
  }
});

test("providers that fail, and one that names an address", async () => {
  const user = await richUser();
  const ordered = await Promise.all(["sandbox:error", "sandbox:refuse", "sandbox:garbage"].map((what) => generate(user, promptOf(what))));
  for (const { id } of ordered) assert.equal((await finished(user, id)).status, "failed");
  const server = createServer((_, response) => response.writeHead(400, { ...json, "X-Client": NAMED }).end(JSON.stringify({ error: { code: NAMED, message: `no images for ${NAMED}` } })));
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    await withOwnWorkers(async (worker) => {
      const { id } = await generate(user, promptOf("a quay"));
      assert.equal((await finished(user, id)).status, "failed");
      assert.ok(!worker.log.includes(NAMED), worker.log);
    }, { OPENAI_BASE_URL: `http://127.0.0.1:${server.address().port}` });
  } finally {
    server.close();
  }
});

test("mail says nothing about where anybody is", async () => {
  const user = await newUser();
  await api(user, "PATCH", "/api/account", { notifications: { receipts: true } });
  await act((await purchase("top-up-100", user)).checkout, "pay");
  const mails = () => readdirSync(env.MAIL_DIRECTORY).filter((name) => name.endsWith(".eml")).map((name) => readFileSync(path.join(env.MAIL_DIRECTORY, name), "utf8"));
  const mine = await waitFor(() => mails().find((text) => text.includes(user.email)), { what: "the receipt" });
  assert.doesNotMatch(mine.split("\r\n\r\n")[0], /^(Received|X-[^:]*IP|X-Mailer|User-Agent):/im);
});

test("of all that, no address is written anywhere", async () => {
  await assertNowhere();
  assert.deepEqual(readdirSync(path.join(env.home, "nginx", "body"), { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()), []);
});

// ---- on

test("with telemetry on, addresses are in one column, and nothing is left after the purge", async () => {
  const base = `http://127.0.0.1:${await freePort("127.0.0.1")}`, sockets = path.join(fronts, "sockets");
  const stored = () => psql("select program, method, route, status, account, host(address) as address from shotai.telemetry_request order by program, method, route, status");
  const recording = (name, mode, body) => withProgram(name, { TELEMETRY: mode }, (_, it) => {
    const old = path.join(sockets, `${name}.sock`);
    rmSync(old, { force: true });
    symlinkSync(it.socket, old);
    return body();
  });
  mkdirSync(sockets);
  for (const name of ["account", "generate", "files", "share", "upload", "billing"]) symlinkSync(path.join(env.home, "sockets", `${name}.sock`), path.join(sockets, `${name}.sock`));
  await psql("select * from shotai.keep_telemetry(7, true)");
  await withFront("telling", { TELEMETRY: "requests+ip", TRUSTED_PROXIES: "127.0.0.3", NGINX_LISTEN: new URL(base).host, NGINX_SOCKETS: sockets }, async () => {
    await recording("history", "requests+ip", () => recording("billing-webhook", "requests+ip", async () => {
      await ask(HERE[0], "GET", `/api/history?q=${AGENT}`, { base, headers: bearer(person) });
      await ask(HERE[1], "GET", `/api/history/${randomUUID()}`, { base, headers: bearer(person) });
      await ask(HERE[0], "TOLD", "/api/history", { base });
      await ask(HERE[0], "POST", "/webhooks/creem", { base, body: "{}", headers: json });
    }));
    const [{ id }] = await psql(`select id from shotai.account where user_id = '${person.id}'`);
    assert.deepEqual(await stored(), [
      { program: "billing-webhook", method: "POST", route: "/webhooks/creem", status: "401", account: null, address: HERE[0] },
      { program: "history", method: "GET", route: "/api/history", status: "200", account: id, address: HERE[0] },
      { program: "history", method: "GET", route: "/api/history/{id}", status: "404", account: id, address: TOLD },
      { program: "history", method: "other", route: null, status: "405", account: null, address: HERE[0] },
    ]);
    assert.match((await ctl("telemetry", "show")).stdout, /^1 +0 +\d+ +\d+ +1 +history GET \/api\/history\/\{id\} 404$/m);
    assert.match((await ctl("telemetry", "show", "--by", "address")).stdout, new RegExp(`^3 .* ${HERE[0]}$`, "m"));

    // One that is told the address and not to keep it, and one that cannot hand anything in.
    await psql("truncate shotai.telemetry_request");
    await recording("history", "requests", () => ask(HERE[0], "GET", "/api/history", { base, headers: bearer(person) }));
    assert.deepEqual((await stored()).map(({ route, address }) => [route, address]), [["/api/history", null]]);
    await psql("revoke execute on function shotai.record_requests(text, text, bigint) from shotai_web");
    try {
      await recording("history", "requests+ip", async () => assert.equal((await ask(HERE[0], "GET", "/api/history", { base, headers: bearer(person) })).status, 200));
    } finally {
      await psql("grant execute on function shotai.record_requests(text, text, bigint) to shotai_web");
    }
    await recording("history", "off", () => ask(HERE[0], "GET", "/api/history", { base, headers: bearer(person) }));
    assert.equal((await stored()).length, 1);
  });
  await assertNowhere({ except: ["shotai.telemetry_request*"] });
  assert.match((await ctl("telemetry", "status")).stdout, /^telemetry +off\n[^]*^telemetry_requests +1$/m);
  assert.match((await ctl("telemetry", "purge")).stdout, /^1 requests forgotten$/m);
  assert.deepEqual(await stored(), []);
  assert.doesNotMatch(await dump(), new RegExp([...HERE, TOLD].join("|").replaceAll(".", "\\.")));
});

// shotaictl doctor: clean on a running stack, and on every real fault it says what is wrong.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { chmodSync, cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createTcp } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { env, execute, newUser, psql } from "./harness.mjs";
import { signalWorker } from "./faults.mjs";

const source = fileURLToPath(new URL("../../", import.meta.url));
const settings = Object.fromEntries(Object.entries(env).filter(([name]) => /^[A-Z]/.test(name)));

// The lines that are not OK, and the exit status.
async function doctor(overrides = {}, { args = [], cwd = source } = {}) {
  const environment = { PATH: process.env.PATH, ...settings, ...overrides };
  for (const name of Object.keys(environment)) if (environment[name] === undefined) delete environment[name];
  const { status, stdout } = await execute(path.join(env.home, "bin", "shotaictl"), ["doctor", ...args], { env: environment, cwd });
  const lines = stdout.trim().split("\n");
  for (const line of lines) assert.match(line, /^(OK|WARN|FAIL) +\S.*$/);
  assert.equal(status, lines.some((line) => line.startsWith("FAIL")) ? 1 : 0, stdout);
  return { bad: lines.filter((line) => !line.startsWith("OK")), lines };
}
const says = async (pattern, ...how) => {
  const { bad } = await doctor(...how);
  assert.ok(bad.some((line) => pattern.test(line)), `${pattern}: ${bad.join("\n")}`);
};

// What a stack for one machine is warned of, always.
const usual = [/^WARN +front .*without TLS/, /^WARN +mail .*MAIL_DIRECTORY/];

test("a running stack is well, and warned of what is only for one machine", async () => {
  const { bad, lines } = await doctor();
  assert.deepEqual(bad.filter((line) => !usual.some((one) => one.test(line)) && !line.includes("nginx")), []);
  for (const check of ["settings", "database", "clock", "migrations", "roles", "postgres log", "addresses", "worker", "connections", "storage", "supabase", "creem", "provider", "nginx", "core dumps"])
    assert.ok(lines.some((line) => new RegExp(`^OK +${check} `).test(line)), check);
  assert.equal((await execute(path.join(env.home, "bin", "shotaictl"), ["doctor", "--hosts", "0"], { env: settings })).status, 2);
});

test("settings, roles and connections that are wrong", async () => {
  await says(/^FAIL +settings +SECRET_KEY is not set/, { SECRET_KEY: undefined });
  await says(/^FAIL +database +DATABASE_WORKER_URL signs in as shotai_web, not as shotai_worker/, { DATABASE_WORKER_URL: env.DATABASE_URL });
  await says(/^FAIL +database +DATABASE_WEBHOOK_URL: /, { DATABASE_WEBHOOK_URL: env.DATABASE_WEBHOOK_URL.replace("user=shotai_webhook", "user=nobody_here") });
  await says(/^FAIL +connections .*raise max_connections/, {}, { args: ["--hosts", "100"] });
  await says(/^FAIL +nginx .*not told|^WARN +nginx .*not told/, { TELEMETRY: "requests+ip" });
});

test("a database that is wrong inside", async () => {
  const faults = [
    [/^FAIL +roles +shotai_web reaches a table/, "grant select on shotai.account to shotai_web", "revoke select on shotai.account from shotai_web"],
    [/^FAIL +roles +everybody may execute list_models/, "grant execute on function shotai.list_models() to public", "revoke execute on function shotai.list_models() from public"],
    [/^FAIL +roles +shotai_worker lacks its timeouts/, "alter role shotai_worker reset statement_timeout", "alter role shotai_worker set statement_timeout = '5s'"],
    [/^FAIL +addresses +auth.sessions has no trigger/, "alter table auth.sessions disable trigger shotai_forget_address", "alter table auth.sessions enable trigger shotai_forget_address"],
    [/^WARN +telemetry +addresses are left/,
      "select * from shotai.keep_telemetry(7, true); insert into shotai.telemetry_request values (clock_timestamp(), 'x', 'GET', '/', 200, 1, null, '192.0.2.1')", "truncate shotai.telemetry_request"],
    [/^WARN +postgres log +log_min_error_statement = 'error'/, "alter role shotai_operator set log_min_error_statement = 'error'", "alter role shotai_operator reset log_min_error_statement"],
  ];
  for (const [pattern, wrong, right] of faults) {
    await psql(wrong);
    try {
      await says(pattern);
    } finally {
      await psql(right);
    }
  }
  const user = await newUser();
  await psql(`alter table auth.sessions disable trigger shotai_forget_address; update auth.sessions set ip = '192.0.2.1' where user_id = '${user.id}'`);
  try {
    await says(/^FAIL +addresses +auth.sessions.ip holds 1 values/);
  } finally {
    await psql(`alter table auth.sessions enable trigger shotai_forget_address; update auth.sessions set ip = null where user_id = '${user.id}'`);
  }
});

test("migrations that are missing", async () => {
  const folder = mkdtempSync(path.join(tmpdir(), "shotai-doctor-"));
  try {
    cpSync(path.join(source, "sql"), path.join(folder, "sql"), { recursive: true });
    writeFileSync(path.join(folder, "sql", "migrations", "29990101000000_later.sql"), "select 1;\n");
    await says(/^FAIL +migrations .*head is 29990101000000: run shotaictl migrate/, {}, { cwd: folder });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("services that are away, or refuse us", async () => {
  const closed = await new Promise((resolve) => {
    const server = createTcp().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(`http://127.0.0.1:${port}`));
    });
  });
  const { bad } = await doctor({ PUBLIC_URL: closed, SUPABASE_URL: closed, CREEM_API_URL: closed, OPENAI_BASE_URL: closed, SMTP_URL: closed.replace("http", "smtp") });
  for (const check of ["front", "supabase", "creem", "provider", "mail"]) assert.ok(bad.some((line) => new RegExp(`^FAIL +${check} `).test(line)), `${check}: ${bad.join("\n")}`);
  await says(/^FAIL +supabase .*SUPABASE_SECRET_KEY/, { SUPABASE_SECRET_KEY: `sb_secret_${randomUUID()}` });
  await says(/^FAIL +creem .*refuses/, { CREEM_API_KEY: `creem_test_${randomUUID()}` });
  await says(/^FAIL +creem +CREEM_WEBHOOK_SECRET/, { CREEM_WEBHOOK_SECRET: undefined });
  await says(/^FAIL +provider +OPENAI_API_KEY is refused/, { OPENAI_API_KEY: "sk-no" });
  const words = ["220 x\r\n", "250 x\r\n", "250 x\r\n", "221 x\r\n"];
  for (const [greeting, level] of [[words[0], "OK"], ["554 no\r\n", "FAIL"]]) {
    const post = createTcp((socket) => {
      const left = [greeting, ...words.slice(1)];
      socket.on("error", () => {}).on("data", () => socket.write(left.shift() ?? "500 x\r\n")).write(left.shift());
    });
    await new Promise((resolve) => post.listen(0, "127.0.0.1", resolve));
    const { lines } = await doctor({ SMTP_URL: `smtp://127.0.0.1:${post.address().port}` });
    post.close();
    assert.ok(lines.some((line) => new RegExp(`^${level} +mail `).test(line)), lines.join("\n"));
  }
  const empty = createServer((_, response) => response.writeHead(200, { "Content-Type": "application/json" }).end('{"keys":[]}'));
  await new Promise((resolve) => empty.listen(0, "127.0.0.1", resolve));
  try {
    await says(/^FAIL +supabase .*create a signing key/, { SUPABASE_URL: `http://127.0.0.1:${empty.address().port}` });
  } finally {
    empty.close();
  }
});

test("a storage that takes nothing, and one that everybody can read", async () => {
  const folder = mkdtempSync(path.join(tmpdir(), "shotai-doctor-"));
  try {
    chmodSync(folder, 0o755);
    await says(/^FAIL +storage .*open to every user/, { STORAGE: `file:${folder}` });
    chmodSync(folder, 0o500);
    await says(/^FAIL +storage .*pictures could not be written/, { STORAGE: `file:${folder}` });
    chmodSync(folder, 0o700);
    assert.deepEqual((await doctor({ STORAGE: `file:${folder}` })).bad.filter((line) => /storage/.test(line)), []);
    assert.deepEqual(readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()), [], "nothing is left");
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("nginx that logs, and a worker that is gone", async () => {
  const file = path.join(env.home, "nginx", "nginx.conf"), text = readFileSync(file, "utf8");
  for (const wrong of [text.replace("error_log /dev/null;", ""), text.replace("access_log off;", "access_log logs/access.log;")]) {
    writeFileSync(file, wrong);
    try {
      await says(new RegExp(`^FAIL +nginx +${env.home}/nginx writes a log`));
    } finally {
      writeFileSync(file, text);
    }
  }
  signalWorker("SIGSTOP");
  try {
    await psql("update shotai.worker set seen_at = seen_at - interval '1 minute'");
    await says(/^FAIL +worker +no worker was seen lately/);
  } finally {
    signalWorker("SIGCONT");
  }
});

// The operator's program, on the running stack and on databases of its own.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { after, before, test } from "node:test";
import { randomBytes, randomUUID } from "node:crypto";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

import { ctl, env, execute, newUser, psql, waitFor } from "./harness.mjs";
import { balanceOf, call } from "./contract.mjs";

const source = fileURLToPath(new URL("../../", import.meta.url));
const database = `ctl_${randomBytes(6).toString("hex")}`;
const folder = mkdtempSync(path.join(tmpdir(), "shotai-ctl-"));
const sql = path.join(folder, "sql");

const urlAs = (role, name = database) => {
  const url = new URL(env.DATABASE_ADMIN_URL);
  url.pathname = `/${name}`;
  url.searchParams.set("user", role);
  return url.href;
};
const settings = { PATH: process.env.PATH, DATABASE_ADMIN_URL: urlAs("postgres"), DATABASE_OPERATOR_URL: urlAs("shotai_operator") };
const shotaictl = (args, more = {}) => execute(path.join(env.home, "bin", "shotaictl"), args, { env: { ...settings, ...more }, cwd: folder });
const migrate = (...args) => shotaictl(["migrate", "--sql", sql, ...args]);

async function superuser(script, name = database) {
  const { status, stdout, stderr } = await execute("psql", ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", urlAs("supabase_admin", name)], { input: script });
  assert.equal(status, 0, stderr);
  return stdout.trim();
}

before(async () => {
  await superuser(`create database ${database} owner postgres`, "shotai");
  await superuser(readFileSync(path.join(source, "sandbox", "auth.sql"), "utf8"));
  cpSync(path.join(source, "sql"), sql, { recursive: true });
});
after(async () => {
  await superuser(`drop database ${database} with (force)`, "shotai");
  rmSync(folder, { recursive: true });
});

const versions = () => superuser("select string_agg(version, ' ' order by version) from supabase_migrations.schema_migrations");

test("a command that does not exist, or is used wrongly, is explained", async () => {
  for (const args of [[], ["nothing"], ["credits"], ["credits", "take"]]) {
    const { status, stdout, stderr } = await shotaictl(args);
    assert.equal(status, 2, args.join(" "));
    assert.match(stderr, /usage: shotaictl/);
    assert.equal(/^  migrate /m.test(stderr), args[0] !== "credits", "of a group only its own commands");
    assert.match(stderr, /^  credits grant /m);
    assert.equal(stdout, "");
  }
  const { status, stdout } = await shotaictl(["--help"]);
  assert.equal(status, 0);
  for (const name of ["migrate", "config", "audit", "status", "credits grant", "storage copy"]) {
    assert.match(stdout, new RegExp(`^  ${name} `, "m"));
    const help = await shotaictl([...name.split(" "), "--help"]);
    assert.equal(help.status, 0);
    assert.match(help.stdout, new RegExp(`^usage: shotaictl ${name} `));
  }
  assert.match((await shotaictl(["--version"])).stdout, /^shotaictl \d+\.\d+\.\d+\n$/);
});

test("a word that means nothing is refused, not looked for", async () => {
  for (const args of [["mail", "list", "--state", "fail"], ["mail", "list", "--kind", ""], ["mail", "list", "--kind", "receipt|refund"], ["webhooks", "list", "--state", "failed|"]]) {
    const { status, stderr } = await ctl(...args);
    assert.equal(status, 2, args.join(" "));
    assert.match(stderr, new RegExp(`usage: shotaictl ${args[0]} list`));
  }
  for (const args of [["mail", "list", "--state", "uncertain", "--kind", "receipt"], ["webhooks", "list", "--state", "failed"]])
    assert.equal((await ctl(...args)).status, 0, args.join(" "));
});

test("a setting that is missing or malformed is named", async () => {
  for (const [more, words] of [[{ DATABASE_ADMIN_URL: "" }, "DATABASE_ADMIN_URL"], [{ LOG_LEVEL: "loud" }, "LOG_LEVEL"], [{ DATABASE_ADMIN_URL: "postgresql://db.example.org/x" }, "DATABASE_ADMIN_URL"]]) {
    const { status, stderr } = await shotaictl(["migrate", "--sql", sql], more);
    assert.equal(status, 2);
    assert.match(stderr, new RegExp(`^shotaictl: .*${words}[^\n]*\n$`));
  }
});

test("migrate builds an empty database, is repeatable, and may run twice at once", async () => {
  const both = await Promise.all([migrate(), migrate()]);
  for (const { status, stderr } of both) assert.equal(status, 0, stderr);
  const files = readdirSync(path.join(sql, "migrations")).filter((name) => name.endsWith(".sql")).sort();
  const applied = both.map(({ stdout }) => [...stdout.matchAll(/^applied (\S+)$/gm)].map((match) => `${match[1]}.sql`));
  assert.deepEqual(applied.toSorted((a, b) => a.length - b.length), [[], files]);
  assert.equal(await versions(), files.map((name) => name.slice(0, 14)).join(" "));
  const statements = await superuser("select statements[1] from supabase_migrations.schema_migrations order by version limit 1");
  assert.equal(statements, readFileSync(path.join(sql, "migrations", files[0]), "utf8").trim());
  const again = await migrate();
  assert.equal(again.status, 0);
  assert.match(again.stdout, /^0 of \d+ migrations applied now, \d+ files of functions in place\n$/);
});

test("migrate changes nothing when one script fails, and names script, line and SQLSTATE", async () => {
  const before = await versions();
  const rows = [
    ["migrations/29990101000000_good.sql", "create table public.half_done (a int);\n", null],
    ["migrations/29990102000000_bad.sql", "select 1;\n\nselect nothing from public.half_done;\n", /29990102000000_bad\.sql: line 3: 42703 /],
    ["functions/zz_bad.sql", "select 1;\nselec 2;\n", /zz_bad\.sql: line 2: 42601 /],
    ["functions/zz_bad.sql", "select 1 / 0;\n", /zz_bad\.sql: 22012 /],
    ["migrations/nonsense.sql", "", /nonsense\.sql: the name is not /],
    ["migrations/29990101000000_twin.sql", "", /29990101000000_twin\.sql: another migration has the same version/],
  ];
  for (const [name, text, complaint] of rows) {
    writeFileSync(path.join(sql, name), text);
    if (!complaint) continue;
    const { status, stderr } = await migrate();
    assert.equal(status, 2);
    assert.match(stderr, complaint);
    assert.equal(stderr.trim().split("\n").length, 1, stderr);
    assert.equal(await versions(), before);
    assert.equal(await superuser("select to_regclass('public.half_done') is null"), "t");
    rmSync(path.join(sql, name));
  }
  assert.equal((await migrate()).status, 0);
  assert.equal(await superuser("select to_regclass('public.half_done') is null"), "f");
  rmSync(path.join(sql, "migrations/29990101000000_good.sql"));
  assert.match((await migrate()).stdout, /note: the database holds migration 29990101000000/);
});

test("migrate refuses to run as a superuser", async () => {
  const { status, stderr } = await shotaictl(["migrate", "--sql", sql], { DATABASE_ADMIN_URL: urlAs("supabase_admin") });
  assert.equal(status, 2);
  assert.match(stderr, /superuser/);
});

test("migrate --emit writes the functions as a migration, once, and it can be applied", async () => {
  const emitted = () => readdirSync(path.join(sql, "migrations")).filter((name) => name.endsWith("_functions.sql"));
  assert.match((await migrate("--emit")).stdout, /^wrote .*_functions\.sql\n$/);
  assert.match((await migrate("--emit")).stdout, /up to date/);
  assert.equal(emitted().length, 1);
  assert.match(emitted()[0], /^20\d{12}_functions\.sql$/);
  const text = readFileSync(path.join(sql, "migrations", emitted()[0]), "utf8");
  for (const name of readdirSync(path.join(sql, "functions"))) assert.ok(text.includes(readFileSync(path.join(sql, "functions", name), "utf8")), name);
  const { status, stdout, stderr } = await migrate();
  assert.equal(status, 0, stderr);
  assert.match(stdout, /applied 20\d{12}_functions/);
});

test("audit is silent about clean books and lists what is wrong with others", async () => {
  const clean = await shotaictl(["audit"]);
  assert.deepEqual([clean.status, clean.stdout], [0, "clean\n"]);
  await superuser("insert into shotai.account (user_id, balance) values (gen_random_uuid(), 7)");
  const { status, stdout } = await shotaictl(["audit"]);
  assert.equal(status, 1);
  assert.match(stdout, /balance/);
  await superuser("delete from shotai.account");
  assert.equal((await shotaictl(["audit"])).status, 0);
  const away = await shotaictl(["audit"], { DATABASE_OPERATOR_URL: urlAs("shotai_operator", "nowhere") });
  assert.equal(away.status, 2);
});

test("audit and status take the time that they need, whatever the role's time limit is", async () => {
  await superuser(`alter role shotai_operator in database ${database} set statement_timeout = '250ms'`);
  const holder = spawn("psql", ["-X", "-q", urlAs("supabase_admin")], { stdio: ["pipe", "ignore", "inherit"] });
  const closed = new Promise((resolve) => holder.on("close", resolve));
  try {
    holder.stdin.write("begin; lock table shotai.credit_lot in access exclusive mode;\n");
    const lock = "from pg_locks where relation = 'shotai.credit_lot'::regclass and";
    await waitFor(async () => (await superuser(`select count(*) ${lock} mode = 'AccessExclusiveLock' and granted`)) === "1", { what: "the lock" });
    const calls = ["audit", "status"].map((name) => shotaictl([name]));
    await waitFor(async () => (await superuser(`select count(*) ${lock} not granted and waitstart < clock_timestamp() - interval '500 ms'`)) === "2", { what: "both to wait" });
    holder.stdin.write("commit;\n");
    for (const { status, stderr } of await Promise.all(calls)) assert.equal(status, 0, stderr);
  } finally {
    holder.stdin.end();
    await closed;
    await superuser(`alter role shotai_operator in database ${database} reset statement_timeout`);
  }
});

test("config prints every setting and no secret", async () => {
  const secrets = { SECRET_KEY: `s${randomBytes(24).toString("hex")}`, SUPABASE_SECRET_KEY: `k${randomBytes(12).toString("hex")}` };
  const { status, stdout } = await shotaictl(["config"], { ...secrets, SUPPORT_EMAIL: "help@example.org" });
  assert.equal(status, 0);
  assert.match(stdout, /^SUPPORT_EMAIL=help@example\.org$/m);
  assert.match(stdout, /^PROVIDER_TIMEOUT_SECONDS=300$/m);
  for (const [name, value] of Object.entries(secrets)) {
    assert.match(stdout, new RegExp(`^${name}=.*\\*\\*\\*`, "m"));
    assert.ok(!stdout.includes(value), name);
  }
});

test("credits are granted to a person by id or address, for a reason that is kept", async () => {
  const user = await newUser();
  const reason = `sorry ${randomUUID()}`;
  const byId = await ctl("credits", "grant", user.id, "5", "--reason", reason);
  assert.deepEqual([byId.status, byId.stdout], [0, "granted 5 credits, balance 55\n"]);
  const byAddress = await ctl("credits", "grant", user.email.toUpperCase(), "7", "--reason", reason, "--expires", "2099-01-01T00:00:00Z");
  assert.deepEqual([byAddress.status, byAddress.stdout], [0, "granted 7 credits, balance 62\n"]);
  assert.equal(await balanceOf(user), 62);
  const { json } = await call(user, "GET", "/api/account");
  assert.deepEqual(json.credit_lots[0], { source: "adjustment", remaining: 7, expires_at: "2099-01-01T00:00:00.000Z" });
  const rows = await psql(`select operator from shotai.operator_log where reason = '${reason}'`);
  assert.equal(rows.length, 2);
  assert.ok(rows.every(({ operator }) => operator));
});

test("grants that make no sense are refused", async () => {
  const user = await newUser();
  for (const amount of ["0", "-1", "1.5", "many", "1000000001", "99999999999999999999", ""])
    assert.equal((await ctl("credits", "grant", user.id, amount, "--reason", "r")).status, 2, amount);
  for (const args of [[user.id, "1"], [user.id, "1", "--reason", ""], [user.id, "1", "--reason"], [user.id], [user.id, "1", "2", "--reason", "r"], [user.id, "1", "--because", "r"]])
    assert.equal((await ctl("credits", "grant", ...args)).status, 2, args.join(" "));
  for (const nobody of [randomUUID(), `${randomUUID()}@example.test`, "x"]) {
    const { status, stderr } = await ctl("credits", "grant", nobody, "1", "--reason", "r");
    assert.equal(status, 1, stderr);
    assert.match(stderr, /not_found/);
  }
  const until = (expires) => ctl("credits", "grant", user.id, "1", "--reason", "r", "--expires", expires);
  for (const expires of ["tomorrowish", "2099-01-01", "2099-01-01T00:00:00", "2099-01-01T00:00:00Zulu", "2099-13-01T00:00:00Z", "2099-02-30T00:00:00Z"])
    assert.equal((await until(expires)).status, 2, expires);
  const past = await until("2001-01-01T00:00:00+01:00");
  assert.equal(past.status, 1);
  assert.match(past.stderr, /expires_at.*invalid_request/);
  assert.equal(await balanceOf(user), 50);
});

test("status counts accounts, lots and the queue of the running stack", async () => {
  const { status, stdout } = await ctl("status");
  assert.equal(status, 0);
  for (const word of ["queue", "account", "credit"]) assert.match(stdout, new RegExp(word));
  const number = (name) => Number(stdout.match(new RegExp(`^${name} +(\\d+)$`, "m"))[1]);
  const sources = ["welcome", "subscription", "top_up", "adjustment"].map((source) => number(`credits_${source}`));
  assert.equal(sources.reduce((sum, credits) => sum + credits), number("credits_outstanding"));
  assert.ok(!stdout.includes("@"));
});

test("the running stack's books are clean", async () => {
  const { status, stdout } = await ctl("audit");
  assert.equal(status, 0, stdout);
});

test("a new version of the policy is published", async () => {
  const list = async () => (await shotaictl(["policy", "list"])).stdout;
  assert.match(await list(), /^2026-11-01 +2026-11-01T00:00:00\.000Z t current 0 +The first version\.\n$/);
  const change = ["--change", "More is kept.", "--change-nl", "Er wordt meer bewaard."];
  for (const args of [[], ["2030-01-01"], ["2030-01-01", ...change, "--from", "soon"]])
    assert.equal((await shotaictl(["policy", "add", ...args])).status, 2, args.join(" "));
  const early = await shotaictl(["policy", "add", "2030-01-01", ...change, "--from", "2020-01-01T00:00:00Z"]);
  assert.equal(early.status, 1);
  assert.match(early.stderr, /effective_from/);
  const { status, stdout, stderr } = await shotaictl(["policy", "add", "2030-01-01", ...change, "--from", "2030-01-01T00:00:00Z", "--minor"]);
  assert.equal(status, 0, stderr);
  assert.equal(stdout, "version 2030-01-01 holds from 2030-01-01T00:00:00.000Z\n");
  assert.match(await list(), /current .*\n2030-01-01 +2030-01-01T00:00:00\.000Z f coming +0 +More is kept\.\n$/);
});

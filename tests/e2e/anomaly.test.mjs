// What the watch does to people, what they are told of it, and what an operator does with that.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";

import { ctl, env, newUser, psql } from "./harness.mjs";
import { balanceOf, call, refused } from "./contract.mjs";

const order = { model: "gpt-image-1-mini", prompt: "a heron" };
const account = async (user) => (await call(user, "GET", "/api/account")).json;

async function run(...args) {
  const { status, stdout, stderr } = await ctl(...args);
  assert.equal(status, 0, `${args.join(" ")}: ${stderr}`);
  return stdout;
}

test("a suspended person is told why and whom to ask; restoring lifts it", async () => {
  const user = await newUser();
  assert.equal((await account(user)).restriction, null);
  assert.match(await run("account", "suspend", user.email, "--reason", "sold our pictures as his"), /suspended/);
  const { status, restriction } = await account(user);
  assert.equal(status, "suspended");
  assert.deepEqual([restriction.action, restriction.reason, restriction.contact], ["suspend", "operator", env.SUPPORT_EMAIL ?? "support@shotai.example"]);
  const problem = await refused("account_suspended", user, "POST", "/api/generate", order);
  assert.deepEqual([problem.reason, problem.contact], ["operator", restriction.contact]);
  assert.match(await run("account", "show", user.id), /^finding \d+ +operator suspend.*\n[^]*suspend_account by .*: sold our pictures/m);
  assert.equal((await ctl("account", "restore", user.id)).status, 2, "a reason is needed");
  assert.match(await run("account", "restore", user.id, "--reason", "they were his"), /active/);
  assert.equal((await account(user)).restriction, null);
  assert.equal((await call(user, "POST", "/api/generate", order)).status, 202);
});

test("numbered addresses of one person are found, throttled, and judged by an operator", async () => {
  const domain = `${randomUUID()}.test`, users = [];
  for (let i = 1; i <= 5; i++) users.push(await newUser({ email: `harvest${i}@${domain}` }));
  await psql("update shotai.signal_progress set seen_until = clock_timestamp() - interval '5 minutes' where signal = 'stem'");
  for (let more = "1"; more !== "0";) {
    const rows = await psql("select * from shotai.watch_accounts(clock_timestamp())");
    more = rows.find((row) => row.name === "more")?.value ?? "1"; // no row: the worker is at it
  }
  const { restriction, status } = await account(users[0]);
  assert.deepEqual([status, restriction?.action, restriction?.reason], ["active", "throttle", "stem"]);
  const line = (await run("anomalies", "list")).split("\n").find((text) => text.includes(users[0].id));
  assert.match(line, /^\d+ +open +throttle +stem +1\.25 /);
  const id = line.split(" ")[0], shown = await run("anomalies", "show", id);
  assert.match(shown, /^evidence\.accounts +5$/m);
  assert.ok(!shown.includes("harvest") && !shown.includes(domain), shown);
  assert.match(await run("anomalies", "resolve", id, "--restore", "--reason", "a school"), /restored, the account is active\n/);
  assert.equal((await account(users[0])).restriction, null);
  const kept = (await run("anomalies", "list")).split("\n").find((text) => text.includes(users[1].id)).split(" ")[0];
  assert.match(await run("anomalies", "resolve", kept, "--keep", "--reason", "no school"), /kept, the account is active and throttled/);
  assert.equal((await account(users[1])).restriction.reason, "operator");
  assert.equal((await ctl("anomalies", "resolve", kept, "--reason", "again")).status, 1);
  assert.equal((await ctl("anomalies", "show", "0")).status, 2);
  for (const user of users.slice(1)) await run("account", "restore", user.id, "--reason", "end of test");
});

test("an address to be thrown away works, without welcome credits", async () => {
  const user = await newUser({ email: `${randomUUID()}@mail.mailinator.com` });
  const { balance, welcome_refused: refusal } = await account(user);
  assert.deepEqual([balance, refusal], [0, "disposable_address"]);
  const domain = `${randomUUID()}.example`;
  await run("disposable", "add", domain);
  assert.ok((await run("disposable", "list")).split("\n").includes(domain));
  assert.equal(await balanceOf(await newUser({ email: `a@${domain}` })), 0);
  await run("disposable", "remove", domain);
  assert.equal(await balanceOf(await newUser({ email: `b@${domain}` })), 50);
  assert.match(await run("status"), /^worth_welcome +[\d.]+ EUR$/m);
});

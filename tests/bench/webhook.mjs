// Events a second through nginx and billing-webhook against the same SQL called by pgbench, in one run, and the ratio.
// SHOTAI_URL, SHOTAI_HOME and SHOTAI_RUN say which running ShotAI; it is left with many orders.
//   node tests/bench/webhook.mjs [SECONDS [CLIENTS]]
import { Agent, request as send } from "node:http";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

import { env, execute, psql } from "../e2e/harness.mjs";
import { event, fresh, generateSignature, purchase, topUp } from "../e2e/payments.mjs";

const [seconds = 5, clients = 8] = process.argv.slice(2).map(Number);
const buyers = await Promise.all(Array.from({ length: 16 }, () => purchase("top-up-100")));
let made = 0;

// A payment of its own: a new order under the request of one of the buyers.
const body = () => JSON.stringify(event("checkout.completed", topUp({ ...buyers[made++ % buyers.length], checkout: fresh("ch") })));

const agent = new Agent({ keepAlive: true, maxSockets: clients });
const target = new URL("/webhooks/creem", env.url);
const post = ({ text, signature }) =>
  new Promise((resolve, reject) => {
    const headers = { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(text), "creem-signature": signature };
    send(target, { method: "POST", agent, headers }, (answer) => {
      const chunks = [];
      answer.on("data", (chunk) => chunks.push(chunk)).on("end", () => resolve(`${answer.statusCode} ${Buffer.concat(chunks)}`));
    }).on("error", reject).end(text);
  });

async function overHttp() {
  const prepared = await Promise.all(Array.from({ length: seconds * 2500 }, async () => {
    const text = body();
    return { text, signature: await generateSignature(text, env.CREEM_WEBHOOK_SECRET) };
  }));
  const outcomes = {}, start = performance.now(), end = start + seconds * 1000;
  let count = 0;
  await Promise.all(Array.from({ length: clients }, async () => {
    for (let one; performance.now() < end && (one = prepared.pop()); count++) {
      const outcome = await post(one);
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    }
  }));
  const rate = count / ((performance.now() - start) / 1000);
  console.log(`HTTP: ${rate.toFixed(0)} events/s ${JSON.stringify(outcomes)}`);
  return rate;
}

const folder = mkdtempSync(path.join(tmpdir(), "shotai-bench-"));

async function overPgbench() {
  const rows = Array.from({ length: seconds * 4000 }, (_, i) => `(${i + 1}, $body$${body()}$body$)`).join(",\n");
  await psql(`
    drop schema if exists bench cascade;
    create schema bench;
    create sequence bench.turn;
    create table bench.body (place bigint primary key, text text not null);
    insert into bench.body values ${rows};
    analyze bench.body;`);
  const script = path.join(folder, "script.sql");
  writeFileSync(script, "select r.outcome from (select nextval('bench.turn') as place) t join bench.body b on b.place = t.place cross join lateral shotai.receive_event(b.text) r;\n");
  const url = new URL(env.DATABASE_ADMIN_URL);
  const args = ["-n", "-M", "prepared", "-f", script, "-c", String(clients), "-j", "2", "-T", String(seconds), "-h", url.searchParams.get("host"), "-U", "supabase_admin", "shotai"];
  const { status, stdout, stderr } = await execute("pgbench", args);
  if (status !== 0) throw new Error(stderr);
  const [{ used, bodies }] = await psql("select last_value as used, (select count(*) from bench.body) as bodies from bench.turn");
  if (Number(used) > Number(bodies)) throw new Error("pgbench ran out of events");
  await psql("drop schema bench cascade");
  const rate = Number(/tps = ([\d.]+)/.exec(stdout)[1]);
  console.log(`pgbench: ${rate.toFixed(0)} events/s`);
  return rate;
}

const rates = { http: 0, pgbench: 0 };
for (let round = 0; round < 2; round++) {
  rates.http += (await overHttp()) / 2;
  rates.pgbench += (await overPgbench()) / 2;
}
rmSync(folder, { recursive: true });
console.log(`${clients} clients: HTTP ${rates.http.toFixed(0)}/s, pgbench ${rates.pgbench.toFixed(0)}/s, ratio ${(rates.http / rates.pgbench).toFixed(2)}`);
process.exit();

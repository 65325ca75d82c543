// The door for Creem's events: what it lets in, what it answers, and that it stays open when everything else is shut.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { createHmac, randomBytes } from "node:crypto";
import { connect } from "node:net";

import { env, pids, psql, request, waitFor } from "./harness.mjs";
import { assertDescribed } from "./contract.mjs";
import { assertAudit } from "./faults.mjs";
import { withProgram } from "./fastcgi.mjs";
import {
  bought, deliver, dispute, event, fresh, generateSignature, invoice, paid, payment, purchase, refund, stateOf,
  subscribed, subscriptionCheckout, subscriptionObject, topUp,
} from "./payments.mjs";

after(assertAudit);

const countEvents = async () => Number((await psql("select count(*) from shotai.creem_event"))[0].count);
const post = (body, headers) => request("POST", "/webhooks/creem", { body, headers });
const hmac = (body, secret = env.CREEM_WEBHOOK_SECRET) => createHmac("sha256", secret).update(body).digest("hex");

async function expect(status, code, body, headers, what) {
  const answer = await post(body, headers);
  assert.equal(answer.status, status, `${what}: ${answer.text}`);
  assertDescribed("POST", "/webhooks/creem", answer);
  if (code) assert.equal(answer.json.code, code, what);
  return answer;
}

// Somebody else's purchase, of which nothing is known here.
const strange = (product = "top-up-500") =>
  ({ product, checkout: fresh("ch"), customer: fresh("cust"), request: fresh("co"), email: "ana@example.com", user: null });

test("a signed event is stored and answered 200", async () => {
  const buying = await purchase("top-up-500"), one = event("checkout.completed", topUp(buying));
  const body = JSON.stringify(one);
  const answer = await expect(200, undefined, body, { "creem-signature": await generateSignature(body, env.CREEM_WEBHOOK_SECRET) });
  assert.deepEqual(answer.json, { outcome: "applied" });
  assert.equal(await bought(buying.user), 500);
  assert.equal(hmac(body), await generateSignature(body, env.CREEM_WEBHOOK_SECRET));
});

test("nothing that is not signed with the secret gets in", async () => {
  const buying = await purchase("top-up-500"), body = JSON.stringify(event("checkout.completed", topUp(buying)));
  const good = hmac(body), before = await countEvents();
  const flipped = good.slice(0, -1) + (good.endsWith("0") ? "1" : "0");
  const wrong = [
    ["", "empty"], [flipped, "last digit"], [good.slice(0, -1), "one digit short"], [`${good}0`, "one digit more"], [`${good}00`, "two more"],
    [`sha256=${good}`, "prefix"], [`v1,${good}`, "version"], [Buffer.from(good, "hex").toString("base64"), "base64"], [hmac(body, "whsec_other"), "other secret"],
    [hmac(`${body} `), "other body"], [hmac(body, env.CREEM_WEBHOOK_SECRET.replace("whsec_", "")), "secret without its prefix"],
    [hmac(body, ""), "no secret"], [createHmac("sha1", env.CREEM_WEBHOOK_SECRET).update(body).digest("hex"), "sha1"],
    ["0".repeat(64), "zeros"], ["g".repeat(64), "no hex"], [`${good}, ${good}`, "twice"],
  ];
  for (const [signature, what] of wrong) await expect(401, "unauthenticated", body, { "creem-signature": signature }, what);
  const without = await expect(401, "unauthenticated", body, { "Accept-Language": "nl" }, "none");
  assert.match(without.json.detail, /^De header creem-signature ontbreekt/);
  await expect(401, "unauthenticated", body, { "x-creem-signature": good }, "another header");
  await expect(401, "unauthenticated", body, { Authorization: `Bearer ${good}` }, "a token");
  await expect(401, "unauthenticated", undefined, {}, "no body");
  assert.equal(await countEvents(), before);
  assert.equal(await bought(buying.user), 0);
});

test("what is signed and no event is 400", async () => {
  const before = await countEvents();
  const bodies = ["", "{", "[]", "null", "7", '"x"', "{}", '{"id":"evt_1"}', '{"eventType":"x"}', '{"id":7,"eventType":"x"}', '{"id":"","eventType":"x"}',
    '{"id":"evt_1","eventType":null}', '{"id":"evt_1","eventType":"x"} trailing', '{"id":"evt_1","id":"evt_2","eventType":"x"}',
    '{"id":"evt_1","eventType":"x","a":"\\u0000"}', "[".repeat(100_000), '\u{feff}{"id":"evt_1","eventType":"x"}'];
  for (const body of bodies) await expect(400, "invalid_request", body, { "creem-signature": hmac(body) }, body.slice(0, 60));
  for (const bytes of [Buffer.from([0xff, 0xfe, 0x7b]), Buffer.from('{"id":"evt_1","eventType":"\xff"}', "latin1"), Buffer.alloc(64)])
    await expect(400, "invalid_request", bytes, { "creem-signature": hmac(bytes) }, bytes.toString("hex"));
  assert.equal(await countEvents(), before);
});

test("other methods are 405, with what there is", async () => {
  for (const method of ["GET", "PUT", "PATCH", "DELETE"]) {
    const answer = await request(method, "/webhooks/creem");
    assert.equal(answer.status, 405, method);
    assert.equal(answer.headers.get("allow"), "POST");
  }
  assert.equal((await request("POST", "/webhooks/creem/x")).status, 404);
});

test("the type of the content does not matter, and chunks are as good as a length", async () => {
  const buying = await purchase("top-up-100"), body = JSON.stringify(event("checkout.completed", topUp(buying)));
  for (const type of ["text/plain", "application/x-www-form-urlencoded"])
    assert.equal((await deliver(JSON.stringify(event("subscription.surprise", {})), { "Content-Type": type })).json.outcome, "ignored", type);
  const { hostname, port } = new URL(env.url);
  const text = await new Promise((resolve, reject) => {
    const socket = connect(port, hostname), chunks = [];
    socket.on("data", (chunk) => chunks.push(chunk)).on("error", reject).on("close", () => resolve(Buffer.concat(chunks).toString()));
    socket.write(`POST /webhooks/creem HTTP/1.1\r\nHost: ${hostname}\r\nConnection: close\r\ncreem-signature: ${hmac(body)}\r\nTransfer-Encoding: chunked\r\n\r\n`);
    for (let at = 0; at < body.length; at += 300) socket.write(`${body.slice(at, at + 300).length.toString(16)}\r\n${body.slice(at, at + 300)}\r\n`);
    socket.write("0\r\n\r\n");
  });
  assert.match(text, /^HTTP\/1\.1 200 /);
  assert.equal(await bought(buying.user), 100);
});

test("the same event many times at once is applied once", async () => {
  const buying = await purchase("top-up-500"), body = JSON.stringify(event("checkout.completed", topUp(buying)));
  const outcomes = (await Promise.all(Array.from({ length: 24 }, () => deliver(body)))).map(({ status, json }) => `${status} ${json.outcome}`);
  assert.deepEqual(outcomes.toSorted(), ["200 applied", ...Array(23).fill("200 duplicate")]);
  assert.equal(await bought(buying.user), 500);
});

test("events of one payment at once are granted once", async () => {
  const sub = subscribed(await purchase("monthly")), transaction = invoice(sub);
  const events = [
    ["checkout.completed", subscriptionCheckout(sub)], ["subscription.active", subscriptionObject(sub)],
    ...Array.from({ length: 6 }, () => ["subscription.paid", paid(sub, transaction)]), ["subscription.update", paid(sub, transaction)],
  ];
  const answers = await Promise.all(events.map(([type, object]) => deliver(JSON.stringify(event(type, object)))));
  for (const { status, text } of answers) assert.equal(status, 200, text);
  assert.equal(await bought(sub.user), 1000);
});

test("a megabyte of noise is refused", async () => {
  for (const size of [1 << 20, 262_145]) {
    const bytes = randomBytes(size);
    await expect(413, "too_large", bytes, { "creem-signature": hmac(bytes) }, `${size} bytes`);
  }
  for (const size of [262_144, 65_537, 1000]) {
    const bytes = randomBytes(size);
    await expect(400, "invalid_request", bytes, { "creem-signature": hmac(bytes) }, `${size} bytes`);
    await expect(401, "unauthenticated", bytes, { "creem-signature": hmac(bytes.subarray(1)) }, `${size} bytes, unsigned`);
  }
});

// A generator whose run a seed repeats.
function seeded(seed) {
  let state = BigInt.asUintN(64, BigInt(seed) * 0x9e3779b97f4a7c15n + 1n);
  return (below) => {
    state = BigInt.asUintN(64, state * 6364136223846793005n + 1442695040888963407n);
    return Number((state >> 33n) % BigInt(below));
  };
}

const oddities = ["null", "true", "-1", "0", "1e308", "123456789012345678901234567890", '""', '"prod_sandbox_monthly"', "[]", "{}", "[[[[]]]]", '{"id":{"id":1}}',
  '"2026-02-31T00:00:00.000Z"', '"9999999999999"', "-9223372036854775808", '"paid"', '"\\ud83d\\ude00"', '"%s%n"', "1.5", '"\'; drop table x; --"'];

// Replaces one value somewhere in the JSON, or damages the text.
function mutated(text, random) {
  if (random(4) === 0) {
    const at = random(text.length);
    return [text.slice(0, at), text.slice(at, at + 1 + random(8)), text.slice(at)][random(2) * 2] + String.fromCharCode(32 + random(95)) + text.slice(at);
  }
  const values = [...text.matchAll(/:(("(?:[^"\\]|\\.)*")|(-?[\d.e+]+)|null|true|false)/g)];
  if (values.length === 0) return text;
  const hit = values[random(values.length)];
  return text.slice(0, hit.index + 1) + oddities[random(oddities.length)] + text.slice(hit.index + hit[0].length);
}

test("mutated events, signed: no answer of the server's fault, and nothing is granted", async () => {
  const seed = Number(process.env.SEED ?? Date.now()), count = Number(process.env.MUTATIONS ?? 400), random = seeded(seed);
  console.log(`SEED=${seed} MUTATIONS=${count}`);
  const strangeSub = subscribed(strange("monthly")), strangeTop = topUp(strange());
  const granted = async () => (await psql("select count(*), sum(amount) from shotai.credit_entry where order_id is not null"))[0], before = await granted();
  const fixtures = [
    ["checkout.completed", strangeTop], ["checkout.completed", subscriptionCheckout(strangeSub)], ["subscription.active", subscriptionObject(strangeSub)],
    ["subscription.paid", paid(strangeSub, invoice(strangeSub))], ["subscription.trialing", subscriptionObject(strangeSub, { status: "trialing" })],
    ["subscription.update", subscriptionObject(strangeSub)], ["subscription.canceled", subscriptionObject(strangeSub, { status: "canceled" })],
    ["subscription.past_due", subscriptionObject(strangeSub)], ["subscription.unpaid", subscriptionObject(strangeSub)], ["subscription.paused", subscriptionObject(strangeSub)],
    ["subscription.scheduled_cancel", subscriptionObject(strangeSub)], ["subscription.expired", subscriptionObject(strangeSub)],
    ["refund.created", refund(payment(strangeTop), 100)], ["dispute.created", dispute(payment(strangeTop))],
  ];
  const statuses = {};
  for (let done = 0; done < count; done += 8) {
    const bodies = Array.from({ length: Math.min(8, count - done) }, () => {
      const [type, object] = fixtures[random(fixtures.length)];
      let text = JSON.stringify(event(type, object));
      for (let times = 1 + random(3); times > 0; times--) text = mutated(text, random);
      return text;
    });
    for (const [i, answer] of (await Promise.all(bodies.map((body) => deliver(body)))).entries()) {
      statuses[answer.status] = (statuses[answer.status] ?? 0) + 1;
      assert.ok([200, 400].includes(answer.status), `${answer.status} ${answer.text} SEED=${seed}: ${bodies[i]}`);
    }
  }
  assert.ok(statuses[200] > count / 4 && statuses[400] > 0, JSON.stringify(statuses));
  assert.deepEqual(await granted(), before, `SEED=${seed}`);
});

test("mutated after signing: refused, whatever it says", async () => {
  const seed = Number(process.env.SEED ?? Date.now()), random = seeded(seed);
  const buying = await purchase("top-up-500"), body = JSON.stringify(event("checkout.completed", topUp(buying))), signature = hmac(body), before = await countEvents();
  for (let i = 0; i < 50; i++) {
    const other = mutated(body, random);
    if (other !== body) await expect(401, "unauthenticated", other, { "creem-signature": signature }, `SEED=${seed}`);
  }
  assert.equal(await countEvents(), before);
  assert.equal(await bought(buying.user), 0);
});

// Everything under a name, stopped for the time of body.
async function withStopped(names, body) {
  const stopped = names.flatMap((name) => [pids(name).parent, ...pids(name).children]);
  for (const pid of stopped) process.kill(pid, "SIGSTOP");
  try {
    return await body();
  } finally {
    for (const pid of stopped) process.kill(pid, "SIGCONT");
  }
}

test("it answers while the worker, the model provider, Creem's API and every other program stand still", async () => {
  const buying = await purchase("top-up-500"), one = event("checkout.completed", topUp(buying));
  await withStopped(["worker", "models", "creem", "billing", "account", "generate", "history", "files", "auth"], async () => {
    const answer = await deliver(JSON.stringify(one));
    assert.deepEqual([answer.status, answer.json.outcome], [200, "applied"]);
    assert.equal((await request("GET", "/healthz/billing-webhook")).status, 200);
  });
  assert.equal(await bought(buying.user), 500);
});

test("while the database is away it is 503 with Retry-After, and nothing is lost by it", async () => {
  const buying = await purchase("top-up-500"), one = event("checkout.completed", topUp(buying)), body = JSON.stringify(one);
  const nowhere = { DATABASE_WEBHOOK_URL: `postgresql:///shotai?host=${env.home}/nowhere&user=shotai_webhook` };
  await withProgram("billing-webhook", nowhere, async (ask) => {
    const answer = await ask("POST", "/webhooks/creem", { body, headers: { "creem-signature": hmac(body) } });
    assert.deepEqual([answer.status, answer.json.code], [503, "database_unavailable"]);
    assert.ok(Number(answer.headers.get("retry-after")) >= 1);
    assert.equal((await ask("POST", "/webhooks/creem", { body, headers: { "creem-signature": hmac(`${body} `) } })).status, 401);
  });
  assert.equal(await stateOf(one.id), undefined);
  assert.equal((await deliver(body)).json.outcome, "applied");
  assert.equal(await bought(buying.user), 500);
});

test("an event whose turn does not come in time is 503, and taken the next time", async () => {
  const buying = await purchase("top-up-500"), one = event("checkout.completed", topUp(buying)), body = JSON.stringify(one);
  const lock = "hashtextextended('shotai.creem', 0)";
  const holding = psql(`select pg_advisory_lock(${lock}); select pg_sleep(60); select pg_advisory_unlock(${lock});`).catch(() => {});
  const holder = () => psql("select l.pid from pg_locks l where l.locktype = 'advisory' and l.granted and l.pid in (select pid from pg_stat_activity where query like '%pg_sleep(60)%' and pid <> pg_backend_pid())");
  const [{ pid }] = await waitFor(async () => {
    const rows = await holder();
    return rows.length > 0 && rows;
  }, { what: "the lock to be held" });
  try {
    const answer = await deliver(body);
    assert.deepEqual([answer.status, answer.json.code], [503, "database_unavailable"]);
    assert.equal(await stateOf(one.id), undefined);
  } finally {
    await psql(`select pg_terminate_backend(${pid})`);
    await holding;
  }
  assert.equal((await deliver(body)).json.outcome, "applied");
  assert.equal(await bought(buying.user), 500);
});

// Money under contention and faults: nobody spends what is not there, and every credit is accounted for.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, test } from "node:test";

import { api, finished, grant, newUser, psql } from "./harness.mjs";
import { assertAudit, assertPaid, balanceOf, cheapest, promptOf, richUser, withOwnWorkers } from "./faults.mjs";

after(assertAudit);

const order = async (user, prompt, count = 1, headers = {}) =>
  api(user, "POST", "/api/generate", { model: (await cheapest()).id, prompt, count }, headers);

// Spends or grants until exactly this many credits are left.
async function userWith(credits) {
  const user = await newUser();
  const balance = await balanceOf(user);
  if (balance < credits) await grant(user, credits - balance);
  else if (balance > credits) await drain(user, balance - credits);
  assert.equal(await balanceOf(user), credits);
  return user;
}

// In as few pictures as it takes.
async function drain(user, credits) {
  const { items } = (await api(null, "GET", "/api/models")).json;
  const ids = [];
  for (const { id: model, credits: price, max_count: most } of items.toSorted((a, b) => b.credits - a.credits)) {
    while (credits >= price) {
      const count = Math.min(most, Math.floor(credits / price));
      const { status, json, text } = await api(user, "POST", "/api/generate", { model, prompt: promptOf("spend"), count });
      assert.equal(status, 202, text);
      ids.push(json.id);
      credits -= count * price;
    }
  }
  assert.equal(credits, 0, "the prices add up to what is to be spent");
  await Promise.all(ids.map((id) => finished(user, id)));
}

test("64 orders at once on a balance for 10: exactly 10", async () => {
  const { credits } = await cheapest();
  const user = await userWith(10 * credits);
  const answers = await Promise.all(Array.from({ length: 64 }, () => order(user, promptOf("rush"))));
  const admitted = answers.filter(({ status }) => status === 202);
  const refused = answers.filter(({ status }) => status !== 202);
  assert.equal(admitted.length, 10);
  for (const { status, json } of refused) {
    assert.equal(status, 402);
    assert.equal(json.code, "insufficient_credits");
    assert.equal(json.required, credits);
    assert.equal(json.balance, 0);
  }
  for (const { json } of admitted) await assertPaid(await finished(user, json.id));
  assert.equal(await balanceOf(user), 0);
  // The balance after each charge is a step of its own.
  const left = admitted.map(({ json }) => json.balance).sort((a, b) => a - b);
  assert.deepEqual(left, Array.from({ length: 10 }, (_, i) => i * credits));
});

test("orders without money are refused, and soon not even looked at", async () => {
  const user = await userWith(0);
  const counts = {};
  for (let round = 0; round < 10; round++) {
    const answers = await Promise.all(Array.from({ length: 25 }, () => order(user, promptOf("for nothing"))));
    for (const { status, json, headers } of answers) {
      counts[status] = (counts[status] ?? 0) + 1;
      if (status === 429) {
        assert.equal(json.code, "rate_limited");
        assert.ok(Number(headers.get("retry-after")) >= 1);
      }
    }
  }
  assert.deepEqual(Object.keys(counts), ["402", "429"]);
  assert.ok(counts[402] < 200 && counts[429] > 50, JSON.stringify(counts));
  assert.equal(await balanceOf(user), 0);
  const [{ count }] = await psql(
    `select count(*) from shotai.generation g join shotai.account a on a.id = g.account
     where a.user_id = '${user.id}' and g.finished_at is null`,
  );
  assert.equal(count, "0");
});

// Orders that pile up while the worker sleeps and are cancelled one after the other while it wakes; how it went.
async function cancelWhileClaimed(worker) {
  const user = await richUser();
  const balance = await balanceOf(user);
  worker.child.kill("SIGSTOP");
  let ids;
  try {
    const answers = await Promise.all(Array.from({ length: 30 }, () => order(user, promptOf("either or"))));
    ids = answers.map(({ json }) => json.id);
  } finally {
    worker.child.kill("SIGCONT");
  }
  const seen = new Set();
  const cancels = [];
  for (const id of ids) cancels.push(await api(user, "DELETE", `/api/generate/${id}`));
  let spent = 0;
  for (const [i, { status, json, text }] of cancels.entries()) {
    const end = await finished(user, ids[i], { timeout: 150_000 });
    assert.ok(status === 200 || (status === 409 && json.code === "not_cancelable"), text);
    assert.equal(end.status, status === 200 ? "canceled" : "succeeded");
    await assertPaid(end);
    spent += end.credits_charged - end.credits_refunded;
    seen.add(end.status);
  }
  assert.equal(await balanceOf(user), balance - spent);
  return seen;
}

test("cancelling and claiming at the same time: one of them wins, the money follows", () =>
  withOwnWorkers(async (worker) => {
    const seen = new Set();
    for (let round = 0; seen.size < 2 && round < 10; round++)
      for (const status of await cancelWhileClaimed(worker)) seen.add(status);
    assert.deepEqual([...seen].sort(), ["canceled", "succeeded"]);
  }));

test("one idempotency key, many at once: one generation, one charge", async () => {
  const user = await richUser();
  const balance = await balanceOf(user);
  const prompt = promptOf("only once"), key = randomUUID();
  const answers = await Promise.all(Array.from({ length: 20 }, () => order(user, prompt, 1, { "Idempotency-Key": key })));
  const ids = new Set(answers.filter(({ status }) => status === 202).map(({ json }) => json.id));
  for (const { status } of answers) assert.ok(status === 202 || status === 409, String(status));
  assert.equal(ids.size, 1);
  const end = await finished(user, [...ids][0]);
  assert.equal(await balanceOf(user), balance - end.credits_charged);
});

test("the ledger tells the same story as the balance", async () => {
  const user = await richUser(20);
  for (const what of ["", "sandbox:refuse", "sandbox:partial=1"]) {
    const { json } = await order(user, promptOf(what), 4);
    await assertPaid(await finished(user, json.id));
  }
  const { json } = await api(user, "GET", "/api/account/credits?limit=100");
  const balance = await balanceOf(user);
  assert.equal(json.items.reduce((sum, { amount }) => sum + amount, 0), balance);
  assert.equal(json.items[0].balance_after, balance);
  const refunds = json.items.filter(({ kind }) => kind === "refund");
  assert.equal(refunds.length, 2);
  assert.equal(new Set(refunds.map(({ generation_id: id }) => id)).size, 2);
});

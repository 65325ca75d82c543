// What Creem's webhooks did not tell is repaired from its API: by hand, and by the worker once a day.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import path from "node:path";

import { ctl, env, execute, psql, waitFor } from "./harness.mjs";
import { assertAudit } from "./faults.mjs";
import { account, act, bought, boughtSoon, catalogue, creem, ordersOf, purchase, subscriptionOf } from "./payments.mjs";

after(assertAudit);

async function reconcile(...options) {
  const { status, stdout, stderr } = await ctl("reconcile", ...options);
  assert.ok(status === 0 || status === 1, stderr);
  const lines = stdout.trim().split("\n"), findings = lines.slice(0, -1).map((line) => line.split(/ +/));
  return { status, findings: findings.map(([outcome, id, reason]) => ({ outcome, id, reason })), of: (id) => findings.filter((one) => one[1] === id).map(([outcome]) => outcome), summary: lines.at(-1) };
}

// Creem sends an event that was made earlier after all.
const redeliver = (event) => creem("POST", `/test/events/${event.id}/deliver`, {});
const delivered = (event) => waitFor(async () => {
  const { deliveries } = await creem("GET", `/test/events/${event.id}`);
  return deliveries.some(({ state }) => state === "delivered");
}, { what: `${event.type} to be delivered` });

test("a lost top-up is found, granted once, and its event changes nothing when it comes after all", async () => {
  const buying = await purchase("top-up-500"), [event] = await act(buying.checkout, "pay_lost");
  const preview = await reconcile("--dry-run");
  assert.deepEqual(preview.of(buying.checkout), ["applied"]);
  assert.match(preview.summary, /dry run/);
  assert.equal(await bought(buying.user), 0);
  assert.deepEqual((await reconcile()).of(buying.checkout), ["applied"]);
  assert.equal(await bought(buying.user), 500);
  const again = await reconcile();
  assert.deepEqual([again.of(buying.checkout), again.of(event.object.order.transaction)], [[], []]);
  await redeliver(event);
  await delivered(event);
  assert.equal(await bought(buying.user), 500);
  assert.equal((await ordersOf(buying.user)).length, 1);
});

test("a subscription of which nothing was told is there, with its period and its state", async () => {
  const buying = await purchase("monthly"), events = await act(buying.checkout, "pay_lost");
  assert.equal(await subscriptionOf(buying.user), null);
  await reconcile();
  assert.equal(await bought(buying.user), 1000);
  const shown = await subscriptionOf(buying.user);
  assert.deepEqual([shown.status, shown.product_id], ["active", "monthly"]);
  const lot = (await account(buying.user)).credit_lots.find(({ source }) => source === "subscription");
  assert.equal(lot.expires_at, shown.current_period_end);
  for (const event of events.toReversed()) await redeliver(event);
  for (const event of events) await delivered(event);
  assert.equal(await bought(buying.user), 1000);
  assert.equal((await ordersOf(buying.user)).length, 1);
});

test("lost renewals are found, each once", async () => {
  const buying = await purchase("monthly"), events = await act(buying.checkout, "pay"), { id } = events.at(-1).object;
  await boughtSoon(buying.user, 1000);
  const lost = [...(await act(id, "renew", { drop: true })), ...(await act(id, "renew", { drop: true }))];
  await reconcile();
  assert.equal(await bought(buying.user), 3000);
  assert.equal((await ordersOf(buying.user)).length, 3);
  for (const event of lost) await redeliver(event);
  for (const event of lost) await delivered(event);
  assert.equal(await bought(buying.user), 3000);
});

test("a lost upgrade, refund, cancellation and dispute are found", async () => {
  const buying = await purchase("monthly"), events = await act(buying.checkout, "pay"), { id } = events.at(-1).object;
  await boughtSoon(buying.user, 1000);
  const first = events.at(-1).object.last_transaction_id;
  await act(id, "change", { product_id: catalogue.yearly.creem, drop: true });
  await reconcile();
  assert.equal(await bought(buying.user), 12_000);
  assert.equal((await subscriptionOf(buying.user)).product_id, "yearly");
  const upgrade = (await ordersOf(buying.user)).find(({ transaction_id: transaction }) => transaction !== first).transaction_id;
  await act(upgrade, "refund", { drop: true });
  await reconcile();
  assert.equal(await bought(buying.user), 1000);
  await act(id, "cancel", { drop: true });
  await reconcile();
  assert.equal((await subscriptionOf(buying.user)).status, "canceled");
  await act(first, "dispute", { drop: true });
  await reconcile();
  assert.equal(await bought(buying.user), 0);
  assert.equal((await account(buying.user)).status, "suspended");
});

test("a refund that was pending is asked for until it is final", async () => {
  const buying = await purchase("top-up-500"), [event] = await act(buying.checkout, "pay");
  await boughtSoon(buying.user, 500);
  const [pending] = await act(event.object.order.transaction, "refund", { status: "pending" });
  await delivered(pending);
  assert.equal(await bought(buying.user), 500);
  await reconcile();
  assert.equal(await bought(buying.user), 500);
  await creem("POST", `/test/refunds/${pending.object.id}/settle`, {});
  await reconcile();
  assert.equal(await bought(buying.user), 0);
  assert.equal((await ordersOf(buying.user))[0].status, "refunded");
});

test("what is nobody's is listed, not granted, and left to an operator", async () => {
  const made = await creem("POST", "/v1/checkouts", { product_id: catalogue["top-up-100"].creem, request_id: "not one of ours", customer: { email: "someone@example.com" } });
  const [event] = await act(made.id, "pay_lost");
  const { status, findings } = await reconcile();
  assert.equal(status, 1);
  assert.ok(findings.some(({ outcome, id, reason }) => outcome === "parked" && id === event.object.order.transaction && reason === "account"));
});

test("it is written down who repaired what", async () => {
  const buying = await purchase("top-up-100");
  await act(buying.checkout, "pay_lost");
  await reconcile();
  const [row] = await psql(`select l.operator, l.action, l.detail from shotai.operator_log l join shotai.account a on a.id = l.account where a.user_id = '${buying.user.id}'`);
  assert.equal(row.action, "reconcile");
  assert.equal(JSON.parse(row.detail).object, buying.checkout);
  assert.ok(row.operator);
});

test("the worker does it once a day, and one of several", async () => {
  const buying = await purchase("top-up-500");
  await act(buying.checkout, "pay_lost");
  const claimed = async () => (await psql("select claimed_at > clock_timestamp() - interval '1 minute' as now from shotai.chore where name = 'reconcile'"))[0].now === "t";
  await psql("update shotai.chore set claimed_at = clock_timestamp() - interval '23 hours' where name = 'reconcile'");
  assert.equal(await claimed(), false);
  await psql("update shotai.chore set claimed_at = clock_timestamp() - interval '24 hours' where name = 'reconcile'");
  await boughtSoon(buying.user, 500);
  assert.equal(await claimed(), true);
  const [{ operator }] = await psql(`select l.operator from shotai.operator_log l join shotai.account a on a.id = l.account where a.user_id = '${buying.user.id}'`);
  assert.equal(operator, "worker");
});

test("a Creem that is away stops it, and says so; without a key it does not begin", async () => {
  const run = (overrides) => execute(path.join(env.home, "bin", "shotaictl"), ["reconcile"], { env: { ...env, PATH: process.env.PATH, ...overrides } });
  await purchase("top-up-100");
  const away = await run({ CREEM_API_URL: "http://127.0.0.1:1" });
  assert.equal(away.status, 2);
  assert.match(away.stderr, /payments_unavailable/);
  const wrong = await run({ CREEM_API_KEY: "creem_test_wrong" });
  assert.equal(wrong.status, 2);
  const { CREEM_API_KEY: _, MODERATION: __, ...rest } = env;
  const none = await execute(path.join(env.home, "bin", "shotaictl"), ["reconcile"], { env: { ...rest, PATH: process.env.PATH } });
  assert.deepEqual([none.status, none.stderr], [2, "shotaictl: CREEM_API_KEY is not set\n"]);
});

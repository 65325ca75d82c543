// The stand-in for Creem as its official client and the vendor's strict parser see it. Webhooks are caught by a
// receiver of this file, since every action of the sandbox can name another port on loopback.
import assert from "node:assert/strict";
import { createHmac, randomUUID } from "node:crypto";
import { createServer } from "node:http";
import path from "node:path";
import { after, before, test } from "node:test";
import { Creem } from "creem";
import { constructWebhookEventEntity } from "creem/webhooks";
import { env, execute, pids, psql, request, restart, waitFor } from "./harness.mjs";

const root = `${env.url}/sandbox/creem`;
const creem = new Creem({ apiKey: env.CREEM_API_KEY, serverURL: root });
const monthly = "prod_sandbox_monthly", yearly = "prod_sandbox_yearly", topUp = "prod_sandbox_topup_500";

const caught = []; // { id, body, signature, event } of every delivery, in order
let statusOf = () => 200; // null: no answer at all
const receiver = createServer((incoming, answer) => {
  const chunks = [];
  incoming.on("data", (chunk) => chunks.push(chunk));
  incoming.on("end", () => {
    const body = Buffer.concat(chunks).toString("utf8"), event = JSON.parse(body);
    const delivery = { id: event.id, body, event, headers: incoming.headers, at: Date.now() };
    caught.push(delivery);
    const status = statusOf(delivery);
    if (status !== null) answer.writeHead(status).end();
  });
});
let port;

before(async () => {
  await new Promise((resolve) => receiver.listen(0, "127.0.0.1", resolve));
  port = receiver.address().port;
});
after(() => receiver.close());

async function hook(method, target, body, status = 200) {
  const answer = await request(method, `/sandbox/creem/test${target}`, { body, headers: { "x-api-key": env.CREEM_API_KEY } });
  assert.equal(answer.status, status, answer.text);
  return answer.json;
}

const envelope = (event) => ({ ...event, ...JSON.parse(event.body) });

// An action, and its events once the receiver has them all as often as they are sent.
async function act(id, action, options = {}) {
  const { events } = await hook("POST", `/act/${id}`, { action, port, ...options });
  const sent = events.flatMap((event) => event.deliveries.map(() => event.id));
  await waitFor(() => sent.every((one) => caught.filter(({ id }) => id === one).length >= sent.filter((x) => x === one).length),
    { what: `${action} to be delivered`, timeout: 20_000 });
  return events.map(envelope);
}

const types = (events) => events.map(({ type }) => type);
const arrivals = (events) => caught.filter(({ id }) => events.some((event) => event.id === id));
const newEmail = () => `${randomUUID()}@example.test`;

async function newCheckout(productId, options = {}) {
  return creem.checkouts.create({ productId, requestId: randomUUID(), customer: { email: newEmail() }, ...options });
}

async function buy(productId, action = "pay", options = {}, checkoutOptions = {}) {
  const checkout = await newCheckout(productId, checkoutOptions);
  const events = await act(checkout.id, action, options);
  return { checkout, events, object: events[0]?.object };
}

async function subscribe(productId = monthly) {
  const { events, checkout } = await buy(productId);
  return { id: events[0].object.subscription.id, customer: events[0].object.customer.id, events, checkout };
}

async function refused(promise, status, message) {
  const error = await promise.then(() => assert.fail("it was not refused"), (it) => it);
  assert.equal(error.statusCode, status, String(error));
  const body = JSON.parse(error.body);
  assert.equal(body.status, status);
  assert.match(body.trace_id, /^[0-9a-f-]{36}$/);
  if (message) assert.match(body.message.join("\n"), message);
  else assert.equal(body.message, undefined);
}

const items = async (call) => {
  const all = [];
  for await (const { result } of await call) all.push(...result.items);
  return all;
};

test("a call without a key is 401, with a wrong one 403", async () => {
  const answer = await request("GET", "/sandbox/creem/v1/products/search");
  assert.equal(answer.status, 401);
  assert.deepEqual(Object.keys(answer.json).sort(), ["error", "status", "timestamp", "trace_id"]);
  const stranger = new Creem({ apiKey: "creem_test_wrong", serverURL: root });
  await refused(stranger.products.get(monthly), 403);
  assert.equal((await request("GET", "/sandbox/creem/test/events")).status, 401);
});

test("it refuses to start for an address that is not loopback", async () => {
  const started = { ...env, PUBLIC_URL: "https://shot.example" };
  const { status, stderr } = await execute(path.join(env.home, "sandbox/creem"), ["--check-config"], { env: started });
  assert.notEqual(status, 0);
  assert.match(stderr, /not loopback/);
});

test("products: the catalogue, made, changed, archived, found both ways, page by page", async () => {
  const all = await items(creem.products.search(1, 2));
  for (const id of [monthly, yearly, topUp, "prod_sandbox_topup_100", "prod_sandbox_topup_2000"])
    assert.ok(all.some((product) => product.id === id && product.currency === "EUR"), id);
  const made = await creem.products.create({ name: "Trial", description: "with a trial", price: 900, currency: "USD",
    billingType: "recurring", billingPeriod: "every-year", trialPeriodDays: 7, taxMode: "inclusive" });
  assert.match(made.id, /^prod_[0-9A-Za-z]{22}$/);
  assert.equal((await creem.products.get(made.id)).trialPeriodDays, 7);
  const byQuery = await request("GET", `/sandbox/creem/v1/products?product_id=${made.id}`, { headers: { "x-api-key": env.CREEM_API_KEY } });
  assert.equal(byQuery.json.id, made.id);
  assert.equal((await creem.products.update(made.id, { price: 1000 })).price, 1000);
  assert.equal((await creem.products.archive(made.id)).status, "archived");
  assert.ok((await items(creem.products.search(1, 100, "archived"))).some(({ id }) => id === made.id));
  await refused(newCheckout(made.id), 400, /not active/);
  const once = { name: "Once", description: "made once", price: 500, currency: "EUR", billingType: "onetime" }, key = randomUUID();
  assert.equal((await creem.products.create(once, key)).id, (await creem.products.create(once, key)).id);
  await refused(creem.products.get("prod_unknown"), 404, /not found/);
  await refused(creem.products.create({ name: "x", description: "x", price: 50, currency: "EUR", billingType: "onetime" }), 400, /price/);
  await refused(creem.products.create({ name: "x", description: "x", price: 500, currency: "EUR", billingType: "recurring" }), 400, /billing_period/);
});

test("checkouts: made and read; input is checked as the vendor does", async () => {
  const requestId = randomUUID(), metadata = { account_id: "u_42", nothing: null };
  const made = await newCheckout(topUp, { requestId, metadata, units: 3, successUrl: `${env.url}/account` });
  assert.equal(made.status, "pending");
  assert.equal(made.checkoutUrl, `${root}/checkout/${made.id}`);
  const read = await creem.checkouts.retrieve(made.id);
  assert.deepEqual([read.requestId, read.units, read.metadata, read.product, read.order], [requestId, 3, metadata, topUp, undefined]);
  await refused(creem.checkouts.retrieve("ch_unknown"), 404, /not found/);
  await refused(newCheckout("prod_unknown"), 404, /not found/);
  await refused(newCheckout(topUp, { customer: { id: "cust_x", email: newEmail() } }), 400, /only one/);
  await refused(newCheckout(topUp, { customer: { email: "nobody" } }), 400, /email/);
  await refused(newCheckout(topUp, { units: 0 }), 400, /units/);
  await refused(newCheckout(monthly, { customPrice: 500 }), 400, /custom_price/);
  await refused(newCheckout(topUp, { customPrice: 99 }), 400, /custom_price/);
  await refused(newCheckout(topUp, { discountCode: "NOPE" }), 400, /Discount/);
  await refused(newCheckout(topUp, { successUrl: "javascript:alert(1)" }), 400, /success_url/);
  for (const body of ["{", "[]", '{"product_id":7}', `{"product_id":"${topUp}","surprise":1}`]) {
    const answer = await request("POST", "/sandbox/creem/v1/checkouts", { body, headers: { "x-api-key": env.CREEM_API_KEY } });
    assert.equal(answer.status, 400, body);
  }
});

test("a top-up: one event, whose order and transaction add up; the API tells the same", async () => {
  const { checkout, events, object } = await buy(topUp, "pay", {}, { metadata: { a: 1 }, units: 2 });
  assert.deepEqual(types(events), ["checkout.completed"]);
  assert.deepEqual([object.request_id, object.metadata, object.units, object.status], [checkout.requestId, { a: 1 }, 2, "completed"]);
  const { order } = object;
  assert.deepEqual([order.amount, order.tax_amount, order.amount_paid, order.status, order.type], [2400, 504, 2904, "paid", "onetime"]);
  assert.equal(object.subscription, undefined);
  const transaction = await creem.transactions.getById(order.transaction);
  assert.deepEqual([transaction.amount, transaction.amountPaid, transaction.type, transaction.status, transaction.order],
    [2400, 2904, "payment", "paid", order.id]);
  assert.deepEqual((await items(creem.transactions.search(object.customer.id))).map(({ id }) => id), [order.transaction]);
  assert.equal((await items(creem.transactions.search(undefined, order.id))).length, 1);
  const read = await creem.checkouts.retrieve(checkout.id);
  assert.deepEqual([read.status, read.order.transaction], ["completed", order.transaction]);
  await hook("POST", `/act/${checkout.id}`, { action: "pay" }, 400);
});

test("a checkout that several pay at once is paid once", async () => {
  const { id } = await newCheckout(topUp);
  const pay = () => request("POST", `/sandbox/creem/test/act/${id}`, { body: { action: "pay", port }, headers: { "x-api-key": env.CREEM_API_KEY } });
  const answers = await Promise.all(Array.from({ length: 8 }, pay));
  assert.deepEqual(answers.map(({ status }) => status).sort(), [200, ...Array(7).fill(400)]);
  assert.equal((await hook("GET", `/events?about=${id}`)).items.length, 1);
});

test("transactions/search goes page by page, newest first, also by product", async () => {
  const product = await creem.products.create({ name: "Paged", description: "paged", price: 100, currency: "EUR", billingType: "onetime" });
  const bought = [];
  for (let i = 0; i < 5; i++) bought.unshift((await buy(product.id)).object.order.transaction);
  const pages = [];
  for await (const { result } of await creem.transactions.search(undefined, undefined, product.id, 1, 2)) pages.push(result);
  assert.deepEqual(pages.map(({ items }) => items.length), [2, 2, 1]);
  assert.deepEqual(pages.flatMap(({ items }) => items.map(({ id }) => id)), bought);
  assert.deepEqual(pages[1].pagination, { totalRecords: 5, totalPages: 3, currentPage: 2, nextPage: 3, prevPage: 1 });
});

test("a subscription's first purchase: completed and active, then paid; the first order names no transaction", async () => {
  const { events, id } = await subscribe();
  assert.deepEqual(types(events), ["checkout.completed", "subscription.active", "subscription.paid"]);
  assert.deepEqual(types(arrivals(events).map(({ event }) => ({ type: event.eventType }))), types(events));
  const [completed, active, paid] = events.map(({ object }) => object);
  assert.equal("transaction" in completed.order, false);
  assert.deepEqual([completed.order.type, completed.subscription.product], ["recurring", monthly]);
  assert.equal("last_transaction_id" in active, false);
  const { last_transaction: transaction } = paid;
  assert.equal(paid.last_transaction_id, transaction.id);
  assert.deepEqual([transaction.amount, transaction.tax_amount, transaction.amount_paid, transaction.type, transaction.subscription],
    [1900, 399, 2299, "invoice", id]);
  assert.equal(transaction.period_start, Date.parse(paid.current_period_start_date));
  assert.equal(transaction.period_end, Date.parse(paid.current_period_end_date));
  assert.equal("request_id" in paid, false);
  const read = await creem.subscriptions.get(id);
  assert.deepEqual([read.status, read.lastTransactionId], ["active", transaction.id]);
  assert.ok((await items(creem.subscriptions.search(1, 100))).some((one) => one.id === id));
  await refused(creem.subscriptions.get("sub_unknown"), 404, /not found/);
});

test("pay twice: one payment under other event ids; repeated: the same id and body; shuffled; lost", async () => {
  const twice = await buy(topUp, "pay_twice");
  assert.equal(twice.events.length, 2);
  assert.notEqual(twice.events[0].id, twice.events[1].id);
  assert.equal(twice.events[0].object.order.transaction, twice.events[1].object.order.transaction);

  const repeated = arrivals((await buy(topUp, "pay_repeated")).events);
  assert.equal(repeated.length, 2);
  assert.equal(repeated[0].body, repeated[1].body);

  const shuffled = (await buy(monthly, "pay_shuffled")).events;
  assert.deepEqual(arrivals(shuffled).map(({ event }) => event.eventType), types(shuffled).reverse());

  const lost = (await buy(topUp, "pay_lost")).events;
  assert.deepEqual(lost[0].deliveries, []);
  const partly = (await buy(monthly, "pay", { drop: ["subscription.paid"] })).events;
  assert.deepEqual(partly.map(({ deliveries }) => deliveries.length), [1, 1, 0]);
  await hook("POST", `/events/${lost[0].id}/deliver`, { port });
  await waitFor(() => arrivals(lost).length === 1, { what: "the lost event" });
  assert.equal(arrivals(lost)[0].body, lost[0].body);
});

test("a discount of 100 %: nothing paid, and no transaction for a top-up", async () => {
  const { object } = await buy(topUp, "pay_free");
  assert.deepEqual([object.order.discount_amount, object.order.amount_paid, "transaction" in object.order], [1200, 0, false]);
  const { events } = await buy(monthly, "pay_free");
  assert.equal(events[2].object.last_transaction.amount_paid, 0);
  const half = await buy(topUp, "pay", {}, { discountCode: "SANDBOX50" });
  assert.deepEqual([half.object.order.amount, half.object.order.discount_amount, half.object.order.amount_paid], [1200, 600, 726]);
});

test("trials: trialing, and paid only by the first renewal; a paid trial has an order of its own price", async () => {
  const product = { description: "t", price: 1900, currency: "EUR", billingType: "recurring", billingPeriod: "every-month", trialPeriodDays: 7 };
  const free = await creem.products.create({ ...product, name: "Free trial" });
  const { events } = await buy(free.id);
  assert.deepEqual(types(events), ["checkout.completed", "subscription.active", "subscription.trialing"]);
  assert.deepEqual([events[0].object.order.amount_paid, events[2].object.status], [0, "trialing"]);
  const [paid] = await act(events[2].object.id, "renew");
  assert.deepEqual([paid.type, paid.object.status, paid.object.last_transaction.amount], ["subscription.paid", "active", 1900]);
  const cheap = await creem.products.create({ ...product, name: "Paid trial", trialPrice: 100 });
  const trial = (await buy(cheap.id)).events;
  assert.deepEqual([trial[0].object.order.amount, trial[0].object.order.amount_paid, types(trial).includes("subscription.paid")], [100, 121, false]);
});

test("renewals follow each other without a gap; failing goes past_due, unpaid, canceled; expired says active", async () => {
  const { id, events } = await subscribe();
  const [first] = await act(id, "renew"), [second] = await act(id, "renew");
  assert.equal(first.object.current_period_start_date, events[2].object.current_period_end_date);
  assert.equal(second.object.current_period_start_date, first.object.current_period_end_date);
  const [expired] = await act(id, "expire");
  assert.deepEqual([expired.type, expired.object.status], ["subscription.expired", "active"]);
  const ladder = [];
  for (let i = 0; i < 3; i++) ladder.push(...(await act(id, "fail")));
  assert.deepEqual(ladder.map(({ type, object }) => [type, object.status]), [["subscription.past_due", "past_due"],
    ["subscription.unpaid", "unpaid"], ["subscription.canceled", "canceled"]]);
  assert.equal(ladder[0].object.last_transaction_id, second.object.last_transaction_id);
  assert.ok((await items(creem.transactions.search(ladder[0].object.customer.id))).some(({ status }) => status === "declined"));
  await hook("POST", `/act/${id}`, { action: "renew" }, 400);
  const recovered = await subscribe();
  await act(recovered.id, "fail");
  assert.equal((await act(recovered.id, "renew"))[0].object.status, "active");
});

// What the receiver of this file gets of events that the API caused: they are redelivered to it.
async function caused(subscription, since) {
  const { items: newest } = await hook("GET", `/events?about=${subscription}&limit=20`);
  const fresh = newest.slice(0, newest.findIndex(({ id }) => id === since)).reverse().map(envelope);
  for (const event of fresh) await hook("POST", `/events/${event.id}/deliver`, { port });
  await waitFor(() => fresh.every(({ id }) => caught.some((one) => one.id === id)), { what: "redelivery" });
  return fresh;
}

test("upgrade charges the difference at once in a new cycle; a downgrade and the other behaviours only change", async () => {
  const { id, events } = await subscribe();
  let since = events[2].id;
  const upgraded = await creem.subscriptions.upgrade(id, { productId: yearly });
  assert.equal(upgraded.product.id, yearly);
  const [update, paid] = await caused(id, since);
  assert.deepEqual([update.type, update.object.last_transaction_id], ["subscription.update", events[2].object.last_transaction_id]);
  assert.equal(paid.type, "subscription.paid");
  assert.ok(paid.object.last_transaction.amount >= 17100 && paid.object.last_transaction.amount < 19000);
  since = paid.id;
  await creem.subscriptions.upgrade(id, { productId: monthly });
  assert.deepEqual(types(await caused(id, since)), ["subscription.update"]);

  const other = await subscribe();
  await creem.subscriptions.upgrade(other.id, { productId: yearly, updateBehavior: "proration-none" });
  assert.deepEqual(types(await caused(other.id, other.events[2].id)), ["subscription.update"]);
  assert.equal((await act(other.id, "renew"))[0].object.last_transaction.amount, 19000);

  const seats = await subscribe();
  const [{ id: item }] = (await creem.subscriptions.get(seats.id)).items;
  const updated = await creem.subscriptions.update(seats.id, { items: [{ id: item, units: 3 }] });
  assert.equal(updated.items[0].units, 3);
  assert.deepEqual(types(await caused(seats.id, seats.events[2].id)), ["subscription.update"]);
  assert.ok((await act(seats.id, "renew"))[0].object.last_transaction.amount > 3 * 1900);
  await refused(creem.subscriptions.upgrade(id, { productId: topUp }), 400, /cannot|can be changed/);
});

test("pause, resume, cancel later, resume, cancel: each once and only where it fits", async () => {
  const { id, events } = await subscribe();
  assert.equal((await creem.subscriptions.pause(id)).status, "paused");
  await refused(creem.subscriptions.pause(id), 400, /paused/);
  assert.equal((await creem.subscriptions.resume(id)).status, "active");
  assert.equal((await creem.subscriptions.cancel(id, { mode: "scheduled" })).status, "scheduled_cancel");
  assert.equal((await creem.subscriptions.resume(id)).status, "active");
  assert.equal((await creem.subscriptions.cancel(id, { mode: "immediate" })).status, "canceled");
  await refused(creem.subscriptions.cancel(id, {}), 400, /already canceled/);
  const fresh = await caused(id, events[2].id);
  assert.deepEqual(types(fresh), ["subscription.paused", "subscription.update", "subscription.scheduled_cancel",
    "subscription.update", "subscription.canceled"]);
  const times = [...events.slice(1), ...fresh].map(({ object }) => object.updated_at);
  assert.deepEqual(times, [...new Set(times)].sort(), "updated_at rises with every change");

  const ends = await subscribe();
  await act(ends.id, "cancel_later");
  const [ended] = await act(ends.id, "expire");
  assert.deepEqual([ended.type, ended.object.canceled_at], ["subscription.canceled", ended.object.current_period_end_date]);
  const rests = await subscribe();
  await creem.subscriptions.cancel(rests.id, { mode: "scheduled", onExecute: "pause" });
  assert.equal((await act(rests.id, "expire"))[0].type, "subscription.paused");
});

test("refunds: half, the rest through the API, not twice; a pending one settles without an event", async () => {
  const { object } = await buy(topUp);
  const { transaction } = object.order;
  const [half] = await act(transaction, "refund_half");
  assert.deepEqual([half.type, half.object.refund_amount, half.object.status], ["refund.created", 726, "succeeded"]);
  assert.deepEqual([half.object.transaction.status, half.object.transaction.refunded_amount], ["partialRefund", 726]);
  assert.deepEqual([half.object.checkout.request_id, half.object.order.id, typeof half.object.checkout.product],
    [object.request_id, object.order.id, "string"]);
  assert.equal((await creem.transactions.refund({ transactionId: transaction })).status, "succeeded");
  const done = await creem.transactions.getById(transaction);
  assert.deepEqual([done.status, done.refundedAmount], ["refunded", done.amountPaid]);
  await refused(creem.transactions.refund({ transactionId: transaction }), 400, /cannot be refunded/);
  await refused(creem.transactions.refund({ transactionId: "tran_unknown" }), 404, /not found/);

  const { last_transaction_id: invoice } = (await subscribe()).events[2].object;
  const [pending] = await act(invoice, "refund", { amount: 1000, status: "pending", reason: "duplicate" });
  assert.deepEqual([pending.object.status, pending.object.reason, pending.object.transaction.refunded_amount, pending.object.subscription.status],
    ["pending", "duplicate", null, "active"]);
  await hook("POST", `/refunds/${pending.object.id}/settle`, {});
  assert.equal((await creem.transactions.getById(invoice)).refundedAmount, 1000);
  assert.equal((await hook("GET", `/events?about=${pending.object.id}`)).items.length, 1);
});

test("a dispute takes the whole payment, also after a refund; Creem may announce a refund beside it", async () => {
  const { object } = await buy(topUp);
  await act(object.order.transaction, "refund_half");
  const [dispute, refund] = await act(object.order.transaction, "dispute", { with_refund: true });
  assert.deepEqual([dispute.type, dispute.object.amount, dispute.object.transaction.status], ["dispute.created", 1452, "chargedBack"]);
  assert.deepEqual([refund.type, refund.object.refund_amount, refund.object.reason], ["refund.created", 726, "fraudulent"]);
  const { last_transaction_id: invoice } = (await subscribe()).events[2].object;
  assert.equal((await act(invoice, "dispute"))[0].object.subscription.object, "subscription");
});

test("customers: found by id and by address; the one who pays may have another address", async () => {
  const { object } = await buy(topUp, "pay", { email: "Other.Person@Example.test" });
  assert.equal(object.customer.email, "other.person@example.test");
  assert.equal((await creem.customers.retrieve(object.customer.id)).email, "other.person@example.test");
  assert.equal((await creem.customers.retrieve(undefined, "OTHER.person@example.test")).id, object.customer.id);
  await refused(creem.customers.retrieve(), 400, /one of/);
  await refused(creem.customers.retrieve("cust_unknown"), 404, /not found/);
  const again = await buy(topUp, "pay", {}, { customer: { id: object.customer.id } });
  assert.equal(again.object.customer.id, object.customer.id);
  assert.equal((await creem.customers.getOrders(object.customer.id)).items.length, 2);
  assert.ok((await items(creem.customers.list(1, 100))).some(({ id }) => id === object.customer.id));
  const { id, customer } = await subscribe();
  assert.deepEqual((await creem.customers.listSubscriptions(customer)).items.map((one) => one.id), [id]);
  await refused(creem.customers.generateBillingLinks({ customerId: "cust_unknown" }), 404, /not found/);
});

test("moderation: allow, flag, deny by what the prompt says; down is 503", async () => {
  const decide = async (prompt) => (await creem.moderation.screenPrompt({ prompt, externalId: "g1" })).decision;
  assert.deepEqual([await decide("a boat"), await decide("sandbox:flag a boat"), await decide("a boat sandbox:deny")], ["allow", "flag", "deny"]);
  await refused(decide("sandbox:moderation-down"), 503, /not available/);
  await refused(decide(""), 400, /prompt/);
});

const form = (fields) => ({ body: new URLSearchParams(fields).toString(), headers: { "Content-Type": "application/x-www-form-urlencoded" } });

test("the checkout page pays, and sends the buyer back with the documented signature", async () => {
  const requestId = `r&1=é ${randomUUID()}`;
  const checkout = await newCheckout(monthly, { requestId, successUrl: `${env.url}/account?from=creem` });
  const page = await request("GET", checkout.checkoutUrl);
  assert.equal(page.status, 200);
  assert.match(page.text, /EUR 19\.00[^]*EUR 3\.99[^]*EUR 22\.99/);
  assert.match(page.headers.get("content-security-policy"), /default-src 'none'/);
  assert.doesNotMatch(page.text, /<script|<style| style=| on[a-z]+=/);
  const email = newEmail();
  const paid = await request("POST", checkout.checkoutUrl, form({ action: "pay", email }));
  assert.equal(paid.status, 303);
  const back = new URL(paid.headers.get("location"));
  const told = Object.fromEntries(back.searchParams);
  assert.equal(`${back.origin}${back.pathname}`, `${env.url}/account`);
  assert.deepEqual([told.from, told.request_id, told.checkout_id, told.product_id], ["creem", requestId, checkout.id, monthly]);
  const { signature, from, ...rest } = told;
  const message = Object.keys(rest).sort().map((name) => `${name}=${rest[name]}`).join("&");
  assert.equal(Object.keys(rest).length, 6);
  assert.equal(signature, createHmac("sha256", env.CREEM_API_KEY).update(message).digest("hex"));
  assert.match((await request("GET", checkout.checkoutUrl)).text, /This is paid/);
  const again = await request("POST", checkout.checkoutUrl, form({ action: "pay", email }));
  assert.equal(again.status, 400);
  assert.match(again.text, /Checkout is completed/);
});

test("an abandoned checkout pays nothing, and an unknown one is a page, too", async () => {
  const checkout = await newCheckout(topUp);
  assert.equal((await request("POST", checkout.checkoutUrl, form({ action: "abandon" }))).status, 303);
  assert.match((await request("GET", checkout.checkoutUrl)).text, /abandoned/);
  assert.equal((await creem.checkouts.retrieve(checkout.id)).status, "expired");
  const wrong = await request("POST", (await newCheckout(topUp)).checkoutUrl, form({ action: "pay", email: '"><b>' }));
  assert.equal(wrong.status, 400);
  assert.doesNotMatch(wrong.text, /<b>/);
  assert.equal((await request("GET", `${root}/checkout/ch_unknown`)).status, 404);
  assert.equal((await request("POST", `${root}/checkout/ch_unknown`, form({ action: "pay", email: newEmail() }))).status, 404);
});

test("the portal shows what a customer has and presses only the customer's own buttons", async () => {
  const { id, customer } = await subscribe(), stranger = await subscribe();
  const { customerPortalLink: portal } = await creem.customers.generateBillingLinks({ customerId: customer });
  assert.ok(portal.startsWith(`${root}/portal/`));
  const page = await request("GET", portal);
  assert.match(page.text, /ShotAI monthly/);
  assert.match(page.text, /subscription\.paid/);
  assert.doesNotMatch(page.text, new RegExp(stranger.id));
  assert.doesNotMatch(page.text, /<script|<style| style=| on[a-z]+=/);
  const press = async (fields, status = 303) => assert.equal((await request("POST", portal, form(fields))).status, status, JSON.stringify(fields));
  const status = async () => (await creem.subscriptions.get(id)).status;
  await press({ id: stranger.id, action: "cancel" }, 400);
  assert.equal((await creem.subscriptions.get(stranger.id)).status, "active");
  await press({ id, action: "renew" });
  await press({ id, action: "change", product_id: yearly });
  assert.equal((await creem.subscriptions.get(id)).product.id, yearly);
  for (const [action, expected] of [["pause", "paused"], ["resume", "active"], ["cancel_later", "scheduled_cancel"],
    ["resume", "active"], ["fail", "past_due"], ["renew", "active"], ["expire", "active"], ["cancel", "canceled"]]) {
    await press({ id, action });
    assert.equal(await status(), expected, action);
  }
  await press({ id, action: "pause" }, 400);
  const [last, previous] = await items(creem.transactions.search(customer));
  await press({ id: last.id, action: "refund_half" });
  await press({ id: last.id, action: "refund" });
  await press({ id: previous.id, action: "nonsense" }, 400);
  const [{ id: event }] = (await hook("GET", `/events?about=${id}`)).items;
  await press({ id: event, action: "send" });
  assert.equal((await hook("GET", `/events/${event}`)).deliveries.length, 2);
  assert.equal((await request("GET", `${root}/portal/portal_unknown`)).status, 404);
  assert.match((await request("GET", `${root}/style.css`)).headers.get("content-type"), /text\/css/);
});

test("a delivery is tried again with the same id and body until the answer is 200, after growing pauses", async () => {
  const answers = [500, 202, 200];
  const checkout = await newCheckout(topUp);
  const tried = () => caught.filter(({ event }) => event.object.id === checkout.id);
  statusOf = ({ event }) => (event.object.id === checkout.id ? answers[tried().length - 1] : 200);
  const { events: [{ id }] } = await hook("POST", `/act/${checkout.id}`, { action: "pay", port });
  const done = await waitFor(async () => {
    const { deliveries: [it] } = await hook("GET", `/events/${id}`);
    return it.state === "delivered" && it;
  }, { what: "the third attempt" });
  statusOf = () => 200;
  assert.deepEqual(done.attempts.map(({ status }) => status), answers);
  assert.deepEqual([...new Set(tried().map(({ body }) => body))].length, 1);
  const [first, second, third] = done.attempts.map(({ at }) => Date.parse(at));
  const speed = Number(env.SANDBOX_CREEM_SPEED ?? 30);
  assert.ok(second - first >= 30_000 / speed, `${second - first} ms`);
  assert.ok(third - second >= 60_000 / speed, `${third - second} ms`);
});

test("after five attempts a delivery has failed; it can be sent again", async () => {
  const checkout = await newCheckout(topUp);
  statusOf = ({ event }) => (event.object.id === checkout.id ? 500 : 200);
  const { events: [{ id, deliveries: [{ id: delivery }] }] } = await hook("POST", `/act/${checkout.id}`, { action: "pay", port });
  const state = async () => (await hook("GET", `/events/${id}`)).deliveries[0];
  for (let tries = 1; tries <= 5; tries++) {
    await waitFor(async () => (await state()).attempts.length >= tries, { what: `attempt ${tries}` });
    await psql(`update sandbox_creem.delivery set due_at = clock_timestamp() where id = ${Number(delivery)} and state = 'waiting'`);
  }
  const { state: end, attempts } = await state();
  assert.deepEqual([end, attempts.length], ["failed", 5]);
  statusOf = () => 200;
  await hook("POST", `/events/${id}/deliver`, { port });
  await waitFor(async () => (await hook("GET", `/events/${id}`)).deliveries[1].state === "delivered", { what: "the resent event" });
});

test("a receiver that is away is tried again, too", async () => {
  const gone = createServer();
  await new Promise((resolve) => gone.listen(0, "127.0.0.1", resolve));
  const closed = gone.address().port;
  await new Promise((resolve) => gone.close(resolve));
  const checkout = await newCheckout(topUp);
  const { events: [{ id }] } = await hook("POST", `/act/${checkout.id}`, { action: "pay", port: closed });
  const { attempts, state } = await waitFor(async () => {
    const { deliveries: [it] } = await hook("GET", `/events/${id}`);
    return it.attempts.length > 0 && it;
  }, { what: "an attempt" });
  assert.deepEqual([attempts[0].status, attempts[0].outcome, state], [0, "not_sent", "waiting"]);
});

test("several senders share the work: each event arrives once, those of a customer in order", async () => {
  const checkouts = await Promise.all(Array.from({ length: 12 }, () => newCheckout(monthly)));
  const all = await Promise.all(checkouts.map(({ id }) => hook("POST", `/act/${id}`, { action: "pay", port })));
  const events = all.flatMap((one) => one.events.map(envelope));
  const states = async () => {
    const now = await Promise.all(events.map(({ id }) => hook("GET", `/events/${id}`)));
    return now.every(({ deliveries }) => deliveries[0].state === "delivered");
  };
  await waitFor(states, { what: "36 deliveries" });
  assert.equal(arrivals(events).length, 36);
  for (const one of all) assert.deepEqual(arrivals(one.events).map(({ event }) => event.eventType), types(one.events));
});

test("state and undelivered events outlive a restart", async () => {
  const { id } = await subscribe();
  const checkout = await newCheckout(topUp);
  statusOf = ({ event }) => (event.object.id === checkout.id ? 500 : 200);
  const { events: [{ id: event }] } = await hook("POST", `/act/${checkout.id}`, { action: "pay", port });
  await waitFor(() => caught.some((one) => one.id === event), { what: "the first attempt" });
  await restart("creem");
  statusOf = () => 200;
  await psql(`update sandbox_creem.delivery set due_at = clock_timestamp() where event_id = '${event}' and state = 'waiting'`);
  await waitFor(async () => (await hook("GET", `/events/${event}`)).deliveries[0].state === "delivered", { what: "the next attempt" });
  assert.equal((await creem.subscriptions.get(id)).status, "active");
  assert.equal((await act(id, "renew"))[0].type, "subscription.paid");
});

test("an attempt whose sender was killed is made again", async () => {
  const checkout = await newCheckout(topUp);
  statusOf = ({ event }) => (event.object.id === checkout.id ? null : 200);
  const { events: [{ id }] } = await hook("POST", `/act/${checkout.id}`, { action: "pay", port });
  await waitFor(() => caught.some((one) => one.id === id), { what: "the attempt" });
  const { children } = pids("creem");
  for (const pid of children) process.kill(pid, "SIGKILL");
  statusOf = () => 200;
  await waitFor(() => !pids("creem").children.some((pid) => children.includes(pid)), { what: "the children to be gone" });
  await psql(`update sandbox_creem.lane set busy_until = '-infinity' where id in (select lane from sandbox_creem.event where id = '${id}')`);
  const { attempts } = await waitFor(async () => {
    const { deliveries: [it] } = await hook("GET", `/events/${id}`);
    return it.state === "delivered" && it;
  }, { what: "another attempt" });
  assert.deepEqual(attempts.map(({ number, status }) => [number, status]), [[2, 200]]);
});

test("any event can be made up, also one that Creem does not know yet", async () => {
  const made = await hook("POST", "/events", { type: "future.event", object: { id: "x_1", object: "future" }, port });
  await waitFor(() => caught.some(({ id }) => id === made.id), { what: "the made-up event" });
  assert.equal(caught.find(({ id }) => id === made.id).event.eventType, "future.event");
});

test("the vendor's strict parser accepts every webhook that was sent here, of every type", async () => {
  const seen = new Set();
  for (const { body, headers, event } of caught) {
    if (event.eventType === "future.event") continue;
    const parsed = await constructWebhookEventEntity(body, headers, env.CREEM_WEBHOOK_SECRET);
    assert.equal(parsed.id, event.id);
    seen.add(parsed.eventType);
    await assert.rejects(constructWebhookEventEntity(`${body} `, headers, env.CREEM_WEBHOOK_SECRET));
    assert.equal(headers["creem-signature"], createHmac("sha256", env.CREEM_WEBHOOK_SECRET).update(body).digest("hex"));
  }
  assert.deepEqual([...seen].sort(), ["checkout.completed", "dispute.created", "refund.created", "subscription.active",
    "subscription.canceled", "subscription.expired", "subscription.paid", "subscription.past_due", "subscription.paused",
    "subscription.scheduled_cancel", "subscription.trialing", "subscription.unpaid", "subscription.update"]);
});

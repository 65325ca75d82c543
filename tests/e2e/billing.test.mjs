// Buying: what is sold, the way to the till and back, what was paid, and what an operator may do about it.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { randomUUID } from "node:crypto";

import { api, ctl, env, newUser, pids, psql, request, waitFor } from "./harness.mjs";
import { call, heldGeneration, refused, suspend, withClaims } from "./contract.mjs";
import { assertAudit } from "./faults.mjs";
import {
  DAY, account, act, balanceOf, bought, boughtSoon, catalogue, creem, dispute, fresh, grantedTopUp, invoice, iso, ordersOf, paid, paidSubscription,
  productObject, purchase, refund, subscribed, subscriptionCheckout, subscriptionObject, subscriptionOf, told, topUp,
} from "./payments.mjs";

after(assertAudit);

const checkout = (user, product, headers) => call(user, "POST", "/api/billing/checkout", { product_id: product }, headers);
const idOf = (answer) => answer.json.checkout_url.split("/").pop();

// ---- what is sold

test("products are public, in order, in the reader's language", async () => {
  const { status, json } = await call(null, "GET", "/api/billing/products");
  assert.equal(status, 200);
  const ours = json.items.filter(({ id }) => id in catalogue);
  assert.deepEqual(ours.map(({ id }) => id), Object.keys(catalogue));
  for (const { id, kind, credits, price_cents: price, currency, interval, rollover } of ours) {
    assert.deepEqual([credits, price, currency], [catalogue[id].credits, catalogue[id].price, "EUR"]);
    assert.deepEqual([kind, interval, rollover], id.startsWith("top-up") ? ["top_up", undefined, undefined] : ["subscription", id === "monthly" ? "month" : "year", false]);
  }
  const dutch = await call(null, "GET", "/api/billing/products", undefined, { "Accept-Language": "nl" });
  assert.equal(dutch.json.items.find(({ id }) => id === "monthly").name, "Maandelijks");
});

// ---- the way to the till

test("a checkout is our row first, whose id travels; Creem gets the address, the product and the way back, nothing else", async () => {
  const user = await newUser(), answer = await checkout(user, "top-up-500");
  assert.equal(answer.status, 201);
  assert.equal(answer.headers.get("cache-control"), "no-store");
  const [row] = await psql(`select c.* from shotai.checkout c where c.creem_id = '${idOf(answer)}'`);
  assert.deepEqual([row.state, row.product], ["open", "top-up-500"]);
  const [theirs] = await psql(`select * from sandbox_creem.checkout where id = '${idOf(answer)}'`);
  assert.deepEqual(
    [theirs.request_id, theirs.email, theirs.product_id, theirs.success_url, theirs.units, theirs.metadata, theirs.customer_id, theirs.name, theirs.custom_price],
    [row.id, user.email, catalogue["top-up-500"].creem, `${env.PUBLIC_URL}/billing`, "1", null, null, null, null],
  );
  assert.equal(await bought(user), 0);
});

test("coming back from the till grants nothing", async () => {
  const user = await newUser(), id = idOf(await checkout(user, "top-up-500"));
  await request("GET", `/billing?checkout_id=${id}&order_id=ord_x&customer_id=cust_x&product_id=prod_x&signature=${"0".repeat(64)}`);
  assert.equal(await bought(user), 0);
  await act(id, "abandon");
  assert.equal(await bought(user), 0);
});

test("a purchase from the till to the order", async () => {
  const user = await newUser(), id = idOf(await checkout(user, "top-up-500"));
  const [{ object }] = await act(id, "pay");
  await boughtSoon(user, 500);
  const [order] = await ordersOf(user);
  assert.deepEqual(
    { ...order, id: 0, created_at: 0 },
    {
      id: 0, product_id: "top-up-500", product_name: "500 credits", kind: "top_up", status: "paid", amount_cents: 1452, tax_cents: 252, currency: "EUR", credits: 500,
      refunded_cents: 0, transaction_id: object.order.transaction, order_id: object.order.id, period_start: null, period_end: null, created_at: 0,
    },
  );
  const { items } = (await call(user, "GET", "/api/account/credits")).json;
  assert.deepEqual([items[0].kind, items[0].amount, items[0].order_id], ["grant", 500, order.id]);
  assert.deepEqual((await account(user)).credit_lots.map(({ source, expires_at: end }) => [source, end]), [["welcome", null], ["top_up", null]]);
});

test("who may not buy is told why", async () => {
  const user = await newUser(), body = { product_id: "top-up-100" };
  await refused("unauthenticated", null, "POST", "/api/billing/checkout", body);
  await refused("anonymous_not_allowed", await withClaims(user, { is_anonymous: true }), "POST", "/api/billing/checkout", body);
  await refused("client_not_allowed", await withClaims(user, { client_id: randomUUID() }), "POST", "/api/billing/checkout", body);
  await refused("age_confirmation_required", await newUser({ confirmAge: false }), "POST", "/api/billing/checkout", body);
  await suspend(user);
  await refused("account_suspended", user, "POST", "/api/billing/checkout", body);
  const gone = await newUser();
  await psql(`delete from auth.sessions where user_id = '${gone.id}'`);
  await refused("unauthenticated", gone, "POST", "/api/billing/checkout", body);
});

test("only what is sold can be bought, and only with a body that says so", async () => {
  const user = await newUser();
  for (const product of ["nothing", "MONTHLY", "prod_sandbox_monthly", "x".repeat(64)])
    await refused("product_unknown", user, "POST", "/api/billing/checkout", { product_id: product });
  for (const body of ["", "{", "[]", "{}", '{"product_id":null}', '{"product_id":7}', '{"product_id":""}', `{"product_id":"${"x".repeat(65)}"}`,
    '{"product_id":"monthly","units":3}', '{"product_id":"monthly","price_cents":1}', '{"product_id":"monthly","discount_code":"SANDBOX100"}'])
    await refused("invalid_request", user, "POST", "/api/billing/checkout", body, { "Content-Type": "application/json" });
  await refused("unsupported_media_type", user, "POST", "/api/billing/checkout", "product_id=monthly", { "Content-Type": "application/x-www-form-urlencoded" });
  assert.deepEqual(await psql(`select c.id from shotai.checkout c join shotai.account a on a.id = c.account where a.user_id = '${user.id}'`), []);
});

test("a key opens a checkout once", async () => {
  const user = await newUser(), key = { "Idempotency-Key": randomUUID() };
  const first = await checkout(user, "top-up-100", key), again = await checkout(user, "top-up-100", key);
  assert.deepEqual([first.status, again.status, again.json, again.headers.get("idempotency-replayed")], [201, 201, first.json, "true"]);
  assert.equal(first.headers.get("idempotency-replayed"), null);
  await refused("idempotency_key_reused", user, "POST", "/api/billing/checkout", { product_id: "top-up-500" }, key);
  const others = await checkout(await newUser(), "top-up-100", key);
  assert.notEqual(idOf(others), idOf(first));
  const without = await checkout(user, "top-up-100");
  assert.notEqual(idOf(without), idOf(first));
  for (const bad of ["", "x".repeat(256), "with blank"]) await refused("invalid_request", user, "POST", "/api/billing/checkout", { product_id: "monthly" }, { "Idempotency-Key": bad });
});

test("of the same request sent at once many times, one checkout is opened", async () => {
  const user = await newUser(), key = { "Idempotency-Key": randomUUID() };
  const answers = await Promise.all(Array.from({ length: 6 }, () => checkout(user, "top-up-100", key)));
  const opened = answers.filter(({ status }) => status === 201), codes = answers.filter(({ status }) => status !== 201).map(({ json }) => json.code);
  assert.ok(opened.length >= 1);
  assert.equal(new Set(opened.map(idOf)).size, 1);
  for (const code of codes) assert.ok(["idempotency_in_progress", "payments_unavailable"].includes(code), code);
  assert.equal((await psql(`select count(*) from sandbox_creem.checkout where email = '${user.email}'`))[0].count, "1");
});

test("both of two checkouts that get paid grant, and are listed", async () => {
  const user = await newUser(), one = idOf(await checkout(user, "top-up-100")), two = idOf(await checkout(user, "top-up-100"));
  await Promise.all([act(one, "pay"), act(two, "pay")]);
  await boughtSoon(user, 200);
  assert.equal((await ordersOf(user)).length, 2);
});

// ---- subscriptions

test("a second subscription is refused while one runs; top-ups are not", async () => {
  const sub = await paidSubscription();
  await refused("already_subscribed", sub.user, "POST", "/api/billing/checkout", { product_id: "yearly" });
  await refused("already_subscribed", sub.user, "POST", "/api/billing/checkout", { product_id: "monthly" });
  assert.equal((await checkout(sub.user, "top-up-100")).status, 201);
  await told("applied", "subscription.past_due", subscriptionObject(sub, { status: "past_due", updated_at: iso(Date.now() + 1000) }));
  await refused("already_subscribed", sub.user, "POST", "/api/billing/checkout", { product_id: "monthly" });
  await told("applied", "subscription.canceled", subscriptionObject(sub, { status: "canceled", updated_at: iso(Date.now() + 2000) }));
  assert.equal((await checkout(sub.user, "yearly")).status, 201);
});

test("a subscription is shown as Creem tells it, also with the account", async () => {
  const user = await newUser();
  assert.equal(await subscriptionOf(user), null);
  const id = idOf(await checkout(user, "monthly"));
  const events = await act(id, "pay"), subscription = events.at(-1).object.id;
  await boughtSoon(user, 1000);
  const shown = await subscriptionOf(user);
  assert.deepEqual([shown.id, shown.product_id, shown.status, shown.cancel_at_period_end, shown.lapsed], [subscription, "monthly", "active", false, false]);
  assert.deepEqual((await account(user)).subscription, shown);
  const lot = (await account(user)).credit_lots.find(({ source }) => source === "subscription");
  assert.deepEqual([lot.remaining, lot.expires_at], [1000, shown.current_period_end]);

  await act(subscription, "cancel_later");
  await waitFor(async () => (await subscriptionOf(user)).cancel_at_period_end, { what: "the cancellation" });
  await act(subscription, "resume");
  await waitFor(async () => (await subscriptionOf(user)).status === "active", { what: "the change of mind" });
  await act(subscription, "cancel");
  await waitFor(async () => (await subscriptionOf(user)).status === "canceled", { what: "the end" });
  assert.equal(await bought(user), 1000);
});

test("renewal, upgrade and downgrade through Creem", async () => {
  const user = await newUser(), events = await act(idOf(await checkout(user, "monthly")), "pay"), { id } = events.at(-1).object;
  await boughtSoon(user, 1000);
  await act(id, "change", { product_id: catalogue.yearly.creem });
  await boughtSoon(user, 12_000);
  await waitFor(async () => (await subscriptionOf(user)).product_id === "yearly", { what: "the other plan" });
  await act(id, "change", { product_id: catalogue.monthly.creem, update_behavior: "proration-none" });
  await waitFor(async () => (await subscriptionOf(user)).product_id === "monthly", { what: "the first plan" });
  assert.equal(await bought(user), 12_000);
  assert.ok((await ordersOf(user)).length >= 2);
});

test("credits of a plan that rolls over outlast its period; the others do not", async () => {
  const product = fresh("plan").replace("_", "-"), theirs = fresh("prod");
  assert.equal((await ctl("product", "add", product, "--kind", "subscription", "--interval", "month", "--name", "Rolling", "--rollover", "on", "--creem", theirs)).status, 0);
  assert.equal((await ctl("product", "price", product, "--credits", "70", "--cents", "700", "--currency", "EUR")).status, 0);
  const roll = subscribed(await purchase("monthly"), { start: Date.now() - 40 * DAY }), other = await paidSubscription("monthly", { start: Date.now() - 40 * DAY });
  const object = { ...productObject("monthly"), id: theirs };
  await told("applied", "checkout.completed", subscriptionCheckout(roll));
  await told("applied", "subscription.paid", paid(roll, invoice(roll, { amount: 700 }), { product: object, items: [] }));
  assert.equal(await bought(roll.user), 70);
  assert.equal(await bought(other.user), 0);
  assert.equal((await ctl("product", "set", product, "--enabled", "off")).status, 0);
});

// ---- the portal

test("the portal opens after the first purchase, also for a suspended account", async () => {
  const user = await newUser();
  await refused("not_found", user, "POST", "/api/billing/portal");
  await act(idOf(await checkout(user, "top-up-100")), "pay");
  await boughtSoon(user, 100);
  const answer = await call(user, "POST", "/api/billing/portal");
  assert.equal(answer.status, 201);
  assert.match(answer.json.url, new RegExp(`^${env.PUBLIC_URL}/sandbox/creem/portal/`));
  assert.equal((await request("GET", answer.json.url)).status, 200);
  await suspend(user);
  assert.equal((await call(user, "POST", "/api/billing/portal")).status, 201);
  await refused("unauthenticated", null, "POST", "/api/billing/portal");
  await refused("client_not_allowed", await withClaims(user, { client_id: randomUUID() }), "POST", "/api/billing/portal");
  const withBody = await call(user, "POST", "/api/billing/portal", { customer_id: "cust_of_somebody" });
  assert.equal(withBody.status, 413);
});

// ---- orders

test("orders come in pages, newest first, in the reader's language, and are nobody else's", async () => {
  const user = await newUser(), bought = [];
  for (const product of ["top-up-100", "top-up-500", "top-up-2000"]) bought.unshift((await grantedTopUp(product, user)).transaction.id);
  const pages = [];
  for (let cursor = ""; cursor !== null; ) {
    const { json } = await call(user, "GET", `/api/billing/orders?limit=2${cursor && `&cursor=${encodeURIComponent(cursor)}`}`);
    pages.push(json.items);
    cursor = json.next_cursor;
  }
  assert.deepEqual(pages.map(({ length }) => length), [2, 1]);
  assert.deepEqual(pages.flat().map(({ transaction_id: id }) => id), bought);
  const dutch = (await call(user, "GET", "/api/billing/orders", undefined, { "Accept-Language": "nl" })).json.items;
  assert.equal(dutch[0].product_name, "2.000 credits");
  assert.deepEqual(await ordersOf(await newUser()), []);
  for (const query of ["limit=0", "limit=101", "limit=x", "cursor=x", "cursor="]) await refused("invalid_request", user, "GET", `/api/billing/orders?${query}`);
  await refused("unauthenticated", null, "GET", "/api/billing/orders");
  await refused("unauthenticated", null, "GET", "/api/billing/subscription");
});

test("a subscription's answer carries a tag", async () => {
  const { user } = await paidSubscription(), answer = await call(user, "GET", "/api/billing/subscription");
  const again = await call(user, "GET", "/api/billing/subscription", undefined, { "If-None-Match": answer.headers.get("etag") });
  assert.equal(again.status, 304);
});

// ---- settings of mail

test("receipts and announcements are switched one by one, and start as off", async () => {
  const user = await newUser(), notifications = async () => (await account(user)).notifications;
  const change = (body) => call(user, "PATCH", "/api/account", body);
  assert.deepEqual(await notifications(), { receipts: false, announcements: false });
  assert.deepEqual((await change({ notifications: { receipts: true } })).json.notifications, { receipts: true, announcements: false });
  assert.deepEqual((await change({ notifications: { announcements: true }, locale: "nl" })).json.notifications, { receipts: true, announcements: true });
  for (const body of [{}, { notifications: {} }, { notifications: null }, { notifications: { receipts: null } }])
    assert.deepEqual((await change(body)).json.notifications, { receipts: true, announcements: true });
  assert.deepEqual((await change({ notifications: { receipts: false, announcements: false } })).json.notifications, { receipts: false, announcements: false });
  assert.equal((await account(user)).locale, "nl");
  for (const body of [{ notifications: true }, { notifications: { receipts: "yes" } }, { notifications: { news: true } }, { notifications: [] }, { receipts: true }])
    await refused("invalid_request", user, "PATCH", "/api/account", body);
});

// ---- refunds and disputes

test("a refund takes back in proportion while a job that spent from the lot is running; what comes back is taken as well", async () => {
  const { user, transaction } = await grantedTopUp("top-up-100");
  await psql(`select shotai.adjust_credits('${user.id}', -50, 'welcome away', 'test')`);
  const models = (await api(user, "GET", "/api/models")).json.items, { credits, id: model } = models[0];
  const held = await heldGeneration(user, { model, count: 4 });
  assert.equal(await balanceOf(user), 100 - 4 * credits);
  await told("applied", "refund.created", refund(transaction, transaction.amount_paid));
  assert.equal(await balanceOf(user), 0);
  assert.equal((await call(user, "DELETE", `/api/generate/${held}`)).status, 200);
  assert.equal(await balanceOf(user), 0);
  assert.equal((await ordersOf(user))[0].status, "refunded");
});

test("a dispute takes everything back, cancels what is queued, and stops spending until it is closed", async () => {
  const { user, transaction } = await grantedTopUp("top-up-500"), spare = await heldGeneration(user), opened = dispute(transaction);
  await told("applied", "dispute.created", opened);
  assert.equal(await bought(user), 0);
  assert.equal((await call(user, "GET", `/api/generate/${spare}`)).json.status, "canceled");
  assert.equal((await ordersOf(user))[0].status, "disputed");
  await refused("account_suspended", user, "POST", "/api/generate", { model: "gpt-image-1-mini", prompt: "x" });
  await refused("account_suspended", user, "POST", "/api/billing/checkout", { product_id: "top-up-100" });
  assert.equal((await call(user, "GET", "/api/history")).status, 200);
  assert.match((await ctl("dispute", "list", "--open")).stdout, new RegExp(opened.id));
  assert.equal((await ctl("dispute", "won", opened.id)).status, 2);
  const won = await ctl("dispute", "won", opened.id, "--reason", "the bank agreed");
  assert.equal(won.status, 0, won.stderr);
  assert.equal(await bought(user), 500);
  assert.equal((await account(user)).status, "active");
  assert.equal((await ctl("dispute", "won", opened.id, "--reason", "again")).status, 1);

  const second = await grantedTopUp("top-up-100", user), again = dispute(second.transaction);
  await told("applied", "dispute.created", again);
  const lost = await ctl("dispute", "lost", again.id, "--reason", "it was fraud");
  assert.equal(lost.status, 0, lost.stderr);
  assert.equal(await bought(user), 500);
  assert.equal((await account(user)).status, "active");
});

// ---- operators

test("an operator sees events, shows one, and replays it after the fix", async () => {
  const buying = await purchase("top-up-100"), theirs = fresh("prod"), ours = fresh("later").replace("_", "-"), id = fresh("evt");
  const object = { ...productObject("top-up-100"), id: theirs };
  await told("parked", "checkout.completed", topUp(buying, { product: object, order: { product: theirs } }), { id });
  const list = await ctl("webhooks", "list", "--state", "parked", "--limit", "500");
  assert.match(list.stdout, new RegExp(`${id} +parked +checkout\\.completed +product`));
  const shown = await ctl("webhooks", "show", id);
  assert.match(shown.stdout, /^state +parked$/m);
  assert.match(shown.stdout, new RegExp(`^raw .*${theirs}`, "m"));
  assert.match((await ctl("webhooks", "replay", id)).stdout, /parked/);
  assert.equal((await ctl("product", "add", ours, "--kind", "top_up", "--name", "Late", "--creem", theirs)).status, 0);
  assert.equal((await ctl("product", "price", ours, "--credits", "77", "--cents", "300", "--currency", "EUR")).status, 0);
  assert.equal(await bought(buying.user), 77);
  assert.match((await ctl("webhooks", "replay", id)).stdout, /duplicate/);
  assert.equal(await bought(buying.user), 77);
  assert.equal((await ctl("webhooks", "show", fresh("evt"))).status, 1);
  assert.equal((await ctl("product", "set", ours, "--enabled", "off")).status, 0);
});

test("an operator says whose an id of Creem is", async () => {
  const user = await newUser(), lost = { product: "top-up-100", user, checkout: fresh("ch"), customer: fresh("cust"), request: undefined, email: "other@example.com" };
  await told("parked", "checkout.completed", topUp(lost));
  const linked = await ctl("webhooks", "link", "checkout", lost.checkout, user.email, "--reason", "asked for it");
  assert.equal(linked.status, 0, linked.stderr);
  assert.match(linked.stdout, /1 parked/);
  assert.equal(await bought(user), 100);
});

test("a price is a version with a date: what was paid before keeps its own", async () => {
  const ours = fresh("p").replace("_", "-"), theirs = fresh("prod"), object = { ...productObject("top-up-100"), id: theirs };
  const price = (credits, ...more) => ctl("product", "price", ours, "--credits", String(credits), "--cents", "300", "--currency", "EUR", ...more);
  assert.equal((await ctl("product", "add", ours, "--kind", "top_up", "--name", "Priced", "--name-nl", "Geprijsd", "--creem", theirs)).status, 0);
  assert.equal((await price(10)).status, 0);
  const early = topUp(await purchase("top-up-100"), { product: object, order: { product: theirs, created_at: iso(Date.now()) } });
  const buying = await purchase("top-up-100");
  assert.equal((await price(20)).status, 0);
  await told("applied", "checkout.completed", { ...early, id: buying.checkout, request_id: buying.request });
  assert.equal(await bought(buying.user), 10);
  const late = await purchase("top-up-100");
  await told("applied", "checkout.completed", topUp(late, { product: object, order: { product: theirs } }));
  assert.equal(await bought(late.user), 20);
  const product = async () => (await call(null, "GET", "/api/billing/products")).json.items.find(({ id }) => id === ours);
  assert.equal((await product()).credits, 20);
  assert.equal((await price(30, "--from", "2099-01-01T00:00:00Z")).status, 0);
  assert.equal((await product()).credits, 20);
  assert.notEqual((await price(5, "--from", "2020-01-01T00:00:00Z")).status, 0);
  for (const bad of [["0"], ["x"], ["-5"]]) assert.equal((await price(...bad)).status, 2);
  assert.equal((await ctl("product", "set", ours, "--enabled", "off")).status, 0);
  assert.equal(await product(), undefined);
  await refused("product_unknown", buying.user, "POST", "/api/billing/checkout", { product_id: ours });
});

test("models are priced and switched by an operator", async () => {
  const model = async () => (await call(null, "GET", "/api/models")).json.items.find(({ id }) => id === "gpt-image-1.5"), before = await model();
  try {
    assert.equal((await ctl("model", "price", "gpt-image-1.5", "9")).status, 0);
    assert.equal((await model()).credits, 9);
    assert.equal((await ctl("model", "disable", "gpt-image-1.5")).status, 0);
    assert.equal((await model()).available, false);
    await refused("model_unavailable", await newUser(), "POST", "/api/generate", { model: "gpt-image-1.5", prompt: "x" });
  } finally {
    assert.equal((await ctl("model", "enable", "gpt-image-1.5")).status, 0);
    assert.equal((await ctl("model", "price", "gpt-image-1.5", String(before.credits))).status, 0);
  }
  assert.deepEqual(await model(), before);
  assert.match((await ctl("model", "list")).stdout, /^gpt-image-1\.5 .* 9 /m);
  assert.equal((await ctl("model", "enable", "nothing")).status, 1);
});

test("an operator corrects credits, with a reason, and never below nothing", async () => {
  const user = await newUser(), adjust = (amount) => ctl("credits", "adjust", user.email, amount, "--reason", "a correction");
  assert.equal((await adjust("7")).status, 0);
  assert.equal(await balanceOf(user), 57);
  assert.equal((await adjust("-50")).status, 0);
  assert.equal(await balanceOf(user), 7);
  const less = await adjust("-8");
  assert.equal(less.status, 1);
  assert.match(less.stderr, /insufficient_credits/);
  for (const bad of ["0", "x", "1.5", ""]) assert.equal((await adjust(bad)).status, 2);
  assert.equal((await ctl("credits", "adjust", user.email, "5")).status, 2);
});

test("each of these is in the operator's log, with who did it", async () => {
  const actions = (await psql("select distinct action from shotai.operator_log where operator <> ''")).map(({ action }) => action);
  for (const action of ["set_product", "set_product_price", "set_model_price", "set_model_enabled", "adjust_credits", "close_dispute", "replay_event", "link_creem"])
    assert.ok(actions.includes(action), action);
});

test("only what is of this mode counts, unless the operator says that it is in earnest", async () => {
  const buying = await purchase("top-up-100");
  await told("ignored", "checkout.completed", topUp(buying, { mode: "prod" }));
  assert.equal((await ctl("billing", "live", "on")).status, 0);
  try {
    await told("ignored", "checkout.completed", topUp(buying));
    await told("applied", "checkout.completed", topUp(buying, { mode: "prod" }));
    assert.equal(await bought(buying.user), 100);
  } finally {
    assert.equal((await ctl("billing", "live", "off")).status, 0);
  }
  assert.equal((await ctl("billing", "live", "maybe")).status, 2);
});

// ---- Creem away

test("a Creem that does not answer costs five seconds and at most half of the processes", async () => {
  const users = await Promise.all(Array.from({ length: 12 }, () => newUser()));
  const stopped = [pids("creem").parent, ...pids("creem").children];
  for (const pid of stopped) process.kill(pid, "SIGSTOP");
  const key = { "Idempotency-Key": randomUUID() };
  let answers;
  try {
    const buy = async (user) => {
      const start = performance.now(), answer = await checkout(user, "top-up-100", key);
      return { answer, ms: performance.now() - start };
    };
    const waiting = Promise.all(users.map(buy));
    // Once the places are taken the others still answer.
    await waitFor(async () => Number((await psql("select count(*) from shotai.checkout where state = 'created'"))[0].count) >= 4, { what: "calls to Creem" });
    const start = performance.now();
    for (let i = 0; i < 20; i++) assert.equal((await call(users[0], "GET", "/api/billing/orders")).status, 200);
    assert.ok(performance.now() - start < 3000);
    answers = await waiting;
  } finally {
    for (const pid of stopped) process.kill(pid, "SIGCONT");
  }
  for (const { answer } of answers) {
    assert.deepEqual([answer.status, answer.json.code], [503, "payments_unavailable"]);
    assert.ok(Number(answer.headers.get("retry-after")) >= 1);
  }
  const long = answers.filter(({ ms }) => ms > 2500), half = pids("billing").children.length / 2;
  assert.equal(long.length, half);
  for (const { ms } of long) assert.ok(ms > 4500 && ms < 9000, `${ms} ms`);
  // Never posted again: the same key opens a fresh row.
  const retired = await psql("select id from shotai.checkout where state = 'retired'");
  assert.ok(retired.length >= half);
  await waitFor(async () => (await request("GET", "/healthz/billing")).status === 200);
  const again = await waitFor(async () => {
    const answer = await checkout(users[0], "top-up-100", key);
    return answer.status === 201 && answer;
  }, { what: "Creem to be back" });
  const [row] = await psql(`select id from shotai.checkout where creem_id = '${idOf(again)}'`);
  assert.ok(!retired.some(({ id }) => id === row.id));
});

test("a checkout whose answer was lost and that is paid after all grants", async () => {
  const user = await newUser(), opened = await purchase("top-up-100", user);
  await psql(`update shotai.checkout set state = 'retired' where creem_id = '${opened.checkout}'`);
  await psql(`update shotai.checkout set creem_id = null, url = null where creem_id = '${opened.checkout}'`);
  await told("applied", "checkout.completed", topUp(opened));
  assert.equal(await bought(user), 100);
});

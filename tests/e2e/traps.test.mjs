// Creem's 21 traps, each by name, through HTTP: events as its documents show them, signed by its own library. What the
// stand-in would never send is sent here.
import assert from "node:assert/strict";
import { after, test } from "node:test";

import { ctl, env, newUser, psql, request } from "./harness.mjs";
import { assertAudit } from "./faults.mjs";
import { withProgram } from "./fastcgi.mjs";
import {
  DAY, act, account, balanceOf, bought, catalogue, customerObject, deliver, dispute, event, fresh, generateSignature, grantedTopUp, invoice, iso,
  orderObject, ordersOf, paid, paidSubscription, payment, productObject, purchase, refund, stateOf, subscribed, subscriptionCheckout,
  subscriptionObject, subscriptionOf, tell, told, topUp,
} from "./payments.mjs";

after(assertAudit);

const entriesOf = async (user) => (await psql(`
  select kind, amount from shotai.credit_entry e join shotai.account a on a.id = e.account
  where a.user_id = '${user.id}' and kind <> 'grant' or a.user_id = '${user.id}' and e.order_id is not null order by number`));
const grantsOf = async (user) => (await entriesOf(user)).filter(({ kind }) => kind === "grant").length;

test("1: of the three events of a first period only subscription.paid grants", async () => {
  const sub = subscribed(await purchase("monthly")), transaction = invoice(sub);
  await told("applied", "checkout.completed", subscriptionCheckout(sub));
  assert.equal(await bought(sub.user), 0);
  await told("applied", "subscription.active", subscriptionObject(sub));
  assert.equal(await bought(sub.user), 0);
  await told("applied", "subscription.paid", paid(sub, transaction));
  assert.equal(await bought(sub.user), 1000);
  assert.equal(await grantsOf(sub.user), 1);
});

test("2: a key that events should share may be missing: an order without its transaction, then with it, is one payment", async () => {
  const buying = await purchase("top-up-500"), first = topUp(buying, { order: { transaction: undefined } });
  assert.equal("transaction" in JSON.parse(JSON.stringify(first)).order, false);
  await told("applied", "checkout.completed", first);
  const second = { ...first, order: { ...first.order, transaction: fresh("tran") } };
  await told("applied", "checkout.completed", second);
  assert.equal(await bought(buying.user), 500);
  const orders = await ordersOf(buying.user);
  assert.deepEqual(orders.map(({ transaction_id: id }) => id), [second.order.transaction]);
  // The same of a subscription: its order comes without, its invoice with.
  const sub = subscribed(await purchase("monthly", buying.user));
  await told("applied", "checkout.completed", subscriptionCheckout(sub));
  await told("applied", "subscription.paid", paid(sub, invoice(sub)));
  assert.equal(await bought(buying.user), 1500);
});

test("3: one payment under other event ids, and an old transaction on later events, grant nothing again", async () => {
  const sub = await paidSubscription();
  await told("applied", "subscription.paid", paid(sub, sub.transaction));
  for (const [type, status] of [["update", "active"], ["past_due", "past_due"], ["scheduled_cancel", "scheduled_cancel"], ["canceled", "canceled"]])
    await told("applied", `subscription.${type}`, paid(sub, sub.transaction, { status, updated_at: iso(Date.now()) }));
  const { user, object } = await grantedTopUp("top-up-100", sub.user);
  await told("applied", "checkout.completed", object);
  assert.equal(await bought(user), 1100);
  assert.equal((await ordersOf(user)).length, 2);
});

test("4: an event is stored and applied in one transaction, or not at all", async () => {
  const buying = await purchase("top-up-500"), body = JSON.stringify(event("checkout.completed", topUp(buying))), { id } = JSON.parse(body);
  const name = `trap4_${fresh("x")}`;
  await psql(`
    create function shotai.${name}() returns trigger language plpgsql as $$ begin raise exception 'no' using errcode = 'insufficient_resources'; end $$;
    create trigger ${name} before insert on shotai.credit_entry for each row
      when (new.account = ${(await psql(`select id from shotai.account where user_id = '${buying.user.id}'`))[0].id}) execute function shotai.${name}();`);
  try {
    const failed = await deliver(body);
    assert.equal(failed.status, 503);
    assert.equal(failed.json.code, "database_unavailable");
    assert.ok(Number(failed.headers.get("retry-after")) >= 1);
    assert.equal(await stateOf(id), undefined);
  } finally {
    await psql(`drop function shotai.${name}() cascade`);
  }
  assert.equal(await bought(buying.user), 0);
  assert.equal((await deliver(body)).json.outcome, "applied");
  assert.equal((await deliver(body)).json.outcome, "duplicate");
  assert.equal(await bought(buying.user), 500);
});

test("5: an upgrade in the middle of a period grants the difference, whatever it cost", async () => {
  const sub = await paidSubscription("monthly", { start: Date.now() - 10 * DAY });
  assert.equal(await bought(sub.user), 1000);
  const yearly = { ...sub, product: "yearly", start: Date.now() - 1000, days: 365 };
  await told("applied", "subscription.update", subscriptionObject(yearly, { updated_at: iso(Date.now()) }));
  assert.equal(await bought(sub.user), 1000);
  await told("applied", "subscription.paid", paid(yearly, invoice(yearly, { amount: 17_733 })));
  assert.equal(await bought(sub.user), 12_000);
  // proration-none: another product, no payment.
  await told("applied", "subscription.update", subscriptionObject({ ...sub, start: yearly.start }, { updated_at: iso(Date.now() + 1000) }));
  assert.equal(await bought(sub.user), 12_000);
  assert.equal((await subscriptionOf(sub.user)).product_id, "monthly");
});

test("6: a paid trial is no period", async () => {
  const sub = subscribed(await purchase("monthly"), { days: 7 }), trial = invoice(sub, { amount: 100 });
  await told("applied", "checkout.completed", subscriptionCheckout(sub, { order: orderObject(sub, { id: sub.order, amount: 100, transaction: trial.id }) }));
  await told("applied", "subscription.trialing", subscriptionObject(sub, { status: "trialing" }));
  await told("applied", "subscription.paid", paid(sub, trial, { status: "trialing" }));
  assert.equal(await bought(sub.user), 0);
  assert.equal((await subscriptionOf(sub.user)).status, "trialing");
  const first = invoice({ ...sub, days: 30 }, { period_start: sub.start + 7 * DAY, period_end: sub.start + 37 * DAY, created_at: sub.start + 7 * DAY });
  await told("applied", "subscription.paid", paid(sub, first));
  assert.equal(await bought(sub.user), 1000);
});

test("7: with a 100 % discount nothing is paid, there may be no transaction, and it is granted once", async () => {
  const buying = await purchase("top-up-500");
  const free = topUp(buying, { order: { transaction: null, discount_amount: 1200, tax_amount: 0, amount_due: 0, amount_paid: 0 } });
  await told("applied", "checkout.completed", free);
  await told("applied", "checkout.completed", free);
  assert.equal(await bought(buying.user), 500);
  const [order] = await ordersOf(buying.user);
  assert.deepEqual([order.status, order.amount_cents, order.credits, order.transaction_id], ["paid", 0, 500, null]);
  const sub = subscribed(await purchase("monthly", buying.user));
  await told("applied", "checkout.completed", subscriptionCheckout(sub));
  const none = { last_transaction_id: null, last_transaction: null, last_transaction_date: null };
  await told("applied", "subscription.paid", paid(sub, invoice(sub), none));
  await told("applied", "subscription.paid", paid(sub, invoice(sub, { amount: 0 }), {}));
  assert.equal(await bought(buying.user), 1500);
});

test("8: units multiply, and a price of the buyer's own scales", async () => {
  const three = await purchase("top-up-100");
  await told("applied", "checkout.completed", topUp(three, { units: 3, order: { amount: 900 } }));
  assert.equal(await bought(three.user), 300);
  const half = await purchase("top-up-100");
  await told("applied", "checkout.completed", topUp(half, { custom_price: 150, order: { amount: 150 } }));
  assert.equal(await bought(half.user), 50);
  const generous = await purchase("top-up-100");
  await told("applied", "checkout.completed", topUp(generous, { custom_price: 99_999, order: { amount: 99_999 } }));
  assert.equal(await bought(generous.user), 100);
  const seats = subscribed(await purchase("monthly"));
  await told("applied", "checkout.completed", subscriptionCheckout(seats));
  const items = [{ id: "sitem_1", object: "subscription_item", mode: "test", product_id: catalogue.monthly.creem, price_id: "pprice_1", units: 4 }];
  await told("applied", "subscription.paid", paid(seats, invoice(seats, { amount: 7600 }), { items }));
  assert.equal(await bought(seats.user), 4000);
});

test("9: what was paid, a name and metadata decide nothing; our row of the product does", async () => {
  const buying = await purchase("top-up-500");
  const lies = { credits: 1_000_000, account_id: (await newUser()).id, product: "yearly" };
  await told("applied", "checkout.completed", topUp(buying, {
    metadata: lies, product: productObject("top-up-500", { name: "Top-up 1000000", price: 99, metadata: lies }),
    order: { discount_amount: 600, sub_total: 600, amount_due: 726, amount_paid: 726, fx_amount: 800, fx_currency: "USD", fx_rate: 1.1 },
  }));
  assert.equal(await bought(buying.user), 500);
});

test("10: partial refunds take back in proportion, in any order, however often they are told", async () => {
  const { user, transaction, object } = await grantedTopUp("top-up-500");
  assert.equal(transaction.amount_paid, 1452);
  const first = refund(transaction, 726), second = refund(transaction, 363, { before: 726 });
  await told("applied", "refund.created", second, { id: "evt_" + fresh("b") });
  assert.equal(await bought(user), 500 - Math.ceil(500 * 1089 / 1452));
  await told("applied", "refund.created", first);
  await told("applied", "refund.created", first);
  await told("applied", "refund.created", second);
  assert.equal(await bought(user), 125);
  const [order] = await ordersOf(user);
  assert.deepEqual([order.status, order.refunded_cents], ["partially_refunded", 1089]);
  // One that is not final takes nothing.
  await told("applied", "refund.created", refund(transaction, 363, { status: "pending", transaction: { ...transaction, refunded_amount: 1089 } }));
  assert.equal(await bought(user), 125);
  await told("applied", "refund.created", refund(transaction, 363, { before: 1089 }));
  assert.equal(await bought(user), 0);
  assert.equal((await ordersOf(user))[0].status, "refunded");
  await told("applied", "checkout.completed", object);
  assert.equal(await bought(user), 0);
});

test("11: a refund before its grant counts, and a dispute after a refund takes nothing twice", async () => {
  const buying = await purchase("top-up-500"), object = topUp(buying), transaction = payment(object);
  const early = refund(transaction, 726, { checkout: { id: buying.checkout, object: "checkout", request_id: buying.request, product: catalogue["top-up-500"].creem } });
  await told("applied", "refund.created", early);
  assert.equal(await bought(buying.user), 0);
  await told("applied", "checkout.completed", object);
  assert.equal(await bought(buying.user), 250);
  await told("applied", "dispute.created", dispute(transaction));
  assert.equal(await bought(buying.user), 0);
  assert.equal((await account(buying.user)).status, "suspended");
  await told("applied", "refund.created", refund(transaction, 726, { before: 726 }));
  assert.equal(await bought(buying.user), 0);
  const taken = (await entriesOf(buying.user)).filter(({ kind }) => kind === "revoke").reduce((sum, { amount }) => sum + Number(amount), 0);
  assert.equal(-taken, (await entriesOf(buying.user)).filter(({ kind }) => kind === "grant").reduce((sum, { amount }) => sum + Number(amount), 0));
});

test("12: the refund of an old period leaves the running one alone", async () => {
  const sub = await paidSubscription("monthly", { start: Date.now() - 31 * DAY });
  assert.equal(await bought(sub.user), 0); // its period is over
  const renewal = invoice(sub, { period: 1 });
  await told("applied", "subscription.paid", paid(sub, renewal));
  assert.equal(await bought(sub.user), 1000);
  await told("applied", "refund.created", refund(sub.transaction, sub.transaction.amount_paid));
  assert.equal(await bought(sub.user), 1000);
  assert.equal((await subscriptionOf(sub.user)).status, "active");
  await told("applied", "refund.created", refund(renewal, renewal.amount_paid));
  assert.equal(await bought(sub.user), 0);
});

test("13: expired is not canceled, and canceled_at says nothing", async () => {
  const sub = await paidSubscription();
  await told("applied", "subscription.active", subscriptionObject(sub, { canceled_at: iso(Date.now()), updated_at: iso(Date.now() + 1000) }));
  assert.deepEqual([(await subscriptionOf(sub.user)).status, (await subscriptionOf(sub.user)).lapsed], ["active", false]);
  await told("applied", "subscription.expired", subscriptionObject(sub, { status: "active", updated_at: iso(Date.now() + 2000) }));
  assert.deepEqual([(await subscriptionOf(sub.user)).status, (await subscriptionOf(sub.user)).lapsed], ["active", true]);
  await told("applied", "subscription.paid", paid(sub, invoice(sub, { period: 1 })));
  assert.deepEqual([(await subscriptionOf(sub.user)).status, (await subscriptionOf(sub.user)).lapsed], ["active", false]);
  await told("applied", "subscription.canceled", subscriptionObject(sub, { status: "canceled", updated_at: iso(Date.now() + 3000) }));
  assert.equal((await subscriptionOf(sub.user)).status, "canceled");
});

test("14: state is the newest by its own clock, not by arrival, and canceled stays", async () => {
  const sub = await paidSubscription(), at = (minutes) => iso(sub.start + minutes * 60_000);
  const tellState = (status, minutes) => told("applied", `subscription.${status === "active" ? "update" : status}`, subscriptionObject(sub, { status, updated_at: at(minutes) }));
  await tellState("past_due", 20);
  await tellState("active", 10);
  assert.equal((await subscriptionOf(sub.user)).status, "past_due");
  await tellState("active", 30);
  await tellState("past_due", 25);
  assert.equal((await subscriptionOf(sub.user)).status, "active");
  await tellState("canceled", 40);
  await tellState("active", 50);
  assert.equal((await subscriptionOf(sub.user)).status, "canceled");
  const again = await purchase("monthly", sub.user); // canceled is over: a new one may begin
  assert.ok(again.checkout);
});

test("15: what belongs to nobody yet is kept and answered 200, and applied once it is known", async () => {
  const sub = subscribed(await purchase("monthly")), early = event("subscription.paid", paid(sub, invoice(sub)));
  assert.equal((await deliver(JSON.stringify(early))).json.outcome, "parked");
  assert.equal(await bought(sub.user), 0);
  await told("applied", "checkout.completed", subscriptionCheckout(sub));
  assert.equal(await bought(sub.user), 1000);
  assert.equal(await stateOf(early.id), "applied");
  assert.equal((await deliver(JSON.stringify(early))).json.outcome, "duplicate");
  for (const type of ["credits.granted", "customer_credits.exhausted", "subscription.surprise", "checkout.expired", "x"])
    await told("ignored", type, { id: fresh("any"), object: "any", mode: "test" });
  const stranger = { ...topUp({ ...sub, product: "top-up-100", checkout: fresh("ch"), customer: fresh("cust"), request: "not one of ours" }) };
  await told("parked", "checkout.completed", stranger);
  const unsold = await purchase("top-up-100");
  const other = { ...productObject("top-up-100"), id: fresh("prod") };
  await told("parked", "checkout.completed", topUp(unsold, { product: other, order: { product: other.id } }));
  assert.equal(await bought(unsold.user), 0);
});

test("16: lost events are repaired from Creem's API", async () => {
  const buying = await purchase("top-up-500");
  await act(buying.checkout, "pay", { drop: true });
  assert.equal(await bought(buying.user), 0);
  const { stdout } = await ctl("reconcile");
  assert.match(stdout, new RegExp(`^applied +${buying.checkout}`, "m"));
  assert.equal(await bought(buying.user), 500);
});

test("17: an object or its id, null or absent, dates of both kinds, missing and unknown members are all read", async () => {
  const ids = await purchase("top-up-500");
  const bare = topUp(ids, { product: catalogue["top-up-500"].creem, customer: ids.customer, mode: "local", surprise: { deep: [null] } });
  delete bare.object;
  delete bare.units;
  delete bare.order.object;
  delete bare.order.mode;
  bare.order.created_at = Date.now();
  bare.order.transaction = { id: bare.order.transaction, object: "transaction" };
  bare.metadata = null;
  await told("applied", "checkout.completed", bare);
  assert.equal(await bought(ids.user), 500);

  const sub = subscribed(await purchase("monthly")), transaction = invoice(sub);
  await told("applied", "checkout.completed", { ...subscriptionCheckout(sub), subscription: sub.subscription, product: catalogue.monthly.creem, units: null });
  const terse = { id: sub.subscription, mode: "sandbox", status: "active", product: catalogue.monthly.creem, customer: sub.customer, items: null,
    last_transaction_id: transaction.id, current_period_start_date: sub.start, current_period_end_date: sub.start + 30 * DAY };
  await told("applied", "subscription.paid", terse);
  assert.equal(await bought(sub.user), 1000);
  await told("applied", "refund.created", { id: fresh("ref"), mode: "test", status: "succeeded", refund_amount: 2299, created_at: iso(Date.now()),
    transaction: { id: transaction.id, amount_paid: 2299, subscription: { id: sub.subscription } } });
  assert.equal(await bought(sub.user), 0);
});

test("18: the signature is over the raw bytes", async () => {
  const buying = await purchase("top-up-500"), one = event("checkout.completed", topUp(buying));
  const raw = `  ${JSON.stringify(one, null, 3).replaceAll("Ana", "\\u0041n\u00e1")}\n`;
  const signature = await generateSignature(raw, env.CREEM_WEBHOOK_SECRET);
  const again = JSON.stringify(JSON.parse(raw));
  const post = (body) => request("POST", "/webhooks/creem", { body, headers: { "creem-signature": signature } });
  assert.equal((await post(again)).status, 401);
  assert.equal((await post(raw.trimEnd())).status, 401);
  assert.equal(await stateOf(one.id), undefined);
  assert.equal((await post(raw)).status, 200);
  assert.equal(await bought(buying.user), 500);
});

test("19: without a secret everything is refused, also what is signed with none", async () => {
  const buying = await purchase("top-up-500"), body = JSON.stringify(event("checkout.completed", topUp(buying)));
  for (const CREEM_WEBHOOK_SECRET of [undefined, ""])
    await withProgram("billing-webhook", { CREEM_WEBHOOK_SECRET }, async (ask) => {
      const { createHmac } = await import("node:crypto");
      const signatures = [createHmac("sha256", "").update(body).digest("hex"), await generateSignature(body, env.CREEM_WEBHOOK_SECRET), "", undefined];
      for (const signature of signatures) {
        const headers = signature === undefined ? {} : { "creem-signature": signature };
        const answer = await ask("POST", "/webhooks/creem", { body, headers });
        assert.equal(answer.status, 401, `${CREEM_WEBHOOK_SECRET} ${signature}: ${answer.text}`);
      }
    });
  assert.equal(await bought(buying.user), 0);
});

test("20: the buyer's address decides nothing", async () => {
  const victim = await newUser(), buying = await purchase("top-up-500");
  const before = await balanceOf(victim);
  await told("applied", "checkout.completed", topUp(buying, { customer: customerObject(buying, { email: victim.email }) }));
  assert.equal(await bought(buying.user), 500);
  assert.equal(await balanceOf(victim), before);
  const nobody = { ...buying, checkout: fresh("ch"), customer: fresh("cust"), request: undefined, email: victim.email };
  await told("parked", "checkout.completed", topUp(nobody));
  assert.equal(await balanceOf(victim), before);
  assert.deepEqual(await ordersOf(victim), []);
});

test("21: a body of 256 KiB is read, a byte more is not", async () => {
  const buying = await purchase("top-up-500"), one = event("checkout.completed", topUp(buying, { padding: "" }));
  one.object.padding = "x".repeat(256 * 1024 - Buffer.byteLength(JSON.stringify(one)));
  const body = JSON.stringify(one);
  assert.equal(Buffer.byteLength(body), 262_144);
  const over = await deliver(`${body} `);
  assert.equal(over.status, 413);
  assert.equal(over.json.code, "too_large");
  assert.equal(await stateOf(one.id), undefined);
  assert.equal((await deliver(body)).json.outcome, "applied");
  assert.equal(await bought(buying.user), 500);
});

// What the tests of billing share: checkouts of ours, Creem's events as its documents show them, signed and delivered.
import assert from "node:assert/strict";
import { randomBytes, randomUUID } from "node:crypto";
import { generateSignature } from "@creem_io/webhook-types";

import { api, env, newUser, psql, request, waitFor } from "./harness.mjs";
import { call } from "./contract.mjs";

export { generateSignature };

// The catalogue that a new database has.
export const catalogue = {
  monthly: { creem: "prod_sandbox_monthly", credits: 1000, price: 1900, period: "every-month" },
  yearly: { creem: "prod_sandbox_yearly", credits: 12000, price: 19000, period: "every-year" },
  "top-up-100": { creem: "prod_sandbox_topup_100", credits: 100, price: 300 },
  "top-up-500": { creem: "prod_sandbox_topup_500", credits: 500, price: 1200 },
  "top-up-2000": { creem: "prod_sandbox_topup_2000", credits: 2000, price: 4000 },
};

export const fresh = (prefix) => `${prefix}_${randomBytes(11).toString("hex")}`;
const DAY = 86_400_000;
const iso = (ms) => new Date(ms).toISOString();

// ---- the stand-in

export async function creem(method, target, body, status = 200) {
  const answer = await request(method, `/sandbox/creem${target}`, { body, headers: { "x-api-key": env.CREEM_API_KEY } });
  assert.equal(answer.status, status, answer.text);
  return answer.json;
}

// Does something to a checkout, subscription or transaction of the stand-in; its events.
export async function act(id, action, options = {}) {
  const { events } = await creem("POST", `/test/act/${id}`, { action, ...options });
  return events.map((event) => ({ ...event, ...JSON.parse(event.body) }));
}

// ---- our side

// A checkout of ours that is open at the stand-in; user: from newUser, or none for a new one.
export async function purchase(product, user) {
  const buyer = user ?? (await newUser());
  const answer = await call(buyer, "POST", "/api/billing/checkout", { product_id: product });
  assert.equal(answer.status, 201, answer.text);
  const checkout = answer.json.checkout_url.split("/").pop();
  const { request_id: requestId } = await creem("GET", `/v1/checkouts?checkout_id=${checkout}`);
  return { user: buyer, product, checkout, request: requestId, customer: fresh("cust"), email: buyer.email };
}

export const account = async (user) => (await call(user, "GET", "/api/account")).json;
export const balanceOf = async (user) => (await account(user)).balance;
export const ordersOf = async (user) => (await call(user, "GET", "/api/billing/orders")).json.items;
export const subscriptionOf = async (user) => (await call(user, "GET", "/api/billing/subscription")).json.subscription;
export const WELCOME = 50;

// The credits that payments brought, however they came.
export const bought = async (user) => (await balanceOf(user)) - WELCOME;

export const boughtSoon = (user, credits) =>
  waitFor(async () => (await bought(user)) === credits, { what: `${credits} credits`, timeout: 20_000 });

export async function stateOf(id) {
  const [row] = await psql(`select state, reason from shotai.creem_event where id = '${id}'`);
  return row?.state;
}

// ---- delivery

export async function deliver(body, headers = {}) {
  const signature = await generateSignature(body, env.CREEM_WEBHOOK_SECRET);
  return request("POST", "/webhooks/creem", { body, headers: { "Content-Type": "application/json", "creem-signature": signature, ...headers } });
}

export const event = (type, object, { id = fresh("evt"), at = Date.now() } = {}) => ({ id, eventType: type, created_at: at, object });

// Delivers an event that must be answered 200; its outcome.
export async function tell(type, object, options) {
  const answer = await deliver(JSON.stringify(event(type, object, options)));
  assert.equal(answer.status, 200, answer.text);
  return answer.json.outcome;
}

export async function told(outcome, type, object, options) {
  assert.equal(await tell(type, object, options), outcome, `${type} ${JSON.stringify(object).slice(0, 200)}`);
}

// ---- objects, as Creem's documents show them; over replaces members

const base = (id, object, over) => ({ id, object, mode: "test", ...over });

export const productObject = (product, over = {}) => {
  const { creem: id, price, period } = catalogue[product];
  return base(id, "product", {
    name: product, description: "credits", image_url: null, price, currency: "EUR", billing_type: period ? "recurring" : "onetime",
    billing_period: period ?? "once", status: "active", tax_mode: "exclusive", tax_category: "saas",
    created_at: "2026-02-01T08:00:00.000Z", updated_at: "2026-02-01T08:00:00.000Z", ...over,
  });
};

export const customerObject = (bought, over = {}) =>
  base(bought.customer, "customer", { email: bought.email, name: "Ana", country: "NL", created_at: iso(Date.now()), updated_at: iso(Date.now()), ...over });

export const orderObject = (bought, over = {}) => {
  const { creem: product, price, period } = catalogue[bought.product];
  const amount = over.amount ?? price;
  return base(over.id ?? fresh("ord"), "order", {
    customer: bought.customer, product, amount, sub_total: amount, tax_amount: Math.round(amount * 0.21), discount_amount: 0,
    amount_due: amount + Math.round(amount * 0.21), amount_paid: amount + Math.round(amount * 0.21), currency: "EUR", status: "paid",
    type: period ? "recurring" : "onetime", created_at: iso(Date.now()), updated_at: iso(Date.now()), ...over,
  });
};

// The object of checkout.completed of a top-up; order: what its order has instead.
export const topUp = (bought, { order = {}, ...over } = {}) =>
  base(bought.checkout, "checkout", {
    status: "completed", request_id: bought.request, units: 1, product: productObject(bought.product),
    order: orderObject(bought, { transaction: fresh("tran"), ...order }), customer: customerObject(bought), custom_fields: [], ...over,
  });

// A subscription of a purchase, whose period begins at `start`.
export function subscribed(bought, { start = Date.now(), days = 30 } = {}) {
  return { ...bought, subscription: fresh("sub"), order: fresh("ord"), start, days };
}

export const subscriptionObject = (sub, over = {}) =>
  base(sub.subscription, "subscription", {
    product: productObject(sub.product), customer: customerObject(sub),
    items: [base(fresh("sitem"), "subscription_item", { product_id: catalogue[sub.product].creem, price_id: "pprice_1", units: 1 })],
    collection_method: "charge_automatically", status: "active", current_period_start_date: iso(sub.start),
    current_period_end_date: iso(sub.start + sub.days * DAY), canceled_at: null, created_at: iso(sub.start), updated_at: iso(sub.start), ...over,
  });

// The object of a subscription's checkout.completed: its first order names no transaction.
export const subscriptionCheckout = (sub, over = {}) =>
  base(sub.checkout, "checkout", {
    status: "completed", request_id: sub.request, units: 1, product: productObject(sub.product), order: orderObject(sub, { id: sub.order }),
    subscription: { ...subscriptionObject(sub), product: catalogue[sub.product].creem, customer: sub.customer }, customer: customerObject(sub),
    custom_fields: [], ...over,
  });

// An invoice of a subscription, for the period that begins after so many others.
export function invoice(sub, { period = 0, ...over } = {}) {
  const amount = over.amount ?? catalogue[sub.product].price, start = sub.start + period * sub.days * DAY;
  return base(over.id ?? fresh("tran"), "transaction", {
    amount, amount_paid: amount + Math.round(amount * 0.21), tax_amount: Math.round(amount * 0.21), tax_country: "NL", currency: "EUR",
    type: "invoice", status: "paid", refunded_amount: null, order: sub.order, subscription: sub.subscription, customer: sub.customer,
    period_start: start, period_end: start + sub.days * DAY, created_at: start + 2000, ...over,
  });
}

// The object of subscription.paid for an invoice.
export const paid = (sub, transaction, over = {}) =>
  subscriptionObject(sub, {
    last_transaction_id: transaction.id, last_transaction: transaction, last_transaction_date: iso(transaction.created_at),
    current_period_start_date: iso(transaction.period_start), current_period_end_date: iso(transaction.period_end),
    updated_at: iso(transaction.created_at), ...over,
  });

// The payment's transaction of a top-up, as refunds and disputes show it.
export const payment = (checkout, over = {}) => {
  const { order } = checkout;
  return base(order.transaction, "transaction", {
    amount: order.amount, amount_paid: order.amount_paid, tax_amount: order.tax_amount, currency: "EUR", type: "payment", status: "paid",
    refunded_amount: null, order: order.id, subscription: null, customer: checkout.customer.id, created_at: Date.now(), ...over,
  });
};

// refund.created: amount of a transaction that was refunded `before` already.
export const refund = (transaction, amount, { before = 0, ...over } = {}) =>
  base(fresh("ref"), "refund", {
    status: "succeeded", refund_amount: amount, refund_currency: "EUR", reason: "requested_by_customer", created_at: Date.now(),
    transaction: { ...transaction, status: before + amount < transaction.amount_paid ? "partialRefund" : "refunded", refunded_amount: before + amount },
    order: transaction.order, customer: transaction.customer, ...(transaction.subscription ? { subscription: transaction.subscription } : {}), ...over,
  });

export const dispute = (transaction, over = {}) =>
  base(fresh("disp"), "dispute", {
    amount: transaction.amount_paid, currency: "EUR", created_at: Date.now(),
    transaction: { ...transaction, status: "chargedBack", refunded_amount: transaction.amount_paid },
    order: transaction.order, customer: transaction.customer, ...(transaction.subscription ? { subscription: transaction.subscription } : {}), ...over,
  });

// A top-up that was bought and granted: { bought, object }.
export async function grantedTopUp(product = "top-up-500", user) {
  const buying = await purchase(product, user), object = topUp(buying);
  await told("applied", "checkout.completed", object);
  return { ...buying, object, transaction: payment(object) };
}

// A subscription whose first period was paid: { ...sub, transaction }.
export async function paidSubscription(product = "monthly", options = {}) {
  const sub = subscribed(await purchase(product, options.user), options), transaction = invoice(sub);
  await told("applied", "checkout.completed", subscriptionCheckout(sub));
  await told("applied", "subscription.active", subscriptionObject(sub));
  await told("applied", "subscription.paid", paid(sub, transaction));
  return { ...sub, transaction };
}

export { api, iso, randomUUID, DAY };

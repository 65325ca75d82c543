// Receipts and refund notes: who gets one, how often, what it says, and what becomes of it when a mail server misbehaves.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import path from "node:path";
import { chromium } from "playwright-core";

import { api, env, newUser, psql, request, waitFor } from "./harness.mjs";
import { assertAudit, logged, withOwnWorkers } from "./faults.mjs";
import { mailsTo, overSmtp, parse } from "./mails.mjs";

const sandbox = { "x-api-key": env.CREEM_API_KEY };
after(assertAudit);

// ---- buying

async function reader({ receipts = true, locale = "en" } = {}) {
  const user = await newUser();
  const answer = await api(user, "PATCH", "/api/account", { locale, notifications: { receipts } });
  assert.equal(answer.status, 200, answer.text);
  return user;
}

async function hook(target, body) {
  const answer = await request("POST", `/sandbox/creem/test${target}`, { body, headers: sandbox });
  assert.equal(answer.status, 200, answer.text);
  return answer.json;
}

let products;
before(async () => {
  products = (await api(null, "GET", "/api/billing/products")).json.items;
});
const productOf = (kind, interval = null) => products.find((one) => one.kind === kind && (one.interval ?? null) === interval);

const ordersOf = async (user) => (await api(user, "GET", "/api/billing/orders")).json.items;

// The order once its credits are there.
async function buy(user, product, action = "pay") {
  const known = (await ordersOf(user)).length;
  const { json, status, text } = await api(user, "POST", "/api/billing/checkout", { product_id: product.id });
  assert.equal(status, 201, text);
  const [checkout] = /ch_\w+$/.exec(json.checkout_url);
  const { events } = await hook(`/act/${checkout}`, { action });
  const orders = await waitFor(async () => {
    const all = await ordersOf(user);
    return all.length > known && all;
  }, { what: "the order" });
  return { order: orders[0], events };
}

const refund = (order, amount) => hook(`/act/${order.transaction_id}`, { action: "refund", amount });

// Rows of the outbox, oldest first.
const outbox = (user) =>
  psql(`select m.* from shotai.mail_outbox m join shotai.account a on a.id = m.account where a.user_id = '${user.id}' order by m.id`);
const rowsIn = (user, state, count) =>
  waitFor(async () => {
    const rows = (await outbox(user)).filter((row) => row.state === state);
    return rows.length === count && rows;
  }, { what: `${count} mails that are ${state}` });
const makeDue = (row) => psql(`update shotai.mail_outbox set not_before = clock_timestamp() where id = ${row.id}`);

// Every event of the user has been applied.
const settled = (events) =>
  waitFor(async () => {
    const ids = events.map(({ id }) => `'${id}'`).join(",");
    const rows = await psql(`select id from shotai.creem_event where id in (${ids}) and state = 'applied'`);
    return rows.length === new Set(events.map(({ id }) => id)).size;
  }, { what: "the events to be applied" });

// ---- reading mails

const lineOf = (mail, label) => new RegExp(`^${label}: (.*)$`, "m").exec(mail.text)?.[1];
const euros = (cents) => `€${Math.floor(cents / 100).toLocaleString("en")}.${String(cents % 100).padStart(2, "0")}`;

// ---- the tests

test("a top-up: one receipt that says what was paid", async () => {
  const user = await reader(), product = productOf("top_up");
  const { order } = await buy(user, product);
  const [row] = await rowsIn(user, "sent", 1);
  const [mail, ...others] = mailsTo(user.email);
  assert.deepEqual(others, []);
  assert.equal(mail.name, `${row.message_id}.eml`);
  assert.equal(mail.headers["message-id"], `<${row.message_id}@shotai.example>`);
  assert.equal(mail.headers.from, "ShotAI <receipts@shotai.example>");
  assert.equal(mail.headers.subject, `Your ShotAI receipt: ${product.name}`);
  assert.equal(mail.headers["auto-submitted"], "auto-generated");
  assert.ok(Math.abs(Date.parse(mail.headers.date) - Date.parse(order.created_at)) < 60_000);
  assert.deepEqual(
    ["Item", "Credits", "Price", "Tax", "Paid", "Order", "Transaction"].map((label) => lineOf(mail, label)),
    [product.name, order.credits.toLocaleString("en"), euros(order.amount_cents - order.tax_cents), euros(order.tax_cents),
      euros(order.amount_cents), order.order_id, order.transaction_id]);
  for (const value of [product.name, order.order_id, order.transaction_id]) assert.ok(mail.html.includes(value));
  assert.equal(lineOf(mail, "Period"), undefined);
});

test("a subscription in Dutch tells its period", async () => {
  const user = await reader({ locale: "nl" }), product = productOf("subscription", "month");
  await buy(user, product);
  await rowsIn(user, "sent", 1);
  const [mail] = mailsTo(user.email);
  assert.equal(mail.headers["content-language"], "nl");
  const dutch = (await api(null, "GET", "/api/billing/products", undefined, { "Accept-Language": "nl" })).json.items;
  assert.equal(mail.headers.subject, `Je bon van ShotAI: ${dutch.find(({ id }) => id === product.id).name}`);
  assert.match(lineOf(mail, "Periode"), /^\d+ [a-z]+ \d{4} tot \d+ [a-z]+ \d{4}$/);
  assert.match(lineOf(mail, "Betaald"), /^€\u00a0\d+,\d\d$/);
});

test("the same payment announced twice, under one id or two, is one mail", async () => {
  for (const action of ["pay_repeated", "pay_twice"]) {
    const user = await reader();
    const { events } = await buy(user, productOf("top_up"), action);
    await settled(events);
    await rowsIn(user, "sent", 1);
    assert.equal((await outbox(user)).length, 1);
    assert.equal(mailsTo(user.email).length, 1);
  }
});

test("nobody who did not ask gets one, nor who changed their mind before it was sent", async () => {
  const user = await reader({ receipts: false });
  const { events } = await buy(user, productOf("top_up"));
  await settled(events);
  assert.deepEqual(await outbox(user), []);
  const other = await reader();
  await withOwnWorkers(async () => {
    await buy(other, productOf("top_up"));
    await rowsIn(other, "waiting", 1);
    await api(other, "PATCH", "/api/account", { notifications: { receipts: false } });
  }, { MAIL_DIRECTORY: undefined, MAIL_FROM: undefined });
  await rowsIn(other, "failed", 1);
  assert.deepEqual(mailsTo(other.email), []);
});

test("an account that is gone gets nothing", async () => {
  const user = await reader();
  await withOwnWorkers(async () => {
    await buy(user, productOf("top_up"));
    await rowsIn(user, "waiting", 1);
    await psql(`delete from auth.users where id = '${user.id}'`);
  }, { MAIL_DIRECTORY: undefined, MAIL_FROM: undefined });
  await rowsIn(user, "failed", 1);
  assert.deepEqual(mailsTo(user.email), []);
});

test("each refund has a mail of its own, with what it gave back and took back", async () => {
  const user = await reader(), product = productOf("top_up");
  const { order } = await buy(user, product);
  await rowsIn(user, "sent", 1);
  const paid = mailsTo(user.email)[0], total = lineOf(paid, "Paid");
  await refund(order, 200);
  await rowsIn(user, "sent", 2);
  await refund(order, 100);
  await rowsIn(user, "sent", 3);
  const [first, second] = mailsTo(user.email)
    .filter(({ text }) => text.includes("\nRefund\n"))
    .sort((a, b) => parseFloat(lineOf(b, "Refunded").slice(1)) - parseFloat(lineOf(a, "Refunded").slice(1)));
  assert.equal(first.headers.subject, `€2.00 back from ShotAI: ${product.name}`);
  assert.equal(lineOf(first, "Refunded"), "€2.00");
  assert.equal(lineOf(first, "Refunded in all"), `€2.00\u00a0of\u00a0${total}`);
  assert.equal(lineOf(second, "Refunded"), "€1.00");
  assert.equal(lineOf(second, "Refunded in all"), `€3.00\u00a0of\u00a0${total}`);
  assert.equal(lineOf(second, "Transaction"), order.transaction_id);
  const [{ revoked }] = await psql(`select revoked from shotai.payment where id = '${order.id}'`);
  assert.equal(lineOf(second, "Credits taken back"), Number(revoked).toLocaleString("en"));
  assert.equal(new Set(mailsTo(user.email).map(({ headers }) => headers["message-id"])).size, 3);
});

test("credits that were used already are told as our loss", async () => {
  const user = await reader(), product = productOf("top_up");
  const { order } = await buy(user, product);
  const { json: account } = await api(user, "GET", "/api/account");
  const spent = account.balance - 10;
  await psql(`select * from shotai.adjust_credits('${user.id}', ${-spent}, 'test', 'test')`);
  await refund(order, undefined);
  await rowsIn(user, "sent", 2);
  const mail = mailsTo(user.email).find(({ text }) => text.includes("\nRefund\n"));
  assert.equal(lineOf(mail, "Credits taken back"), "10");
  assert.equal(lineOf(mail, "Used, not taken back"), (order.credits - 10).toLocaleString("en"));
  assert.equal(lineOf(mail, "Refunded in all"), undefined);
});

// ---- over SMTP

test("over SMTP: one message, nothing of it in the log, nothing of the machine on the wire", async () => {
  const user = await reader();
  await overSmtp({}, async (server, worker) => {
    await buy(user, productOf("top_up"));
    await rowsIn(user, "sent", 1);
    await logged(worker, "outcome=sent");
    assert.deepEqual(server.lines.slice(0, 4),
      ["EHLO shotai.example", "MAIL FROM:<post@shotai.example>", `RCPT TO:<${user.email}>`, "DATA"]);
    assert.equal(server.messages.length, 1);
    const mail = parse(server.messages[0]);
    assert.equal(mail.headers.to, user.email);
    assert.equal(mail.headers.from, "Receipts <post@shotai.example>");
    for (const secret of [user.email, user.id, "Receipts", "127.0.0.1", mail.headers["message-id"], mail.headers.subject])
      assert.ok(!worker.log.includes(secret), secret);
  });
  assert.deepEqual(mailsTo(user.email), []);
});

test("a server that is busy gets it again, the same, later", async () => {
  const user = await reader();
  await overSmtp({ end: (seen) => (seen.messages.length === 1 ? "451 Busy\r\n" : undefined) }, async (server) => {
    await buy(user, productOf("top_up"));
    const row = await waitFor(async () => (await outbox(user)).find((one) => server.messages.length === 1 && one.state === "waiting"));
    assert.equal(row.tries, "1");
    await makeDue(row);
    await rowsIn(user, "sent", 1);
    assert.equal(server.messages.length, 2);
    assert.equal(server.messages[0], server.messages[1]);
  });
});

test("a recipient that is refused is not tried again; a row of a day ago is given up", async () => {
  const user = await reader(), late = await reader();
  await overSmtp({ RCPT: (seen) => (seen.recipients.at(-1) === user.email ? "550 Nobody\r\n" : "450 Later\r\n") }, async (server) => {
    await buy(user, productOf("top_up"));
    await rowsIn(user, "failed", 1);
    await buy(late, productOf("top_up"));
    const row = await waitFor(async () => (await outbox(late)).find(({ tries, state }) => tries === "1" && state === "waiting"));
    await waitFor(() => server.recipients.includes(late.email));
    await psql(`update shotai.mail_outbox set created_at = created_at - interval '1 day', not_before = clock_timestamp() where id = ${row.id}`);
    await rowsIn(late, "failed", 1);
    assert.deepEqual(server.messages, []);
    assert.equal(server.recipients.filter((one) => one === user.email).length, 1);
  });
});

test("a worker killed after the message left: it is not sent a second time", async () => {
  const user = await reader();
  await overSmtp({ end: null }, async (server, worker) => {
    await buy(user, productOf("top_up"));
    await waitFor(() => server.messages.length === 1, { what: "the message to leave" });
    worker.child.kill("SIGKILL");
    await worker.ended;
    const [row] = await rowsIn(user, "sending", 1);
    await makeDue(row);
  });
  // The stack's worker finds it.
  await rowsIn(user, "uncertain", 1);
  assert.deepEqual(mailsTo(user.email), []);
});

test("a worker killed before the message left: another sends it", async () => {
  const user = await reader();
  await overSmtp({ DATA: null }, async (server, worker) => {
    await buy(user, productOf("top_up"));
    await waitFor(() => server.lines.includes("DATA"), { what: "DATA" });
    worker.child.kill("SIGKILL");
    await worker.ended;
    assert.deepEqual(server.messages, []);
    const [row] = await rowsIn(user, "waiting", 1);
    await makeDue(row);
  });
  await rowsIn(user, "sent", 1);
  assert.equal(mailsTo(user.email).length, 1);
});

test("a receipt fits a phone, in light and dark, and loads nothing", async () => {
  const user = await reader({ locale: "nl" });
  await buy(user, productOf("top_up"));
  await rowsIn(user, "sent", 1);
  const { html } = mailsTo(user.email)[0];
  const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
  try {
    for (const [width, colorScheme] of [[320, "light"], [390, "dark"], [700, "light"]]) {
      const page = await browser.newPage({ viewport: { width, height: 800 }, colorScheme });
      const asked = [];
      page.on("request", (one) => asked.push(one.url()));
      await page.setContent(html);
      assert.deepEqual(asked, []);
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth) <= width);
      const [ink, panel] = await page.evaluate(() =>
        [getComputedStyle(document.querySelector("h1")).color, getComputedStyle(document.querySelector(".panel")).backgroundColor]);
      assert.deepEqual([ink, panel], colorScheme === "dark"
        ? ["rgb(243, 237, 228)", "rgb(28, 25, 23)"] : ["rgb(27, 26, 23)", "rgb(255, 253, 248)"]);
      if (process.env.SCREENSHOTS) await page.screenshot({ path: path.join(process.env.SCREENSHOTS, `receipt-${width}.png`), fullPage: true });
      await page.close();
    }
  } finally {
    await browser.close();
  }
});

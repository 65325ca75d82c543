// Announcements, the links that end them, what bounces, and messages to support.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { chromium } from "playwright-core";

import { api, env, newUser, psql, request, waitFor } from "./harness.mjs";
import { assertDescribed, call, setPace, unsubscribeLink } from "./contract.mjs";
import { assertAudit } from "./faults.mjs";
import { mailsTo, overSmtp, parse } from "./mails.mjs";
import { withProgram } from "./fastcgi.mjs";

const PEOPLE = Number(process.env.ANNOUNCE_PEOPLE ?? 24);
const folder = mkdtempSync(path.join(tmpdir(), "shotai-announce-"));
const settings = Object.fromEntries(Object.entries(env).filter(([name]) => /^[A-Z]/.test(name)));
const noOneElse = () => psql("update shotai.account set announcements = false where announcements");

before(async () => {
  await noOneElse();
  await setPace("announcement");
  await setPace("support");
});
after(async () => {
  await noOneElse();
  rmSync(folder, { recursive: true });
  await assertAudit();
});

// Their addresses, in the order of their accounts; every third is Dutch.
async function optedIn(count) {
  const batch = randomUUID();
  await psql(`
    with people as (
      insert into auth.users (id, email, email_confirmed_at, created_at)
      select gen_random_uuid(), n || '-${batch}@example.test', now(), now() from generate_series(1, ${count}) n returning id, email)
    insert into shotai.account (user_id, age_confirmed_at, announcements, locale)
    select id, now(), true, case when split_part(email, '-', 1)::integer % 3 = 0 then 'nl' else 'en' end from people order by split_part(email, '-', 1)::integer`);
  return Array.from({ length: count }, (_, i) => `${i + 1}-${batch}@example.test`);
}

// No text of an earlier run, which would not be sent again.
const run = randomUUID();
const textOf = (subject) => `# en: ${subject}\n\nHello *you* of ${run}, see [the studio](https://shotai.example/studio).\n\n# nl: ${subject} (nl)\n\nHallo *jij*.\n`;
let files = 0;
function fileOf(subject) {
  const file = path.join(folder, `${++files}.md`);
  writeFileSync(file, textOf(subject));
  return file;
}

// shotaictl itself, so that what is killed is not only a script around it.
function shotaictl(args, input = "") {
  const child = spawn(path.join(env.home, "bin", "shotaictl"), args, { env: { PATH: process.env.PATH, ...settings } });
  let output = "";
  child.stdout.on("data", (bytes) => (output += bytes));
  child.stderr.on("data", (bytes) => (output += bytes));
  child.stdin.on("error", () => {});
  child.stdin.end(input);
  return { child, ended: new Promise((resolve) => child.on("close", (code, signal) => resolve({ status: code ?? signal, output }))) };
}
async function done(...args) {
  const { status, output } = await shotaictl(args).ended;
  assert.equal(status, 0, output);
  return output;
}
const send = async (subject) => /^announcement (\d+) started$/m.exec(await done("announce", fileOf(subject), "--send"))[1];
const announcement = async (id) => (await psql(`select * from shotai.announcement where id = ${id}`))[0];
const mailsOf = (id) => psql(`select m.*, u.email from shotai.mail_outbox m join shotai.account a on a.id = m.account join auth.users u on u.id = a.user_id where m.announcement = ${id} order by m.id`);

// Whatever a worker that was killed had in hand is due at once.
const makeDue = () => psql("update shotai.mail_outbox set not_before = clock_timestamp() where state in ('waiting', 'sending')");
const isOver = async (id) =>
  (await announcement(id)).state === "done" && (await mailsOf(id)).every(({ state }) => !["waiting", "sending"].includes(state));
const over = (id) => waitFor(() => isOver(id), { what: `announcement ${id} to end` });

test("kill -9 of worker and shotaictl in the middle: nobody gets it twice, all others once, in their language", async () => {
  const people = await optedIn(PEOPLE), file = fileOf("Killed");
  await overSmtp({}, async (server, worker, start) => {
    for (const after of [1, 4, 10, 20]) {
      const { child, ended } = shotaictl(["announce", file, "--send"]);
      setTimeout(() => child.kill("SIGKILL"), after);
      await ended;
    }
    await done("announce", file, "--send");
    const rows = await psql(`select id from shotai.announcement where subject_en = 'Killed' and body_en like '%${run}%'`);
    assert.equal(rows.length, 1);
    const [{ id }] = rows;
    const other = await start();
    for (const one of [worker, await start(), await start()]) {
      const sent = server.messages.length;
      await waitFor(async () => server.messages.length >= Math.min(sent + PEOPLE / 8, PEOPLE - 1) || isOver(id), { what: "some mails" });
      one.child.kill("SIGKILL");
      await one.ended;
      await makeDue();
    }
    await waitFor(async () => (await makeDue(), isOver(id)), { what: "the rest", every: 200, timeout: 600_000 });
    assert.equal(other.child.exitCode, null);

    const mails = server.messages.map(parse), reached = mails.map(({ headers }) => headers.to);
    assert.equal(new Set(reached).size, reached.length, "nobody twice");
    const states = await mailsOf(id);
    assert.deepEqual(states.map(({ email }) => email), people);
    for (const { email, state } of states) {
      assert.match(state, /^(sent|uncertain)$/);
      assert.ok(state === "uncertain" || reached.includes(email), email);
    }
    assert.ok(states.filter(({ state }) => state === "uncertain").length <= 3);
    for (const { headers, text, html } of mails) {
      const dutch = Number(headers.to.split("-")[0]) % 3 === 0;
      assert.equal(headers.subject, dutch ? "Killed (nl)" : "Killed");
      assert.equal(headers["content-language"], dutch ? "nl" : "en");
      assert.equal(headers["list-unsubscribe-post"], "List-Unsubscribe=One-Click");
      const [, link] = /^<(.*)>$/.exec(headers["list-unsubscribe"]);
      assert.match(link, new RegExp(`^${env.PUBLIC_URL}/unsubscribe/[A-Za-z0-9_-]{32}$`));
      assert.ok(text.includes(link) && html.includes(`href="${link}"`));
      assert.doesNotMatch(html, /<img|<script|<link|url\(|src=/);
    }
  });
});

test("who leaves while it is under way gets none; an address that is refused gets no other", async () => {
  await noOneElse();
  const [first, refusing, ...rest] = await optedIn(4), leaving = await newUser();
  await api(leaving, "PATCH", "/api/account", { notifications: { announcements: true } });
  let held = true;
  const slow = (seen) => (seen.recipients.at(-1) === refusing ? "550 5.1.1 Nobody\r\n" : held ? "450 Later\r\n" : undefined);
  await overSmtp({ RCPT: slow }, async (server) => {
    const id = await send("Leaving");
    await waitFor(async () => (await mailsOf(id)).length === 5, { what: "all to be written" });
    await waitFor(async () => (await mailsOf(id)).every(({ tries }) => tries !== "0"), { what: "all to be tried" });
    const link = await unsubscribeLink(leaving);
    assert.equal((await call(null, "POST", link, "List-Unsubscribe=One-Click", { "Content-Type": "application/x-www-form-urlencoded" })).status, 200);
    held = false;
    await makeDue();
    await over(id);
    assert.deepEqual(server.messages.map((message) => parse(message).headers.to).sort(), [first, ...rest].sort());
    assert.deepEqual((await mailsOf(id)).map(({ state }) => state), ["sent", "failed", "sent", "sent", "failed"]);
    const bounces = await psql(`select b.kind, b.status from shotai.mail_bounce b join shotai.account a on a.id = b.account join auth.users u on u.id = a.user_id where u.email = '${refusing}'`);
    assert.deepEqual(bounces, [{ kind: "refused", status: "5.1.1" }]);
    const next = await send("Next");
    await over(next);
    assert.deepEqual((await mailsOf(next)).map(({ email }) => email), [first, ...rest]);
    assert.equal(server.recipients.filter((one) => one === refusing).length, 1);
  });
});

test("paused, resumed and cancelled; the list tells how far it is", async () => {
  await noOneElse();
  const people = await optedIn(3);
  await overSmtp({ RCPT: "450 Later\r\n" }, async (server) => {
    const id = await send("Paused");
    await waitFor(async () => (await mailsOf(id)).filter(({ tries }) => tries === "1").length === 3, { what: "three tries" });
    assert.equal(await done("announce", "pause", id), `announcement ${id}: paused\n`);
    assert.match(await done("announce", "list"), new RegExp(`^${id} +paused .* Paused$`, "m"));
    assert.equal(await done("announce", "resume", id), `announcement ${id}: sending\n`);
    assert.equal(await done("announce", "cancel", id), `announcement ${id}: canceled\n`);
    assert.deepEqual((await mailsOf(id)).map(({ state }) => state), ["failed", "failed", "failed"]);
    assert.equal((await shotaictl(["announce", "resume", id]).ended).status, 1);
    assert.equal((await shotaictl(["announce", "pause", "999999"]).ended).status, 1);
    assert.deepEqual(server.messages, []);
  });
  assert.deepEqual(people.flatMap(mailsTo), []);
});

test("dry run and preview send nothing; what no mail may hold is refused with its line", async () => {
  await noOneElse();
  await optedIn(4);
  const count = "en 3\nnl 1\nall 4, about 1 minutes at 60000 a minute\n", file = fileOf("Previewed");
  assert.equal(await done("announce", file), count);
  assert.equal(await done("announce", file, "--dry-run"), count);
  await done("announce", file, "--preview", folder);
  const { headers, html } = parse(readFileSync(path.join(folder, "announcement-nl.eml")));
  assert.equal(headers.subject, "Previewed (nl)");
  assert.equal(readFileSync(path.join(folder, "announcement-nl.html"), "utf8"), html);
  assert.deepEqual(readdirSync(folder).filter((name) => /^announcement-/.test(name)).sort(),
    ["announcement-en.eml", "announcement-en.html", "announcement-nl.eml", "announcement-nl.html"]);
  const bad = path.join(folder, "bad.md");
  writeFileSync(bad, `${textOf("Bad")}\n![pixel](https://elsewhere.example/p.png)\n`);
  const { status, output } = await shotaictl(["announce", bad, "--send"]).ended;
  assert.deepEqual([status, output], [2, "shotaictl: announce: nl: line 3 of the text: a picture does not go into a mail\n"]);
  assert.equal((await psql("select from shotai.announcement where subject_en in ('Previewed', 'Bad')")).length, 0);
  await noOneElse();
});

test("the link in a mail: looking changes nothing, its button does, and forged ones lead nowhere", async () => {
  const user = await newUser(), link = await unsubscribeLink(user);
  const wants = async () => (await api(user, "GET", "/api/account")).json.notifications;
  assert.deepEqual(await wants(), { receipts: false, announcements: false }, "off at first");
  await api(user, "PATCH", "/api/account", { notifications: { receipts: true, announcements: true } });
  for (const language of ["en", "nl"]) {
    const page = await call(null, "GET", link, undefined, { "Accept-Language": language });
    assert.equal(page.status, 200);
    assert.match(page.text, new RegExp(`<html lang="${language}">`));
    assert.match(page.text, language === "nl" ? />Afmelden<\/button>/ : />Unsubscribe<\/button>/);
    assert.doesNotMatch(page.text, /<script/);
    for (const personal of [user.id, user.email, user.email.split("@")[0]]) assert.ok(!page.text.includes(personal));
  }
  await call(null, "HEAD", link);
  assert.deepEqual(await wants(), { receipts: true, announcements: true });
  const token = link.slice("/unsubscribe/".length);
  for (const forged of ["A".repeat(32), token.slice(1), `${token}A`, `${token.slice(0, -1)}${token.endsWith("A") ? "B" : "A"}`, "%00", "x".repeat(4000)])
    for (const method of ["GET", "POST"]) {
      const answer = await request(method, `/unsubscribe/${forged}`, method === "POST" ? { body: "List-Unsubscribe=One-Click" } : {});
      assert.ok([404, 400].includes(answer.status), `${method} ${forged}: ${answer.status}`);
    }
  assert.deepEqual(await wants(), { receipts: true, announcements: true });
  for (let i = 0; i < 2; i++) {
    const answer = await call(null, "POST", link, "List-Unsubscribe=One-Click", { "Content-Type": "application/x-www-form-urlencoded" });
    assert.equal(answer.status, 200, "no redirect, however often");
    assert.deepEqual(await wants(), { receipts: true, announcements: false });
  }
  const secret = "previous-previous-previous-previous";
  await withProgram("account", { SECRET_KEY: `${env.SECRET_KEY.split(",")[0]},${secret}` }, async (ask) => {
    assert.equal((await ask("GET", await unsubscribeLink(user, secret))).status, 200, "a link of before a rotation");
    assert.equal((await ask("GET", await unsubscribeLink(user, `${secret}-other`))).status, 404);
  });
});

test("a report of a failed delivery ends mails to that address until they are switched on again", async () => {
  await noOneElse();
  const user = await newUser();
  const switchOn = () => api(user, "PATCH", "/api/account", { notifications: { announcements: true } });
  await switchOn();
  await over(await send("Bouncing"));
  const [mail] = await waitFor(() => mailsTo(user.email).length === 1 && mailsTo(user.email), { what: "the mail" });
  const report = (status, id) => [
    "From: MAILER-DAEMON@there.example", "Content-Type: multipart/report; report-type=delivery-status; boundary=b", "", "--b",
    "Content-Type: message/delivery-status", "", "Reporting-MTA: dns; there.example", "", `Final-Recipient: rfc822; ${user.email}`,
    "Action: failed", `Status: ${status}`, "", "--b", "Content-Type: message/rfc822", "", `Message-ID: ${id}`, "Subject: Bouncing", "", "Hi", "--b--", ""].join("\r\n");
  const bounce = async (message) => {
    const { status, output } = await shotaictl(["mail", "bounce"], message).ended;
    return `${status} ${output.trim()}`;
  };
  assert.equal(await bounce("Subject: I am away\r\n\r\nUntil Monday\r\n"), "0 no report of a failed delivery");
  assert.equal(await bounce(report("5.7.1", mail.headers["message-id"])), "0 5.7.1: says nothing about the address");
  assert.equal(await bounce(report("5.1.1", "<another@there.example>")), "0 5.1.1: not about a mail of ours");
  assert.equal(await bounce(report("5.1.1", `<${"0".repeat(32)}@shotai.example>`)), "1 shotaictl: mail bounce: Not found (not_found)");
  await over(await send("Still"));
  assert.equal(mailsTo(user.email).length, 2);
  assert.equal(await bounce(report("5.1.1", mail.headers["message-id"])), `0 5.1.1: recorded for ${user.id}`);
  assert.match(await done("mail", "status"), /^bounced_reported +1$/m);
  await over(await send("Bounced"));
  assert.equal(mailsTo(user.email).length, 2);
  await switchOn();
  await over(await send("Again"));
  assert.equal(mailsTo(user.email).length, 3);
  const stdout = await done("mail", "list", "--kind", "announcement", "--limit", "1");
  assert.match(stdout, new RegExp(`^\\d+ +announcement +sent .* ${user.id}\n$`));
  assert.ok(!stdout.includes("@"));
  await noOneElse();
});

// ---- support

const form = (fields, headers = {}) =>
  request("POST", "/api/support", { body: new URLSearchParams(fields).toString(), headers: { "Content-Type": "application/x-www-form-urlencoded", ...headers } });
const letters = (words) => mailsTo(env.SUPPORT_EMAIL).filter(({ text }) => text.includes(words));
const letter = async (words) => (await waitFor(() => letters(words).length === 1 && letters(words), { what: `a letter: ${words}` }))[0];

test("a message to support reaches the operator, from anybody, by JSON and by form, and is forgotten here", async () => {
  const user = await newUser(), words = randomUUID();
  const answer = await call(null, "POST", "/api/support", { email: "me@there.example", message: `${words} one\nand more` });
  assert.equal(answer.status, 202);
  const one = await letter(`${words} one`);
  assert.deepEqual([one.headers.to, one.headers["reply-to"], one.headers.subject], [env.SUPPORT_EMAIL, "me@there.example", `Support: ${words} one`]);
  assert.equal(one.text, `${words} one\nand more\n\n-- \nNot signed in\n`);
  assert.doesNotMatch(JSON.stringify(one), /127\.0\.0\.1/);

  const sent = await form({ message: `${words} two\r\nand more`, email: "" });
  assert.deepEqual([sent.status, sent.headers.get("location")], [303, "/support?sent"]);
  const two = await letter(`${words} two`);
  assert.equal(two.headers["reply-to"], undefined);

  assert.equal((await call(user, "POST", "/api/support", { message: `${words} three` })).status, 202);
  assert.ok((await letter(`${words} three`)).text.endsWith(`\n-- \nSigned in as user ${user.id}\n`));
  assert.equal((await call({ token: "not.a.token" }, "POST", "/api/support", { message: `${words} four` })).status, 202);
  await letter(`${words} four`);
  const rows = await waitFor(async () => {
    const all = await psql("select state, body, reply_to from shotai.mail_outbox where kind = 'support' order by id desc limit 4");
    return all.every(({ state }) => state === "sent") && all;
  }, { what: "all to be sent" });
  assert.deepEqual(rows.filter(({ body, reply_to: address }) => body !== null || address !== null), []);
});

test("no header can be written into it, and what cannot be taken says so and loses nothing", async () => {
  const injected = "me@there.example\r\nBcc: them@there.example", words = randomUUID();
  for (const body of [
    {}, { message: "" }, { message: " \n " }, { message: "x".repeat(4001) }, { message: "x", email: injected }, { message: "x", email: "me" },
    { message: "x", email: "a@b.example, c@d.example" }, { message: "x", subject: "y" }, { message: "bell \u0007" }]) {
    const answer = await call(null, "POST", "/api/support", body);
    assert.deepEqual([answer.status, answer.json.code], [400, "invalid_request"], JSON.stringify(body).slice(0, 80));
  }
  for (const [fields, said] of [
    [{ message: "", email: "me@there.example" }, "Write your message"],
    [{ message: `<${words}>`, email: injected }, "This e-mail address"],
    [{ message: `<${words}>${"x".repeat(4001)}`, email: "" }, "Write your message"]]) {
    const answer = await form(fields);
    assertDescribed("POST", "/api/support", answer);
    assert.equal(answer.status, 400);
    assert.ok(answer.text.includes(said));
    if (fields.message) assert.ok(answer.text.includes(`&lt;${words}&gt;`), "what was typed is still there, and harmless");
  }
  assert.match((await form({ message: "" }, { "Accept-Language": "nl" })).text, /Je bericht is niet verstuurd/);
  assert.equal((await call(null, "POST", "/api/support", "hello", { "Content-Type": "text/plain" })).status, 415);

  const message = `${words}\nBcc: them@there.example\n\n.\nTo: them@there.example`;
  assert.equal((await call(null, "POST", "/api/support", { message, email: "me@there.example" })).status, 202);
  const { headers, text } = await letter(words);
  assert.equal(headers.subject, `Support: ${words}`);
  assert.deepEqual([headers.to, headers.bcc], [env.SUPPORT_EMAIL, undefined]);
  assert.ok(text.startsWith(message));
});

test("while the database is away it is 503, and while too many write 429", async () => {
  const nowhere = { DATABASE_URL: `postgresql:///shotai?host=${env.home}/nowhere&user=shotai_web` };
  const headers = { "Content-Type": "application/x-www-form-urlencoded" };
  await withProgram("account", nowhere, async (ask) => {
    const answer = await ask("POST", "/api/support", { body: JSON.stringify({ message: "Hello" }) });
    assert.deepEqual([answer.status, answer.json.code], [503, "database_unavailable"]);
    const page = await ask("POST", "/api/support", { body: "message=Still+here&email=me%40there.example", headers });
    assert.equal(page.status, 503);
    assert.ok(Number(page.headers.get("retry-after")) >= 1);
    assert.match(page.text, />\nStill here<\/textarea>/);
    assert.match(page.text, /value="me@there.example"/);
    const link = await unsubscribeLink(await newUser());
    assert.equal((await ask("GET", link)).status, 200, "the page needs no database");
    assert.equal((await ask("POST", link, { body: "List-Unsubscribe=One-Click", headers })).status, 503);
  });
  await psql("update shotai.pace set arrival = clock_timestamp() + interval '1 hour', burst = 1, per_minute = 2 where name = 'support'");
  try {
    const answer = await call(null, "POST", "/api/support", { message: "One too many" });
    assert.deepEqual([answer.status, answer.json.code], [429, "rate_limited"]);
    assert.ok(Number(answer.headers.get("retry-after")) > 3500);
    const page = await form({ message: "Still here" });
    assertDescribed("POST", "/api/support", page);
    assert.equal(page.status, 429);
    assert.match(page.text, /Still here<\/textarea>/);
  } finally {
    await setPace("support");
  }
});

test("the pages and a mail fit a phone, and the mail loads nothing", async () => {
  const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
  const link = await unsubscribeLink(await newUser());
  const shoot = (page, name) => process.env.SCREENSHOTS && page.screenshot({ path: path.join(process.env.SCREENSHOTS, `${name}.png`), fullPage: true });
  const fits = async (page, width) => assert.ok(await page.evaluate(() => document.documentElement.scrollWidth) <= width);
  try {
    for (const [width, locale, colorScheme] of [[390, "nl", "dark"], [1280, "en", "light"]]) {
      const view = { viewport: { width, height: 800 }, locale, colorScheme }, page = await browser.newPage(view);
      await page.goto(new URL(link, env.url).href);
      await fits(page, width);
      await shoot(page, `unsubscribe-${width}`);
      await page.getByRole("button").click();
      await page.getByRole("heading", { name: locale === "nl" ? "Je bent afgemeld" : "You are unsubscribed" }).waitFor();
      await fits(page, width);
      await shoot(page, `unsubscribed-${width}`);
      const asked = [], mail = await browser.newPage(view);
      mail.on("request", (one) => asked.push(one.url()));
      await mail.setContent(readFileSync(path.join(folder, `announcement-${locale}.html`), "utf8"));
      assert.deepEqual(asked, []);
      await fits(mail, width);
      await shoot(mail, `announcement-${width}`);
      await page.close();
      await mail.close();
    }
  } finally {
    await browser.close();
  }
});

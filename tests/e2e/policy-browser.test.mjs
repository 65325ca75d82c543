// Policy, terms, help and the age in a real browser: read by anybody, with and without script, before anything is asked or sent.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";

import { api, auth, env, newUser, psql, waitFor } from "./harness.mjs";

const shots = path.join(env.home, "screenshots");
let browser;
before(async () => {
  mkdirSync(shots, { recursive: true });
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium" });
});
after(async () => {
  await browser?.close();
  await psql("update shotai.account set policy_acknowledged = null where policy_acknowledged like 'shown-%'; delete from shotai.policy_page where version like 'shown-%'; delete from shotai.policy_version where version like 'shown-%';");
});

const keptSession = ({ session }) => JSON.stringify({
  access_token: session.access_token, refresh_token: session.refresh_token, lifetime: session.expires_in,
  expires_at: Math.floor(Date.now() / 1000) + session.expires_in, user: { id: session.user.id, email: session.user.email },
});

async function open({ width = 1280, locale = "en-GB", user, ...more } = {}) {
  const context = await browser.newContext({ viewport: { width, height: 844 }, locale, baseURL: env.url, ...more });
  const page = await context.newPage(), complaints = [], sent = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && complaints.push(message.text()));
  page.on("request", (request) => sent.push(`${request.method()} ${new URL(request.url()).pathname}`));
  if (user) {
    await page.goto("/terms");
    await page.evaluate((kept) => localStorage.setItem("shotai.session", kept), keptSession(user));
    sent.length = 0;
  }
  const at = (name) => page.locator(`[data-testid=${name}]:visible`);
  return { context, page, at, complaints, sent };
}

const fits = (page) => page.evaluate(() => document.documentElement.scrollWidth <= innerWidth);

test("pages are read at every width, in both languages, by day and by night", async () => {
  for (const [width, locale, colorScheme] of [[1280, "nl-NL", "light"], [390, "en-GB", "dark"]]) {
    const { context, page, complaints, sent } = await open({ width, locale, colorScheme });
    for (const name of ["privacy", "terms", "support"]) {
      await page.goto(`/${name}`);
      assert.equal(await page.evaluate(() => document.documentElement.lang), locale.slice(0, 2));
      assert.ok(await fits(page), `${name} sticks out sideways at ${width} px`);
      await page.screenshot({ path: path.join(shots, `${name}-${width}.png`) });
    }
    assert.deepEqual(complaints, []);
    assert.deepEqual(sent.filter((request) => !/^GET \/(assets\/|privacy|terms|support)/.test(request)), []);
    await context.close();
  }
});

test("every page leads to policy, terms and help, in the language of the page, and a choice there holds for all", async () => {
  const { context, page, complaints } = await open({ locale: "nl-NL", width: 390 });
  for (const from of ["/", "/sign-in", "/auth/callback"]) {
    await page.goto(from);
    for (const to of ["privacy", "terms", "support"]) await page.locator(`.foot a[href="/${to}?lang=nl"]`).waitFor();
  }
  await page.goto("/sign-in");
  await page.locator(".foot a", { hasText: "Voorwaarden" }).click();
  await page.waitForURL("/terms?lang=nl");
  await page.locator(".foot a[lang=en]").click();
  await page.waitForURL("/terms?lang=en");
  await page.locator("#theme").selectOption("dark");
  await page.locator(".brand").click();
  await page.waitForURL("/");
  assert.deepEqual(await page.evaluate(() => [document.documentElement.lang, document.documentElement.dataset.theme]), ["en", "dark"]);
  assert.deepEqual(complaints, []);
  await context.close();
});

test("without script the form is an ordinary one; with it, nothing typed is lost when it cannot be sent", async () => {
  const plain = await open({ javaScriptEnabled: false });
  await plain.page.goto("/support?lang=nl");
  assert.equal(await plain.page.locator("#theme").isVisible(), false);
  await plain.page.locator("summary").first().click();
  await plain.page.locator("details[open] p").waitFor();
  const letters = async () => Number((await psql("select count(*) from shotai.mail_outbox where kind = 'support'"))[0].count);
  const had = await letters();
  await plain.page.locator("#message").fill("Waar zijn mijn credits?");
  await plain.page.locator("form button").click();
  await plain.at("support-sent").waitFor();
  assert.match(await plain.at("support-sent").innerText(), /Je bericht is aangekomen/);
  assert.equal(await letters(), had + 1);
  await plain.context.close();

  const { context, page, at } = await open();
  await page.goto("/support");
  await page.route("**/api/support", (route) => route.fulfill({ status: 503, json: { code: "database_unavailable" } }), { times: 1 });
  await page.locator("#message").fill("Where are my credits?");
  await page.locator("#email").fill("ada@example.org");
  await page.locator("form button").click();
  await page.locator("#support-message:visible").waitFor();
  assert.equal(await page.locator("#message").inputValue(), "Where are my credits?");
  await page.locator("form button").click();
  await at("support-sent").waitFor();
  assert.equal(await letters(), had + 2);
  await context.close();
});

test("a material change is told on every page until it was seen", async () => {
  const user = await newUser();
  const { context, page, at, complaints } = await open({ user, width: 390 });
  await page.goto("/account");
  await page.waitForFunction(() => /\d/.test(document.getElementById("balance").textContent));
  assert.equal(await at("policy-notice").count(), 0);
  await psql("insert into shotai.policy_version (version, effective_from, change_en, change_nl) values ('shown-1', now(), 'More.', 'Meer.')");
  for (const target of ["/", "/account", "/privacy"]) {
    await page.goto(target);
    await at("policy-notice").waitFor();
    assert.ok(await fits(page), target);
  }
  await page.screenshot({ path: path.join(shots, "policy-notice-390.png") });
  assert.match(await at("policy-notice").innerText(), /privacy policy has materially changed/);
  await at("policy-acknowledge").click();
  await at("policy-notice").waitFor({ state: "detached" });
  assert.deepEqual((await api(user, "GET", "/api/account")).json.policy, { version: "shown-1", acknowledged: "shown-1", notice: false });
  await page.goto("/");
  await page.waitForFunction(() => /\d/.test(document.getElementById("balance").textContent));
  assert.equal(await at("policy-notice").count(), 0);
  assert.deepEqual(complaints, []);
  await context.close();
});

test("the age is asked before an account: until then, and after a no, nothing is sent", async () => {
  const { context, page, at, complaints, sent } = await open({ width: 390 });
  await page.goto("/sign-in#up");
  await at("age-no").click();
  await at("too-young").waitFor();
  assert.equal(await at("sign-up-email").count(), 0);
  // Neither another try in this tab nor another way in asks again.
  await page.goto("/");
  await page.goto("/sign-in#up");
  await at("too-young").waitFor();
  await page.goto("/sign-in");
  await at("to-sign-up").click();
  await at("too-young").waitFor();
  assert.deepEqual(sent.filter((request) => !/^GET \/(assets\/|sign-in$|$|api\/models$|api\/config$)/.test(request)), []);
  assert.deepEqual(await context.cookies(), []);
  assert.deepEqual(complaints, []);
  await context.close();
});

test("who comes with a sign-in of another kind is asked before anything else; a no ends the account", async () => {
  const user = await newUser({ confirmAge: false });
  const { context, page, at, sent } = await open({ user });
  for (const target of ["/", "/history", "/billing", "/account"]) {
    await page.goto(target);
    await at("age-dialog").waitFor();
  }
  await page.goto("/privacy"); // may be read before
  await page.locator("#terms").waitFor();
  assert.equal(await at("age-dialog").count(), 0);
  await page.goto("/");
  await at("age-dialog").waitFor();
  await page.keyboard.press("Escape");
  await page.keyboard.press("Escape");
  await at("age-dialog").waitFor();
  assert.deepEqual(sent.filter((request) => !request.startsWith("GET ")), [], "nothing but looking");
  const [{ count }] = await psql(`select count(*) from shotai.credit_entry e join shotai.account a on a.id = e.account where a.user_id = '${user.id}'`);
  assert.equal(count, "0");
  await at("age-no").click();
  await page.locator("[data-testid=age-dialog] [role=status]").waitFor();
  assert.deepEqual(sent.filter((request) => !request.startsWith("GET ")), ["POST /api/account/confirm-age"]);
  assert.equal(await page.evaluate(() => localStorage.getItem("shotai.session")), null);
  await waitFor(async () => (await auth("POST", "/token?grant_type=password", { email: user.email, password: user.password })).status === 400, { what: "the sign-in to be gone" });
  await context.close();
});

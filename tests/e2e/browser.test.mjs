// The front end in a real browser, as a newcomer meets it: sign up, say the age, make a picture, find it back, leave.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";
import { randomUUID } from "node:crypto";

import { auth, env, psql } from "./harness.mjs";

const shots = path.join(env.home, "screenshots");
let browser;
before(async () => {
  mkdirSync(shots, { recursive: true });
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium" });
});
after(() => browser?.close());

// A page that notes everything a developer's console would complain of.
async function open(viewport, locale = "en-GB") {
  const context = await browser.newContext({ viewport, locale, baseURL: env.url, hasTouch: viewport.width < 500 });
  const page = await context.newPage();
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && complaints.push(message.text()));
  page.on("requestfailed", (failed) => {
    const { errorText } = failed.failure() ?? {};
    if (errorText !== "net::ERR_ABORTED") complaints.push(`${failed.url()}: ${errorText}`);
  });
  await page.addInitScript(() => document.addEventListener("securitypolicyviolation", (event) => console.error(`CSP: ${event.violatedDirective} ${event.blockedURI}`)));
  const at = (name) => page.locator(`[data-testid=${name}]:visible`);
  const shot = (name) => page.screenshot({ path: path.join(shots, `${name}-${viewport.width}.png`), fullPage: true });
  return { context, page, at, shot, complaints };
}

async function signUp({ page, at }, email, password) {
  await page.goto("/sign-in");
  await at("to-sign-up").click();
  await at("age-yes").click();
  await at("sign-up-email").fill(email);
  await at("sign-up-password").fill(password);
  await at("sign-up-submit").click();
  await page.waitForURL("/");
}

// How the file begins that a click brings.
async function saved(page, what) {
  await what.waitFor();
  const [download] = await Promise.all([page.waitForEvent("download"), what.click()]);
  return readFileSync(await download.path()).subarray(0, 4).toString("hex");
}

const sizes = [{ width: 1280, height: 900 }, { width: 390, height: 844 }];

for (const viewport of sizes) {
  test(`from sign-up to the first picture and out again at ${viewport.width} px`, { timeout: 120_000 }, async () => {
    const it = await open(viewport), { page, at, shot, complaints } = it;
    const email = `${randomUUID()}@example.test`, prompt = "a red fox on a snowy quay <b>at dawn</b>";
    await signUp(it, email, "a phrase of some words");
    await page.waitForFunction(() => /\b50\b/.test(document.getElementById("balance").textContent));

    await at("prompt").fill(prompt);
    await at("shoot").click();
    const roll = page.locator("[data-testid=roll][data-status=succeeded]");
    await roll.waitFor();
    const picture = roll.locator("img").first();
    await picture.evaluate((image) => image.decode());
    assert.ok(await picture.evaluate((image) => image.naturalWidth) >= 256, "a picture with pixels");
    const [{ balance }] = await psql(`select a.balance from shotai.account a join auth.users u on u.id = a.user_id where u.email = '${email}'`);
    assert.ok(Number(balance) < 50);
    await page.waitForFunction((left) => document.getElementById("balance").textContent.includes(left), balance);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "nothing sticks out sideways");
    await shot("studio");

    await page.goto("/history");
    const item = page.locator("[data-testid=history-item]");
    await item.first().waitFor();
    assert.equal(await item.count(), 1);
    await item.locator("a").first().click();
    assert.equal(await at("details-prompt").innerText(), prompt);
    await page.keyboard.press("Escape");
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
    await shot("history");

    await at("select").click();
    await item.locator("a").first().click();
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
    await shot("selection");
    await at("selection-take").click();
    assert.equal(await saved(page, at("takeout-link")), "504b0304");
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
    await shot("takeout");

    await page.goto("/billing");
    await at("credit-entry").first().waitFor();
    await at("buy").first().waitFor();
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
    await shot("billing");

    await page.goto("/account");
    await page.waitForFunction((left) => document.getElementById("amount").textContent.includes(left), balance);
    assert.ok((await page.locator("main").innerText()).includes(email));
    await at("announcements").check();
    await at("announcements-note").filter({ hasText: "Saved" }).waitFor();
    const [wants] = await psql(`select a.receipts, a.announcements from shotai.account a join auth.users u on u.id = a.user_id where u.email = '${email}'`);
    assert.deepEqual(wants, { receipts: "f", announcements: "t" });
    assert.equal(await saved(page, at("export")), Buffer.from('{"ma').toString("hex"));
    await at("export-all").click();
    await at("takeout-link").waitFor();
    await page.reload();
    assert.ok(await at("announcements").and(page.locator(":enabled")).isChecked());
    assert.equal(await saved(page, at("takeout-link")), "504b0304");
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
    await shot("account");
    await at("sign-out").click();
    await page.waitForURL("/");
    assert.equal(await at("prompt").inputValue(), "", "what was on the desk is gone");
    await page.goto("/history");
    await page.waitForURL(/\/sign-in/);
    assert.deepEqual(complaints, []);
    await it.context.close();
  });
}

test("a dead link leads somewhere, in the language of the browser", async () => {
  for (const [locale, word] of [["en-GB", "studio"], ["nl-NL", "archief"]]) {
    const it = await open(sizes[1], locale);
    assert.equal((await it.page.goto("/nothing/here")).status(), 404);
    await it.page.locator("main", { hasText: word }).waitFor();
    assert.ok(await it.page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
    await it.page.locator("main a[href='/']").click();
    await it.page.waitForURL("/");
    // The browser itself notes the 404.
    assert.deepEqual(it.complaints.filter((complaint) => !complaint.includes("404")), []);
    await it.context.close();
  }
});

test("a person of before signs in, in Dutch, and a wrong password or one try too many is said kindly", async () => {
  const email = `${randomUUID()}@example.test`, password = "nog een lange zin";
  assert.equal((await auth("POST", "/signup", { email, password })).status, 200);
  const it = await open(sizes[0], "nl-NL"), { page, at } = it;
  await page.goto("/sign-in");
  assert.equal(await page.evaluate(() => document.documentElement.lang), "nl");
  await at("email").fill(email);
  await at("password").fill("iets anders dan dat");
  await at("sign-in-submit").click();
  await at("message").waitFor();
  await page.route("**/auth/v1/token**", (route) => route.fulfill({ status: 429, headers: { "Retry-After": "20" }, contentType: "application/problem+json", body: "{}" }), { times: 1 });
  await at("sign-in-submit").click();
  await page.getByText("Dat ging snel. Probeer het over 20 seconden opnieuw.").waitFor();
  await at("password").fill(password);
  await at("sign-in-submit").click();
  await at("age-yes").click();
  await page.waitForFunction(() => /\b50\b/.test(document.getElementById("balance").textContent));
  await it.context.close();
});

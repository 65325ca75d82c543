// Deleting one's account in a real browser, from the account page to the receipt.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";

import { env, newUser } from "./harness.mjs";
import { withClaims } from "./contract.mjs";

const shots = path.join(env.home, "screenshots");
let browser;
before(async () => {
  mkdirSync(shots, { recursive: true });
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium" });
});
after(() => browser?.close());

for (const [width, height, locale, title] of [[1280, 900, "en-GB", "Your account is gone"], [390, 844, "nl-NL", "Je account is weg"]]) {
  test(`an account is deleted after another sign-in, at ${width} px in ${locale}`, { timeout: 120_000 }, async () => {
    const user = await newUser();
    const context = await browser.newContext({ viewport: { width, height }, locale, baseURL: env.url, hasTouch: width < 500 });
    const page = await context.newPage();
    const complaints = [];
    page.on("pageerror", (error) => complaints.push(String(error)));
    page.on("console", (message) => message.type() === "error" && !/401|400/.test(message.text()) && complaints.push(message.text()));
    const at = (name) => page.locator(`[data-testid=${name}]:visible`);
    const shot = (name) => page.screenshot({ path: path.join(shots, `${name}-${width}.png`) });
    await page.goto("/sign-in");
    await at("email").fill(user.email);
    await at("password").fill(user.password);
    await at("sign-in-submit").click();
    await page.waitForURL("/");
    await at("prompt").fill("half a sentence");
    await page.goto("/account");
    await at(`language-${locale.slice(0, 2)}`).click();
    await page.locator(`html[lang=${locale.slice(0, 2)}] [data-testid=erase]:enabled`).waitFor();
    await shot("account-erase");
    // Signed in long ago: the first attempt goes out with a token that says so.
    const old = await withClaims(user, { amr: [{ method: "password", timestamp: Math.floor(Date.now() / 1000) - 660 }] });
    await page.route("**/api/account", (route) =>
      route.request().method() === "DELETE" ? route.continue({ headers: { ...route.request().headers(), authorization: `Bearer ${old.token}` } }) : route.continue());
    await at("erase").click();
    assert.ok(await at("erase-yes").isDisabled(), "nothing goes by a slip");
    await at("erase-email").fill("somebody@else.example");
    assert.ok(await at("erase-yes").isDisabled());
    await at("erase-email").fill(user.email.toUpperCase());
    await shot("erase-dialog");
    await at("erase-yes").click();
    await at("erase-password").waitFor();
    await page.unroute("**/api/account");
    await at("erase-password").fill("not the password");
    await at("erase-yes").click();
    await page.waitForFunction(() => !document.querySelector("[data-testid=erase-yes]").disabled);
    await shot("erase-again");
    await at("erase-password").fill(user.password);
    await at("erase-yes").click();
    await page.waitForURL("**/erasure/*?lang=*");
    await shot("receipt-begun");
    await page.getByRole("heading", { name: title }).waitFor({ timeout: 60_000 }); // it looks again by itself
    await shot("receipt");
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth), false);
    assert.equal(await page.evaluate(() => Object.keys(localStorage).some((key) => /session|token/.test(localStorage[key]))), false, "no session is left in the browser");
    assert.equal(await page.evaluate(() => sessionStorage.length), 0, "nor what the tab was in the middle of");
    assert.deepEqual(complaints, []);
    await context.close();
  });
}

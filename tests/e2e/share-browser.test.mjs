// Looking back and sharing in a real browser: find, mark, share, revoke, delete; and the shared page as strangers meet it.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";

import { api, env, finished, newUser } from "./harness.mjs";

const shots = path.join(env.home, "screenshots");
let browser;
before(async () => {
  mkdirSync(shots, { recursive: true });
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium" });
});
after(() => browser?.close());

const sizes = [{ width: 1280, height: 900 }, { width: 390, height: 844 }];

// A page that notes everything a developer's console would complain of.
async function open(viewport, options = {}) {
  const context = await browser.newContext({ viewport, locale: "en-GB", baseURL: env.url, hasTouch: viewport.width < 500, ...options });
  const page = await context.newPage();
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && complaints.push(message.text()));
  const at = (name) => page.locator(`[data-testid=${name}]:visible`);
  const shot = (name) => page.screenshot({ path: path.join(shots, `${name}-${viewport.width}.png`) });
  const wide = () => page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
  return { context, page, at, shot, wide, complaints };
}

async function person(viewport, prompts) {
  const user = await newUser();
  const generations = [];
  for (const [prompt, more] of prompts) {
    const { json } = await api(user, "POST", "/api/generate", { model: "gpt-image-1-mini", prompt, ...more });
    generations.push(await finished(user, json.id));
  }
  const it = await open(viewport);
  await it.page.goto("/sign-in");
  await it.at("email").fill(user.email);
  await it.at("password").fill(user.password);
  await it.at("sign-in-submit").click();
  await it.page.waitForURL("/");
  await it.page.goto("/history");
  await it.page.locator("[data-testid=history-item]").nth(generations.length - 1).waitFor();
  return { ...it, user, generations };
}

const ids = (page) => page.locator("[data-testid=history-item]").evaluateAll((items) => items.map((item) => item.dataset.id));

for (const viewport of sizes) {
  test(`a frame is shared, seen by a stranger without script, and taken back at ${viewport.width} px`, { timeout: 120_000 }, async () => {
    const it = await person(viewport, [["a red fox on a snowy quay", { count: 2 }]]), { page, at, shot } = it;
    await page.locator("[data-testid=history-item] a").nth(1).click();
    await at("share").click();
    await at("share-prompt").check();
    await at("share-expiry").selectOption({ index: 2 });
    await at("share-make").click();
    await at("link").waitFor();
    const address = await at("share-url").inputValue();
    assert.match(address, new RegExp(`^${env.url}/s/[\\w-]{22}$`));
    await shot("share-dialog");
    assert.equal(await it.wide(), false);

    const stranger = await open(viewport, { javaScriptEnabled: false, colorScheme: "dark", locale: "nl-NL" });
    assert.equal((await stranger.page.goto(address)).status(), 200);
    const picture = stranger.page.locator("figure img");
    const { complete, shown } = await picture.boundingBox().then(async (box) => ({ complete: await stranger.page.locator("img").count(), shown: box }));
    assert.equal(complete, 1);
    assert.ok(shown.width > 100 && shown.height > 100);
    assert.ok((await stranger.page.locator("body").innerText()).includes("a red fox on a snowy quay"));
    await stranger.shot("shared");
    assert.equal(await stranger.page.evaluate(() => 1).catch(() => "no script"), 1);
    await stranger.page.locator("summary").click();
    await stranger.page.locator("textarea").fill("Dit ben ik,\nen dat wil ik niet.");
    await stranger.shot("shared-report");
    await stranger.page.locator("form button").click();
    await stranger.page.waitForURL(/reported/);
    assert.match(await stranger.page.locator("[role=status]").innerText(), /aangekomen/);

    await at("share-close").click();
    const marks = await page.locator("[data-testid=frame]").evaluateAll((frames) => frames.map((frame) => frame.textContent.includes("\u2605")));
    assert.deepEqual(marks, [false, true]);
    await at("share").click();
    await at("link").waitFor();
    await at("share-revoke").click();
    await at("link").waitFor({ state: "detached" });
    await at("share-close").click();
    assert.equal((await stranger.page.goto(address)).status(), 404);
    await stranger.shot("shared-gone");
    assert.deepEqual(await page.locator("[data-testid=frame]").evaluateAll((frames) => frames.map((frame) => frame.textContent.includes("\u2605"))), [false, false]);
    assert.deepEqual(it.complaints, []);
    assert.deepEqual(stranger.complaints.filter((text) => !/404/.test(text)), []);
    await stranger.context.close();
    await it.context.close();
  });

  test(`what was made is found, marked and deleted at ${viewport.width} px`, { timeout: 180_000 }, async () => {
    const it = await person(viewport, [["a red fox", {}], ["two red lighthouses", { aspect_ratio: "3:2" }], ["a blue boat", {}], ["dunes at noon", {}]]);
    const { page, at, shot, generations: [fox, houses, boat, dunes] } = it;
    const shows = (...wanted) => page.waitForFunction((list) => {
      const found = [...document.querySelectorAll("[data-testid=history-item]")].map((item) => item.dataset.id);
      return JSON.stringify(found) === JSON.stringify(list) && document.getElementById("more").hidden;
    }, wanted.map(({ id }) => id));
    await shot("history-filters");
    await at("search").fill("RED");
    await shows(houses, fox);
    await at("search").fill("red light");
    await shows(houses);
    await at("search").fill("submarine");
    await at("empty").waitFor();
    await at("search").fill("");
    await shows(dunes, boat, houses, fox);

    await page.locator(`[data-id="${boat.id}"] a`).click();
    await at("favourite").click();
    await page.waitForFunction(() => document.querySelector("[data-testid=favourite]").getAttribute("aria-pressed") === "true");
    await page.keyboard.press("Escape");
    await page.locator("label:has([data-testid=filter-favourite])").click();
    await shows(boat);
    await page.reload();
    await shows(boat);
    await page.locator("label:has([data-testid=filter-favourite])").click();
    await shows(dunes, boat, houses, fox);

    await page.locator(`[data-id="${dunes.id}"] a`).click();
    await at("delete").click();
    assert.match(await at("delete-dialog").innerText(), /cannot be undone/);
    await shot("delete-dialog");
    await at("delete-no").click();
    assert.equal((await api(it.user, "GET", `/api/history/${dunes.id}`)).status, 200);
    await at("delete").click();
    await at("delete-yes").click();
    await shows(boat, houses, fox);
    assert.equal((await api(it.user, "GET", `/api/history/${dunes.id}`)).status, 404);

    await at("select").click();
    await page.locator(`[data-id="${fox.id}"] a`).click();
    await page.locator(`[data-id="${houses.id}"] a`).click();
    await shot("history-select");
    const red = await page.locator(`[data-id="${fox.id}"] figcaption`).evaluate((node) => getComputedStyle(node).color);
    assert.notEqual(red, await page.locator(`[data-id="${boat.id}"] figcaption`).evaluate((node) => getComputedStyle(node).color));
    assert.match(await at("selection-count").innerText(), /2/);
    await at("selection-delete").click();
    await at("delete-yes").click();
    await shows(boat);
    assert.equal(await it.wide(), false);
    assert.deepEqual(await ids(page), [boat.id]);
    assert.deepEqual(it.complaints, []);
    await it.context.close();
  });
}

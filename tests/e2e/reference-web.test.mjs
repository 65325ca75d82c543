// The reference picture in a real browser: chosen, dropped, pasted, counted down, used, removed, refused in clear words.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";
import { randomUUID } from "node:crypto";

import { env, newUser, psql, waitFor } from "./harness.mjs";
import { picture, png, rowOf } from "./uploads.mjs";

const shots = path.join(env.home, "screenshots");
const sizes = [{ width: 1280, height: 900 }, { width: 390, height: 844 }];
let browser;
before(async () => {
  mkdirSync(shots, { recursive: true });
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium" });
});
after(() => browser?.close());

// A page of someone signed in.
async function open(viewport, locale, user) {
  const context = await browser.newContext({ viewport, locale, baseURL: env.url, hasTouch: viewport.width < 500 });
  const page = await context.newPage();
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => message.type() === "error" && !/status of (4\d\d|503)/.test(message.text()) && complaints.push(message.text()));
  await page.addInitScript(() => document.addEventListener("securitypolicyviolation", (event) => console.error(`CSP: ${event.violatedDirective} ${event.blockedURI}`)));
  // As if chosen at the foot of the page: what the account says counts only where nothing was chosen.
  await page.addInitScript((language) => localStorage.setItem("shotai.language", language), locale.slice(0, 2));
  const at = (name) => page.locator(`[data-testid=${name}]:visible`);
  const shot = (name) => page.screenshot({ path: path.join(shots, `${name}-${viewport.width}.png`), fullPage: true });
  if (user) {
    await page.goto("/sign-in");
    await at("email").fill(user.email);
    await at("password").fill(user.password);
    await at("sign-in-submit").click();
    await page.waitForURL("/");
  }
  return { context, page, at, shot, complaints };
}

const choose = (page, name, mimeType, buffer) => page.setInputFiles("[data-testid=reference-file]", { name, mimeType, buffer });
const chooseAll = (page, ...names) =>
  page.setInputFiles("[data-testid=reference-file]", names.map((name) => ({ name, mimeType: "image/png", buffer: picture("plain.png") })));
const names = (page) => page.locator("[data-testid=reference-name]").allInnerTexts();
const kept = (page) => page.evaluate(() => JSON.parse(sessionStorage.getItem("shotai.references")));
const seconds = async (at) => {
  const [minutes, rest] = (await at("reference-time").innerText()).split(":");
  return Number(minutes) * 60 + Number(rest);
};
const uploadsOf = async (user) =>
  psql(`select u.id, u.deleted_at from shotai.upload u join shotai.account a on a.id = u.account where a.user_id = '${user.id}' order by u.created_at`);

for (const viewport of sizes) {
  test(`a reference is chosen, counted down, used and removed at ${viewport.width} px`, { timeout: 120_000 }, async () => {
    const user = await newUser();
    const { context, page, at, shot, complaints } = await open(viewport, "en-GB", user);
    await page.waitForSelector("[data-testid=model]", { state: "attached" });
    await choose(page, "quay.jpg", "image/jpeg", picture("plain.jpg"));
    await at("reference-time").waitFor();
    assert.equal(await at("reference-name").innerText(), "quay.jpg");
    const before = await seconds(at);
    assert.ok(before > 1780 && before <= 1800, String(before));
    await page.waitForFunction((old) => document.querySelector("[data-testid=reference-time]").textContent !== old, await at("reference-time").innerText());
    assert.ok((await seconds(at)) < before);
    assert.match(await at("reference-note").innerText(), /only, which keeps it for 30 days/);
    assert.equal(await at("keeping").innerText(), "OpenAI gets your prompt and keeps it for 30 days");
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "nothing sticks out sideways");
    const [{ id }] = await uploadsOf(user);
    await shot("reference");

    await page.reload();
    await at("reference-time").waitFor();
    assert.ok((await seconds(at)) <= before, "it survives a reload, and so does its end");

    await at("prompt").fill("the same quay at dawn");
    const sent = page.waitForRequest((request) => request.method() === "POST" && request.url().endsWith("/api/generate"));
    await at("shoot").click();
    assert.equal((await sent).postDataJSON().upload_id, id);
    await page.locator("[data-testid=roll][data-status=succeeded]").waitFor();

    const target = await at("reference-remove").boundingBox();
    assert.ok(target.width >= 44 && target.height >= 44, "large enough to touch");
    await at("reference-remove").click();
    await page.waitForFunction(() => /has been deleted/.test(document.getElementById("reference-message").textContent));
    assert.ok((await rowOf(id)).deleted_at);
    assert.equal(await kept(page), null);
    await at("prompt").fill("without");
    const second = page.waitForRequest((request) => request.method() === "POST" && request.url().endsWith("/api/generate"));
    await at("shoot").click();
    assert.equal((await second).postDataJSON().upload_id, undefined);
    assert.deepEqual(complaints, []);
    await context.close();
  });
}

test("a picture may be dropped or pasted, and takes the place of the one before", { timeout: 120_000 }, async () => {
  const user = await newUser();
  const { context, page, at, complaints } = await open(sizes[0], "en-GB", user);
  await page.waitForSelector("[data-testid=model]", { state: "attached" });
  const deliver = (event, name, bytes) =>
    page.evaluate(([event, name, base64]) => {
      const data = new DataTransfer();
      data.items.add(new File([Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))], name, { type: "" }));
      document.body.dispatchEvent(event === "paste"
        ? new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true })
        : new DragEvent(event, { dataTransfer: data, bubbles: true, cancelable: true }));
    }, [event, name, bytes.toString("base64")]);
  await deliver("dragover", "a.png", picture("plain.png"));
  assert.ok(await page.locator("#reference.over").count());
  await deliver("drop", "dropped.png", picture("plain.png"));
  await page.waitForFunction(() => document.querySelector("[data-testid=reference-name]")?.textContent === "dropped.png");
  await at("reference-time").waitFor();
  await deliver("paste", "pasted.webp", picture("plain.webp"));
  await page.waitForFunction(() => document.querySelector("[data-testid=reference-name]")?.textContent === "pasted.webp" && document.getElementById("reference").dataset.state === "held");
  await waitFor(async () => {
    const rows = await uploadsOf(user);
    return rows.length === 2 && rows[0].deleted_at && !rows[1].deleted_at;
  }, { what: "the first one to be deleted" });
  assert.deepEqual(complaints, []);
  await context.close();
});

for (const [viewport, locale, words] of [[sizes[0], "en-GB", { room: "2 of 4", full: /at most 4/, first: /only the first goes/ }], [sizes[1], "nl-NL", { room: "2 van 4", full: /ten hoogste 4/, first: /alleen de eerste gaat/ }]]) {
  test(`a model that takes several gets several, each with its own end, at ${viewport.width} px`, { timeout: 120_000 }, async () => {
    const user = await newUser();
    const { context, page, at, shot, complaints } = await open(viewport, locale, user);
    await page.waitForSelector("[data-testid=model]", { state: "attached" });
    const { max_references: most } = (await page.evaluate(() => fetch("/api/models").then((answer) => answer.json()))).items[1];
    assert.equal(most, 4);
    await page.locator("label.model").nth(1).click();
    await chooseAll(page, "one.png", "two.png");
    await page.locator("[data-testid=reference-time]:visible").nth(1).waitFor();
    assert.equal(await page.locator("#reference-how").innerText(), words.room);
    await chooseAll(page, "three.png", "four.png", "five.png");
    await page.locator("[data-testid=reference-time]:visible").nth(3).waitFor();
    assert.match(await at("reference-message").innerText(), words.full);
    const all = await names(page);
    assert.equal(all.length, 4);
    assert.ok(await page.locator("#reference-pick").isHidden());
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "nothing sticks out sideways");
    await shot("references");

    await at("reference-remove").nth(1).click();
    await page.waitForFunction(() => document.querySelectorAll("[data-testid=reference-name]").length === 3);
    assert.deepEqual(await names(page), all.toSpliced(1, 1));
    await page.reload();
    await page.locator("[data-testid=reference-time]:visible").nth(2).waitFor();
    const ids = (await kept(page)).map(({ id }) => id);
    const live = (await uploadsOf(user)).filter((row) => !row.deleted_at).map(({ id }) => id);
    assert.deepEqual(ids.toSorted(), live.toSorted(), "what was removed is deleted, the others are there");

    await at("prompt").fill("all of them");
    const sent = page.waitForRequest((request) => request.method() === "POST" && request.url().endsWith("/api/generate"));
    await at("shoot").click();
    assert.deepEqual((await sent).postDataJSON().upload_ids, ids);
    await page.locator("[data-testid=roll][data-status=succeeded]").waitFor();

    await page.locator("label.model").nth(0).click();
    assert.match(await at("reference-note").innerText(), words.first);
    await at("prompt").fill("one of them");
    const second = page.waitForRequest((request) => request.method() === "POST" && request.url().endsWith("/api/generate"));
    await at("shoot").click();
    assert.equal((await second).postDataJSON().upload_id, ids[0]);
    assert.deepEqual(complaints, []);
    await context.close();
  });
}

test("progress is shown, and what is on its way can be given up", { timeout: 120_000 }, async () => {
  const user = await newUser();
  const { context, page, at } = await open(sizes[1], "nl-NL", user);
  await page.waitForSelector("[data-testid=model]", { state: "attached" });
  let release;
  await page.route("**/api/uploads", async (route) => {
    await new Promise((resolve) => (release = resolve));
    await route.abort().catch(() => {});
  });
  await choose(page, "kade.png", "image/png", picture("plain.png"));
  await at("reference-progress").waitFor();
  assert.equal(await page.locator("#reference").getAttribute("data-state"), "sending");
  await at("prompt").fill("nog niet");
  await at("shoot").click();
  await page.waitForFunction(() => /nog verstuurd/.test(document.getElementById("desk-message").textContent));
  await at("reference-remove").click();
  await page.waitForFunction(() => document.getElementById("reference").dataset.state === "empty");
  release?.();
  await context.close();
});

test("every refusal is said in words, in both languages", { timeout: 180_000 }, async () => {
  const user = await newUser();
  for (const [locale, words] of [
    ["en-GB", { broken: /not a usable picture/, large: /too large/, limit: /Try again in 4 minutes/, away: /nothing was kept/, network: /did not arrive/, suspended: /suspended/ }],
    ["nl-NL", { broken: /geen bruikbare afbeelding/, large: /te groot/, limit: /Probeer het over 4 minuten/, away: /niets bewaard/, network: /niet aangekomen/, suspended: /geblokkeerd/ }],
  ]) {
    const { context, page, at } = await open(sizes[1], locale, user);
    await page.waitForSelector("[data-testid=model]", { state: "attached" });
    const says = async (expected) => {
      await page.waitForFunction((source) => new RegExp(source).test(document.getElementById("reference-message").textContent), expected.source);
      assert.equal(await page.locator("#reference").getAttribute("data-state"), "empty");
    };
    await choose(page, "notes.png", "image/png", Buffer.from("no picture"));
    await says(words.broken);
    await choose(page, "cut.png", "image/png", picture("plain.png").subarray(0, 90));
    await says(words.broken);
    await choose(page, "wide.png", "image/png", png(4, 4, { header: [60_000, 60_000] }));
    await says(words.large);
    await choose(page, "heavy.png", "image/png", Buffer.concat([picture("plain.png"), Buffer.alloc(21 << 20)]));
    await says(words.large);
    const answer = (status, code, headers = {}) =>
      page.route("**/api/uploads", (route) => route.fulfill({
        status, contentType: "application/problem+json", headers,
        body: JSON.stringify({ type: `urn:shotai:problem:${code}`, title: code, status, code, request_id: randomUUID() }),
      }), { times: 1 });
    await answer(429, "rate_limited", { "Retry-After": "200" });
    await choose(page, "a.png", "image/png", picture("plain.png"));
    await says(words.limit);
    await answer(503, "storage_unavailable", { "Retry-After": "5" });
    await choose(page, "a.png", "image/png", picture("plain.png"));
    await says(words.away);
    await answer(403, "account_suspended");
    await choose(page, "a.png", "image/png", picture("plain.png"));
    await says(words.suspended);
    await page.route("**/api/uploads", (route) => route.abort(), { times: 1 });
    await choose(page, "a.png", "image/png", picture("plain.png"));
    await says(words.network);
    await choose(page, "good.jpg", "image/png", picture("plain.jpg"));
    await at("reference-time").waitFor();
    await context.close();
  }
});

test("at its end it leaves the page too, and an order that comes too late says so", { timeout: 120_000 }, async () => {
  const user = await newUser();
  const { context, page, at } = await open(sizes[0], "nl-NL", user);
  await page.waitForSelector("[data-testid=model]", { state: "attached" });
  await choose(page, "kade.jpg", "image/jpeg", picture("plain.jpg"));
  await at("reference-time").waitFor();
  const [{ id }] = await uploadsOf(user);
  await psql(`update shotai.upload set created_at = created_at - interval '30 minutes', expires_at = expires_at - interval '30 minutes',
    due_at = due_at - interval '30 minutes' where id = '${id}'`);
  await at("prompt").fill("te laat");
  await at("shoot").click();
  await page.waitForFunction(() => /al gewist/.test(document.getElementById("reference-message").textContent));
  assert.equal(await page.locator("#reference").getAttribute("data-state"), "empty");

  await choose(page, "kade.jpg", "image/jpeg", picture("plain.jpg"));
  await at("reference-time").waitFor();
  await page.evaluate(() => {
    const [kept] = JSON.parse(sessionStorage.getItem("shotai.references"));
    sessionStorage.setItem("shotai.references", JSON.stringify([{ ...kept, endsAt: Date.now() + 3000 }]));
  });
  await page.reload();
  await page.waitForFunction(() => /zoals beloofd/.test(document.getElementById("reference-message").textContent));
  assert.equal(await kept(page), null);
  await context.close();
});

test("a model that takes no reference says so and is not sent one", { timeout: 120_000 }, async () => {
  const user = await newUser();
  const { context, page, at } = await open(sizes[0], "en-GB", user);
  await page.route("**/api/models", async (route) => {
    const response = await route.fetch();
    const body = await response.json();
    Object.assign(body.items[1], { accepts_reference: false, max_references: 0 });
    await route.fulfill({ response, json: body });
  });
  await page.goto("/");
  await page.waitForSelector("[data-testid=model]", { state: "attached" });
  await choose(page, "quay.jpg", "image/jpeg", picture("plain.jpg"));
  await at("reference-time").waitFor();
  await page.locator("label.model").nth(1).click();
  assert.match(await at("reference-note").innerText(), /works without a reference/);
  await at("prompt").fill("no reference");
  const sent = page.waitForRequest((request) => request.method() === "POST" && request.url().endsWith("/api/generate"));
  await at("shoot").click();
  assert.equal((await sent).postDataJSON().upload_id, undefined);
  await page.locator("label.model").nth(0).click();
  assert.match(await at("reference-note").innerText(), /keeps it/);
  await context.close();
});

test("whoever is signed out signs in first, and nothing is sent", { timeout: 60_000 }, async () => {
  const { context, page } = await open(sizes[1], "en-GB", null);
  await page.goto("/");
  await page.waitForSelector("[data-testid=model]", { state: "attached" });
  const sent = [];
  page.on("request", (request) => request.url().includes("/api/uploads") && sent.push(request.url()));
  await choose(page, "quay.jpg", "image/jpeg", picture("plain.jpg"));
  await page.waitForURL(/\/sign-in/);
  assert.deepEqual(sent, []);
  await context.close();
});

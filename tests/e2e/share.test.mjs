// Shared pictures: who may share, what a stranger with the link sees, and that nothing is seen once it should not be.
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { randomUUID } from "node:crypto";

import { api, ctl, env, finished, newUser, psql, request } from "./harness.mjs";
import { assertDescribed, call, heldGeneration, refused, setLimits, suspend, withClaims } from "./contract.mjs";

const form = { "Content-Type": "application/x-www-form-urlencoded" };
const PROMPT = 'a fox & "quay" <b>at dawn</b>';

async function made(user, { prompt = PROMPT, count = 1 } = {}) {
  const { json } = await call(user, "POST", "/api/generate", { model: "gpt-image-1-mini", prompt, count });
  const generation = await finished(user, json.id);
  assert.equal(generation.status, "succeeded");
  return generation;
}

async function share(user, generation, more = {}) {
  const answer = await call(user, "POST", "/api/shares", { generation_id: generation.id, ...more });
  assert.equal(answer.status, 201, answer.text);
  return answer.json;
}

const page = async (slug, headers = {}) => {
  const answer = await request("GET", `/s/${slug}`, { headers: { Accept: "text/html", ...headers } });
  assertDescribed("GET", `/s/${slug}`, answer);
  return answer;
};

const picture = (slug, headers) => call(null, "GET", `/s/${slug}/image`, undefined, headers);

const unescape = (text) => text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&quot;", '"').replaceAll("&#39;", "'").replaceAll("&amp;", "&");
const metas = (html) => Object.fromEntries([...html.matchAll(/<meta (?:property|name)="([^"]+)" content="([^"]*)">/g)].map(([, name, value]) => [name, unescape(value)]));

// Whatever shows the picture says that it is not there.
async function assertGone(slug) {
  const html = await page(slug);
  assert.equal(html.status, 404);
  assert.match(html.headers.get("content-type"), /^text\/html/);
  assert.doesNotMatch(html.text, /<img|og:|twitter:|fox/);
  for (const headers of [{}, { Range: "bytes=0-1" }, { "If-None-Match": "*" }])
    await refused("not_found", null, "GET", `/s/${slug}/image`, undefined, headers);
  assert.equal((await request("HEAD", `/s/${slug}`)).status, 404);
  await refused("not_found", null, "POST", `/s/${slug}/report`, { reason: "late" });
}

let user, generation;
before(async () => {
  user = await newUser();
  generation = await made(user);
});

test("a share is a link that tells nothing but 128 random bits", async () => {
  const it = await share(user, generation);
  assert.match(it.slug, /^[\w-]{21}[AQgw]$/);
  assert.equal(Buffer.from(it.slug, "base64url").length, 16);
  assert.equal(it.url, `${env.PUBLIC_URL}/s/${it.slug}`);
  assert.equal(it.image_url, `${it.url}/image`);
  assert.deepEqual({ ...it, slug: 0, url: 0, image_url: 0, created_at: 0 },
    { slug: 0, url: 0, image_url: 0, created_at: 0, generation_id: generation.id, image_index: 0, show_prompt: false, expires_at: null, views: 0 });
  const { json } = await call(user, "GET", `/api/history/${generation.id}`);
  assert.ok(json.shared.includes(it.slug));
  const slugs = await Promise.all(Array.from({ length: 5 }, () => share(user, generation)));
  assert.equal(new Set(slugs.map(({ slug }) => slug)).size, 5);
});

test("a stranger sees one picture, made with AI, and nothing about who made it", async () => {
  const { slug, url } = await share(user, generation);
  const { status, headers, text } = await page(slug);
  assert.equal(status, 200);
  assert.match(headers.get("content-type"), /^text\/html; charset=utf-8$/i);
  assert.equal(headers.get("cache-control"), "no-store");
  assert.match(text, /Made with AI/);
  assert.match(text, new RegExp(`<img src="/s/${slug}/image"`));
  for (const personal of [user.id, user.email, generation.id, "/files/", "gen/", "fox", env.STORAGE]) assert.ok(!text.includes(personal), personal);
  const found = metas(text), [{ width, height }] = generation.images;
  assert.deepEqual(
    ["og:url", "og:image", "og:image:width", "og:image:height", "og:image:type", "og:type", "twitter:card", "twitter:image", "robots"].map((name) => found[name]),
    [url, `${url}/image`, String(width), String(height), "image/png", "website", "summary_large_image", `${url}/image`, "noindex, noarchive"]);
  assert.equal(found["og:title"], "A picture made with AI");
});

test("the page runs no script and loads nothing but its style and its picture", async () => {
  const { slug } = await share(user, generation, { show_prompt: true });
  const { headers, text } = await page(slug);
  const policies = headers.get("content-security-policy");
  for (const rule of ["default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'"])
    assert.ok(policies.includes(rule), rule);
  assert.doesNotMatch(text, /<script|\son\w+=|style=|javascript:/i);
  assert.equal(headers.get("x-robots-tag"), "noindex, noarchive");
  for (const [, target] of text.matchAll(/(?:href|src)="(\/[^"]*)"/g))
    assert.equal((await request("GET", target)).status, 200, target);
});

test("a prompt is shown, escaped, only when its owner wants it", async () => {
  const { slug } = await share(user, generation, { show_prompt: true });
  const { text } = await page(slug);
  assert.ok(text.includes('a fox &amp; &quot;quay&quot; &lt;b&gt;at dawn&lt;/b&gt;'));
  assert.doesNotMatch(text, /<b>at dawn/);
  assert.equal(metas(text)["og:title"], PROMPT);
  assert.equal(metas(text)["og:image:alt"], PROMPT);
});

test("it speaks the reader's language", async () => {
  const { slug } = await share(user, generation);
  const rows = [["nl-NL,nl;q=0.9,en;q=0.5", "nl", "Gemaakt met AI", "nl_NL"], ["en;q=0.9, nl;q=0.3", "en", "Made with AI", "en_GB"], ["fr", "en", "Made with AI", "en_GB"]];
  for (const [languages, lang, words, locale] of rows) {
    const { text, headers } = await page(slug, { "Accept-Language": languages });
    assert.match(text, new RegExp(`<html lang="${lang}">`));
    assert.ok(text.includes(words));
    assert.equal(metas(text)["og:locale"], locale);
    assert.match(headers.get("vary"), /Accept-Language/);
  }
  assert.match((await page("A".repeat(22), { "Accept-Language": "nl" })).text, /wordt niet meer gedeeld/);
});

test("the picture: its type, ranges, revalidation, and no address of where it is kept", async () => {
  const { slug } = await share(user, generation);
  const whole = await picture(slug);
  assert.equal(whole.status, 200);
  assert.equal(whole.headers.get("content-type"), "image/png");
  assert.equal(whole.headers.get("cache-control"), "no-cache");
  assert.equal(whole.headers.get("x-robots-tag"), "noindex, noarchive");
  assert.equal(whole.headers.get("cross-origin-resource-policy"), "cross-origin");
  const own = await api(null, "GET", generation.images[0].url);
  assert.deepEqual(whole.bytes, own.bytes);
  assert.equal(own.headers.get("cross-origin-resource-policy"), "same-origin");
  const part = await picture(slug, { Range: "bytes=10-19" });
  assert.equal(part.status, 206);
  assert.deepEqual(part.bytes, whole.bytes.subarray(10, 20));
  assert.equal((await picture(slug, { "If-None-Match": whole.headers.get("etag") })).status, 304);
  assert.equal((await api(null, "GET", `/s/${slug}/image`, undefined, { Range: `bytes=${whole.bytes.length}-` })).status, 416);
  const head = await call(null, "HEAD", `/s/${slug}/image`);
  assert.equal(head.headers.get("content-length"), String(whole.bytes.length));
  for (const [name, value] of whole.headers) assert.ok(!value.includes("gen/") && !value.includes(generation.id) && !value.includes(user.id), `${name}: ${value}`);
});

test("a picture of several", async () => {
  const many = await made(user, { count: 2 });
  const { slug } = await share(user, many, { image_index: 1 });
  assert.match((await page(slug)).text, /<span>2A<\/span>/);
  assert.deepEqual((await picture(slug)).bytes, (await api(null, "GET", many.images[1].url)).bytes);
});

test("views are counted, and nothing is known about them", async () => {
  const { slug } = await share(user, generation);
  const views = async () => (await call(user, "GET", "/api/shares?limit=100")).json.items.find((item) => item.slug === slug).views;
  await page(slug);
  await page(slug);
  assert.equal(await views(), 2);
  await request("HEAD", `/s/${slug}`);
  await picture(slug);
  await page(slug + "x").catch(() => {});
  assert.equal(await views(), 2);
  await Promise.all(Array.from({ length: 20 }, () => page(slug)));
  assert.equal(await views(), 22);
});

test("revoked, it is gone at once, and only its owner can", async () => {
  const { slug } = await share(user, generation);
  const stranger = await newUser();
  await refused("not_found", stranger, "DELETE", `/api/shares/${slug}`);
  await refused("unauthenticated", null, "DELETE", `/api/shares/${slug}`);
  assert.equal((await picture(slug)).status, 200);
  assert.equal((await call(user, "DELETE", `/api/shares/${slug}`)).status, 204);
  await assertGone(slug);
  await refused("not_found", user, "DELETE", `/api/shares/${slug}`);
  assert.ok(!(await call(user, "GET", `/api/history/${generation.id}`)).json.shared.includes(slug));
});

test("expired, it is gone to the second", async () => {
  const { slug, created_at: from, expires_at: until } = await share(user, generation, { expires_in: 3600 });
  assert.ok(Math.abs(Date.parse(until) - Date.parse(from) - 3_600_000) < 1000);
  assert.equal((await page(slug)).status, 200);
  await psql(`update shotai.share set expires_at = clock_timestamp() where slug = '${slug}'`);
  await assertGone(slug);
  assert.ok(!(await call(user, "GET", "/api/shares?limit=100")).json.items.some((item) => item.slug === slug));
  await refused("not_found", user, "DELETE", `/api/shares/${randomUUID()}`);
});

test("deleted with its picture", async () => {
  const owner = await newUser();
  const it = await made(owner);
  const { slug } = await share(owner, it);
  assert.equal((await call(owner, "DELETE", `/api/history/${it.id}`)).status, 204);
  await assertGone(slug);
  assert.deepEqual((await call(owner, "GET", "/api/shares")).json, { items: [], next_cursor: null });
});

test("a suspended or closed account shares nothing while that lasts", async () => {
  const owner = await newUser();
  const it = await made(owner);
  const { slug } = await share(owner, it);
  for (const status of ["suspended", "closed"]) {
    await suspend(owner, status);
    await assertGone(slug);
  }
  await suspend(owner, "suspended");
  await refused("account_suspended", owner, "POST", "/api/shares", { generation_id: it.id });
  assert.equal((await call(owner, "GET", "/api/shares")).json.items.length, 1);
  assert.equal((await call(owner, "DELETE", `/api/shares/${slug}`)).status, 204);
});

test("who may not share, and what", async () => {
  const ok = { generation_id: generation.id };
  const stranger = await newUser(), young = await newUser({ confirmAge: false });
  await refused("unauthenticated", null, "POST", "/api/shares", ok);
  await refused("age_confirmation_required", young, "POST", "/api/shares", ok);
  await refused("client_not_allowed", await withClaims(user, { client_id: "app" }), "POST", "/api/shares", ok);
  await refused("anonymous_not_allowed", await withClaims(user, { is_anonymous: true }), "POST", "/api/shares", ok);
  await refused("not_found", stranger, "POST", "/api/shares", ok);
  await refused("not_found", user, "POST", "/api/shares", { generation_id: randomUUID() });
  const held = await heldGeneration(user);
  await refused("invalid_request", user, "POST", "/api/shares", { generation_id: held });
  const rows = [
    [{}, "/generation_id"], [{ generation_id: "x" }, "/generation_id"], [{ ...ok, image_index: 1 }, "/image_index"],
    [{ ...ok, image_index: -1 }, "/image_index"], [{ ...ok, image_index: "0" }, "/image_index"], [{ ...ok, show_prompt: "yes" }, "/show_prompt"],
    [{ ...ok, expires_in: 59 }, "/expires_in"], [{ ...ok, expires_in: 1e9 }, "/expires_in"], [{ ...ok, expires_in: 1.5 }, "/expires_in"],
    [{ ...ok, slug: "mine" }, "/slug"],
  ];
  for (const [body, pointer] of rows) {
    const { errors } = await refused("invalid_request", user, "POST", "/api/shares", body);
    assert.equal(errors[0].pointer, pointer, JSON.stringify(body));
    const dutch = await refused("invalid_request", user, "POST", "/api/shares", body, { "Accept-Language": "nl" });
    assert.notEqual(dutch.errors[0].detail, errors[0].detail);
  }
  await refused("unsupported_media_type", user, "POST", "/api/shares", "{}", { "Content-Type": "text/plain" });
});

test("the same key is the same share", async () => {
  const key = { "Idempotency-Key": randomUUID() }, body = { generation_id: generation.id, show_prompt: true };
  const answers = await Promise.all(Array.from({ length: 4 }, () => api(user, "POST", "/api/shares", body, key)));
  const slugs = new Set(answers.filter(({ status }) => status === 201).map(({ json }) => json.slug));
  assert.equal(slugs.size, 1);
  assert.ok(answers.every(({ status }) => [201, 409].includes(status)));
  const again = await call(user, "POST", "/api/shares", body, key);
  assert.equal(again.headers.get("idempotency-replayed"), "true");
  assert.equal(again.json.slug, [...slugs][0]);
  await refused("idempotency_key_reused", user, "POST", "/api/shares", { ...body, show_prompt: false }, key);
  await call(user, "DELETE", `/api/shares/${again.json.slug}`);
  await refused("not_found", user, "POST", "/api/shares", body, key);
});

test("sharing has its own limit, a column of the plan", async () => {
  const owner = await newUser();
  const it = await made(owner);
  await setLimits(owner, { share_burst: 3, share_per_minute: 2 });
  for (let n = 0; n < 2; n++) await share(owner, it);
  await refused("not_found", owner, "POST", "/api/shares", { generation_id: randomUUID() });
  const { headers } = await call(owner, "POST", "/api/shares", { generation_id: it.id });
  assert.ok(Number(headers.get("retry-after")) > 20);
  await refused("rate_limited", owner, "POST", "/api/shares", { generation_id: it.id });
  assert.equal((await call(owner, "POST", "/api/generate", { model: "gpt-image-1-mini", prompt: "another limit" })).status, 202);
});

test("lists come in pages, of one generation too", async () => {
  const owner = await newUser();
  const first = await made(owner), second = await made(owner);
  const slugs = [];
  for (const of of [first, first, second]) slugs.unshift((await share(owner, of)).slug);
  const one = (await call(owner, "GET", "/api/shares?limit=2")).json;
  const two = (await call(owner, "GET", `/api/shares?limit=2&cursor=${one.next_cursor}`)).json;
  assert.deepEqual([...one.items, ...two.items].map(({ slug }) => slug), slugs);
  assert.equal(two.next_cursor, null);
  const only = (await call(owner, "GET", `/api/shares?generation_id=${first.id.toUpperCase()}`)).json;
  assert.deepEqual(only.items.map(({ slug }) => slug), slugs.slice(1));
  for (const query of ["cursor=x", "limit=0", "generation_id=x"]) await refused("invalid_request", owner, "GET", `/api/shares?${query}`);
});

test("reports queue up for an operator, who takes the picture down for good", async () => {
  const owner = await newUser();
  const it = await made(owner);
  const { slug, url } = await share(owner, it);
  const json = await call(null, "POST", `/s/${slug}/report`, { reason: "It shows\nme\u0007".replace("\u0007", "") });
  assert.equal(json.status, 202);
  const answer = await request("POST", `/s/${slug}/report`, { body: "reason=No+%26+never%0D%0Aagain", headers: form });
  assertDescribed("POST", `/s/${slug}/report`, answer);
  assert.equal(answer.status, 303);
  const thanks = await request("GET", answer.headers.get("location"));
  assert.match(thanks.text, /Your report has arrived/);
  assert.doesNotMatch(thanks.text, /<form/);
  const listed = await ctl("share", "list");
  const lines = listed.stdout.slice(listed.stdout.indexOf(slug));
  assert.match(lines, /live, 2 reports/);
  assert.ok(lines.includes(url) && lines.includes(owner.id) && lines.includes("It shows me | No & never again"));

  assert.equal((await ctl("share", "take-down", slug)).status, 2);
  const { status, stdout } = await ctl("share", "take-down", url, "--reason", "a real person");
  assert.equal(status, 0);
  assert.match(stdout, /taken down, 2 open reports closed/);
  await assertGone(slug);
  await refused("sharing_refused", owner, "POST", "/api/shares", { generation_id: it.id });
  assert.deepEqual((await call(owner, "GET", `/api/history/${it.id}`)).json.shared, []);
  assert.ok(!(await ctl("share", "list")).stdout.includes(slug));
  const [log] = await psql(`select action, reason from shotai.operator_log where detail ->> 'slug' = '${slug}'`);
  assert.deepEqual(log, { action: "take_down_share", reason: "a real person" });
  assert.equal((await ctl("share", "take-down", "A".repeat(22), "--reason", "x")).status, 1);
});

test("a dismissed report leaves the picture where it is", async () => {
  const { slug } = await share(user, generation);
  await call(null, "POST", `/s/${slug}/report`, { reason: "I do not like foxes" });
  assert.match((await ctl("share", "dismiss", slug, "--reason", "harmless")).stdout, /it stays, 1 open reports closed/);
  assert.equal((await page(slug)).status, 200);
  assert.match((await ctl("share", "list", "--all")).stdout, new RegExp(slug));
});

test("a report says something", async () => {
  const { slug } = await share(user, generation);
  const target = `/s/${slug}/report`;
  for (const body of [{}, { reason: "" }, { reason: "  \n" }, { reason: "x".repeat(2001) }, { reason: 1 }, { reason: "x", who: "me" }])
    await refused("invalid_request", null, "POST", target, body);
  await refused("unsupported_media_type", null, "POST", target, "reason=x", { "Content-Type": "text/plain" });
  await refused("too_large", null, "POST", target, "x".repeat(40_000), form);
  for (const body of ["", "reason=", "reason=+%0D%0A", "other=x", `reason=${"x".repeat(2001)}`, "reason=%00"]) {
    const answer = await request("POST", target, { body, headers: form });
    assertDescribed("POST", target, answer);
    assert.equal(answer.status, 400, body.slice(0, 20));
    assert.match(answer.text, /<details class="report" open>/);
    assert.match(answer.text, /role="alert"/);
  }
  const gone = await request("POST", `/s/${"A".repeat(22)}/report`, { body: "reason=x", headers: form });
  assert.equal(gone.status, 404);
  assert.match(gone.headers.get("content-type"), /^text\/html/);
  const [{ count }] = await psql(`select count(*) from shotai.share_report where slug = '${slug}'`);
  assert.equal(count, "0");
});

test("made-up links are as gone as revoked ones", async () => {
  for (const slug of ["A".repeat(22), "A".repeat(21) + "B", "x", "A".repeat(500), "%27%20or%201=1", generation.id]) {
    const answer = await page(slug);
    assert.equal(answer.status, 404, slug);
    await refused("not_found", null, "GET", `/s/${slug}/image`);
  }
  assert.equal((await request("GET", "/s/")).status, 404);
  assert.equal((await request("GET", `/s/${"A".repeat(22)}/other`)).status, 404);
});

test("no address of a reader, and no name of a reporter, is kept", async () => {
  const columns = await psql("select table_name, column_name from information_schema.columns where table_schema = 'shotai' and table_name in ('share', 'share_report')");
  assert.ok(columns.length > 15);
  for (const { column_name: name } of columns) assert.doesNotMatch(name, /address|agent|reporter|email|referer|visitor/);
});

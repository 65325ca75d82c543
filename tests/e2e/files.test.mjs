// Signed links: what opens a picture, what does not, and how it is served.
import assert from "node:assert/strict";
import { before, test } from "node:test";

import { api, env, finished, newUser, psql, request } from "./harness.mjs";
import { call, refused, signLink, suspend } from "./contract.mjs";

let user, generation, url, key, expires;
const hour = 3600;
const now = () => Math.floor(Date.now() / 1000);

async function picture() {
  const owner = await newUser();
  const { json } = await call(owner, "POST", "/api/generate", { model: "gpt-image-1-mini", prompt: "a lighthouse" });
  const made = await finished(owner, json.id);
  assert.equal(made.status, "succeeded");
  return { owner, made };
}

before(async () => {
  const { owner, made } = await picture();
  user = owner;
  generation = made;
  url = made.images[0].url;
  const parsed = new URL(url, env.url);
  key = parsed.pathname.slice("/files/".length);
  expires = Number(parsed.searchParams.get("e"));
});

test("a link needs no token and gives the picture", async () => {
  const answer = await call(null, "GET", url);
  assert.equal(answer.status, 200);
  assert.equal(answer.headers.get("content-type"), generation.images[0].content_type);
  assert.equal(answer.headers.get("content-length"), String(answer.bytes.length));
  assert.equal(answer.headers.get("x-content-type-options"), "nosniff");
  assert.deepEqual([...answer.bytes.subarray(0, 4)], [0x89, 0x50, 0x4e, 0x47]);
  const thumbnail = await call(null, "GET", generation.images[0].thumbnail_url);
  assert.equal(thumbnail.bytes.subarray(8, 12).toString(), "WEBP");
  assert.equal(answer.headers.get("x-accel-redirect"), null);
});

test("links end on a full hour, 1 to 2 hours ahead, and stay the same until the hour turns", async () => {
  assert.equal(expires % hour, 0);
  const left = expires - now();
  assert.ok(left > 0 && left <= 2 * hour);
  for (let tries = 0; ; tries++) {
    const start = Math.floor(now() / hour);
    const links = [];
    for (let i = 0; i < 3; i++) links.push((await call(user, "GET", `/api/generate/${generation.id}`)).json.images[0].url);
    if (Math.floor(now() / hour) !== start) continue;
    assert.equal(new Set(links).size, 1);
    break;
  }
});

test("a link tells nothing about the person", () => {
  for (const link of [url, generation.images[0].thumbnail_url])
    for (const personal of [user.id, user.email, user.id.replaceAll("-", "")]) assert.ok(!link.includes(personal));
});

test("our own signature opens it; another key, another expiry, another object do not", async () => {
  assert.equal(signLink(key, expires), url);
  assert.equal((await call(null, "GET", signLink(key, now() + 60))).status, 200);
  const other = (await picture()).made.images[0].url;
  const [signature, foreign] = [url, other].map((link) => new URL(link, env.url).searchParams.get("s"));
  const flipped = `${signature[0] === "A" ? "B" : "A"}${signature.slice(1)}`;
  const rows = [
    `/files/${key}`,
    `/files/${key}?e=${expires}`,
    `/files/${key}?s=${signature}`,
    `/files/${key}?e=${expires}&s=`,
    `/files/${key}?e=${expires}&s=${flipped}`,
    `/files/${key}?e=${expires}&s=${foreign}`,
    `/files/${key}?e=${expires}&s=${signature}&s=${signature}`,
    `/files/${key}?e=${expires}&s=${signature}=`,
    `/files/${key}?e=${expires + hour}&s=${signature}`,
    `/files/${key}?e=${expires}%20&s=${signature}`,
    `/files/${key}?e=0${expires}&s=${signature}`,
    `/files/${key}x?e=${expires}&s=${signature}`,
    `/files/${key}/?e=${expires}&s=${signature}`,
    signLink(key, expires, "another-secret-of-at-least-32-characters"),
    signLink("gen/../gen", expires),
    signLink(`${key}x`, expires),
  ];
  for (const link of rows) await refused("not_found", null, "GET", link);
});

test("an expired link is as dead as a forged one", async () => {
  for (const end of [now() - 1, now() - 10 * hour, 1]) {
    const problem = await refused("not_found", null, "GET", signLink(key, end));
    assert.equal(problem.title, "Not found");
  }
});

test("paths that try to leave the folder are refused", async () => {
  for (const bad of ["../../etc/passwd", "%2e%2e/%2e%2e/etc/passwd", "gen/%2e%2e/x", "..%2f..%2fetc/passwd", "gen//x", "%00", "gen/%zz"]) {
    const answer = await request("GET", `/files/${bad}?e=${expires}&s=AAAAAAAAAAAAAAAAAAAAAA`);
    assert.ok([400, 404].includes(answer.status), `${bad}: ${answer.status}`);
    assert.equal(answer.headers.get("content-type"), "application/problem+json", bad);
  }
});

test("HEAD, ranges and revalidation are served", async () => {
  const whole = await call(null, "GET", url);
  const head = await call(null, "HEAD", url);
  assert.equal(head.status, 200);
  assert.equal(head.headers.get("content-length"), String(whole.bytes.length));
  assert.equal(head.headers.get("etag"), whole.headers.get("etag"));
  const part = await call(null, "GET", url, undefined, { Range: "bytes=10-19" });
  assert.equal(part.status, 206);
  assert.equal(part.headers.get("content-range"), `bytes 10-19/${whole.bytes.length}`);
  assert.deepEqual(part.bytes, whole.bytes.subarray(10, 20));
  const beyond = await api(null, "GET", url, undefined, { Range: `bytes=${whole.bytes.length}-` });
  assert.equal(beyond.status, 416);
  const same = await call(null, "GET", url, undefined, { "If-None-Match": whole.headers.get("etag") });
  assert.equal(same.status, 304);
  const since = await call(null, "GET", url, undefined, { "If-Modified-Since": whole.headers.get("last-modified") });
  assert.equal(since.status, 304);
});

test("a dead link stays dead whatever is asked of it", async () => {
  const dead = signLink(key, now() - 1);
  const { headers } = await call(null, "GET", url);
  for (const extra of [{ Range: "bytes=0-1" }, { "If-None-Match": headers.get("etag") }, { "If-None-Match": "*" }])
    await refused("not_found", null, "GET", dead, undefined, extra);
  assert.equal((await call(null, "HEAD", dead)).status, 404);
});

test("a picture that no row names is gone, though its file is still there", async () => {
  const { made } = await picture();
  const { url: link } = made.images[0];
  const rename = (to) => psql(`update shotai.image set image_key = ${to} where generation = '${made.id}'`);
  await rename("image_key || '-other'");
  await refused("not_found", null, "GET", link);
  await rename("left(image_key, -6)");
  assert.equal((await call(null, "GET", link)).status, 200);
});

test("pictures of a closed account are gone at once", async () => {
  const { owner, made } = await picture();
  const link = made.images[0].url;
  await suspend(owner, "closed");
  await refused("not_found", null, "GET", link);
  await suspend(owner, "active");
  assert.equal((await call(null, "GET", link)).status, 200);
});

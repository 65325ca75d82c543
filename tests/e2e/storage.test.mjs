// Pictures in R2, or here in Swift: how they get there and how nginx serves them.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, before, test } from "node:test";

import { client, door } from "./bucket.mjs";
import { ctl, env, execute, finished, newUser, psql, request, waitFor } from "./harness.mjs";
import { call, refused, signLink } from "./contract.mjs";

const secrets = [env.R2_SECRET_ACCESS_KEY, env.R2_ACCESS_KEY_ID, "AWS4-HMAC", "X-Amz-", "pictures/gen/", new URL(env.R2_ENDPOINT).host];
const asked = async (key) => (await door()).filter(({ url }) => url.includes(key));

let owner, image, key, thumbnail;

async function picture(prompt = "a lighthouse") {
  const { json } = await call(owner, "POST", "/api/generate", { model: "gpt-image-1-mini", prompt });
  const made = await finished(owner, json.id, { timeout: 120_000 });
  assert.equal(made.status, "succeeded");
  return made;
}
const keyOf = (url) => new URL(url, env.url).pathname.slice("/files/".length);

before(async () => {
  owner = await newUser();
  image = (await picture()).images[0];
  key = keyOf(image.url);
  thumbnail = keyOf(image.thumbnail_url);
});
afterEach(() => door({ mode: "pass" }));

function tellsNothing(answer) {
  const told = [...answer.headers].map((pair) => pair.join(": ")).join("\n") + answer.bytes.toString("latin1");
  for (const secret of secrets) assert.ok(!told.includes(secret), secret);
}

async function unavailable(link, headers = {}) {
  const answer = await call(null, "GET", link, undefined, headers);
  assert.equal(answer.status, 503);
  assert.equal(answer.headers.get("content-type"), "application/problem+json");
  assert.match(answer.headers.get("cache-control"), /no-store/);
  assert.match(answer.headers.get("retry-after"), /^[1-9]\d*$/);
  assert.equal(answer.headers.get("location"), null);
  const problem = JSON.parse(answer.bytes);
  assert.equal(problem.code, "storage_unavailable");
  assert.equal(problem.status, 503);
  assert.equal(problem.request_id, answer.headers.get("x-request-id"));
  tellsNothing(answer);
  return problem;
}

test("the bucket holds the picture as it was made", async () => {
  const { stdout } = await client("list", env.R2_BUCKET);
  const { bytes } = await call(null, "GET", image.url);
  assert.match(stdout, new RegExp(`^${key} ${bytes.length}$`, "m"));
  assert.match(stdout, new RegExp(`^${thumbnail} \\d+$`, "m"));
  assert.deepEqual([...bytes.subarray(0, 4)], [0x89, 0x50, 0x4e, 0x47]);
});

test("an answer has these headers and no others", async () => {
  const names = ["accept-ranges", "cache-control", "connection", "content-length", "content-security-policy", "content-type",
    "cross-origin-resource-policy", "date", "etag", "keep-alive", "last-modified", "referrer-policy", "server",
    "x-content-type-options", "x-request-id"];
  for (const link of [image.url, image.thumbnail_url, image.thumbnail_url]) {
    const answer = await call(null, "GET", link);
    assert.equal(answer.status, 200);
    assert.deepEqual([...answer.headers.keys()].filter((name) => !names.includes(name)), []);
    assert.equal(answer.headers.get("content-type"), link === image.url ? image.content_type : "image/webp");
    assert.equal(answer.headers.get("cache-control"), "private, max-age=300");
    tellsNothing(answer);
  }
});

test("of a client's request only range and conditions go to the storage, always as GET", async () => {
  await door();
  const private_ = { Cookie: "session=1", Authorization: "Bearer x", "User-Agent": "somebody", Referer: "https://example.test/", "X-Amz-Acl": "public-read", "X-Forwarded-For": "10.1.2.3" };
  const { headers } = await call(null, "GET", image.url, undefined, private_);
  assert.equal((await call(null, "HEAD", image.url, undefined, private_)).status, 200);
  const part = await call(null, "GET", image.url, undefined, { ...private_, Range: "bytes=0-9" });
  assert.equal(part.status, 206);
  assert.equal(part.bytes.length, 10);
  const same = await call(null, "GET", image.url, undefined, { ...private_, "If-None-Match": headers.get("etag") });
  assert.equal(same.status, 304);
  const requests = await asked(key);
  assert.equal(requests.length, 4);
  const names = new Set(requests.flatMap(({ method, headers: sent }) => [method, ...Object.keys(sent)]));
  assert.deepEqual([...names].sort(), ["GET", "host", "if-none-match", "range"]);
  for (const { url } of requests) assert.match(url, /[?&]X-Amz-Expires=60&/);
  const post = await request("POST", image.url, { body: "x", headers: private_ });
  assert.equal(post.status, 405);
  assert.deepEqual(await asked(key), []);
});

test("a thumbnail is kept by nginx, a picture is not, and neither once its row is gone", async () => {
  const made = (await picture("a thumbnail")).images[0];
  const small = await call(null, "GET", made.thumbnail_url);
  await door();
  const again = await call(null, "GET", made.thumbnail_url);
  assert.deepEqual(again.bytes, small.bytes);
  assert.equal((await call(null, "HEAD", made.thumbnail_url)).headers.get("content-length"), String(small.bytes.length));
  const part = await call(null, "GET", made.thumbnail_url, undefined, { Range: "bytes=2-5" });
  assert.equal(part.status, 206);
  assert.deepEqual(part.bytes, small.bytes.subarray(2, 6));
  const same = await call(null, "GET", made.thumbnail_url, undefined, { "If-None-Match": small.headers.get("etag") });
  assert.equal(same.status, 304);
  assert.deepEqual(await asked(keyOf(made.thumbnail_url)), []);
  for (let i = 0; i < 2; i++) await call(null, "GET", made.url);
  assert.equal((await asked(keyOf(made.url))).length, 2);
  const name = keyOf(made.thumbnail_url);
  await psql(`update shotai.image set thumbnail_key = '${name}-other' where thumbnail_key = '${name}'`);
  await refused("not_found", null, "GET", made.thumbnail_url);
  await psql(`update shotai.image set thumbnail_key = '${name}' where thumbnail_key = '${name}-other'`);
  const kept = await execute("grep", ["-rlE", "KEY: ", path.join(env.home, "nginx", "thumbnails")]);
  const keys = kept.stdout.trim().split("\n").map((file) => /KEY: (\S+)/.exec(readFileSync(file, "latin1"))[1]);
  assert.ok(keys.length > 0);
  for (const entry of keys) assert.match(entry, /^\/_thumbnail\/gen\/.*-thumb\.webp$/);
});

test("the first request of a thumbnail may be for a part of it or for its head", async () => {
  const [one, two] = [(await picture("one")).images[0], (await picture("two")).images[0]];
  const part = await call(null, "GET", one.thumbnail_url, undefined, { Range: "bytes=8-11" });
  assert.equal(part.status, 206);
  assert.equal(part.bytes.toString(), "WEBP");
  assert.equal((await call(null, "HEAD", two.thumbnail_url)).status, 200);
  assert.equal((await call(null, "GET", two.thumbnail_url)).bytes.subarray(8, 12).toString(), "WEBP");
});

test("an object that is gone is a 404 of ours", async () => {
  const made = (await picture("soon gone")).images[0];
  for (const link of [made.url, made.thumbnail_url]) {
    assert.equal((await client("delete", env.R2_BUCKET, keyOf(link))).status, 0);
    const answer = await call(null, "GET", link);
    assert.equal(answer.status, 404);
    assert.equal(answer.headers.get("content-type"), "application/problem+json");
    assert.equal(JSON.parse(answer.bytes).code, "not_found");
    assert.match(answer.headers.get("cache-control"), /no-store/);
    tellsNothing(answer);
  }
});

test("a range beyond the end is refused", async () => {
  const answer = await call(null, "GET", image.url, undefined, { Range: "bytes=99999999-" });
  assert.equal(answer.status, 416);
  assert.equal(answer.headers.get("content-type"), "application/problem+json");
  tellsNothing(answer);
});

test("whatever the storage refuses is storage_unavailable, in both languages", async () => {
  const made = (await picture("refused")).images[0];
  for (const status of [500, 503, 403, 400, 401, 429, 307, 301, 412, 520]) {
    await door({ mode: "answer", status });
    for (const link of [made.url, made.thumbnail_url]) await unavailable(link);
  }
  const list = readFileSync(new URL("../../lib/base/problem.h", import.meta.url), "utf8");
  const [, english, dutch] = list.match(/"storage_unavailable", "([^"]+)",[\s\\]*"([^"]+)"/);
  assert.equal((await unavailable(image.url)).title, english);
  assert.equal((await unavailable(image.url, { "Accept-Language": "nl" })).title, dutch);
  await door({ mode: "pass" });
  for (const link of [made.url, made.thumbnail_url]) assert.equal((await call(null, "GET", link)).status, 200);
});

test("storage that hangs is given up, and nothing else waits for it", async () => {
  await door({ mode: "hang" });
  const start = Date.now();
  const hanging = unavailable(image.url), listing = ctl("storage", "copy", "r2", "file:/tmp");
  assert.equal((await call(null, "GET", "/api/models")).status, 200);
  assert.equal((await call(null, "GET", image.thumbnail_url)).status, 200);
  await hanging;
  assert.ok(Date.now() - start < 25_000);
  const { status, stderr } = await listing;
  assert.equal(status, 2);
  assert.match(stderr, /storage_unavailable/);
  assert.ok(Date.now() - start < 60_000);
});

test("an answer that breaks off is not taken for a whole one", async () => {
  await door({ mode: "cut" });
  await assert.rejects(call(null, "GET", image.url));
  await door({ mode: "pass" });
  assert.equal((await call(null, "GET", image.url)).status, 200);
});

test("the way inside is closed from outside", async () => {
  for (const target of [`/_storage/${key}`, `/_thumbnail/${thumbnail}`, "/.storage"]) assert.equal((await request("GET", target)).status, 404, target);
  await refused("not_found", null, "GET", image.url.replace(/s=./, "s=!"));
  await refused("not_found", null, "GET", signLink("uploads/202611242200/0123456789abcdef", Math.floor(Date.now() / 1000) + 60));
});

test("a picture waits for storage that is away, and is charged once", async () => {
  await door();
  await door({ mode: "answer", status: 503, methods: ["PUT"] });
  const { json } = await call(owner, "POST", "/api/generate", { model: "gpt-image-1-mini", prompt: "patience" });
  const tries = [];
  await waitFor(async () => tries.push(...(await door()).filter(({ method }) => method === "PUT")) >= 5, { what: "tries" });
  await door({ mode: "pass" });
  const made = await finished(owner, json.id, { timeout: 120_000 });
  assert.equal(made.status, "succeeded");
  assert.equal(made.credits_refunded, 0);
  assert.equal((await call(null, "GET", made.images[0].url)).status, 200);
});

test("a local storage is copied, resumed and compared", async () => {
  const folder = mkdtempSync(path.join(tmpdir(), "shotai-copy-"));
  const copy = (...more) => ctl("storage", "copy", `file:${folder}`, "r2", ...more);
  try {
    mkdirSync(path.join(folder, "gen", "copied"), { recursive: true });
    mkdirSync(path.join(folder, "uploads", "1"), { recursive: true });
    for (let i = 0; i < 5; i++) writeFileSync(path.join(folder, "gen", "copied", `${i}-1.webp`), `picture ${i}`);
    writeFileSync(path.join(folder, "uploads", "1", "a"), "upload");
    assert.deepEqual(await copy("--dry-run"), { status: 0, stdout: "there 0, missing 6, different 0\n", stderr: "" });
    await door({ mode: "answer", status: 403, methods: ["PUT"] });
    const failed = await copy();
    assert.equal(failed.status, 2);
    assert.match(failed.stdout, /^copied 0 /);
    await door({ mode: "pass" });
    assert.equal((await client("put", env.R2_BUCKET, "gen/copied/2-1.webp", "picture 2")).status, 0);
    assert.deepEqual(await copy(), { status: 0, stderr: "",
      stdout: "copied 5 (42 bytes), already there 1, different 0\nthere 6, missing 0, different 0\n" });
    assert.match((await client("get", env.R2_BUCKET, "gen/copied/4-1.webp")).stdout, /^image\/webp .* picture 4$/);
    assert.match((await client("get", env.R2_UPLOAD_BUCKET, "uploads/1/a")).stdout, /^application\/octet-stream .* upload$/);
    assert.equal((await client("put", env.R2_BUCKET, "gen/copied/3-1.webp", "picture x")).status, 0);
    const changed = await copy();
    assert.equal(changed.status, 1);
    assert.equal(changed.stdout, "copied 0 (0 bytes), already there 5, different 1\n");
    assert.match(changed.stderr, /^different: gen\/copied\/3-1\.webp$/m);
    rmSync(path.join(folder, "gen", "copied"), { recursive: true });
    const back = await ctl("storage", "copy", "r2", `file:${folder}`);
    assert.equal(back.status, 0, back.stderr);
    assert.equal(readFileSync(path.join(folder, "gen", "copied", "3-1.webp"), "utf8"), "picture x");
    for (const args of [["r2"], ["r2", "nowhere"], ["file", "r2"], ["r2", "r2", "--now"]]) assert.equal((await ctl("storage", "copy", ...args)).status, 2);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("with STORAGE_LINKS=direct a link is the storage's own", async () => {
  const socket = path.join(env.home, "sockets", "generate.sock");
  const made = await picture("direct");
  const generate = spawn(path.join(env.home, "cgi-bin", "generate"), ["--socket", `${socket}.direct`, "--processes", "1"],
    { env: { ...process.env, ...env, STORAGE_LINKS: "direct" }, stdio: "inherit" });
  try {
    await waitFor(() => existsSync(`${socket}.direct`), { what: "another generate" });
    renameSync(socket, `${socket}.away`);
    renameSync(`${socket}.direct`, socket);
    const { json } = await waitFor(async () => {
      const answer = await request("GET", `/api/generate/${made.id}`, { headers: { Authorization: `Bearer ${owner.token}` } });
      return answer.status === 200 && answer;
    });
    const { url, thumbnail_url } = json.images[0];
    for (const link of [url, thumbnail_url]) {
      assert.ok(link.startsWith(`${env.R2_ENDPOINT}/${env.R2_BUCKET}/gen/`), link);
      assert.match(link, /&X-Amz-Date=\d{8}T\d\d0000Z&X-Amz-Expires=7200&/);
      assert.equal((await fetch(link)).status, 200);
      assert.equal((await fetch(link.replace(/.$/, (c) => (c === "0" ? "1" : "0")))).status, 403);
    }
    assert.deepEqual(Buffer.from(await (await fetch(url)).arrayBuffer()), (await call(null, "GET", made.images[0].url)).bytes);
  } finally {
    if (existsSync(`${socket}.away`)) renameSync(`${socket}.away`, socket);
    generate.kill("SIGTERM");
    await once(generate, "exit");
  }
});

test("nginx lets pages show pictures of the storage only when links are direct", async () => {
  const folder = mkdtempSync(path.join(tmpdir(), "shotai-nginx-"));
  const policy = async (links) => {
    const { status, stderr } = await execute(new URL("../../nginx/render", import.meta.url).pathname, [folder], { env: { ...process.env, ...env, STORAGE_LINKS: links } });
    assert.equal(status, 0, stderr);
    return readFileSync(path.join(folder, "headers.conf"), "utf8");
  };
  try {
    assert.ok((await policy("direct")).includes(`img-src 'self' data: blob: ${env.R2_ENDPOINT};`));
    assert.ok((await policy("proxy")).includes("img-src 'self' data: blob:;"));
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("no log and no answer of a program holds a key or a signature", async () => {
  const { stdout } = await ctl("config");
  assert.ok(!stdout.includes(env.R2_SECRET_ACCESS_KEY) && !stdout.includes(env.R2_ACCESS_KEY_ID));
  const folder = path.join(env.home, "log");
  for (const name of readdirSync(folder)) {
    const text = readFileSync(path.join(folder, name), "utf8");
    for (const secret of secrets) assert.ok(!text.includes(secret), `${name}: ${secret}`);
  }
  assert.match(readFileSync(path.join(folder, "worker.log"), "utf8"), /storage_failed generation=\S+ action=put status=503/);
});

// What a hostile client, a foreign page and a curious neighbour on the machine get: nothing.
import assert from "node:assert/strict";
import { randomBytes, randomUUID } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import net from "node:net";
import path from "node:path";
import { before, test } from "node:test";

import { api, env, finished, newUser, pids, request } from "./harness.mjs";
import { call, refused } from "./contract.mjs";

const pages = readdirSync(new URL("../../web/", import.meta.url)).filter((name) => name.endsWith(".html") && name !== "404.html")
  .map((name) => ({ "index.html": "/", "auth-callback.html": "/auth/callback" })[name] ?? `/${name.replace(".html", "")}`);
const prompt = `a boat named ${randomUUID()}`;
let user, share;

before(async () => {
  user = await newUser();
  const { id } = (await call(user, "POST", "/api/generate", { model: "gpt-image-1-mini", prompt })).json;
  assert.equal((await finished(user, id)).status, "succeeded");
  share = (await call(user, "POST", "/api/shares", { generation_id: id, show_prompt: true })).json;
});

// Sends these bytes on a connection of its own and gives everything that comes back.
const raw = (bytes) => new Promise((resolve, reject) => {
  const { hostname, port } = new URL(env.url);
  const socket = net.connect(Number(port), hostname, () => socket.write(bytes)), chunks = [];
  socket.on("data", (chunk) => chunks.push(chunk)).on("error", reject).on("close", () => resolve(Buffer.concat(chunks).toString("latin1")));
});

test("no page runs, frames or posts to anything foreign, and nothing inline", async () => {
  for (const target of [...pages, "/nowhere", `/s/${share.slug}`, "/api/account", share.image_url, "/assets/base.css"]) {
    const answer = await request("GET", target), policy = answer.headers.get("content-security-policy") ?? "";
    const directives = new Map(policy.split("; ").map((directive) => [directive.split(" ")[0], directive.split(" ").slice(1)]));
    assert.deepEqual(directives.get("default-src"), ["'none'"], target);
    assert.deepEqual(directives.get("frame-ancestors"), ["'none'"], target);
    for (const [name, sources] of directives) {
      assert.ok(!sources.some((source) => /unsafe|^\*$|^https?:$/.test(source)), `${target}: ${name} ${sources}`);
      if (/^(script|style|form)/.test(name)) assert.ok(sources.every((source) => /^'(self|none|sha256-.+)'$/.test(source)), `${target}: ${name} ${sources}`);
    }
    assert.equal(answer.headers.get("x-content-type-options"), "nosniff", target);
    assert.ok(answer.headers.get("referrer-policy"), target);
    assert.equal(answer.headers.get("server"), "nginx", target);
    if (!/html/.test(answer.headers.get("content-type"))) continue;
    assert.deepEqual(directives.get("base-uri"), ["'none'"], target);
    assert.doesNotMatch(answer.text, /<script(?![^>]*\bsrc=)[^>]*>|\son[a-z]+=|javascript:|\sstyle=/i, target);
    for (const [, address] of answer.text.matchAll(/\s(?:src|action|data)="([^"]*)"/g))
      assert.equal(new URL(address, env.url).origin, new URL(env.url).origin, `${target}: ${address}`);
  }
});

test("a foreign page can neither read an answer nor act with what the browser has", async () => {
  const foreign = { Origin: "https://evil.example", "Sec-Fetch-Site": "cross-site" };
  for (const [method, target] of [["GET", "/api/account"], ["OPTIONS", "/api/generate"], ["GET", "/api/models"], ["GET", `/s/${share.slug}`]]) {
    const { headers } = await api(user, method, target, undefined, { ...foreign, "Access-Control-Request-Method": "POST" });
    assert.equal(headers.get("access-control-allow-origin"), null, target);
    assert.equal(headers.get("set-cookie"), null, target);
  }
  // What a form can send without asking first.
  for (const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]) {
    const answer = await request("POST", "/api/generate", { body: JSON.stringify({ model: "gpt-image-1-mini", prompt: "x" }), headers: { ...foreign, "Content-Type": type } });
    assert.equal(answer.status, 401, type);
    await refused("unsupported_media_type", user, "POST", "/api/generate", '{"model":"gpt-image-1-mini","prompt":"x"}', { "Content-Type": type });
  }
  assert.equal((await request("GET", "/api/account", { headers: { Cookie: `access_token=${user.token}` } })).status, 401);
});

test("no header of a request comes back in an answer, or into an address", async () => {
  const evil = `evil-${randomUUID()}`;
  const headers = { "X-Request-Id": evil, "X-Forwarded-Host": evil, "X-Forwarded-For": "203.0.113.9", "X-Original-URL": "/metrics", "Accept-Language": evil, "Idempotency-Key": evil };
  for (const target of ["/api/account", `/s/${share.slug}`, "/nowhere", "/"]) {
    const answer = await api(user, "GET", target, undefined, headers);
    assert.ok(!JSON.stringify([...answer.headers]).includes(evil) && !answer.text.includes(evil), target);
    assert.match(answer.headers.get("x-request-id"), /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, target);
  }
  const shown = await raw(`GET /s/${share.slug} HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n`);
  assert.match(shown, /^HTTP\/1\.1 200 /);
  assert.ok(!shown.includes("evil.example"));
  for (const target of ["/s/%0d%0aSet-Cookie:%20a=b", "/api/history?cursor=%0d%0aX-Evil:1", "/sign-in%0d%0aX-Evil:%201", "/api/generate/%0aX-Evil:1"]) {
    const answer = await api(user, "GET", target);
    assert.ok(answer.status >= 400, `${target}: ${answer.status}`);
    assert.equal(answer.headers.get("x-evil") ?? answer.headers.get("set-cookie"), null, target);
  }
  for (const key of ["a\r\nb", "", "é", "x".repeat(256)])
    assert.match(await raw(`POST /api/generate HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${user.token}\r\nContent-Type: application/json\r\nContent-Length: 2\r\nIdempotency-Key: ${key}\r\nConnection: close\r\n\r\n{}`), /^HTTP\/1\.1 400 /);
});

test("no path leads out of the pages", async () => {
  for (const target of ["/../var/shotai.env", "/assets/../../shotai.env", "/assets/..%2f..%2fshotai.env", "/%2e%2e/%2e%2e/etc/passwd", "/assets/%2e%2e%2f%2e%2e%2fREADME.md",
    "/.git/config", "/assets/.%00", "/web/index.html", "/_storage/gen/x", "/_upload/x", "/etc/passwd", "//etc/passwd", "/assets//../..//README.md"]) {
    const answer = await raw(`GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    assert.match(answer, /^HTTP\/1\.1 40[04] /, target);
    assert.doesNotMatch(answer, /SECRET_KEY|root:|\[core\]|# ShotAI/, target);
  }
});

test("requests that two servers could read differently are refused", async () => {
  const smuggled = (headers, body) => `POST /api/generate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n${headers}Connection: close\r\n\r\n${body}`;
  for (const bytes of [
    smuggled("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\nGET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"),
    smuggled("Content-Length: 4\r\nContent-Length: 40\r\n", "{}{}"),
    smuggled("Content-Length: -1\r\n", "{}"),
    smuggled("Transfer-Encoding: xchunked\r\n", "{}"),
    "GET /api/models HTTP/1.1\r\n\r\n",
    "GET /api/models\0 HTTP/1.1\r\nHost: x\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
  ])
    assert.match(await raw(bytes), /^HTTP\/1\.1 (400|405|501|505) /, JSON.stringify(bytes.slice(0, 120)));
});

test("those who send slowly hold no program", async () => {
  const { hostname, port } = new URL(env.url), slow = [];
  try {
    for (let i = 0; i < 60; i++) {
      const socket = net.connect(Number(port), hostname).on("error", () => {});
      const target = ["/api/generate", "/api/uploads", "/api/account"][i % 3], type = i % 3 === 1 ? "image/png" : "application/json";
      const head = `${i % 3 === 2 ? "PATCH" : "POST"} ${target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${user.token}\r\nContent-Type: ${type}\r\nContent-Length: 4000\r\n`;
      await new Promise((done) => socket.write(i % 2 ? `${head}\r\n{` : head, done));
      slow.push(socket);
    }
    for (const target of ["/api/models", "/api/account", "/healthz/generate", "/healthz/upload", "/healthz/account"])
      for (let i = 0; i < 8; i++) assert.equal((await call(user, "GET", target)).status, 200, target);
    assert.equal((await call(user, "PATCH", "/api/account", { locale: "en" })).status, 200);
  } finally {
    for (const socket of slow) socket.destroy();
  }
});

const names = readdirSync(path.join(env.home, "pids"));

test("no secret can be read from the list of processes, and no process leaves a core", () => {
  const secrets = Object.entries(env).filter(([name]) => /SECRET|API_KEY|SERVICE|TOKEN|PASSWORD/.test(name) && name !== "SUPABASE_ANON_KEY").flatMap(([, value]) => value.split(",")).filter((value) => value.length >= 8);
  assert.ok(secrets.length >= 4);
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    let line = "";
    try {
      line = readFileSync(`/proc/${pid}/cmdline`, "utf8");
    } catch {} // it ended
    for (const secret of secrets) assert.ok(!line.includes(secret), `process ${pid}: ${line.slice(0, 60)}`);
  }
  assert.ok(names.length > 10);
  for (const name of names)
    for (const pid of [pids(name).parent, ...pids(name).children]) {
      let limits;
      try {
        limits = readFileSync(`/proc/${pid}/limits`, "utf8");
      } catch {
        continue; // a child that ended
      }
      assert.match(limits, /^Max core file size +0 +0 /m, `${name} ${pid}`);
    }
});

test("what people and providers say cannot forge a line of a log, and no log tells who did what", async () => {
  const mark = `forged-${randomBytes(6).toString("hex")}`;
  const line = `\n2026-01-01T00:00:00.000Z error generate ${mark} key=1\n`;
  await call(user, "POST", "/api/generate", { model: "gpt-image-1-mini", prompt: `sandbox:error ${line}` }).then(({ json }) => finished(user, json.id));
  await call(user, "POST", "/api/generate", { model: line, prompt: line });
  await api(user, "GET", `/api/history?q=${encodeURIComponent(line)}&cursor=${encodeURIComponent(line)}`);
  await request("POST", "/webhooks/creem", { body: line, headers: { "creem-signature": mark, "Content-Type": "application/json" } });
  await api(user, "GET", `/api/account?${mark}`, undefined, { "User-Agent": mark, Referer: `https://${mark}.example` });
  const logs = readdirSync(path.join(env.home, "log")).map((name) => [name, readFileSync(path.join(env.home, "log", name), "utf8")]);
  assert.ok(logs.length > 10);
  for (const [name, text] of logs)
    for (const personal of [mark, user.email, user.id, user.token.split(".")[2], prompt, env.SUPABASE_SECRET_KEY, env.OPENAI_API_KEY, env.CREEM_WEBHOOK_SECRET])
      assert.ok(!text.includes(personal), `${name}: ${personal.slice(0, 12)}`);
});

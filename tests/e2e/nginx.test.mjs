// nginx as nginx/render makes it: in production, and what one address may ask. Each of a configuration and a port of its
// own, before the programs of the stack.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { Agent, request as send } from "node:http";
import { request as sendSecure } from "node:https";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";

import { env, execute, request, waitFor } from "./harness.mjs";
import { assertDescribed } from "./contract.mjs";

const folder = mkdtempSync(path.join(tmpdir(), "shotai-nginx-"));
const running = [];
after(() => {
  running.forEach((nginx) => nginx.kill("SIGTERM"));
  rmSync(folder, { recursive: true, force: true });
});

const freePort = () =>
  new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });

const PRODUCTION = {
  PATH: process.env.PATH, PUBLIC_URL: "https://shotai.example", SUPABASE_URL: "https://project.supabase.example", STORAGE: env.STORAGE,
  NGINX_SOCKETS: path.join(env.home, "sockets"),
};
const render = (prefix, settings) => execute(fileURLToPath(new URL("../../nginx/render", import.meta.url)), [prefix], { env: settings });

// Starts an nginx; what it printed is in its `output`.
async function start(name, settings) {
  const prefix = path.join(folder, name);
  const rendered = await render(prefix, settings);
  assert.equal(rendered.status, 0, rendered.stderr);
  const nginx = spawn("nginx", ["-p", prefix, "-c", path.join(prefix, "nginx.conf"), "-e", "stderr"], { env: settings, stdio: ["ignore", "pipe", "pipe"] });
  running.push(nginx);
  Object.assign(nginx, { prefix, output: "" });
  for (const stream of [nginx.stdout, nginx.stderr]) stream.on("data", (data) => (nginx.output += data));
  return nginx;
}

test("in production nginx speaks TLS, knows no stand-in and tells health to loopback only", async () => {
  const [tls, plain, health] = await Promise.all([freePort(), freePort(), freePort()]);
  const key = path.join(folder, "key.pem"), certificate = path.join(folder, "certificate.pem");
  await execute("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=shotai.example", "-keyout", key, "-out", certificate]);
  await start("tls", {
    ...PRODUCTION, NGINX_LISTEN: `127.0.0.2:${tls}`, NGINX_REDIRECT_LISTEN: `127.0.0.2:${plain}`, NGINX_HEALTH_LISTEN: `127.0.0.1:${health}`,
    NGINX_CERTIFICATE: certificate, NGINX_CERTIFICATE_KEY: key, TRUSTED_PROXIES: "192.0.2.0/24,198.51.100.7",
  });
  const secure = (target) =>
    new Promise((resolve, reject) => {
      const outgoing = sendSecure(`https://127.0.0.2:${tls}${target}`, { rejectUnauthorized: false, agent: false }, (answer) => resolve(answer.resume()));
      outgoing.on("error", reject).end();
    });
  const page = await waitFor(() => secure("/"), { what: "TLS to be spoken" });
  assert.equal(page.statusCode, 200);
  assert.match(page.headers["strict-transport-security"], /^max-age=\d{8}/);
  assert.ok(page.headers["content-security-policy"].includes("connect-src 'self' https://project.supabase.example;"));
  assert.equal((await secure("/api/models")).statusCode, 200);
  for (const target of ["/healthz/history", "/auth/v1/health", "/sandbox/openai/v1/models"]) assert.equal((await secure(target)).statusCode, 404, target);
  const redirect = await request("GET", `http://127.0.0.2:${plain}/history?limit=1`);
  assert.deepEqual([redirect.status, redirect.headers.get("location")], [308, "https://shotai.example/history?limit=1"]);
  assert.equal((await request("GET", `http://127.0.0.1:${health}/healthz/history`)).status, 200);
  const other = await request("GET", `http://127.0.0.1:${health}/api/models`);
  assert.deepEqual([other.status, other.json.code], [404, "not_found"]);
});

test("in production an address may ask so much, is then told how long to wait, and is written nowhere", async () => {
  const [port, health] = await Promise.all([freePort(), freePort()]);
  const nginx = await start("limits", {
    ...PRODUCTION, NGINX_LISTEN: `127.0.0.2:${port}`, NGINX_HEALTH_LISTEN: `127.0.0.1:${health}`, TRUSTED_PROXIES: "127.0.0.1",
  });
  const agents = Object.fromEntries(["127.0.0.1", "127.0.0.3"].map((localAddress) => [localAddress, new Agent({ keepAlive: true, maxSockets: 20, localAddress })]));
  // From a proxy that is trusted, or (through) another address, for whoever X-Forwarded-For says.
  const ask = (client, method, target, through = "127.0.0.1") =>
    new Promise((resolve, reject) => {
      const headers = { "X-Forwarded-For": client, "Content-Length": 0 };
      const outgoing = send({ host: "127.0.0.2", port, method, path: target, headers, agent: agents[through] }, (answer) => {
        const parts = [];
        answer.on("data", (part) => parts.push(part)).on("error", reject).on("end", () => {
          const bytes = Buffer.concat(parts), text = bytes.toString();
          const json = text.startsWith("{") ? JSON.parse(text) : undefined;
          resolve({ status: answer.statusCode, headers: new Headers(answer.headers), bytes, text, json });
        });
      });
      outgoing.on("error", reject).end();
    });
  await waitFor(() => ask("198.51.100.1", "GET", "/"), { what: "nginx to answer" });
  // Asks until it is refused; how often it was not, and the refusal.
  const exhaust = async (client, method, target, through) => {
    for (let passed = 0; passed < 5000; ) {
      const answers = await Promise.all(Array.from({ length: method === "HEAD" ? 50 : 1 }, () => ask(client, method, target, through)));
      const refused = answers.find(({ status }) => status === 429);
      passed += answers.filter(({ status }) => status !== 429).length;
      if (refused) return { passed, refused };
    }
    throw new Error(`${method} ${target} is never refused`);
  };
  const share = `/s/${"A".repeat(22)}`;
  for (const [client, method, target, least, wait] of [
    ["198.51.100.2", "HEAD", "/", 201, "1"],
    ["198.51.100.3", "POST", "/api/uploads", 31, "2"],
    ["198.51.100.4", "POST", `${share}/report`, 6, "10"],
    ["198.51.100.5", "POST", "/api/support", 6, "10"],
    ["198.51.100.6", "GET", "/api/account/erasures/00000000-0000-4000-8000-000000000000", 31, "2"],
  ]) {
    const { passed, refused } = await exhaust(client, method, target);
    assert.ok(passed >= least && passed < 10 * least, `${target}: ${passed}`);
    assert.equal(refused.headers.get("retry-after"), wait, target);
    if (method === "POST") assert.equal(refused.json.code, "rate_limited");
  }
  assertDescribed("POST", "/api/uploads", (await exhaust("198.51.100.3", "POST", "/api/uploads")).refused);
  assert.equal((await ask("198.51.100.4", "GET", share)).status, 404, "looking is not reporting");

  // An IPv6 network of 64 bits is one address, an IPv4 address in IPv6's clothes is itself.
  const report = (client, through) => ask(client, "POST", `${share}/report`, through).then(({ status }) => status === 429);
  await exhaust("2001:db8:1:2::1", "POST", `${share}/report`);
  assert.deepEqual([await report("2001:db8:1:2:ffff::9"), await report("2001:db8:1:3::1"), await report("::ffff:198.51.100.4"), await report("::ffff:198.51.100.7")], [true, false, true, false]);
  // Who is no trusted proxy is himself, whatever he says; of a chain the last that is not trusted counts.
  const { passed } = await exhaust("198.51.100.8", "POST", `${share}/report`, "127.0.0.3");
  assert.ok(passed >= 6);
  assert.deepEqual([await report("198.51.100.9", "127.0.0.3"), await report("198.51.100.8"), await report("203.0.113.5, 198.51.100.4")], [true, false, true]);

  for (const agent of Object.values(agents)) agent.destroy();
  const files = readdirSync(nginx.prefix, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map(({ name }) => name);
  assert.deepEqual(files.filter((name) => !name.endsWith(".conf")), ["nginx.pid"], "what it knows is in memory only");
  assert.doesNotMatch(nginx.output + files.map((name) => readFileSync(path.join(nginx.prefix, name), "utf8")).join(""), /198\.51\.|2001:db8/);
});

test("beside the stand-ins signing in is limited tightly, the model server not at all", async () => {
  const port = await freePort(), url = `http://127.0.0.1:${port}`;
  await start("sandbox", { ...PRODUCTION, PUBLIC_URL: url, SUPABASE_URL: url, NGINX_LISTEN: `127.0.0.1:${port}`, NGINX_RATE: "1", NGINX_BURST: "60" });
  await waitFor(() => request("GET", url), { what: "nginx to answer" });
  const codes = async (count, method, target) => (await Promise.all(Array.from({ length: count }, () => request(method, url + target)))).map(({ status }) => status);
  const refused = (statuses) => statuses.filter((status) => status === 429).length;
  const signIns = refused(await codes(40, "POST", "/auth/v1/token?grant_type=password"));
  assert.ok(signIns > 0 && signIns <= 19, `${signIns} of 40`);
  assert.equal(refused(await codes(5, "GET", "/auth/v1/.well-known/jwks.json")), 0);
  assert.ok(refused(await codes(40, "GET", "/api/models")) > 0);
  assert.equal(refused(await codes(80, "GET", "/sandbox/openai/v1/nothing")), 0);
});

test("what nginx's configuration cannot take is refused by its name", async () => {
  for (const [name, value] of [["TRUSTED_PROXIES", "192.0.2.1;x"], ["TRUSTED_PROXIES", "proxy.example"], ["NGINX_RATE", "many"], ["NGINX_BURST", "0"], ["STORAGE", 'file:/a"b'], ["SUPABASE_URL", ""]]) {
    const { status, stderr } = await render(path.join(folder, "refused"), { ...PRODUCTION, [name]: value });
    assert.notEqual(status, 0, `${name}=${value}`);
    assert.match(stderr.trim(), new RegExp(`^[^\\n]*${name}[^\\n]*$`));
  }
});

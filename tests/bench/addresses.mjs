// Requests from three addresses of this machine to a running ShotAI, errors mixed in, and then a search of everything that
// it wrote for those addresses. SHOTAI_URL, SHOTAI_HOME and SHOTAI_RUN say which.
//   node tests/bench/addresses.mjs [REQUESTS]
import { request as send } from "node:http";
import path from "node:path";
import { randomUUID } from "node:crypto";
import { env, execute, kill, newUser, waitFor } from "../e2e/harness.mjs";

const [count = 10_000] = process.argv.slice(2).map(Number);
const addresses = ["127.0.0.2", "127.0.0.3", "127.0.0.4"], told = "203.0.113.251";
const user = await newUser();
const mine = { Authorization: `Bearer ${user.token}`, "Content-Type": "application/json" };
const kinds = [
  () => ["GET", "/api/history", mine], () => ["GET", "/api/models", {}], () => ["GET", "/", {}], () => ["GET", `/api/history/${randomUUID()}`, mine],
  () => ["GET", "/api/nothing", {}], () => ["POST", "/sign-in", {}, "x"], () => ["GET", "/api/account", { Authorization: "Bearer x" }],
  () => ["POST", "/api/generate", mine, "{"], () => ["POST", "/api/generate", mine, '{"model":"none","prompt":"x"}'], () => ["GET", `/api/models?${"x".repeat(20000)}`, {}],
  () => ["POST", "/webhooks/creem", {}, "{}"], () => ["POST", "/api/uploads", { ...mine, "Content-Type": "image/png" }, "no picture"],
  () => ["GET", "/files/gen/none", {}], () => ["GET", "/s/AAAAAAAAAAAAAAAAAAAAAA", {}], () => ["POST", "/api/generate", mine, "x".repeat(70_000)],
];
const statuses = {};
const once = (n) =>
  new Promise((resolve) => {
    const [method, target, headers, body] = kinds[n % kinds.length]();
    const done = (status) => resolve((statuses[status] = (statuses[status] ?? 0) + 1));
    send(new URL(target, env.url), { method, agent: false, localAddress: addresses[n % 3], headers: { ...headers, "X-Forwarded-For": told } }, (answer) =>
      answer.resume().on("error", () => done("cut")).on("end", () => done(answer.statusCode))).on("error", ({ code }) => done(code)).end(body);
  });

let sent = 0;
const client = async () => {
  while (sent < count) await once(sent++);
};
const trouble = async () => {
  for (const [share, program] of [[0.25, "history"], [0.5, "postgres"], [0.75, "nginx"]]) {
    await waitFor(() => sent > count * share, { what: "the middle of it", timeout: 600_000 });
    kill(program, "SIGKILL");
  }
};
await Promise.all([trouble(), ...Array.from({ length: 16 }, client)]);
console.log(`${sent} requests from ${addresses.join(", ")}: ${JSON.stringify(statuses)}`);
const pattern = [...addresses, told].join("|").replaceAll(".", "\\.");
const dump = `pg_dump -h ${path.join(env.home, "sockets")} -U supabase_admin shotai`;
for (const command of [`grep -raEc --exclude-dir=src '${pattern}' ${env.home} | grep -v ':0$'`, `${dump} | grep -cE '${pattern}'`, `${dump} | grep -c '${user.email}'`]) {
  await waitFor(async () => (await execute("sh", ["-c", `${dump} >/dev/null`])).status === 0, { what: "the database to be back" });
  const { status, stdout } = await execute("sh", ["-c", command]);
  console.log(`$ ${command}\n${stdout || "(nothing)\n"}status ${status}`);
}
process.exit();

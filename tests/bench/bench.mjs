// Requests a second against a running ShotAI: SHOTAI_URL, SHOTAI_HOME and SHOTAI_RUN say which.
//   node tests/bench/bench.mjs [SECONDS [CONNECTIONS [PATH]]]      PATH: /api/history of a person with 20 pictures
// With RESTART=history that program is restarted all the while.
import { Agent, request as send } from "node:http";
import { api, env, finished, grant, newUser, restart } from "../e2e/harness.mjs";

const [seconds = 10, connections = 32, target = "/api/history"] = process.argv.slice(2);
const user = await newUser();
await grant(user, 1000);
const { items } = (await api(user, "GET", "/api/models")).json;
const made = await Promise.all(
  Array.from({ length: 20 }, () => api(user, "POST", "/api/generate", { model: items[0].id, prompt: "bench" })),
);
await Promise.all(made.map(({ json }) => finished(user, json.id)));

const agent = new Agent({ keepAlive: true, maxSockets: Number(connections) });
const options = { agent, headers: { Authorization: `Bearer ${user.token}` } };
const once = () =>
  new Promise((resolve) => {
    const start = performance.now();
    send(new URL(target, env.url), options, (answer) => {
      answer.resume().on("end", () => resolve({ status: answer.statusCode, ms: performance.now() - start }));
    }).on("error", (error) => resolve({ status: error.code, ms: performance.now() - start })).end();
  });

const end = performance.now() + Number(seconds) * 1000, times = [], statuses = {};
let restarts = 0;
const client = async () => {
  while (performance.now() < end) {
    const { status, ms } = await once();
    times.push(ms);
    statuses[status] = (statuses[status] ?? 0) + 1;
  }
};
const restarter = async () => {
  while (process.env.RESTART && performance.now() < end) {
    await restart(process.env.RESTART);
    restarts++;
  }
};
await Promise.all([restarter(), ...Array.from({ length: Number(connections) }, client)]);
times.sort((a, b) => a - b);
const at = (share) => times[Math.floor((times.length - 1) * share)].toFixed(1);
console.log(`${target}: ${(times.length / Number(seconds)).toFixed(0)} requests/s, ms p50 ${at(0.5)} p99 ${at(0.99)} max ${at(1)}, restarts ${restarts}`);
console.log("answers by status:", JSON.stringify(statuses));
process.exit();

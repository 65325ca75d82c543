// What an account may do in a time: every action has a limit, is told it, and is held to it exactly.
import assert from "node:assert/strict";
import { test } from "node:test";
import { randomUUID } from "node:crypto";

import { ctl, newUser, psql } from "./harness.mjs";
import { balanceOf, call, setLimits } from "./contract.mjs";

const REFUSED = Number(process.env.SHOTAI_REFUSED ?? 30); // how many more are refused below
const ORDER = { model: "gpt-image-1-mini", prompt: "a red fox" };
const picture = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==", "base64");

// A request of each action; some are refused, which costs as much.
const requests = {
  generate: ["POST", "/api/generate", { ...ORDER, model: "nothing" }],
  upload: ["POST", "/api/uploads", picture, { "Content-Type": "image/png" }],
  share: ["POST", "/api/shares", { generation_id: randomUUID() }],
  checkout: ["POST", "/api/billing/checkout", { product_id: "nothing" }],
  portal: ["POST", "/api/billing/portal"],
  export: ["GET", "/api/account/export"],
  archive: ["POST", "/api/account/archives", { generation_ids: [randomUUID()] }],
  delete: ["POST", "/api/history/delete", { ids: [randomUUID()] }],
};

async function arrival(user, action) {
  const [{ arrival }] = await psql(`select r.arrival from shotai.rate_state r join shotai.account a on a.id = r.account where a.user_id = '${user.id}' and r.action = '${action}'`);
  return arrival;
}

test("each action tells its limit, and counts whatever the answer", async () => {
  const actions = await psql("select action from shotai.plan_limit where plan = 'free'");
  assert.deepEqual(Object.keys(requests).toSorted(), actions.map(({ action }) => action).toSorted());
  const user = await newUser();
  await setLimits(user, Object.fromEntries(Object.keys(requests).flatMap((action) => [[`${action}_burst`, 2], [`${action}_per_minute`, 1]])));
  for (const [action, request] of Object.entries(requests)) {
    const rate = async () => {
      const { status, headers } = await call(user, ...request);
      return [status === 429, headers.get("ratelimit-policy"), headers.get("ratelimit")?.replace(/t=\d+$/, "t=")];
    };
    assert.deepEqual(await rate(), [false, `"${action}";q=2;w=120`, `"${action}";r=1;t=`]);
    assert.deepEqual(await rate(), [false, `"${action}";q=2;w=120`, `"${action}";r=0;t=`]);
    const before = await arrival(user, action);
    assert.equal((await rate())[2], `"${action}";r=0;t=`);
    assert.equal(await arrival(user, action), before);
  }
});

test("of 64 orders at once exactly the burst is taken, and those refused cost nothing more", async () => {
  const user = await newUser(), plan = `p${randomUUID().slice(0, 8)}`;
  for (const command of [["add", plan], ["set", plan, "generate_burst", "10"], ["set", plan, "generate_per_minute", "1"], ["give", user.email, plan, "--reason", "test"]])
    assert.equal((await ctl("plan", ...command)).status, 0, command.join(" "));
  assert.match((await ctl("plan", "list")).stdout, new RegExp(`^${plan} +1 +generate_burst +10$`, "m"));
  assert.equal((await ctl("plan", "set", plan, "generate_burst", "0")).status, 1);
  const order = async () => {
    const { status, headers, json } = await call(user, "POST", "/api/generate", ORDER);
    return status === 429 ? Number(headers.get("retry-after")) : assert.equal(status, 202, json?.code);
  };
  const waits = (await Promise.all(Array.from({ length: 64 }, order))).filter(Boolean);
  assert.equal(waits.length, 54);
  for (let sent = 0; sent < REFUSED; sent += 10) waits.push(...(await Promise.all(Array.from({ length: 10 }, order))));
  assert.ok(waits.every((wait) => wait >= 1 && wait <= 60), waits.join());
  assert.equal(await balanceOf(user), 50 - 10 * 2);
});

// Every prompt is screened by Creem before a provider sees it, and when nobody screens nothing is made.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createHash } from "node:crypto";
import { createServer } from "node:http";

import { api, env, finished, psql, waitFor } from "./harness.mjs";
import { call, refused } from "./contract.mjs";
import { allCalled, assertAudit, assertPaid, balanceOf, cheapest, generate, idle, logged, promptOf, providerCalls, richUser, spawnWorker, withOwnWorkers } from "./faults.mjs";

after(assertAudit);

const rowOf = async (id) => (await psql(`select moderation, moderated_at, encode(prompt_hash, 'hex') as hash, error_code, error_reason, status from shotai.generation where id = '${id}'`))[0];

// A Creem of the test's own: what it is asked, and what it answers.
const asked = [];
let answerOf;
const stub = createServer((incoming, answer) => {
  const chunks = [];
  incoming.on("data", (chunk) => chunks.push(chunk));
  incoming.on("end", () => {
    asked.push({ method: incoming.method, url: incoming.url, headers: incoming.headers, body: Buffer.concat(chunks).toString("utf8") });
    answerOf(answer);
  });
});
const json = (body, status = 200) => (answer) => answer.writeHead(status, { "Content-Type": "application/json" }).end(typeof body === "string" ? body : JSON.stringify(body));
const decision = (word) => json({ id: "mod_1", object: "moderation", decision: word, usage: { units: 1 } });
let stubUrl;

before(async () => {
  await new Promise((resolve) => stub.listen(0, "127.0.0.1", resolve));
  stubUrl = `http://127.0.0.1:${stub.address().port}`;
});
after(() => stub.close());

// A generation made by a worker of the test's own that asks the stub; gives the generation, its row, and what was asked.
async function screened(user, prompt, answer, overrides = {}) {
  asked.length = 0;
  answerOf = answer;
  return withOwnWorkers(async (worker) => {
    const { id } = await generate(user, prompt);
    const generation = await finished(user, id);
    return { generation, row: await rowOf(id), asked: [...asked], worker };
  }, { CREEM_API_URL: stubUrl, ...overrides });
}

test("a prompt that is allowed is made; decision, time and hash are kept", async () => {
  const user = await richUser(), prompt = promptOf("an allowed \"fox\" — één"), { id } = await generate(user, prompt);
  assert.equal((await finished(user, id)).status, "succeeded");
  const row = await rowOf(id);
  assert.equal(row.moderation, "allow");
  assert.equal(row.hash, createHash("sha256").update(prompt).digest("hex"));
  const [{ ok }] = await psql(`select g.moderated_at <= min(c.created_at) as ok from shotai.generation g join shotai.provider_call c on c.generation = g.id where g.id = '${id}' group by g.moderated_at`);
  assert.equal(ok, "t");
});

test("Creem gets the prompt and nothing else", async () => {
  const user = await richUser(), prompt = promptOf("only me, \"quoted\"\nand a second line");
  const { generation, asked: [request, ...more] } = await screened(user, prompt, decision("allow"));
  assert.equal(generation.status, "succeeded");
  assert.deepEqual(more, []);
  assert.deepEqual([request.method, request.url, JSON.parse(request.body)], ["POST", "/v1/moderation/prompt", { prompt }]);
  assert.deepEqual(Object.keys(request.headers).toSorted(), ["accept", "content-length", "content-type", "host", "user-agent", "x-api-key"]);
  assert.match(request.headers["user-agent"], /^ShotAI\b/i);
  assert.equal(request.headers["x-api-key"], env.CREEM_API_KEY);
  const sent = JSON.stringify(request);
  for (const secret of [user.id, user.email, user.token, generation.id]) assert.ok(!sent.includes(secret), secret);
});

test("a prompt that is denied reaches no provider and costs nothing", async () => {
  const user = await richUser(), prompt = promptOf("sandbox:deny"), { id } = await generate(user, prompt, 2);
  const generation = await finished(user, id), row = await rowOf(id);
  assert.deepEqual([generation.status, generation.error.code, generation.started_at], ["failed", "content_policy", null]);
  await assertPaid(generation);
  assert.deepEqual([row.moderation, row.error_reason], ["deny", "moderation_deny"]);
  assert.equal(await providerCalls(prompt), 0);
  assert.equal(await balanceOf(user), 1050);
});

test("a flag is a denial, unless the setting says otherwise", async () => {
  const user = await richUser(), prompt = promptOf("sandbox:flag"), { id } = await generate(user, prompt);
  assert.equal((await finished(user, id)).error.code, "content_policy");
  assert.equal((await rowOf(id)).moderation, "flag");
  assert.equal(await providerCalls(prompt), 0);
  const lenient = await screened(user, promptOf("flagged"), decision("flag"), { MODERATION_FLAG: "allow" });
  assert.equal(lenient.generation.status, "succeeded");
  const strict = await screened(user, promptOf("denied"), decision("deny"), { MODERATION_FLAG: "allow" });
  assert.equal(strict.generation.error.code, "content_policy");
});

test("refused prompts are limited to so many an hour", async () => {
  const user = await richUser();
  for (let i = 0; i < 10; i++) await finished(user, (await generate(user, promptOf(i % 2 ? "sandbox:deny" : "sandbox:flag"))).id);
  const problem = await refused("rate_limited", user, "POST", "/api/generate", { model: (await cheapest()).id, prompt: "a harmless one" });
  assert.equal(problem.status, 429);
  const other = await richUser();
  assert.equal((await finished(other, (await generate(other, promptOf("fine"))).id)).status, "succeeded");
});

test("while nobody screens, a job waits without a thread, can be taken back, and goes on when somebody does", async () => {
  const user = await richUser();
  asked.length = 0;
  answerOf = json("busy", 503);
  await withOwnWorkers(async (worker) => {
    const held = await Promise.all(["one", "two", "three"].map((what) => generate(user, promptOf(what))));
    await waitFor(() => asked.length >= 6, { what: "several tries" });
    for (const { id } of held) assert.equal((await api(user, "GET", `/api/generate/${id}`)).json.status, "queued");
    assert.equal((await call(user, "DELETE", `/api/generate/${held[0].id}`)).status, 200);
    // One thread, and yet somebody else's is made meanwhile.
    answerOf = (answer) => (asked.at(-1).body.includes("passes") ? decision("allow") : json("busy", 503))(answer);
    const other = await generate(user, promptOf("passes"));
    assert.equal((await finished(user, other.id)).status, "succeeded");
    answerOf = decision("allow");
    for (const { id } of held.slice(1)) assert.equal((await finished(user, id)).status, "succeeded");
    assert.match(worker.log, /job_handed_back .*reason=moderation_away/);
  }, { CREEM_API_URL: stubUrl, WORKER_CONCURRENCY: "1" });
});

test("after two minutes in vain it ends with its credits back", async () => {
  const user = await richUser(), prompt = promptOf("sandbox:moderation-down"), { id } = await generate(user, prompt);
  await waitFor(async () => (await psql(`select attempt from shotai.job where generation = '${id}' and unscreened_from is not null`)).length === 1, { what: "a first try" });
  assert.equal((await api(user, "GET", `/api/generate/${id}`)).json.status, "queued");
  const [{ left }] = await psql(`select extract(epoch from clock_timestamp() - unscreened_from) < 60 as left from shotai.job where generation = '${id}'`);
  assert.equal(left, "t");
  await psql(`update shotai.job set unscreened_from = unscreened_from - interval '2 minutes' where generation = '${id}'`);
  const generation = await finished(user, id);
  assert.deepEqual([generation.status, generation.error.code, generation.started_at], ["failed", "moderation_unavailable", null]);
  await assertPaid(generation);
  assert.equal(await providerCalls(prompt), 0);
  assert.equal((await rowOf(id)).moderation, null);
});

test("an answer that is no decision lets nothing pass", async () => {
  const user = await richUser(), answers = [
    json(""), json("allow"), json({}), json({ decision: "ALLOW" }), json({ decision: null }), json({ decision: true }), json({ decision: ["allow"] }),
    json('{"decision":"allow","decision":"deny"}'), json({ decision: "allow" }, 400), json({ decision: "allow" }, 401), json({ decision: "allow" }, 302), json({ decision: "allow" }, 500),
    (answer) => answer.destroy(), (answer) => answer.writeHead(200, { "Content-Length": "1000" }).end('{"decision":"allow"}'),
  ];
  asked.length = 0;
  let at = 0;
  answerOf = (answer) => answers[at++ % answers.length](answer);
  await withOwnWorkers(async () => {
    const prompts = answers.map((_, i) => promptOf(`useless ${i}`)), held = await Promise.all(prompts.map((prompt) => generate(user, prompt)));
    await waitFor(() => at >= answers.length, { what: "every answer to be tried" });
    for (const prompt of prompts) assert.equal(await providerCalls(prompt), 0);
    answerOf = decision("deny");
    for (const { id } of held) assert.equal((await finished(user, id)).error.code, "content_policy");
    for (const prompt of prompts) assert.equal(await providerCalls(prompt), 0);
  }, { CREEM_API_URL: stubUrl });
});

test("a decision is asked for once, also after the worker died", async () => {
  const user = await richUser(), prompt = promptOf("sandbox:slow=4");
  asked.length = 0;
  answerOf = decision("allow");
  const { id } = await withOwnWorkers(async (worker) => {
    const made = await generate(user, prompt);
    await allCalled([prompt]);
    worker.child.kill("SIGKILL");
    await worker.ended;
    return made;
  }, { CREEM_API_URL: stubUrl });
  assert.equal((await finished(user, id)).status, "succeeded");
  assert.equal(asked.length, 1);
  await idle();
});

test("without a production key it can be off: nothing is asked, and that is kept", async () => {
  const user = await richUser();
  for (const overrides of [{ MODERATION: "off" }, { MODERATION: undefined, CREEM_API_KEY: undefined }]) {
    const { generation, row, asked: requests } = await screened(user, promptOf("sandbox:deny off"), decision("deny"), overrides);
    assert.deepEqual([generation.status, row.moderation, requests.length], ["succeeded", "not_required", 0]);
  }
});

test("with a production key off does not start, and creem not without a key", async () => {
  for (const [overrides, line] of [
    [{ MODERATION: "off", CREEM_API_KEY: "creem_live_made_up" }, /^worker: MODERATION /],
    [{ MODERATION: "creem", CREEM_API_KEY: undefined }, /^worker: MODERATION /],
    [{ MODERATION: "sometimes" }, /^worker: MODERATION must be off or creem/],
    [{ MODERATION_FLAG: "ignore" }, /^worker: MODERATION_FLAG must be deny or allow/],
  ]) {
    const worker = spawnWorker([], overrides);
    assert.deepEqual(await worker.ended, { code: 1, signal: null });
    assert.match(worker.log, line);
    assert.ok(!worker.log.includes("made_up"));
  }
});

test("the database lets no call begin that was not screened", async () => {
  const user = await richUser();
  await withOwnWorkers(async (worker) => {
    worker.child.kill("SIGSTOP");
    const { id } = await generate(user, promptOf("by hand"));
    const claimed = await psql("select generation_id, attempt from shotai.claim_jobs('by hand', 10, 20)");
    const job = claimed.find((row) => row.generation_id === id);
    assert.ok(job);
    const start = async () => (await psql(`select * from shotai.start_call('${id}', ${job.attempt}, 0, 1, 'openai')`))[0];
    assert.deepEqual(await start(), { held: "t", call_id: null, moderated: "f" });
    for (const word of ["flag", "deny"]) {
      await psql(`select * from shotai.record_moderation('${id}', ${job.attempt}, '${word}', repeat('0', 64))`);
      assert.equal((await start()).call_id, null);
    }
    await psql(`select * from shotai.finish_generation('${id}', ${job.attempt}, 'content_policy', 'by_hand')`);
    worker.child.kill("SIGCONT");
    await logged(worker, " ready ");
  });
});

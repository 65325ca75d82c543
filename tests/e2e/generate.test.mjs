// Ordering pictures over HTTP: what is taken, what is refused, what it costs, what a retry does.
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { randomUUID } from "node:crypto";

import { auth, finished, grant, newUser, psql, request, waitFor } from "./harness.mjs";
import { balanceOf, call, heldGeneration, refused, setLimits, suspend, withClaims } from "./contract.mjs";

const MODEL = "gpt-image-1-mini";
const PRICE = 2;
const ORDER = { model: MODEL, prompt: "a lighthouse at dusk" };
// Where no picture is wanted: the stand-in refuses it at once, instead of painting.
const UNPAINTED = { ...ORDER, prompt: "sandbox:refuse" };
const order = (user, body = ORDER, headers) => call(user, "POST", "/api/generate", body, headers);
const ordersOf = async (user) =>
  (await psql(`select g.id from shotai.generation g join shotai.account a on a.id = g.account where a.user_id = '${user.id}'`)).length;

let user;
before(async () => {
  user = await newUser();
});

test("models are public, priced, and described in the reader's language", async () => {
  const { json } = await call(null, "GET", "/api/models");
  const model = json.items.find(({ id }) => id === MODEL);
  assert.equal(model.credits, PRICE);
  assert.equal(model.available, true);
  assert.ok(model.aspect_ratios.includes("1:1"));
  const dutch = (await call(null, "GET", "/api/models", undefined, { "Accept-Language": "nl" })).json;
  assert.notEqual(dutch.items.find(({ id }) => id === MODEL).description, model.description);
});

test("an order is charged at once, made, and served by link", async () => {
  const mine = await newUser();
  const answer = await order(mine, { ...ORDER, aspect_ratio: "3:2", count: 2, seed: 7 });
  assert.equal(answer.status, 202);
  const { id, balance, ...rest } = answer.json;
  assert.equal(answer.headers.get("location"), `/api/generate/${id}`);
  assert.equal(answer.headers.get("idempotency-replayed"), null);
  assert.equal(balance, 50 - 2 * PRICE);
  assert.deepEqual(
    [rest.prompt, rest.model, rest.aspect_ratio, rest.count, rest.seed, rest.credits_charged, rest.credits_refunded],
    [ORDER.prompt, MODEL, "3:2", 2, 7, 2 * PRICE, 0],
  );
  const end = await finished(mine, id);
  assert.equal(end.status, "succeeded");
  assert.deepEqual(end.images.map(({ index }) => index), [0, 1]);
  for (const { url, thumbnail_url: thumbnail, content_type: type } of end.images) {
    const picture = await call(null, "GET", url);
    assert.equal(picture.headers.get("content-type"), type);
    assert.equal((await call(null, "GET", thumbnail)).headers.get("content-type"), "image/webp");
  }
  const history = (await call(mine, "GET", `/api/history/${id}`)).json;
  assert.deepEqual(history, (await call(mine, "GET", `/api/generate/${id}`)).json);
  const { items } = (await call(mine, "GET", "/api/account/credits")).json;
  assert.deepEqual(items.map(({ kind, amount, balance_after: after, generation_id: generation }) => [kind, amount, after, generation]), [
    ["charge", -2 * PRICE, 46, id],
    ["grant", 50, 50, null],
  ]);
});

test("what is missing is the model's first aspect ratio, one picture, no seed; null counts as missing", async () => {
  const { json: models } = await call(null, "GET", "/api/models");
  const first = models.items.find(({ id }) => id === MODEL).aspect_ratios[0];
  for (const body of [UNPAINTED, { ...UNPAINTED, aspect_ratio: null, count: null, seed: null, upload_id: null, upload_ids: null }]) {
    const { json } = await order(user, body);
    assert.deepEqual([json.aspect_ratio, json.count, json.seed], [first, 1, null]);
  }
});

test("bodies that are not valid are refused, each with the place of its fault, and cost nothing", async () => {
  const mine = await newUser();
  const id = randomUUID();
  const rows = [
    [{ prompt: "p" }, "/model"],
    [{ model: MODEL }, "/prompt"],
    [{ ...ORDER, model: null }, "/model"],
    [{ ...ORDER, model: 1 }, "/model"],
    [{ ...ORDER, model: "" }, "/model"],
    [{ ...ORDER, prompt: "" }, "/prompt"],
    [{ ...ORDER, prompt: " \n\t " }, "/prompt"],
    [{ ...ORDER, prompt: "x".repeat(4001) }, "/prompt"],
    [{ ...ORDER, prompt: ["p"] }, "/prompt"],
    [{ ...ORDER, prompt: "bell \u0007" }, "/prompt"],
    [{ ...ORDER, aspect_ratio: 1 }, "/aspect_ratio"],
    [{ ...ORDER, aspect_ratio: "5:4" }, "/aspect_ratio"],
    [{ ...ORDER, count: 0 }, "/count"],
    [{ ...ORDER, count: 11 }, "/count"],
    [{ ...ORDER, count: 5 }, "/count"],
    [{ ...ORDER, count: 1.5 }, "/count"],
    [{ ...ORDER, count: "2" }, "/count"],
    [{ ...ORDER, count: true }, "/count"],
    [{ ...ORDER, seed: -1 }, "/seed"],
    [{ ...ORDER, seed: 2 ** 31 }, "/seed"],
    [{ ...ORDER, upload_id: "x" }, "/upload_id"],
    [{ ...ORDER, upload_ids: id }, "/upload_ids"],
    [{ ...ORDER, upload_ids: [] }, "/upload_ids"],
    [{ ...ORDER, upload_ids: [id, id] }, "/upload_ids/1"],
    [{ ...ORDER, upload_ids: ["x"] }, "/upload_ids/0"],
    [{ ...ORDER, upload_id: id, upload_ids: [id] }, "/upload_ids"],
    [{ ...ORDER, upload_ids: [id, randomUUID()] }, "/upload_ids"],
    [{ ...ORDER, style: "x" }, "/style"],
    [{ ...ORDER, Prompt: "x" }, "/Prompt"],
    [{ ...ORDER, "a/b~c": 1 }, "/a~1b~0c"],
  ];
  for (const [body, pointer] of rows) {
    const { errors } = await refused("invalid_request", mine, "POST", "/api/generate", body);
    assert.deepEqual(errors.map((error) => error.pointer), [pointer], JSON.stringify(body));
    const dutch = await refused("invalid_request", mine, "POST", "/api/generate", body, { "Accept-Language": "nl" });
    assert.equal(dutch.errors[0].pointer, pointer);
    assert.notEqual(dutch.errors[0].detail, errors[0].detail, `no Dutch for: ${errors[0].detail}`);
  }
  const both = await refused("invalid_request", mine, "POST", "/api/generate", { count: 0, seed: -1, x: 1 });
  assert.deepEqual(both.errors.map(({ pointer }) => pointer).toSorted(), ["/count", "/model", "/prompt", "/seed", "/x"]);
  assert.equal(await balanceOf(mine), 50);
  assert.equal(await ordersOf(mine), 0);
});

test("bytes that are no acceptable JSON object are refused", async () => {
  const json = { "Content-Type": "application/json" };
  const rows = [
    "", " ", "null", "[]", '"x"', "{", `${JSON.stringify(ORDER)}x`, `${JSON.stringify(ORDER)}{}`, "{'model':1}",
    `{"model":"${MODEL}","prompt":"p","prompt":"q"}`, `{"model":"${MODEL}","prompt":"p\\u0000q"}`,
    `{"model":"${MODEL}","prompt":"\\ud800"}`, `{"model":"${MODEL}","prompt":"p","seed":1e999}`,
    `{"model":"${MODEL}","prompt":"p","x":${"[".repeat(200)}${"]".repeat(200)}}`,
    Buffer.concat([Buffer.from(`{"model":"${MODEL}","prompt":"`), Buffer.from([0xc3, 0x28]), Buffer.from('"}')]),
    Buffer.concat([Buffer.from(`{"model":"${MODEL}","prompt":"`), Buffer.from([0xed, 0xa0, 0x80]), Buffer.from('"}')]),
  ];
  const mine = await newUser();
  for (const body of rows) await refused("invalid_request", mine, "POST", "/api/generate", body, json);
  assert.equal(await balanceOf(mine), 50);
});

test("a prompt of 4000 characters is taken, whatever their width", async () => {
  const mine = await newUser();
  for (const prompt of ["sandbox:refuse".padEnd(4000 + 3986, "😀"), `sandbox:refuse"\\\n\t`.padEnd(4000, "é")]) {
    const { status, json } = await order(mine, { ...ORDER, prompt });
    assert.equal(status, 202);
    assert.equal(json.prompt, prompt);
  }
});

test("only JSON of moderate size is read", async () => {
  for (const type of ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", "multipart/form-data"])
    await refused("unsupported_media_type", user, "POST", "/api/generate", JSON.stringify(ORDER), { "Content-Type": type });
  const { status } = await order(user, JSON.stringify(UNPAINTED), { "Content-Type": "Application/JSON; charset=utf-8" });
  assert.equal(status, 202);
  await refused("too_large", user, "POST", "/api/generate", { ...ORDER, prompt: "x".repeat(70_000) });
});

test("an order may only name what exists", async () => {
  await refused("model_unknown", user, "POST", "/api/generate", { ...ORDER, model: "nothing" });
  await refused("upload_unknown", user, "POST", "/api/generate", { ...ORDER, upload_id: randomUUID() });
  await refused("upload_unknown", user, "POST", "/api/generate", { ...ORDER, model: "gpt-image-2", upload_ids: [randomUUID(), randomUUID()] });
});

test("a balance that does not cover the price refuses and keeps the credits", async () => {
  const mine = await newUser();
  for (let i = 0; i < 2; i++) await heldGeneration(mine, { model: "gpt-image-2", count: 4 });
  const { required, balance } = await refused("insufficient_credits", mine, "POST", "/api/generate", { ...ORDER, count: 4 });
  assert.deepEqual({ required, balance }, { required: 8, balance: 2 });
  assert.equal((await order(mine, UNPAINTED)).json.balance, 0);
});

test("who may not spend is told why", async () => {
  const young = await newUser({ confirmAge: false });
  const suspended = await newUser();
  await suspend(suspended);
  const out = await newUser();
  assert.equal((await auth("POST", "/logout", undefined, out.token)).status, 204);
  const rows = [
    ["unauthenticated", null],
    ["unauthenticated", { token: "x.y.z" }],
    ["unauthenticated", { token: "" }],
    ["unauthenticated", out],
    ["unauthenticated", await withClaims(user, { session_id: randomUUID() })],
    ["unauthenticated", await withClaims(user, { sub: randomUUID() })],
    ["anonymous_not_allowed", await withClaims(user, { is_anonymous: true })],
    ["client_not_allowed", await withClaims(user, { client_id: randomUUID() })],
    ["age_confirmation_required", young],
    ["account_suspended", suspended],
  ];
  for (const [code, who] of rows) await refused(code, who, "POST", "/api/generate", ORDER);
  const { json: about } = await call(suspended, "GET", "/api/account");
  assert.equal(about.status, "suspended");
  assert.equal(await ordersOf(young), 0);
});

test("others do not see a generation, nor take it back", async () => {
  const id = await heldGeneration(user);
  const other = await newUser();
  for (const target of [`/api/generate/${id}`, `/api/history/${id}`, `/api/generate/${randomUUID()}`]) {
    await refused("not_found", other, "GET", target);
    await refused("unauthenticated", null, "GET", target);
  }
  await refused("not_found", other, "DELETE", `/api/generate/${id}`);
  await refused("not_found", user, "GET", `/api/generate/${id.slice(1)}`);
  assert.equal((await call(user, "GET", `/api/generate/${id.toUpperCase()}`)).json.id, id);
  await call(user, "DELETE", `/api/generate/${id}`);
});

test("a key makes an order once", async () => {
  const mine = await newUser();
  const key = { "Idempotency-Key": `!~${randomUUID()}` };
  const first = await order(mine, ORDER, key);
  const again = await order(mine, ORDER, key);
  assert.equal(again.status, 202);
  assert.equal(again.headers.get("idempotency-replayed"), "true");
  assert.equal(again.headers.get("location"), first.headers.get("location"));
  assert.equal(again.json.id, first.json.id);
  await finished(mine, first.json.id);
  const later = await order(mine, ORDER, key);
  assert.equal(later.json.status, "succeeded");
  assert.equal(later.json.images.length, 1);
  await refused("idempotency_key_reused", mine, "POST", "/api/generate", { ...ORDER, seed: 1 }, key);
  await refused("idempotency_key_reused", mine, "POST", "/api/generate", `${JSON.stringify(ORDER)} `, { ...key, "Content-Type": "application/json" });
  assert.equal((await order(await newUser(), UNPAINTED, key)).headers.get("idempotency-replayed"), null);
  assert.equal(await balanceOf(mine), 50 - PRICE);
  assert.equal(await ordersOf(mine), 1);
});

test("a refused order is forgotten by its key", async () => {
  const mine = await newUser();
  const key = { "Idempotency-Key": randomUUID() };
  await refused("model_unknown", mine, "POST", "/api/generate", { ...ORDER, model: "nothing" }, key);
  const answer = await order(mine, UNPAINTED, key);
  assert.equal(answer.status, 202);
  assert.equal(answer.headers.get("idempotency-replayed"), null);
});

test("keys are 1 to 255 visible ASCII characters", async () => {
  assert.equal((await order(user, UNPAINTED, { "Idempotency-Key": "k".repeat(255) })).status, 202);
  for (const key of ["", "k".repeat(256), "two words", "é", "tab\tbed"]) {
    const { errors } = await refused("invalid_request", user, "POST", "/api/generate", ORDER, { "Idempotency-Key": key });
    assert.equal(errors[0].pointer, "Idempotency-Key");
  }
});

test("of the same order sent at once many times, one is made", async () => {
  const mine = await newUser();
  const key = { "Idempotency-Key": randomUUID() };
  const answers = await Promise.all(Array.from({ length: 16 }, () => order(mine, ORDER, key)));
  const done = answers.filter(({ status }) => status === 202);
  assert.ok(done.length > 0);
  assert.equal(new Set(done.map(({ json }) => json.id)).size, 1);
  for (const { status, json } of answers) assert.ok(status === 202 || json.code === "idempotency_in_progress", json.code);
  assert.equal(done.filter(({ headers }) => headers.get("idempotency-replayed") === null).length, 1);
  assert.equal(await balanceOf(mine), 50 - PRICE);
  assert.equal(await ordersOf(mine), 1);
});

test("an item carries a tag, changes it when it changes, and answers 304 until then", async () => {
  const mine = await newUser();
  const id = await heldGeneration(mine);
  for (const target of [`/api/generate/${id}`, `/api/history/${id}`, "/api/account"]) {
    const first = await call(mine, "GET", target);
    const etag = first.headers.get("etag");
    for (const header of [etag, `W/${etag}`, `"other", ${etag}`, "*"]) {
      const again = await call(mine, "GET", target, undefined, { "If-None-Match": header });
      assert.equal(again.status, 304, `${target} ${header}`);
      assert.equal(again.headers.get("etag"), etag);
    }
    assert.equal((await call(mine, "GET", target, undefined, { "If-None-Match": '"other"' })).status, 200);
  }
  const before = (await call(mine, "GET", `/api/generate/${id}`)).headers.get("etag");
  await call(mine, "DELETE", `/api/generate/${id}`);
  const after = await call(mine, "GET", `/api/generate/${id}`, undefined, { "If-None-Match": before });
  assert.equal(after.status, 200);
  assert.notEqual(after.headers.get("etag"), before);
});

test("HEAD answers as GET without a body", async () => {
  const id = await heldGeneration(user);
  for (const [who, target] of [[user, `/api/generate/${id}`], [null, "/api/models"], [user, "/api/history"], [null, "/api/account"]]) {
    const head = await call(who, "HEAD", target);
    const get = await call(who, "GET", target);
    assert.equal(head.status, get.status);
    assert.equal(head.headers.get("etag"), get.headers.get("etag"));
    assert.equal(head.headers.get("content-type"), get.headers.get("content-type"));
  }
  await call(user, "DELETE", `/api/generate/${id}`);
});

test("what is queued can be taken back, once, for all its credits", async () => {
  const mine = await newUser();
  const id = await heldGeneration(mine, { count: 3 });
  const queued = (await call(mine, "GET", `/api/generate/${id}`)).json;
  assert.equal(queued.status, "queued");
  assert.ok(queued.queue_position >= 1);
  assert.equal(await balanceOf(mine), 50 - 3 * PRICE);
  await refused("anonymous_not_allowed", await withClaims(mine, { is_anonymous: true }), "DELETE", `/api/generate/${id}`);
  const { status, json } = await call(mine, "DELETE", `/api/generate/${id}`);
  assert.equal(status, 200);
  assert.deepEqual([json.status, json.credits_refunded, json.queue_position, json.error], ["canceled", 3 * PRICE, null, null]);
  assert.equal(await balanceOf(mine), 50);
  await refused("not_cancelable", mine, "DELETE", `/api/generate/${id}`);
  assert.equal(await balanceOf(mine), 50);
});

test("what runs or has ended cannot be taken back", async () => {
  const mine = await newUser();
  const { json } = await order(mine, { ...ORDER, prompt: "sandbox:slow=2" });
  await waitFor(async () => (await call(mine, "GET", `/api/generate/${json.id}`)).json.status === "running", { what: "it to run" });
  await refused("not_cancelable", mine, "DELETE", `/api/generate/${json.id}`);
  assert.equal((await finished(mine, json.id)).status, "succeeded");
  await refused("not_cancelable", mine, "DELETE", `/api/generate/${json.id}`);
  assert.equal(await balanceOf(mine), 50 - PRICE);
});

test("a failure is refunded and explained in the reader's language", async () => {
  const mine = await newUser();
  const { json } = await order(mine, { ...ORDER, prompt: "sandbox:refuse" });
  const end = await finished(mine, json.id);
  assert.deepEqual([end.status, end.error.code, end.credits_refunded, end.images], ["failed", "content_policy", PRICE, []]);
  const dutch = (await call(mine, "GET", `/api/generate/${json.id}`, undefined, { "Accept-Language": "nl" })).json;
  assert.notEqual(dutch.error.message, end.error.message);
  assert.equal(await balanceOf(mine), 50);
});

test("an account that orders too fast, or too much at once, waits", async () => {
  const fast = await newUser();
  await setLimits(fast, { generate_burst: 2, generate_per_minute: 1 });
  const rate = ({ status, headers }) => [status, ...["ratelimit-policy", "ratelimit", "retry-after"].map((name) => headers.get(name))];
  const policy = '"generate";q=2;w=120';
  assert.deepEqual(rate(await order(fast, { ...ORDER, model: "nothing" })), [422, policy, '"generate";r=1;t=60', null]);
  const [status, , left, wait] = rate(await order(fast, UNPAINTED));
  assert.deepEqual([status, left.slice(0, 16), wait], [202, '"generate";r=0;t', null]);
  const late = rate(await order(fast, ORDER));
  assert.deepEqual(late, [429, policy, `"generate";r=0;t=${late[3]}`, late[3]]);
  assert.deepEqual(rate(await call(fast, "GET", "/api/account")), [200, null, null, null]);
  const much = await newUser();
  await setLimits(much, { unfinished_max: 3 });
  const id = await heldGeneration(much, { count: 2 });
  await refused("too_many_in_flight", much, "POST", "/api/generate", { ...ORDER, count: 2 });
  assert.equal(await balanceOf(much), 50 - 2 * PRICE);
  await call(much, "DELETE", `/api/generate/${id}`);
  assert.equal((await order(much, { ...UNPAINTED, count: 2 })).status, 202);
});

test("no answer that is about a person may be stored by a cache", async () => {
  const { json } = await order(user, UNPAINTED);
  for (const target of ["/api/account", `/api/generate/${json.id}`, "/api/history", "/api/account/credits"]) {
    const control = (await call(user, "GET", target)).headers.get("cache-control");
    assert.match(control, /^(no-store|private, no-cache)$/, target);
  }
});

test("credits granted by an operator can be spent", async () => {
  const mine = await newUser();
  await grant(mine, 5);
  assert.equal(await balanceOf(mine), 55);
  const answer = await request("POST", "/api/generate", { body: UNPAINTED, headers: { authorization: `bearer ${mine.token}` } });
  assert.equal(answer.json.balance, 55 - PRICE);
});

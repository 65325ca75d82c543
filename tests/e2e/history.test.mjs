// Looking back: pages, their order, filters, and whose they are.
import assert from "node:assert/strict";
import { test } from "node:test";
import { randomUUID } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import path from "node:path";

import { objects } from "./bucket.mjs";
import { env, finished, newUser, psql, restart, waitFor } from "./harness.mjs";
import { call, heldGeneration, refused, suspend } from "./contract.mjs";

const page = async (user, query) => (await call(user, "GET", `/api/history?${new URLSearchParams(query)}`)).json;

async function withHistory(count) {
  const user = await newUser();
  const ids = [];
  for (let i = 0; i < count; i++) ids.unshift(await heldGeneration(user, { prompt: `number ${i}` }));
  return { user, ids };
}

test("a new history is empty", async () => {
  assert.deepEqual(await page(await newUser(), {}), { items: [], next_cursor: null });
});

test("pages follow one another from the newest, without gap or repetition, while more is made", async () => {
  const { user, ids } = await withHistory(5);
  const first = await page(user, { limit: 2 });
  await heldGeneration(user, { prompt: "a newcomer" });
  const second = await page(user, { limit: 2, cursor: first.next_cursor });
  const third = await page(user, { limit: 2, cursor: second.next_cursor });
  assert.deepEqual([...first.items, ...second.items, ...third.items].map(({ id }) => id), ids);
  assert.equal(third.next_cursor, null);
  assert.equal((await page(user, { limit: 6 })).next_cursor, null);
  assert.equal((await page(user, {})).items.length, 6);
  assert.equal((await page(user, { limit: 100 })).items[0].prompt, "a newcomer");
});

test("a status filters, across pages too", async () => {
  const { user, ids } = await withHistory(5);
  for (const id of [ids[0], ids[2], ids[4]]) await call(user, "DELETE", `/api/generate/${id}`);
  const canceled = await page(user, { status: "canceled", limit: 2 });
  const rest = await page(user, { status: "canceled", limit: 2, cursor: canceled.next_cursor });
  assert.deepEqual([...canceled.items, ...rest.items].map(({ id }) => id), [ids[0], ids[2], ids[4]]);
  assert.equal(rest.next_cursor, null);
  assert.deepEqual((await page(user, { status: "queued" })).items.map(({ id }) => id), [ids[1], ids[3]]);
  assert.deepEqual(await page(user, { status: "failed" }), { items: [], next_cursor: null });
});

test("parameters that are not valid are refused by name", async () => {
  const user = await newUser();
  const rows = [
    ["limit=0", "limit"], ["limit=101", "limit"], ["limit=-1", "limit"], ["limit=", "limit"], ["limit=1.5", "limit"],
    ["limit=ten", "limit"], ["limit=1&limit=2", "limit"], ["limit=99999999999999999999", "limit"], ["limit=%201", "limit"],
    ["status=", "status"], ["status=done", "status"], ["status=QUEUED", "status"], ["status=queued&status=queued", "status"],
    ["cursor=", "cursor"], ["cursor=x", "cursor"], ["cursor=%00", "cursor"], ["cursor=%zz", "cursor"],
    [`cursor=${"9".repeat(400)}`, "cursor"], ["cursor='; select 1", "cursor"], [`cursor=${randomUUID()}`, "cursor"],
  ];
  for (const target of ["/api/history", "/api/account/credits"])
    for (const [query, name] of rows) {
      if (target !== "/api/history" && name === "status") continue;
      const { errors } = await refused("invalid_request", user, "GET", `${target}?${query}`);
      assert.equal(errors[0].pointer, name, `${target}?${query}`);
      const dutch = await refused("invalid_request", user, "GET", `${target}?${query}`, undefined, { "Accept-Language": "nl" });
      assert.notEqual(dutch.errors[0].detail, errors[0].detail, `no Dutch for: ${errors[0].detail}`);
    }
});

test("a history is its owner's", async () => {
  const { user, ids } = await withHistory(2);
  const other = await newUser();
  assert.deepEqual((await page(other, {})).items, []);
  await refused("not_found", other, "GET", `/api/history/${ids[0]}`);
  await refused("unauthenticated", null, "GET", "/api/history");
  const { next_cursor: cursor } = await page(user, { limit: 1 });
  assert.deepEqual((await page(other, { cursor })).items, []);
});

test("an item of the list is the item itself", async () => {
  const { user, ids } = await withHistory(1);
  const { items } = await page(user, {});
  const { json } = await call(user, "GET", `/api/history/${ids[0]}`);
  assert.deepEqual({ ...items[0], queue_position: 0 }, { ...json, queue_position: 0 });
});

test("credits are listed in pages from the newest", async () => {
  const { user } = await withHistory(4);
  const all = (await call(user, "GET", "/api/account/credits")).json.items;
  assert.deepEqual(all.map(({ kind }) => kind), ["charge", "charge", "charge", "charge", "grant"]);
  const seen = [];
  for (let cursor, n = 0; n < 3; n++) {
    const query = new URLSearchParams({ limit: 2, ...(cursor ? { cursor } : {}) });
    const { json } = await call(user, "GET", `/api/account/credits?${query}`);
    seen.push(...json.items);
    cursor = json.next_cursor;
    assert.equal(cursor === null, n === 2);
  }
  assert.deepEqual(seen, all);
  for (let i = 0; i + 1 < all.length; i++) assert.equal(all[i].balance_after - all[i].amount, all[i + 1].balance_after);
});

async function made(user, prompts) {
  const ids = [];
  for (const [prompt, more] of prompts) {
    const { json } = await call(user, "POST", "/api/generate", { model: "gpt-image-1-mini", prompt, ...more });
    ids.push(json.id);
  }
  return Promise.all(ids.map((id) => finished(user, id)));
}

const prompts = async (user, query) => (await page(user, query)).items.map(({ prompt }) => prompt);

test("words find prompts: all of them, each the beginning of a word, in any case", async () => {
  const user = await newUser(), other = await newUser();
  for (const prompt of ["a red fox", "Two RED lighthouses, misty", "Le café d'hiver"]) await heldGeneration(user, { prompt });
  await heldGeneration(other, { prompt: "another's red fox" });
  const rows = [
    ["red", ["Two RED lighthouses, misty", "a red fox"]], ["RED Mist", ["Two RED lighthouses, misty"]], ["light", ["Two RED lighthouses, misty"]],
    ["house", []], ["red submarine", []], ["café", ["Le café d'hiver"]], ["d'hiver", ["Le café d'hiver"]], ["!!!", []], ["'; drop table", []],
    ["red & !fox | (", ["a red fox"]], ["\\ ' \" :*", []], ["<script>", []], ["", ["Le café d'hiver", "Two RED lighthouses, misty", "a red fox"]],
  ];
  for (const [q, found] of rows) assert.deepEqual(await prompts(user, { q }), found, q);
  const first = await page(user, { q: "red", limit: 1 });
  assert.deepEqual((await page(user, { q: "red", limit: 1, cursor: first.next_cursor })).items.map(({ prompt }) => prompt), ["a red fox"]);
  await refused("invalid_request", user, "GET", `/api/history?q=${"x".repeat(201)}`);
  await refused("invalid_request", user, "GET", "/api/history?q=%00");
  assert.equal((await page(user, { q: "é".repeat(200) })).items.length, 0);
});

test("filters add up", async () => {
  const user = await newUser();
  const fox = await heldGeneration(user, { prompt: "a red fox" });
  const lake = await heldGeneration(user, { prompt: "a red lake", model: "gpt-image-2" });
  await call(user, "PATCH", `/api/history/${fox}`, { favourite: true });
  const rows = [
    [{ model: "gpt-image-2" }, [lake]], [{ model: "nothing" }, []], [{ favourite: "true" }, [fox]], [{ favourite: "false" }, [lake]],
    [{ q: "red", model: "gpt-image-2" }, [lake]], [{ q: "red", favourite: "true" }, [fox]], [{ q: "lake", favourite: "true" }, []],
    [{ status: "queued", q: "red", model: "gpt-image-1-mini", favourite: "true" }, [fox]], [{ status: "failed", q: "red" }, []],
  ];
  for (const [query, ids] of rows) assert.deepEqual((await page(user, query)).items.map(({ id }) => id), ids, JSON.stringify(query));
  for (const value of ["", "yes", "1", "TRUE"]) {
    const { errors } = await refused("invalid_request", user, "GET", `/api/history?favourite=${value}`);
    assert.equal(errors[0].pointer, "favourite");
  }
});

test("a favourite is marked and unmarked by its owner", async () => {
  const user = await newUser(), other = await newUser();
  const id = await heldGeneration(user);
  for (const favourite of [true, true, false]) {
    const { status, json } = await call(user, "PATCH", `/api/history/${id}`, { favourite });
    assert.equal(status, 200);
    assert.equal(json.favourite, favourite);
    assert.equal((await call(user, "GET", `/api/history/${id}`)).json.favourite, favourite);
  }
  await refused("not_found", other, "PATCH", `/api/history/${id}`, { favourite: true });
  await refused("not_found", user, "PATCH", `/api/history/${randomUUID()}`, { favourite: true });
  await refused("unauthenticated", null, "PATCH", `/api/history/${id}`, { favourite: true });
  for (const body of [{}, { favourite: "yes" }, { favourite: null }, { favourite: true, prompt: "x" }])
    await refused("invalid_request", user, "PATCH", `/api/history/${id}`, body);
});

const inBucket = env.STORAGE === "r2";

// The objects of a generation in storage.
async function files(id) {
  if (inBucket) return (await objects(env.R2_BUCKET)).filter((key) => key.startsWith(`gen/${id}/`)).map((key) => path.basename(key));
  const folder = path.join(env.STORAGE.replace(/^file:/, ""), "gen", id);
  return existsSync(folder) ? readdirSync(folder) : [];
}

test("what is deleted is gone at once, everywhere, and the ledger stays", async () => {
  const user = await newUser();
  const [gone, kept] = await made(user, [["a red fox", { count: 2 }], ["a blue boat", {}]]);
  const { slug } = (await call(user, "POST", "/api/shares", { generation_id: gone.id })).json;
  const before = (await call(user, "GET", "/api/account/credits")).json.items;
  const links = gone.images.flatMap(({ url, thumbnail_url: thumbnail }) => [url, thumbnail]);
  for (const link of links) assert.equal((await call(null, "GET", link)).status, 200);
  assert.equal((await files(gone.id)).length, 4);
  const etag = (await call(null, "GET", links[0])).headers.get("etag");

  const other = await newUser();
  await refused("not_found", other, "DELETE", `/api/history/${gone.id}`);
  await refused("unauthenticated", null, "DELETE", `/api/history/${gone.id}`);
  assert.equal((await call(user, "DELETE", `/api/history/${gone.id}`)).status, 204);
  for (const link of links) {
    await refused("not_found", null, "GET", link);
    await refused("not_found", null, "GET", link, undefined, { "If-None-Match": etag });
  }
  await refused("not_found", null, "GET", `/s/${slug}/image`);
  await refused("not_found", user, "GET", `/api/history/${gone.id}`);
  await refused("not_found", user, "GET", `/api/generate/${gone.id}`);
  await refused("not_found", user, "DELETE", `/api/history/${gone.id}`);
  await refused("not_found", user, "POST", "/api/shares", { generation_id: gone.id });
  assert.deepEqual(await prompts(user, {}), ["a blue boat"]);
  assert.deepEqual(await prompts(user, { q: "fox" }), []);
  assert.deepEqual((await call(user, "GET", "/api/account/credits")).json.items, before);
  await waitFor(async () => (await files(gone.id)).length === 0, { what: "the objects to go" });
  assert.equal((await files(kept.id)).length, 2);
  const [row] = await psql(`select prompt, seed, upload_ids::text, delivered from shotai.generation where id = '${gone.id}'`);
  assert.deepEqual(row, { prompt: "", seed: null, upload_ids: "{}", delivered: "2" });
});

test("an unfinished one is not deleted, nor anything beside it", async () => {
  const user = await newUser();
  const [done] = await made(user, [["a red fox", {}]]);
  const held = await heldGeneration(user);
  assert.deepEqual((await refused("unfinished", user, "DELETE", `/api/history/${held}`)).ids, [held]);
  assert.deepEqual((await refused("unfinished", user, "POST", "/api/history/delete", { ids: [done.id, held] })).ids, [held]);
  assert.equal((await call(user, "GET", `/api/history/${done.id}`)).status, 200);
  await call(user, "DELETE", `/api/generate/${held}`);
  assert.equal((await call(user, "DELETE", `/api/history/${held}`)).status, 204);
});

test("several are deleted together; what is not there does not matter", async () => {
  const user = await newUser(), other = await newUser();
  const all = await made(user, [["one", {}], ["two", {}], ["three", {}]]);
  const [theirs] = await made(other, [["theirs", {}]]);
  const ids = [all[0].id, all[1].id.toUpperCase(), theirs.id, randomUUID()];
  for (let n = 0; n < 2; n++) assert.equal((await call(user, "POST", "/api/history/delete", { ids })).status, 204);
  assert.deepEqual(await prompts(user, {}), ["three"]);
  assert.equal((await call(other, "GET", `/api/history/${theirs.id}`)).status, 200);
  for (const body of [{}, { ids: [] }, { ids: ["x"] }, { ids: [all[2].id, all[2].id] }, { ids: Array.from({ length: 101 }, () => randomUUID()) }, { ids: all[2].id }])
    await refused("invalid_request", user, "POST", "/api/history/delete", body);
});

test("a suspended person may still delete", async () => {
  const user = await newUser();
  const [one] = await made(user, [["a red fox", {}]]);
  await suspend(user);
  assert.equal((await call(user, "DELETE", `/api/history/${one.id}`)).status, 204);
});

test("deletions wait while storage fails, and catch up", { skip: inBucket && "outage.test.mjs has that" }, async () => {
  const user = await newUser();
  const [one] = await made(user, [["a red fox", {}]]);
  const folder = path.join(env.STORAGE.replace(/^file:/, ""), "gen", one.id);
  // A folder in the place of an object cannot be unlinked, not even by root.
  const [victim] = await files(one.id);
  rmSync(path.join(folder, victim));
  mkdirSync(path.join(folder, victim, "x"), { recursive: true });
  assert.equal((await call(user, "DELETE", `/api/history/${one.id}`)).status, 204);
  for (const { url } of one.images) await refused("not_found", null, "GET", url);
  const waiting = () => psql(`select attempts from shotai.object_deletion where key like 'gen/${one.id}/%'`);
  await waitFor(async () => (await waiting()).some(({ attempts }) => Number(attempts) > 0), { what: "a failed try" });
  await restart("worker");
  rmSync(path.join(folder, victim), { recursive: true });
  await psql(`update shotai.object_deletion set not_before = clock_timestamp() where key like 'gen/${one.id}/%'`);
  await waitFor(async () => (await waiting()).length === 0, { what: "the queue to be empty" });
  assert.deepEqual(await files(one.id), []);
});

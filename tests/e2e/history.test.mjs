// Looking back: pages, their order, filters, and whose they are.
import assert from "node:assert/strict";
import { test } from "node:test";
import { randomUUID } from "node:crypto";

import { newUser } from "./harness.mjs";
import { call, heldGeneration, refused } from "./contract.mjs";

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

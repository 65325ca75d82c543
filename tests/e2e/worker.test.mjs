// The worker under every kind of trouble: what the provider may answer, and what may die, stop or fill up around it.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { randomUUID } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, statSync, utimesSync, writeFileSync } from "node:fs";
import path from "node:path";
import { crc32 } from "node:zlib";

import { api, env, finished, kill, newUser, psql, waitFor } from "./harness.mjs";
import {
  allCalled, assertAudit, assertPaid, balanceOf, decoderOf, generate, logged, namedObjects, promptOf, providerCalls,
  recordsOf, replaced, richUser, signalWorker, spawnWorker, storage, storedObjects, withOwnWorkers,
} from "./faults.mjs";

let user;
before(async () => {
  user = await richUser();
});
after(assertAudit);

const PATIENT = { timeout: 120_000 };

async function startMany(count, what, images = 1) {
  const prompts = Array.from({ length: count }, () => promptOf(what));
  const generations = await Promise.all(prompts.map((prompt) => generate(user, prompt, images)));
  return { prompts, generations };
}

// Calls that the database knows of.
const noted = async (id) =>
  Number((await psql(`select count(*) from shotai.provider_call where generation = '${id}'`))[0].count);

const allFinished = (generations) => Promise.all(generations.map(({ id }) => finished(user, id, PATIENT)));

test("what the provider does decides status, code, pictures and refund", async (t) => {
  const rows = [
    { does: "", count: 2, status: "succeeded", code: null, images: 2, calls: 1 },
    { does: "sandbox:refuse", count: 2, status: "failed", code: "content_policy", images: 0, calls: 1 },
    { does: "sandbox:error", count: 2, status: "failed", code: "provider_error", images: 0, calls: 1 },
    { does: "sandbox:timeout", count: 1, status: "failed", code: "provider_timeout", images: 0, calls: 1 },
    { does: "sandbox:garbage", count: 2, status: "failed", code: "invalid_output", images: 0, calls: 1 },
    { does: "sandbox:overloaded", count: 1, status: "failed", code: "provider_overloaded", images: 0, calls: 3, orMore: true },
    { does: "sandbox:overloaded=2", count: 2, status: "succeeded", code: null, images: 2, calls: 3 },
    // One more call is made for what the first left out.
    { does: "sandbox:partial=1", count: 4, status: "partial", code: "provider_error", images: 2, calls: 2 },
    { does: "sandbox:partial=3", count: 4, status: "succeeded", code: null, images: 4, calls: 2 },
  ];
  await Promise.all(
    rows.map((row) =>
      t.test(row.does || "a plain prompt", async () => {
        const mine = await richUser(100);
        const balance = await balanceOf(mine);
        const prompt = promptOf(row.does);
        const { id } = await generate(mine, prompt, row.count);
        const end = await finished(mine, id, PATIENT);
        assert.equal(end.status, row.status);
        assert.equal(end.error?.code ?? null, row.code);
        assert.deepEqual(end.images.map((image) => image.index).sort(), [...Array(row.images).keys()]);
        await assertPaid(end);
        assert.equal(await balanceOf(mine), balance - end.credits_charged + end.credits_refunded);
        const calls = await providerCalls(prompt);
        assert.ok(row.orMore ? calls >= row.calls && calls < 30 : calls === row.calls, `${calls} calls`);
        assert.deepEqual(storedObjects(id), await namedObjects(id));
      }),
    ),
  );
});

// The chunks of a PNG by name, each as its checksum says; the XMP packet where the XMP specification wants it.
function chunksOf(png) {
  const chunks = {};
  for (let at = 8; at < png.length; at += 12 + png.readUInt32BE(at)) {
    const end = at + 8 + png.readUInt32BE(at);
    assert.equal(crc32(png.subarray(at + 4, end)), png.readUInt32BE(end));
    chunks[png.toString("latin1", at + 4, at + 8)] = png.subarray(at + 8, end);
  }
  return chunks;
}

function xmpOf({ iTXt }) {
  const head = Buffer.from("XML:com.adobe.xmp\0\0\0\0\0"); // not compressed, in no language
  assert.ok(iTXt.subarray(0, head.length).equals(head));
  return iTXt.toString("utf8", head.length);
}

test("a picture is stored clean, marked as generated, with a small thumbnail", async () => {
  const { id } = await generate(user, promptOf("a lighthouse"));
  const { images } = await finished(user, id);
  const [image] = images;
  const picture = await api(null, "GET", image.url);
  assert.equal(picture.status, 200);
  assert.equal(picture.headers.get("content-type"), "image/png");
  const chunks = chunksOf(picture.bytes);
  assert.deepEqual([chunks.IHDR.readUInt32BE(0), chunks.IHDR.readUInt32BE(4)], [image.width, image.height]);
  assert.match(xmpOf(chunks), /trainedAlgorithmicMedia/);
  for (const name of ["eXIf", "tEXt", "zTXt", "tIME"]) assert.equal(chunks[name], undefined);
  const thumbnail = await api(null, "GET", image.thumbnail_url);
  assert.equal(thumbnail.status, 200);
  assert.equal(thumbnail.headers.get("content-type"), "image/webp");
  assert.equal(thumbnail.bytes.subarray(8, 12).toString(), "WEBP");
  assert.ok(thumbnail.bytes.includes("trainedAlgorithmicMedia"));
  for (const name of storedObjects(id)) assert.match(name, /^0-\d+(\.(png|jpeg|jpg|webp)|-thumb\.webp)$/);
});

test("kill -9 of the worker in the middle of 20 generations: all end, with at most one repeat each", () =>
  withOwnWorkers(async (worker, start) => {
    const { prompts, generations } = await startMany(20, "sandbox:slow=3");
    await allCalled(prompts);
    worker.child.kill("SIGKILL");
    await start();
    const ends = await allFinished(generations);
    const calls = await Promise.all(prompts.map(providerCalls));
    for (const end of ends) {
      assert.equal(end.status, "succeeded");
      await assertPaid(end);
    }
    assert.ok(calls.every((count) => count === 1 || count === 2), calls.join());
    assert.ok(calls.some((count) => count === 2), "some calls were cut off");
    assert.deepEqual(calls, await Promise.all(ends.map(({ id }) => noted(id))));
    await assertAudit();
  }));

test("kill -9 again and again: one repeat, then the money comes back", () =>
  withOwnWorkers(async (worker, start) => {
    const { prompts, generations } = await startMany(3, "sandbox:slow=10");
    await allCalled(prompts);
    worker.child.kill("SIGKILL");
    const heir = await start();
    await allCalled(prompts, 2);
    heir.child.kill("SIGKILL");
    await start();
    for (const [i, end] of (await allFinished(generations)).entries()) {
      assert.equal(end.status, "failed");
      assert.equal(end.error.code, "provider_error");
      assert.equal(await providerCalls(prompts[i]), 2);
      await assertPaid(end);
    }
    await assertAudit();
  }));

test("kill -9 of PostgreSQL in the middle of 20 generations: no picture in hand is lost or made again", () =>
  withOwnWorkers(async () => {
    const { prompts, generations } = await startMany(20, "sandbox:slow=3");
    await allCalled(prompts);
    await replaced("postgres", kill("postgres", "SIGKILL"));
    for (const [i, end] of (await allFinished(generations)).entries()) {
      assert.equal(end.status, "succeeded");
      assert.equal(await providerCalls(prompts[i]), 1);
      await assertPaid(end);
    }
    await assertAudit();
  }));

test("a killed worker is started again and takes up what its leases held", async () => {
  const prompt = promptOf("sandbox:slow=2");
  const { id } = await generate(user, prompt);
  await allCalled([prompt]);
  await replaced("worker", kill("worker", "SIGKILL"));
  const end = await finished(user, id, PATIENT);
  assert.notEqual(end.status, "canceled");
  assert.ok((await providerCalls(prompt)) <= 2);
  await assertPaid(end);
});

for (const signal of ["SIGTERM", "SIGHUP"]) {
  test(`${signal} lets running calls end, takes nothing new and exits 0`, () =>
    withOwnWorkers(async (worker, start) => {
      const { prompts, generations } = await startMany(3, "sandbox:slow=3");
      await allCalled(prompts);
      worker.child.kill(signal);
      await logged(worker, " draining ");
      const late = await generate(user, promptOf("after the signal"));
      assert.deepEqual(await worker.ended, { code: 0, signal: null });
      assert.equal((await api(user, "GET", `/api/generate/${late.id}`)).json.status, "queued");
      for (const [i, end] of (await allFinished(generations)).entries()) {
        assert.equal(end.status, "succeeded");
        assert.equal(await providerCalls(prompts[i]), 1);
      }
      await start();
      assert.equal((await finished(user, late.id)).status, "succeeded");
    }));
}

test("a second SIGTERM gives running calls up; another worker takes them over with the one repeat", () =>
  withOwnWorkers(async (worker, start) => {
    const { prompts, generations } = await startMany(2, "sandbox:slow=10");
    await allCalled(prompts);
    worker.child.kill("SIGTERM");
    await logged(worker, " draining ");
    worker.child.kill("SIGTERM");
    assert.deepEqual(await worker.ended, { code: 0, signal: null });
    for (const { id } of generations)
      assert.equal((await api(user, "GET", `/api/generate/${id}`)).json.status, "running");
    await start();
    for (const [i, end] of (await allFinished(generations)).entries()) {
      assert.equal(end.status, "succeeded");
      assert.equal(await providerCalls(prompts[i]), 2);
      await assertPaid(end);
    }
  }));

test("a worker that slept past its lease changes nothing when it wakes", () =>
  withOwnWorkers(async (worker, start) => {
    const { prompts, generations } = await startMany(3, "sandbox:slow=3");
    await allCalled(prompts);
    worker.child.kill("SIGSTOP");
    await start();
    const ends = await allFinished(generations);
    const records = await Promise.all(generations.map(({ id }) => recordsOf(id)));
    worker.child.kill("SIGCONT");
    for (const { id } of generations) await logged(worker, `job_dropped generation=${id}`);
    worker.child.kill("SIGTERM");
    assert.deepEqual(await worker.ended, { code: 0, signal: null });
    for (const [i, end] of ends.entries()) {
      assert.equal(end.status, "succeeded");
      assert.equal(await providerCalls(prompts[i]), 2);
      assert.equal(await recordsOf(end.id), records[i]);
      assert.deepEqual(storedObjects(end.id), await namedObjects(end.id));
    }
    await assertAudit();
  }));

test("a canceled generation is never called", () =>
  withOwnWorkers(async (worker) => {
    worker.child.kill("SIGSTOP");
    const prompt = promptOf("never mind");
    const balance = await balanceOf(user);
    const { id } = await generate(user, prompt);
    const answer = await api(user, "DELETE", `/api/generate/${id}`);
    assert.equal(answer.status, 200, answer.text);
    worker.child.kill("SIGCONT");
    const next = await generate(user, promptOf("the next one"));
    await finished(user, next.id);
    assert.equal((await api(user, "GET", `/api/generate/${id}`)).json.status, "canceled");
    assert.equal(await providerCalls(prompt), 0);
    assert.equal(await balanceOf(user), balance - next.credits_charged);
  }));

// A folder that nobody may write into, for as long as body runs. There must be one: a picture is made first.
async function withClosedStorage(body) {
  const { id } = await generate(user, promptOf("the first one"));
  await finished(user, id);
  const folder = path.join(storage, "gen");
  const { mode } = statSync(folder);
  chmodSync(folder, 0o500);
  try {
    return await body();
  } finally {
    chmodSync(folder, mode);
  }
}

test("storage that cannot be written to: the money comes back, nothing is called again", async () => {
  const prompt = promptOf("no room");
  const end = await withClosedStorage(async () => {
    const { id } = await generate(user, prompt, 2);
    return finished(user, id, PATIENT);
  });
  assert.equal(end.status, "failed");
  assert.equal(end.error.code, "internal");
  assert.equal(end.credits_refunded, end.credits_charged);
  assert.equal(await providerCalls(prompt), 1);
  assert.deepEqual(storedObjects(end.id), []);
});

test("storage that is away for a while: the pictures in hand are stored when it is back", () =>
  withOwnWorkers(async (worker) => {
    const prompt = promptOf("room again");
    const { id } = await withClosedStorage(async () => {
      const generation = await generate(user, prompt, 2);
      await logged(worker, `storage_failed generation=${generation.id} action=put`);
      return generation;
    });
    const end = await finished(user, id);
    assert.equal(end.status, "succeeded");
    assert.equal(await providerCalls(prompt), 1);
    await assertPaid(end);
  }));

test("a dead decoder: the worker drains and exits 1, the money is right", () =>
  withOwnWorkers(async (worker) => {
    const { prompts, generations } = await startMany(2, "sandbox:slow=3");
    await allCalled(prompts);
    process.kill(decoderOf(worker.pid), "SIGKILL");
    assert.deepEqual(await worker.ended, { code: 1, signal: null });
    for (const [i, end] of (await allFinished(generations)).entries()) {
      assert.equal(await providerCalls(prompts[i]), 1);
      assert.equal(end.error.code, "internal");
      await assertPaid(end);
    }
  }));

test("old objects that no row names are swept, all others stay", async () => {
  const { id } = await generate(user, promptOf("kept"));
  await finished(user, id);
  const old = Date.now() / 1000 - 7200;
  for (const name of storedObjects(id)) utimesSync(path.join(storage, "gen", id, name), old, old);
  const folder = path.join(storage, "gen", randomUUID());
  mkdirSync(folder);
  for (const name of ["0-1.png", "0-1-thumb.webp", "1-1.png"]) writeFileSync(path.join(folder, name), "x");
  for (const name of ["0-1.png", "0-1-thumb.webp"]) utimesSync(path.join(folder, name), old, old);
  await replaced("worker", signalWorker("SIGTERM"));
  await waitFor(() => !existsSync(path.join(folder, "0-1.png")) && !existsSync(path.join(folder, "0-1-thumb.webp")), {
    what: "the sweep",
  });
  assert.ok(existsSync(path.join(folder, "1-1.png")));
  assert.deepEqual(storedObjects(id), await namedObjects(id));
});

test("who is under age is deleted at Supabase Auth", async () => {
  const child = await newUser({ confirmAge: false });
  const answer = await api(child, "POST", "/api/account/confirm-age", { at_least_13: false });
  assert.equal(answer.status, 202, answer.text);
  await waitFor(async () => (await psql(`select id from auth.users where id = '${child.id}'`)).length === 0, {
    what: "the user to be deleted",
  });
});

test("the command line", async () => {
  for (const [args, overrides, code, says] of [
    [["--help"], {}, 0, /SIGHUP[^]*Exit status/],
    [["--version"], {}, 0, /^worker \d/],
    [["--check-config"], {}, 0, /./],
    [["--check-config"], { DATABASE_WORKER_URL: undefined }, 1, /DATABASE_WORKER_URL/],
    [["--check-config"], { STORAGE: "nowhere" }, 1, /STORAGE/],
    [["--nonsense"], {}, 2, /nonsense/],
    [["extra"], {}, 2, /argument/],
  ]) {
    const worker = spawnWorker(args, overrides);
    assert.deepEqual(await worker.ended, { code, signal: null }, args.join(" "));
    assert.match(worker.output + worker.log, says);
  }
});

test("the log names generations, never prompts or keys", () =>
  withOwnWorkers(async (worker) => {
    const prompts = ["", "sandbox:refuse", "sandbox:error", "sandbox:garbage"].map(promptOf);
    const generations = await Promise.all(prompts.map((prompt) => generate(user, prompt)));
    await allFinished(generations);
    for (const { id } of generations) await logged(worker, `job_ended generation=${id}`);
    for (const line of worker.log.split("\n").filter((text) => / (provider_call_failed|picture_unusable) /.test(text)))
      assert.ok(generations.some(({ id }) => line.includes(` generation=${id} `)), line);
    for (const prompt of prompts) assert.ok(!worker.log.includes(prompt.slice(0, 36)));
    for (const secret of [env.OPENAI_API_KEY, env.SUPABASE_SECRET_KEY, user.id, user.email])
      assert.ok(!worker.log.includes(secret));
  }, { LOG_LEVEL: "debug" }));

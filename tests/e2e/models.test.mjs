// The stand-in for OpenAI's images API, driven by the official client as it is.
import assert from "node:assert/strict";
import { createHash, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import path from "node:path";
import test from "node:test";
import OpenAI, { toFile } from "openai";

const fromHome = () => {
  const settings = readFileSync(path.join(process.env.SHOTAI_HOME, "shotai.env"), "utf8");
  return /^OPENAI_API_KEY=["']?([^"'\n]*)/m.exec(settings)[1];
};
const apiKey = process.env.OPENAI_API_KEY ?? fromHome();
const baseURL = new URL("/sandbox/openai/v1", process.env.SHOTAI_URL).href;
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const MODEL = "gpt-image-2";

const promptOf = (what) => `${randomUUID()} ${what}`;
const bytesOf = (entry) => Buffer.from(entry.b64_json, "base64");
const sha256 = (data) => createHash("sha256").update(data).digest("hex");

async function draw(prompt, more = {}) {
  const answer = await client.images.generate({ model: MODEL, prompt, size: "256x256", ...more });
  return answer.data.map(bytesOf);
}

async function post(target, body, { type = "application/json", key = apiKey } = {}) {
  const response = await fetch(`${baseURL}${target}`, {
    method: "POST",
    headers: { "Content-Type": type, Authorization: `Bearer ${key}` },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
  return { status: response.status, headers: response.headers, json: await response.json() };
}

async function calls(prompt) {
  const response = await fetch(`${baseURL}/calls?prompt=${encodeURIComponent(prompt)}`);
  assert.equal(response.status, 200);
  return (await response.json()).calls;
}

function assertPng(bytes, width, height) {
  assert.equal(bytes.subarray(0, 8).toString("hex"), "89504e470d0a1a0a");
  assert.equal(bytes.readUInt32BE(16), width);
  assert.equal(bytes.readUInt32BE(20), height);
}

test("a picture is drawn in the asked size, the same one for the same words", async () => {
  const [first] = await draw("a red fox at sunset", { size: "512x768" });
  assertPng(first, 512, 768);
  const [again] = await draw("a red fox at sunset", { size: "512x768" });
  assert.ok(first.equals(again));
  const [other] = await draw("a blue whale at night", { size: "512x768" });
  assert.ok(!first.equals(other));
});

test("several pictures of one prompt differ", async () => {
  const pictures = await draw("a harbour", { n: 3 });
  assert.equal(new Set(pictures.map(sha256)).size, 3);
});

test("the answer has the vendor's members", async () => {
  const answer = await client.images.generate({ model: MODEL, prompt: "hills", size: "256x256", quality: "high" });
  assert.equal(answer.size, "256x256");
  assert.equal(answer.quality, "high");
  assert.equal(answer.output_format, "png");
  assert.equal(answer.background, "opaque");
  assert.equal(answer.usage.total_tokens, answer.usage.input_tokens + answer.usage.output_tokens);
  assert.match(answer._request_id, /^req_/);
});

test("jpeg and webp come when they are asked for", async () => {
  const [jpeg] = await draw("dunes", { output_format: "jpeg", output_compression: 80 });
  assert.equal(jpeg.subarray(0, 3).toString("hex"), "ffd8ff");
  const [webp] = await draw("dunes", { output_format: "webp" });
  assert.equal(webp.subarray(8, 12).toString(), "WEBP");
});

test("an edit follows its reference, one file or two", async () => {
  const [day] = await draw("a green valley in summer", { size: "320x240" });
  const [night] = await draw("a city at night", { size: "320x240" });
  const edit = async (image) => {
    const answer = await client.images.edit({ model: MODEL, prompt: "make it autumn", image, size: "320x240" });
    const bytes = bytesOf(answer.data[0]);
    assertPng(bytes, 320, 240);
    return bytes;
  };
  const file = (bytes, name) => toFile(bytes, name, { type: "image/png" });
  const ofDay = await edit(await file(day, "day.png"));
  const ofNight = await edit(await file(night, "night.png"));
  const ofBoth = await edit([await file(day, "day.png"), await file(night, "night.png")]);
  assert.equal(new Set([ofDay, ofNight, ofBoth].map(sha256)).size, 3);
  const image_url = `data:image/png;base64,${day.toString("base64")}`;
  const json = await post("/images/edits", { model: MODEL, prompt: "make it autumn", size: "320x240", images: [{ image_url }] });
  assert.equal(json.status, 200);
  assert.ok(bytesOf(json.json.data[0]).equals(ofDay));
});

test("what is no picture cannot be edited", async () => {
  const image = await toFile(Buffer.from("no picture"), "x.png", { type: "image/png" });
  await assert.rejects(client.images.edit({ model: MODEL, prompt: "x", image }), (error) => {
    assert.ok(error instanceof OpenAI.BadRequestError);
    assert.equal(error.code, "invalid_image_file");
    return true;
  });
});

test("a wrong key is refused", async () => {
  const stranger = new OpenAI({ baseURL, apiKey: "sk-wrong", maxRetries: 0 });
  await assert.rejects(stranger.images.generate({ model: MODEL, prompt: "x" }), (error) => {
    assert.ok(error instanceof OpenAI.AuthenticationError);
    assert.equal(error.code, "invalid_api_key");
    return true;
  });
});

test("models are listed", async () => {
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);
  assert.ok(ids.includes(MODEL));
});

test("switches make it fail as the vendor does", async (t) => {
  const rows = [
    ["sandbox:refuse", OpenAI.BadRequestError, 400, "moderation_blocked"],
    ["sandbox:error", OpenAI.InternalServerError, 500, "server_error"],
    ["sandbox:overloaded", OpenAI.InternalServerError, 503, "server_is_overloaded"],
    ["sandbox:overloaded=1", OpenAI.RateLimitError, 429, "rate_limit_exceeded"],
  ];
  for (const [what, kind, status, code] of rows)
    await t.test(what, () =>
      assert.rejects(draw(promptOf(what)), (error) => {
        assert.ok(error instanceof kind);
        assert.equal(error.status, status);
        assert.equal(error.code, code);
        return true;
      }),
    );
});

test("a 429 is retried by the client, and each call is counted", async () => {
  const patient = new OpenAI({ baseURL, apiKey, maxRetries: 2 });
  const prompt = promptOf("sandbox:overloaded=2");
  const answer = await patient.images.generate({ model: MODEL, prompt, size: "256x256" });
  assert.equal(answer.data.length, 1);
  assert.equal(await calls(prompt), 3);
});

test("partial gives fewer pictures, garbage none", async () => {
  assert.equal((await draw(promptOf("sandbox:partial=1"), { n: 3 })).length, 1);
  assert.equal((await draw(promptOf("sandbox:partial=0"), { n: 3 })).length, 0);
  const [nonsense] = await draw(promptOf("sandbox:garbage"));
  assert.equal(nonsense.toString(), "this is no picture");
});

test("timeout never answers, and the call is counted", async () => {
  const prompt = promptOf("sandbox:timeout");
  const hasty = new OpenAI({ baseURL, apiKey, maxRetries: 0, timeout: 1000 });
  await assert.rejects(hasty.images.generate({ model: MODEL, prompt }), OpenAI.APIConnectionTimeoutError);
  assert.equal(await calls(prompt), 1);
});

test("256 slow calls wait side by side", async () => {
  const start = Date.now();
  const one = () => draw(promptOf("sandbox:slow=2"), { size: "64x64" });
  const all = await Promise.all(Array.from({ length: 256 }, one));
  assert.ok(all.every(([bytes]) => bytes.length > 100));
  // One after the other they would take 512 s.
  assert.ok(Date.now() - start < 120_000);
});

test("a bad request is answered in the vendor's shape", async (t) => {
  const good = { model: MODEL, prompt: "x", size: "64x64" };
  const rows = [
    [{ ...good, model: undefined }, "model"],
    [{ ...good, prompt: undefined }, "prompt"],
    [{ ...good, prompt: "é".repeat(32001) }, "prompt"],
    [{ ...good, n: 0 }, "n"],
    [{ ...good, n: 11 }, "n"],
    [{ ...good, n: "two" }, "n"],
    [{ ...good, size: "64" }, "size"],
    [{ ...good, size: "100x100" }, "size"],
    [{ ...good, size: "64x1024" }, "size"],
    [{ ...good, size: "8192x8192" }, "size"],
    [{ ...good, quality: "best" }, "quality"],
    [{ ...good, output_format: "gif" }, "output_format"],
    [{ ...good, response_format: "b64_json" }, "response_format"],
    [{ ...good, style: "vivid" }, "style"],
  ];
  for (const [body, param] of rows)
    await t.test(`${param} of ${JSON.stringify(body).slice(0, 60)}`, async () => {
      const { status, json } = await post("/images/generations", body);
      assert.equal(status, 400);
      assert.equal(json.error.type, "invalid_request_error");
      assert.equal(json.error.param, param);
      assert.equal(typeof json.error.message, "string");
    });
  assert.equal((await post("/images/generations", "{")).status, 400);
  assert.equal((await post("/images/generations", "a=b", { type: "text/plain" })).status, 415);
  assert.equal((await post("/images/edits", { ...good })).json.error.param, "image");
  assert.equal((await post("/images/edits", "--x--", { type: "multipart/form-data; boundary=x" })).status, 400);
  assert.equal((await post("/images/variations", good)).status, 404);
  assert.equal((await fetch(`${baseURL}/images/generations`)).status, 405);
});

test("a prompt as long as the vendor allows is drawn", async () => {
  assert.equal((await draw("é".repeat(32000), { size: "64x64" })).length, 1);
});

test("tests can read what was asked, by hash and by name only", async () => {
  const prompt = promptOf("hills & <tags> 100% é");
  await draw(prompt, { size: "64x64", n: 2 });
  const { items } = await (await fetch(`${baseURL}/calls`)).json();
  const mine = items.find((item) => item.sha256_of_prompt === sha256(prompt));
  assert.deepEqual(mine, { sha256_of_prompt: sha256(prompt), n: 2, count: 1 });
  assert.equal(await calls(prompt), 1);
  assert.equal(await calls("never asked"), 0);
});

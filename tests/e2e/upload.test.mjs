// Reference pictures over HTTP: what is taken, what is kept of it, what is refused and leaves nothing, and removal.
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { randomBytes, randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { request as send } from "node:http";
import path from "node:path";

import { api, auth, ctl, env, execute, newUser, psql, request, waitFor } from "./harness.mjs";
import { call, refused, setLimits, suspend, withClaims } from "./contract.mjs";
import {
  age, firstPixel, multipart, objectOf, picture, png, rowOf, storedBytes, tagged, tagsOf, typeOf, upload, uploaded,
} from "./uploads.mjs";

const MINUTES_30 = 30 * 60_000;
let user;
before(async () => {
  user = await newUser();
  await setLimits(user, { upload_burst: 1000, uploads_max: 1000 });
});

const rowsOf = async (who) =>
  Number((await psql(`select count(*) from shotai.upload u join shotai.account a on a.id = u.account where a.user_id = '${who.id}'`))[0].count);

// Nothing of a refused upload stays: no row, so no object that anybody could still look for.
async function refusedUpload(code, status, bytes, type, headers) {
  const rows = await rowsOf(user);
  const answer = await upload(user, bytes, type, headers);
  assert.equal(answer.json?.code, code, `${answer.status} ${answer.text}`);
  assert.equal(answer.status, status);
  assert.equal(await rowsOf(user), rows, "a row stays");
  return answer.json;
}

for (const name of ["plain.png", "plain.jpg", "plain.webp"]) {
  test(`${name} is taken, cleaned and described`, async () => {
    const type = typeOf(name);
    const { id, ...told } = await uploaded(user, picture(name), type);
    const row = await rowOf(id);
    assert.match(row.key, /^uploads\/\d{8}\/[0-9a-f]{32}$/);
    const bytes = await storedBytes(id);
    assert.deepEqual({ ...told, created_at: 0, expires_at: 0 }, { content_type: type, width: 64, height: 32, bytes: bytes.length, created_at: 0, expires_at: 0 });
    assert.equal(Date.parse(told.expires_at) - Date.parse(told.created_at), Number(env.UPLOAD_TTL_SECONDS) * 1000);
    assert.ok(Date.parse(told.expires_at) - Date.parse(told.created_at) <= MINUTES_30);
    assert.equal(row.content_type, type);
  });
}

test("what a camera tells is gone, and the picture stands upright", async () => {
  const tags = ["-GPSLatitude=52.37", "-GPSLatitudeRef=N", "-GPSLongitude=4.9", "-GPSLongitudeRef=E", "-Artist=Ada Lovelace", "-Comment=at home",
    "-Make=Camera", "-SerialNumber=12345", "-XMP:Creator=Ada Lovelace", "-XMP:Location=Damrak 1", "-n"];
  for (const name of ["plain.jpg", "plain.png", "plain.webp"]) {
    const sent = await tagged(picture(name), ...tags, ...(name === "plain.webp" ? [] : ["-Orientation=6"]));
    if (name !== "plain.webp") assert.ok(Object.keys(await tagsOf(sent)).some((tag) => /GPSLatitude/.test(tag)), "the test has something to find");
    assert.ok(sent.length > picture(name).length + 100);
    const { id, width, height } = await uploaded(user, sent, typeOf(name));
    const kept = await storedBytes(id);
    if (name !== "plain.webp") assert.deepEqual([width, height], [32, 64], name);
    assert.doesNotMatch(kept.toString("latin1"), /Exif|GPS|Ada|Lovelace|Damrak|Camera|adobe|12345|at home/, name);
    const left = Object.keys(await tagsOf(kept)).filter((tag) => !/^(JFIF|PNG|PNG-pHYs|RIFF):/.test(tag));
    assert.deepEqual(left, [], name);
    if (name === "plain.png") assert.deepEqual(firstPixel(kept), [255, 0, 0], "turned, the red half is on top");
  }
});

test("colours come out as sRGB", async () => {
  const cyan = await uploaded(user, picture("cmyk.jpg"), "image/jpeg");
  const components = await tagsOf(await storedBytes(cyan.id));
  assert.equal(components["ICC_Profile:ProfileDescription"], undefined);
  const { stdout } = await execute("exiftool", ["-s3", "-ColorComponents", objectOf((await rowOf(cyan.id)).key)]);
  assert.equal(stdout.trim(), "3");
  assert.ok(Object.keys(await tagsOf(picture("p3.png"))).some((tag) => /^ICC/.test(tag)));
  const green = await uploaded(user, picture("p3.png"));
  const kept = await storedBytes(green.id);
  assert.ok(!Object.keys(await tagsOf(kept)).some((tag) => /^ICC/.test(tag)));
  for (const [i, value] of [60, 200, 80].entries()) assert.ok(Math.abs(firstPixel(kept)[i] - value) <= 3, String(firstPixel(kept)));
});

test("what is no picture of ours is refused and leaves nothing", async () => {
  const good = picture("plain.png"), jpeg = picture("plain.jpg");
  const gif = Buffer.from("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7", "base64");
  const rows = [
    ["nothing", Buffer.alloc(0), "image/png"],
    ["text", Buffer.from("not a picture"), "image/png"],
    ["random bytes", randomBytes(5000), "image/jpeg"],
    ["a GIF", gif, "image/png"],
    ["a GIF that says so", gif, "image/gif"],
    ["an SVG", Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>'), "image/svg+xml"],
    ["a PNG cut short", good.subarray(0, good.length - 20), "image/png"],
    ["a JPEG cut short", jpeg.subarray(0, jpeg.length / 2), "image/jpeg"],
    ["a WebP cut short", picture("plain.webp").subarray(0, 100), "image/webp"],
    ["a PNG called JPEG", good, "image/jpeg"],
    ["a JPEG called WebP", jpeg, "image/webp"],
    ["a signature and nothing else", good.subarray(0, 8), "image/png"],
    ["a PNG without a type", good, "application/octet-stream"],
    ["a PNG as JSON", good, "application/json"],
  ];
  for (const [what, bytes, type] of rows) {
    const problem = await refusedUpload("unsupported_image", 415, bytes, type).catch((error) => assert.fail(`${what}: ${error.message}`));
    assert.ok(problem.detail, what);
  }
  const dutch = await refusedUpload("unsupported_image", 415, Buffer.from("x"), "image/png", { "Accept-Language": "nl" });
  assert.equal(dutch.title, "Stuur een PNG-, JPEG- of WebP-afbeelding");
});

test("of a file that is two things only the picture stays", async () => {
  const script = "<script>alert(document.domain)</script>";
  const zip = Buffer.concat([Buffer.from("PK\x03\x04", "latin1"), Buffer.from(script)]);
  const { id } = await uploaded(user, Buffer.concat([picture("plain.png"), zip]));
  assert.doesNotMatch((await storedBytes(id)).toString("latin1"), /script|PK\x03\x04/);
  const commented = await tagged(picture("plain.jpg"), `-Comment=${script}`);
  const { id: second } = await uploaded(user, commented, "image/jpeg");
  assert.doesNotMatch((await storedBytes(second)).toString("latin1"), /script/);
});

test("too large in bytes or pixels is refused, the largest is taken", async () => {
  await refusedUpload("too_large", 413, png(4, 4, { header: [10_000, 5_001] }), "image/png");
  await refusedUpload("too_large", 413, png(4, 4, { header: [1_000_000, 1_000_000] }), "image/png");
  await refusedUpload("too_large", 413, Buffer.concat([picture("plain.png"), Buffer.alloc(20 * 1024 * 1024)]), "image/png");
  await refusedUpload("too_large", 413, Buffer.alloc(22 * 1024 * 1024), "image/png");
  const good = picture("plain.png");
  const largest = Buffer.concat([good, Buffer.alloc(20 * 1024 * 1024 - good.length)]);
  assert.equal((await upload(user, largest)).status, 201);
  const form = multipart(largest);
  assert.equal((await upload(user, form.body, form.type)).status, 201);
});

test("a bomb costs no more than its own request", async () => {
  // 49 megapixels that unpack to nothing much, but say 16 bits: refused or taken, within limits; then all goes on.
  const bomb = png(7000, 7000);
  assert.ok(bomb.length < 1_000_000);
  const [big, small] = await Promise.all([upload(user, bomb), upload(user, picture("plain.png"))]);
  assert.ok([201, 413, 415].includes(big.status), big.text);
  assert.equal(small.status, 201);
  await refusedUpload("unsupported_image", 415, png(2, 2, { header: [7000, 7000] }), "image/png");
});

test("a form with one file is taken, as clients send it", async () => {
  const forms = [
    multipart(picture("plain.png")),
    multipart(picture("plain.png"), { type: null }),
    multipart(picture("plain.jpg"), { type: "application/octet-stream" }),
    multipart(picture("plain.webp"), { type: "image/webp", boundary: "x" }),
  ];
  for (const { body, type } of forms) assert.equal((await upload(user, body, type)).status, 201);
  const own = new FormData();
  own.append("file", new Blob([picture("plain.jpg")], { type: "image/jpeg" }), "Zoë \"1\".jpg");
  const response = await fetch(new URL("/api/uploads", env.url), { method: "POST", headers: { Authorization: `Bearer ${user.token}` }, body: own });
  assert.equal(response.status, 201, await response.text());
  const { status, stdout } = await execute("curl", ["-sS", "-o", "/dev/null", "-w", "%{http_code}", "-H", `Authorization: Bearer ${user.token}`,
    "-F", "file=@-;filename=a;type=image/png", `${env.url}/api/uploads`], { input: picture("plain.png") });
  assert.deepEqual([status, stdout], [0, "201"]);
});

test("a form with anything else is refused", async () => {
  const good = picture("plain.png");
  const other = '--x\r\nContent-Disposition: form-data; name="note"\r\n\r\nhello\r\n';
  const forms = [
    multipart(good, { field: "picture" }),
    multipart(good, { boundary: "x", extra: other }),
    { ...multipart(good), type: "multipart/form-data" },
    { ...multipart(good), type: "multipart/form-data; boundary=other" },
    { body: multipart(good, { boundary: "x" }).body.subarray(0, 150), type: "multipart/form-data; boundary=x" },
    { body: Buffer.from("--x--\r\n"), type: "multipart/form-data; boundary=x" },
  ];
  for (const { body, type } of forms) {
    const problem = await refusedUpload("invalid_request", 400, body, type);
    assert.equal(problem.errors[0].pointer, "/file");
  }
  const cases = [multipart(good, { type: "image/jpeg" }), multipart(good, { type: "text/plain" }), multipart(Buffer.from("no picture"))];
  for (const { body, type } of cases) await refusedUpload("unsupported_image", 415, body, type);
});

test("a body in chunks is taken like any other", async () => {
  const answer = await new Promise((resolve, reject) => {
    const outgoing = send(new URL("/api/uploads", env.url),
      { method: "POST", headers: { Authorization: `Bearer ${user.token}`, "Content-Type": "image/png" } },
      (incoming) => { incoming.resume(); incoming.on("end", () => resolve(incoming.statusCode)); });
    outgoing.on("error", reject);
    const bytes = picture("plain.png");
    outgoing.write(bytes.subarray(0, 50));
    outgoing.end(bytes.subarray(50));
  });
  assert.equal(answer, 201);
});

test("who may not upload", async () => {
  const headers = { "Content-Type": "image/png" }, body = picture("plain.png");
  await refused("unauthenticated", null, "POST", "/api/uploads", body, headers);
  await refused("unauthenticated", { token: "x.y.z" }, "POST", "/api/uploads", Buffer.alloc(8 << 20), headers);
  const young = await newUser({ confirmAge: false });
  await refused("age_confirmation_required", young, "POST", "/api/uploads", body, headers);
  const suspended = await newUser();
  await suspend(suspended);
  await refused("account_suspended", suspended, "POST", "/api/uploads", body, headers);
  await refused("client_not_allowed", await withClaims(user, { client_id: randomUUID() }), "POST", "/api/uploads", body, headers);
  await refused("anonymous_not_allowed", await withClaims(user, { is_anonymous: true }), "POST", "/api/uploads", body, headers);
  const gone = await newUser();
  assert.equal((await auth("POST", "/logout", undefined, gone.token)).status, 204);
  await refused("unauthenticated", gone, "POST", "/api/uploads", body, headers);
});

test("limits are those of the plan, and a refusal before them costs nothing", async () => {
  const mine = await newUser();
  await setLimits(mine, { upload_burst: 3, upload_per_minute: 1, uploads_max: 1000 });
  for (let i = 0; i < 4; i++) await refused("unsupported_image", mine, "POST", "/api/uploads", "x", { "Content-Type": "text/plain" });
  for (let i = 0; i < 3; i++) await uploaded(mine);
  const limited = await upload(mine, picture("plain.png"));
  assert.equal(limited.json.code, "rate_limited");
  const wait = Number(limited.headers.get("retry-after"));
  assert.ok(wait > 40 && wait <= 60, String(wait));
  const crowded = await newUser();
  await setLimits(crowded, { uploads_max: 2 });
  const [first] = [await uploaded(crowded), await uploaded(crowded)];
  const full = await upload(crowded, picture("plain.png"));
  assert.equal(full.json.code, "rate_limited");
  assert.ok(Number(full.headers.get("retry-after")) > 1700, "until one of them ends");
  assert.equal((await call(crowded, "DELETE", `/api/uploads/${first.id}`)).status, 204);
  await uploaded(crowded);
});

test("a key makes one upload, as long as it is there", async () => {
  const key = { "Idempotency-Key": randomUUID() };
  const first = await upload(user, picture("plain.png"), "image/png", key);
  assert.equal(first.headers.get("idempotency-replayed"), null);
  const form = multipart(picture("plain.png"));
  for (const [bytes, type] of [[picture("plain.png"), "image/png"], [form.body, form.type]]) {
    const again = await upload(user, bytes, type, key);
    assert.equal(again.status, 201);
    assert.equal(again.headers.get("idempotency-replayed"), "true");
    assert.deepEqual(again.json, first.json);
  }
  await refused("idempotency_key_reused", user, "POST", "/api/uploads", picture("plain.jpg"), { "Content-Type": "image/jpeg", ...key });
  await refused("invalid_request", user, "POST", "/api/uploads", picture("plain.png"), { "Content-Type": "image/png", "Idempotency-Key": "é" });
  await call(user, "DELETE", `/api/uploads/${first.json.id}`);
  const fresh = await upload(user, picture("plain.png"), "image/png", key);
  assert.equal(fresh.status, 201);
  assert.notEqual(fresh.json.id, first.json.id);
  const bad = { "Idempotency-Key": randomUUID() };
  await refusedUpload("unsupported_image", 415, Buffer.from("x"), "image/png", bad);
  assert.equal((await upload(user, picture("plain.png"), "image/png", bad)).status, 201, "only successes are kept");
});

test("the owner may delete it at once, nobody else may", async () => {
  const { id } = await uploaded(user);
  const file = objectOf((await rowOf(id)).key);
  assert.ok(existsSync(file));
  const other = await newUser();
  await refused("not_found", other, "DELETE", `/api/uploads/${id}`);
  await refused("unauthenticated", null, "DELETE", `/api/uploads/${id}`);
  await refused("not_found", user, "DELETE", `/api/uploads/${randomUUID()}`);
  assert.ok(existsSync(file));
  assert.equal((await call(user, "DELETE", `/api/uploads/${id}`)).status, 204);
  assert.ok(!existsSync(file));
  const row = await rowOf(id);
  assert.ok(row.deleted_at);
  for (const name of ["key", "content_type", "width", "height", "bytes"]) assert.equal(row[name], null);
  await refused("not_found", user, "DELETE", `/api/uploads/${id}`);
  const suspended = await newUser();
  const upload = await uploaded(suspended);
  await suspend(suspended);
  assert.equal((await call(suspended, "DELETE", `/api/uploads/${upload.id}`)).status, 204, "also when suspended");
});

test("no address leads to an upload", async () => {
  const { id } = await uploaded(user);
  const { key } = await rowOf(id);
  for (const target of [`/files/${key}`, `/_storage/${key}`, `/${key}`, `/storage/${key}`, `/files/${key}?e=9999999999&s=AAAAAAAAAAAAAAAAAAAAAA`])
    assert.ok([404, 403].includes((await request("GET", target)).status), target);
  assert.equal((await api(user, "GET", `/api/uploads/${id}`)).status, 405);
});

test("after half an hour the worker deletes it, within seconds", async () => {
  const { id } = await uploaded(user);
  const file = objectOf((await rowOf(id)).key);
  await age(id, 1800);
  const row = await waitFor(async () => {
    const found = await rowOf(id);
    return found.deleted_at && found;
  }, { what: "the upload to be deleted", timeout: 30_000 });
  assert.ok(!existsSync(file));
  assert.equal(row.key, null);
  const [{ lag }] = await psql(`select extract(epoch from deleted_at - expires_at) as lag from shotai.upload where id = '${id}'`);
  assert.ok(Number(lag) >= 0 && Number(lag) < 30, lag);
  const { stdout } = await ctl("status");
  assert.match(stdout, /^uploads_live +\d+$/m);
  assert.match(stdout, /^uploads_overdue +\d+$/m);
  assert.match(stdout, /^uploads_deleted_24h +[1-9]\d*$/m);
  assert.match(stdout, /^upload_worst_lag_seconds_24h +\d+\.\d$/m);
  assert.match(stdout, /^upload_deletion_lag_seconds +\d+\.\d$/m);
});

test("an account that is erased leaves no upload", async () => {
  const mine = await newUser();
  const { id } = await uploaded(mine);
  const file = objectOf((await rowOf(id)).key);
  assert.equal((await api(mine, "POST", "/api/account/confirm-age", { at_least_13: false })).status, 202);
  await waitFor(() => !existsSync(file), { what: "the object to go" });
  const row = await waitFor(async () => {
    const found = await rowOf(id);
    return found.deleted_at && found;
  });
  assert.equal(row.account, null);
});

test("nothing of a picture is left in nginx's folder", async () => {
  await uploaded(user, Buffer.concat([picture("plain.png"), Buffer.alloc(1 << 20)]));
  const { stdout } = await execute("find", [path.join(env.home, "nginx", "body"), "-type", "f"]);
  assert.equal(stdout, "");
});

test("metrics tell the queue and how punctual deletion is", async () => {
  const answer = await call(null, "GET", "/metrics");
  assert.equal(answer.status, 200);
  assert.match(answer.headers.get("content-type"), /^text\/plain; version=0\.0\.4/);
  for (const name of ["jobs_queued", "jobs_running", "workers", "uploads_live", "uploads_overdue", "upload_deletion_lag_seconds", "uploads_deleted_24h"])
    assert.match(answer.text, new RegExp(`^# TYPE shotai_${name} gauge\\nshotai_${name} [0-9.e-]+$`, "m"), name);
  assert.doesNotMatch(answer.text, /@|uploads\/|[0-9a-f]{8}-[0-9a-f]{4}/);
});

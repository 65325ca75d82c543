// What the tests of uploads share: pictures, where they end up, and what exiftool finds in them.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { crc32, deflateSync, inflateSync } from "node:zlib";

import { call } from "./contract.mjs";
import { env, execute, psql } from "./harness.mjs";

// 64 x 32, the left half red, the right one blue; cmyk.jpg is cyan ink, p3.png one green under a Display P3 profile.
export const picture = (name) => readFileSync(new URL(`pictures/${name}`, import.meta.url));
export const typeOf = (name) => ({ ".png": "image/png", ".jpg": "image/jpeg", ".webp": "image/webp" })[path.extname(name)];

export const upload = (user, bytes, type = "image/png", headers = {}) =>
  call(user, "POST", "/api/uploads", bytes, { "Content-Type": type, ...headers });

export async function uploaded(user, bytes = picture("plain.png"), type = "image/png") {
  const answer = await upload(user, bytes, type);
  assert.equal(answer.status, 201, answer.text);
  return answer.json;
}

export const rowOf = async (id) => (await psql(`select * from shotai.upload where id = '${id}'`))[0];
export const objectOf = (key) => path.join(env.STORAGE.replace(/^file:/, ""), key);
export async function storedBytes(id) {
  return readFileSync(objectOf((await rowOf(id)).key));
}

// Every object of uploads that is in storage, whoever's.
export function allObjects(root = env.STORAGE.replace(/^file:/, "")) {
  const folder = path.join(root, "uploads");
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name));
}

// Makes an upload as if it had come this long ago.
export const age = (id, seconds) =>
  psql(`update shotai.upload set created_at = created_at - interval '${seconds} seconds',
    expires_at = expires_at - interval '${seconds} seconds', due_at = due_at - interval '${seconds} seconds' where id = '${id}'`);

async function exiftool(bytes, args, read) {
  const folder = mkdtempSync(path.join(tmpdir(), "shotai-exif-"));
  const file = path.join(folder, randomUUID());
  try {
    writeFileSync(file, bytes);
    const { status, stdout, stderr } = await execute("exiftool", [...args, file]);
    assert.equal(status, 0, stderr);
    return read(stdout, file);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

// The bytes with these tags added.
export const tagged = (bytes, ...tags) => exiftool(bytes, ["-q", "-overwrite_original", ...tags], (_, file) => readFileSync(file));
// Everything that exiftool finds in a file, but what it says about the file itself.
export const tagsOf = (bytes) =>
  exiftool(bytes, ["-json", "-G1", "-a", "-u", "-x", "System:all", "-x", "ExifTool:all", "-x", "File:all", "-x", "Composite:all"], (stdout) => {
    const { SourceFile: _, ...tags } = JSON.parse(stdout)[0];
    return tags;
  });

function chunk(name, data) {
  const body = Buffer.concat([Buffer.from(name, "latin1"), data]);
  const out = Buffer.alloc(body.length + 8);
  out.writeUInt32BE(data.length);
  body.copy(out, 4);
  out.writeUInt32BE(crc32(body), body.length + 4);
  return out;
}

// An RGB PNG of one colour; its header may lie about the size.
export function png(width, height, { header = [width, height], colour = [200, 30, 30] } = {}) {
  const head = Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 8, 2, 0, 0, 0]);
  head.writeUInt32BE(header[0]);
  head.writeUInt32BE(header[1], 4);
  const line = Buffer.alloc(1 + 3 * width, Buffer.from(colour));
  line.copyWithin(1, 0);
  line[0] = 0;
  const lines = Buffer.concat(Array.from({ length: height }, () => line));
  for (let y = 0; y < height; y++) Buffer.from(colour).copy(lines, y * line.length + 1);
  return Buffer.concat([Buffer.from("89504e470d0a1a0a", "hex"), chunk("IHDR", head), chunk("IDAT", deflateSync(lines)), chunk("IEND", Buffer.alloc(0))]);
}

// The first pixel of an 8-bit PNG: no filter changes it.
export function firstPixel(bytes) {
  const data = [];
  for (let at = 8; at < bytes.length; at += 12 + bytes.readUInt32BE(at))
    if (bytes.toString("latin1", at + 4, at + 8) === "IDAT") data.push(bytes.subarray(at + 8, at + 8 + bytes.readUInt32BE(at)));
  return [...inflateSync(Buffer.concat(data)).subarray(1, 4)];
}

export function multipart(bytes, { field = "file", type = "image/png", boundary = `----${randomUUID()}`, extra = "" } = {}) {
  const head = `--${boundary}\r\nContent-Disposition: form-data; name="${field}"; filename="a.png"\r\n${type ? `Content-Type: ${type}\r\n` : ""}\r\n`;
  const body = Buffer.concat([Buffer.from(extra + head), bytes, Buffer.from(`\r\n--${boundary}--\r\n`)]);
  return { body, type: `multipart/form-data; boundary=${boundary}` };
}

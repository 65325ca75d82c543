// A program of the test's own, with its own settings, asked without nginx.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";

import { env, waitFor } from "./harness.mjs";

const BEGIN = 1, END = 3, PARAMS = 4, STDIN = 5, STDOUT = 6, CHUNK = 65528;

function record(type, content) {
  const head = Buffer.alloc(8);
  head.writeUInt8(1, 0);
  head.writeUInt8(type, 1);
  head.writeUInt16BE(1, 2);
  head.writeUInt16BE(content.length, 4);
  return Buffer.concat([head, content]);
}

function* stream(type, bytes) {
  for (let at = 0; at < bytes.length; at += CHUNK) yield record(type, bytes.subarray(at, at + CHUNK));
  yield record(type, Buffer.alloc(0));
}

function pair(name, value) {
  const length = (text) => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE((Buffer.byteLength(text) | 0x80000000) >>> 0);
    return bytes;
  };
  return Buffer.concat([length(name), length(value), Buffer.from(name + value)]);
}

function readAnswer(bytes) {
  const out = [];
  for (let at = 0; at + 8 <= bytes.length; ) {
    const type = bytes.readUInt8(at + 1), length = bytes.readUInt16BE(at + 4);
    if (type === STDOUT) out.push(bytes.subarray(at + 8, at + 8 + length));
    if (type === END) break;
    at += 8 + length + bytes.readUInt8(at + 6);
  }
  const [head, ...rest] = Buffer.concat(out).toString("utf8").split("\r\n\r\n");
  const text = rest.join("\r\n\r\n");
  const headers = new Headers(head.split("\r\n").filter(Boolean).map((line) => line.split(": ")));
  return { status: parseInt(headers.get("status"), 10), headers, text, json: /\bjson\b/.test(headers.get("content-type")) ? JSON.parse(text) : undefined };
}

function ask(socket, method, target, { body = Buffer.alloc(0), headers = {}, more = {} } = {}) {
  const bytes = Buffer.from(body);
  const parameters = {
    REQUEST_METHOD: method, REQUEST_URI: target, QUERY_STRING: target.split("?")[1] ?? "", CONTENT_LENGTH: String(bytes.length),
    CONTENT_TYPE: headers["Content-Type"] ?? "application/json", SERVER_PROTOCOL: "HTTP/1.1", REQUEST_ID: randomBytes(16).toString("hex"),
    ...Object.fromEntries(Object.entries(headers).map(([name, value]) => [`HTTP_${name.toUpperCase().replaceAll("-", "_")}`, value])), ...more,
  };
  const params = Buffer.concat(Object.entries(parameters).map(([name, value]) => pair(name, value)));
  return new Promise((resolve, reject) => {
    const connection = createConnection(socket), chunks = [];
    connection.on("data", (chunk) => chunks.push(chunk)).on("error", reject);
    connection.on("close", () => (chunks.length ? resolve(readAnswer(Buffer.concat(chunks))) : reject(new Error("no answer"))));
    connection.write(record(BEGIN, Buffer.from([0, 1, 0, 0, 0, 0, 0, 0])));
    for (const part of stream(PARAMS, params)) connection.write(part);
    for (const part of stream(STDIN, bytes)) connection.write(part);
  });
}

const settings = Object.fromEntries(Object.entries(env).filter(([name]) => /^[A-Z]/.test(name)));

// Runs body(request, it) with a program under these settings (undefined removes one); request(method, target, { body,
// headers, more }), more: further parameters of FastCGI; it: { socket, log }.
export async function withProgram(name, overrides, body, processes = 2) {
  const folder = mkdtempSync(path.join(tmpdir(), "shotai-program-")), socket = path.join(folder, "socket");
  const environment = { PATH: process.env.PATH, ...settings, ...overrides };
  for (const key of Object.keys(environment)) if (environment[key] === undefined) delete environment[key];
  const child = spawn(path.join(env.home, "cgi-bin", name), ["--socket", socket, "--processes", String(processes)], { env: environment, stdio: ["ignore", "ignore", "pipe"] });
  const it = { socket, log: "" };
  child.stderr.on("data", (bytes) => (it.log += bytes));
  const ended = new Promise((resolve) => child.on("close", resolve));
  const request = (method, target, options) => ask(socket, method, target, options);
  try {
    await waitFor(async () => (await request("GET", `/healthz/${name}`)).status > 0, { what: `${name} to answer`, timeout: 20_000 });
    return await body(request, it);
  } catch (error) {
    error.message += `\n${it.log}`;
    throw error;
  } finally {
    child.kill("SIGTERM");
    assert.equal(await ended, 0, it.log);
    rmSync(folder, { recursive: true });
  }
}

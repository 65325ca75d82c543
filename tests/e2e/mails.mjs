// Mails as the tests get them: from the stack's folder, or from a mail server of a test's own.
import assert from "node:assert/strict";
import { createServer } from "node:net";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import path from "node:path";

import { env } from "./harness.mjs";
import { withOwnWorkers } from "./faults.mjs";

const folder = env.MAIL_DIRECTORY;

const unfold = (head) => head.replace(/\r\n[ \t]/g, " ").split("\r\n");

function decodeQuoted(text) {
  const bytes = text.replace(/=\r\n/g, "").replace(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(parseInt(hex, 16)));
  return Buffer.from(bytes, "latin1").toString("utf8").replace(/\r\n/g, "\n");
}

const decodeWords = (value) =>
  value.replace(/\?= =\?/g, "?==?").replace(/(?:=\?UTF-8\?B\?[A-Za-z0-9+/=]*\?=)+/g, (words) =>
    Buffer.concat([...words.matchAll(/\?B\?([^?]*)\?=/g)].map(([, word]) => Buffer.from(word, "base64"))).toString("utf8"));

function split(message) {
  const at = message.indexOf("\r\n\r\n");
  const headers = {};
  for (const line of unfold(message.slice(0, at))) {
    const [, name, value] = /^([A-Za-z-]+): ?(.*)$/.exec(line);
    assert.ok(!(name.toLowerCase() in headers), `${name} comes twice`);
    headers[name.toLowerCase()] = decodeWords(value.trim());
  }
  return { headers, body: message.slice(at + 4) };
}

// The headers and parts of a mail that is made as ours are.
export function parse(bytes) {
  const message = Buffer.from(bytes).toString("latin1");
  assert.match(message, /^[\x20-\x7e\r\n]*$/);
  assert.ok(message.split("\r\n").every((line) => line.length <= 78 && !/[\r\n]/.test(line)));
  const { headers, body } = split(message);
  if (headers["content-type"] === "text/plain; charset=utf-8") return { headers, text: decodeQuoted(body) };
  const [, boundary] = /^multipart\/alternative; boundary="([^"]+)"$/.exec(headers["content-type"]);
  const pieces = body.split(`--${boundary}`);
  assert.equal(pieces.length, 4);
  assert.equal(pieces[3], "--\r\n");
  const [text, html] = pieces.slice(1, 3).map((piece) => {
    const part = split(piece.replace(/^\r\n/, ""));
    assert.equal(part.headers["content-transfer-encoding"], "quoted-printable");
    return { type: part.headers["content-type"], text: decodeQuoted(part.body.replace(/\r\n$/, "")) };
  });
  assert.equal(text.type, "text/plain; charset=utf-8");
  assert.equal(html.type, "text/html; charset=utf-8");
  return { headers, text: text.text, html: html.text };
}

export const mailsTo = (address) =>
  (existsSync(folder) ? readdirSync(folder) : [])
    .filter((name) => name.endsWith(".eml"))
    .map((name) => ({ name, ...parse(readFileSync(path.join(folder, name))) }))
    .filter(({ headers }) => headers.to === address);

// Says what `answers` tells for a step (a string), nothing (null), or what it always says.
export async function mailServer(answers) {
  const seen = { messages: [], lines: [], recipients: [] };
  const server = createServer((socket) => {
    let rest = "", data = null;
    const say = (step, usual) => {
      const answer = typeof answers[step] === "function" ? answers[step](seen) : answers[step];
      if (answer === undefined) socket.write(usual);
      else if (answer !== null) socket.write(answer);
    };
    socket.on("error", () => {});
    socket.on("data", (bytes) => {
      rest += bytes.toString("latin1");
      for (let end; (end = rest.indexOf("\r\n")) >= 0; rest = rest.slice(end + 2)) {
        const line = rest.slice(0, end);
        if (data !== null) {
          if (line !== ".") data += `${line.replace(/^\./, "")}\r\n`;
          else {
            seen.messages.push(data);
            data = null;
            say("end", "250 Taken\r\n");
          }
          continue;
        }
        seen.lines.push(line);
        if (line.startsWith("RCPT TO:")) seen.recipients.push(line.slice(9, -1));
        if (line === "DATA") data = "";
        say(line.split(" ")[0], line === "DATA" ? "354 Go on\r\n" : "250 Fine\r\n");
      }
    });
    socket.write("220 here\r\n");
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { ...seen, url: `smtp://127.0.0.1:${server.address().port}`, close: () => server.close() };
}

// Runs body(server, worker, start) while only workers of the test's own are awake, which send to a server of its own.
export async function overSmtp(answers, body) {
  const server = await mailServer(answers);
  try {
    await withOwnWorkers((worker, start) => body(server, worker, start), { SMTP_URL: server.url, MAIL_FROM: "Receipts <post@shotai.example>" });
  } finally {
    server.close();
  }
}


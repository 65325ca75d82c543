// README.md does what it says.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";

import { ctl, env, execute, readSettings } from "./harness.mjs";

const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
const section = (title) => {
  const from = readme.indexOf(`## ${title}`);
  assert.ok(from > 0, title);
  return readme.slice(from, readme.indexOf("\n## ", from));
};

test("the example leads from sign-up to a picture", async () => {
  const [, commands] = section("The API by example").match(/```sh\n(.*?)```/s);
  const folder = mkdtempSync(path.join(tmpdir(), "shotai-readme-"));
  try {
    const script = commands
      .replace("http://127.0.0.1:8080", env.url)
      .replaceAll("var/shotai.env", path.join(env.home, "shotai.env"))
      .replace("ada@example.org", `${randomUUID()}@example.org`);
    const { status, stdout, stderr } = await execute("bash", ["-e", "-o", "pipefail", "-c", script], { cwd: folder, timeout: 120_000 });
    assert.equal(status, 0, stdout + stderr);
    assert.match(stdout, /^50$/m, "the welcome credits");
    assert.match(stdout, /"status": "succeeded"/);
    assert.match(stdout, /"prompt":"a red fox on a snowy quay"/);
    assert.equal(readFileSync(path.join(folder, "fox.png")).subarray(1, 4).toString(), "PNG");
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("the table of settings is that of shotaictl config and of shotai.env", async () => {
  const { status, stdout } = await ctl("config");
  assert.equal(status, 0);
  const names = [...stdout.matchAll(/^([A-Z][A-Z0-9_]*)=/gm)].map(([, name]) => name).sort();
  const documented = [...section("Configuration").matchAll(/^\| `([A-Z0-9_]+)`/gm)].map(([, name]) => name);
  assert.deepEqual(documented.filter((name) => !name.startsWith("NGINX_")).sort(), names);
  const settings = readSettings();
  for (const [, name, value] of stdout.matchAll(/^([A-Z][A-Z0-9_]*)=(.+)$/gm))
    if (!value.includes("***")) assert.equal(settings[name], value, name);
});

test("it names every command of shotaictl", async () => {
  const { status, stdout } = await ctl("--help");
  assert.equal(status, 0);
  const commands = [...stdout.matchAll(/^  ([a-z]+)(?: ([a-z-]+))?[ \n]/gm)];
  assert.ok(commands.length > 50);
  const lines = (section("Operating it") + section("Production")).split("\n").map((line) => line.match(/[a-z]+(-[a-z]+)*/g) ?? []);
  for (const [, ...words] of commands)
    assert.ok(lines.some((line) => words.every((word) => !word || line.includes(word))), words.join(" "));
});

// A small run of tests/bench/upload-chaos.mjs; UPLOADS and SEED make it another one.
import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { env, execute } from "./harness.mjs";

const script = fileURLToPath(new URL("../bench/upload-chaos.mjs", import.meta.url));

test("uploads that live 5 seconds, while worker, storage and program are killed at random", { timeout: 800_000 }, async () => {
  const inherited = Object.fromEntries(Object.entries(process.env).filter(([name]) => !(name in env) && !/^SHOTAI_(HOME|PORT|URL|RUN)$/.test(name)));
  const { status, stdout, stderr } = await execute(process.execPath, [script, process.env.UPLOADS ?? "40", process.env.SEED ?? "1", "5"], { env: inherited });
  console.log(stdout.trim());
  assert.equal(status, 0, stdout + stderr);
  assert.match(stdout, /objects left 0 /);
});

// The description itself, and that programs, nginx and problem.h agree with it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { readFileSync } from "node:fs";
import path from "node:path";

import { env, execute, request } from "./harness.mjs";
import { assertDescribed, call, description, faults, refused, resolve } from "./contract.mjs";

const PROGRAMS = ["generate", "history", "account", "share", "upload", "files", "billing", "billing-webhook"];
const source = (name) => readFileSync(new URL(`../../${name}`, import.meta.url), "utf8");

function* nodes(node, trail = "#") {
  if (node === null || typeof node !== "object") return;
  yield [trail, node];
  for (const [key, value] of Object.entries(node)) yield* nodes(value, `${trail}/${key}`);
}

const operations = Object.entries(description.paths).flatMap(([target, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ target, method: method.toUpperCase(), operation })),
);

test("it is served as it is in the tree, and can be revalidated", async () => {
  const answer = await call(null, "GET", "/api/openapi.json");
  assert.equal(answer.status, 200);
  assert.deepEqual(answer.json, description);
  const again = await call(null, "GET", "/api/openapi.json", undefined, { "If-None-Match": answer.headers.get("etag") });
  assert.equal(again.status, 304);
  assert.equal(description.openapi, "3.1.0");
});

test("every reference leads somewhere and every component is used", () => {
  const used = new Set();
  for (const [trail, node] of nodes(description)) {
    if (typeof node.$ref !== "string") continue;
    assert.ok(resolve(node), `${trail}: ${node.$ref}`);
    used.add(node.$ref);
  }
  const general = ["#/components/responses/MethodNotAllowed"];
  for (const kind of ["schemas", "responses", "headers", "parameters"])
    for (const name of Object.keys(description.components[kind])) {
      const ref = `#/components/${kind}/${name}`;
      assert.ok(used.has(ref) || general.includes(ref), `${ref} is used nowhere`);
    }
});

test("every schema compiles and every example fits its schema", () => {
  let examples = 0;
  const check = (trail, schema, value) => {
    examples++;
    assert.equal(faults(schema, value), "", trail);
  };
  for (const [name, schema] of Object.entries(description.components.schemas)) {
    faults({ $ref: `#/components/schemas/${name}` }, null);
    if (schema.example) check(name, { $ref: `#/components/schemas/${name}` }, schema.example);
  }
  for (const [trail, node] of nodes(description)) {
    if (!node.schema) continue;
    if (node.example !== undefined) check(trail, node.schema, node.example);
    for (const [name, { value }] of Object.entries(node.examples ?? {})) check(`${trail} ${name}`, node.schema, value);
  }
  assert.ok(examples > 40, `${examples} examples`);
});

test("operations have an id of their own, a summary, and their path's parameters", () => {
  const ids = new Set();
  for (const { target, operation } of operations) {
    assert.ok(operation.summary && !ids.has(operation.operationId), target);
    ids.add(operation.operationId);
    const inPath = (operation.parameters ?? []).map(resolve).filter((parameter) => parameter.in === "path");
    assert.deepEqual(inPath.map(({ name }) => name), [...target.matchAll(/{(\w+)}/g)].map((match) => match[1]), target);
  }
});

test("what can happen everywhere is described everywhere", () => {
  for (const { target, method, operation } of operations) {
    if (target === "/api/openapi.json") continue;
    const what = `${method} ${target}`;
    for (const status of ["400", "413", "429", "431", "500", "502", "503", "504"]) assert.ok(operation.responses[status], `${what}: ${status}`);
    assert.equal(operation.security.length > 0 && operation.security.every((scheme) => Object.keys(scheme).length > 0), "401" in operation.responses, `${what}: 401`);
    const types = Object.keys(operation.requestBody?.content ?? {});
    assert.equal(types.length > 0 && !types.includes("*/*"), "415" in operation.responses, `${what}: 415`);
    if (target.includes("{")) assert.ok(operation.responses[404], `${what}: 404`);
  }
});

test("every problem's code is in the file with its status, and no other", () => {
  const header = source("lib/base/problem.h").replaceAll(/\s*\\\n\s*/g, " ");
  const codes = [...header.matchAll(/X\(\w+, (\d+), "(\w+)", "/g)].map(([, status, code]) => ({ status, code }));
  assert.ok(codes.length > 20);
  assert.deepEqual(description.components.schemas.Problem.properties.code.enum.toSorted(), codes.map(({ code }) => code).toSorted());
  const examples = Object.values(description.components.responses).flatMap((response) => Object.values(response.content["application/problem+json"].examples));
  // nginx refuses a range and a head under the general code.
  for (const { value } of examples.filter(({ value }) => ![416, 431].includes(value.status)))
    assert.equal(String(value.status), codes.find(({ code }) => code === value.code).status, value.code);
});

test("the examples of each response have the status it is used for", () => {
  for (const { target, method, operation } of operations)
    for (const [status, response] of Object.entries(operation.responses))
      for (const { value } of Object.values(resolve(response).content?.["application/problem+json"]?.examples ?? {}))
        assert.equal(String(value.status), status, `${method} ${target}`);
});

async function routesOf(program) {
  const { status, stdout } = await execute(path.join(env.home, "cgi-bin", program), ["--routes"]);
  assert.equal(status, 0);
  return stdout.trim().split("\n").map((line) => {
    const [method, target, auth, bytes] = line.split(" ");
    return { program, method, target: target.replace("...}", "}"), auth, bytes: Number(bytes) };
  });
}

const routes = (await Promise.all(PROGRAMS.map(routesOf))).flat();

test("the programs' routes are the described paths", () => {
  const ours = operations.filter(({ target }) => target !== "/api/openapi.json" && !target.startsWith("/healthz/"));
  assert.deepEqual(
    routes.map(({ method, target }) => `${method} ${target}`).toSorted(),
    ours.map(({ method, target }) => `${method} ${target}`).toSorted(),
  );
  for (const { method, target, auth, bytes } of routes) {
    const { operation } = ours.find((row) => row.method === method && row.target === target);
    assert.equal(auth !== "none", operation.security.some((scheme) => "supabase" in scheme), `${method} ${target}: who may use it`);
    assert.equal(bytes > 0, "requestBody" in operation, `${method} ${target}: body`);
  }
});

test("nginx sends every route to its program, and nothing else", () => {
  const locations = [...`${source("nginx/routes.conf")}${source("nginx/health.conf")}`.matchAll(/location (= )?(\S+) {[^}]*?\bfastcgi_pass unix:@SOCKETS@\/([\w-]+)\.sock;[^}]*}/g)]
    .map(([, exact, prefix, program]) => ({ exact: Boolean(exact), prefix, program }));
  assert.ok(locations.length >= PROGRAMS.length);
  const programOf = (target) =>
    locations.find(({ exact, prefix }) => exact && prefix === target)?.program ??
    locations.filter(({ exact, prefix }) => !exact && target.startsWith(prefix)).toSorted((a, b) => b.prefix.length - a.prefix.length)[0]?.program;
  for (const { program, target } of routes) assert.equal(programOf(target), program, target);
  for (const { prefix, program } of locations)
    assert.ok(routes.some((route) => route.program === program && route.target.startsWith(prefix)), `${prefix}: no route`);
});

test("every program tells its health, as described", async () => {
  for (const program of PROGRAMS) {
    const answer = await call(null, "GET", `/healthz/${program}`);
    assert.equal(answer.status, 200);
    assert.deepEqual({ ...answer.json, version: 0 }, { status: "ok", program, version: 0, database: "ok" });
  }
});

test("what is nowhere described is not there", async () => {
  await refused("not_found", null, "GET", "/api/nothing");
  await refused("not_found", null, "GET", "/api/generate/not-a-uuid");
  await refused("not_found", null, "GET", "/api/historyx");
  await refused("not_found", null, "GET", "/_storage/gen/x");
});

test("methods that a path does not know get 405 with what it does know", async () => {
  for (const { target } of new Map(routes.map((route) => [route.target, route])).values()) {
    const known = routes.filter((route) => route.target === target).map(({ method }) => method);
    const place = target.replace("{id}", "0195f0c2-7d1a-7c3e-9d64-3f0f2a6f3b10").replace("{key}", "gen/x");
    for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE"].filter((name) => !known.includes(name))) {
      const answer = await call(null, method, place);
      assert.equal(answer.json.code, "method_not_allowed", `${method} ${place}`);
      const allowed = answer.headers.get("allow").split(", ").filter((name) => name !== "HEAD");
      assert.deepEqual(allowed.toSorted(), known.toSorted(), `${method} ${place}`);
    }
  }
});

test("problems speak the language asked for", async () => {
  const rows = [
    [undefined, "Sign in first"],
    ["nl", "Log eerst in"],
    ["nl-BE,nl;q=0.9,en;q=0.5", "Log eerst in"],
    ["en,nl;q=0.9", "Sign in first"],
    ["fr", "Sign in first"],
  ];
  for (const [language, title] of rows) {
    const headers = language ? { "Accept-Language": language } : {};
    const problem = await refused("unauthenticated", null, "GET", "/api/account", undefined, headers);
    assert.equal(problem.title, title, language);
    assert.equal(problem.type, "urn:shotai:problem:unauthenticated");
  }
  const dutch = await refused("not_found", null, "GET", "/api/nothing", undefined, { "Accept-Language": "nl" });
  assert.equal(dutch.title, "Niet gevonden");
});

test("a head that is too large is refused in the same shape", async () => {
  const answer = await request("GET", "/api/account", { headers: { Authorization: `Bearer ${"x".repeat(40_000)}` } });
  assert.equal(answer.status, 431);
  assertDescribed("GET", "/api/account", answer);
});

// Holds live answers against web/openapi.json, and makes what tests of the HTTP contract need.
import assert from "node:assert/strict";
import { after } from "node:test";
import { createHmac, createPrivateKey } from "node:crypto";
import { readFileSync } from "node:fs";
import Ajv2020 from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { SignJWT, decodeJwt } from "jose";

import { api, env, psql, request } from "./harness.mjs";

export const description = JSON.parse(readFileSync(new URL("../../web/openapi.json", import.meta.url), "utf8"));

// Answers may grow for clients; for these tests a member that is not described is a fault.
function closed(schema, name) {
  if (Array.isArray(schema)) return schema.map((item) => closed(item));
  if (schema === null || typeof schema !== "object") return schema;
  const copy = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, closed(value)]));
  if (schema.type === "object" && schema.properties && name !== "Problem") copy.additionalProperties ??= false;
  return copy;
}

const ajv = new Ajv2020({ allErrors: true, allowUnionTypes: true, strictRequired: false });
addFormats(ajv);
for (const word of ["components", "example"]) ajv.addKeyword(word);
ajv.addSchema({
  $id: "https://shotai.example/openapi",
  components: {
    schemas: Object.fromEntries(Object.entries(description.components.schemas).map(([name, schema]) => [name, closed(schema, name)])),
  },
});

const rebased = (schema) => JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"https://shotai.example/openapi#/'));
const validators = new Map();

// The faults of value under a schema of the description, "" when there are none.
export function faults(schema, value) {
  const key = JSON.stringify(schema);
  if (!validators.has(key)) validators.set(key, ajv.compile(rebased(schema)));
  const validate = validators.get(key);
  return validate(value) ? "" : ajv.errorsText(validate.errors);
}

export function resolve(node) {
  if (!node?.$ref) return node;
  assert.match(node.$ref, /^#\//);
  return resolve(node.$ref.slice(2).split("/").reduce((at, step) => at?.[step.replaceAll("~1", "/").replaceAll("~0", "~")], description));
}

const UUID = "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}";
const matchers = Object.keys(description.paths).map((path) => {
  const pattern = path.replaceAll(/[.]/g, "\\.").replaceAll("{id}", UUID).replaceAll("{key}", ".+").replaceAll(/{(?:slug|program|version|token)}/g, "[^/]+");
  return { path, regexp: new RegExp(`^${pattern}$`) };
});

function describedOperation(method, pathname) {
  const found = matchers.find(({ path }) => path === pathname) ?? matchers.find(({ regexp }) => regexp.test(pathname));
  return found && { operation: description.paths[found.path][(method === "HEAD" ? "GET" : method).toLowerCase()] };
}

function describedResponse(method, pathname, status) {
  const found = describedOperation(method, pathname);
  if (!found) return status === 404 && description.components.responses.NotFound;
  if (!found.operation) return status === 405 && description.components.responses.MethodNotAllowed;
  return resolve(found.operation.responses[status]);
}

// What is left of an action's quota is told by successes and refusals alike, of such actions only.
function assertRate(method, pathname, answer, what) {
  const responses = Object.values(describedOperation(method, pathname)?.operation?.responses ?? {});
  for (const name of ["RateLimit", "RateLimit-Policy"]) {
    const value = answer.headers.get(name);
    const header = responses.map((response) => response.headers?.[name]).find(Boolean);
    if (value !== null) assert.equal(header ? faults(resolve(header).schema, value) : "not described", "", `${name}: ${value}: ${what}`);
  }
}

// Fails unless the description foresees this answer: status, headers, media type and body.
export function assertDescribed(method, target, answer) {
  const { pathname } = new URL(target, env.url);
  const what = `${method} ${pathname}: ${answer.status} ${answer.text.slice(0, 300)}`;
  const response = describedResponse(method, pathname, answer.status);
  assert.ok(response, `not described: ${what}`);
  for (const [name, header] of Object.entries(response.headers ?? {})) {
    const { required, schema } = resolve(header);
    const value = answer.headers.get(name);
    if (value === null) assert.ok(!required, `no ${name}: ${what}`);
    else assert.equal(faults(schema, value), "", `${name}: ${value}: ${what}`);
  }
  assertRate(method, pathname, answer, what);
  if (method === "HEAD" || !response.content) return assert.equal(answer.bytes.length, 0, what);
  const type = answer.headers.get("content-type")?.split(";")[0];
  assert.ok(type in response.content, `media type ${type}: ${what}`);
  const { schema } = response.content[type];
  if (schema) assert.equal(faults(schema, answer.json), "", what);
  if (type === "application/problem+json") {
    assert.equal(answer.json.status, answer.status, what);
    assert.equal(answer.json.request_id, answer.headers.get("x-request-id"), what);
  }
}

// api() whose answer must be described.
export async function call(user, method, target, body, headers) {
  const answer = await api(user, method, target, body, headers);
  assertDescribed(method, target, answer);
  return answer;
}

// call() that must be refused with this code; gives the problem.
export async function refused(code, user, method, target, body, headers) {
  const answer = await call(user, method, target, body, headers);
  assert.equal(answer.json?.code, code, `${method} ${target}: ${answer.status} ${answer.text}`);
  return answer.json;
}

// The same person with a token of ours, whose claims differ as given.
export async function withClaims(user, claims) {
  const { keys } = (await request("GET", "/auth/v1/.well-known/jwks.json")).json;
  const key = createPrivateKey(readFileSync(env.SANDBOX_KEY_FILE));
  const token = await new SignJWT({ ...decodeJwt(user.token), ...claims })
    .setProtectedHeader({ alg: "ES256", kid: keys[0].kid, typ: "JWT" })
    .sign(key);
  return { ...user, token };
}

export const balanceOf = async (user) => (await call(user, "GET", "/api/account")).json.balance;

const quoted = (text) => `'${String(text).replaceAll("'", "''")}'`;

const held = [];

// A generation that stays queued until the tests of its file end: admitted as by the program, but no worker may take its job.
export async function heldGeneration(user, { model = "gpt-image-1-mini", prompt = "held", count = 1 } = {}) {
  const { session_id: session } = decodeJwt(user.token);
  const [{ problem, id }] = await psql(`
    begin;
    create temporary table admitted on commit drop as
      select * from shotai.admit_generation(${quoted(user.id)}, ${quoted(session)}, ${quoted(model)}, ${quoted(prompt)},
        null, ${count}, null, '{}', null, repeat('0', 64));
    update shotai.job set not_before = 'infinity' where generation = (select id from admitted);
    select problem, id from admitted;
    commit;`);
  assert.equal(problem, null);
  held.push(id);
  return id;
}

after(async () => {
  if (held.length === 0) return;
  await psql(`
    select shotai.end_generation(j.generation, 'canceled', null, null)
    from shotai.job j join shotai.account a on a.id = j.account
    where j.generation in (${held.map(quoted).join(", ")})
    for no key update of a`);
});

// Puts the account on a plan of its own, with these limits.
export async function setLimits(user, limits) {
  const columns = Object.keys(limits);
  await psql(`
    insert into shotai.plan (id, ${columns.join(", ")}) values (${quoted(user.id)}, ${columns.map((name) => Number(limits[name])).join(", ")});
    update shotai.account set plan = ${quoted(user.id)} where user_id = ${quoted(user.id)};`);
}

// Suspends as an operator does; "active" lifts that, "closed" is what an erasure that is under way leaves.
export const suspend = (user, status = "suspended") => psql(`
    update shotai.account set status = 'active' where user_id = ${quoted(user.id)};
    select * from shotai.restrict_account(${quoted(user.id)}, ${status === "suspended"}, 'test', 'test');
    update shotai.account set status = ${quoted(status)} where user_id = ${quoted(user.id)};`);

// The signature of a link under a secret of ours.
export function signLink(key, expires, secret = env.SECRET_KEY.split(",")[0]) {
  const derived = createHmac("sha256", secret).update("file-link").digest();
  const mac = createHmac("sha256", derived).update(`${key}\n${expires}`).digest();
  return `/files/${key}?e=${expires}&s=${mac.subarray(0, 16).toString("base64url")}`;
}

// Lets so many messages to support, or announcements, pass at once.
export const setPace = (name, burst = 10000) =>
  psql(`update shotai.pace set arrival = clock_timestamp(), burst = ${Number(burst)}, per_minute = 60000 where name = ${quoted(name)}`);

// The link that ends announcements to an account, as a mail has it.
export async function unsubscribeLink(user, secret = env.SECRET_KEY.split(",")[0]) {
  const [{ id }] = await psql(`select id from shotai.account where user_id = ${quoted(user.id)}`);
  const key = createHmac("sha256", secret).update("unsubscribe").digest();
  const number = Buffer.alloc(8);
  number.writeBigUInt64BE(BigInt(id));
  const mac = createHmac("sha256", key).update(number).digest().subarray(0, 16);
  const cover = createHmac("sha256", key).update(mac).digest();
  return `/unsubscribe/${Buffer.concat([mac, number.map((byte, i) => byte ^ cover[i])]).toString("base64url")}`;
}

// The erasure of an account: who may ask, that it survives whatever dies, that nothing is left, and that a restored backup
// forgets again.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { createServer } from "node:http";
import { chmodSync, cpSync, mkdtempSync, readFileSync, readdirSync, realpathSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { api, ctl, env, execute, finished, kill, newUser, psql, request, waitFor } from "./harness.mjs";
import { call, heldGeneration, refused, setLimits, withClaims } from "./contract.mjs";
import { act, deliver, purchase } from "./payments.mjs";
import { assertAudit, generate, logged, promptOf, replaced, richUser, spawnWorker, storage, storedObjects, withOwnWorkers } from "./faults.mjs";
import { uploaded } from "./uploads.mjs";

const MANY = Number(process.env.ERASURE_GENERATIONS ?? 0);

const erase = (user) => call(user, "DELETE", "/api/account");
const stateOf = async (id) => (await call(null, "GET", `/api/account/erasures/${id}`)).json;
const pending = async (id) => (await stateOf(id)).steps.filter(({ done_at }) => !done_at).map(({ step }) => step);
const accountOf = async (user) => (await psql(`select id from shotai.account where user_id = '${user.id}'`))[0].id;
// Nobody waits for a lease or a back-off to end.
const hasten = (id) => psql(`update shotai.erasure set not_before = '-infinity' where id = '${id}'`);
const done = (id) =>
  waitFor(async () => {
    const state = await stateOf(id);
    if (state.status === "done") return state;
    await hasten(id);
  }, { what: `erasure ${id}`, every: 200 });

async function made(user, prompt, options = {}) {
  const { status, json, text } = await call(user, "POST", "/api/generate", { model: "gpt-image-1-mini", prompt, ...options });
  assert.equal(status, 202, text);
  return finished(user, json.id);
}

// Passes on to a stand-in what a worker asks of it, or keeps the worker waiting, or loses the answer to what was done.
function door(target) {
  const gate = { mode: "open", seen: 0 };
  const server = createServer(async (incoming, answer) => {
    const chunks = [];
    for await (const chunk of incoming) chunks.push(chunk);
    gate.seen++;
    if (gate.mode === "fail") return answer.writeHead(500).end();
    if (gate.mode === "hang") return;
    const { host, connection, "content-length": length, ...headers } = incoming.headers;
    const body = chunks.length ? Buffer.concat(chunks) : undefined;
    const response = await fetch(target + incoming.url, { method: incoming.method, headers, body });
    const text = await response.text();
    if (gate.mode === "lose" && incoming.method !== "GET") return;
    answer.writeHead(response.status, { "content-type": response.headers.get("content-type") ?? "text/plain" }).end(text);
  });
  after(() => server.close().closeAllConnections());
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(Object.assign(gate, { url: `http://127.0.0.1:${server.address().port}` }))));
}

const dump = async (...options) => {
  const { status, stdout, stderr } = await execute("pg_dump", ["-h", realpathSync(path.join(env.home, "sockets")), "-U", "supabase_admin", ...options, "shotai"]);
  assert.equal(status, 0, stderr);
  return stdout;
};

function* filesOf(folder) {
  for (const name of readdirSync(folder)) {
    const file = path.join(folder, name);
    if (statSync(file).isDirectory()) yield* filesOf(file);
    else yield file;
  }
}

// Where any of these words still is: in the tables, in the names and bytes of stored objects, in what programs printed.
async function tracesOf(words) {
  const found = [];
  const look = (where, text) => {
    for (const [what, word] of Object.entries(words)) if (text.includes(word)) found.push(`${what} in ${where}`);
  };
  let table = "";
  for (const line of (await dump("-a", "-n", "shotai", "-n", "auth")).split("\n")) {
    table = /^COPY (\S+)/.exec(line)?.[1] ?? table;
    look(table, line);
  }
  for (const file of filesOf(storage)) look("storage", file + readFileSync(file, "latin1"));
  for (const file of filesOf(path.join(env.home, "log"))) look(path.basename(file), readFileSync(file, "latin1"));
  return [...new Set(found)];
}

// Values of a class that rows of an account still hold, by the table of classes alone.
async function leftOf(account) {
  const columns = await psql(`
    select e.relation, e.attribute, c.column_default as initial,
      case when e.relation = 'account' then 'id' when k.account then 'account' when k.generation then 'generation' end as owner
    from shotai.erasure_class e
    join information_schema.columns c on c.table_schema = 'shotai' and c.table_name = e.relation and c.column_name = e.attribute
    cross join lateral (
      select bool_or(o.column_name = 'account') as account, bool_or(o.column_name = 'generation') as generation
      from information_schema.columns o where o.table_schema = 'shotai' and o.table_name = e.relation) k
    where e.class = 'delete'`);
  const owned = columns.filter(({ owner }) => owner);
  assert.ok(owned.length > 40, "the classes are read");
  const parts = owned.map(({ relation, attribute, initial, owner }) => {
    const rows = owner === "generation" ? `generation in (select id from shotai.generation where account = ${account})` : `${owner} = ${account}`;
    const empty = /^nextval|clock_timestamp|gen_random/.test(initial ?? "") || initial === null ? "''" : `(${initial})::text`;
    return `select '${relation}.${attribute}' as place from shotai.${relation}
      where ${rows} and "${attribute}" is not null and "${attribute}"::text not in ('', '{}', 'f', ${empty})`;
  });
  return (await psql(parts.join(" union "))).map(({ place }) => place);
}

test("only who signed in within ten minutes may erase the account", async () => {
  const user = await newUser();
  const now = Math.floor(Date.now() / 1000);
  const signedIn = (...amr) => withClaims(user, { amr: amr.map(([method, ago]) => ({ method, timestamp: now - ago })) });
  for (const claims of [[["password", 660]], [["token_refresh", 5], ["password", 660]], []])
    await refused("reauthentication_required", await signedIn(...claims), "DELETE", "/api/account");
  await refused("client_not_allowed", await withClaims(user, { client_id: "9e107d9d-372b-4b1c-8f6a-5ad2a4f7f3d1" }), "DELETE", "/api/account");
  await refused("unauthenticated", null, "DELETE", "/api/account");
  assert.equal((await call(user, "GET", "/api/account")).json.status, "active");
  const { status, json } = await erase(await signedIn(["token_refresh", 1], ["otp", 500], ["password", 3000]));
  assert.equal(status, 202);
  assert.equal(json.status_url, `${env.PUBLIC_URL}/erasure/${json.erasure_id}`);
  await done(json.erasure_id);
  await refused("unauthenticated", user, "GET", "/api/account");
});

test("it survives a death at every step, and nothing is left", async () => {
  const words = { prompt: promptOf("a secret lighthouse"), shared: promptOf("a shared secret") };
  const [user, creem, supabase] = [await richUser(), await door(env.CREEM_API_URL), await door(env.SUPABASE_URL)];
  Object.assign(words, { "user id": user.id, "e-mail": user.email });
  await call(user, "PATCH", "/api/account", { notifications: { receipts: true } });
  const bought = await purchase("monthly", user);
  const events = await act(bought.checkout, "pay");
  for (const { body } of events) assert.equal((await deliver(body)).status, 200);
  const [subscription] = await waitFor(async () => {
    const rows = await psql(`select id, status from shotai.subscription where account = ${await accountOf(user)}`);
    return rows[0]?.status === "active" && rows;
  });
  const [customer] = await psql(`select id from shotai.creem_link where kind = 'customer' and account = ${await accountOf(user)}`);
  words.customer = customer.id;
  const upload = await uploaded(user);
  const first = await made(user, words.prompt, { upload_id: upload.id, seed: 7 });
  const second = await made(user, words.shared, { count: 2 });
  const share = (await call(user, "POST", "/api/shares", { generation_id: second.id, show_prompt: true }, { "Idempotency-Key": "k" })).json;
  await call(null, "POST", `/s/${share.slug}/report`, { reason: "a report" });
  const account = await accountOf(user);
  assert.ok((await tracesOf(words)).length >= 5, "the search finds what is there");
  assert.ok((await leftOf(account)).length > 30, "and so do the classes");

  const folders = [first.id, second.id].map((id) => path.join(storage, "gen", id));
  const settings = { CREEM_API_URL: creem.url, SUPABASE_URL: supabase.url };
  let erasure;
  await withOwnWorkers(async (worker, start) => {
    const die = async () => {
      worker.child.kill("SIGKILL");
      await worker.ended;
      await hasten(erasure);
      worker = await start();
    };
    await heldGeneration(user, { prompt: words.prompt });
    creem.mode = "hang";
    supabase.mode = "fail";
    for (const folder of folders) chmodSync(folder, 0o500);
    const answers = await Promise.all([erase(user), erase(user), erase(user)]);
    erasure = answers[0].json.erasure_id;
    for (const { status, json } of answers) assert.deepEqual([status, json.erasure_id], [202, erasure]);
    await refused("account_suspended", user, "GET", "/api/account");
    await refused("account_suspended", user, "POST", "/api/generate", { model: "gpt-image-1-mini", prompt: "again" });
    assert.equal((await request("GET", second.images[0].url)).status, 404);
    assert.equal((await request("GET", `/s/${share.slug}`)).status, 404);

    // Creem takes the call and does not answer.
    await waitFor(() => creem.seen > 0, { what: "Creem to be asked" });
    assert.ok(!(await pending(erasure)).includes("journal"), "the journal tells it before anything else happens");
    await die();
    creem.mode = "fail";
    await hasten(erasure);
    // Storage refuses, and what can be done meanwhile is done.
    const away = ["subscriptions", "pictures", "sign_in"];
    await waitFor(async () => `${await pending(erasure)}` === `${away}`, { what: "the other steps" });
    await waitFor(async () => /subscriptions: payments_unavailable/.test((await ctl("erasures", "--pending")).stdout), { what: "operators to see why" });
    assert.equal(await storedObjects(first.id).length, 2);
    await die();
    for (const folder of folders) chmodSync(folder, 0o755);
    await waitFor(async () => {
      await hasten(erasure);
      return `${await pending(erasure)}` === "subscriptions,sign_in";
    }, { what: "the pictures" });
    assert.deepEqual(folders.flatMap((folder) => storedObjects(path.basename(folder))), []);
    // Creem cancels, but its answer is lost.
    creem.mode = "lose";
    await waitFor(async () => {
      await hasten(erasure);
      return (await psql(`select status from sandbox_creem.subscription where id = '${subscription.id}'`))[0].status === "canceled";
    }, { what: "the subscription to be cancelled" });
    await die();
    creem.mode = "open";
    await waitFor(async () => {
      await hasten(erasure);
      return `${await pending(erasure)}` === "sign_in";
    }, { what: "the subscription" });
    assert.equal((await stateOf(erasure)).status, "pending");
    await refused("account_suspended", user, "GET", "/api/account");
    // Auth deletes the user, but its answer is lost.
    supabase.mode = "lose";
    await hasten(erasure);
    await waitFor(async () => (await psql(`select id from auth.users where id = '${user.id}'`)).length === 0, { what: "the Auth user to go" });
    await die();
    supabase.mode = "open";
    const state = await done(erasure);
    assert.deepEqual(state.steps.filter(({ done_at }) => !done_at), []);
  }, settings);

  await refused("unauthenticated", user, "GET", "/api/account");
  assert.deepEqual(await leftOf(account), []);
  // What Creem tells of the end changes no more than the subscription's state.
  await waitFor(async () => (await psql(`select id from shotai.subscription where id = '${subscription.id}' and status = 'canceled'`)).length === 1, { what: "Creem's event" });
  assert.deepEqual(await tracesOf(words), []);
  const [kept] = await psql(`
    select a.status, a.user_id, (select count(*) from shotai.payment p where p.account = a.id) as payments,
      (select count(*) > 0 from shotai.credit_entry e where e.account = a.id) as books,
      (select delete_after > now() + interval '23 months' from shotai.welcome_grant w where w.account = a.id) as welcomed
    from shotai.account a where a.id = ${account}`);
  assert.deepEqual(kept, { status: "closed", user_id: null, payments: "1", books: "t", welcomed: "t" });
  await assertAudit();
});

test("the receipt is a page in two languages, and tells nobody's name", async () => {
  const user = await newUser();
  const { erasure_id: id } = (await erase(user)).json;
  await done(id);
  const page = (language) => call(null, "GET", `/erasure/${id}`, undefined, { "Accept-Language": language });
  const [en, nl] = [await page("en"), await page("nl")];
  assert.match(en.text, /<html lang="en">[^]*<h1>Your account is gone<\/h1>/);
  assert.match(nl.text, /<html lang="nl">[^]*<h1>Je account is weg<\/h1>/);
  assert.equal(en.text.match(/<li class="done">/g).length, (await stateOf(id)).steps.length);
  assert.doesNotMatch(en.text, /<script/);
  assert.ok(!en.text.includes(user.email) && !en.text.includes(user.id));
  for (const target of ["/erasure/", "/api/account/erasures/"])
    assert.equal((await call(null, "GET", `${target}9e107d9d-372b-4b1c-8f6a-5ad2a4f7f3d1`)).status, 404);
});

test("a legal hold pauses it, and a disclosure is logged and counted", async () => {
  const user = await richUser();
  const made1 = await made(user, promptOf("evidence"));
  const counted = async (name) => Number(new RegExp(`^${name} +(\\d+)`, "m").exec((await ctl("status")).stdout)[1]);
  const before = await counted("disclosures");
  assert.equal((await ctl("hold", "set", user.email)).status, 2);
  assert.equal((await ctl("hold", "set", user.email, "--basis", "order 7")).stdout, "held\n");
  const { erasure_id: id } = (await erase(user)).json;
  await refused("account_suspended", user, "GET", "/api/account");
  await waitFor(async () => !(await pending(id)).includes("journal"), { what: "the journal" });
  const { stdout } = await ctl("disclose", user.id, "--basis", "order 8");
  assert.deepEqual((({ user_id, email, basis, payments }) => ({ user_id, email, basis, payments }))(JSON.parse(stdout)),
    { user_id: user.id, email: user.email, basis: "order 8", payments: [] });
  assert.equal(await counted("disclosures"), before + 1);
  assert.ok((await counted("legal_holds")) >= 1);
  assert.equal((await stateOf(id)).status, "held");
  assert.match((await call(null, "GET", `/erasure/${id}`)).text, /Paused as required by law/);
  assert.match((await ctl("erasures", "--pending")).stdout, new RegExp(`${id} .*held .*order 7`));
  const shown = (await ctl("account", "show", user.id)).stdout;
  assert.match(shown, /^legal_hold +order 7, since /m);
  assert.match(shown, new RegExp(`^erasure +${id}, asked `, "m"));
  assert.equal(storedObjects(made1.id).length, 2);
  assert.match((await ctl("hold", "lift", user.email, "--basis", "lifted")).stdout, /^no longer held; erasure .* goes on\n$/);
  await done(id);
  assert.equal(storedObjects(made1.id).length, 0);
});

test("an account whose Auth user vanished is erased, too", async () => {
  const [user] = [await newUser(), await newUser()]; // were there no other user, it would not be she who went
  const account = await accountOf(user);
  await psql(`delete from auth.users where id = '${user.id}'; update shotai.chore set claimed_at = '-infinity' where name = 'vanished'`);
  const [{ id }] = await waitFor(async () => {
    const rows = await psql(`select id from shotai.erasure where account = ${account} and cause = 'vanished'`);
    return rows.length && rows;
  }, { what: "the worker to notice" });
  await done(id);
});

test("a backup that is restored forgets again before a worker starts", async () => {
  const [erased, deleter] = [await richUser(), await richUser()];
  const words = { erased: promptOf("to be erased"), deleted: promptOf("to be deleted") };
  await made(erased, words.erased);
  const gone = await made(deleter, words.deleted);
  const backup = path.join(mkdtempSync(path.join(tmpdir(), "backup-")), "dump");
  await dump("-Fc", "-Z0", "-n", "shotai", "-n", "auth", "-n", "supabase_migrations", "-f", backup);
  const { erasure_id: id } = (await erase(erased)).json;
  assert.equal((await call(deleter, "DELETE", `/api/history/${gone.id}`)).status, 204);
  await done(id);
  await waitFor(async () => (await psql("select subject from shotai.journal_entry")).length === 0, { what: "the journal" });

  const name = "shotai_restored", socket = realpathSync(path.join(env.home, "sockets"));
  const database = async (program, ...args) => {
    const { status, stdout, stderr } = await execute(program, ["-h", socket, "-U", "supabase_admin", ...args]);
    assert.equal(status, 0, stderr);
    return stdout.trim();
  };
  const query = (sql) => database("psql", "-XAtq", "-d", name, "-c", sql);
  const folder = mkdtempSync(path.join(tmpdir(), "storage-"));
  cpSync(path.join(storage, "journal"), path.join(folder, "journal"), { recursive: true });
  const auth = createServer(async (incoming, answer) => {
    await query(`delete from auth.users where id = '${path.basename(incoming.url)}'`);
    answer.end("{}");
  });
  await new Promise((resolve) => auth.listen(0, "127.0.0.1", resolve));
  const settings = Object.fromEntries(Object.entries(env).filter(([key]) => /^[A-Z]/.test(key)));
  for (const role of ["worker", "operator"]) settings[`DATABASE_${role.toUpperCase()}_URL`] = `postgresql:///${name}?host=${socket}&user=shotai_${role}`;
  Object.assign(settings, { STORAGE: `file:${folder}`, SUPABASE_URL: `http://127.0.0.1:${auth.address().port}` });
  const shotaictl = (...args) => execute(path.join(env.home, "bin", "shotaictl"), args, { env: { PATH: process.env.PATH, ...settings } });
  await database("createdb", "-O", "postgres", name);
  let worker;
  try {
    await database("pg_restore", "-1", "-d", name, backup);
    assert.equal(await query(`select count(*) from shotai.generation where prompt in ('${words.erased}', '${words.deleted}')`), "2");
    worker = spawnWorker([], settings);
    await logged(worker, "journal_ahead");
    const dry = await shotaictl("erasures", "replay", "--dry-run");
    assert.match(dry.stdout, /, 1 accounts erased, 1 generations deleted, .*nothing was changed/, dry.stderr);
    assert.doesNotMatch(worker.log, / ready /);
    const replayed = await shotaictl("erasures", "replay");
    assert.match(replayed.stdout, /, 1 accounts erased, 1 generations deleted, /, replayed.stderr);
    assert.equal(await query("select count(*) from shotai.erasure where cause = 'replay' and finished_at is null"), "0");
    assert.equal(await query(`select count(*) from shotai.generation where prompt in ('${words.erased}', '${words.deleted}')`), "0");
    assert.equal(await query(`select count(*) from auth.users where id = '${erased.id}'`), "0");
    assert.match((await shotaictl("erasures", "replay")).stdout, /^0 objects/);
    await logged(worker, " ready ");
    const audit = await shotaictl("audit");
    assert.equal(audit.status, 0, audit.stdout);
  } finally {
    worker?.child.kill("SIGKILL");
    await worker?.ended;
    auth.close();
    await database("dropdb", "-f", "--if-exists", name);
    rmSync(folder, { recursive: true });
    rmSync(path.dirname(backup), { recursive: true });
  }
});

// How long it takes: with ERASURE_GENERATIONS=500 in the environment.
if (MANY > 0) test(`an account with ${MANY} generations goes while the worker is killed again and again`, async () => {
  const user = await richUser(MANY * 2 + 10);
  await setLimits(user, { generate_burst: MANY });
  const account = await accountOf(user);
  const one = await made(user, promptOf("one"));
  const ids = [one.id];
  while (ids.length < MANY) {
    const some = await Promise.all(Array.from({ length: Math.min(200, MANY - ids.length) }, (_, k) => generate(user, promptOf(`number ${k}`))));
    ids.push(...(await Promise.all(some.map(({ id }) => finished(user, id, { timeout: 300_000, every: 1000 })))).map(({ id }) => id));
  }
  // A busy machine does not make them all in time: one that has no picture gets the first one's.
  const lacking = await psql(`
    with added as (
      insert into shotai.image (generation, index, attempt, image_key, thumbnail_key, width, height, content_type, bytes)
      select g.id, 0, 1, replace(i.image_key, '${one.id}', g.id::text), replace(i.thumbnail_key, '${one.id}', g.id::text), i.width, i.height, i.content_type, i.bytes
      from shotai.generation g join shotai.image i on i.generation = '${one.id}'
      where g.account = ${account} and not exists (select from shotai.image o where o.generation = g.id)
      returning generation)
    select generation from added`);
  for (const { generation } of lacking) cpSync(path.join(storage, "gen", one.id), path.join(storage, "gen", generation), { recursive: true });
  const started = Date.now();
  const { erasure_id: id } = (await erase(user)).json;
  let deaths = 0;
  const lived = [];
  for (; deaths < 30 && (await stateOf(id)).status !== "done"; deaths++) {
    await replaced("worker", kill("worker"));
    await hasten(id);
    await sleep(Math.random() * 1000); // a death at any moment is what this is about
    lived.push((await pending(id)).length);
  }
  await done(id);
  console.log(`# ${ids.length} generations, ${deaths} deaths of the worker (steps left: ${lived}), ${Date.now() - started} ms from the request to the end`);
  assert.deepEqual(await leftOf(account), []);
  assert.deepEqual(ids.flatMap(storedObjects), []);
  await assertAudit();
});

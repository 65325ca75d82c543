#!/usr/bin/env node
// Random histories of payment: each is applied in order, once, to one account,
// and shuffled, repeated, partly lost and then reconciled, by two processes at
// once, with backends killed in between, to another. In the end the books are
// right and both accounts are alike. Runs on the scratch database of
// tests/sql/run (PGDATABASE); HISTORIES, SEED and BATCH come from tests/property/run.
import { createHash } from "node:crypto";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { below, live, pick, random } from "./life.mjs";

const pg = createRequire(new URL("../e2e/package.json", import.meta.url))("pg");
const total = Number(process.env.HISTORIES ?? 60);
const seed = Number(process.env.SEED ?? below(Math.random, 2 ** 31));
const batchSize = Number(process.env.BATCH ?? 100);
const rng = random(seed);
const started = Date.now();
const counted = { events: 0, deliveries: 0, dropped: 0, reads: 0, spends: 0, kills: 0, resent: 0, outcomes: {} };
let passed = 0, failed = 0;

// A session that comes back after the server was away and repeats what it was
// doing: as Creem does, and as db.c does with what is safe to repeat.
class Session {
	constructor(user) {
		this.user = user;
	}

	async connect() {
		for (let wait = 20; ; wait = Math.min(500, wait * 2)) {
			const client = new pg.Client({ user: this.user, // A killed backend takes the server down: what was answered must have been written.
				options: "-c client_min_messages=warning -c synchronous_commit=on" });
			client.on("error", () => {});
			try {
				await client.connect();
				this.client = client;
				this.pid = (await client.query("select pg_backend_pid() as pid")).rows[0].pid;
				return;
			} catch (error) {
				client.end().catch(() => {});
				if (!["57P03", "57P01", "57P02", "ECONNREFUSED", "ENOENT", "ECONNRESET", "EPIPE", undefined].includes(error.code))
					throw error;
				await new Promise((resolve) => setTimeout(resolve, wait));
			}
		}
	}

	async query(text, values) {
		for (;;) {
			if (!this.client)
				await this.connect();
			try {
				return (await this.client.query({ name: createHash("md5").update(text).digest("hex"), text, values })).rows;
			} catch (error) {
				if (["40P01", "40001", "55P03"].includes(error.code)) {
					counted.resent++;
					continue;
				}
				if (error.code && !/^(57P0|08)/.test(error.code) && !["ECONNRESET", "EPIPE"].includes(error.code))
					throw error;
				counted.resent++;
				this.client.end().catch(() => {});
				this.client = null;
			}
		}
	}
}

const uuid = (text) => createHash("md5").update(text).digest("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");

// The words of a history as one side of the comparison says them.
function spoken(side, number, value) {
	return JSON.stringify(value)
		.replaceAll(/@C(\d+)@/g, (_, n) => uuid(`${seed} ${side} ${number} ${n}`))
		.replaceAll("@P@", `${side}pair${number >> 1}_`)
		.replaceAll("@@", `${side}${number}_`);
}

const envelope = (event, copy = "") =>
	({ id: event.id + copy, eventType: event.type, created_at: event.at, object: event.object });

function shuffle(list) {
	for (let i = list.length - 1; i > 0; i--) {
		const j = below(rng, i + 1);
		[list[i], list[j]] = [list[j], list[i]];
	}
	return list;
}

async function open(session, side, history) {
	const [{ account }] = await session.query("select property.open($1, $2, $3) as account", [
		uuid(`${seed} ${side} ${history.number}`), history.checkouts.map((_, n) => uuid(`${seed} ${side} ${history.number} ${n}`)), history.checkouts]);
	history[side] = account;
}

// Deliveries of a batch, in the order of nobody: each event up to three times,
// some under another event id, some never.
function deliveries(batch) {
	const list = [];
	for (const history of batch) {
		const lossy = rng() < 0.5;
		for (const event of history.events) {
			if (lossy && event.drop && rng() < 0.3) {
				counted.dropped++;
				history.reconcile = true;
				continue;
			}
			const copies = pick(rng, [1, 1, 1, 2, 3]);
			for (let copy = 0; copy < copies; copy++)
				list.push({ text: spoken("s", history.number, envelope(event, copy && rng() < 0.3 ? "again" : "")) });
		}
		if (rng() < 0.2)
			history.reconcile = true; // where nothing was lost it changes nothing
		history.spends.forEach((spend, number) => list.push({ spend, number, account: history.s }));
	}
	return shuffle(list);
}

// One process: takes from the common list until nothing is left.
async function deliver(webhook, admin, list, kill) {
	for (let item; (item = list.pop()); ) {
		if (kill.at === list.length) {
			kill.at = -1;
			counted.kills++;
			process.kill(pick(rng, kill.sessions).pid, "SIGKILL");
		}
		if (item.spend) {
			counted.spends++;
			await admin.query("select property.spend($1, $2, $3, $4)", [item.account, item.number, item.spend.images, item.spend.end]);
			continue;
		}
		const [{ outcome }] = await webhook.query("select outcome from shotai.receive_event($1)", [item.text]);
		counted.deliveries++;
		counted.outcomes[outcome] = (counted.outcomes[outcome] ?? 0) + 1;
	}
}

async function reconcile(session, history) {
	// Twice: what an object needs may come from a later one.
	for (const object of [...history.reads, ...history.reads]) {
		counted.reads++;
		const [{ outcome }] = await session.query("select outcome from shotai.apply_transaction($1, 'property')", [spoken("s", history.number, object)]);
		counted.outcomes[`read ${outcome}`] = (counted.outcomes[`read ${outcome}`] ?? 0) + 1;
	}
}

async function finish(session, side, history) {
	for (const { transaction, won } of history.closes)
		await session.query("select property.close($1, $2)", [JSON.parse(spoken(side, history.number, transaction)), won]);
	await session.query("select property.settle($1)", [history[side]]);
}

async function compare(session, history) {
	const [states] = await session.query("select property.state($1, $2, $5) as o, property.state($3, $4, $5) as s",
		[history.o, `o${history.number}_`, history.s, `s${history.number}_`, history.wild]);
	if (states.o.replaceAll("opair", "pair") === states.s.replaceAll("spair", "pair")) {
		passed++;
		return;
	}
	failed++;
	console.log(`not ok: history ${history.number} (seed ${history.seed}, ${history.wild ? "wild" : "exact"}, accounts ${history.o} and ${history.s})`);
	const theirs = states.s.split("\n");
	states.o.split("\n").forEach((line, n) => {
		if (line !== theirs[n] && n < 400)
			console.log(`    ${line.trim()} | ${theirs[n]?.trim()}`);
	});
}

async function audit(session) {
	const rows = await session.query("select check_name, detail from shotai.audit() limit 20");
	const events = await session.query(`select id, type, state, reason from shotai.creem_event
		where state in ('failed', 'ignored', 'received') or (state = 'parked' and exists (select from unnest(keys) k where k like 'sub\\_s%' or k like 'ord\\_s%')) limit 20`);
	for (const row of [...rows, ...events])
		console.log(`not ok: ${Object.values(row).join(" ")}`);
	failed += rows.length + events.length;
	passed += rows.length + events.length === 0 ? 1 : 0;
}

async function run() {
	const admin = new Session(process.env.PGUSER);
	await admin.connect();
	await admin.client.query(readFileSync(new URL("property.sql", import.meta.url), "utf8"));
	const hooks = [new Session("shotai_webhook"), new Session("shotai_webhook")];
	const admins = [admin, new Session(process.env.PGUSER)];
	for (const session of [...hooks, admins[1]])
		await session.connect();

	for (let first = 0; first < total; first += batchSize) {
		if (first > 0)
			await admin.query("analyze"); // a crash of the server forgets what autovacuum counted
		const now = Date.now();
		const batch = Array.from({ length: Math.min(batchSize, total - first) }, (_, n) =>
			({ number: first + n, ...live(below(rng, 2 ** 32), now) }));
		for (const history of batch)
			for (const side of ["o", "s"])
				await open(admin, side, history);
		for (const history of batch) {
			counted.events += history.events.length;
			await admin.query("select property.replay($1, $2, $3)",
				[history.events.map((event) => spoken("o", history.number, envelope(event))), JSON.stringify(history.spends), history.o]);
		}
		const list = deliveries(batch);
		const kill = { at: process.env.KILLS === "0" ? -1 : below(rng, list.length), sessions: [...hooks, ...admins] };
		await Promise.all([0, 1].map((n) => deliver(hooks[n], admins[n], list, kill)));
		for (const history of batch.filter((h) => h.reconcile))
			await reconcile(admin, history);
		// The short periods end 4 s after the batch began.
		const left = now + 4100 - Date.now();
		if (left > 0 && batch.some((h) => h.short))
			await admin.query("select pg_sleep($1)", [left / 1000]);
		for (const history of batch)
			for (const side of ["o", "s"])
				await finish(admin, side, history);
		for (const history of batch)
			await compare(admin, history);
		if ((first / batchSize) % 10 === 9 || first + batchSize >= total) {
			await audit(admin);
			console.error(`${first + batch.length} histories, ${passed} passed, ${failed} failed, ${Math.round((Date.now() - started) / 1000)} s`);
		}
		if (failed > 20)
			break;
	}
	for (const session of [...hooks, ...admins])
		await session.client?.end();
	console.log(`histories                ${passed} passed, ${failed} failed; seed ${seed}, ${total} histories in ${Math.round((Date.now() - started) / 1000)} s: `
		+ JSON.stringify(counted));
	process.exitCode = failed === 0 ? 0 : 1;
}

await run();

// A random life of a customer at Creem: what its events tell, in order, and
// what its API says at the end. Ids hold @@, which each side of a comparison
// replaces by a name of its own; @C<n>@ is the id of our n-th checkout.

const DAY = 86_400_000;
const TOP_UPS = [
	{ id: "prod_sandbox_topup_100", price: 300 }, { id: "prod_sandbox_topup_500", price: 1200 },
	{ id: "prod_sandbox_topup_2000", price: 4000 }, { id: "prod_property_versions", price: 500 }];
const PLANS = [
	{ id: "prod_sandbox_monthly", price: 1900, days: 30 }, { id: "prod_sandbox_yearly", price: 19000, days: 360 },
	{ id: "prod_property_roll", price: 1000, days: 30 }];

/** A generator of numbers below 1; the same seed gives the same ones. */
export function random(seed) {
	let state = seed >>> 0;
	return () => {
		state = (state + 0x6d2b79f5) >>> 0;
		let t = Math.imul(state ^ (state >>> 15), 1 | state);
		t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
		return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
	};
}

export const below = (rng, n) => Math.floor(rng() * n);
export const pick = (rng, list) => list[below(rng, list.length)];
const iso = (ms) => new Date(ms).toISOString();

class Life {
	constructor(rng, now) {
		this.rng = rng;
		this.events = [];
		this.checkouts = [];
		this.transactions = [];
		this.closes = [];
		this.subscriptions = [];
		this.subscription = null;
		this.customer = "cust_@@";
		this.count = 0;
		// Some periods end while the histories run, some are long over, some go on.
		this.short = rng() < 0.15;
		this.t = this.short ? now + 4000 - 30 * DAY : now - pick(rng, [0, 3, 45, 400]) * DAY - below(rng, 5000);
	}

	id(prefix) {
		return `${prefix}_@@${++this.count}`;
	}

	chance(p) {
		return this.rng() < p;
	}

	wait(days) {
		if (!this.short)
			this.t += 1 + below(this.rng, days * DAY);
	}

	emit(type, object, options = {}) {
		this.events.push({ id: this.id("evt"), type, object: structuredClone(object), at: this.t, drop: true, ...options });
		return this.events.at(-1);
	}

	transaction(type, product, amount, discount, period, order, subscription) {
		const tax = Math.round((amount - discount) * 0.21);
		const t = {
			id: this.id("tran"), object: "transaction", mode: "test", type, amount, discount_amount: discount, tax_amount: tax,
			amount_paid: amount - discount + tax, currency: "EUR", status: "paid", refunded_amount: null, order,
			subscription: subscription?.id ?? null, customer: this.customer, created_at: this.t, ...period,
		};
		this.transactions.push({ object: t, product, disputed: false });
		return t;
	}

	newCheckout(product, units) {
		const index = this.checkouts.length;
		const checkout = {
			object: { id: this.id("ch"), object: "checkout", mode: "test", status: "completed", request_id: `@C${index}@`, units,
				product: this.chance(0.5) ? product.id : { id: product.id, object: "product" }, customer: { id: this.customer, email: "a@b.nl" },
				metadata: { account_id: "x" } },
			ours: { top: product.id },
		};
		this.checkouts.push(checkout);
		return checkout;
	}

	order(product, type, amount, discount, transaction) {
		const tax = Math.round((amount - discount) * 0.21);
		return { id: this.id("ord"), object: "order", mode: "test", customer: this.customer, product: product.id,
			...(transaction ? { transaction } : {}), amount, sub_total: amount, discount_amount: discount, tax_amount: tax,
			amount_paid: amount - discount + tax, currency: "EUR", status: "paid", type, created_at: iso(this.t), updated_at: iso(this.t) };
	}

	topUp() {
		const product = pick(this.rng, TOP_UPS);
		const units = this.chance(0.2) ? 2 + below(this.rng, 2) : 1;
		const amount = product.price * units;
		const discount = pick(this.rng, [0, 0, 0, amount / 2, amount]);
		const { object } = this.newCheckout(product, units);
		object.order = this.order(product, "onetime", amount, discount);
		if (discount < amount) {
			const t = this.transaction("payment", product, amount, discount, {}, object.order.id);
			if (this.chance(0.6))
				object.order.transaction = t.id;
			else
				this.transactions.at(-1).untold = true;
		}
		this.emit("checkout.completed", object);
	}

	told(s) {
		const last = this.transactions.find((t) => t.object.id === s.last);
		return { id: s.id, object: "subscription", mode: "test", status: s.status, product: this.chance(0.8) ? { id: s.plan.id, object: "product" } : s.plan.id,
			customer: { id: this.customer, email: "a@b.nl" },
			items: [{ id: "sitem_1", product_id: s.plan.id, units: s.units }],
			...(s.last ? { last_transaction_id: s.last, last_transaction: last.object, last_transaction_date: iso(last.object.created_at) } : {}),
			current_period_start_date: iso(s.start), current_period_end_date: iso(s.end), canceled_at: null,
			created_at: iso(s.created), updated_at: iso(s.updated), metadata: { account_id: "x" } };
	}

	turn(type, status) {
		const s = this.subscription;
		this.t += 1;
		s.updated = this.t;
		s.status = status ?? s.status;
		return this.emit(`subscription.${type}`, this.told(s));
	}

	invoice(amount, discount = 0) {
		const s = this.subscription;
		this.t += 1;
		s.last = this.transaction("invoice", s.plan, amount, discount, { period_start: s.start, period_end: s.end }, s.order, s).id;
		s.updated = this.t;
		return this.emit("subscription.paid", this.told(s));
	}

	subscribe() {
		if (this.subscription && this.subscription.status !== "canceled")
			return this.renew();
		const plan = pick(this.rng, PLANS);
		const trial = this.chance(0.1);
		const units = this.chance(0.15) ? 2 : 1;
		const { object } = this.newCheckout(plan, units);
		const s = this.subscription = { id: this.id("sub"), plan, units, status: "active", start: this.t,
			end: this.t + (trial ? 7 : plan.days) * DAY, created: this.t, updated: this.t, last: null };
		this.subscriptions.push(s);
		object.order = this.order(plan, "recurring", trial ? 100 : plan.price * units, 0);
		s.order = object.order.id;
		object.subscription = this.chance(0.5) ? s.id : { ...this.told(s), product: plan.id, customer: this.customer, items: undefined };
		this.emit("checkout.completed", object);
		this.emit("subscription.active", this.told(s));
		if (!trial)
			return this.invoice(plan.price * units, this.chance(0.1) ? plan.price * units : 0);
		// A trial's payment proves nothing, so what only tells of it can be told by nothing else.
		this.transaction("invoice", plan, 100, 0, { period_start: s.start, period_end: s.end }, s.order, s);
		this.turn("trialing", "trialing");
	}

	live() {
		return this.subscription && !["canceled", "paused"].includes(this.subscription.status);
	}

	renew() {
		const s = this.subscription;
		if (!this.live() || this.short)
			return;
		s.start = s.end;
		s.end += s.plan.days * DAY;
		s.status = "active";
		this.t = Math.max(this.t, s.start);
		this.invoice(s.plan.price * s.units);
	}

	change() {
		const s = this.subscription;
		if (!this.live() || this.short || s.status !== "active")
			return;
		const old = s.plan.price * s.units;
		const rest = Math.max(0, s.end - this.t) / (s.end - s.start);
		s.plan = this.chance(0.7) ? pick(this.rng, PLANS) : s.plan;
		s.units = this.chance(0.7) ? s.units : 1 + below(this.rng, 3);
		// The API tells no units of a sum, so these may not be lost: what was paid before a change, and the change itself.
		for (const event of this.events)
			if (event.type.startsWith("subscription.") && event.object.id === s.id)
				event.drop = false;
		const due = Math.round(s.plan.price * s.units - old * rest);
		if (this.chance(0.3) || due <= 0 || this.t >= s.end)
			return this.turn("update").drop = false;
		s.start = this.t;
		s.end = this.t + s.plan.days * DAY;
		this.turn("update").drop = false;
		return this.invoice(due);
	}

	lifecycle() {
		const s = this.subscription;
		if (!s || s.status === "canceled")
			return;
		const [type, status] = pick(this.rng, [["past_due", "past_due"], ["update", "active"], ["unpaid", "unpaid"], ["paused", "paused"],
			["scheduled_cancel", "scheduled_cancel"], ["expired", null], ["canceled", "canceled"]]);
		const event = this.turn(type, status);
		if (type === "expired")
			event.drop = false; // the API does not tell
	}

	payment(t) {
		// Only one of the ids may be there, as long as it is one that the payment was told by.
		const bare = this.chance(0.2) && !t.untold;
		return { transaction: bare && t.object.type === "payment" ? { ...t.object, order: undefined } : structuredClone(t.object),
			...(bare ? {} : { order: this.chance(0.5) ? t.object.order : { id: t.object.order, object: "order" } }),
			...(t.object.subscription ? { subscription: t.object.subscription } : {}), customer: this.customer };
	}

	refund() {
		const t = pick(this.rng, this.transactions);
		const left = t && t.object.amount_paid - (t.object.refunded_amount ?? 0);
		if (!t || t.disputed || left < 1)
			return;
		const amount = this.chance(0.4) ? left : 1 + below(this.rng, left);
		const status = pick(this.rng, ["succeeded", "succeeded", "succeeded", "succeeded", "pending", "failed"]);
		if (status === "succeeded") {
			t.object.refunded_amount = (t.object.refunded_amount ?? 0) + amount;
			t.object.status = t.object.refunded_amount === t.object.amount_paid ? "refunded" : "partialRefund";
		}
		const event = this.emit("refund.created", { id: this.id("ref"), object: "refund", mode: "test", status, refund_amount: amount, refund_currency: "EUR",
			created_at: this.t, ...this.payment(t) });
		event.transaction = t;
	}

	dispute() {
		const t = pick(this.rng, this.transactions);
		if (!t || t.disputed || t.object.amount_paid === 0)
			return;
		const left = t.object.amount_paid - (t.object.refunded_amount ?? 0);
		// A chargeback hides from the API what was refunded before it.
		for (const event of this.events)
			if (event.transaction === t)
				event.drop = false;
		t.disputed = true;
		t.object.status = "chargedBack";
		t.object.refunded_amount = t.object.amount_paid;
		this.emit("dispute.created", { id: this.id("disp"), object: "dispute", mode: "test", amount: t.object.amount_paid, currency: "EUR",
			created_at: this.t, ...this.payment(t) });
		if (left > 0 && this.chance(0.5))
			this.emit("refund.created", { id: this.id("ref"), object: "refund", mode: "test", status: "succeeded", refund_amount: left,
				created_at: this.t, ...this.payment(t) }).drop = false;
		if (this.chance(0.5))
			this.closes.push({ transaction: t.object.id, won: this.chance(0.5) });
	}

	// What GET of checkouts, transactions and subscriptions answers at the end.
	reads() {
		return [
			...this.checkouts.map((c) => c.object),
			...this.transactions.map((t) => ({ ...t.object, product: t.product.id })),
			...this.subscriptions.map((s) => this.told(s)),
		];
	}
}

/** One life: events in order, our checkouts, API objects, disputes to close, spends. */
export function live(seed, now) {
	const rng = random(seed);
	const life = new Life(rng, now);
	const shared = rng() < 0.1;
	if (shared)
		life.customer = "cust_@P@";
	const steps = 1 + below(rng, 7);
	pick(rng, [() => life.topUp(), () => life.subscribe(), () => life.subscribe()])();
	for (let i = 0; i < steps; i++) {
		life.wait(8);
		pick(rng, [() => life.topUp(), () => life.subscribe(), () => life.renew(), () => life.renew(), () => life.change(), () => life.change(),
			() => life.lifecycle(), () => life.refund(), () => life.refund(), () => life.refund(), () => life.dispute()])();
	}
	// What runs out while the histories run would be spent or not, as it comes.
	const soon = !life.short && life.transactions.some(({ object: t }) => t.period_end > now - 600_000 && t.period_end < now + 7_200_000);
	const wild = soon || rng() < 0.3; // spends whatever there is, so that only what is entitled can be the same
	const spends = life.short && !wild ? [] : Array.from({ length: below(rng, 4) }, () => ({
		images: wild ? 1 + below(rng, 250) : 1 + below(rng, 5), end: pick(rng, ["succeeded", "partial", "failed", "canceled", "later"]) }));
	return { seed, events: life.events, checkouts: life.checkouts.map((c) => c.ours.top), reads: life.reads(), closes: life.closes, spends, wild,
		short: life.short };
}

-- What Creem told us: events, links to accounts, subscriptions, payments, their
-- refunds and disputes.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

create table shotai.checkout (
	id uuid primary key default gen_random_uuid(),
	account bigint not null references shotai.account,
	product text not null references shotai.product,
	state text not null default 'created' check (state in ('created', 'open', 'completed', 'retired')),
	creem_id text unique,
	url text,
	created_at timestamptz not null default clock_timestamp(),
	completed_at timestamptz,
	check (state not in ('open', 'completed') or creem_id is not null)
);
comment on column shotai.checkout.id is 'Travels as request_id.';
comment on column shotai.checkout.state is
	'created: Creem has not answered; retired: it refused or the answer was lost, never posted again. A retired one that is paid after all becomes completed.';
create index checkout_of_account on shotai.checkout (account, created_at);
create index checkout_unfinished on shotai.checkout (created_at) where state in ('created', 'open');

create table shotai.creem_event (
	id text primary key,
	type text not null,
	sent_at timestamptz,
	raw jsonb,
	state text not null default 'received' check (state in ('received', 'applied', 'parked', 'ignored', 'failed')),
	reason text,
	keys text[] not null default '{}',
	account bigint references shotai.account,
	subject text,
	tries integer not null default 0,
	received_at timestamptz not null default clock_timestamp(),
	handled_at timestamptz
);
comment on table shotai.creem_event is 'For ever: a signature has no time, so its id is all that tells a replay.';
comment on column shotai.creem_event.raw is 'Without metadata and of the customer only his id; once applied not even that.';
comment on column shotai.creem_event.reason is
	'parked: account or product, whichever is not known; ignored: type or mode; failed: a SQLSTATE or conflict; applied: why it granted nothing, if so.';
comment on column shotai.creem_event.keys is 'Ids by which a parked event is found when one of them becomes known.';
comment on column shotai.creem_event.subject is 'What it changed: a payment, refund, dispute, checkout or subscription.';
create index creem_event_parked on shotai.creem_event using gin (keys) where state = 'parked';
create index creem_event_list on shotai.creem_event (received_at, id);
create index creem_event_open on shotai.creem_event (state, received_at, id) where state <> 'applied';

-- A customer of Creem is an e-mail address, so one may pay for several accounts.
create table shotai.creem_link (
	kind text not null check (kind in ('customer', 'subscription', 'order', 'checkout', 'transaction')),
	id text not null,
	account bigint not null references shotai.account,
	created_at timestamptz not null default clock_timestamp(),
	primary key (id, kind, account)
);
create unique index creem_link_of_one_account on shotai.creem_link (kind, id) where kind <> 'customer';
create index creem_link_of_account on shotai.creem_link (account);

create table shotai.subscription (
	id text primary key,
	account bigint not null references shotai.account,
	product text references shotai.product,
	units integer,
	status text,
	current_period_start timestamptz,
	current_period_end timestamptz,
	updated_at timestamptz,
	event_rank integer,
	event_at timestamptz,
	event text,
	lapsed_until timestamptz,
	created_at timestamptz not null default clock_timestamp()
);
comment on column shotai.subscription.id is 'Creem''s.';
comment on column shotai.subscription.status is 'null: only nested objects were seen.';
comment on column shotai.subscription.updated_at is
	'With event_rank, event_at and event the place of the state that is stored: the highest seen, and nothing follows canceled.';
comment on column shotai.subscription.lapsed_until is 'The latest period end that an expired event named.';
create index subscription_of_account on shotai.subscription (account);

create table shotai.payment (
	id uuid primary key default gen_random_uuid(),
	account bigint not null references shotai.account,
	kind text not null check (kind in ('top_up', 'subscription')),
	confirmed_by text check (confirmed_by in ('event', 'transaction')),
	product text references shotai.product,
	price bigint references shotai.product_price,
	units integer check (units > 0),
	credits bigint check (credits >= 0),
	creem_order text,
	transaction text unique,
	subscription text references shotai.subscription,
	checkout uuid references shotai.checkout,
	amount_cents bigint,
	tax_cents bigint,
	paid_cents bigint,
	currency text,
	paid_at timestamptz not null,
	period_start timestamptz,
	period_end timestamptz,
	refunded_seen bigint not null default 0 check (refunded_seen >= 0),
	charged_back boolean not null default false,
	refunded_cents bigint not null default 0 check (refunded_cents >= 0),
	entitlement bigint not null default 0 check (entitlement >= 0),
	revoked bigint not null default 0,
	revision integer not null default 0,
	receipted boolean not null default false,
	created_at timestamptz not null default clock_timestamp(),
	check ((kind = 'subscription') = (subscription is not null)),
	check (confirmed_by is null or (product is not null and price is not null and units is not null and credits is not null)),
	check (confirmed_by is null or kind = 'subscription' or creem_order is not null),
	check (revoked between 0 and entitlement)
);
comment on column shotai.payment.confirmed_by is
	'What proved that this payment grants: the event of Creem or a transaction read from its API; null: so far only refunds or disputes name it.';
comment on column shotai.payment.credits is 'Of its price version, times units: what it would entitle to alone.';
comment on column shotai.payment.entitlement is 'After what earlier invoices of the same time entitle to, before refunds.';
comment on column shotai.payment.revoked is 'The part of the entitlement that refunds and disputes take back.';
comment on column shotai.payment.refunded_seen is 'The largest refunded_amount that Creem named outside a chargeback.';
comment on column shotai.payment.refunded_cents is 'least(paid, greatest(refunded_seen, sum of its succeeded refunds)).';
comment on column shotai.payment.revision is 'Counts the entries that moved its lot; each is keyed by it.';
comment on column shotai.payment.receipted is 'Its receipt was written, or was not wanted when it was due.';
create unique index payment_top_up on shotai.payment (creem_order) where kind = 'top_up' and creem_order is not null;
create unique index payment_period on shotai.payment (subscription, period_start)
	where kind = 'subscription' and transaction is null;
create index payment_of_subscription on shotai.payment (subscription, paid_at);
create index payment_of_checkout on shotai.payment (checkout);
create index payment_of_account on shotai.payment (account, paid_at, id);

create table shotai.payment_refund (
	id text primary key,
	payment uuid not null references shotai.payment,
	status text not null,
	amount_cents bigint not null check (amount_cents >= 0),
	currency text,
	refunded_at timestamptz,
	created_at timestamptz not null default clock_timestamp()
);
comment on column shotai.payment_refund.id is 'Creem''s.';
create index payment_refund_of_payment on shotai.payment_refund (payment);
create index payment_refund_open on shotai.payment_refund (created_at)
	where status not in ('succeeded', 'failed', 'canceled');

create table shotai.dispute (
	id text primary key,
	payment uuid not null references shotai.payment,
	state text not null default 'open' check (state in ('open', 'won', 'lost')),
	amount_cents bigint,
	opened_at timestamptz not null,
	created_at timestamptz not null default clock_timestamp(),
	closed_at timestamptz,
	check ((state = 'open') = (closed_at is null))
);
comment on column shotai.dispute.id is 'Creem''s, or chargeback:<transaction> while only the transaction tells of it.';
create index dispute_of_payment on shotai.dispute (payment);

create table shotai.mail_outbox (
	id bigint generated always as identity primary key,
	account bigint not null references shotai.account,
	cause text not null unique,
	message_id text not null unique,
	kind text not null check (kind in ('receipt', 'refund')),
	payment uuid not null references shotai.payment,
	credits bigint not null,
	amount_cents bigint not null,
	state text not null default 'waiting' check (state in ('waiting', 'sent', 'failed')),
	tries integer not null default 0,
	not_before timestamptz not null default clock_timestamp(),
	created_at timestamptz not null default clock_timestamp(),
	finished_at timestamptz
);
comment on column shotai.mail_outbox.message_id is 'Fixed by the cause, so that a second copy is recognised.';
create index mail_outbox_waiting on shotai.mail_outbox (not_before) where state = 'waiting';
create index mail_outbox_of_account on shotai.mail_outbox (account);

-- One object of Creem, read leniently; what is absent or unreadable is null.
create type shotai.creem_fact as (
	kind text,
	mode text,
	customer text,
	subscription text,
	creem_order text,
	checkout text,
	request_id uuid,
	transaction text,
	product text,
	units integer,
	custom_price bigint,
	amount bigint,
	tax bigint,
	paid bigint,
	refunded bigint,
	currency text,
	transaction_type text,
	transaction_status text,
	paid_at timestamptz,
	period_start timestamptz,
	period_end timestamptz,
	order_type text,
	order_status text,
	id text,
	status text,
	own_amount bigint,
	created_at timestamptz,
	updated_at timestamptz,
	current_period_start timestamptz,
	current_period_end timestamptz
);
revoke usage on type shotai.creem_fact from public;

insert into shotai.erasure_class (relation, attribute, class, reason)
select c.relation, unnest(c.attributes), c.class, c.reason
from (values
	('checkout', '{id,account,product,state,creem_id,created_at,completed_at}'::text[], 'pseudonymise', 'orders; 7 years of tax law'),
	('checkout', '{url}', 'delete', 'cleared with the account'),
	('creem_event', '{id,type,sent_at,state,reason,keys,account,subject,tries,received_at,handled_at}', 'pseudonymise',
		'a replay must be recognised for ever; proves the payments, 7 years of tax law'),
	('creem_event', '{raw}', 'pseudonymise', 'metadata is removed, the customer but for his id, and that too once applied; 7 years of tax law'),
	('creem_link', '{kind,id,account,created_at}', 'pseudonymise', 'whose a later refund or chargeback is; 7 years of tax law'),
	('subscription', '{id,account,product,units,status,current_period_start,current_period_end,updated_at,event_rank,event_at,event,lapsed_until,created_at}',
		'pseudonymise', 'orders; 7 years of tax law'),
	('payment', '{id,account,kind,confirmed_by,product,price,units,credits,creem_order,transaction,subscription,checkout,amount_cents,tax_cents,paid_cents,currency,paid_at,period_start,period_end,refunded_seen,charged_back,refunded_cents,entitlement,revoked,revision,receipted,created_at}',
		'pseudonymise', 'orders; 7 years of tax law'),
	('payment_refund', '{id,payment,status,amount_cents,currency,refunded_at,created_at}', 'pseudonymise', 'orders; 7 years of tax law'),
	('dispute', '{id,payment,state,amount_cents,opened_at,created_at,closed_at}', 'pseudonymise', 'orders; 7 years of tax law'),
	('mail_outbox', '{id,account,cause,message_id,kind,payment,credits,amount_cents,state,tries,not_before,created_at,finished_at}',
		'delete', 'deleted with the account')
) c (relation, attributes, class, reason);

do $$
declare
	v_table regclass;
begin
	for v_table in
		select oid from pg_class where relnamespace = 'shotai'::regnamespace and relkind = 'r' and not relrowsecurity
	loop
		execute format('alter table %s enable row level security', v_table);
	end loop;
end
$$;

select set_config('role', current_setting('shotai.migrating_role'), false);

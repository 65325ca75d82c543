-- Creem's side of the world, for the stand-in only: its role, its tables and a catalogue. Applied by a superuser at each
-- start together with sandbox/creem/*.sql, which hold the functions (cat sandbox/creem.sql sandbox/creem/*.sql | psql).
-- All of it is in schema sandbox_creem; nothing refers to the application's schemas.

\set ON_ERROR_STOP on
set client_min_messages = warning;

do $$
begin
	if to_regrole('sandbox_creem') is null then
		create role sandbox_creem login noinherit;
	end if;
	execute format('grant connect on database %I to sandbox_creem', current_database());
end
$$;
alter role sandbox_creem set search_path = sandbox_creem;
alter role sandbox_creem set statement_timeout = '5s';
create schema if not exists sandbox_creem authorization sandbox_creem;

set role sandbox_creem;
set search_path = sandbox_creem;
set check_function_bodies = off;

-- One row: the time of the last change. Whoever changes something takes it first, so changes come one after the other.
create table if not exists clock (
	one boolean primary key default true check (one),
	at timestamptz not null
);
insert into clock values (true, date_trunc('milliseconds', clock_timestamp())) on conflict do nothing;

create table if not exists product (
	id text primary key,
	name text not null,
	description text not null,
	image_url text,
	price bigint not null check (price >= 0),
	currency text not null,
	billing_type text not null check (billing_type in ('recurring', 'onetime')),
	billing_period text not null,
	tax_mode text not null check (tax_mode in ('inclusive', 'exclusive')),
	tax_category text not null,
	trial_period_days integer,
	trial_price bigint,
	default_success_url text,
	status text not null default 'active' check (status in ('active', 'archived')),
	idempotency_key text unique,
	created_at timestamptz not null,
	updated_at timestamptz not null
);

create table if not exists customer (
	id text primary key,
	email text not null unique,
	name text,
	country text not null default 'NL',
	portal_token text not null unique,
	created_at timestamptz not null,
	updated_at timestamptz not null
);

create table if not exists checkout (
	id text primary key,
	product_id text not null references product,
	request_id text,
	units integer not null,
	custom_price bigint,
	discount_percent integer not null default 0,
	success_url text,
	customer_id text references customer,
	email text,
	name text,
	metadata jsonb,
	custom_fields jsonb not null default '[]',
	status text not null default 'pending' check (status in ('pending', 'processing', 'completed', 'expired')),
	order_id text,
	subscription_id text,
	created_at timestamptz not null
);

create table if not exists orders (
	id text primary key,
	checkout_id text not null references checkout,
	customer_id text not null references customer,
	product_id text not null references product,
	transaction_id text,
	amount bigint not null,
	discount_amount bigint not null,
	tax_amount bigint not null,
	amount_paid bigint not null,
	currency text not null,
	type text not null check (type in ('recurring', 'onetime')),
	created_at timestamptz not null,
	updated_at timestamptz not null
);
create index if not exists orders_customer on orders (customer_id);

create table if not exists subscription (
	id text primary key,
	product_id text not null references product,
	customer_id text not null references customer,
	checkout_id text not null references checkout,
	order_id text not null references orders,
	item_id text not null,
	price_id text not null,
	units integer not null,
	status text not null,
	last_transaction_id text,
	period_start timestamptz not null,
	period_end timestamptz not null,
	canceled_at timestamptz,
	at_period_end text not null default 'cancel' check (at_period_end in ('cancel', 'pause')),
	owed bigint not null default 0, -- added to the next invoice; below zero: a credit
	metadata jsonb,
	created_at timestamptz not null,
	updated_at timestamptz not null
);
create index if not exists subscription_customer on subscription (customer_id);

create table if not exists transaction (
	id text primary key,
	type text not null check (type in ('payment', 'invoice')),
	amount bigint not null,
	discount_amount bigint not null,
	tax_amount bigint not null,
	amount_paid bigint not null,
	refunded_amount bigint,
	currency text not null,
	status text not null,
	order_id text not null references orders,
	subscription_id text references subscription,
	customer_id text not null references customer,
	product_id text not null references product,
	description text not null,
	period_start timestamptz,
	period_end timestamptz,
	created_at timestamptz not null
);
create index if not exists transaction_customer on transaction (customer_id);
create index if not exists transaction_order on transaction (order_id);
create index if not exists transaction_product on transaction (product_id, created_at);
create index if not exists transaction_subscription on transaction (subscription_id);

create table if not exists refund (
	id text primary key,
	transaction_id text not null references transaction,
	amount bigint not null,
	status text not null,
	reason text not null,
	created_at timestamptz not null
);
create index if not exists refund_transaction on refund (transaction_id);

create table if not exists dispute (
	id text primary key,
	transaction_id text not null references transaction,
	amount bigint not null,
	created_at timestamptz not null
);

create table if not exists event (
	id text primary key,
	position bigint generated always as identity unique,
	type text not null,
	lane text not null,
	body text not null,
	created_at timestamptz not null
);
create index if not exists event_lane on event (lane, position);

-- What one sender at a time delivers, in order: the events about one customer.
create table if not exists lane (
	id text primary key,
	busy_until timestamptz not null default '-infinity'
);

create table if not exists delivery (
	id bigint primary key generated always as identity,
	event_id text not null references event,
	lane text not null references lane,
	port integer, -- of another receiver on loopback, for tests
	state text not null default 'waiting' check (state in ('waiting', 'delivered', 'failed')),
	attempts integer not null default 0,
	due_at timestamptz not null
);
create index if not exists delivery_waiting on delivery (due_at, id) where state = 'waiting';
create index if not exists delivery_lane on delivery (lane, due_at, id) where state = 'waiting';
create index if not exists delivery_event on delivery (event_id);

create table if not exists attempt (
	delivery_id bigint not null references delivery,
	number integer not null,
	at timestamptz not null,
	status integer not null,
	outcome text not null,
	primary key (delivery_id, number)
);

insert into product (id, name, description, price, currency, billing_type, billing_period, tax_mode, tax_category,
	created_at, updated_at)
select id, name, description, price, 'EUR', type, period, 'exclusive', 'saas', '2026-01-01 00:00Z', '2026-01-01 00:00Z'
from (values
	('prod_sandbox_monthly', 'ShotAI monthly', '1,000 credits every month', 1900, 'recurring', 'every-month'),
	('prod_sandbox_yearly', 'ShotAI yearly', '12,000 credits every year', 19000, 'recurring', 'every-year'),
	('prod_sandbox_topup_100', 'Top-up 100', '100 credits that do not expire', 300, 'onetime', 'once'),
	('prod_sandbox_topup_500', 'Top-up 500', '500 credits that do not expire', 1200, 'onetime', 'once'),
	('prod_sandbox_topup_2000', 'Top-up 2,000', '2,000 credits that do not expire', 4000, 'onetime', 'once')
) catalogue (id, name, description, price, type, period)
on conflict (id) do nothing;

-- What is sold. A price is a row with a date, as a model's; what was paid keeps
-- the version it was paid under.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

create table shotai.product (
	id text primary key check (id ~ '^[a-z0-9][a-z0-9.-]{0,63}$'),
	kind text not null check (kind in ('subscription', 'top_up')),
	name text not null,
	name_nl text not null,
	interval text check (interval in ('month', 'year')),
	rollover boolean not null default false,
	creem_product text unique,
	position integer not null default 0,
	enabled boolean not null default true,
	check ((kind = 'subscription') = (interval is not null)),
	check (kind = 'subscription' or not rollover)
);
comment on column shotai.product.rollover is 'What a period grants does not expire at its end.';
comment on column shotai.product.enabled is 'Off: no longer offered; what is paid for it is still granted.';

create table shotai.product_price (
	id bigint generated always as identity primary key,
	product text not null references shotai.product,
	credits bigint not null check (credits between 1 and 1000000000),
	price_cents bigint not null check (price_cents >= 0),
	currency text not null check (currency ~ '^[A-Z]{3}$'),
	effective_from timestamptz not null,
	unique (product, effective_from)
);
create trigger append_only before update or delete or truncate on shotai.product_price
	for each statement execute function shotai.refuse_change();
alter table shotai.product_price enable always trigger append_only;

create table shotai.billing_setting (
	one boolean primary key default true check (one),
	live boolean not null default false
);
comment on column shotai.billing_setting.live is 'On: only objects of mode prod count; off: only the others.';

insert into shotai.erasure_class (relation, attribute, class, reason)
select c.relation, unnest(c.attributes), 'keep', 'about no person; for ever'
from (values
	('product', '{id,kind,name,name_nl,interval,rollover,creem_product,position,enabled}'::text[]),
	('product_price', '{id,product,credits,price_cents,currency,effective_from}'),
	('billing_setting', '{one,live}')
) c (relation, attributes);

insert into shotai.billing_setting default values;
insert into shotai.product (id, kind, name, name_nl, interval, creem_product, position)
values
	('monthly', 'subscription', 'Monthly', 'Maandelijks', 'month', 'prod_sandbox_monthly', 1),
	('yearly', 'subscription', 'Yearly', 'Jaarlijks', 'year', 'prod_sandbox_yearly', 2),
	('top-up-100', 'top_up', '100 credits', '100 credits', null, 'prod_sandbox_topup_100', 3),
	('top-up-500', 'top_up', '500 credits', '500 credits', null, 'prod_sandbox_topup_500', 4),
	('top-up-2000', 'top_up', '2,000 credits', '2.000 credits', null, 'prod_sandbox_topup_2000', 5);
insert into shotai.product_price (product, credits, price_cents, currency, effective_from)
values
	('monthly', 1000, 1900, 'EUR', '2026-01-01T00:00:00Z'),
	('yearly', 12000, 19000, 'EUR', '2026-01-01T00:00:00Z'),
	('top-up-100', 100, 300, 'EUR', '2026-01-01T00:00:00Z'),
	('top-up-500', 500, 1200, 'EUR', '2026-01-01T00:00:00Z'),
	('top-up-2000', 2000, 4000, 'EUR', '2026-01-01T00:00:00Z');

alter table shotai.product enable row level security;
alter table shotai.product_price enable row level security;
alter table shotai.billing_setting enable row level security;

select set_config('role', current_setting('shotai.migrating_role'), false);

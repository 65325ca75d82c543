-- Credits: lots, and the append-only ledger of what happened to them.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

create table shotai.credit_lot (
	id bigint generated always as identity primary key,
	account bigint not null references shotai.account,
	source text not null check (source in ('welcome', 'subscription', 'top_up', 'adjustment')),
	granted bigint not null check (granted >= 0),
	remaining bigint not null,
	expires_at timestamptz,
	reopened boolean not null default false,
	revoke_target bigint not null default 0,
	revoked bigint not null default 0 check (revoked >= 0),
	open boolean not null generated always as (remaining > 0) stored,
	created_at timestamptz not null default clock_timestamp(),
	check (remaining between 0 and granted),
	check (revoke_target between 0 and granted)
) with (fillfactor = 70);
comment on column shotai.credit_lot.expires_at is 'null: never.';
comment on column shotai.credit_lot.reopened is 'A refund after its expiry reopened it for 24 hours, which happens once.';
comment on column shotai.credit_lot.revoke_target is 'Credits to be taken back because the payment was; what revoked lacks is our loss.';
comment on column shotai.credit_lot.open is
	'For the predicates of indexes: with remaining in them no charge would stay on its page.';
create index credit_lot_of_account on shotai.credit_lot (account, expires_at, id) where open;
create index credit_lot_due on shotai.credit_lot (expires_at) where open and expires_at is not null;

create table shotai.credit_entry (
	id uuid primary key default gen_random_uuid(),
	account bigint not null references shotai.account,
	number bigint not null check (number > 0),
	kind text not null check (kind in ('grant', 'charge', 'refund', 'expire', 'revoke', 'adjust')),
	amount bigint not null check (case
		when kind in ('grant', 'refund') then amount > 0
		when kind in ('charge', 'expire', 'revoke') then amount < 0
		else amount <> 0 end),
	balance_after bigint not null check (balance_after >= 0),
	cause text not null unique,
	generation uuid references shotai.generation,
	order_id uuid,
	created_at timestamptz not null default clock_timestamp(),
	unique (account, number)
);
comment on column shotai.credit_entry.number is 'Counts the entries of an account from 1, assigned under its lock.';
comment on column shotai.credit_entry.cause is 'What the entry answers to; one entry per cause.';

create table shotai.entry_lot (
	entry uuid not null references shotai.credit_entry,
	position smallint not null check (position > 0),
	lot bigint not null references shotai.credit_lot,
	amount bigint not null check (amount <> 0),
	primary key (entry, position),
	unique (entry, lot)
);
comment on column shotai.entry_lot.position is 'The order in which lots were taken; a refund goes back from the last.';

create trigger append_only before update or delete or truncate on shotai.credit_entry
	for each statement execute function shotai.refuse_change();
alter table shotai.credit_entry enable always trigger append_only;
create trigger append_only before update or delete or truncate on shotai.entry_lot
	for each statement execute function shotai.refuse_change();
alter table shotai.entry_lot enable always trigger append_only;

insert into shotai.erasure_class (relation, attribute, class, reason)
select c.relation, unnest(c.attributes), 'pseudonymise', 'the books; 7 years of tax law'
from (values
	('credit_lot', '{id,account,source,granted,remaining,expires_at,reopened,revoke_target,revoked,open,created_at}'::text[]),
	('credit_entry', '{id,account,number,kind,amount,balance_after,cause,generation,order_id,created_at}'),
	('entry_lot', '{entry,position,lot,amount}')
) c (relation, attributes);

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

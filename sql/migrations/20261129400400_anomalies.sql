-- Watching for abuse: what is usual, what was found, and what that does to an account.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

create type shotai.finding_action as enum ('watch', 'throttle', 'hold', 'suspend');
revoke usage on type shotai.finding_action from public;

-- What is looked at, and where the lines are; docs in README, chosen from tests/simulation.
create table shotai.signal (
	id text primary key,
	family text not null check (family in ('habit', 'crowd', 'verdict')),
	measure text not null default 'count' check (measure in ('count', 'share')),
	span interval not null check (span > '0'),
	base_min bigint not null default 0,
	own_min double precision not null default 8,
	own_deviations double precision,
	crowd_min double precision not null default 100,
	crowd_quantile double precision not null default 0.99 check (crowd_quantile between 0 and 1),
	crowd_factor double precision not null default 2,
	floor double precision not null check (floor > 0),
	ceiling double precision not null,
	throttle_at double precision check (throttle_at >= 1),
	hold_at double precision check (hold_at >= 1),
	suspend_at double precision check (suspend_at >= 1),
	throttle_for interval not null default '1 hour',
	enabled boolean not null default true,
	check (enabled or family <> 'verdict'),
	check (ceiling >= floor),
	check (family = 'habit' or ceiling = floor)
);
comment on column shotai.signal.family is
	'habit: what an account does, against its own and everyone''s; crowd: what accounts share; verdict: a fact, judged by somebody.';
comment on column shotai.signal.measure is 'count: hits within a span; share: hits of a base within a span.';
comment on column shotai.signal.base_min is 'A share of less says nothing.';
comment on column shotai.signal.own_deviations is
	'An account that was observed own_min times may go so far beyond its own mean; null: habit excuses nothing.';
comment on column shotai.signal.crowd_quantile is
	'The limit is this quantile of everyone, times crowd_factor, within floor and ceiling; the ceiling while fewer than crowd_min were observed.';
comment on column shotai.signal.throttle_at is 'In multiples of the limit, as hold_at and suspend_at; null: never.';

-- How far each was looked at; one that fails stays behind alone.
create table shotai.signal_progress (
	signal text primary key references shotai.signal,
	seen_until timestamptz not null default clock_timestamp(),
	failed_at timestamptz,
	failure text
) with (fillfactor = 50);
comment on column shotai.signal_progress.failure is 'SQLSTATE of the last failure; null: the last look went well.';

create table shotai.baseline (
	account bigint not null references shotai.account,
	signal text not null references shotai.signal,
	span_start timestamptz not null,
	hits bigint not null default 0,
	base bigint not null default 0,
	observed double precision not null default 0,
	mean double precision not null default 0,
	variance double precision not null default 0,
	primary key (account, signal)
) with (fillfactor = 70);
comment on column shotai.baseline.span_start is 'Of the span that is being filled with hits and base.';
comment on column shotai.baseline.observed is 'Spans that were learnt from; half of it is forgotten in 14 days.';
create index baseline_age on shotai.baseline (span_start);

-- A histogram of everyone's spans, on a logarithmic scale.
create table shotai.crowd_bin (
	signal text not null references shotai.signal,
	bin integer not null,
	weight double precision not null,
	primary key (signal, bin)
) with (fillfactor = 70);

create table shotai.finding (
	id bigint generated always as identity primary key,
	account bigint not null references shotai.account,
	signal text not null references shotai.signal,
	action shotai.finding_action not null,
	score double precision not null,
	evidence jsonb not null default '{}',
	state text not null default 'open' check (state in ('open', 'resolved', 'expired')),
	applied boolean not null default false,
	first_at timestamptz not null,
	last_at timestamptz not null,
	expires_at timestamptz,
	closed_at timestamptz,
	mistaken boolean,
	reason text,
	check ((state = 'open') = (closed_at is null)),
	check ((state = 'resolved') = (mistaken is not null))
) with (fillfactor = 70);
comment on column shotai.finding.score is 'In multiples of the limit.';
comment on column shotai.finding.evidence is 'Numbers and our own ids; no prompt, no address, nothing a person wrote.';
comment on column shotai.finding.applied is 'The account is as this finding wants it.';
comment on column shotai.finding.mistaken is 'What the operator who resolved it said of it.';
create unique index finding_open on shotai.finding (account, signal) where state = 'open';
create index finding_unapplied on shotai.finding (id) where not applied;
create index finding_due on shotai.finding (expires_at) where state = 'open' and expires_at is not null;
create index finding_of_account on shotai.finding (account, signal, closed_at);

-- What new accounts have in common, as keyed hashes.
create table shotai.account_mark (
	kind text not null check (kind in ('stem', 'domain', 'prompt')),
	mark bytea not null check (octet_length(mark) = 32),
	account bigint not null references shotai.account,
	seen_at timestamptz not null default clock_timestamp(),
	primary key (kind, mark, account)
);
create index account_mark_age on shotai.account_mark (seen_at);
create index account_mark_of_account on shotai.account_mark (account, kind);

-- Looks at shares since the last look at them; a crash may lose a minute of it.
create unlogged table shotai.share_traffic (
	share uuid primary key,
	pages bigint not null default 0,
	images bigint not null default 0
) with (fillfactor = 50);

alter table shotai.account
	drop constraint account_status_check,
	add constraint account_status_check check (status in ('active', 'held', 'suspended', 'closed')),
	add column throttle integer not null default 1 check (throttle > 0),
	add column throttled_until timestamptz,
	add column welcome_refused text check (welcome_refused in ('disposable_address')),
	drop column disputed;
comment on column shotai.account.status is
	'held, suspended: as the strongest open finding says; closed: locked by erasure until the Auth user is gone.';
comment on column shotai.account.throttle is 'Until throttled_until bursts and rates are divided by this.';
comment on column shotai.account.welcome_refused is 'Why there were no welcome credits, for its owner to read.';

create index credit_entry_age on shotai.credit_entry (created_at);
create index checkout_age on shotai.checkout (created_at);
create index share_report_age on shotai.share_report (created_at);
create index creem_link_age on shotai.creem_link (created_at) where kind = 'customer';

insert into shotai.signal (id, family, measure, span, base_min, own_deviations, crowd_quantile, crowd_factor, floor,
	ceiling, throttle_at, hold_at, suspend_at, throttle_for)
values
	('burst', 'habit', 'count', '10 minutes', 0, 4, 0.99, 2, 150, 400, 1.25, null, null, '1 hour'),
	('refused', 'habit', 'count', '1 day', 0, null, 0.99, 2, 8, 12, 2, 4, null, '6 hours'),
	('refunds', 'habit', 'share', '1 day', 60, null, 0.99, 1.5, 0.5, 0.8, 1.2, null, null, '6 hours'),
	('checkouts', 'habit', 'count', '1 hour', 0, null, 0.99, 2, 4, 6, 1.5, 3, null, '6 hours'),
	('reports', 'habit', 'count', '1 day', 0, null, 0.99, 2, 3, 6, null, null, null, '1 hour'),
	('hotlink', 'habit', 'count', '10 minutes', 0, null, 0.99, 3, 300, 1000, 3, null, null, '1 day'),
	('stem', 'crowd', 'count', '7 days', 0, null, 0, 0, 4, 4, 1.25, 2, null, '7 days'),
	('domain', 'crowd', 'count', '1 day', 0, null, 0, 0, 15, 15, 1.3, null, null, '7 days'),
	('customer', 'crowd', 'count', '90 days', 0, null, 0, 0, 4, 4, 1.25, 2, null, '7 days'),
	('prompt', 'crowd', 'count', '7 days', 0, null, 0, 0, 2, 2, 1.5, 4, null, '7 days'),
	('upheld', 'verdict', 'count', '90 days', 0, null, 0, 0, 1, 1, 2, 3, null, '7 days'),
	('dispute', 'verdict', 'count', '1 day', 0, null, 0, 0, 1, 1, null, null, 1, '1 day'),
	('age', 'verdict', 'count', '1 day', 0, null, 0, 0, 1, 1, null, null, 1, '1 day'),
	('operator', 'verdict', 'count', '1 day', 0, null, 0, 0, 1, 1, null, null, 1, '1 day');
insert into shotai.signal_progress (signal) select s.id from shotai.signal s where s.family <> 'verdict';

do $$
declare
	v_table text;
begin
	foreach v_table in array '{signal,signal_progress,baseline,crowd_bin,finding,account_mark,share_traffic}'::text[] loop
		execute format('alter table shotai.%I enable row level security', v_table);
	end loop;
end
$$;

delete from shotai.erasure_class where relation = 'account' and attribute = 'disputed';
insert into shotai.erasure_class (relation, attribute, class, reason)
select c.relation, unnest(c.attributes), c.class, c.reason
from (values
	('signal', '{id,family,measure,span,base_min,own_min,own_deviations,crowd_min,crowd_quantile,crowd_factor,floor,ceiling,throttle_at,hold_at,suspend_at,throttle_for,enabled}'::text[],
		'keep', 'about no person; for ever'),
	('signal_progress', '{signal,seen_until,failed_at,failure}', 'keep', 'about no person; for ever'),
	('crowd_bin', '{signal,bin,weight}', 'keep', 'sums about nobody, which fade'),
	('baseline', '{account,signal,span_start,hits,base,observed,mean,variance}', 'delete', 'deleted with the account; unused for 90 days'),
	('finding', '{id,account,signal,action,score,evidence,state,applied,first_at,last_at,expires_at,closed_at,mistaken,reason}',
		'delete', 'deleted with the account; 12 months after it was closed'),
	('account_mark', '{kind,mark,account,seen_at}', 'delete', 'deleted with the account; after 7 days'),
	('share_traffic', '{share,pages,images}', 'delete', 'deleted when it is looked at, each minute'),
	('account', '{throttle,throttled_until,welcome_refused}', 'delete', 'cleared with the account')
) c (relation, attributes, class, reason);

alter type shotai.admission add attribute extras text;
comment on column shotai.admission.extras is 'Of account_suspended: why.';
alter type shotai.account_row
	add attribute restriction_action text,
	add attribute restriction_reason text,
	add attribute restriction_since text,
	add attribute welcome_refused text;

-- They answer with more columns now or are asked more; sql/functions makes them again.
drop function if exists shotai.confirm_age(uuid, uuid, boolean, text, text, text);
drop function if exists shotai.admit_generation(uuid, uuid, text, text, text, integer, bigint, uuid[], text, text);
drop function if exists shotai.grant_welcome(bigint, bytea);
drop function if exists shotai.open_share(text, boolean);
drop function if exists shotai.operator_shares(boolean, integer);

select set_config('role', current_setting('shotai.migrating_role'), false);

-- Erasures step by step, legal holds, and the journal that a restored backup is held against.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

create table shotai.erasure (
	id uuid primary key default gen_random_uuid(),
	account bigint references shotai.account,
	user_id uuid unique,
	cause text not null check (cause in ('request', 'age', 'vanished', 'replay')),
	requested_at timestamptz not null default clock_timestamp(),
	not_before timestamptz not null default clock_timestamp(),
	attempts integer not null default 0,
	problem text,
	finished_at timestamptz
) with (fillfactor = 70);
comment on column shotai.erasure.id is 'Random: whoever has it may read how far it is.';
comment on column shotai.erasure.account is 'null once nothing of the account had to be kept.';
comment on column shotai.erasure.user_id is 'null once Supabase Auth has no such user.';
comment on column shotai.erasure.attempts is 'In a row, of a worker that could not go on.';
comment on column shotai.erasure.problem is 'Why it could not.';
create index erasure_due on shotai.erasure (not_before) where finished_at is null;
create index erasure_of_account on shotai.erasure (account);

create table shotai.erasure_step (
	erasure uuid not null references shotai.erasure,
	position smallint not null,
	step text not null,
	count bigint not null default 0,
	done_at timestamptz,
	primary key (erasure, step)
);

create table shotai.legal_hold (
	account bigint primary key references shotai.account,
	basis text not null check (basis <> ''),
	set_at timestamptz not null default clock_timestamp()
);
comment on table shotai.legal_hold is 'While a row is here nothing of the account is erased; operator_log keeps who set and lifted it.';

-- A row is there before its object, so a database that lacks an object's row is older than the object.
create table shotai.journal (
	key text collate "C" primary key,
	written_at timestamptz not null default clock_timestamp()
);
comment on table shotai.journal is 'Objects of storage that tell what was erased or deleted, for 90 days.';

create table shotai.journal_entry (
	subject text primary key,
	erasure uuid references shotai.erasure,
	journal text collate "C" references shotai.journal
);
comment on table shotai.journal_entry is 'What the journal does not tell yet: "user" and the SHA-256 of an id, or "generation" and an id.';
create index journal_entry_of_journal on shotai.journal_entry (journal);

alter table shotai.erasure enable row level security;
alter table shotai.erasure_step enable row level security;
alter table shotai.legal_hold enable row level security;
alter table shotai.journal enable row level security;
alter table shotai.journal_entry enable row level security;

insert into shotai.chore (name) values ('vanished'), ('journal');

insert into shotai.erasure_class (relation, attribute, class, reason)
select c.relation, unnest(c.attributes), c.class, c.reason
from (values
	('erasure', '{user_id,problem}'::text[], 'delete', 'cleared once Supabase Auth has no such user'),
	('erasure', '{id,account,cause,requested_at,not_before,attempts,finished_at}', 'pseudonymise', 'proves that it was done; 7 years, as the ledger'),
	('erasure_step', '{erasure,position,step,count,done_at}', 'pseudonymise', 'proves what was done; 7 years, as the ledger'),
	('legal_hold', '{account,basis,set_at}', 'delete', 'deleted when it is lifted, before which nothing is erased'),
	('journal', '{key,written_at}', 'keep', 'about no person; 90 days'),
	('journal_entry', '{subject,erasure,journal}', 'delete', 'deleted once the journal tells it')
) c (relation, attributes, class, reason);

insert into shotai.retention (name, position, amount, unit, what_en, why_en, what_nl, why_nl)
values
	('receipt', 74, 30, 'day',
		'After erasure: a page that tells what was erased when, nothing about you',
		'So that you can read that it was done',
		'Na verwijdering: een pagina die vertelt wat wanneer is gewist, niets over jou',
		'Zodat je kunt lezen dat het is gebeurd'),
	('journal', 76, 90, 'day',
		'After erasure or deletion: a hash of your user id, or the number of the picture',
		'So that a backup that is restored forgets it again',
		'Na verwijdering: een hash van je gebruikersnummer, of het nummer van de opname',
		'Zodat een teruggezette back-up het opnieuw vergeet');

-- Erasures that are under way, as accounts that are closed already.
insert into shotai.account (user_id, status, closed_at)
select d.user_id, 'closed', d.requested_at from shotai.auth_deletion d
on conflict (user_id) do nothing;
insert into shotai.erasure (account, user_id, cause, requested_at)
select a.id, d.user_id, 'age', d.requested_at from shotai.auth_deletion d join shotai.account a on a.user_id = d.user_id;
insert into shotai.erasure_step (erasure, position, step)
select e.id, s.position, s.step
from shotai.erasure e
cross join unnest(array['journal', 'subscriptions', 'shares', 'pictures', 'uploads', 'prompts', 'records', 'payments', 'sign_in'])
	with ordinality s (step, position);
insert into shotai.journal_entry (subject, erasure)
select 'user ' || encode(sha256(convert_to(e.user_id::text, 'UTF8')), 'hex'), e.id from shotai.erasure e;
delete from shotai.erasure_class c where c.relation = 'auth_deletion';
drop table shotai.auth_deletion;

drop function if exists shotai.claim_auth_deletions(integer);
drop function if exists shotai.finish_auth_deletion(uuid, boolean);
drop function if exists shotai.erase_account(bigint);
drop function if exists shotai.forget_uploads(bigint);
-- Who is too young is told the erasure's id.
alter type shotai.account_row alter attribute erased type uuid;
alter type shotai.account_row rename attribute erased to erasure_id;

select set_config('role', current_setting('shotai.migrating_role'), false);

-- Deleting what was made, finding it by its words, and favourites.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

alter table shotai.generation add column deleted_at timestamptz check (deleted_at is null or finished_at is not null);
comment on column shotai.generation.deleted_at is
	'Its owner deleted it: prompt, pictures and shares are gone, the row stays for the ledger.';

-- The account is a word among those of the prompt (with a space before it, as no other has), so that a common word costs
-- no more than what the account has of it. list_generations repeats this expression.
create index generation_words on shotai.generation
	using gin ((to_tsvector('simple'::regconfig, prompt) || array_to_tsvector(array[' ' || account])));
create index generation_favourite on shotai.generation (account, created_at, id) where favourite;

-- Objects whose row is gone already; one stays here until its storage has confirmed it.
create table shotai.object_deletion (
	key text primary key,
	queued_at timestamptz not null default clock_timestamp(),
	not_before timestamptz not null default clock_timestamp(),
	attempts integer not null default 0
) with (fillfactor = 70);
create index object_deletion_due on shotai.object_deletion (not_before);
alter table shotai.object_deletion enable row level security;

insert into shotai.erasure_class (relation, attribute, class, reason)
values ('generation', 'deleted_at', 'pseudonymise', 'explains why a delivered picture is not there; 7 years of tax law');
insert into shotai.erasure_class (relation, attribute, class, reason)
select 'object_deletion', unnest('{key,queued_at,not_before,attempts}'::text[]), 'delete', 'deleted once the object is gone';

-- A generation now tells its shares, and a list takes more filters: sql/functions makes them anew.
drop function if exists shotai.admit_generation(uuid, uuid, text, text, text, integer, bigint, uuid[], text, text);
drop function if exists shotai.get_generation(uuid, uuid);
drop function if exists shotai.list_generations(uuid, integer, text, text);
drop function if exists shotai.cancel_generation(uuid, uuid, uuid);

select set_config('role', current_setting('shotai.migrating_role'), false);

-- A limit for each action that costs something, and what an admitting function learns when it lets somebody in.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

alter table shotai.plan
	add column checkout_burst integer not null default 30 check (checkout_burst > 0),
	add column checkout_per_minute integer not null default 10 check (checkout_per_minute > 0),
	add column portal_burst integer not null default 10 check (portal_burst > 0),
	add column portal_per_minute integer not null default 10 check (portal_per_minute > 0),
	add column export_burst integer not null default 5 check (export_burst > 0),
	add column export_per_minute integer not null default 1 check (export_per_minute > 0),
	add column archive_burst integer not null default 10 check (archive_burst > 0),
	add column archive_per_minute integer not null default 1 check (archive_per_minute > 0),
	add column delete_burst integer not null default 100 check (delete_burst > 0),
	add column delete_per_minute integer not null default 60 check (delete_per_minute > 0);

insert into shotai.erasure_class (relation, attribute, class, reason)
select 'plan', unnest('{checkout_burst,checkout_per_minute,portal_burst,portal_per_minute,export_burst,export_per_minute,archive_burst,archive_per_minute,delete_burst,delete_per_minute}'::text[]),
	'keep', 'about no person; for ever';

create type shotai.admission as (
	problem text,
	retry_after integer,
	rate text,
	wait integer,
	account shotai.account,
	plan shotai.plan,
	email text,
	email_confirmed boolean,
	anonymous boolean,
	created uuid,
	reused boolean
);
comment on type shotai.admission is 'What shotai.admit says of a request.';
comment on column shotai.admission.problem is 'Why it is not let in.';
comment on column shotai.admission.rate is 'What the RateLimit fields tell; null: the action has no limit.';
comment on column shotai.admission.wait is 'Seconds until the rate lets it pass; 0: now. Not yet a refusal.';
comment on column shotai.admission.created is 'What the first request with this key made; null: there was none.';
comment on column shotai.admission.reused is 'That one had another body.';

-- They answer with the rate now; sql/functions makes them again.
drop function if exists shotai.take_token(bigint, text, integer, integer);
drop function if exists shotai.admit_generation(uuid, uuid, text, text, text, integer, bigint, uuid[], text, text);
drop function if exists shotai.admit_upload(uuid, uuid, text, integer, text, text);
drop function if exists shotai.create_share(uuid, uuid, text, uuid, integer, boolean, bigint, text, text);
drop function if exists shotai.start_checkout(uuid, uuid, text, text, text);
drop function if exists shotai.get_portal_customer(uuid, uuid);
drop function if exists shotai.delete_generations(uuid, uuid, uuid[], boolean);

select set_config('role', current_setting('shotai.migrating_role'), false);

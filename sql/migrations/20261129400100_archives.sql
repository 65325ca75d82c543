-- Archives: pictures that a person chose, or all that is held about him, as one
-- file that the worker makes and that is there for a day.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

alter table shotai.plan
	add column archives_per_day integer not null default 10 check (archives_per_day > 0),
	add column whole_archives_per_day integer not null default 1 check (whole_archives_per_day > 0);

create table shotai.archive (
	id uuid primary key default gen_random_uuid(),
	account bigint not null references shotai.account,
	generation_ids uuid[],
	status text not null default 'pending' check (status in ('pending', 'ready', 'failed')),
	key text unique check (key ~ '^archives/[0-9a-f]{32}$'),
	bytes bigint check (bytes > 0),
	attempt integer not null default 0,
	released integer not null default 0,
	lease_until timestamptz,
	not_before timestamptz not null default clock_timestamp(),
	created_at timestamptz not null default clock_timestamp(),
	expires_at timestamptz,
	check ((status = 'pending') = (expires_at is null)),
	check (status <> 'ready' or (key is not null and bytes is not null)),
	check (status = 'pending' or lease_until is null),
	check (released <= attempt)
) with (fillfactor = 70);
comment on column shotai.archive.generation_ids is 'null: the whole account.';
comment on column shotai.archive.key is 'Of the object of the last attempt; every attempt has its own, and names itself by it.';
comment on column shotai.archive.released is 'Attempts that storage or a worker''s end cut short; they do not count against the cap.';
comment on column shotai.archive.expires_at is 'Then row and object go.';
create index archive_pending on shotai.archive (not_before) where status = 'pending';
create index archive_expiry on shotai.archive (expires_at) where status <> 'pending';
create index archive_of_account on shotai.archive (account, created_at, id);
alter table shotai.archive enable row level security;

insert into shotai.erasure_class (relation, attribute, class, reason)
select c.relation, unnest(c.attributes), c.class, c.reason
from (values
	('plan', '{archives_per_day,whole_archives_per_day}'::text[], 'keep', 'about no person; for ever'),
	('archive', '{id,account,generation_ids,status,key,bytes,attempt,released,lease_until,not_before,created_at,expires_at}', 'delete',
		'deleted with the account; a day after it was made')
) c (relation, attributes, class, reason);

-- What an export reads by account.
create index upload_of_person on shotai.upload (account, created_at, id);
create index creem_event_of_account on shotai.creem_event (account, received_at, id);
create index operator_log_of_account on shotai.operator_log (account, id);
create index welcome_grant_of_account on shotai.welcome_grant (account);
create index credit_lot_of_person on shotai.credit_lot (account, id);

-- It answers with a file's name now; sql/functions makes it again.
drop function if exists shotai.authorize_file(text);

select set_config('role', current_setting('shotai.migrating_role'), false);

-- Reference pictures. A row becomes its own tombstone: once the object is gone,
-- what it says about picture and person goes too, and the times stay 30 days.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

alter table shotai.plan add column uploads_max integer not null default 100 check (uploads_max > 0);
comment on column shotai.plan.uploads_max is 'Uploads of an account that are not deleted yet.';

create table shotai.upload (
	id uuid primary key default gen_random_uuid(),
	account bigint references shotai.account,
	key text unique check (key ~ '^uploads/[0-9]{8,12}/[0-9a-f]{32}$'),
	content_type text check (content_type in ('image/png', 'image/jpeg', 'image/webp')),
	width integer check (width > 0),
	height integer check (height > 0),
	bytes bigint check (bytes > 0),
	created_at timestamptz not null default clock_timestamp(),
	expires_at timestamptz not null,
	due_at timestamptz not null,
	stored_at timestamptz,
	deleted_at timestamptz,
	check (expires_at <= created_at + interval '30 minutes'),
	check ((key is null) = (deleted_at is not null)),
	check (num_nulls(content_type, width, height, bytes) in (0, 4)),
	check ((content_type is not null) = (stored_at is not null and deleted_at is null))
) with (fillfactor = 70);
comment on column shotai.upload.account is 'Null once the account is erased.';
comment on column shotai.upload.expires_at is 'From then on it is of no use to anybody, whether deleted or not.';
comment on column shotai.upload.due_at is 'When the worker next deletes the object.';
comment on column shotai.upload.stored_at is 'Null while the object is being written, and for ever when that was never confirmed.';
comment on column shotai.upload.deleted_at is 'When the object was known to be gone; the row is a tombstone.';
create index upload_due on shotai.upload (due_at) where deleted_at is null;
create index upload_of_account on shotai.upload (account) where deleted_at is null;
create index upload_deleted on shotai.upload (deleted_at) where deleted_at is not null;
alter table shotai.upload enable row level security;

insert into shotai.erasure_class (relation, attribute, class, reason)
select c.relation, unnest(c.attributes), c.class, c.reason
from (values
	('plan', '{uploads_max}'::text[], 'keep', 'about no person; for ever'),
	('upload', '{account,key,content_type,width,height,bytes}', 'delete', 'cleared with the account, all but the first at most 30 minutes after upload'),
	('upload', '{id,created_at,expires_at,due_at,stored_at,deleted_at}', 'keep', 'proves that uploads are deleted in time; 30 days')
) c (relation, attributes, class, reason);

select set_config('role', current_setting('shotai.migrating_role'), false);

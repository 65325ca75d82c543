-- Generations, their images, the queue and the calls made to providers.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

create table shotai.generation (
	id uuid primary key default gen_random_uuid(),
	account bigint not null references shotai.account,
	change_no bigint not null,
	status text not null default 'queued'
		check (status in ('queued', 'running', 'succeeded', 'partial', 'failed', 'canceled')),
	model text not null references shotai.model,
	price bigint not null references shotai.model_price,
	unit_price integer not null check (unit_price > 0),
	prompt text not null,
	aspect_ratio text not null,
	count smallint not null check (count > 0),
	seed bigint,
	upload_ids uuid[] not null default '{}',
	delivered smallint not null default 0 check (delivered between 0 and count),
	credits_charged bigint not null check (credits_charged = unit_price::bigint * count),
	credits_refunded bigint not null default 0 check (credits_refunded between 0 and credits_charged),
	error_code text,
	error_reason text,
	favourite boolean not null default false,
	created_at timestamptz not null default clock_timestamp(),
	started_at timestamptz,
	finished_at timestamptz,
	check ((status in ('queued', 'running')) = (finished_at is null)),
	check (status <> 'running' or started_at is not null),
	check (status <> 'queued' or started_at is null)
) with (fillfactor = 80);
comment on column shotai.generation.unit_price is 'Credits of one image, frozen at admission.';
comment on column shotai.generation.delivered is 'Images settled; deleting a picture later does not change it.';
comment on column shotai.generation.error_reason is 'For operators; never shown.';
create index generation_of_account on shotai.generation (account, created_at, id);

create table shotai.image (
	generation uuid not null references shotai.generation,
	index smallint not null check (index >= 0),
	attempt integer not null,
	image_key text not null,
	thumbnail_key text not null,
	width integer not null check (width > 0),
	height integer not null check (height > 0),
	content_type text not null,
	bytes bigint not null check (bytes > 0),
	created_at timestamptz not null default clock_timestamp(),
	primary key (generation, index),
	-- Looking a key up goes through the generation that it names.
	check (starts_with(image_key, 'gen/' || generation || '/')),
	check (starts_with(thumbnail_key, 'gen/' || generation || '/')),
	check (image_key <> thumbnail_key)
);

-- Narrow, because a lease is renewed every 3 s; no index touches the lease, so
-- that a renewal stays on its page. waiting tells queued from claimed, since
-- the predicate of an index counts as indexed too.
create table shotai.job (
	generation uuid primary key references shotai.generation,
	account bigint not null,
	rank bigint not null,
	attempt integer not null default 0,
	released integer not null default 0,
	waiting boolean not null default true,
	lease_until timestamptz,
	not_before timestamptz,
	queued_at timestamptz not null default clock_timestamp(),
	check (waiting = (lease_until is null)),
	check (released <= attempt)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500,
	autovacuum_vacuum_cost_delay = 0);
comment on column shotai.job.rank is 'Thousandths of an image of weight 1; the lowest is claimed first.';
comment on column shotai.job.attempt is 'Counts claims; every write of a result names it.';
comment on column shotai.job.released is 'Attempts handed back in good order; they do not count against the cap.';
create index job_waiting on shotai.job (rank) where waiting;
create index job_claimed on shotai.job (generation) where not waiting;

-- A sequence, since it is read by each admission and moved by each claim: a
-- row would make them wait for one another. It decides no more than fairness.
create sequence shotai.claimed_rank as bigint minvalue 0 start 0;

create table shotai.worker (
	name text primary key,
	seen_at timestamptz not null,
	resumed_at timestamptz not null
) with (fillfactor = 50);
comment on column shotai.worker.resumed_at is
	'When this worker came back after a time in which no worker reached the database; -infinity: never.';

create table shotai.provider_call (
	id bigint generated always as identity primary key,
	generation uuid not null references shotai.generation,
	attempt integer not null,
	first_index smallint not null check (first_index >= 0),
	images smallint not null check (images > 0),
	provider text not null,
	state text not null default 'sent' check (state in ('sent', 'accepted', 'done', 'refused', 'failed', 'uncertain')),
	repeat boolean not null default false,
	vendor_id text,
	created_at timestamptz not null default clock_timestamp(),
	finished_at timestamptz,
	check (state <> 'accepted' or vendor_id is not null)
) with (fillfactor = 80);
comment on column shotai.provider_call.repeat is 'Made although an earlier call for one of these images may have succeeded.';
create index provider_call_of_generation on shotai.provider_call (generation);
create unique index provider_call_one_repeat on shotai.provider_call (generation) where repeat;

create table shotai.idempotency (
	account bigint not null references shotai.account,
	route text not null,
	key text not null check (length(key) between 1 and 255),
	request_hash bytea not null check (octet_length(request_hash) = 32),
	created uuid not null,
	created_at timestamptz not null default clock_timestamp(),
	primary key (account, route, key)
);
comment on column shotai.idempotency.created is 'The resource that the request made.';
create index idempotency_age on shotai.idempotency (created_at);

insert into shotai.erasure_class (relation, attribute, class, reason)
select c.relation, unnest(c.attributes), c.class, c.reason
from (values
	('generation', '{prompt,upload_ids,seed,error_reason,favourite}'::text[], 'delete', 'cleared with the account'),
	('generation', '{id,account,change_no,status,model,price,unit_price,aspect_ratio,count,delivered,credits_charged,credits_refunded,error_code,created_at,started_at,finished_at}',
		'pseudonymise', 'proves the charges of the ledger; 7 years of tax law'),
	('image', '{generation,index,attempt,image_key,thumbnail_key,width,height,content_type,bytes,created_at}', 'delete', 'deleted with the account'),
	('job', '{generation,account,rank,attempt,released,waiting,lease_until,not_before,queued_at}', 'delete', 'deleted when the generation ends'),
	('worker', '{name,seen_at,resumed_at}', 'keep', 'about no person; a day'),
	('provider_call', '{id,generation,attempt,first_index,images,provider,state,repeat,vendor_id,created_at,finished_at}', 'pseudonymise',
		'what providers bill us for; 7 years of tax law'),
	('idempotency', '{account,route,key,request_hash,created,created_at}', 'delete', 'deleted with the account, at most 24 hours')
) c (relation, attributes, class, reason);

select set_config('role', current_setting('shotai.migrating_role'), false);

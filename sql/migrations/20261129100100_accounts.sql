-- Plans, accounts, what Supabase Auth's user did not tell us, and the rate state.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

create table shotai.erasure_class (
	relation text not null,
	attribute text not null,
	class text not null check (class in ('delete', 'pseudonymise', 'keep')),
	reason text not null,
	primary key (relation, attribute)
);
comment on table shotai.erasure_class is
	'What the erasure of an account does with each column; for keep and pseudonymise: why and for how long.';

create table shotai.policy_version (
	version text primary key,
	effective_from timestamptz not null,
	material boolean not null default true
);
comment on column shotai.policy_version.material is 'A material change shows a notice until it is acknowledged.';

create table shotai.plan (
	id text primary key,
	weight integer not null default 1 check (weight > 0),
	unfinished_max integer not null default 250 check (unfinished_max > 0),
	generate_burst integer not null default 100 check (generate_burst > 0),
	generate_per_minute integer not null default 60 check (generate_per_minute > 0),
	upload_burst integer not null default 30 check (upload_burst > 0),
	upload_per_minute integer not null default 20 check (upload_per_minute > 0),
	share_burst integer not null default 30 check (share_burst > 0),
	share_per_minute integer not null default 10 check (share_per_minute > 0),
	welcome_credits integer not null default 50 check (welcome_credits >= 0)
);
comment on column shotai.plan.weight is 'Share of the queue: an image of weight 2 takes half the rank of weight 1.';

-- The ledger refers to id, never to user_id, so that clearing user_id is all
-- that pseudonymising takes. user_id is no foreign key: deleting the Auth user
-- must not reach the books.
create table shotai.account (
	id bigint generated always as identity primary key,
	user_id uuid unique,
	plan text not null default 'free' references shotai.plan,
	status text not null default 'active' check (status in ('active', 'suspended', 'closed')),
	locale text not null default 'en' check (locale in ('en', 'nl')),
	receipts boolean not null default false,
	announcements boolean not null default false,
	age_confirmed_at timestamptz,
	policy_acknowledged text references shotai.policy_version,
	balance bigint not null default 0 check (balance >= 0),
	entry_no bigint not null default 0,
	change_no bigint not null default 0,
	unfinished integer not null default 0 check (unfinished >= 0),
	last_rank bigint not null default 0,
	created_at timestamptz not null default clock_timestamp(),
	closed_at timestamptz
) with (fillfactor = 70);
comment on column shotai.account.status is 'closed: locked by erasure until the Auth user is gone.';
comment on column shotai.account.entry_no is 'Number of the newest credit entry.';
comment on column shotai.account.change_no is 'Number of the newest change; it stamps the row that changed.';
comment on column shotai.account.unfinished is 'Images of queued and running generations.';

create table shotai.rate_state (
	account bigint not null references shotai.account,
	action text not null,
	arrival timestamptz not null,
	primary key (account, action)
) with (fillfactor = 70);
comment on column shotai.rate_state.arrival is 'Theoretical arrival time of the generic cell rate algorithm.';

create table shotai.welcome_grant (
	email_hash bytea primary key check (octet_length(email_hash) = 32),
	account bigint not null references shotai.account,
	granted_at timestamptz not null default clock_timestamp(),
	delete_after timestamptz
);
comment on column shotai.welcome_grant.delete_after is 'Set at erasure, 24 months ahead.';

create table shotai.age_block (
	email_hash bytea primary key check (octet_length(email_hash) = 32),
	blocked_until timestamptz not null
);

create table shotai.auth_deletion (
	user_id uuid primary key,
	requested_at timestamptz not null default clock_timestamp(),
	not_before timestamptz not null default clock_timestamp(),
	attempts integer not null default 0
);
comment on table shotai.auth_deletion is 'Supabase Auth users whom the worker still has to delete.';

create table shotai.operator_log (
	id bigint generated always as identity primary key,
	at timestamptz not null default clock_timestamp(),
	operator text not null,
	action text not null,
	account bigint references shotai.account,
	reason text not null,
	detail jsonb not null default '{}'
);

insert into shotai.erasure_class (relation, attribute, class, reason)
select c.relation, unnest(c.attributes), c.class, c.reason
from (values
	('erasure_class', '{relation,attribute,class,reason}'::text[], 'keep', 'about no person; for ever'),
	('policy_version', '{version,effective_from,material}', 'keep', 'about no person; for ever'),
	('plan', '{id,weight,unfinished_max,generate_burst,generate_per_minute,upload_burst,upload_per_minute,share_burst,share_per_minute,welcome_credits}',
		'keep', 'about no person; for ever'),
	('account', '{user_id,locale,receipts,announcements,age_confirmed_at,policy_acknowledged}', 'delete', 'cleared with the account'),
	('account', '{id,plan,status,balance,entry_no,change_no,unfinished,last_rank,created_at,closed_at}', 'pseudonymise',
		'head of the ledger; 7 years of tax law'),
	('rate_state', '{account,action,arrival}', 'delete', 'deleted with the account'),
	('welcome_grant', '{email_hash,account,granted_at,delete_after}', 'keep', 'against a second welcome grant; 24 months'),
	('age_block', '{email_hash,blocked_until}', 'keep', 'nobody under 13; 12 months'),
	('auth_deletion', '{user_id,requested_at,not_before,attempts}', 'delete', 'deleted once the Auth user is gone'),
	('operator_log', '{id,at,operator,action,account,reason,detail}', 'pseudonymise', 'who changed the books and why; 7 years of tax law')
) c (relation, attributes, class, reason);

insert into shotai.policy_version (version, effective_from) values ('2026-11-01', '2026-11-01T00:00:00Z');
insert into shotai.plan (id) values ('free');

select set_config('role', current_setting('shotai.migrating_role'), false);

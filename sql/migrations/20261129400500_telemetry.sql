-- Which requests were answered, when TELEMETRY is not off. A day is a partition, so that forgetting it leaves nothing
-- behind; the worker makes and drops them.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

create table shotai.telemetry_request (
	at timestamptz not null,
	program text not null,
	method text not null,
	route text,
	status smallint not null,
	milliseconds integer not null,
	account bigint,
	address inet
) partition by range (at);
comment on column shotai.telemetry_request.route is 'As it stands in the table of routes, never the path; null: there is none.';
comment on column shotai.telemetry_request.account is 'No foreign key, whose check would lock accounts; the erasure deletes these rows.';
comment on column shotai.telemetry_request.address is 'Only with TELEMETRY=requests+ip.';
create index telemetry_request_account on shotai.telemetry_request (account) where account is not null;
alter table shotai.telemetry_request enable row level security;

create table shotai.telemetry_dropped (
	day date not null,
	program text not null,
	requests bigint not null,
	primary key (day, program)
);
comment on table shotai.telemetry_dropped is 'Requests that no program could record in time.';
alter table shotai.telemetry_dropped enable row level security;

insert into shotai.erasure_class (relation, attribute, class, reason)
select c.relation, unnest(c.attributes), c.class, c.reason
from (values
	('telemetry_request', '{at,program,method,route,status,milliseconds,account,address}'::text[], 'delete',
		'deleted with the account, else after TELEMETRY_DAYS'),
	('telemetry_dropped', '{day,program,requests}', 'keep', 'about no person; TELEMETRY_DAYS')
) c (relation, attributes, class, reason);

select set_config('role', current_setting('shotai.migrating_role'), false);

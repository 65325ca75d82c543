-- Shared pictures: links that anybody may follow, and what people report about them.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

create table shotai.share (
	id uuid primary key default gen_random_uuid(),
	slug text not null unique check (slug ~ '^[A-Za-z0-9_-]{21}[AQgw]$'),
	account bigint not null references shotai.account,
	generation uuid not null,
	index smallint not null,
	show_prompt boolean not null,
	views bigint not null default 0,
	reports bigint not null default 0,
	created_at timestamptz not null default clock_timestamp(),
	expires_at timestamptz,
	taken_down_at timestamptz,
	foreign key (generation, index) references shotai.image (generation, index)
) with (fillfactor = 70);
comment on column shotai.share.slug is '128 random bits, base64url.';
comment on column shotai.share.views is 'How often the page was asked for; nothing else is kept about a view.';
comment on column shotai.share.reports is 'All that came, also those of which no row was kept.';
comment on column shotai.share.taken_down_at is 'By an operator: the row stays, so that the picture is not shared anew.';
create index share_of_image on shotai.share (generation, index);
create index share_of_account on shotai.share (account, created_at, id);
create index share_expiry on shotai.share (expires_at) where expires_at is not null;

-- Outlives its share: what was reported is judged, even when its owner was faster.
create table shotai.share_report (
	id bigint generated always as identity primary key,
	slug text not null,
	account bigint not null references shotai.account,
	generation uuid not null,
	index smallint not null,
	reason text not null check (length(reason) between 1 and 2000),
	state text not null default 'open' check (state in ('open', 'upheld', 'dismissed')),
	created_at timestamptz not null default clock_timestamp(),
	decided_at timestamptz,
	check ((state = 'open') = (decided_at is null))
);
comment on column shotai.share_report.account is 'Whose picture it is; who reported it is not known.';
create index share_report_of_slug on shotai.share_report (slug);
create index share_report_of_account on shotai.share_report (account);
create index share_report_open on shotai.share_report (created_at) where state = 'open';

alter table shotai.share enable row level security;
alter table shotai.share_report enable row level security;

insert into shotai.erasure_class (relation, attribute, class, reason)
select c.relation, unnest(c.attributes), 'delete', c.reason
from (values
	('share', '{id,slug,account,generation,index,show_prompt,views,reports,created_at,expires_at,taken_down_at}'::text[],
		'deleted with the picture or the account; a day after it expired'),
	('share_report', '{id,slug,account,generation,index,reason,state,created_at,decided_at}',
		'deleted with the account; 90 days after the decision')
) c (relation, attributes, reason);

select set_config('role', current_setting('shotai.migrating_role'), false);

-- Announcements, messages to support and what bounced join the outbox.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

-- Their rows and arguments change.
drop function if exists shotai.claim_mails(integer);
drop function if exists shotai.finish_mail(bigint, integer, text);

create table shotai.announcement (
	id bigint generated always as identity primary key,
	digest bytea not null unique check (octet_length(digest) = 32),
	subject_en text not null,
	body_en text not null,
	subject_nl text not null,
	body_nl text not null,
	state text not null default 'sending' check (state in ('sending', 'paused', 'canceled', 'done')),
	last_account bigint not null,
	passed_account bigint not null default 0,
	mailed bigint not null default 0,
	created_at timestamptz not null default clock_timestamp(),
	finished_at timestamptz
);
comment on column shotai.announcement.digest is 'SHA-256 of the file, so that the same file is announced once.';
comment on column shotai.announcement.body_en is 'Markdown, like body_nl.';
comment on column shotai.announcement.last_account is 'The newest account when it was made: who came later gets none.';
comment on column shotai.announcement.passed_account is
	'Accounts up to this one were looked at: whoever wanted it has a mail in the outbox. It advances with each.';
create index announcement_open on shotai.announcement (id) where state in ('sending', 'paused');
create index account_announced on shotai.account (id) where announcements;

-- One row for each thing that may happen only so often, whoever does it.
create table shotai.pace (
	name text primary key,
	burst integer not null check (burst > 0),
	per_minute integer not null check (per_minute > 0),
	arrival timestamptz not null default clock_timestamp()
);
comment on column shotai.pace.arrival is 'Theoretical arrival time of the generic cell rate algorithm.';
insert into shotai.pace (name, burst, per_minute) values ('announcement', 5, 120), ('support', 30, 2);

create table shotai.mail_bounce (
	account bigint primary key references shotai.account,
	address_hash bytea not null check (octet_length(address_hash) = 32),
	kind text not null check (kind in ('refused', 'reported')),
	status text not null,
	bounced_at timestamptz not null default clock_timestamp()
);
comment on table shotai.mail_bounce is
	'Whose address takes no mail for good: nothing goes there until it changes or mails are switched on again.';
comment on column shotai.mail_bounce.kind is 'refused: by the server while we spoke to it; reported: by a delivery status notification.';

alter table shotai.mail_outbox
	add column announcement bigint references shotai.announcement,
	add column reply_to text,
	add column body text check (length(body) <= 4000),
	add column address_hash bytea,
	alter column account drop not null,
	alter column payment drop not null,
	alter column credits drop not null,
	alter column amount_cents drop not null,
	drop constraint mail_outbox_kind_check,
	add constraint mail_outbox_kind_check check (case kind
		when 'receipt' then num_nulls(account, payment, credits, amount_cents) = 0
		when 'refund' then num_nulls(account, payment, credits, amount_cents) = 0
		when 'announcement' then num_nulls(account, announcement) = 0
		when 'support' then state <> 'sent' or num_nonnulls(body, reply_to) = 0
		else false end);
comment on column shotai.mail_outbox.account is 'Who gets it; of a message to support: who wrote it, if we know.';
comment on column shotai.mail_outbox.body is 'A message to support, until it is sent.';
comment on column shotai.mail_outbox.address_hash is 'Where it went, so that what bounces later counts against that address only.';
create index mail_outbox_of_announcement on shotai.mail_outbox (announcement) where announcement is not null;
create index mail_outbox_finished on shotai.mail_outbox (finished_at) where finished_at is not null;

insert into shotai.erasure_class (relation, attribute, class, reason)
select c.relation, unnest(c.attributes), c.class, c.reason
from (values
	('announcement', '{id,digest,subject_en,body_en,subject_nl,body_nl,state,last_account,passed_account,mailed,created_at,finished_at}'::text[],
		'keep', 'about no person; for ever'),
	('pace', '{name,burst,per_minute,arrival}', 'keep', 'about no person; for ever'),
	('mail_bounce', '{account,address_hash,kind,status,bounced_at}', 'delete', 'deleted with the account'),
	('mail_outbox', '{announcement,address_hash}', 'delete', 'deleted with the account'),
	('mail_outbox', '{reply_to,body}', 'delete', 'cleared once sent; deleted with the account, or some days after it could not be sent')
) c (relation, attributes, class, reason);

alter table shotai.announcement enable row level security;
alter table shotai.pace enable row level security;
alter table shotai.mail_bounce enable row level security;

select set_config('role', current_setting('shotai.migrating_role'), false);

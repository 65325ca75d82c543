-- What billing adds to the tables that were there.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

alter table shotai.credit_lot add column payment uuid unique references shotai.payment;
comment on column shotai.credit_lot.payment is 'What paid for it; null: nothing did.';
alter table shotai.credit_entry add foreign key (order_id) references shotai.payment;
comment on column shotai.credit_entry.order_id is 'The payment.';

alter table shotai.account add column disputed boolean not null default false;
comment on column shotai.account.disputed is 'Suspended by a dispute, so that closing it lifts the suspension.';

alter table shotai.plan
	add column refused_per_hour integer not null default 10 check (refused_per_hour > 0),
	add column provoked_per_hour integer not null default 30 check (provoked_per_hour > 0);
comment on column shotai.plan.refused_per_hour is 'Prompts that moderation did not allow.';
comment on column shotai.plan.provoked_per_hour is
	'Generations that were refunded for what their prompt asked: each may have cost us a call.';

alter table shotai.generation
	add column moderation text check (moderation in ('allow', 'flag', 'deny', 'not_required')),
	add column moderated_at timestamptz,
	add column prompt_hash bytea check (octet_length(prompt_hash) = 32),
	add constraint generation_moderated check ((moderation is null) = (moderated_at is null));
comment on column shotai.generation.moderation is 'null: not screened yet; only allow and not_required reach a provider.';
create index generation_refused on shotai.generation (account, moderated_at) where moderation in ('deny', 'flag');
create index generation_provoked on shotai.generation (account, finished_at) where error_code = 'content_policy';

insert into shotai.erasure_class (relation, attribute, class, reason)
select c.relation, unnest(c.attributes), c.class, c.reason
from (values
	('credit_lot', '{payment}'::text[], 'pseudonymise', 'the books; 7 years of tax law'),
	('account', '{disputed}', 'pseudonymise', 'head of the ledger; 7 years of tax law'),
	('plan', '{refused_per_hour,provoked_per_hour}', 'keep', 'about no person; for ever'),
	('generation', '{moderation,moderated_at}', 'pseudonymise', 'proves that prompts are screened; 7 years of tax law'),
	('generation', '{prompt_hash}', 'delete', 'cleared with the account')
) c (relation, attributes, class, reason);

-- They answer with more columns now; sql/functions makes them again.
drop function if exists shotai.get_account(uuid, uuid);
drop function if exists shotai.update_account(uuid, uuid, text);
drop function if exists shotai.confirm_age(uuid, uuid, boolean, text, text, text);
drop function if exists shotai.account_answer(bigint, text);
drop function if exists shotai.claim_jobs(text, integer, integer);
drop function if exists shotai.start_call(uuid, integer, integer, integer, text);

select set_config('role', current_setting('shotai.migrating_role'), false);

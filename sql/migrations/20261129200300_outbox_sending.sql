-- A mail that has left is told from one that waits, so that none goes out twice.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

alter table shotai.mail_outbox
	add column before_cents bigint not null default 0 check (before_cents >= 0),
	drop constraint mail_outbox_state_check,
	add constraint mail_outbox_state_check check (state in ('waiting', 'sending', 'sent', 'failed', 'uncertain'));
comment on column shotai.mail_outbox.before_cents is 'A refund: what had been refunded before it; amount_cents is all of it.';
comment on column shotai.mail_outbox.state is
	'sending: it is leaving, or was when the worker died; uncertain: it left and no answer came, so it is not sent again.';
drop index shotai.mail_outbox_waiting;
create index mail_outbox_waiting on shotai.mail_outbox (not_before) where state in ('waiting', 'sending');

insert into shotai.erasure_class (relation, attribute, class, reason)
select o.relation, 'before_cents', o.class, o.reason
from shotai.erasure_class o
where o.relation = 'mail_outbox' and o.attribute = 'amount_cents';

select set_config('role', current_setting('shotai.migrating_role'), false);

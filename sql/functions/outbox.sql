-- Mails: those that payments cause are written in the transaction of the grant or
-- the refund. The worker sends all. No address of a person is kept: it is read when
-- one is sent.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

-- After a payment was settled: a receipt once it grants, a notice each time more of it was refunded.
create or replace function shotai.write_mails(p_payment uuid, p_refunded_before bigint) returns void
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_payment payment;
	v_wanted boolean;
begin
	select p.* from payment p where p.id = p_payment into strict v_payment;
	select a.receipts and a.status <> 'closed' from account a where a.id = v_payment.account into v_wanted;
	if v_payment.confirmed_by is not null and not v_payment.receipted then
		update payment p set receipted = true where p.id = p_payment;
		if v_wanted then
			perform write_mail(v_payment, 'receipt', v_payment.entitlement, coalesce(v_payment.paid_cents, 0), 0);
		end if;
	end if;
	if v_payment.refunded_cents > p_refunded_before and v_wanted then
		perform write_mail(v_payment, 'refund', v_payment.revoked, v_payment.refunded_cents, p_refunded_before);
	end if;
end
$$;

create or replace function shotai.write_mail(p_payment shotai.payment, p_kind text, p_credits bigint, p_amount_cents bigint,
	p_before_cents bigint)
returns void
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_cause text := format('%s:%s', p_kind, p_payment.id) || case p_kind when 'refund' then ':' || p_amount_cents else '' end;
begin
	insert into mail_outbox (account, cause, message_id, kind, payment, credits, amount_cents, before_cents)
	values (p_payment.account, v_cause, left(encode(sha256(convert_to(v_cause, 'UTF8')), 'hex'), 32), p_kind, p_payment.id,
		p_credits, p_amount_cents, p_before_cents)
	on conflict (cause) do nothing;
end
$$;

-- Whose address this is, as it is remembered of a mail.
create or replace function shotai.address_hash(p_account bigint, p_email text) returns bytea
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	return sha256(convert_to(p_account || ':' || lower(p_email), 'UTF8'));
end
$$;

-- Where a mail of this kind goes now; null when the person wants none, has no confirmed address or mail bounced there.
create or replace function shotai.mail_address(p_account bigint, p_kind text) returns text
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_email text;
begin
	if p_kind = 'announcement' then
		return (select r.email from announcement_recipients(p_account - 1, p_account) r);
	end if;
	select u.email
	from account a
	cross join lateral auth_mailboxes(array[a.user_id]) u
	where a.id = p_account and a.receipts and a.status <> 'closed'
	into v_email;
	if exists (select from mail_bounce b where b.account = p_account and b.address_hash = address_hash(p_account, v_email)) then
		return null;
	end if;
	return v_email;
end
$$;

-- Mails to send now, with everything they say; each is offered again after five
-- minutes unless it started or is reported, for a day. message_id: the part before
-- the @. A mail that started and was not reported within ten minutes may have
-- arrived: a second receipt looks like a second payment, so it is not sent again.
-- Only a message to support is: it must not be lost, and is tried for two weeks.
-- email is null where it goes to the operator. Announcements come last.
create or replace function shotai.claim_mails(p_lim integer)
returns table (id bigint, message_id text, kind text, email text, locale text, attempt integer, order_id uuid,
	creem_order text, transaction_id text, product_name text, product_name_nl text, product_kind text, units integer,
	credits bigint, lost bigint, amount_cents bigint, before_cents bigint, price_cents bigint, tax_cents bigint,
	paid_cents bigint, currency text, period_start text, period_end text, paid_at text, created_at text,
	account bigint, user_id uuid, subject text, body text, reply_to text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	update mail_outbox m
	set state = case m.kind when 'support' then 'waiting' else 'uncertain' end,
		finished_at = case when m.kind <> 'support' then clock_timestamp() end
	where m.state = 'sending' and m.not_before <= clock_timestamp();
	perform queue_announcement();
	-- Who switched it off meanwhile, or has no address any more, gets none.
	update mail_outbox m
	set state = 'failed', finished_at = clock_timestamp()
	where m.state = 'waiting' and m.not_before <= clock_timestamp() and not is_paused(m.announcement)
		and (m.created_at <= clock_timestamp() - mail_patience(m.kind)
			or m.kind <> 'support' and mail_address(m.account, m.kind) is null);
	return query
	with claimed as (
		update mail_outbox m
		set tries = m.tries + 1, not_before = clock_timestamp() + interval '5 minutes',
			address_hash = case when m.kind <> 'support' then address_hash(m.account, mail_address(m.account, m.kind)) end
		where m.id = any (array(
			select n.id from mail_outbox n
			where n.state = 'waiting' and n.not_before <= clock_timestamp() and not is_paused(n.announcement)
			order by n.kind = 'announcement', n.not_before, n.id
			limit least(greatest(p_lim, 0), 100)
			for update skip locked))
		returning m.*
	)
	select c.id, c.message_id, c.kind, o.email, coalesce(a.locale, 'en'), c.tries, p.id, p.creem_order, p.transaction,
		r.name, r.name_nl, p.kind, p.units, c.credits, least(c.credits, coalesce(l.revoke_target - l.revoked, 0)),
		c.amount_cents, c.before_cents, p.amount_cents, p.tax_cents, p.paid_cents, p.currency, rfc3339(p.period_start),
		rfc3339(p.period_end), rfc3339(p.paid_at), rfc3339(c.created_at), c.account, a.user_id,
		case a.locale when 'nl' then n.subject_nl else n.subject_en end,
		coalesce(c.body, case a.locale when 'nl' then n.body_nl else n.body_en end), c.reply_to
	from claimed c
	left join account a on a.id = c.account
	cross join lateral (select case when c.kind <> 'support' then mail_address(c.account, c.kind) end as email) o
	left join payment p on p.id = c.payment
	left join product r on r.id = p.product
	left join credit_lot l on l.payment = p.id
	left join announcement n on n.id = c.announcement
	where c.kind = 'support' or o.email is not null
	order by c.id;
end
$$;
grant execute on function shotai.claim_mails(integer) to shotai_worker;

-- How long a mail is tried.
create or replace function shotai.mail_patience(p_kind text) returns interval
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	return case p_kind when 'support' then interval '14 days' else interval '1 day' end;
end
$$;

-- The message is about to leave. held false: another claim has it, it must not.
create or replace function shotai.start_mail(p_id bigint, p_attempt integer) returns table (held boolean)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	update mail_outbox m
	set state = 'sending', not_before = clock_timestamp() + interval '10 minutes'
	where m.id = p_id and m.tries = p_attempt and m.state = 'waiting';
	return query select found;
end
$$;
grant execute on function shotai.start_mail(bigint, integer) to shotai_worker;

-- outcome: retry, ever later up to an hour; sent, failed, bounced or uncertain for good. bounced: the address was
-- refused for good, with p_status.
create or replace function shotai.finish_mail(p_id bigint, p_attempt integer, p_outcome text, p_status text default null)
returns void
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_mail mail_outbox;
	v_state text;
begin
	if p_outcome is null or p_outcome not in ('sent', 'retry', 'failed', 'bounced', 'uncertain') then
		raise exception 'no such outcome' using errcode = 'invalid_parameter_value';
	end if;
	select m.* from mail_outbox m
	where m.id = p_id and m.tries = p_attempt and m.state in ('waiting', 'sending')
	for update into v_mail;
	if not found then
		return;
	end if;
	v_state := case
		when p_outcome = 'bounced' then 'failed'
		when p_outcome <> 'retry' and not (p_outcome = 'uncertain' and v_mail.kind = 'support') then p_outcome
		when v_mail.created_at > clock_timestamp() - mail_patience(v_mail.kind) then 'waiting'
		else 'failed' end;
	update mail_outbox m
	set state = v_state,
		not_before = clock_timestamp() + least(interval '1 hour', interval '30 seconds' * 2 ^ least(m.tries - 1, 12)),
		finished_at = case when v_state <> 'waiting' then clock_timestamp() end,
		body = case when v_state <> 'sent' then m.body end,
		reply_to = case when v_state <> 'sent' then m.reply_to end
	where m.id = p_id;
	if p_outcome = 'bounced' and v_mail.kind <> 'support' then
		perform note_bounce(v_mail.account, v_mail.address_hash, 'refused', p_status);
	end if;
end
$$;
grant execute on function shotai.finish_mail(bigint, integer, text, text) to shotai_worker;

-- Nothing goes to that address of the account from now on.
create or replace function shotai.note_bounce(p_account bigint, p_address_hash bytea, p_kind text, p_status text) returns void
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	insert into mail_bounce (account, address_hash, kind, status)
	values (p_account, p_address_hash, p_kind, coalesce(p_status, ''))
	on conflict (account) do update
	set address_hash = excluded.address_hash, kind = excluded.kind, status = excluded.status, bounced_at = excluded.bounced_at;
end
$$;

-- For shotaictl: what is in the outbox, newest first; null: of every kind, in every state.
create or replace function shotai.list_mails(p_kind text, p_state text, p_lim integer)
returns table (id bigint, kind text, state text, tries integer, created_at text, finished_at text, user_id uuid,
	announcement bigint)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	select m.id, m.kind, m.state, m.tries, rfc3339(m.created_at), rfc3339(m.finished_at), a.user_id, m.announcement
	from mail_outbox m
	left join account a on a.id = m.account
	where (p_kind is null or m.kind = p_kind) and (p_state is null or m.state = p_state)
	order by m.id desc
	limit p_lim;
end
$$;
grant execute on function shotai.list_mails(text, text, integer) to shotai_operator;

-- A message to support that could not be sent, or was not yet.
create or replace function shotai.show_mail(p_id bigint)
returns table (problem text, retry_after integer, extras text, kind text, state text, created_at text, user_id uuid,
	reply_to text, body text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	select null::text, null::integer, null::text, m.kind, m.state, rfc3339(m.created_at), a.user_id, m.reply_to, m.body
	from mail_outbox m
	left join account a on a.id = m.account
	where m.id = p_id;
	if not found then
		problem := 'not_found';
		return next;
	end if;
end
$$;
grant execute on function shotai.show_mail(bigint) to shotai_operator;

create or replace function shotai.mail_status() returns table (name text, value text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	return query
	select m.kind || '_' || m.state, count(*)::text from mail_outbox m group by m.kind, m.state order by 1;
	return query
	values
		('oldest_waiting', (select rfc3339(min(m.created_at)) from mail_outbox m where m.state = 'waiting')),
		('want_receipts', (select count(*)::text from account a where a.receipts and a.status <> 'closed')),
		('want_announcements', (select count(*)::text from account a where a.announcements and a.status <> 'closed')),
		('bounced_refused', (select count(*)::text from mail_bounce b where b.kind = 'refused')),
		('bounced_reported', (select count(*)::text from mail_bounce b where b.kind = 'reported'));
end
$$;
grant execute on function shotai.mail_status() to shotai_operator;

-- A delivery status notification about a mail of ours came back.
create or replace function shotai.report_bounce(p_message_id text, p_status text)
returns table (problem text, retry_after integer, extras text, user_id uuid)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
declare
	v_mail mail_outbox;
begin
	select m.* from mail_outbox m
	where m.message_id = p_message_id and m.kind <> 'support' and m.address_hash is not null
	into v_mail;
	if not found then
		problem := 'not_found';
		return next;
		return;
	end if;
	perform note_bounce(v_mail.account, v_mail.address_hash, 'reported', p_status);
	return query
	select null::text, null::integer, null::text, a.user_id from account a where a.id = v_mail.account;
end
$$;
grant execute on function shotai.report_bounce(text, text) to shotai_operator;

select set_config('role', current_setting('shotai.migrating_role'), false);

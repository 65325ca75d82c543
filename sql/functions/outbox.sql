-- Mails that payments cause, written in the transaction of the grant or the
-- refund; the worker sends them. No address is kept: it is read when one is sent.

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

-- Mails to send now, with everything they say; each is offered again after five
-- minutes unless it started or is reported, for a day. message_id: the part before
-- the @. A mail that started and was not reported within ten minutes may have
-- arrived: a second receipt looks like a second payment, so it is not sent again.
create or replace function shotai.claim_mails(p_lim integer)
returns table (id bigint, message_id text, kind text, email text, locale text, attempt integer, order_id uuid,
	creem_order text, transaction_id text, product_name text, product_name_nl text, product_kind text, units integer,
	credits bigint, lost bigint, amount_cents bigint, before_cents bigint, price_cents bigint, tax_cents bigint,
	paid_cents bigint, currency text, period_start text, period_end text, paid_at text, created_at text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	update mail_outbox m
	set state = 'uncertain', finished_at = clock_timestamp()
	where m.state = 'sending' and m.not_before <= clock_timestamp();
	-- Who switched receipts off meanwhile, or has no address any more, gets none.
	update mail_outbox m
	set state = 'failed', finished_at = clock_timestamp()
	from account a
	where m.state = 'waiting' and m.not_before <= clock_timestamp() and a.id = m.account
		and (not a.receipts or a.status = 'closed' or m.created_at <= clock_timestamp() - interval '1 day'
			or not exists (select from auth_find(a.user_id::text) u where u.email <> ''));
	return query
	with claimed as (
		update mail_outbox m
		set tries = m.tries + 1, not_before = clock_timestamp() + interval '5 minutes'
		where m.id = any (array(
			select n.id from mail_outbox n
			where n.state = 'waiting' and n.not_before <= clock_timestamp()
			order by n.not_before, n.id
			limit least(greatest(p_lim, 0), 100)
			for update skip locked))
		returning m.*
	)
	select c.id, c.message_id, c.kind, u.email, a.locale, c.tries, p.id, p.creem_order, p.transaction, r.name, r.name_nl,
		p.kind, p.units, c.credits, least(c.credits, coalesce(l.revoke_target - l.revoked, 0)), c.amount_cents, c.before_cents,
		p.amount_cents, p.tax_cents, p.paid_cents, p.currency, rfc3339(p.period_start), rfc3339(p.period_end),
		rfc3339(p.paid_at), rfc3339(c.created_at)
	from claimed c
	join account a on a.id = c.account
	cross join lateral (select u.email from auth_find(a.user_id::text) u where u.user_id = a.user_id limit 1) u
	join payment p on p.id = c.payment
	left join product r on r.id = p.product
	left join credit_lot l on l.payment = p.id
	order by c.id;
end
$$;
grant execute on function shotai.claim_mails(integer) to shotai_worker;

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

-- outcome: retry, ever later up to an hour and for a day; sent, failed or uncertain for good.
create or replace function shotai.finish_mail(p_id bigint, p_attempt integer, p_outcome text) returns void
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	if p_outcome is null or p_outcome not in ('sent', 'retry', 'failed', 'uncertain') then
		raise exception 'no such outcome' using errcode = 'invalid_parameter_value';
	end if;
	update mail_outbox m
	set state = case when p_outcome <> 'retry' then p_outcome
			when m.created_at > clock_timestamp() - interval '1 day' then 'waiting' else 'failed' end,
		not_before = clock_timestamp() + least(interval '1 hour', interval '30 seconds' * 2 ^ least(m.tries - 1, 12)),
		finished_at = case when p_outcome <> 'retry' or m.created_at <= clock_timestamp() - interval '1 day'
			then clock_timestamp() end
	where m.id = p_id and m.tries = p_attempt and m.state in ('waiting', 'sending');
end
$$;
grant execute on function shotai.finish_mail(bigint, integer, text) to shotai_worker;

select set_config('role', current_setting('shotai.migrating_role'), false);

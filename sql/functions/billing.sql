-- What an account paid, and what operators see of it.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

create or replace function shotai.list_orders(p_user_id uuid, p_lim integer, p_cursor text)
returns table (problem text, retry_after integer, extras text, cursor text, more boolean,
	id uuid, product_id text, product_name text, product_name_nl text, kind text, status text, amount_cents bigint,
	tax_cents bigint, currency text, credits bigint, refunded_cents bigint, transaction_id text, order_id text,
	period_start text, period_end text, created_at text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
declare
	v_limit integer := least(greatest(p_lim, 1), 100);
	v_account bigint;
	v_from record;
begin
	select * from read_cursor(p_cursor) into v_from;
	if v_from.extras is not null then
		problem := 'invalid_request';
		extras := v_from.extras;
		return next;
		return;
	end if;

	select a.id from account a where a.user_id = p_user_id and a.status <> 'closed' into v_account;
	return query
	select null::text, null::integer, null::text, cursor_of(n.paid_at, n.id::text),
		n.number > v_limit, n.id, n.product, r.name, r.name_nl, n.kind, payment_status(n.id), coalesce(n.paid_cents, 0),
		coalesce(n.tax_cents, 0), n.currency, n.entitlement, n.refunded_cents, n.transaction, n.creem_order,
		rfc3339(n.period_start), rfc3339(n.period_end), rfc3339(n.paid_at)
	from (
		select p.*, count(*) over () as number
		from (
			select p.* from payment p
			where p.account = v_account and (p.paid_at, p.id) < (v_from.before, v_from.before_id)
				-- Of some payments an event told no more than a name.
				and (p.confirmed_by is not null or p.paid_cents > 0)
			order by p.paid_at desc, p.id desc
			limit v_limit + 1
		) p
		order by p.paid_at desc, p.id desc
		limit v_limit
	) n
	left join product r on r.id = n.product
	order by n.paid_at desc, n.id desc;
end
$$;
grant execute on function shotai.list_orders(uuid, integer, text) to shotai_web;

create or replace function shotai.payment_status(p_payment uuid) returns text
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	return (
		select case
			when exists (select from dispute d where d.payment = p.id and d.state <> 'won') then 'disputed'
			when p.refunded_cents = 0 then 'paid'
			when p.refunded_cents < p.paid_cents then 'partially_refunded'
			else 'refunded' end
		from payment p
		where p.id = p_payment);
end
$$;

-- An operator's correction. Less takes from what expires first and fails when there is not so much.
create or replace function shotai.adjust_credits(p_user_id uuid, p_amount bigint, p_reason text, p_operator text)
returns table (problem text, retry_after integer, extras text, balance bigint)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
declare
	v_account account;
	v_action bigint;
begin
	if p_amount is null or p_amount = 0 or abs(p_amount) > 1000000000 or coalesce(p_reason, '') = ''
		or coalesce(p_operator, '') = '' then
		problem := 'invalid_request';
		extras := '{"errors":[{"pointer":"/amount","detail":"must be from 1 to 1000000000, or less than 0; with a reason and an operator"}]}';
		return next;
		return;
	elsif p_amount > 0 then
		return query select * from grant_credits(p_user_id, p_amount, 'adjustment', null, p_reason, p_operator);
		return;
	end if;

	select a.* from account a where a.user_id = p_user_id and a.status <> 'closed' for no key update into v_account;
	if not found then
		problem := 'not_found';
		return next;
		return;
	end if;
	v_account.balance := v_account.balance - expire_lots(v_account.id);
	if v_account.balance < -p_amount then
		problem := 'insufficient_credits';
		extras := jsonb_build_object('required', -p_amount, 'balance', v_account.balance)::text;
		return next;
		return;
	end if;
	insert into operator_log (operator, action, account, reason, detail)
	values (p_operator, 'adjust_credits', v_account.id, p_reason, jsonb_build_object('amount', p_amount))
	returning id into v_action;
	perform take_credits(v_account.id, 'adjust', -p_amount, 'operator:' || v_action, null);
	balance := v_account.balance + p_amount;
	return next;
end
$$;
grant execute on function shotai.adjust_credits(uuid, bigint, text, text) to shotai_operator;

-- Which refunds a generation's end was, for the lists of operators; null: none.
create or replace function shotai.refund_class(p_status text, p_error_code text, p_moderation text, p_refunded bigint) returns text
language plpgsql immutable security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	return case
		when p_refunded = 0 then null
		when p_status = 'canceled' then 'canceled'
		when p_moderation in ('deny', 'flag') then 'screened'
		when p_error_code = 'content_policy' then 'refused'
		when p_error_code in ('reference_expired', 'invalid_output') then p_error_code
		when p_error_code like 'provider%' or p_error_code = 'moderation_unavailable' then 'provider'
		else 'internal' end;
end
$$;

-- Refunds of generations by class and account, the most refunded first.
create or replace function shotai.list_refund_classes(p_since timestamptz)
returns table (user_id uuid, class text, generations bigint, credits bigint, share numeric)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	select a.user_id, c.class, c.generations, c.credits, round(c.credits::numeric / c.charged, 3)
	from (
		select g.account, refund_class(g.status, g.error_code, g.moderation, g.credits_refunded) as class,
			count(*) as generations, sum(g.credits_refunded)::bigint as credits,
			sum(sum(g.credits_charged)) over (partition by g.account) as charged
		from generation g
		where g.finished_at >= coalesce(p_since, clock_timestamp() - interval '24 hours')
		group by 1, 2
	) c
	join account a on a.id = c.account
	where c.class is not null
	order by c.credits desc, a.user_id, c.class
	limit 1000;
end
$$;
grant execute on function shotai.list_refund_classes(timestamptz) to shotai_operator;

-- What was lost and what waits, for operators.
create or replace function shotai.billing_status() returns table (name text, value text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	select s.name, s.value
	from (values
		(1, 'credits_lost', (select coalesce(sum(l.revoke_target - l.revoked), 0)::text from credit_lot l)),
		(2, 'payments', (select count(*)::text from payment p where p.confirmed_by is not null)),
		(3, 'payments_unconfirmed', (select count(*)::text from payment p where p.confirmed_by is null)),
		(4, 'subscriptions', (select count(*)::text from subscription s where coalesce(s.status, '') <> 'canceled')),
		(5, 'disputes_open', (select count(*)::text from dispute d where d.state = 'open')),
		(6, 'refunds_pending', (select count(*)::text from payment_refund r where r.status not in ('succeeded', 'failed', 'canceled'))),
		(7, 'events_parked', (select count(*)::text from creem_event e where e.state = 'parked')),
		(8, 'events_failed', (select count(*)::text from creem_event e where e.state = 'failed')),
		(9, 'events_ignored', (select count(*)::text from creem_event e where e.state = 'ignored')),
		(10, 'mails_waiting', (select count(*)::text from mail_outbox m where m.state = 'waiting')),
		(11, 'mails_failed', (select count(*)::text from mail_outbox m where m.state = 'failed')),
		(12, 'subscribed_twice', (select count(*)::text from (
			select from subscription s where coalesce(s.status, '') <> 'canceled' group by s.account having count(*) > 1) t)),
		-- Nobody can spend these: to be refunded at Creem.
		(13, 'paid_after_closing', (select count(*)::text from payment p join account a on a.id = p.account
			where a.status = 'closed' and p.confirmed_by is not null and p.paid_at > a.closed_at
				and p.refunded_cents < coalesce(p.paid_cents, 0)))
	) s (place, name, value)
	order by s.place;
	return query
	select 'refunded_24h_' || c.class, sum(c.credits)::text from list_refund_classes(null) c group by c.class order by c.class;
end
$$;


select set_config('role', current_setting('shotai.migrating_role'), false);

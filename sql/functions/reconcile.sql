-- Repair of what Creem's webhooks did not tell: objects read from its API,
-- applied by the same rules.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

-- What to ask Creem's API for. product: its transactions, page by page;
-- checkout, subscription and transaction: that object.
create or replace function shotai.reconcile_targets() returns table (kind text, id text, since text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	select 'checkout', c.creem_id, rfc3339(c.created_at)
	from checkout c
	where c.creem_id is not null and c.state in ('open', 'retired') and c.created_at > clock_timestamp() - interval '30 days'
	order by c.created_at;
	return query
	select 'product', r.creem_product, rfc3339(clock_timestamp() - interval '30 days')
	from product r
	where r.creem_product is not null
	order by r.position, r.id;
	return query
	select 'subscription', s.id, rfc3339(s.created_at)
	from subscription s
	where coalesce(s.status, '') <> 'canceled'
	order by s.id;
	return query
	select distinct 'transaction', p.transaction, rfc3339(min(r.created_at) over (partition by p.id))
	from payment_refund r
	join payment p on p.id = r.payment
	where r.status not in ('succeeded', 'failed', 'canceled') and p.transaction is not null
		and r.created_at > clock_timestamp() - interval '60 days'
		and p.refunded_seen < (select sum(o.amount_cents) from payment_refund o
			where o.payment = p.id and o.status not in ('failed', 'canceled'))
	order by 2;
end
$$;
grant execute on function shotai.reconcile_targets() to shotai_operator, shotai_worker;

-- Applies one object of Creem's API: a transaction (with a member `product`,
-- the id under which it was found), a checkout, a subscription. outcome:
-- applied (something changed), duplicate (nothing lacked), parked (whose it is
-- or what was bought is not known), ambiguous (an operator must look) or
-- ignored (not paid, of another mode, unreadable). Checkouts go first, then
-- transactions in the order of time, then subscriptions.
create or replace function shotai.apply_transaction(p_raw text, p_operator text)
returns table (outcome text, reason text, subject text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
declare
	v_object jsonb;
	v_type text;
	v_fact creem_fact;
	v_result record;
	v_before text;
begin
	perform lock_creem();
	begin
		v_object := json_object(p_raw::jsonb);
	exception when data_exception or program_limit_exceeded then
		v_object := '{}';
	end;
	v_type := case coalesce(json_text(v_object -> 'object'), split_part(json_id(v_object), '_', 1))
		when 'transaction' then 'transaction' when 'tran' then 'transaction'
		when 'checkout' then 'checkout.completed' when 'ch' then 'checkout.completed'
		when 'subscription' then 'subscription.read' when 'sub' then 'subscription.read' end;
	v_fact := creem_facts(split_part(v_type, '.', 1), v_object);
	if v_type is null or (v_type = 'checkout.completed' and v_fact.status <> 'completed') then
		outcome := 'ignored';
		return next;
		return;
	end if;
	if v_type = 'transaction' then
		v_fact := complete_transaction(v_fact);
		reason := ambiguity(v_fact);
		if reason is not null then
			outcome := 'ambiguous';
			subject := 'payment:' || note_ambiguous(v_fact);
			return next;
			return;
		end if;
	end if;

	v_before := fact_state(v_fact);
	select * from apply_fact(v_type, v_fact, coalesce(v_fact.updated_at, v_fact.created_at), null) into v_result;
	outcome := case when v_result.state = 'applied' and fact_state(v_fact) is not distinct from v_before
		then 'duplicate' else v_result.state end;
	reason := v_result.reason;
	subject := v_result.subject;
	if outcome = 'applied' then
		insert into operator_log (operator, action, account, reason, detail)
		values (p_operator, 'reconcile', v_result.account, 'Creem''s API', jsonb_build_object('object', v_fact.id, 'subject', subject));
	end if;
	if v_result.keys <> '{}' then
		perform apply_parked(v_result.keys);
	end if;
	return next;
end
$$;
grant execute on function shotai.apply_transaction(text, text) to shotai_operator, shotai_worker;

-- A transaction says neither how many were bought nor, by itself, what. What
-- its payment, checkout or subscription tells is added.
create or replace function shotai.complete_transaction(f shotai.creem_fact) returns shotai.creem_fact
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_known record;
	v_price bigint;
	v_covered boolean;
begin
	select p.units, r.creem_product from payment p join product r on r.id = p.product
	where p.transaction = f.transaction or (f.subscription is null and p.kind = 'top_up' and p.creem_order = f.creem_order)
	order by p.confirmed_by nulls last limit 1
	into v_known;
	f.units := coalesce(v_known.units, f.units);
	f.product := coalesce(v_known.creem_product, f.product);
	if f.product is null then
		select r.creem_product from subscription s join product r on r.id = s.product where s.id = f.subscription into f.product;
	end if;
	if f.units is not null then
		return f;
	end if;

	select (price_at(r.id, f.paid_at)).price_cents from product r where r.creem_product = f.product into v_price;
	v_covered := exists (
		select from payment p
		where p.subscription = f.subscription and p.transaction is distinct from f.transaction and p.confirmed_by is not null
			and p.period_start <= f.period_start and f.period_start < p.period_end);
	if v_covered then -- the difference to a plan that ran: its sum tells nothing
		select s.units from subscription s join product r on r.id = s.product
		where s.id = f.subscription and r.creem_product = f.product into f.units;
	elsif v_price > 0 and f.amount % v_price = 0 and f.amount / v_price between 1 and 1000000 then
		f.units := f.amount / v_price;
	end if;
	return f;
end
$$;

-- Why a transaction may not be applied without an operator; null: it may.
create or replace function shotai.ambiguity(f shotai.creem_fact) returns text
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	return case
		when grants('transaction', f) <> 'grant' or account_of(f) is null then null
		when exists (select from payment p where p.transaction = f.transaction and p.confirmed_by is not null) then null
		when not sold(f) then null
		when f.units is null then 'units'
		when f.subscription is null and f.creem_order is null then 'order' end;
end
$$;

-- What it grants is not clear; that it was paid, refunded or charged back is.
create or replace function shotai.note_ambiguous(f shotai.creem_fact) returns uuid
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_account bigint := account_of(f);
	v_keys text[];
	v_payment uuid;
begin
	perform from account a where a.id = v_account for no key update;
	perform expire_lots(v_account);
	v_keys := add_links(v_account, f);
	v_payment := note_transaction(v_account, f, null, f.created_at);
	perform apply_parked(v_keys);
	return v_payment;
end
$$;

-- A paid transaction read from the API proves its payment as the missing event would have; a chargeback opens a dispute.
create or replace function shotai.apply_invoice(p_account bigint, f shotai.creem_fact, p_sent_at timestamptz) returns text
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	if grants('transaction', f) <> 'grant' then
		return 'transaction:' || f.id;
	end if;
	return 'payment:' || note_transaction(p_account, f, 'transaction', p_sent_at);
end
$$;

create or replace function shotai.note_transaction(p_account bigint, f shotai.creem_fact, p_confirm text, p_sent_at timestamptz)
returns uuid
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_payment uuid := note_payment(p_account, f, p_confirm, p_sent_at);
begin
	if f.transaction_status in ('chargedBack', 'chargeback') then
		perform open_dispute(p_account, v_payment, 'chargeback:' || f.id, f.refunded, coalesce(p_sent_at, clock_timestamp()));
	end if;
	perform settle_payment(v_payment);
	return v_payment;
end
$$;

-- Everything that an object can change, to tell whether it did.
create or replace function shotai.fact_state(f shotai.creem_fact) returns text
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	return concat_ws(' ',
		(select string_agg(p::text, ' ' order by p.id) from payment p
			where p.subscription = f.subscription or p.transaction = f.transaction or (p.kind = 'top_up' and p.creem_order = f.creem_order)),
		(select s::text from subscription s where s.id = f.subscription),
		(select c::text from checkout c where c.id = f.request_id or c.creem_id = f.checkout limit 1),
		(select string_agg(l::text, ' ' order by l.kind, l.id, l.account) from creem_link l where l.id = any (fact_keys(f))));
end
$$;

select set_config('role', current_setting('shotai.migrating_role'), false);

-- Checkouts: a row of ours first, whose id Creem gets as request_id.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

-- After the refusals of admit the first of this order is given: a replay or
-- idempotency_key_reused, product_unknown, already_subscribed, rate_limited.
create or replace function shotai.start_checkout(p_user_id uuid, p_session_id uuid, p_product_id text,
	p_idempotency_key text, p_request_hash text)
returns table (problem text, retry_after integer, extras text, rate text, replayed boolean, checkout_id uuid,
	creem_product_id text, email text, checkout_url text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
declare
	v_in admission := admit(p_user_id, p_session_id, 'checkout', p_idempotency_key, p_request_hash);
	v_account bigint := (v_in.account).id;
	v_earlier checkout;
	v_sale sale;
begin
	problem := v_in.problem;
	retry_after := v_in.retry_after;
	extras := v_in.extras;
	rate := v_in.rate;
	if problem is not null then
		return next;
		return;
	end if;

	select c.* from checkout c where c.id = v_in.created into v_earlier;
	-- Creem has at most 5 seconds to answer; later the request that asked has died.
	if v_earlier.state = 'created' and v_earlier.created_at > clock_timestamp() - interval '10 seconds' then
		problem := 'idempotency_in_progress';
		retry_after := 2;
	elsif v_earlier.state in ('open', 'completed') and v_in.reused then
		problem := 'idempotency_key_reused';
	elsif v_earlier.state in ('open', 'completed') then
		replayed := true;
		checkout_id := v_earlier.id;
		checkout_url := v_earlier.url;
		email := v_in.email;
		select r.creem_product from product r where r.id = v_earlier.product into creem_product_id;
	end if;
	if problem is not null or replayed then
		return next;
		return;
	end if;
	update checkout c set state = 'retired' where c.id = v_earlier.id and c.state = 'created';

	select s.* from sale s where s.id = p_product_id and s.available into v_sale;
	problem := case
		when v_sale.id is null then 'product_unknown'
		when v_sale.kind = 'subscription' and exists (
			select from subscription s
			where s.account = v_account and coalesce(s.status, '') not in ('canceled', 'expired', 'incomplete')
		) then 'already_subscribed'
		when v_in.wait > 0 then 'rate_limited' end;
	if problem is not null then
		retry_after := case problem when 'rate_limited' then v_in.wait end;
		return next;
		return;
	end if;

	insert into checkout (account, product) values (v_account, v_sale.id) returning id into checkout_id;
	perform keep_key(v_account, 'checkout', p_idempotency_key, p_request_hash, checkout_id);
	replayed := false;
	creem_product_id := v_sale.creem_product;
	email := v_in.email;
	return next;
end
$$;
grant execute on function shotai.start_checkout(uuid, uuid, text, text, text) to shotai_web;

-- Creem made it. One whose webhook was faster stays completed; nobody pays for an account that was closed meanwhile.
create or replace function shotai.open_checkout(p_checkout_id uuid, p_creem_checkout_id text, p_checkout_url text)
returns table (problem text, retry_after integer, extras text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
declare
	v_account bigint;
	v_closed boolean;
begin
	select c.account from checkout c where c.id = p_checkout_id into v_account;
	select a.status = 'closed' from account a where a.id = v_account for no key update into v_closed;
	update checkout c
	set state = case when c.state = 'completed' then 'completed' when v_closed then 'retired' else 'open' end,
		creem_id = p_creem_checkout_id, url = case when not v_closed then p_checkout_url end
	where c.id = p_checkout_id and c.state in ('created', 'retired', 'completed')
		and coalesce(c.creem_id, p_creem_checkout_id) = p_creem_checkout_id;
	problem := case when not found then 'not_found' when v_closed then 'account_suspended' end;
	return next;
end
$$;
grant execute on function shotai.open_checkout(uuid, text, text) to shotai_web;

-- Creem refused it, or whether it did is not known: it is never posted again.
create or replace function shotai.retire_checkout(p_checkout_id uuid) returns void
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	update checkout c set state = 'retired' where c.id = p_checkout_id and c.state = 'created';
end
$$;
grant execute on function shotai.retire_checkout(uuid) to shotai_web;

create or replace function shotai.get_portal_customer(p_user_id uuid, p_session_id uuid)
returns table (problem text, retry_after integer, extras text, rate text, creem_customer_id text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
declare
	v_in admission := admit(p_user_id, p_session_id, 'portal');
begin
	-- The customer of the newest purchase, unless he pays for others too.
	select l.id from creem_link l
	where l.account = (v_in.account).id and l.kind = 'customer'
		and not exists (select from creem_link o where o.kind = 'customer' and o.id = l.id and o.account <> l.account)
	order by l.created_at desc, l.id
	limit 1
	into creem_customer_id;
	problem := case
		when v_in.problem is not null then v_in.problem
		when creem_customer_id is null then 'not_found'
		when v_in.wait > 0 then 'rate_limited' end;
	retry_after := case problem when 'rate_limited' then v_in.wait end;
	rate := v_in.rate;
	return next;
end
$$;
grant execute on function shotai.get_portal_customer(uuid, uuid) to shotai_web;

select set_config('role', current_setting('shotai.migrating_role'), false);

-- Checkouts: a row of ours first, whose id Creem gets as request_id.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

-- Refusals in this order: unauthenticated, anonymous_not_allowed,
-- idempotency_in_progress, account_suspended, age_confirmation_required, a
-- replay or idempotency_key_reused, product_unknown, already_subscribed,
-- rate_limited: each new row is a call to Creem.
create or replace function shotai.start_checkout(p_user_id uuid, p_session_id uuid, p_product_id text,
	p_idempotency_key text, p_request_hash text)
returns table (problem text, retry_after integer, extras text, replayed boolean, checkout_id uuid, creem_product_id text,
	email text, checkout_url text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
declare
	v_route constant text := 'checkout';
	v_hash bytea := decode(p_request_hash, 'hex');
	v_user record;
	v_account account;
	v_key idempotency;
	v_earlier checkout;
	v_sale sale;
begin
	select * from auth_session(p_user_id, p_session_id) into v_user;
	problem := case when not found then 'unauthenticated' when v_user.anonymous then 'anonymous_not_allowed' end;
	if problem is null and p_idempotency_key is not null and not hold_key(p_user_id, v_route, p_idempotency_key) then
		problem := 'idempotency_in_progress';
		retry_after := 1;
	end if;
	if problem is not null then
		return next;
		return;
	end if;
	select * from open_account(p_user_id) into v_account;
	problem := case
		when v_account.id is null or v_account.status <> 'active' then 'account_suspended'
		when v_account.age_confirmed_at is null then 'age_confirmation_required' end;
	if problem is not null then
		return next;
		return;
	end if;

	select k.* from idempotency k
	where k.account = v_account.id and k.route = v_route and k.key = p_idempotency_key
		and k.created_at > clock_timestamp() - retention('idempotency')
	into v_key;
	select c.* from checkout c where c.id = v_key.created into v_earlier;
	-- Creem has at most 5 seconds to answer; later the request that asked has died.
	if v_earlier.state = 'created' and v_earlier.created_at > clock_timestamp() - interval '10 seconds' then
		problem := 'idempotency_in_progress';
		retry_after := 2;
	elsif v_earlier.state in ('open', 'completed') and v_key.request_hash <> v_hash then
		problem := 'idempotency_key_reused';
	elsif v_earlier.state in ('open', 'completed') then
		replayed := true;
		checkout_id := v_earlier.id;
		checkout_url := v_earlier.url;
		email := v_user.email;
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
			where s.account = v_account.id and coalesce(s.status, '') not in ('canceled', 'expired', 'incomplete')
		) then 'already_subscribed' end;
	if problem is null then
		retry_after := nullif(take_token(v_account.id, v_route, 30, 10), 0);
		problem := case when retry_after is not null then 'rate_limited' end;
	end if;
	if problem is not null then
		return next;
		return;
	end if;

	insert into checkout (account, product) values (v_account.id, v_sale.id) returning id into checkout_id;
	if p_idempotency_key is not null then
		insert into idempotency as k (account, route, key, request_hash, created)
		values (v_account.id, v_route, p_idempotency_key, v_hash, checkout_id)
		on conflict (account, route, key) do update
		set request_hash = excluded.request_hash, created = excluded.created, created_at = excluded.created_at;
	end if;
	replayed := false;
	creem_product_id := v_sale.creem_product;
	email := v_user.email;
	return next;
end
$$;
grant execute on function shotai.start_checkout(uuid, uuid, text, text, text) to shotai_web;

-- Creem made it. One whose webhook was faster stays completed.
create or replace function shotai.open_checkout(p_checkout_id uuid, p_creem_checkout_id text, p_checkout_url text)
returns table (problem text, retry_after integer, extras text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
declare
	v_account bigint;
begin
	select c.account from checkout c where c.id = p_checkout_id into v_account;
	perform from account a where a.id = v_account for no key update;
	update checkout c
	set state = case c.state when 'completed' then 'completed' else 'open' end,
		creem_id = p_creem_checkout_id, url = p_checkout_url
	where c.id = p_checkout_id and c.state in ('created', 'retired', 'completed')
		and coalesce(c.creem_id, p_creem_checkout_id) = p_creem_checkout_id;
	if not found then
		problem := 'not_found';
	end if;
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

-- Open to suspended accounts too.
create or replace function shotai.get_portal_customer(p_user_id uuid, p_session_id uuid)
returns table (problem text, retry_after integer, extras text, creem_customer_id text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
declare
	v_user record;
begin
	select * from auth_session(p_user_id, p_session_id) into v_user;
	problem := case when not found then 'unauthenticated' when v_user.anonymous then 'anonymous_not_allowed' end;
	if problem is null then
		-- The customer of the newest purchase, unless he pays for others too.
		select l.id from creem_link l join account a on a.id = l.account
		where a.user_id = p_user_id and a.status <> 'closed' and l.kind = 'customer'
			and not exists (select from creem_link o where o.kind = 'customer' and o.id = l.id and o.account <> l.account)
		order by l.created_at desc, l.id
		limit 1
		into creem_customer_id;
		problem := case when creem_customer_id is null then 'not_found' end;
	end if;
	return next;
end
$$;
grant execute on function shotai.get_portal_customer(uuid, uuid) to shotai_web;

select set_config('role', current_setting('shotai.migrating_role'), false);

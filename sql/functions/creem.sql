-- Creem's objects, read leniently: an object or its id, null as absent, both
-- kinds of dates, numbers as text, members that are missing. What cannot be
-- read is null and raises nothing.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

create or replace function shotai.json_id(p_value jsonb) returns text
language plpgsql immutable security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_id text := case jsonb_typeof(p_value)
		when 'string' then p_value #>> '{}'
		when 'object' then case jsonb_typeof(p_value -> 'id') when 'string' then p_value ->> 'id' end end;
begin
	return case when length(v_id) between 1 and 255 then v_id end;
end
$$;

create or replace function shotai.json_object(p_value jsonb) returns jsonb
language plpgsql immutable security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	return case jsonb_typeof(p_value) when 'object' then p_value else '{}'::jsonb end;
end
$$;

create or replace function shotai.json_text(p_value jsonb) returns text
language plpgsql immutable security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	return case jsonb_typeof(p_value) when 'string' then left(p_value #>> '{}', 255) end;
end
$$;

-- A count or an amount; one below 0 or beyond a thousand billions is unreadable.
create or replace function shotai.json_number(p_value jsonb) returns bigint
language plpgsql immutable security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_text text := p_value #>> '{}';
	v_number numeric;
begin
	if jsonb_typeof(p_value) = 'number' or (jsonb_typeof(p_value) = 'string' and v_text ~ '^[0-9]{1,15}$') then
		v_number := trunc(v_text::numeric);
	end if;
	return case when v_number between 0 and 1000000000000 then v_number::bigint end;
end
$$;

-- Milliseconds since 1970 or ISO 8601; without a zone it is UTC.
create or replace function shotai.json_time(p_value jsonb) returns timestamptz
language plpgsql stable security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_text text := p_value #>> '{}';
begin
	if jsonb_typeof(p_value) = 'number' or v_text ~ '^[0-9]{11,14}$' then
		return case when v_text::numeric between 0 and 99999999999999 then to_timestamp(v_text::numeric / 1000) end;
	elsif v_text !~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9:.]{5,18}([Zz]|[+-][0-9]{2}:?([0-9]{2})?)?)?$' then
		return null;
	elsif v_text ~ '([Zz]|[T ].*[+-][0-9:]+)$' then
		return v_text::timestamptz;
	end if;
	return v_text::timestamp at time zone 'UTC';
exception when data_exception then
	return null;
end
$$;

-- How many were bought: those items of the subscription's own product.
create or replace function shotai.json_units(p_subscription jsonb, p_product text) returns integer
language plpgsql immutable security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_units bigint;
begin
	if jsonb_typeof(p_subscription -> 'items') = 'array' then
		select sum(coalesce(json_number(i.item -> 'units'), 1))
		from jsonb_array_elements(p_subscription -> 'items') i (item)
		where jsonb_typeof(i.item) = 'object' and coalesce(json_id(i.item -> 'product_id'), p_product) = p_product
		into v_units;
	end if;
	return case when v_units between 1 and 1000000 then v_units end;
end
$$;

-- kind: what the object is (checkout, subscription, transaction, refund or
-- dispute). Nested objects give ids and the payment's sums, nothing else.
create or replace function shotai.creem_facts(p_kind text, p_object jsonb) returns shotai.creem_fact
language plpgsql stable security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	f creem_fact;
	v_checkout jsonb := case p_kind when 'checkout' then p_object else json_object(p_object -> 'checkout') end;
	v_order jsonb := json_object(p_object -> 'order');
	v_transaction jsonb := case p_kind when 'transaction' then p_object
		when 'subscription' then json_object(p_object -> 'last_transaction')
		else json_object(p_object -> 'transaction') end;
	v_paid jsonb := case p_kind when 'checkout' then v_order else v_transaction end;
	v_units bigint;
begin
	f.kind := p_kind;
	f.mode := json_text(p_object -> 'mode');
	f.id := json_id(p_object);
	f.status := json_text(p_object -> 'status');
	f.created_at := json_time(p_object -> 'created_at');
	f.updated_at := json_time(p_object -> 'updated_at');

	f.transaction := case p_kind when 'transaction' then f.id
		when 'subscription' then coalesce(json_id(p_object -> 'last_transaction_id'), json_id(v_transaction))
		when 'checkout' then json_id(v_order -> 'transaction')
		else json_id(p_object -> 'transaction') end;
	if p_kind = 'subscription' and json_id(v_transaction) <> f.transaction then
		v_transaction := '{}';
		v_paid := '{}';
	end if;
	f.subscription := case p_kind when 'subscription' then f.id
		else coalesce(json_id(p_object -> 'subscription'), json_id(v_transaction -> 'subscription')) end;
	f.creem_order := coalesce(json_id(p_object -> 'order'), json_id(v_transaction -> 'order'));
	f.checkout := case p_kind when 'checkout' then f.id else json_id(p_object -> 'checkout') end;
	f.customer := coalesce(json_id(p_object -> 'customer'), json_id(v_order -> 'customer'), json_id(v_transaction -> 'customer'));
	f.request_id := case when json_text(v_checkout -> 'request_id')
		~* '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$' then (v_checkout ->> 'request_id')::uuid end;

	f.product := case when p_kind in ('checkout', 'subscription', 'transaction')
		then coalesce(json_id(p_object -> 'product'), json_id(v_order -> 'product')) end;
	v_units := case p_kind when 'subscription' then json_units(p_object, f.product) else json_number(p_object -> 'units') end;
	f.units := case when v_units between 1 and 1000000 then v_units end;
	f.custom_price := json_number(p_object -> 'custom_price');

	f.amount := json_number(v_paid -> 'amount');
	f.tax := json_number(v_paid -> 'tax_amount');
	f.paid := coalesce(json_number(v_paid -> 'amount_paid'), case
		when json_text(v_paid -> 'status') in ('pending', 'uncollectible', 'declined', 'canceled', 'void') then null
		else f.amount + coalesce(f.tax, 0) end);
	f.refunded := json_number(v_transaction -> 'refunded_amount');
	f.currency := upper(coalesce(json_text(v_paid -> 'currency'), json_text(p_object -> 'currency'), json_text(p_object -> 'refund_currency')));
	f.transaction_type := json_text(v_transaction -> 'type');
	f.transaction_status := json_text(v_transaction -> 'status');
	f.paid_at := coalesce(json_time(v_paid -> 'created_at'), json_time(p_object -> 'last_transaction_date'));
	f.order_type := json_text(v_order -> 'type');
	f.order_status := json_text(v_order -> 'status');
	f.own_amount := coalesce(json_number(p_object -> 'refund_amount'), json_number(p_object -> 'amount'));
	-- A sum in another currency cannot be compared with what was paid; refunded_amount can.
	if p_kind = 'refund' and f.currency <> upper(json_text(p_object -> 'refund_currency')) then
		f.own_amount := null;
	end if;

	f.current_period_start := json_time(p_object -> 'current_period_start_date');
	f.current_period_end := json_time(p_object -> 'current_period_end_date');
	f.period_start := coalesce(json_time(v_transaction -> 'period_start'), f.current_period_start);
	f.period_end := coalesce(json_time(v_transaction -> 'period_end'), f.current_period_end);
	return f;
end
$$;

-- The ids by which an object is found again.
create or replace function shotai.fact_keys(f shotai.creem_fact) returns text[]
language plpgsql immutable security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	return array_remove(array[f.subscription, f.creem_order, f.checkout, f.transaction, f.customer,
		f.request_id::text, f.product], null);
end
$$;

-- Without what tells of the buyer, at any depth; with p_ids a customer becomes his id.
create or replace function shotai.strip_person(p_value jsonb, p_ids boolean) returns jsonb
language plpgsql immutable security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	if jsonb_typeof(p_value) = 'array' then
		return (
			select coalesce(jsonb_agg(case when jsonb_typeof(e.value) in ('object', 'array') then strip_person(e.value, p_ids)
				else e.value end order by e.place), '[]')
			from jsonb_array_elements(p_value) with ordinality e (value, place));
	elsif jsonb_typeof(p_value) <> 'object' then
		return p_value;
	end if;
	return (
		select coalesce(jsonb_object_agg(m.key, case
			when m.key = 'customer' then to_jsonb(json_id(m.value))
			when jsonb_typeof(m.value) in ('object', 'array') then strip_person(m.value, p_ids)
			else m.value end), '{}')
		from jsonb_each(p_value) m
		where m.key not in ('customer', 'metadata', 'custom_fields', 'email', 'customer_email', 'billing_address') or (p_ids and m.key = 'customer'));
end
$$;

-- Whose an object is; null: not known. Ids that belong to different accounts
-- are an error. A customer counts only where nothing else is known and it can
-- be nobody else's: one may pay for several accounts, and a subscription's
-- events may come before the checkout that says whose it is.
create or replace function shotai.account_of(f shotai.creem_fact) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_accounts bigint[];
begin
	select array_agg(distinct o.account) from (
		select l.account from creem_link l
		where (l.kind, l.id) in (('subscription', f.subscription), ('order', f.creem_order), ('checkout', f.checkout),
			('transaction', f.transaction))
		union all
		select c.account from checkout c where c.id = f.request_id or c.creem_id = f.checkout
	) o into v_accounts;
	if cardinality(v_accounts) > 1 then
		raise exception 'ids of different accounts' using errcode = 'cardinality_violation';
	elsif v_accounts is null then
		select array_agg(l.account) from creem_link l where l.kind = 'customer' and l.id = f.customer into v_accounts;
		if cardinality(v_accounts) > 1 or exists (
			select from checkout c join product p on p.id = c.product
			where c.state in ('created', 'open') and c.account <> v_accounts[1] and p.creem_product = coalesce(f.product, p.creem_product)
				and c.created_at > clock_timestamp() - interval '7 days'
		) then
			return null;
		end if;
	end if;
	return v_accounts[1];
end
$$;

-- Remembers whose the ids of an object are, of an erased account not who the
-- customer is; returns those that were new.
create or replace function shotai.add_links(p_account bigint, f shotai.creem_fact) returns text[]
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_new text[];
begin
	with added as (
		insert into creem_link (kind, id, account)
		select l.kind, l.id, p_account
		from (values ('subscription', f.subscription), ('order', f.creem_order), ('checkout', f.checkout),
			('transaction', f.transaction), ('customer', f.customer)) l (kind, id)
		where l.id is not null
			and (l.kind <> 'customer' or exists (select from account a where a.id = p_account and a.status <> 'closed'))
		on conflict do nothing
		returning id
	)
	select coalesce(array_agg(added.id), '{}') from added into v_new;
	if f.subscription is not null then
		insert into subscription (id, account) values (f.subscription, p_account) on conflict do nothing;
	end if;
	return v_new;
end
$$;

select set_config('role', current_setting('shotai.migrating_role'), false);

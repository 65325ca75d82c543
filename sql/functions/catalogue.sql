-- What is sold and what it costs; changed by operators.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

-- The products with the price in force; one without a price is no offer.
create or replace view shotai.sale as
select r.id, r.kind, r.name, r.name_nl, c.id as price, c.credits, c.price_cents, c.currency, r.interval, r.rollover,
	r.creem_product, r.position, r.enabled and r.creem_product is not null as available
from shotai.product r
cross join lateral (
	select c.*
	from shotai.product_price c
	where c.product = r.id and c.effective_from <= clock_timestamp()
	order by c.effective_from desc
	limit 1
) c;

create or replace function shotai.list_products()
returns table (id text, kind text, name text, name_nl text, credits bigint, price_cents bigint, currency text,
	"interval" text, rollover boolean)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	select s.id, s.kind, s.name, s.name_nl, s.credits, s.price_cents, s.currency, s.interval, s.rollover
	from sale s
	where s.available
	order by s.position, s.id;
end
$$;
grant execute on function shotai.list_products() to shotai_web;

-- All of them, for operators.
create or replace function shotai.catalogue()
returns table (id text, kind text, name text, name_nl text, "interval" text, rollover boolean, creem_product text,
	"position" integer, enabled boolean, credits bigint, price_cents bigint, currency text, effective_from text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	select r.id, r.kind, r.name, r.name_nl, r.interval, r.rollover, r.creem_product, r.position, r.enabled,
		c.credits, c.price_cents, c.currency, rfc3339(c.effective_from)
	from product r
	left join product_price c on c.product = r.id
	order by r.position, r.id, c.effective_from;
end
$$;
grant execute on function shotai.catalogue() to shotai_operator;

create or replace function shotai.list_model_prices()
returns table (id text, name text, provider text, enabled boolean, provider_enabled boolean, credits integer, effective_from text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	select m.id, m.name, m.provider, m.enabled, p.enabled, c.credits, rfc3339(c.effective_from)
	from model m
	join provider p on p.id = m.provider
	left join model_price c on c.model = m.id
	order by m.position, m.id, c.effective_from;
end
$$;
grant execute on function shotai.list_model_prices() to shotai_operator;

-- Makes or changes a product; its price is set apart. Payments that waited for it are applied.
create or replace function shotai.set_product(p_id text, p_kind text, p_name text, p_name_nl text, p_interval text,
	p_rollover boolean, p_creem_product text, p_position integer, p_enabled boolean, p_operator text)
returns table (problem text, retry_after integer, extras text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_old product;
	v_errors jsonb := '[]';
begin
	perform lock_creem();
	select r.* from product r where r.id = p_id for update into v_old;
	if coalesce(p_id, '') !~ '^[a-z0-9][a-z0-9.-]{0,63}$' then
		v_errors := v_errors || '{"pointer":"/id","detail":"must be lower-case letters, digits, dots and dashes"}'::jsonb;
	end if;
	if coalesce(p_kind, '') not in ('subscription', 'top_up') or p_kind <> v_old.kind then
		v_errors := v_errors || '{"pointer":"/kind","detail":"must be subscription or top_up, and stays what it was"}'::jsonb;
	end if;
	if p_interval not in ('month', 'year') or (p_kind = 'subscription') <> (p_interval is not null) then
		v_errors := v_errors || '{"pointer":"/interval","detail":"must be month or year for a subscription, else none"}'::jsonb;
	end if;
	if coalesce(p_name, '') = '' or coalesce(p_name_nl, '') = '' then
		v_errors := v_errors || '{"pointer":"/name","detail":"both names must be given"}'::jsonb;
	end if;
	if p_rollover and p_kind = 'top_up' then
		v_errors := v_errors || '{"pointer":"/rollover","detail":"is for subscriptions"}'::jsonb;
	end if;
	if exists (select from product r where r.creem_product = p_creem_product and r.id <> p_id) then
		v_errors := v_errors || '{"pointer":"/creem_product","detail":"belongs to another product"}'::jsonb;
	end if;
	if v_errors <> '[]' then
		problem := 'invalid_request';
		extras := jsonb_build_object('errors', v_errors)::text;
		return next;
		return;
	end if;

	insert into product as r (id, kind, name, name_nl, interval, rollover, creem_product, position, enabled)
	values (p_id, p_kind, p_name, p_name_nl, p_interval, coalesce(p_rollover, false), nullif(p_creem_product, ''),
		coalesce(p_position, 0), coalesce(p_enabled, true))
	on conflict (id) do update
	set name = excluded.name, name_nl = excluded.name_nl, interval = excluded.interval, rollover = excluded.rollover,
		creem_product = excluded.creem_product, position = coalesce(p_position, r.position), enabled = excluded.enabled;
	insert into operator_log (operator, action, reason, detail)
	select p_operator, 'set_product', 'catalogue', to_jsonb(r) from product r where r.id = p_id;
	if exists (select from product_price c where c.product = p_id) then
		perform apply_parked(array[p_creem_product]);
	end if;
	return next;
end
$$;
grant execute on function shotai.set_product(text, text, text, text, text, boolean, text, integer, boolean, text)
	to shotai_operator;

-- A new version of a price; what was paid before its date keeps its own. null date: now.
create or replace function shotai.set_product_price(p_product text, p_credits bigint, p_price_cents bigint, p_currency text,
	p_effective_from timestamptz, p_operator text)
returns table (problem text, retry_after integer, extras text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_product product;
	v_from timestamptz;
begin
	perform lock_creem();
	v_from := coalesce(p_effective_from, clock_timestamp());
	select r.* from product r where r.id = p_product into v_product;
	problem := case
		when v_product.id is null then 'not_found'
		when p_credits is null or p_credits not between 1 and 1000000000 or p_price_cents is null or p_price_cents < 0
			or coalesce(p_currency, '') !~ '^[A-Z]{3}$' or coalesce(p_operator, '') = '' then 'invalid_request'
		-- A version in the past would change what was paid.
		when v_from < clock_timestamp() - interval '1 minute'
			and exists (select from product_price c where c.product = p_product) then 'invalid_request' end;
	if problem is not null then
		return next;
		return;
	end if;
	insert into product_price (product, credits, price_cents, currency, effective_from)
	values (p_product, p_credits, p_price_cents, p_currency, v_from);
	insert into operator_log (operator, action, reason, detail)
	values (p_operator, 'set_product_price', 'catalogue', jsonb_build_object('product', p_product, 'credits', p_credits,
		'price_cents', p_price_cents, 'currency', p_currency, 'effective_from', v_from));
	perform apply_parked(array[v_product.creem_product]);
	return next;
end
$$;
grant execute on function shotai.set_product_price(text, bigint, bigint, text, timestamptz, text) to shotai_operator;

create or replace function shotai.set_model_price(p_model text, p_credits integer, p_effective_from timestamptz, p_operator text)
returns table (problem text, retry_after integer, extras text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_from timestamptz := coalesce(p_effective_from, clock_timestamp());
begin
	problem := case
		when not exists (select from model m where m.id = p_model) then 'not_found'
		when p_credits is null or p_credits < 1 or coalesce(p_operator, '') = ''
			or exists (select from model_price c where c.model = p_model and c.effective_from = v_from) then 'invalid_request' end;
	if problem is not null then
		return next;
		return;
	end if;
	insert into model_price (model, credits, effective_from) values (p_model, p_credits, v_from);
	insert into operator_log (operator, action, reason, detail)
	values (p_operator, 'set_model_price', 'catalogue',
		jsonb_build_object('model', p_model, 'credits', p_credits, 'effective_from', v_from));
	return next;
end
$$;
grant execute on function shotai.set_model_price(text, integer, timestamptz, text) to shotai_operator;

create or replace function shotai.set_model_enabled(p_model text, p_enabled boolean, p_operator text)
returns table (problem text, retry_after integer, extras text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	update model m set enabled = p_enabled where m.id = p_model;
	if not found then
		problem := 'not_found';
		return next;
		return;
	end if;
	insert into operator_log (operator, action, reason, detail)
	values (p_operator, 'set_model_enabled', 'catalogue', jsonb_build_object('model', p_model, 'enabled', p_enabled));
	return next;
end
$$;
grant execute on function shotai.set_model_enabled(text, boolean, text) to shotai_operator;

-- live: only what Creem calls prod counts, and nothing of it elsewhere.
create or replace function shotai.set_billing_live(p_live boolean, p_operator text) returns void
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	perform lock_creem();
	update billing_setting s set live = p_live;
	insert into operator_log (operator, action, reason, detail)
	values (p_operator, 'set_billing_live', 'catalogue', jsonb_build_object('live', p_live));
end
$$;
grant execute on function shotai.set_billing_live(boolean, text) to shotai_operator;

select set_config('role', current_setting('shotai.migrating_role'), false);

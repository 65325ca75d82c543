-- The part of Creem's REST API about products and customers; see 6-api.sql.

-- Products

create or replace function api_product_search(path_id text, input jsonb) returns jsonb language plpgsql as $$
declare
	page bigint := coalesce(whole(input, 'page_number', 1, 1000000), 1);
	size bigint := coalesce(whole(input, 'page_size', 1, 100), 10);
	wanted text := one_of(input, 'status', 'active', 'archived');
begin
	perform check_input(input, '{"page_number": "string", "page_size": "string", "status": "string"}');
	return list_json((select jsonb_agg(product_json(p) order by p.created_at, p.id) from (select * from product
			where status = coalesce(wanted, 'active') order by created_at, id limit size offset (page - 1) * size) p),
		(select count(*) from product where status = coalesce(wanted, 'active')), page, size);
end
$$;

create or replace function api_product_get(path_id text, input jsonb) returns jsonb language plpgsql as $$
declare
	p product;
begin
	if path_id is null then
		perform check_input(input, '{"product_id": "string!"}');
	end if;
	select * into p from product where id = coalesce(path_id, input ->> 'product_id');
	if p.id is null then
		perform refuse(404, 'Product not found');
	end if;
	return product_json(p);
end
$$;

create or replace function api_product_get_by_path(path_id text, input jsonb) returns jsonb language sql as $$
	select api_product_get(path_id, input)
$$;

create or replace function check_product(input jsonb) returns void language plpgsql as $$
declare
	price bigint := whole(input, 'price', 0, 99999999);
begin
	perform check_input(input, '{"name": "string", "description": "string", "image_url": "string", "price": "number",
		"currency": "string", "billing_type": "string", "billing_period": "string", "tax_mode": "string",
		"tax_category": "string", "trial_period_days": "number", "trial_price": "number", "default_success_url": "string",
		"custom_fields": "array", "abandoned_cart_recovery_enabled": "boolean"}');
	perform one_of(input, 'currency', 'EUR', 'USD'), one_of(input, 'billing_type', 'recurring', 'onetime'),
		one_of(input, 'billing_period', 'once', 'every-day', 'every-month', 'every-three-months', 'every-six-months',
			'every-year'),
		one_of(input, 'tax_mode', 'inclusive', 'exclusive'),
		one_of(input, 'tax_category', 'saas', 'digital-goods-service', 'ebooks'),
		whole(input, 'trial_period_days', 1, 3650), whole(input, 'trial_price', 0, 99999999);
	if price between 1 and 99 then
		perform refuse(400, 'price must be 0 or at least 100');
	end if;
end
$$;

-- The one call of Creem that knows an Idempotency-Key: the same key, the first product.
create or replace function api_product_create(path_id text, input jsonb) returns jsonb language plpgsql as $$
declare
	p product;
	recurring boolean := input ->> 'billing_type' = 'recurring';
	key text := nullif(current_setting('sandbox_creem.key'), '');
	at timestamptz := tick();
begin
	perform check_product(input);
	perform check_input(input, (select jsonb_object_agg(k, jsonb_typeof(v)) from jsonb_each(input) e (k, v)
			where jsonb_typeof(v) <> 'null')
		|| '{"name": "string!", "description": "string!", "price": "number!", "currency": "string!",
			"billing_type": "string!"}');
	select * into p from product where idempotency_key = key;
	if p.id is not null then
		return product_json(p);
	elsif recurring and coalesce(input ->> 'billing_period', 'once') = 'once' then
		perform refuse(400, 'billing_period is required for recurring products');
	elsif not recurring and (input ? 'trial_period_days' or input ? 'trial_price') then
		perform refuse(400, 'trials are only supported for recurring products');
	end if;
	insert into product (id, idempotency_key, name, description, image_url, price, currency, billing_type, billing_period, tax_mode,
			tax_category, trial_period_days, trial_price, default_success_url, created_at, updated_at)
		values (new_id('prod'), key, input ->> 'name', input ->> 'description', input ->> 'image_url',
			(input ->> 'price')::bigint, input ->> 'currency', input ->> 'billing_type',
			case when recurring then input ->> 'billing_period' else 'once' end,
			coalesce(input ->> 'tax_mode', 'exclusive'), coalesce(input ->> 'tax_category', 'saas'),
			(input ->> 'trial_period_days')::integer, (input ->> 'trial_price')::bigint, input ->> 'default_success_url',
			at, at)
		returning * into p;
	return product_json(p);
end
$$;

create or replace function api_product_update(path_id text, input jsonb) returns jsonb language plpgsql as $$
declare
	p product;
begin
	perform check_product(input);
	update product set name = coalesce(input ->> 'name', name), price = coalesce((input ->> 'price')::bigint, price),
			description = coalesce(input ->> 'description', description), updated_at = tick()
		where id = path_id returning * into p;
	if p.id is null then
		perform refuse(404, 'Product not found');
	end if;
	return product_json(p);
end
$$;

create or replace function api_product_archive(path_id text, input jsonb) returns jsonb language plpgsql as $$
declare
	p product;
begin
	update product set status = 'archived', updated_at = tick() where id = path_id returning * into p;
	if p.id is null then
		perform refuse(404, 'Product not found');
	end if;
	return product_json(p);
end
$$;

-- Customers

create or replace function api_customer_get(path_id text, input jsonb) returns jsonb language plpgsql as $$
declare
	c customer;
begin
	perform check_input(input, '{"customer_id": "string", "email": "string"}');
	if (input ? 'customer_id') = (input ? 'email') then
		perform refuse(400, 'specify one of customer_id, email');
	end if;
	select * into c from customer where id = input ->> 'customer_id' or email = lower(input ->> 'email');
	if c.id is null then
		perform refuse(404, 'Customer not found');
	end if;
	return customer_json(c);
end
$$;

create or replace function api_customer_billing(path_id text, input jsonb) returns jsonb language plpgsql as $$
declare
	c customer;
begin
	perform check_input(input, '{"customer_id": "string!"}');
	select * into c from customer where id = input ->> 'customer_id';
	if c.id is null then
		perform refuse(404, 'Customer not found');
	end if;
	return jsonb_build_object('customer_portal_link', public_url() || '/sandbox/creem/portal/' || c.portal_token);
end
$$;

create or replace function api_customer_list(path_id text, input jsonb) returns jsonb language plpgsql as $$
declare
	page bigint := coalesce(whole(input, 'page_number', 1, 1000000), 1);
	size bigint := coalesce(whole(input, 'page_size', 1, 100), 10);
begin
	perform check_input(input, '{"page_number": "string", "page_size": "string"}');
	return list_json((select jsonb_agg(customer_json(c) order by c.created_at desc, c.id)
			from (select * from customer order by created_at desc, id limit size offset (page - 1) * size) c),
		(select count(*) from customer), page, size);
end
$$;

create or replace function api_customer_orders(path_id text, input jsonb) returns jsonb language plpgsql as $$
declare
	page bigint := coalesce(whole(input, 'page_number', 1, 1000000), 1);
	size bigint := coalesce(whole(input, 'page_size', 1, 100), 10);
begin
	perform check_input(input, '{"page_number": "string", "page_size": "string"}');
	return list_json((select jsonb_agg(order_json(o) order by o.created_at desc, o.id)
			from (select * from orders where customer_id = path_id
				order by created_at desc, id limit size offset (page - 1) * size) o),
		(select count(*) from orders where customer_id = path_id), page, size);
end
$$;

-- Creem's REST API. Each function gets the id in the path (or null) and the body, or the query as an object of strings;
-- it returns the answer or ends with refuse().

-- Checkouts

create or replace function api_checkout_create(path_id text, input jsonb) returns jsonb language plpgsql as $$
declare
	p product;
	c checkout;
	code text := input ->> 'discount_code';
	buyer jsonb := coalesce(input -> 'customer', '{}');
begin
	perform check_input(input, '{"product_id": "string!", "request_id": "string", "units": "number",
		"custom_price": "number", "discount_code": "string", "affiliate_code": "string", "customer": "object",
		"custom_fields": "array", "custom_field": "array", "success_url": "string", "metadata": "object"}');
	perform check_input(buyer, '{"id": "string", "email": "string", "name": "string"}');
	select * into p from product where id = input ->> 'product_id';
	if p.id is null then
		perform refuse(404, 'Product not found');
	elsif p.status <> 'active' then
		perform refuse(400, 'Product is not active');
	elsif buyer ? 'id' and buyer ? 'email' then
		perform refuse(400, 'customer: only one of id, email may be specified');
	elsif buyer ? 'id' and not exists (select from customer where id = buyer ->> 'id') then
		perform refuse(404, 'Customer not found');
	elsif buyer ->> 'email' !~ '^[^@[:space:]]+@[^@[:space:]]+$' then
		perform refuse(400, 'customer.email must be an email');
	elsif input ->> 'success_url' !~ '^https?://[^[:space:][:cntrl:]]+$' then
		perform refuse(400, 'success_url must be a URL address');
	elsif input ? 'custom_price' and p.billing_type <> 'onetime' then
		perform refuse(400, 'custom_price is only supported for one-time products');
	elsif code !~ '^SANDBOX([1-9][0-9]?|100)$' then
		perform refuse(400, 'Discount code is not valid');
	elsif jsonb_array_length(coalesce(input -> 'custom_fields', '[]')) > 3 then
		perform refuse(400, 'custom_fields must contain no more than 3 elements');
	end if;
	insert into checkout (id, product_id, request_id, units, custom_price, discount_percent, success_url, customer_id,
			email, name, metadata, custom_fields, created_at)
		values (new_id('ch'), p.id, input ->> 'request_id', coalesce(whole(input, 'units', 1, 1000000), 1),
			whole(input, 'custom_price', 100, 99999999), coalesce(substr(code, 8)::integer, 0),
			coalesce(input ->> 'success_url', p.default_success_url), buyer ->> 'id', buyer ->> 'email', buyer ->> 'name',
			input -> 'metadata', coalesce(input -> 'custom_fields', '[]'), tick())
		returning * into c;
	return checkout_json(c, public_url());
end
$$;

create or replace function api_checkout_get(path_id text, input jsonb) returns jsonb language plpgsql as $$
declare
	c checkout;
begin
	perform check_input(input, '{"checkout_id": "string!"}');
	select * into c from checkout where id = input ->> 'checkout_id';
	if c.id is null then
		perform refuse(404, 'Checkout not found');
	end if;
	return checkout_json(c, public_url());
end
$$;

-- Subscriptions

create or replace function subscription_list(of_customer text, input jsonb) returns jsonb language plpgsql as $$
declare
	page bigint := coalesce(whole(input, 'page_number', 1, 1000000), 1);
	size bigint := coalesce(whole(input, 'page_size', 1, 100), 10);
begin
	perform check_input(input, '{"page_number": "string", "page_size": "string"}');
	return list_json((select jsonb_agg(subscription_json(s, false) order by s.created_at desc, s.id)
			from (select * from subscription where customer_id = coalesce(of_customer, customer_id)
				order by created_at desc, id limit size offset (page - 1) * size) s),
		(select count(*) from subscription where customer_id = coalesce(of_customer, customer_id)), page, size);
end
$$;

create or replace function api_subscription_search(path_id text, input jsonb) returns jsonb language sql as $$
	select subscription_list(null, input)
$$;

create or replace function api_customer_subscriptions(path_id text, input jsonb) returns jsonb language sql as $$
	select subscription_list(path_id, input)
$$;

create or replace function read_subscription(of_id text) returns jsonb language plpgsql as $$
declare
	s subscription;
begin
	select * into s from subscription where id = of_id;
	if s.id is null then
		perform refuse(404, 'Subscription not found');
	end if;
	return subscription_json(s, false);
end
$$;

create or replace function api_subscription_get(path_id text, input jsonb) returns jsonb language plpgsql as $$
begin
	perform check_input(input, '{"subscription_id": "string!"}');
	return read_subscription(input ->> 'subscription_id');
end
$$;

-- Without a mode the store's setting counts; here it says immediate.
create or replace function api_subscription_cancel(path_id text, input jsonb) returns jsonb language plpgsql as $$
declare
	s subscription := get_subscription(path_id);
	mode text := one_of(input, 'mode', 'immediate', 'scheduled');
	then_do text := coalesce(one_of(input, 'onExecute', 'cancel', 'pause'), 'cancel');
begin
	perform check_input(input, '{"mode": "string", "onExecute": "string"}');
	perform case when mode = 'scheduled' then cancel_later(s, then_do, '{}') else cancel(s, '{}') end;
	return read_subscription(path_id);
end
$$;

create or replace function api_subscription_pause(path_id text, input jsonb) returns jsonb language plpgsql as $$
begin
	perform check_input(input, '{}');
	perform pause(get_subscription(path_id), '{}');
	return read_subscription(path_id);
end
$$;

create or replace function api_subscription_resume(path_id text, input jsonb) returns jsonb language plpgsql as $$
begin
	perform check_input(input, '{}');
	perform resume(get_subscription(path_id), '{}');
	return read_subscription(path_id);
end
$$;

create or replace function update_behavior(input jsonb, standard text) returns text language sql as $$
	select coalesce(one_of(input, 'update_behavior', 'proration-charge-immediately', 'proration-charge',
		'proration-none'), standard)
$$;

create or replace function api_subscription_upgrade(path_id text, input jsonb) returns jsonb language plpgsql as $$
declare
	s subscription := get_subscription(path_id);
	behavior text := update_behavior(input, 'proration-charge-immediately');
begin
	perform check_input(input, '{"product_id": "string!", "update_behavior": "string"}');
	perform change(s, input ->> 'product_id', s.units, behavior, '{}');
	return read_subscription(path_id);
end
$$;

-- A subscription here has one item; what is said about it counts.
create or replace function api_subscription_update(path_id text, input jsonb) returns jsonb language plpgsql as $$
declare
	s subscription := get_subscription(path_id);
	item jsonb := coalesce(input -> 'items' -> 0, '{}');
begin
	perform check_input(input, '{"items": "array", "update_behavior": "string"}');
	if jsonb_array_length(coalesce(input -> 'items', '[]')) > 1 then
		perform refuse(400, 'a subscription of the sandbox has one item');
	end if;
	perform check_input(item, '{"id": "string", "product_id": "string", "price_id": "string", "units": "number"}');
	if coalesce(item ->> 'id', s.item_id) <> s.item_id then
		perform refuse(404, 'Subscription item not found');
	end if;
	perform change(s, coalesce(item ->> 'product_id', s.product_id), coalesce(whole(item, 'units', 1, 1000000),
		s.units)::integer, update_behavior(input, 'proration-charge'), '{}');
	return read_subscription(path_id);
end
$$;

-- Transactions and refunds

create or replace function api_transaction_get(path_id text, input jsonb) returns jsonb language plpgsql as $$
declare
	t transaction;
begin
	perform check_input(input, '{"transaction_id": "string!"}');
	select * into t from transaction where id = input ->> 'transaction_id';
	if t.id is null then
		perform refuse(404, 'Transaction not found');
	end if;
	return transaction_json(t);
end
$$;

-- Newest first.
create or replace function api_transaction_search(path_id text, input jsonb) returns jsonb language plpgsql as $$
declare
	page bigint := coalesce(whole(input, 'page_number', 1, 1000000), 1);
	size bigint := coalesce(whole(input, 'page_size', 1, 100), 10);
	total bigint;
	items jsonb;
begin
	perform check_input(input, '{"customer_id": "string", "order_id": "string", "product_id": "string",
		"page_number": "string", "page_size": "string"}');
	select count(*) into total from transaction t
		where (input ->> 'customer_id' is null or t.customer_id = input ->> 'customer_id')
			and (input ->> 'order_id' is null or t.order_id = input ->> 'order_id')
			and (input ->> 'product_id' is null or t.product_id = input ->> 'product_id');
	select jsonb_agg(transaction_json(t) order by t.created_at desc, t.id) into items from (
		select * from transaction n
		where (input ->> 'customer_id' is null or n.customer_id = input ->> 'customer_id')
			and (input ->> 'order_id' is null or n.order_id = input ->> 'order_id')
			and (input ->> 'product_id' is null or n.product_id = input ->> 'product_id')
		order by n.created_at desc, n.id limit size offset (page - 1) * size) t;
	return list_json(items, total, page, size);
end
$$;

create or replace function api_refund_create(path_id text, input jsonb) returns jsonb language plpgsql as $$
begin
	perform check_input(input, '{"transaction_id": "string!"}');
	perform give_back(get_transaction(input ->> 'transaction_id'), null, null, null, '{}');
	return '{"status": "succeeded"}';
end
$$;

-- Moderation. Nothing of a prompt is kept.

create or replace function api_moderate(path_id text, input jsonb) returns jsonb language plpgsql as $$
declare
	prompt text := input ->> 'prompt';
begin
	perform check_input(input, '{"prompt": "string!", "external_id": "string"}');
	if prompt = '' then
		perform refuse(400, 'prompt should not be empty');
	elsif strpos(prompt, 'sandbox:moderation-down') > 0 then
		perform refuse(503, 'Moderation is not available');
	end if;
	return jsonb_build_object('id', new_id('mod'), 'object', 'moderation', 'prompt', prompt, 'decision',
			case when strpos(prompt, 'sandbox:deny') > 0 then 'deny' when strpos(prompt, 'sandbox:flag') > 0 then 'flag'
				else 'allow' end, 'usage', '{"units": 1}'::jsonb)
		|| case when input ->> 'external_id' is null then '{}'
			else jsonb_build_object('external_id', input -> 'external_id') end;
end
$$;

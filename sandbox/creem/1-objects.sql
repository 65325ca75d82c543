-- Creem's objects as its API and its webhooks write them.

-- The time of a change: milliseconds, later than every earlier one.
create or replace function tick() returns timestamptz language sql volatile as $$
	update clock set at = greatest(date_trunc('milliseconds', clock_timestamp()), at + interval '1 millisecond')
	returning at
$$;

create or replace function iso(at timestamptz) returns text language sql immutable as $$
	select to_char(at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
$$;

create or replace function ms(at timestamptz) returns bigint language sql immutable as $$
	select floor(extract(epoch from at) * 1000)::bigint
$$;

create or replace function new_id(prefix text) returns text language plpgsql volatile as $$
declare
	letters constant text := '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
	bytes bytea := uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid());
	id text := prefix || '_';
begin
	for i in 0 .. 21 loop
		id := id || substr(letters, 1 + get_byte(bytes, i) % 62, 1);
	end loop;
	return id;
end
$$;

create or replace function product_json(p product) returns jsonb language sql stable as $$
	select jsonb_strip_nulls(jsonb_build_object('image_url', p.image_url, 'default_success_url', p.default_success_url,
			'trial_period_days', p.trial_period_days, 'trial_price', p.trial_price))
		|| jsonb_build_object('id', p.id, 'object', 'product', 'mode', 'test', 'name', p.name,
			'description', p.description, 'price', p.price, 'currency', p.currency, 'billing_type', p.billing_type,
			'billing_period', p.billing_period, 'status', p.status, 'tax_mode', p.tax_mode,
			'tax_category', p.tax_category, 'created_at', iso(p.created_at), 'updated_at', iso(p.updated_at))
$$;

create or replace function customer_json(c customer) returns jsonb language sql stable as $$
	select jsonb_build_object('id', c.id, 'object', 'customer', 'mode', 'test', 'email', c.email, 'name', c.name,
		'country', c.country, 'created_at', iso(c.created_at), 'updated_at', iso(c.updated_at))
$$;

-- order.transaction is absent until there is one, as in a subscription's first checkout.completed.
create or replace function order_json(o orders) returns jsonb language sql stable as $$
	select jsonb_strip_nulls(jsonb_build_object('transaction', o.transaction_id))
		|| jsonb_build_object('id', o.id, 'object', 'order', 'mode', 'test', 'customer', o.customer_id,
			'product', o.product_id, 'amount', o.amount, 'sub_total', o.amount, 'tax_amount', o.tax_amount,
			'discount_amount', o.discount_amount, 'amount_due', o.amount_paid, 'amount_paid', o.amount_paid,
			'currency', o.currency, 'status', 'paid', 'type', o.type, 'created_at', iso(o.created_at),
			'updated_at', iso(o.updated_at))
$$;

create or replace function transaction_json(t transaction) returns jsonb language sql stable as $$
	select jsonb_strip_nulls(jsonb_build_object('period_start', ms(t.period_start), 'period_end', ms(t.period_end)))
		|| jsonb_build_object('id', t.id, 'object', 'transaction', 'mode', 'test', 'amount', t.amount,
			'amount_paid', t.amount_paid, 'discount_amount', t.discount_amount, 'tax_amount', t.tax_amount,
			'tax_country', 'NL', 'currency', t.currency, 'type', t.type, 'status', t.status,
			'refunded_amount', t.refunded_amount, 'order', t.order_id, 'subscription', t.subscription_id,
			'customer', t.customer_id, 'description', t.description, 'created_at', ms(t.created_at))
$$;

-- nested: inside another object, where product and customer are ids.
create or replace function subscription_json(s subscription, nested boolean) returns jsonb language plpgsql stable as $$
declare
	p product;
	c customer;
	t transaction;
	whole jsonb;
begin
	select * into t from transaction where id = s.last_transaction_id;
	whole := jsonb_build_object('id', s.id, 'object', 'subscription', 'mode', 'test', 'product', s.product_id,
			'customer', s.customer_id, 'collection_method', 'charge_automatically', 'status', s.status,
			'canceled_at', iso(s.canceled_at), 'created_at', iso(s.created_at), 'updated_at', iso(s.updated_at))
		|| jsonb_strip_nulls(jsonb_build_object('last_transaction_id', s.last_transaction_id,
			'last_transaction_date', iso(t.created_at), 'current_period_start_date', iso(s.period_start),
			'current_period_end_date', iso(s.period_end), 'next_transaction_date',
			case when s.status in ('active', 'trialing', 'past_due', 'unpaid') then iso(s.period_end) end))
		|| case when s.metadata is null then '{}' else jsonb_build_object('metadata', s.metadata) end;
	if nested then
		return whole;
	end if;
	select * into strict p from product where id = s.product_id;
	select * into strict c from customer where id = s.customer_id;
	return whole || jsonb_build_object('product', product_json(p), 'customer', customer_json(c), 'items',
			jsonb_build_array(jsonb_build_object('id', s.item_id, 'object', 'subscription_item', 'mode', 'test',
				'product_id', s.product_id, 'price_id', s.price_id, 'units', s.units,
				'created_at', iso(s.created_at), 'updated_at', iso(s.updated_at))))
		|| case when t.id is null then '{}' else jsonb_build_object('last_transaction', transaction_json(t)) end;
end
$$;

-- What a checkout says wherever it stands: alone, in an event, nested in a refund.
create or replace function checkout_core(c checkout) returns jsonb language sql stable as $$
	select jsonb_strip_nulls(jsonb_build_object('request_id', c.request_id, 'custom_price', c.custom_price))
		|| jsonb_build_object('id', c.id, 'object', 'checkout', 'mode', 'test', 'status', c.status,
			'product', c.product_id, 'units', c.units, 'custom_fields', c.custom_fields)
		|| case when c.metadata is null then '{}' else jsonb_build_object('metadata', c.metadata) end
$$;

create or replace function checkout_completed_json(c checkout) returns jsonb language plpgsql stable as $$
declare
	p product;
	o orders;
	s subscription;
	u customer;
begin
	select * into strict p from product where id = c.product_id;
	select * into strict o from orders where id = c.order_id;
	select * into strict u from customer where id = c.customer_id;
	select * into s from subscription where id = c.subscription_id;
	return checkout_core(c) || jsonb_build_object('product', product_json(p), 'order', order_json(o),
			'customer', customer_json(u))
		|| case when s.id is null then '{}' else jsonb_build_object('subscription', subscription_json(s, true)) end;
end
$$;

-- url: where the sandbox is reached, for the page's address.
create or replace function checkout_json(c checkout, url text) returns jsonb language sql stable as $$
	select case when c.status = 'completed' then checkout_completed_json(c) else checkout_core(c) end
		|| jsonb_build_object('checkout_url', url || '/sandbox/creem/checkout/' || c.id, 'success_url', c.success_url)
$$;

-- What a refund and a dispute say about the payment.
create or replace function payment_json(t transaction) returns jsonb language plpgsql stable as $$
declare
	o orders;
	c checkout;
	u customer;
	s subscription;
begin
	select * into strict o from orders where id = t.order_id;
	select * into strict c from checkout where id = o.checkout_id;
	select * into strict u from customer where id = t.customer_id;
	select * into s from subscription where id = t.subscription_id;
	return jsonb_build_object('transaction', transaction_json(t), 'checkout', checkout_core(c),
			'order', order_json(o), 'customer', customer_json(u))
		|| case when s.id is null then '{}' else jsonb_build_object('subscription', subscription_json(s, true)) end;
end
$$;

create or replace function refund_json(r refund) returns jsonb language plpgsql stable as $$
declare
	t transaction;
begin
	select * into strict t from transaction where id = r.transaction_id;
	return payment_json(t) || jsonb_build_object('id', r.id, 'object', 'refund', 'mode', 'test', 'status', r.status,
		'refund_amount', r.amount, 'refund_currency', t.currency, 'reason', r.reason, 'created_at', ms(r.created_at));
end
$$;

create or replace function dispute_json(d dispute) returns jsonb language plpgsql stable as $$
declare
	t transaction;
begin
	select * into strict t from transaction where id = d.transaction_id;
	return payment_json(t) || jsonb_build_object('id', d.id, 'object', 'dispute', 'mode', 'test', 'amount', d.amount,
		'currency', t.currency, 'created_at', ms(d.created_at));
end
$$;

-- What the pages in the browser show; money stays in cents.

create or replace function state(out ok boolean) language plpgsql stable as $$
begin
	ok := exists (select from product);
end
$$;

create or replace function checkout_page(of_checkout text)
returns table (id text, status text, product text, description text, period text, currency text, units integer,
	amount bigint, discount bigint, tax bigint, total bigint, full_tax bigint, email text, trial_days integer)
language plpgsql stable as $$
#variable_conflict use_column
declare
	c checkout;
	p product;
	price bigint;
	taken bigint;
	sum record;
begin
	select * into c from checkout where id = of_checkout;
	if c.id is null then
		return;
	end if;
	select * into strict p from product where id = c.product_id;
	price := case when p.trial_period_days is null then coalesce(c.custom_price, p.price)
		else coalesce(p.trial_price, 0) end * c.units;
	taken := round(price * c.discount_percent / 100.0);
	select * into sum from reckon(p, price, taken);
	return query select c.id, c.status, p.name, p.description, p.billing_period, p.currency, c.units, price, taken,
		sum.tax, sum.paid, sum.tax, coalesce((select u.email from customer u where u.id = c.customer_id), c.email),
		p.trial_period_days;
end
$$;

-- Where the buyer goes after paying and what is told there; success_url null: nowhere.
create or replace function checkout_result(of_checkout text)
returns table (success_url text, checkout_id text, customer_id text, order_id text, product_id text, request_id text,
	subscription_id text) language plpgsql stable as $$
#variable_conflict use_column
begin
	return query select c.success_url, c.id, c.customer_id, c.order_id, c.product_id, c.request_id, c.subscription_id
		from checkout c where c.id = of_checkout and c.status = 'completed';
end
$$;

create or replace function page_checkout(path_id text, input jsonb) returns jsonb language plpgsql as $$
begin
	if path_id not like 'ch\_%' then
		perform refuse(404, 'Checkout not found');
	end if;
	return act(path_id, input - 'port');
end
$$;

create or replace function portal_page(token text) returns table (customer_id text, email text)
language sql stable as $$
	select c.id, c.email from customer c where c.portal_token = token
$$;

create or replace function portal_subscriptions(of_customer text)
returns table (id text, product_id text, product text, status text, price bigint, currency text, period text,
	period_start text, period_end text) language sql stable as $$
	select s.id, s.product_id, p.name, s.status, p.price * s.units, p.currency, p.billing_period, iso(s.period_start),
		iso(s.period_end)
	from subscription s join product p on p.id = s.product_id
	where s.customer_id = of_customer order by s.created_at desc, s.id limit 20
$$;

create or replace function portal_plans() returns table (id text, name text, price bigint, currency text, period text)
language sql stable as $$
	select p.id, p.name, p.price, p.currency, p.billing_period from product p
	where p.billing_type = 'recurring' and p.status = 'active' order by p.created_at, p.price limit 20
$$;

create or replace function portal_payments(of_customer text)
returns table (id text, product text, status text, amount bigint, refunded bigint, currency text, created_at text)
language sql stable as $$
	select t.id, p.name, t.status, t.amount_paid, coalesce(t.refunded_amount, 0), t.currency, iso(t.created_at)
	from transaction t join product p on p.id = t.product_id
	where t.customer_id = of_customer order by t.created_at desc, t.id limit 50
$$;

create or replace function portal_events(of_customer text)
returns table (id text, type text, created_at text, state text, attempts integer, answer integer)
language sql stable as $$
	select e.id, e.type, iso(e.created_at), coalesce(d.state, 'not sent'), coalesce(d.attempts, 0),
		(select a.status from attempt a where a.delivery_id = d.id order by a.number desc limit 1)
	from event e
	left join lateral (select * from delivery n where n.event_id = e.id order by n.id desc limit 1) d on true
	where e.lane = of_customer order by e.position desc limit 30
$$;

-- A button of the portal, on what belongs to its customer.
create or replace function page_portal(path_id text, input jsonb) returns jsonb language plpgsql as $$
declare
	of_customer text;
	target text := input ->> 'id';
	e event;
begin
	select c.id into of_customer from customer c where c.portal_token = path_id;
	select * into e from event where id = target and lane = of_customer;
	if e.id is not null then
		perform redeliver(e, null);
		return '[]';
	elsif not exists (select from subscription s where s.id = target and s.customer_id = of_customer
			union all select from transaction t where t.id = target and t.customer_id = of_customer) then
		perform refuse(404, 'There is no such thing in this portal');
	end if;
	return act(target, input - 'port');
end
$$;

-- What buyers, merchants and time do. Each changes the state and sends the events of the change; `how` is send()'s.

-- Ends the call with one of Creem's errors; call() turns it into an answer.
create or replace function refuse(status integer, variadic messages text[]) returns void language plpgsql as $$
begin
	raise exception using errcode = 'CR' || status, message = to_jsonb(messages)::text;
end
$$;

create or replace function period_of(p product) returns interval language sql immutable as $$
	select case p.billing_period when 'every-day' then interval '1 day' when 'every-three-months' then interval '3 months'
		when 'every-six-months' then interval '6 months' when 'every-year' then interval '1 year'
		else interval '1 month' end
$$;

-- Tax of 21 % on what is left after the discount.
create or replace function reckon(p product, amount bigint, discount bigint, out tax bigint, out paid bigint)
language sql immutable as $$
	select case p.tax_mode when 'exclusive' then round((amount - discount) * 0.21)
			else round((amount - discount) - (amount - discount) / 1.21) end::bigint,
		(amount - discount + case p.tax_mode when 'exclusive' then round((amount - discount) * 0.21) else 0 end)::bigint
$$;

create or replace function get_customer(address text, called text, at timestamptz) returns text language plpgsql as $$
declare
	found_id text;
begin
	select id into found_id from customer where email = lower(address);
	if found_id is null then
		insert into customer (id, email, name, portal_token, created_at, updated_at)
			values (new_id('cust'), lower(address), coalesce(called, initcap(split_part(address, '@', 1))),
				new_id('portal'), at, at)
			returning id into found_id;
	end if;
	return found_id;
end
$$;

create or replace function get_subscription(of_id text) returns subscription language plpgsql as $$
declare
	s subscription;
begin
	perform tick();
	select * into s from subscription where id = of_id;
	if s.id is null then
		perform refuse(404, 'Subscription not found');
	end if;
	return s;
end
$$;

-- An invoice of a subscription, paid unless said otherwise; a paid one becomes its last transaction.
create or replace function invoice(s subscription, amount bigint, discount bigint, paid boolean) returns subscription
language plpgsql as $$
declare
	at timestamptz := tick();
	p product;
	sum record;
	new_transaction text := new_id('tran');
begin
	select * into strict p from product where id = s.product_id;
	select * into sum from reckon(p, amount, discount);
	insert into transaction (id, type, amount, discount_amount, tax_amount, amount_paid, currency, status, order_id,
			subscription_id, customer_id, product_id, description, period_start, period_end, created_at)
		values (new_transaction, 'invoice', amount, discount, sum.tax, case when paid then sum.paid else 0 end,
			p.currency, case when paid then 'paid' else 'declined' end, s.order_id, s.id, s.customer_id, s.product_id,
			'Subscription payment', s.period_start, s.period_end, at);
	if paid then
		update orders set transaction_id = coalesce(transaction_id, new_transaction), updated_at = at where id = s.order_id;
		update subscription set last_transaction_id = new_transaction, updated_at = at where id = s.id returning * into s;
	end if;
	return s;
end
$$;

-- The first payment of a subscription. An order of a paid trial has a transaction, but no paid event.
create or replace function start_subscription(c checkout, p product, discount bigint) returns jsonb language plpgsql as $$
declare
	s subscription;
	list jsonb;
	o orders;
begin
	select * into strict o from orders where id = c.order_id;
	insert into subscription (id, product_id, customer_id, checkout_id, order_id, item_id, price_id, units, status,
			period_start, period_end, metadata, created_at, updated_at)
		values (c.subscription_id, p.id, c.customer_id, c.id, c.order_id, new_id('sitem'), new_id('pprice'), c.units,
			'active', o.created_at, o.created_at + case when p.trial_period_days is null then period_of(p)
				else p.trial_period_days * interval '1 day' end, c.metadata, o.created_at, o.created_at)
		returning * into s;
	list := happened('checkout.completed', checkout_completed_json(c))
		|| happened('subscription.active', subscription_json(s, false));
	if p.trial_period_days is null then
		s := invoice(s, o.amount, discount, true);
		return list || happened('subscription.paid', subscription_json(s, false));
	end if;
	if o.amount > 0 then
		perform invoice(s, o.amount, discount, true);
	end if;
	update subscription set status = 'trialing', last_transaction_id = null, updated_at = tick() where id = s.id
		returning * into s;
	return list || happened('subscription.trialing', subscription_json(s, false));
end
$$;

-- A purchase in one go. The only event is checkout.completed; what costs nothing has no transaction.
create or replace function finish_purchase(c checkout, p product) returns jsonb language plpgsql as $$
declare
	o orders;
begin
	select * into strict o from orders where id = c.order_id;
	if o.amount_paid > 0 then
		update orders set transaction_id = new_id('tran') where id = o.id returning * into o;
		insert into transaction (id, type, amount, discount_amount, tax_amount, amount_paid, currency, status, order_id,
				customer_id, product_id, description, created_at)
			values (o.transaction_id, 'payment', o.amount, o.discount_amount, o.tax_amount, o.amount_paid, o.currency,
				'paid', o.id, o.customer_id, o.product_id, p.name, o.created_at);
	end if;
	return happened('checkout.completed', checkout_completed_json(c));
end
$$;

-- how also names the buyer's address and, as `free`, a discount of 100 %.
create or replace function pay(of_checkout text, how jsonb) returns jsonb language plpgsql as $$
declare
	at timestamptz := tick();
	c checkout;
	p product;
	price bigint;
	discount bigint;
	sum record;
	address text := nullif(how ->> 'email', '');
	payer text;
begin
	select * into c from checkout where id = of_checkout;
	if c.id is null then
		perform refuse(404, 'Checkout not found');
	elsif c.status <> 'pending' then
		perform refuse(400, 'Checkout is ' || c.status);
	end if;
	select * into strict p from product where id = c.product_id;
	select coalesce(address, u.email, c.email) into address from (select) one left join customer u on u.id = c.customer_id;
	if coalesce(address, '') !~ '^[^@[:space:]]+@[^@[:space:]]+$' then
		perform refuse(400, 'email must be an email');
	end if;
	payer := get_customer(address, c.name, at);
	price := case when p.trial_period_days is null then coalesce(c.custom_price, p.price)
		else coalesce(p.trial_price, 0) end * c.units;
	discount := round(price * case when how ->> 'free' = 'true' then 100 else c.discount_percent end / 100.0);
	select * into sum from reckon(p, price, discount);
	insert into orders (id, checkout_id, customer_id, product_id, amount, discount_amount, tax_amount, amount_paid,
			currency, type, created_at, updated_at)
		values (new_id('ord'), c.id, payer, p.id, price, discount, sum.tax, sum.paid, p.currency, p.billing_type, at, at)
		returning id into c.order_id;
	update checkout set status = 'completed', customer_id = payer, order_id = c.order_id, subscription_id =
			case when p.billing_type = 'recurring' then new_id('sub') end
		where id = c.id returning * into c;
	return send(payer, case p.billing_type when 'recurring' then start_subscription(c, p, discount)
		else finish_purchase(c, p) end, how);
end
$$;

create or replace function abandon(of_checkout text) returns jsonb language plpgsql as $$
begin
	perform tick();
	update checkout set status = 'expired' where id = of_checkout and status = 'pending';
	if not found then
		perform refuse(400, 'Checkout is not pending');
	end if;
	return '[]';
end
$$;

-- The next period begins where this one ends, whatever the clock says.
create or replace function renew(s subscription, how jsonb) returns jsonb language plpgsql as $$
declare
	p product;
	due bigint;
begin
	if s.status not in ('active', 'trialing', 'past_due', 'unpaid') then
		perform refuse(400, format('A subscription that is %s is not renewed', s.status));
	end if;
	select * into strict p from product where id = s.product_id;
	due := greatest(0, p.price * s.units + s.owed);
	update subscription set status = 'active', period_start = s.period_end, period_end = s.period_end + period_of(p),
			owed = least(0, p.price * s.units + s.owed)
		where id = s.id returning * into s;
	s := invoice(s, due, 0, true);
	return send(s.customer_id, happened('subscription.paid', subscription_json(s, false)), how);
end
$$;

create or replace function turn(s subscription, new_status text, event_type text, how jsonb) returns jsonb
language plpgsql as $$
begin
	update subscription set status = new_status, updated_at = tick(),
			canceled_at = case when new_status = 'canceled' then coalesce(s.canceled_at, tick())
				when new_status = 'scheduled_cancel' then s.canceled_at end
		where id = s.id returning * into s;
	return send(s.customer_id, happened(event_type, subscription_json(s, false)), how);
end
$$;

-- A charge fails: overdue, then unpaid, then given up.
create or replace function fail(s subscription, how jsonb) returns jsonb language plpgsql as $$
declare
	p product;
begin
	select * into strict p from product where id = s.product_id;
	case s.status
	when 'active', 'trialing' then
		perform invoice(s, p.price * s.units, 0, false);
		return turn(s, 'past_due', 'subscription.past_due', how);
	when 'past_due' then
		return turn(s, 'unpaid', 'subscription.unpaid', how);
	when 'unpaid' then
		return turn(s, 'canceled', 'subscription.canceled', how);
	else
		perform refuse(400, format('A subscription that is %s is not charged', s.status));
	end case;
end
$$;

-- Other product or other units. behavior: Creem's update_behavior.
create or replace function change(s subscription, to_product text, to_units integer, behavior text, how jsonb)
returns jsonb language plpgsql as $$
declare
	at timestamptz := tick();
	old product;
	p product;
	rest numeric;
	due bigint;
	list jsonb;
begin
	select * into strict old from product where id = s.product_id;
	select * into p from product where id = to_product;
	if p.id is null then
		perform refuse(404, 'Product not found');
	elsif p.billing_type <> 'recurring' or p.status <> 'active' or p.currency <> old.currency then
		perform refuse(400, 'Product is not a subscription that can be changed to');
	elsif s.status not in ('active', 'trialing') then
		perform refuse(400, format('A subscription that is %s cannot be changed', s.status));
	end if;
	rest := least(1, greatest(0, extract(epoch from s.period_end - at) / extract(epoch from s.period_end - s.period_start)));
	due := case behavior when 'proration-charge-immediately' then p.price * to_units - round(old.price * s.units * rest)
		when 'proration-charge' then round((p.price * to_units - old.price * s.units) * rest) else 0 end;
	update subscription set product_id = p.id, units = to_units, updated_at = tick() where id = s.id returning * into s;
	if behavior <> 'proration-charge-immediately' or due <= 0 then
		update subscription set owed = owed + due where id = s.id returning * into s;
		return send(s.customer_id, happened('subscription.update', subscription_json(s, false)), how);
	end if;
	update subscription set period_start = at, period_end = at + period_of(p) where id = s.id returning * into s;
	list := happened('subscription.update', subscription_json(s, false));
	s := invoice(s, due, 0, true);
	return send(s.customer_id, list || happened('subscription.paid', subscription_json(s, false)), how);
end
$$;

create or replace function pause(s subscription, how jsonb) returns jsonb language plpgsql as $$
begin
	if s.status not in ('active', 'trialing') then
		perform refuse(400, format('A subscription that is %s cannot be paused', s.status));
	end if;
	return turn(s, 'paused', 'subscription.paused', how);
end
$$;

-- Also undoes a scheduled cancellation.
create or replace function resume(s subscription, how jsonb) returns jsonb language plpgsql as $$
begin
	if s.status not in ('paused', 'scheduled_cancel') then
		perform refuse(400, format('A subscription that is %s cannot be resumed', s.status));
	end if;
	return turn(s, 'active', 'subscription.update', how);
end
$$;

create or replace function cancel(s subscription, how jsonb) returns jsonb language plpgsql as $$
begin
	if s.status = 'canceled' then
		perform refuse(400, 'Subscription is already canceled');
	end if;
	return turn(s, 'canceled', 'subscription.canceled', how);
end
$$;

create or replace function cancel_later(s subscription, then_do text, how jsonb) returns jsonb language plpgsql as $$
begin
	if s.status not in ('active', 'trialing') then
		perform refuse(400, format('A subscription that is %s cannot be scheduled to end', s.status));
	end if;
	update subscription set at_period_end = then_do where id = s.id;
	return turn(s, 'scheduled_cancel', 'subscription.scheduled_cancel', how);
end
$$;

-- The period ends and nothing is paid: what was scheduled happens, else the subscription counts as expired while its
-- status still says active.
create or replace function expire(s subscription, how jsonb) returns jsonb language plpgsql as $$
begin
	if s.status = 'scheduled_cancel' and s.at_period_end = 'pause' then
		return turn(s, 'paused', 'subscription.paused', how);
	elsif s.status = 'scheduled_cancel' then
		s.canceled_at := s.period_end;
		return turn(s, 'canceled', 'subscription.canceled', how);
	elsif s.status not in ('active', 'trialing', 'past_due', 'unpaid') then
		perform refuse(400, format('A subscription that is %s does not expire', s.status));
	end if;
	return turn(s, s.status, 'subscription.expired', how);
end
$$;

-- By the name of the button or of the test: on a checkout, a subscription or a transaction. Returns the events' ids.
create or replace function act(id text, input jsonb) returns jsonb language plpgsql as $$
declare
	action text := input ->> 'action';
	s subscription;
	t transaction;
	events jsonb;
begin
	if id like 'sub\_%' then
		s := get_subscription(id);
	elsif id like 'tran\_%' then
		t := get_transaction(id);
	end if;
	events := case split_part(id, '_', 1) || ' ' || action
		when 'ch pay' then pay(id, input)
		when 'ch pay_twice' then pay(id, input || '{"twice": true}')
		when 'ch pay_free' then pay(id, input || '{"free": true}')
		when 'ch pay_shuffled' then pay(id, input || '{"shuffle": true}')
		when 'ch pay_repeated' then pay(id, input || '{"copies": 2}')
		when 'ch pay_lost' then pay(id, input || '{"drop": true}')
		when 'ch abandon' then abandon(id)
		when 'sub renew' then renew(s, input)
		when 'sub fail' then fail(s, input)
		when 'sub change' then change(s, input ->> 'product_id', coalesce((input ->> 'units')::integer, s.units),
			coalesce(input ->> 'update_behavior', 'proration-charge-immediately'), input)
		when 'sub pause' then pause(s, input)
		when 'sub resume' then resume(s, input)
		when 'sub cancel' then cancel(s, input)
		when 'sub cancel_later' then cancel_later(s, 'cancel', input)
		when 'sub expire' then expire(s, input)
		when 'tran refund_half' then give_back(t, greatest(1, least(t.amount_paid / 2,
			t.amount_paid - coalesce(t.refunded_amount, 0))), null, null, input)
		when 'tran refund' then give_back(t, (input ->> 'amount')::bigint, input ->> 'status', input ->> 'reason', input)
		when 'tran dispute' then contest(t, input)
	end;
	if events is null then
		perform refuse(400, 'There is no such action');
	end if;
	return events;
end
$$;

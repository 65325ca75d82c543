-- What the histories need in the scratch database.

create schema property;
grant usage on schema property to public;

insert into shotai.product (id, kind, name, name_nl, interval, rollover, creem_product)
values ('roll', 'subscription', 'Roll-over', 'Doorlopend', 'month', true, 'prod_property_roll'),
	('versions', 'top_up', 'Versions', 'Versies', null, false, 'prod_property_versions');
insert into shotai.product_price (product, credits, price_cents, currency, effective_from)
values ('roll', 500, 1000, 'EUR', '2020-01-01Z'), ('versions', 70, 500, 'EUR', '2020-01-01Z'),
	('versions', 90, 500, 'EUR', clock_timestamp() - interval '44 days'), ('versions', 110, 500, 'EUR', clock_timestamp() - interval '2 days');
update shotai.plan set unfinished_max = 1000000;

-- An account with 40 credits that are spent first, and its checkouts.
create function property.open(p_user uuid, p_checkouts uuid[], p_products text[]) returns bigint language plpgsql as $$
declare
	v_account bigint;
	v_action bigint;
begin
	insert into shotai.account (user_id, age_confirmed_at, receipts) values (p_user, now(), random() < 0.5) returning id into v_account;
	insert into shotai.operator_log (operator, action, account, reason) values ('property', 'grant_credits', v_account, 'to spend') returning id into v_action;
	perform shotai.grant_lot(v_account, 'adjustment', 40, now() + interval '1 hour', 'operator:' || v_action);
	insert into shotai.checkout (id, account, product)
	select c.id, v_account, p.id from unnest(p_checkouts, p_products) c (id, product) join shotai.product p on p.creem_product = c.product;
	return v_account;
end
$$;

create table property.spent (account bigint, number integer, primary key (account, number));

-- Charges images of 2 credits as far as the balance goes, and ends them. Once:
-- who was cut off before the answer asks again, and may have been heard.
create function property.spend(p_account bigint, p_number integer, p_images integer, p_end text) returns void language plpgsql as $$
declare
	v_account shotai.account;
	v_offer shotai.offer;
	v_images integer;
	v_generation uuid;
	v_delivered integer;
begin
	select * from shotai.account where id = p_account for no key update into v_account;
	insert into property.spent (account, number) values (p_account, p_number) on conflict do nothing;
	if not found then
		return;
	end if;
	perform shotai.expire_lots(p_account);
	select * from shotai.account where id = p_account into v_account;
	v_images := least(p_images, v_account.balance / 2);
	if v_images < 1 then
		return;
	end if;
	select * from shotai.offer where id = 'gpt-image-1-mini' into v_offer;
	v_generation := shotai.queue_generation(v_account, 1, v_offer, 'a red fox', null, v_images, null, null);
	if p_end <> 'later' then
		perform property.finish(v_generation, case p_end when 'succeeded' then v_images when 'partial' then v_images / 2 else 0 end, p_end);
	end if;
end
$$;

create function property.finish(p_generation uuid, p_delivered integer, p_end text) returns void language plpgsql as $$
declare
	v_generation shotai.generation;
begin
	perform from shotai.account a join shotai.generation g on g.account = a.id where g.id = p_generation for no key update of a;
	select * from shotai.generation where id = p_generation for no key update into v_generation;
	if v_generation.finished_at is not null then
		return;
	end if;
	if p_end <> 'canceled' then
		update shotai.generation set status = 'running', started_at = now(), delivered = p_delivered where id = p_generation;
		insert into shotai.image (generation, index, attempt, image_key, thumbnail_key, width, height, content_type, bytes)
		select p_generation, n, 1, format('gen/%s/%s-1', p_generation, n), format('gen/%s/%s-1-thumbnail', p_generation, n), 1, 1, 'image/png', 1
		from generate_series(0, p_delivered - 1) n;
	end if;
	perform shotai.end_generation(p_generation, case when p_end = 'canceled' then 'canceled' when p_delivered = v_generation.count then 'succeeded'
		when p_delivered = 0 then 'failed' else 'partial' end, case when p_delivered < v_generation.count and p_end <> 'canceled' then 'provider_error' end, null);
end
$$;

-- The ordered history, once: one statement for each event, so that each sees the one before.
create function property.replay(p_events text[], p_spends jsonb, p_account bigint) returns text[] language plpgsql as $$
declare
	v_outcomes text[] := '{}';
	v_outcome text;
	v_spend jsonb;
begin
	for i in 1 .. greatest(cardinality(p_events), jsonb_array_length(p_spends)) loop
		if i <= cardinality(p_events) then
			select outcome from shotai.receive_event(p_events[i]) into v_outcome;
			v_outcomes := v_outcomes || v_outcome;
		end if;
		v_spend := p_spends -> (i - 1);
		if v_spend is not null then
			perform property.spend(p_account, i - 1, (v_spend ->> 'images')::integer, v_spend ->> 'end');
		end if;
	end loop;
	return v_outcomes;
end
$$;

create function property.close(p_transaction text, p_won boolean) returns void language plpgsql as $$
begin
	perform shotai.close_dispute(p.id::text, p_won, 'property', 'the end') from shotai.payment p where p.transaction = p_transaction;
end
$$;

-- Ends what was left to end and lets expire what is due.
create function property.settle(p_account bigint) returns void language plpgsql as $$
begin
	perform from shotai.account where id = p_account for no key update;
	perform property.finish(g.id, 0, 'canceled') from shotai.generation g where g.account = p_account and g.finished_at is null;
	perform shotai.expire_lots(p_account);
end
$$;

-- What must be the same in the end, whatever came how often and in which order.
-- A lot that has expired lost to expiry or to a refund, as the order was.
create function property.state(p_account bigint, p_side text, p_wild boolean) returns text language plpgsql as $$
begin
	return replace(jsonb_pretty(jsonb_build_object(
		'account', (select jsonb_build_array(status) from shotai.account where id = p_account),
		'payments', (select jsonb_agg(jsonb_build_array(p.kind, case p.kind when 'subscription' then p.transaction end, p.creem_order, p.product, p.units, p.credits, p.period_start, p.period_end,
				p.paid_cents, p.refunded_cents, p.entitlement, p.revoked, coalesce(l.granted - l.revoke_target, 0),
				case when not p_wild then coalesce(l.remaining, 0) end,
				case when not p_wild and p.entitlement > 0 and coalesce(l.expires_at > clock_timestamp(), true) then l.revoke_target - l.revoked end,
				p.entitlement > 0 and l.expires_at is null) order by p.creem_order, p.kind, p.transaction)
			from shotai.payment p left join shotai.credit_lot l on l.payment = p.id
			where p.account = p_account and p.confirmed_by is not null),
		'disputes', (select jsonb_agg(jsonb_build_array(p.transaction, d.state) order by p.transaction)
			from shotai.dispute d join shotai.payment p on p.id = d.payment where p.account = p_account),
		'subscriptions', (select jsonb_agg(jsonb_build_array(s.id, s.status, s.product, s.units, s.current_period_start, s.current_period_end,
				coalesce(s.lapsed_until >= s.current_period_end, false)) order by s.id)
			from shotai.subscription s where s.account = p_account),
		'balances', case when not p_wild then (select jsonb_object_agg(source, remaining)
			from (select source, sum(remaining) as remaining from shotai.credit_lot where account = p_account group by source) l) end)),
		p_side, '');
end
$$;

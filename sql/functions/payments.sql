-- Payments and what they entitle to. Each function expects the account's row to
-- be locked and its due lots to be expired.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

-- The row of the payment that an object names, completed with what it tells;
-- made when there is none. p_confirm: event or transaction, when the object
-- proves that the payment grants; null: it only names it.
create or replace function shotai.note_payment(p_account bigint, f shotai.creem_fact, p_confirm text, p_sent_at timestamptz)
returns uuid
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_kind text := case when f.subscription is null then 'top_up' else 'subscription' end;
	v_checkout uuid;
	v_ids uuid[];
	v_id uuid;
	v_product product;
	v_price product_price;
	v_units integer := coalesce(f.units, 1);
	v_chargeback boolean := coalesce(f.transaction_status in ('chargedBack', 'chargeback'), false);
begin
	select c.id from checkout c
	where c.account = p_account and (c.id = f.request_id or c.creem_id = f.checkout)
	order by c.id = f.request_id desc limit 1
	into v_checkout;
	select array_agg(p.id order by p.confirmed_by nulls last, p.created_at, p.id) from payment p
	where p.transaction = f.transaction
		or (p.kind = 'top_up' and v_kind = 'top_up' and (p.creem_order = f.creem_order
			or (p.checkout = v_checkout and (p.creem_order is null or f.creem_order is null))))
		or (p.subscription = f.subscription and p.period_start = f.period_start
			and (p.transaction is null or f.transaction is null))
	into v_ids;
	v_id := v_ids[1];
	if v_id is null then
		insert into payment (account, kind, subscription, paid_at)
		values (p_account, v_kind, f.subscription, coalesce(f.paid_at, p_sent_at, clock_timestamp()))
		returning id into v_id;
	end if;
	for i in 2 .. coalesce(cardinality(v_ids), 0) loop
		perform merge_payment(v_ids[i], v_id);
	end loop;

	update payment p
	set kind = case when p.confirmed_by is null and f.subscription is not null then 'subscription' else p.kind end,
		subscription = coalesce(p.subscription, f.subscription),
		creem_order = coalesce(p.creem_order, f.creem_order),
		transaction = coalesce(p.transaction, f.transaction),
		checkout = coalesce(p.checkout, v_checkout),
		amount_cents = coalesce(p.amount_cents, f.amount),
		tax_cents = coalesce(p.tax_cents, f.tax),
		paid_cents = greatest(p.paid_cents, f.paid),
		currency = coalesce(p.currency, f.currency),
		paid_at = case when p_confirm is null or f.paid_at is null then p.paid_at else f.paid_at end,
		period_start = coalesce(p.period_start, f.period_start),
		period_end = greatest(p.period_end, f.period_end),
		refunded_seen = case when v_chargeback then p.refunded_seen else greatest(p.refunded_seen, f.refunded) end,
		charged_back = p.charged_back or v_chargeback
	where p.id = v_id and p.account = p_account;
	if not found then
		raise exception 'a payment of another account' using errcode = 'cardinality_violation';
	end if;
	if p_confirm is null then
		return v_id;
	end if;

	select r.* from product r where r.creem_product = f.product into strict v_product;
	v_price := price_at(v_product.id, (select p.paid_at from payment p where p.id = v_id));
	update payment p
	set confirmed_by = p_confirm, product = v_product.id, price = v_price.id, units = v_units,
		credits = case when f.custom_price < v_price.price_cents
			then v_price.credits * v_units * f.custom_price / v_price.price_cents
			else v_price.credits * v_units end
	where p.id = v_id and (p.confirmed_by is null or (p.confirmed_by = 'transaction' and p_confirm = 'event'));
	return v_id;
end
$$;

-- The version of a price at a time; before the first one, that.
create or replace function shotai.price_at(p_product text, p_time timestamptz) returns shotai.product_price
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_price product_price;
begin
	select c.* from product_price c
	where c.product = p_product
	order by c.effective_from <= p_time desc, case when c.effective_from <= p_time then c.effective_from end desc,
		c.effective_from
	limit 1
	into strict v_price;
	return v_price;
end
$$;

-- Two rows turned out to be one payment; the one that goes granted nothing.
create or replace function shotai.merge_payment(p_gone uuid, p_kept uuid) returns void
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_gone payment;
begin
	update payment_refund r set payment = p_kept where r.payment = p_gone;
	update dispute d set payment = p_kept where d.payment = p_gone;
	update mail_outbox m set payment = p_kept where m.payment = p_gone;
	delete from payment p where p.id = p_gone and p.confirmed_by is null returning p.* into v_gone;
	if not found then
		raise exception 'two payments that granted are one' using errcode = 'cardinality_violation';
	end if;
	update payment p
	set creem_order = coalesce(p.creem_order, v_gone.creem_order),
		transaction = coalesce(p.transaction, v_gone.transaction),
		checkout = coalesce(p.checkout, v_gone.checkout),
		amount_cents = coalesce(p.amount_cents, v_gone.amount_cents),
		tax_cents = coalesce(p.tax_cents, v_gone.tax_cents),
		paid_cents = greatest(p.paid_cents, v_gone.paid_cents),
		currency = coalesce(p.currency, v_gone.currency),
		period_start = coalesce(p.period_start, v_gone.period_start),
		period_end = greatest(p.period_end, v_gone.period_end),
		refunded_seen = greatest(p.refunded_seen, v_gone.refunded_seen),
		charged_back = p.charged_back or v_gone.charged_back
	where p.id = p_kept;
end
$$;

-- A refund by its id. Creem tells it once, so a final status stays.
create or replace function shotai.note_refund(p_payment uuid, f shotai.creem_fact) returns void
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	insert into payment_refund as r (id, payment, status, amount_cents, currency, refunded_at)
	values (f.id, p_payment, coalesce(f.status, 'pending'), coalesce(f.own_amount, 0), f.currency, f.created_at)
	on conflict (id) do update
	set status = case when r.status in ('succeeded', 'failed', 'canceled') and excluded.status <> 'succeeded'
			then r.status else excluded.status end,
		amount_cents = greatest(r.amount_cents, excluded.amount_cents);
end
$$;

-- What payments entitle to as everything known now says: those of a
-- subscription in order, each less what earlier ones still entitle to for its
-- time; a top-up by itself. The next invoice of the same plan may come a little
-- before the end of the last: it renews, and changes nothing.
create or replace function shotai.entitlements(p_subscription text, p_payment uuid)
returns table (payment uuid, entitlement bigint, revoked bigint, refunded_cents bigint)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
declare
	v_payment record;
	v_starts timestamptz[] := '{}';
	v_ends timestamptz[] := '{}';
	v_rests bigint[] := '{}';
	v_plans text[] := '{}';
	v_plan text;
	v_paid bigint;
begin
	for v_payment in
		select p.id, p.confirmed_by, p.product, p.units, p.credits, p.paid_cents, p.period_start, p.period_end, p.refunded_seen,
			coalesce((select sum(r.amount_cents) from payment_refund r where r.payment = p.id and r.status = 'succeeded'), 0) as refunds,
			exists (select from dispute d where d.payment = p.id and d.state <> 'won') as disputed
		from payment p
		where p.subscription = p_subscription or p.id = p_payment
		order by p.paid_at, coalesce(p.transaction, p.period_start::text) collate "C", p.id
	loop
		payment := v_payment.id;
		v_plan := v_payment.product || ' ' || v_payment.units;
		v_paid := coalesce(v_payment.paid_cents, 0);
		refunded_cents := least(v_paid, greatest(v_payment.refunded_seen, v_payment.refunds));
		entitlement := case when v_payment.confirmed_by is null then 0 else greatest(0, v_payment.credits - coalesce((
			select sum(e.rest)
			from unnest(v_starts, v_ends, v_rests, v_plans) e (period_start, period_end, rest, plan)
			where e.period_start <= v_payment.period_start and v_payment.period_start < e.period_end - case e.plan
				when v_plan then least((e.period_end - e.period_start) / 24, interval '1 hour') else interval '0' end), 0)) end;
		revoked := case
			when v_payment.disputed then entitlement
			when v_paid = 0 then 0
			else ceil(entitlement::numeric * refunded_cents / v_paid) end;
		return next;
		if entitlement > revoked then
			v_starts := v_starts || v_payment.period_start;
			v_ends := v_ends || v_payment.period_end;
			v_rests := v_rests || (entitlement - revoked);
			v_plans := v_plans || v_plan;
		end if;
	end loop;
end
$$;

-- Moves the lots of a payment, and of the others of its subscription, to what they entitle to.
create or replace function shotai.settle_payment(p_payment uuid) returns void
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_subscription text;
	v_now record;
	v_before payment;
begin
	select p.subscription from payment p where p.id = p_payment into strict v_subscription;
	for v_now in select * from entitlements(v_subscription, p_payment) loop
		select p.* from payment p where p.id = v_now.payment for no key update into v_before;
		update payment p
		set entitlement = v_now.entitlement, revoked = v_now.revoked, refunded_cents = v_now.refunded_cents
		where p.id = v_now.payment
			and (p.entitlement, p.revoked, p.refunded_cents) <> (v_now.entitlement, v_now.revoked, v_now.refunded_cents);
		perform move_lot(v_now.payment);
		perform write_mails(v_now.payment, v_before.refunded_cents);
	end loop;
	perform expire_lots(v_before.account);
end
$$;

-- Brings the lot of a payment to its entitlement. More: what was to be taken
-- back and is spent is forgiven first, the rest is granted. Less: as much is
-- taken as is left; what lacks is our loss.
create or replace function shotai.move_lot(p_payment uuid) returns void
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_now timestamptz := clock_timestamp();
	v_payment payment;
	v_lot credit_lot;
	v_expires timestamptz;
	v_more bigint;
	v_part bigint;
begin
	select p.* from payment p where p.id = p_payment into strict v_payment;
	select l.* from credit_lot l where l.payment = p_payment for no key update into v_lot;
	if v_lot.id is null and v_payment.entitlement = 0 then
		return;
	end if;
	v_expires := lot_expiry(v_payment);
	if v_lot.id is null then
		insert into credit_lot (account, source, granted, remaining, expires_at, payment)
		values (v_payment.account, v_payment.kind, 0, 0, v_expires, p_payment)
		returning * into v_lot;
		perform move_credits(v_payment, v_lot.id, v_payment.entitlement);
		v_lot.granted := v_payment.entitlement;
	elsif v_expires > v_lot.expires_at and v_lot.expires_at > v_now and not v_lot.reopened then
		update credit_lot l set expires_at = v_expires where l.id = v_lot.id;
	end if;

	v_more := v_payment.entitlement - v_payment.revoked - (v_lot.granted - v_lot.revoke_target);
	if v_more > 0 then
		v_part := least(v_more, v_lot.revoke_target - v_lot.revoked);
		update credit_lot l set revoke_target = l.revoke_target - v_part where l.id = v_lot.id and v_part > 0;
		perform move_credits(v_payment, v_lot.id, v_more - v_part);
	elsif v_more < 0 then
		update credit_lot l set revoke_target = l.revoke_target - v_more where l.id = v_lot.id
		returning least(l.remaining, l.revoke_target - l.revoked) into v_part;
		perform move_credits(v_payment, v_lot.id, -v_part);
	end if;
end
$$;

-- Until when a payment's credits last; null: for ever.
create or replace function shotai.lot_expiry(p_payment shotai.payment) returns timestamptz
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	return (
		select case when r.kind = 'top_up' or r.rollover then null
			else coalesce(p_payment.period_end, p_payment.paid_at + ('1 ' || r.interval)::interval) end
		from product r
		where r.id = p_payment.product);
end
$$;

-- One entry that grants into or takes from the lot of a payment, keyed by the payment's revision.
create or replace function shotai.move_credits(p_payment shotai.payment, p_lot bigint, p_amount bigint) returns void
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_now timestamptz := clock_timestamp();
	v_revision integer;
	v_entry uuid;
begin
	if p_amount = 0 then
		return;
	end if;
	update payment p set revision = p.revision + 1 where p.id = p_payment.id returning p.revision into strict v_revision;
	v_entry := book_order(p_payment.account, case when p_amount > 0 then 'grant' else 'revoke' end, p_amount,
		format('payment:%s:%s', p_payment.id, v_revision), null, p_payment.id);
	insert into entry_lot (entry, position, lot, amount) values (v_entry, 1, p_lot, p_amount);
	-- What comes into a lot that expired before expires at once: at a new moment, since that is the cause of its entry.
	update credit_lot l
	set remaining = l.remaining + p_amount,
		granted = l.granted + greatest(p_amount, 0),
		revoked = l.revoked + greatest(-p_amount, 0),
		expires_at = case when p_amount > 0 and l.granted > 0 and l.expires_at <= v_now then v_now else l.expires_at end
	where l.id = p_lot;
end
$$;

select set_config('role', current_setting('shotai.migrating_role'), false);

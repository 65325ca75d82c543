-- Money going back: refunds by the merchant, chargebacks by the bank.

create or replace function get_transaction(of_id text) returns transaction language plpgsql as $$
declare
	t transaction;
begin
	perform tick();
	select * into t from transaction where id = of_id;
	if t.id is null then
		perform refuse(404, 'Transaction not found');
	end if;
	return t;
end
$$;

create or replace function settle_refund(t transaction, given bigint) returns void language sql as $$
	update transaction set refunded_amount = coalesce(refunded_amount, 0) + given,
		status = case when coalesce(refunded_amount, 0) + given >= amount_paid then 'refunded' else 'partialRefund' end
	where id = t.id
$$;

-- amount null: all that is left. Only a refund that succeeded changes the transaction.
create or replace function give_back(t transaction, amount bigint, new_status text, why text, how jsonb)
returns jsonb language plpgsql as $$
declare
	left_over bigint := t.amount_paid - coalesce(t.refunded_amount, 0);
	r refund;
begin
	amount := coalesce(amount, left_over);
	if t.status not in ('paid', 'partialRefund') or amount < 1 or amount > left_over then
		perform refuse(400, 'Transaction cannot be refunded');
	end if;
	insert into refund values (new_id('ref'), t.id, amount, coalesce(new_status, 'succeeded'),
		coalesce(why, 'requested_by_customer'), tick()) returning * into r;
	if r.status = 'succeeded' then
		perform settle_refund(t, amount);
	end if;
	return send(t.customer_id, happened('refund.created', refund_json(r)), how);
end
$$;

-- A chargeback takes all of it; with_refund: announced as a refund, too, as Creem may do.
create or replace function contest(t transaction, how jsonb) returns jsonb language plpgsql as $$
declare
	left_over bigint := t.amount_paid - coalesce(t.refunded_amount, 0);
	d dispute;
	r refund;
	list jsonb := '[]';
begin
	if t.status not in ('paid', 'partialRefund', 'refunded') or t.amount_paid = 0 then
		perform refuse(400, 'Transaction cannot be disputed');
	end if;
	update transaction set status = 'chargedBack', refunded_amount = amount_paid where id = t.id;
	insert into dispute values (new_id('disp'), t.id, t.amount_paid, tick()) returning * into d;
	list := happened('dispute.created', dispute_json(d));
	if how ->> 'with_refund' = 'true' and left_over > 0 then
		insert into refund values (new_id('ref'), t.id, left_over, 'succeeded', 'fraudulent', tick()) returning * into r;
		list := list || happened('refund.created', refund_json(r));
	end if;
	return send(t.customer_id, list, how);
end
$$;

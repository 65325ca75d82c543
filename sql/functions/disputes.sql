-- Chargebacks. While one is open its account may look, export, be erased and
-- use the portal, and nothing else.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

create or replace function shotai.apply_dispute(p_account bigint, f shotai.creem_fact, p_sent_at timestamptz) returns text
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_payment uuid := note_payment(p_account, f, null, p_sent_at);
begin
	perform open_dispute(p_account, v_payment, f.id, f.own_amount, coalesce(f.created_at, p_sent_at, clock_timestamp()));
	perform settle_payment(v_payment);
	return 'dispute:' || f.id;
end
$$;

-- Opens a dispute once; the real id replaces that of a chargeback seen before its event.
create or replace function shotai.open_dispute(p_account bigint, p_payment uuid, p_id text, p_amount_cents bigint,
	p_opened_at timestamptz)
returns void
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	if starts_with(p_id, 'chargeback:') then
		if exists (select from dispute d where d.payment = p_payment) then
			return;
		end if;
	else
		update dispute d set id = p_id, amount_cents = coalesce(p_amount_cents, d.amount_cents), opened_at = p_opened_at
		where d.payment = p_payment and starts_with(d.id, 'chargeback:')
			and not exists (select from dispute o where o.id = p_id);
		if found then
			return;
		end if;
	end if;
	insert into dispute (id, payment, amount_cents, opened_at) values (p_id, p_payment, p_amount_cents, p_opened_at)
	on conflict (id) do nothing;
	if found then
		perform raise_finding(p_account, 'dispute', 1, 1, jsonb_build_object('payment', p_payment), clock_timestamp());
		perform apply_findings(p_account);
		perform cancel_queued(p_account);
	end if;
end
$$;

-- Ends what no provider was asked for yet, with its refund.
create or replace function shotai.cancel_queued(p_account bigint) returns void
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_generation uuid;
begin
	for v_generation in
		select g.id from job j join generation g on g.id = j.generation
		where j.account = p_account and g.status = 'queued'
		order by g.id
		for no key update of g
	loop
		perform from job j where j.generation = v_generation for update;
		perform end_generation(v_generation, 'canceled', null, null);
	end loop;
end
$$;

-- p_id: the dispute's or the payment's. Won gives back what the payment
-- entitles to; either way the account may spend again once none is open.
create or replace function shotai.close_dispute(p_id text, p_won boolean, p_operator text, p_reason text)
returns table (problem text, retry_after integer, extras text, dispute_id text, balance bigint)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
declare
	v_payment uuid;
	v_account bigint;
begin
	perform lock_creem();
	select d.id, p.id, p.account from dispute d join payment p on p.id = d.payment
	where (d.id = p_id or p.id::text = lower(p_id)) and d.state = 'open'
	order by d.opened_at limit 1
	into dispute_id, v_payment, v_account;
	problem := case
		when p_won is null or coalesce(p_operator, '') = '' or coalesce(p_reason, '') = '' then 'invalid_request'
		when dispute_id is null then 'not_found' end;
	if problem is not null then
		dispute_id := null;
		return next;
		return;
	end if;

	perform from account a where a.id = v_account for no key update;
	perform expire_lots(v_account);
	update dispute d set state = case when p_won then 'won' else 'lost' end, closed_at = clock_timestamp() where d.id = dispute_id;
	perform settle_payment(v_payment);
	update finding f set state = 'resolved', closed_at = clock_timestamp(), mistaken = p_won, reason = p_reason
	where f.account = v_account and f.signal = 'dispute' and f.state = 'open' and not exists (
		select from dispute d join payment p on p.id = d.payment where p.account = v_account and d.state = 'open');
	perform apply_findings(v_account, p_operator, p_reason);
	insert into operator_log (operator, action, account, reason, detail)
	values (p_operator, 'close_dispute', v_account, p_reason, jsonb_build_object('dispute', dispute_id, 'won', p_won));
	select a.balance from account a where a.id = v_account into balance;
	return next;
end
$$;
grant execute on function shotai.close_dispute(text, boolean, text, text) to shotai_operator;

create or replace function shotai.list_disputes(p_open boolean)
returns table (id text, payment_id uuid, user_id uuid, transaction_id text, state text, amount_cents bigint, currency text,
	revoked bigint, loss bigint, opened_at text, closed_at text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	select d.id, p.id, a.user_id, p.transaction, d.state, d.amount_cents, p.currency, coalesce(l.revoked, 0),
		coalesce(l.revoke_target - l.revoked, 0), rfc3339(d.opened_at), rfc3339(d.closed_at)
	from dispute d
	join payment p on p.id = d.payment
	join account a on a.id = p.account
	left join credit_lot l on l.payment = p.id
	where not coalesce(p_open, false) or d.state = 'open'
	order by d.opened_at desc, d.id
	limit 1000;
end
$$;
grant execute on function shotai.list_disputes(boolean) to shotai_operator;

select set_config('role', current_setting('shotai.migrating_role'), false);

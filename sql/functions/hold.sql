-- What a law may want of an operator: that nothing is erased, or that something is told.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

-- While a hold is set a person may still ask for erasure, which locks the account and then waits.
create or replace function shotai.set_hold(p_user_id uuid, p_hold boolean, p_basis text, p_operator text)
returns table (problem text, retry_after integer, extras text, changed boolean, erasure_id uuid)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_account bigint;
begin
	select a.id from account a where a.user_id = p_user_id for no key update into v_account;
	if v_account is null and p_hold and auth_user_exists(p_user_id) then
		select o.id from open_account(p_user_id) o into v_account;
	end if;
	problem := case
		when coalesce(p_basis, '') = '' or coalesce(p_operator, '') = '' then 'invalid_request'
		when v_account is null then 'not_found' end;
	if problem is not null then
		return next;
		return;
	end if;
	if p_hold then
		insert into legal_hold (account, basis) values (v_account, p_basis) on conflict (account) do nothing;
	else
		delete from legal_hold h where h.account = v_account;
	end if;
	changed := found;
	insert into operator_log (operator, action, account, reason, detail)
	values (p_operator, case when p_hold then 'set_hold' else 'lift_hold' end, v_account, p_basis,
		jsonb_build_object('changed', changed));
	select e.id from erasure e where e.account = v_account and e.finished_at is null into erasure_id;
	update erasure e set not_before = clock_timestamp(), attempts = 0 where e.id = erasure_id and not p_hold;
	return next;
end
$$;
grant execute on function shotai.set_hold(uuid, boolean, text, text) to shotai_operator;

-- The least that identifies a person and what was bought; no prompt, no picture, no credit spent.
create or replace function shotai.disclose(p_user_id uuid, p_basis text, p_operator text)
returns table (problem text, retry_after integer, extras text, record text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_account account;
	v_disclosure bigint;
begin
	if coalesce(p_basis, '') = '' or coalesce(p_operator, '') = '' then
		problem := 'invalid_request';
		return next;
		return;
	end if;
	select * from account a where a.user_id = p_user_id into v_account;
	if not found and not auth_user_exists(p_user_id) then
		problem := 'not_found';
		return next;
		return;
	end if;
	insert into operator_log (operator, action, account, reason)
	values (p_operator, 'disclose', v_account.id, p_basis)
	returning id into v_disclosure;
	record := jsonb_pretty(jsonb_build_object(
		'disclosure', v_disclosure, 'basis', p_basis, 'disclosed_at', rfc3339(clock_timestamp()),
		'user_id', p_user_id, 'email', (select u.email from auth_find(p_user_id::text) u),
		'account', case when v_account.id is not null then jsonb_build_object(
			'status', v_account.status, 'created_at', rfc3339(v_account.created_at),
			'age_confirmed_at', rfc3339(v_account.age_confirmed_at)) end,
		'payments', (
			select coalesce(jsonb_agg(jsonb_build_object('id', p.id, 'product', p.product, 'creem_order', p.creem_order,
				'transaction', p.transaction, 'paid_cents', p.paid_cents, 'currency', p.currency, 'paid_at', rfc3339(p.paid_at))
				order by p.paid_at), '[]')
			from payment p where p.account = v_account.id)));
	return next;
end
$$;
grant execute on function shotai.disclose(uuid, text, text) to shotai_operator;

-- For operators: what was erased when, the newest first; what is not done says why.
create or replace function shotai.list_erasures(p_pending boolean, p_lim integer)
returns table (id uuid, account bigint, cause text, state text, requested_at text, finished_at text, steps text, why text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	select e.id, e.account, e.cause,
		case when e.finished_at is not null then 'done' when h.account is not null then 'held' else 'pending' end,
		rfc3339(e.requested_at), rfc3339(e.finished_at),
		(select string_agg(case when s.done_at is null then s.step || '=?' else s.step || '=' || s.count end, ' ' order by s.position)
			from erasure_step s where s.erasure = e.id),
		case when e.finished_at is null then coalesce(h.basis, e.problem) end
	from erasure e
	left join legal_hold h on h.account = e.account
	where not p_pending or e.finished_at is null
	order by e.requested_at desc
	limit least(greatest(p_lim, 1), 1000);
end
$$;
grant execute on function shotai.list_erasures(boolean, integer) to shotai_operator;

select set_config('role', current_setting('shotai.migrating_role'), false);

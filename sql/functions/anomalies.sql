-- For shotaictl: what was found about accounts, and an operator's word on it.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

-- The open ones, the gravest first; or all, the newest first.
create or replace function shotai.list_findings(p_all boolean, p_lim integer)
returns table (id bigint, state text, action text, signal text, score text, user_id uuid, account_status text,
	first_at text, last_at text, expires_at text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	select f.id, f.state, f.action::text, f.signal, round(f.score::numeric, 2)::text, a.user_id, a.status,
		rfc3339(f.first_at), rfc3339(f.last_at), rfc3339(f.expires_at)
	from finding f
	join account a on a.id = f.account
	where p_all or f.state = 'open'
	order by case when not p_all then f.action end desc, case when not p_all then f.score end desc, f.id desc
	limit p_lim;
end
$$;
grant execute on function shotai.list_findings(boolean, integer) to shotai_operator;

create or replace function shotai.show_finding(p_id bigint) returns table (name text, value text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	select s.name, s.value
	from finding f
	join account a on a.id = f.account
	cross join lateral (
		values (1, 'id', f.id::text), (2, 'user', a.user_id::text), (3, 'account_status', a.status), (4, 'signal', f.signal),
			(5, 'action', f.action::text), (6, 'score', round(f.score::numeric, 2)::text), (7, 'state', f.state),
			(8, 'first_at', rfc3339(f.first_at)), (9, 'last_at', rfc3339(f.last_at)), (10, 'expires_at', rfc3339(f.expires_at)),
			(11, 'closed_at', rfc3339(f.closed_at)), (12, 'mistaken', f.mistaken::text), (13, 'reason', f.reason)
		union all
		select 14, 'evidence.' || e.key, e.value from jsonb_each_text(f.evidence) e
	) s (place, name, value)
	where f.id = p_id
	order by s.place, s.name;
end
$$;
grant execute on function shotai.show_finding(bigint) to shotai_operator;

-- An operator's own finding, which nothing but an operator ends.
create or replace function shotai.operator_finding(p_account bigint, p_action shotai.finding_action, p_reason text) returns void
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	insert into finding as f (account, signal, action, score, first_at, last_at, reason)
	values (p_account, 'operator', p_action, 1, clock_timestamp(), clock_timestamp(), p_reason)
	on conflict (account, signal) where state = 'open' do update
	set action = greatest(f.action, excluded.action), last_at = excluded.last_at, reason = excluded.reason;
end
$$;

-- p_keep: it was right, and the account stays as it made it, by the operator's
-- word; else it was mistaken, and what it did is lifted.
create or replace function shotai.resolve_finding(p_id bigint, p_keep boolean, p_reason text, p_operator text)
returns table (problem text, retry_after integer, extras text, status text, throttle integer)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
declare
	v_finding finding;
begin
	perform from account a where a.id = (select f.account from finding f where f.id = p_id) for no key update;
	select f.* from finding f where f.id = p_id and f.state = 'open' into v_finding;
	problem := case
		when p_keep is null or coalesce(p_reason, '') = '' or coalesce(p_operator, '') = '' then 'invalid_request'
		when v_finding.id is null then 'not_found'
		when v_finding.signal = 'dispute' then 'invalid_request' end;
	if problem is not null then
		extras := case when v_finding.signal = 'dispute' then '{"detail":"a dispute is ended by dispute won or dispute lost"}' end;
		return next;
		return;
	end if;
	update finding f
	set state = 'resolved', closed_at = clock_timestamp(), mistaken = not p_keep, reason = p_reason
	where f.id = p_id;
	if p_keep and v_finding.action > 'watch' then
		perform operator_finding(v_finding.account, v_finding.action, p_reason);
	end if;
	insert into operator_log (operator, action, account, reason, detail)
	values (p_operator, 'resolve_finding', v_finding.account, p_reason,
		jsonb_build_object('finding', p_id, 'signal', v_finding.signal, 'kept', p_keep));
	perform apply_findings(v_finding.account, p_operator, p_reason);
	select a.status, a.throttle from account a where a.id = v_finding.account into status, throttle;
	return next;
end
$$;
grant execute on function shotai.resolve_finding(bigint, boolean, text, text) to shotai_operator;

-- p_suspend: by the operator's word alone; else every restriction is lifted,
-- but for a dispute, which has an end of its own.
create or replace function shotai.restrict_account(p_user_id uuid, p_suspend boolean, p_reason text, p_operator text)
returns table (problem text, retry_after integer, extras text, status text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
declare
	v_account account;
begin
	if auth_user_exists(p_user_id) then
		select * from open_account(p_user_id) into v_account;
	end if;
	problem := case
		when p_suspend is null or coalesce(p_reason, '') = '' or coalesce(p_operator, '') = '' then 'invalid_request'
		when v_account.id is null or v_account.status = 'closed' then 'not_found' end;
	if problem is null and not p_suspend and exists (
		select from finding f where f.account = v_account.id and f.state = 'open' and f.signal = 'dispute'
	) then
		problem := 'invalid_request';
		extras := '{"detail":"a dispute is ended by dispute won or dispute lost"}';
	end if;
	if problem is not null then
		return next;
		return;
	end if;
	if p_suspend then
		perform operator_finding(v_account.id, 'suspend', p_reason);
	else
		update finding f set state = 'resolved', closed_at = clock_timestamp(), mistaken = true, reason = p_reason
		where f.account = v_account.id and f.state = 'open';
	end if;
	insert into operator_log (operator, action, account, reason)
	values (p_operator, case when p_suspend then 'suspend_account' else 'restore_account' end, v_account.id, p_reason);
	perform apply_findings(v_account.id, p_operator, p_reason);
	select a.status from account a where a.id = v_account.id into status;
	return next;
end
$$;
grant execute on function shotai.restrict_account(uuid, boolean, text, text) to shotai_operator;

-- All about one account that helps to judge it; no prompt, no picture.
create or replace function shotai.show_account(p_user_id uuid) returns table (name text, value text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
declare
	v_month timestamptz := clock_timestamp() - interval '30 days';
begin
	return query
	select s.name, s.value
	from account a
	cross join lateral (
		select count(*) as requests, count(*) filter (where g.error_code = 'content_policy') as refused,
			coalesce(sum(g.credits_charged), 0) as charged, coalesce(sum(g.credits_refunded), 0) as refunded
		from generation g where g.account = a.id and g.created_at > v_month
	) g
	cross join lateral (values
		(1, 'user', a.user_id::text), (2, 'status', a.status), (3, 'plan', a.plan), (4, 'created_at', rfc3339(a.created_at)),
		(5, 'age_confirmed_at', rfc3339(a.age_confirmed_at)), (6, 'balance', a.balance::text),
		(7, 'unfinished', a.unfinished::text),
		(8, 'throttle', case when a.throttle > 1 then format('%s until %s', a.throttle, rfc3339(a.throttled_until)) end),
		(9, 'welcome_refused', a.welcome_refused),
		(10, 'requests_30d', g.requests::text), (11, 'refused_30d', g.refused::text),
		(12, 'charged_30d', g.charged::text), (13, 'refunded_30d', g.refunded::text),
		(14, 'payments', (select count(*)::text from payment p where p.account = a.id and p.confirmed_by is not null)),
		(15, 'disputes', (select count(*)::text from dispute d join payment p on p.id = d.payment where p.account = a.id)),
		(16, 'shares_live', (select count(*)::text from live_share h where h.account = a.id)),
		(17, 'shares_taken_down', (select count(*)::text from share h where h.account = a.id and h.taken_down_at is not null)),
		(18, 'reports_open', (select count(*)::text from share_report r where r.account = a.id and r.state = 'open')),
		(19, 'findings_closed', (select count(*)::text from finding f where f.account = a.id and f.state <> 'open')),
		(20, 'legal_hold', (select format('%s, since %s', h.basis, rfc3339(h.set_at)) from legal_hold h where h.account = a.id)),
		(21, 'erasure', (select format('%s, asked %s', e.id, rfc3339(e.requested_at)) from erasure e where e.account = a.id))
	) s (place, name, value)
	where a.user_id = p_user_id
	order by s.place;
	return query
	select 'finding ' || f.id, format('%s %s, score %s, since %s', f.signal, f.action, round(f.score::numeric, 2), rfc3339(f.first_at))
	from finding f join account a on a.id = f.account
	where a.user_id = p_user_id and f.state = 'open'
	order by f.action desc, f.id;
	return query
	select 'log ' || rfc3339(o.at), format('%s by %s: %s', o.action, o.operator, o.reason)
	from operator_log o join account a on a.id = o.account
	where a.user_id = p_user_id
	order by o.id desc limit 20;
end
$$;
grant execute on function shotai.show_account(uuid) to shotai_operator;

select set_config('role', current_setting('shotai.migrating_role'), false);

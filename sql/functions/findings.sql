-- Findings of abuse, and what they make of an account: its status and throttle
-- are what its open findings say, so that lifting one lifts what it did.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

-- Opens a finding, or makes the open one of this signal stronger. Nothing, when
-- the value is within its limit, or when an operator called as much mistaken
-- within the last 7 days. Takes no lock: applying is for whoever has the account's.
create or replace function shotai.raise_finding(p_account bigint, p_signal text, p_value double precision,
	p_limit double precision, p_evidence jsonb, p_at timestamptz)
returns void
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_score double precision := p_value / p_limit;
	v_signal signal;
	v_action finding_action;
	v_end timestamptz;
	v_old finding;
	v_id bigint;
begin
	select s.* from signal s where s.id = p_signal and s.enabled into v_signal;
	v_action := case
		when v_score >= v_signal.suspend_at then 'suspend'
		when v_score >= v_signal.hold_at then 'hold'
		when v_score >= v_signal.throttle_at then 'throttle'
		when v_score >= 1 then 'watch' end;
	if v_signal.id is null or v_action is null
		or exists (select from account a where a.id = p_account and a.status = 'closed')
		or v_signal.family <> 'verdict' and exists (
			select from finding f
			where f.account = p_account and f.signal = p_signal and f.mistaken
				and f.closed_at > p_at - interval '7 days' and f.score * 2 > v_score
		) then
		return;
	end if;

	v_end := case v_action when 'watch' then p_at + interval '7 days' when 'throttle' then p_at + v_signal.throttle_for end;
	select f.* from finding f where f.account = p_account and f.signal = p_signal and f.state = 'open' into v_old;
	if v_old.action > v_action then
		v_action := v_old.action;
		v_end := v_old.expires_at;
	elsif v_old.action = v_action and v_end - p_at <= 2 * (v_old.expires_at - p_at) then
		v_end := v_old.expires_at; -- put off by halves, since the account is locked for it
	end if;
	insert into finding as f (account, signal, action, score, evidence, applied, first_at, last_at, expires_at)
	values (p_account, p_signal, v_action, v_score,
		p_evidence || jsonb_build_object('value', round(p_value::numeric, 3), 'limit', round(p_limit::numeric, 3)),
		v_action = 'watch' or coalesce(v_old.applied and (v_old.action, v_old.expires_at) is not distinct from (v_action, v_end), false),
		p_at, p_at, v_end)
	on conflict (account, signal) where state = 'open' do update
	set action = excluded.action, score = greatest(f.score, excluded.score), applied = excluded.applied,
		evidence = case when excluded.score >= f.score then excluded.evidence else f.evidence end,
		last_at = excluded.last_at, expires_at = excluded.expires_at
	returning f.id into v_id;

	-- Two that throttle for what accounts have in common confirm one another.
	update finding f
	set action = 'hold', expires_at = null, applied = false, evidence = f.evidence || jsonb_build_object('confirmed_by', o.signal)
	from finding o
	join signal s on s.id = o.signal and s.family = 'crowd'
	where f.id = v_id and v_signal.family = 'crowd' and f.action = 'throttle'
		and o.account = f.account and o.id <> f.id and o.state = 'open' and o.action >= 'throttle';
end
$$;

-- Makes the account, which is locked, what its open findings say, and logs a change.
create or replace function shotai.apply_findings(p_account bigint, p_by text default 'worker', p_reason text default null)
returns void
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_divisor constant integer := 4;
	v_before account;
	v_after account;
	v_finding finding;
begin
	select a.* from account a where a.id = p_account into v_before;
	update finding f set applied = true where f.account = p_account and not f.applied;
	select f.* from finding f where f.account = p_account and f.state = 'open'
	order by f.action desc, f.expires_at desc nulls first limit 1
	into v_finding;
	update account a
	set status = case when v_finding.action = 'suspend' then 'suspended' when v_finding.action = 'hold' then 'held' else 'active' end,
		throttle = case when v_finding.action = 'throttle' then v_divisor else 1 end,
		throttled_until = case when v_finding.action = 'throttle' then coalesce(v_finding.expires_at, 'infinity') end,
		change_no = a.change_no + 1
	where a.id = p_account and a.status <> 'closed'
	returning a.* into v_after;
	if not found or (v_before.status, v_before.throttle) = (v_after.status, v_after.throttle) then
		return;
	end if;
	if v_after.status = 'suspended' then
		perform cancel_queued(p_account);
	end if;
	insert into operator_log (operator, action, account, reason, detail)
	values (p_by, 'restrict_account', p_account, coalesce(p_reason, v_finding.signal, 'expired'),
		jsonb_build_object('from', case when v_before.throttle > 1 then 'throttled' else v_before.status end,
			'to', case when v_after.throttle > 1 then 'throttled' else v_after.status end, 'finding', v_finding.id));
end
$$;

-- What the owner of an account is told of it: its strongest restriction; no row: there is none.
create or replace function shotai.restriction_of(p_account bigint)
returns table (action text, reason text, since text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	select f.action::text, f.signal, rfc3339(f.first_at)
	from finding f
	where f.account = p_account and f.state = 'open' and f.action > 'watch' and f.applied
		and (f.expires_at is null or f.expires_at > clock_timestamp())
	order by f.action desc, f.first_at
	limit 1;
end
$$;

-- The extras of account_suspended.
create or replace function shotai.suspension_extras(p_account bigint) returns text
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	return (select jsonb_build_object('reason', r.reason) from restriction_of(p_account) r);
end
$$;

select set_config('role', current_setting('shotai.migrating_role'), false);

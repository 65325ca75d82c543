-- How every function begins that acts for a person: who he is, which key his request has, his account locked, his rate.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

-- The actions that are limited, a row for each plan. spends: closed to whoever is suspended, anonymous, or did not
-- confirm his age; the others are open to every account that is not being erased.
create or replace view shotai.plan_limit as
select p.id as plan, l.action, l.spends, l.burst, l.per_minute
from shotai.plan p
cross join lateral (values
	('generate', true, p.generate_burst, p.generate_per_minute),
	('upload', true, p.upload_burst, p.upload_per_minute),
	('share', true, p.share_burst, p.share_per_minute),
	('checkout', true, p.checkout_burst, p.checkout_per_minute),
	('portal', false, p.portal_burst, p.portal_per_minute),
	('export', false, p.export_burst, p.export_per_minute),
	('archive', false, p.archive_burst, p.archive_per_minute),
	('delete', false, p.delete_burst, p.delete_per_minute)
) l (action, spends, burst, per_minute);

-- The account of a user, locked; opened when there is none. The caller has
-- just seen the user in auth.users. closed: its erasure is under way.
create or replace function shotai.open_account(p_user_id uuid) returns setof shotai.account
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	return query select * from account a where a.user_id = p_user_id for no key update;
	if found then
		return;
	end if;
	insert into account (user_id) values (p_user_id) on conflict (user_id) do nothing;
	return query select * from account a where a.user_id = p_user_id for no key update;
end
$$;

-- The generic cell rate algorithm: a burst, then so many a minute. wait: the
-- seconds to wait, 0 when the request may pass; only then it counts. rate: the
-- action, its quota, the seconds in which all of that comes back, how many more
-- may pass at once, and in how many seconds one more may.
create or replace function shotai.take_token(p_account bigint, p_action text, p_burst integer, p_per_minute integer,
	out wait integer, out rate text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_now timestamptz := clock_timestamp();
	v_step interval := interval '1 minute' / p_per_minute;
	v_full timestamptz := v_now + v_step * p_burst;
	v_arrival timestamptz;
	v_left integer;
begin
	insert into rate_state as r (account, action, arrival)
	values (p_account, p_action, v_now + v_step)
	on conflict (account, action) do update
	set arrival = greatest(r.arrival, v_now) + v_step
	where greatest(r.arrival, v_now) + v_step <= v_full
	returning r.arrival into v_arrival;
	wait := 0;
	if not found then
		select r.arrival from rate_state r where r.account = p_account and r.action = p_action into strict v_arrival;
		wait := greatest(1, ceil(extract(epoch from v_arrival + v_step - v_full)));
	end if;
	v_left := greatest(0, floor(extract(epoch from v_full - v_arrival) / extract(epoch from v_step)));
	rate := format('%s;q=%s;w=%s;r=%s;t=%s', p_action, p_burst, ceil(extract(epoch from v_step * p_burst)), v_left,
		greatest(wait, ceil(extract(epoch from v_arrival + v_step * (v_left + 1) - v_full))));
end
$$;

-- Holds an idempotency key until commit. False: another request with this key
-- is still running after half a second.
create or replace function shotai.hold_key(p_user_id uuid, p_route text, p_key text) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_lock bigint := hashtextextended(p_user_id || ' ' || p_route || ' ' || p_key, 0);
	v_timeout text := current_setting('lock_timeout');
begin
	if pg_try_advisory_xact_lock(v_lock) then
		return true;
	end if;
	perform set_config('lock_timeout', '500ms', true);
	begin
		perform pg_advisory_xact_lock(v_lock);
	exception when lock_not_available then
		perform set_config('lock_timeout', v_timeout, true);
		return false;
	end;
	perform set_config('lock_timeout', v_timeout, true);
	return true;
end
$$;

-- Lets a request in as far as the person, his account and his key go, and
-- leaves the account locked. p_action: a row of plan_limit; null: one without a
-- limit. Whatever gets here takes a token, whatever the answer, except a request
-- that finds its key in progress, since the first one holds the tokens, and one
-- of an account that is being erased, which keeps none. Where
-- several refusals hold, the first of this order is given: unauthenticated,
-- anonymous_not_allowed, idempotency_in_progress, account_suspended,
-- age_confirmation_required. Refusing by `wait` and `reused` is the caller's.
create or replace function shotai.admit(p_user_id uuid, p_session_id uuid, p_action text, p_key text default null,
	p_request_hash text default null)
returns shotai.admission
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_in admission;
	v_account account;
	v_signed_in boolean;
	v_spends boolean;
	v_burst integer;
	v_per_minute integer;
begin
	select * from auth_session(p_user_id, p_session_id) into v_in.email, v_in.email_confirmed, v_in.anonymous;
	v_signed_in := found;
	if v_signed_in and p_key is not null and not hold_key(p_user_id, p_action, p_key) then
		v_in.problem := 'idempotency_in_progress';
		v_in.retry_after := 1;
		return v_in;
	end if;

	if v_signed_in then
		select * from open_account(p_user_id) into v_account;
	else
		select a.* from account a where a.user_id = p_user_id into v_account;
	end if;
	v_in.account := v_account;
	v_in.plan := (select p from plan p where p.id = v_account.plan);
	if p_action is not null and v_account.status <> 'closed' then
		select l.spends, l.burst, l.per_minute from plan_limit l where l.plan = v_account.plan and l.action = p_action
		into strict v_spends, v_burst, v_per_minute;
		if v_account.throttled_until > clock_timestamp() then
			v_burst := greatest(1, v_burst / v_account.throttle);
			v_per_minute := greatest(1, v_per_minute / v_account.throttle);
		end if;
		select t.wait, t.rate from take_token(v_account.id, p_action, v_burst, v_per_minute) t into v_in.wait, v_in.rate;
	end if;
	v_in.problem := case
		when not v_signed_in then 'unauthenticated'
		when v_spends and v_in.anonymous then 'anonymous_not_allowed'
		when v_account.id is null or v_account.status = 'closed' then 'account_suspended'
		when v_spends and v_account.status <> 'active' then 'account_suspended'
		when v_spends and v_account.age_confirmed_at is null then 'age_confirmation_required' end;
	if v_in.problem = 'account_suspended' then
		v_in.extras := suspension_extras(v_account.id);
	end if;
	if v_in.problem is null and p_key is not null then
		select k.created, k.request_hash <> decode(p_request_hash, 'hex') from idempotency k
		where k.account = v_account.id and k.route = p_action and k.key = p_key
			and k.created_at > clock_timestamp() - retention('idempotency')
		into v_in.created, v_in.reused;
	end if;
	return v_in;
end
$$;

-- Keeps what a request with a key made, in the place of what that key made before. No key: nothing.
create or replace function shotai.keep_key(p_account bigint, p_action text, p_key text, p_request_hash text,
	p_created uuid)
returns void
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	if p_key is not null then
		insert into idempotency as k (account, route, key, request_hash, created)
		values (p_account, p_action, p_key, decode(p_request_hash, 'hex'), p_created)
		on conflict (account, route, key) do update
		set request_hash = excluded.request_hash, created = excluded.created, created_at = excluded.created_at;
	end if;
end
$$;

select set_config('role', current_setting('shotai.migrating_role'), false);

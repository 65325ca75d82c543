-- Accounts: opening, age, the welcome grant, what the account page shows.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

-- The account as it is shown: one row for each lot with credits left, in the
-- order of consumption, or one without a lot.
create or replace function shotai.account_answer(p_account bigint, p_email text) returns setof shotai.account_row
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_limits jsonb;
begin
	select jsonb_object_agg(l.action || '_burst', l.burst) || jsonb_object_agg(l.action || '_per_minute', l.per_minute)
	from account a join plan_limit l on l.plan = a.plan where a.id = p_account into v_limits;
	return query
	select null::text, null::integer, null::text, null::uuid, a.user_id, p_email, a.balance, a.locale, a.receipts,
		a.announcements, a.age_confirmed_at is not null,
		(select s.policy_version from service_state() s), a.policy_acknowledged,
		policy_notice(a.policy_acknowledged, a.created_at),
		(jsonb_build_object('unfinished_max', p.unfinished_max, 'uploads_max', p.uploads_max) || v_limits)::text, a.status,
		l.source, l.remaining, rfc3339(l.expires_at), s.*, r.action, r.reason, r.since, a.welcome_refused
	from account a
	join plan p on p.id = a.plan
	left join credit_lot l on l.account = a.id and l.open
	left join shown_subscription(a.id) s on true
	left join restriction_of(a.id) r on true
	where a.id = p_account
	order by l.expires_at nulls last, l.id;
end
$$;

create or replace function shotai.get_account(p_user_id uuid, p_session_id uuid)
returns setof shotai.account_row
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_user record;
	v_account account;
	v_row account_row;
begin
	select * from auth_session(p_user_id, p_session_id) into v_user;
	if not found then
		v_row.problem := 'unauthenticated';
		return next v_row;
		return;
	end if;

	-- The common case takes no lock: an account, and nothing due.
	select * from account a where a.user_id = p_user_id into v_account;
	if not found or exists (
		select from credit_lot l
		where l.account = v_account.id and l.open and l.expires_at <= clock_timestamp()
	) then
		select * from open_account(p_user_id) into v_account;
		perform expire_lots(v_account.id);
	end if;
	if v_account.id is null or v_account.status = 'closed' then
		v_row.problem := 'account_suspended';
		return next v_row;
		return;
	end if;
	return query select * from account_answer(v_account.id, v_user.email);
end
$$;
grant execute on function shotai.get_account(uuid, uuid) to shotai_web;

-- null leaves a setting as it is.
create or replace function shotai.update_account(p_user_id uuid, p_session_id uuid, p_locale text,
	p_receipts boolean default null, p_announcements boolean default null)
returns setof shotai.account_row
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_in admission := admit(p_user_id, p_session_id, null);
	v_account bigint := (v_in.account).id;
	v_row account_row;
begin
	v_row.problem := v_in.problem;
	if v_row.problem is not null then
		return next v_row;
		return;
	end if;
	if p_locale not in ('en', 'nl') then
		v_row.problem := 'invalid_request';
		v_row.extras := '{"errors":[{"pointer":"/locale","detail":"must be en or nl"}]}';
		return next v_row;
		return;
	end if;

	perform expire_lots(v_account);
	update account a
	set locale = coalesce(p_locale, a.locale), receipts = coalesce(p_receipts, a.receipts),
		announcements = coalesce(p_announcements, a.announcements), change_no = a.change_no + 1
	where a.id = v_account
		and (a.locale <> p_locale or a.receipts <> p_receipts or a.announcements <> p_announcements);
	delete from mail_bounce b where b.account = v_account and (p_receipts or p_announcements);
	return query select * from account_answer(v_account, v_in.email);
end
$$;
grant execute on function shotai.update_account(uuid, uuid, text, boolean, boolean) to shotai_web;

-- The version must be in force or have been; an older one than was acknowledged changes nothing.
create or replace function shotai.acknowledge_policy(p_user_id uuid, p_session_id uuid, p_version text)
returns setof shotai.account_row
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_in admission := admit(p_user_id, p_session_id, null);
	v_account bigint := (v_in.account).id;
	v_from timestamptz;
	v_row account_row;
begin
	v_row.problem := v_in.problem;
	if v_row.problem is not null then
		return next v_row;
		return;
	end if;
	select v.effective_from from policy_version v
	where v.version = p_version and v.effective_from <= clock_timestamp() into v_from;
	if not found then
		v_row.problem := 'invalid_request';
		v_row.extras := '{"errors":[{"pointer":"/version","detail":"is no version that is in force or was"}]}';
		return next v_row;
		return;
	end if;

	perform expire_lots(v_account);
	update account a
	set policy_acknowledged = p_version, change_no = a.change_no + 1
	where a.id = v_account and v_from > coalesce(
		(select v.effective_from from policy_version v where v.version = a.policy_acknowledged), '-infinity');
	return query select * from account_answer(v_account, v_in.email);
end
$$;
grant execute on function shotai.acknowledge_policy(uuid, uuid, text) to shotai_web;

-- Credits for a new person: once per folded address, once per account, and not
-- for an address that is made to be thrown away.
create or replace function shotai.grant_welcome(p_account bigint, p_email_hash bytea, p_email text) returns void
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_credits integer;
	v_refused text := case when mail_domain_kind(p_email) = 'disposable' then 'disposable_address' end;
begin
	select p.welcome_credits from account a join plan p on p.id = a.plan where a.id = p_account into v_credits;
	if v_credits = 0 or exists (select from credit_entry e where e.cause = 'welcome:' || p_account) then
		return;
	end if;
	update account a set welcome_refused = v_refused, change_no = a.change_no + 1
	where a.id = p_account and a.welcome_refused is distinct from v_refused;
	if v_refused is not null then
		return;
	end if;
	insert into welcome_grant (email_hash, account) values (p_email_hash, p_account) on conflict do nothing;
	if found then
		perform grant_lot(p_account, 'welcome', v_credits, null, 'welcome:' || p_account);
	end if;
end
$$;

create or replace function shotai.confirm_age(p_user_id uuid, p_session_id uuid, p_at_least_13 boolean, p_email text,
	p_email_hash text, p_previous_hash text default null, p_stem_mark text default null, p_domain_mark text default null)
returns setof shotai.account_row
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_hash bytea := decode(p_email_hash, 'hex');
	v_previous bytea := decode(p_previous_hash, 'hex');
	v_in admission;
	v_account account;
	v_row account_row;
begin
	if p_at_least_13 is null then
		raise exception 'an age must be confirmed or denied' using errcode = 'null_value_not_allowed';
	end if;
	v_in := admit(p_user_id, p_session_id, null);
	v_account := v_in.account;
	v_row.problem := v_in.problem;
	if v_row.problem is not null then
		return next v_row;
		return;
	end if;

	-- SECRET_KEY was rotated: what is remembered under the previous key is remembered under the current one from now on.
	update welcome_grant w set email_hash = v_hash
	where w.email_hash = v_previous and not exists (select from welcome_grant o where o.email_hash = v_hash);
	update age_block b set email_hash = v_hash
	where b.email_hash = v_previous and not exists (select from age_block o where o.email_hash = v_hash);

	if not p_at_least_13 then
		if v_hash is not null then
			insert into age_block (email_hash, blocked_until)
			values (v_hash, clock_timestamp() + retention('age_block'))
			on conflict (email_hash) do update set blocked_until = excluded.blocked_until;
		end if;
		v_row.erasure_id := begin_erasure(v_account.id, 'age');
		return next v_row;
		return;
	end if;

	if exists (
		select from age_block b
		where b.email_hash = v_hash and b.blocked_until > clock_timestamp()
	) then
		perform raise_finding(v_account.id, 'age', 1, 1, '{}', clock_timestamp());
		update finding f set expires_at = b.blocked_until from age_block b
		where f.account = v_account.id and f.signal = 'age' and f.state = 'open' and b.email_hash = v_hash;
		perform apply_findings(v_account.id);
	end if;
	-- Another address does not make older: while it stands, the finding counts whatever the address is now.
	if exists (
		select from finding f
		where f.account = v_account.id and f.signal = 'age' and f.state = 'open'
			and coalesce(f.expires_at, 'infinity') > clock_timestamp()
	) then
		v_row.problem := 'account_suspended';
		v_row.extras := suspension_extras(v_account.id);
		return next v_row;
		return;
	end if;

	update finding f set state = 'expired', closed_at = clock_timestamp()
	where f.account = v_account.id and f.signal = 'age' and f.state = 'open';
	if found then
		perform apply_findings(v_account.id);
	end if;
	update account a
	set age_confirmed_at = coalesce(a.age_confirmed_at, clock_timestamp()),
		change_no = a.change_no + (a.age_confirmed_at is null)::integer
	where a.id = v_account.id
	returning a.* into v_account;
	-- The hash is of the token's address: it counts only while that is the user's, and confirmed.
	if v_hash is not null and v_account.status = 'active'
		and v_in.email_confirmed and not v_in.anonymous and lower(v_in.email) = lower(p_email) then
		perform grant_welcome(v_account.id, v_hash, p_email);
		perform mark_account(v_account.id, 'stem', p_stem_mark);
		perform mark_account(v_account.id, 'domain', case when mail_domain_kind(p_email) is null then p_domain_mark end);
	end if;
	perform expire_lots(v_account.id);
	return query select * from account_answer(v_account.id, v_in.email);
end
$$;
grant execute on function shotai.confirm_age(uuid, uuid, boolean, text, text, text, text, text) to shotai_web;

create or replace function shotai.list_credit_entries(p_user_id uuid, p_lim integer, p_cursor text)
returns table (problem text, retry_after integer, extras text, cursor text, more boolean,
	id uuid, kind text, source text, amount bigint, balance_after bigint, generation_id uuid, order_id uuid, created_at text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
declare
	v_limit integer := least(greatest(p_lim, 1), 100);
	v_account bigint;
	v_before bigint := 9223372036854775807;
	v_last bigint;
begin
	if p_cursor is not null and p_cursor !~ '^[0-9]{1,18}$' then
		problem := 'invalid_request';
		extras := '{"errors":[{"pointer":"cursor","detail":"is not one that a list gave"}]}';
		return next;
		return;
	elsif p_cursor is not null then
		v_before := p_cursor::bigint;
	end if;

	select a.id from account a where a.user_id = p_user_id and a.status <> 'closed' into v_account;
	-- Numbers have no gaps, so the last one of the page is known.
	select greatest(max(e.number) - v_limit + 1, 1) from credit_entry e
	where e.account = v_account and e.number < v_before into v_last;

	return query
	select null::text, null::integer, null::text, e.number::text, v_last > 1,
		e.id, e.kind, case e.kind when 'grant' then g.source end, e.amount, e.balance_after, e.generation, e.order_id,
		rfc3339(e.created_at)
	from credit_entry e
	left join lateral ( -- a grant goes into one lot
		select l.source from entry_lot x join credit_lot l on l.id = x.lot where e.kind = 'grant' and x.entry = e.id limit 1
	) g on true
	where e.account = v_account and e.number < v_before and e.number >= v_last
	order by e.number desc;
end
$$;
grant execute on function shotai.list_credit_entries(uuid, integer, text) to shotai_web;

select set_config('role', current_setting('shotai.migrating_role'), false);

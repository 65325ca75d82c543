-- For shotaictl.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

create or replace function shotai.grant_credits(p_user_id uuid, p_amount bigint, p_source text, p_expires_at timestamptz,
	p_reason text, p_operator text)
returns table (problem text, retry_after integer, extras text, balance bigint)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
declare
	v_errors jsonb := '[]';
	v_account account;
	v_action bigint;
begin
	if p_amount is null or p_amount not between 1 and 1000000000 then
		v_errors := v_errors || '{"pointer":"/amount","detail":"must be from 1 to 1000000000"}'::jsonb;
	end if;
	if p_source is null or p_source not in ('welcome', 'subscription', 'top_up', 'adjustment') then
		v_errors := v_errors || '{"pointer":"/source","detail":"must be welcome, subscription, top_up or adjustment"}'::jsonb;
	end if;
	if p_expires_at <= clock_timestamp() then
		v_errors := v_errors || '{"pointer":"/expires_at","detail":"must be in the future"}'::jsonb;
	end if;
	if coalesce(p_reason, '') = '' or coalesce(p_operator, '') = '' then
		v_errors := v_errors || '{"pointer":"/reason","detail":"reason and operator must be given"}'::jsonb;
	end if;
	if v_errors <> '[]' then
		problem := 'invalid_request';
		extras := jsonb_build_object('errors', v_errors)::text;
		return next;
		return;
	end if;

	if auth_user_exists(p_user_id) then
		select * from open_account(p_user_id) into v_account;
	end if;
	if v_account.id is null or v_account.status = 'closed' then
		problem := 'not_found';
		return next;
		return;
	end if;
	perform expire_lots(v_account.id);
	insert into operator_log (operator, action, account, reason, detail)
	values (p_operator, 'grant_credits', v_account.id, p_reason,
		jsonb_build_object('amount', p_amount, 'source', p_source, 'expires_at', p_expires_at))
	returning id into v_action;
	perform grant_lot(v_account.id, p_source, p_amount, p_expires_at, 'operator:' || v_action);
	select a.balance from account a where a.id = v_account.id into balance;
	return next;
end
$$;
grant execute on function shotai.grant_credits(uuid, bigint, text, timestamptz, text, text) to shotai_operator;

create or replace function shotai.find_account(p_user_or_email text)
returns table (user_id uuid, email text, status text, plan text, balance bigint, unfinished integer,
	age_confirmed boolean, created_at text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	select u.user_id, u.email, a.status, a.plan, a.balance, a.unfinished, a.age_confirmed_at is not null,
		rfc3339(a.created_at)
	from (
		select f.user_id, f.email from auth_find(p_user_or_email) f
		union -- one whose Auth user vanished
		select n.user_id, null
		from account n
		where n.user_id = case when lower(p_user_or_email) ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then p_user_or_email::uuid end
			and not auth_user_exists(n.user_id)
	) u
	left join account a on a.user_id = u.user_id;
end
$$;
grant execute on function shotai.find_account(text) to shotai_operator;

-- What unspent credits are worth: those that were bought, what was paid for
-- them; the others, what the cheapest offer asks for as many.
create or replace function shotai.liability() returns table (source text, credits bigint, worth numeric, currency text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	select l.source, sum(l.remaining)::bigint,
		round(sum(l.remaining * coalesce(p.amount_cents::numeric / nullif(l.granted, 0), d.cents, 0)) / 100, 2),
		coalesce(p.currency, d.currency)
	from credit_lot l
	left join payment p on p.id = l.payment
	left join (
		select s.price_cents::numeric / s.credits as cents, s.currency from sale s where s.available order by 1 limit 1
	) d on true
	where l.open
	group by l.source, coalesce(p.currency, d.currency);
end
$$;

create or replace function shotai.operator_status() returns table (name text, value text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	select s.name, s.value
	from service_state() v
	cross join queue_state() q
	cross join upload_state() u
	-- What is owed, by what it was given for: only some of it was paid.
	cross join (
		select count(*) as lots, coalesce(sum(l.remaining), 0) as credits,
			coalesce(sum(l.remaining) filter (where l.source = 'welcome'), 0) as welcome,
			coalesce(sum(l.remaining) filter (where l.source = 'subscription'), 0) as subscription,
			coalesce(sum(l.remaining) filter (where l.source = 'top_up'), 0) as top_up,
			coalesce(sum(l.remaining) filter (where l.source = 'adjustment'), 0) as adjustment,
			coalesce(sum(l.remaining) filter (where l.expires_at <= clock_timestamp() + interval '30 days'), 0) as expiring
		from credit_lot l
		where l.open
	) o
	cross join lateral (values
		(1, 'migration', v.version),
		(2, 'policy', v.policy_version),
		(3, 'accounts', (select count(*)::text from account a where a.status <> 'closed')),
		(4, 'suspended', (select count(*)::text from account a where a.status = 'suspended')),
		(5, 'lots_open', o.lots::text),
		(6, 'credits_outstanding', o.credits::text),
		(7, 'credits_welcome', o.welcome::text),
		(8, 'credits_subscription', o.subscription::text),
		(9, 'credits_top_up', o.top_up::text),
		(10, 'credits_adjustment', o.adjustment::text),
		(11, 'credits_expiring_30d', o.expiring::text),
		(12, 'jobs_queued', q.queued::text),
		(13, 'jobs_running', q.running::text),
		(14, 'oldest_queued_seconds', q.oldest_seconds::text),
		(15, 'leases_lost', (select count(*)::text from job j where not j.waiting and j.lease_until < clock_timestamp())),
		(16, 'workers', (select count(*)::text from worker w where w.seen_at > clock_timestamp() - lease())),
		(17, 'calls_uncertain_24h', (select count(*)::text from provider_call c
			where c.state = 'uncertain' and c.created_at > clock_timestamp() - interval '24 hours')),
		(18, 'erasures_pending', (select count(*)::text from erasure e where e.finished_at is null)),
		(19, 'uploads_live', u.live::text),
		(20, 'uploads_overdue', u.overdue::text),
		(21, 'upload_deletion_lag_seconds', round(u.lag::numeric, 1)::text),
		(22, 'uploads_deleted_24h', u.deleted_24h::text),
		(23, 'upload_worst_lag_seconds_24h', round(u.worst_lag_24h::numeric, 1)::text),
		(24, 'share_reports_open', (select count(*)::text from share_report r where r.state = 'open')),
		(25, 'picture_deletions_pending', (select count(*)::text from object_deletion d)),
		(26, 'legal_holds', (select count(*)::text from legal_hold h)),
		(27, 'disclosures', (select count(*)::text from operator_log o where o.action = 'disclose')),
		(28, 'held', (select count(*)::text from account a where a.status = 'held')),
		(29, 'throttled', (select count(*)::text from account a where a.throttled_until > clock_timestamp())),
		(30, 'findings_open', (select count(*)::text from finding f where f.state = 'open')),
		(31, 'watch_behind_seconds', (select coalesce(ceil(extract(epoch from clock_timestamp() - min(p.seen_until))), 0)::text
			from signal_progress p join signal s on s.id = p.signal where s.enabled)),
		(32, 'watch_failing', (select coalesce(string_agg(p.signal || ' ' || p.failure, ', ' order by p.signal), 'nothing')
			from signal_progress p where p.failure is not null))
	) s (place, name, value)
	order by s.place;
	return query select b.name, b.value from billing_status() b;
	return query
	select 'worth_' || coalesce(l.source, 'total'), sum(l.worth) || coalesce(' ' || l.currency, '')
	from liability() l
	group by grouping sets ((l.source, l.currency), (l.currency))
	order by l.currency, l.source nulls last;
end
$$;
grant execute on function shotai.operator_status() to shotai_operator;

select set_config('role', current_setting('shotai.migrating_role'), false);

-- The watch: what happened since the last look, against what is usual.
--
-- Each signal has a place up to which it was looked at, so that an hour missed
-- is caught up, and one that fails stays behind alone. Nothing here is called
-- by a request of a person.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

-- What counts for a habit between two moments.
create or replace function shotai.signal_events(p_signal text, p_from timestamptz, p_to timestamptz)
returns table (account bigint, at timestamptz, hits bigint, base bigint)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	if p_signal in ('burst', 'refused', 'refunds') then
		-- The ledger knows all of it: a charge for each request, a refund for what was not delivered.
		return query
		select e.account, e.created_at,
			case p_signal
				when 'burst' then case e.kind when 'charge' then g.count::bigint end
				when 'refused' then case when e.kind = 'refund' and g.error_code = 'content_policy' then 1::bigint end
				else case when e.kind = 'charge' then 0 when g.error_code <> 'content_policy' then e.amount end end,
			case e.kind when 'charge' then -e.amount else 0 end
		from credit_entry e
		join generation g on g.id = e.generation
		where e.created_at > p_from and e.created_at <= p_to and e.kind in ('charge', 'refund');
	elsif p_signal = 'checkouts' then
		return query
		select c.account, c.created_at, 1::bigint, 1::bigint from checkout c
		where c.created_at > p_from and c.created_at <= p_to and c.state <> 'completed';
	elsif p_signal = 'reports' then
		-- Whoever reports one share often is no crowd.
		return query
		select r.account, min(r.created_at), 1::bigint, 1::bigint from share_report r
		where r.created_at > p_from and r.created_at <= p_to and not exists (
			select from share_report o
			where o.slug = r.slug and o.created_at <= p_from and o.created_at > p_from - interval '1 day')
		group by r.account, r.slug;
	elsif p_signal = 'hotlink' then
		-- A page of ours fetches its picture once; what is beyond that is shown elsewhere.
		return query
		with traffic as (delete from share_traffic t returning t.share, t.images - t.pages as images)
		select s.account, p_to, t.images, t.images from traffic t join share s on s.id = t.share
		where t.images > 0;
	end if;
end
$$;

-- What accounts have in common.
create or replace view shotai.common_mark as
select m.kind, m.mark, m.account, m.seen_at from shotai.account_mark m
union all
select 'customer', decode(md5(l.id), 'hex'), l.account, l.created_at from shotai.creem_link l where l.kind = 'customer';

-- Where everyone's quantile lies; null while too few were observed.
create or replace function shotai.crowd_quantile(p_signal shotai.signal) returns double precision
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	return (
		select exp((b.bin + 1) / 8.0) - 1
		from (
			select b.bin, sum(b.weight) over (order by b.bin) as upto, sum(b.weight) over () as total
			from crowd_bin b where b.signal = p_signal.id
		) b
		where b.total >= p_signal.crowd_min and b.upto >= b.total * p_signal.crowd_quantile
		order by b.bin limit 1)
		/ case p_signal.measure when 'share' then 100 else 1 end;
end
$$;

-- Of a span that is over, its account and everyone learn, unless something was
-- found about it. Returns the baseline without the span.
create or replace function shotai.learn_span(p_signal shotai.signal, b shotai.baseline, p_at timestamptz)
returns shotai.baseline
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_value double precision := span_value(p_signal, b);
	v_kept double precision := 0.5 ^ (extract(epoch from p_at - b.span_start) / 86400 / 14);
	v_delta double precision := v_value - b.mean;
	v_spread double precision;
begin
	b.hits := 0;
	b.base := 0;
	if v_value is null or exists (
		select from finding f where f.account = b.account and f.signal = p_signal.id and f.state = 'open'
	) then
		return b;
	end if;
	v_spread := b.variance * b.observed * v_kept;
	b.observed := b.observed * v_kept + 1;
	b.mean := b.mean + v_delta / b.observed;
	b.variance := greatest(0, (v_spread + v_delta * (v_value - b.mean)) / b.observed);
	insert into crowd_bin as c (signal, bin, weight)
	values (p_signal.id, floor(8 * ln(1 + v_value * case p_signal.measure when 'share' then 100 else 1 end)), 1)
	on conflict (signal, bin) do update set weight = c.weight + 1;
	return b;
end
$$;

-- null: too little to say anything.
create or replace function shotai.span_value(p_signal shotai.signal, b shotai.baseline) returns double precision
language plpgsql stable security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	return case
		when p_signal.measure = 'count' then b.hits
		when b.base >= greatest(p_signal.base_min, 1) then least(1, b.hits::double precision / b.base) end;
end
$$;

-- Whether the models that failed an account fail everybody now, or too few others use them to tell.
create or replace function shotai.fails_for_all(p_account bigint, p_at timestamptz) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_since timestamptz := p_at - interval '3 hours';
	v_models text[] := array(
		select distinct g.model from generation g
		where g.account = p_account and g.created_at > v_since and g.created_at <= p_at
			and g.credits_refunded > 0 and g.error_code <> 'content_policy');
begin
	return (
		select count(*) < 5 or avg((o.refunded > o.charged / 2.0)::integer) > 0.3
		from (
			select sum(g.credits_charged) as charged,
				coalesce(sum(g.credits_refunded) filter (where g.error_code <> 'content_policy'), 0) as refunded
			from credit_entry e
			join generation g on g.id = e.generation and g.model = any (v_models)
			where e.created_at > v_since and e.created_at <= p_at and e.kind = 'charge' and e.account <> p_account
			group by e.account
		) o);
end
$$;

-- Looks at what accounts did, one row of baseline for each that did something.
create or replace function shotai.watch_habit(p_signal shotai.signal, p_from timestamptz, p_to timestamptz) returns void
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_crowd double precision := crowd_quantile(p_signal);
	v_usual double precision := least(p_signal.ceiling,
		greatest(p_signal.floor, coalesce(v_crowd * p_signal.crowd_factor, p_signal.ceiling)));
	v_limit double precision;
	v_value double precision;
	v_row record;
	b baseline;
begin
	for v_row in
		select e.account, date_bin(p_signal.span, e.at, 'epoch') as span_start, max(e.at) as at,
			coalesce(sum(e.hits), 0)::bigint as hits, sum(e.base)::bigint as base
		from signal_events(p_signal.id, p_from, p_to) e
		join account a on a.id = e.account and a.status <> 'closed'
		where e.hits is not null
		group by 1, 2
		order by 1, 2
	loop
		select o.* from baseline o where o.account = v_row.account and o.signal = p_signal.id into b;
		if not found then
			b := row(v_row.account, p_signal.id, v_row.span_start, 0, 0, 0, 0, 0);
		elsif b.span_start < v_row.span_start then
			b := learn_span(p_signal, b, v_row.span_start);
			b.span_start := v_row.span_start;
		end if;
		b.hits := b.hits + v_row.hits;
		b.base := b.base + v_row.base;
		insert into baseline values (b.*)
		on conflict (account, signal) do update
		set span_start = excluded.span_start, hits = excluded.hits, base = excluded.base,
			observed = excluded.observed, mean = excluded.mean, variance = excluded.variance;

		v_value := span_value(p_signal, b);
		v_limit := case
			when b.observed >= p_signal.own_min then greatest(v_usual, b.mean + p_signal.own_deviations * sqrt(b.variance))
			else v_usual end;
		if v_value >= v_limit and not (p_signal.measure = 'share' and fails_for_all(v_row.account, v_row.at)) then
			perform raise_finding(v_row.account, p_signal.id, v_value, v_limit, jsonb_build_object(
				'span', p_signal.span, 'hits', b.hits, 'base', b.base, 'own_spans', round(b.observed::numeric, 1),
				'own_mean', round(b.mean::numeric, 3), 'own_deviation', round(sqrt(b.variance)::numeric, 3),
				'crowd', round(v_crowd::numeric, 3)), p_to);
		end if;
	end loop;
end
$$;

-- Looks at what new accounts have in common: of a mark, how many accounts have
-- it; of prompts, how many of its own an account shares with three others.
create or replace function shotai.watch_crowd(p_signal shotai.signal, p_from timestamptz, p_to timestamptz) returns void
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_most constant integer := 200; -- accounts of one mark
	v_sharing integer := case p_signal.id when 'prompt' then 4 else p_signal.floor end;
	v_mark bytea;
	v_accounts bigint[];
	v_account bigint;
	v_shared integer;
begin
	for v_mark in
		select distinct m.mark from common_mark m
		where m.kind = p_signal.id and m.seen_at > p_from and m.seen_at <= p_to
	loop
		v_accounts := array(
			select m.account from common_mark m
			where m.kind = p_signal.id and m.mark = v_mark and m.seen_at > p_to - p_signal.span and m.seen_at <= p_to
			order by m.seen_at desc limit v_most);
		if cardinality(v_accounts) < v_sharing then
			continue;
		end if;
		foreach v_account in array v_accounts loop
			continue when exists (
				select from finding f
				where f.account = v_account and f.signal = p_signal.id and f.state = 'open' and f.action >= 'hold');
			v_shared := cardinality(v_accounts);
			if p_signal.id = 'prompt' then
				select count(*) from account_mark m
				where m.account = v_account and m.kind = 'prompt' and v_sharing <= (
					select count(*) from account_mark o
					where o.kind = 'prompt' and o.mark = m.mark and o.seen_at > p_to - p_signal.span and o.seen_at <= p_to)
				into v_shared;
			end if;
			if v_shared >= p_signal.floor then
				perform raise_finding(v_account, p_signal.id, v_shared, p_signal.floor,
					jsonb_build_object('span', p_signal.span, 'accounts', cardinality(v_accounts)), p_to);
			end if;
		end loop;
	end loop;
end
$$;

-- Takes one signal up to p_until, an hour further, or as far as is soon done.
create or replace function shotai.watch_signal(p_signal shotai.signal, p_until timestamptz) returns void
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_from timestamptz := (select p.seen_until from signal_progress p where p.signal = p_signal.id);
	v_to timestamptz := least(p_until, v_from + interval '1 hour');
	v_most constant integer := 4000; -- entries of the ledger
begin
	if v_to <= v_from then
		return;
	end if;
	if p_signal.id in ('burst', 'refused', 'refunds') then
		v_to := least(v_to, (
			select e.created_at from credit_entry e where e.created_at > v_from order by e.created_at offset v_most limit 1));
	end if;
	if p_signal.family = 'habit' then
		perform watch_habit(p_signal, v_from, v_to);
	else
		perform watch_crowd(p_signal, v_from, v_to);
	end if;
	-- What everyone did fades a little each day.
	update crowd_bin c set weight = c.weight * 0.5 ^ (1 / 14.0)
	where c.signal = p_signal.id and date_trunc('day', v_from) < date_trunc('day', v_to);
	update signal_progress p set seen_until = v_to, failure = null where p.signal = p_signal.id;
end
$$;

-- Ends what ends by itself, and brings one account in line with its findings.
create or replace function shotai.apply_next_finding(p_now timestamptz) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_account bigint;
begin
	update finding f set state = 'expired', closed_at = p_now, applied = f.action = 'watch'
	where f.id = any (array(
		select o.id from finding o where o.state = 'open' and o.expires_at <= p_now order by o.expires_at limit 1000));
	select a.id from finding f join account a on a.id = f.account
	where not f.applied order by f.id limit 1
	for no key update of a skip locked
	into v_account;
	if found then
		perform apply_findings(v_account);
	end if;
	return found;
end
$$;

-- Called every minute, and again while it says 'more' = 1. One account is
-- locked in a transaction. p_now: for simulations; what is younger than 15
-- seconds waits, since its transaction may still be under way.
create or replace function shotai.watch_accounts(p_now timestamptz default null) returns table (name text, value bigint)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_started timestamptz := clock_timestamp();
	v_now timestamptz := coalesce(p_now, v_started);
	v_until timestamptz := coalesce(p_now, v_now - interval '15 seconds');
	v_signal signal;
	v_applied boolean := false;
	v_looked boolean := false;
	v_failed bigint := 0;
begin
	if not pg_try_advisory_xact_lock(hashtext('shotai.watch')) then
		return;
	end if;
	begin
		v_applied := apply_next_finding(v_now);
	exception when others then
		v_failed := 1;
	end;
	for v_signal in
		select s.* from signal s join signal_progress p on p.signal = s.id
		where s.enabled and p.seen_until < v_until and not v_applied
		order by p.seen_until, s.id
	loop
		exit when clock_timestamp() > v_started + interval '2 seconds';
		v_looked := true;
		begin
			perform watch_signal(v_signal, v_until);
		exception when others or query_canceled then -- one that takes too long is behind alone, too
			v_failed := v_failed + 1;
			update signal_progress p set failed_at = v_now, failure = sqlstate where p.signal = v_signal.id;
		end;
	end loop;
	if not v_applied then
		delete from account_mark m where m.seen_at < v_now - retention('mark');
		delete from baseline b where b.span_start < v_now - retention('baseline');
		delete from finding f where f.closed_at < v_now - retention('finding');
	end if;
	return query values
		('failed', v_failed),
		('more', (v_failed = 0 and (v_applied
			or v_looked and exists (select from finding f where not f.applied)
			or exists (select from signal_progress p join signal s on s.id = p.signal
				where s.enabled and p.seen_until < v_until)))::integer::bigint);
end
$$;
grant execute on function shotai.watch_accounts(timestamptz) to shotai_worker;

select set_config('role', current_setting('shotai.migrating_role'), false);

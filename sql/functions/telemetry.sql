-- Requests that were answered, by day. TELEMETRY itself is a setting of the programs: with it off none of them calls
-- record_requests, while what an earlier setting left still comes to its end.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

-- p_requests: [{"at","method","route","status","ms","user","address"}], at in milliseconds of the unix epoch. A clock
-- that is wrong does not lose them: they are at most a minute old. p_dropped: how many could not be handed in before.
create or replace function shotai.record_requests(p_program text, p_requests text, p_dropped bigint)
returns table (dropped bigint)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
declare
	v_now timestamptz := clock_timestamp();
begin
	dropped := p_dropped;
	begin
		insert into telemetry_request (at, program, method, route, status, milliseconds, account, address)
		select least(greatest(to_timestamp(r.at / 1000.0), v_now - interval '1 minute'), v_now), p_program,
			r.method, r.route, r.status, r.ms, a.id, r.address
		from jsonb_to_recordset(p_requests::jsonb) r (at bigint, method text, route text, status smallint, ms integer,
			"user" uuid, address inet)
		left join account a on a.user_id = r.user and a.status <> 'closed';
	exception when check_violation then
		dropped := dropped + jsonb_array_length(p_requests::jsonb); -- there is no partition for today
	end;
	if dropped > 0 then
		insert into telemetry_dropped as d (day, program, requests)
		values ((v_now at time zone 'UTC')::date, p_program, dropped)
		on conflict (day, program) do update set requests = d.requests + excluded.requests;
	end if;
	return next;
end
$$;
grant execute on function shotai.record_requests(text, text, bigint) to shotai_web, shotai_webhook;

-- The partitions by their days (UTC).
create or replace function shotai.telemetry_days() returns table (day date, partition regclass)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	select right(c.relname, 8)::date, c.oid::regclass
	from pg_inherits i join pg_class c on c.oid = i.inhrelid
	where i.inhparent = 'shotai.telemetry_request'::regclass and c.relname ~ '_[0-9]{8}$';
end
$$;

-- Drops the days that ended more than p_days ago and, when p_make is set, makes those of the coming week.
create or replace function shotai.keep_telemetry(p_days integer, p_make boolean) returns table (name text, value bigint)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
declare
	v_now timestamp := clock_timestamp() at time zone 'UTC';
	v_partition regclass;
	v_day date;
	v_made bigint := 0;
	v_dropped bigint := 0;
begin
	if not pg_try_advisory_xact_lock(hashtext('shotai.keep_telemetry')) then
		return;
	end if;
	for v_partition in select d.partition from telemetry_days() d where d.day + 1 <= v_now - p_days * interval '1 day' loop
		execute format('drop table %s', v_partition);
		v_dropped := v_dropped + 1;
	end loop;
	delete from telemetry_dropped d where d.day + 1 <= v_now - p_days * interval '1 day';
	for v_day in
		select n::date from generate_series(v_now::date, v_now::date + 6, interval '1 day') n
		where p_make and not exists (select from telemetry_days() d where d.day = n::date)
	loop
		execute format('create table shotai.telemetry_request_%s partition of shotai.telemetry_request for values from (%L) to (%L)',
			to_char(v_day, 'YYYYMMDD'), v_day::timestamp at time zone 'UTC', (v_day + 1)::timestamp at time zone 'UTC');
		execute format('alter table shotai.telemetry_request_%s enable row level security', to_char(v_day, 'YYYYMMDD'));
		v_made := v_made + 1;
	end loop;
	return query values ('telemetry_days_made', v_made), ('telemetry_days_dropped', v_dropped);
end
$$;
grant execute on function shotai.keep_telemetry(integer, boolean) to shotai_worker;

-- With the account's erasure.
create or replace function shotai.forget_requests(p_account bigint) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_count bigint;
begin
	delete from telemetry_request t where t.account = p_account;
	get diagnostics v_count = row_count;
	return v_count;
end
$$;

-- For operators: sums about nobody.
create or replace function shotai.telemetry_status() returns table (name text, value text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	select s.name, s.value
	from (
		select count(*) as requests, count(t.address) as addresses, min(t.at) as oldest, max(t.at) as newest
		from telemetry_request t
	) r
	cross join lateral (values
		(1, 'telemetry_requests', r.requests::text),
		(2, 'telemetry_addresses', r.addresses::text),
		(3, 'telemetry_oldest', rfc3339(r.oldest)),
		(4, 'telemetry_newest', rfc3339(r.newest)),
		(5, 'telemetry_dropped', (select coalesce(sum(d.requests), 0)::text from telemetry_dropped d)),
		(6, 'telemetry_partitions', (select count(*)::text from telemetry_days() d))
	) s (place, name, value)
	order by s.place;
end
$$;
grant execute on function shotai.telemetry_status() to shotai_operator;

-- What was asked for since p_since, by route or by address, the most first.
create or replace function shotai.show_telemetry(p_since timestamptz, p_by text)
returns table (requests bigint, errors bigint, median_ms text, p99_ms text, accounts bigint, subject text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	select count(*), count(*) filter (where t.status >= 500),
		round(percentile_cont(0.5) within group (order by t.milliseconds))::text,
		round(percentile_cont(0.99) within group (order by t.milliseconds))::text,
		count(distinct t.account), s.subject
	from telemetry_request t
	cross join lateral (values (case p_by
		when 'address' then coalesce(host(t.address), '-')
		else concat_ws(' ', t.program, t.method, coalesce(t.route, '-'), t.status) end)) s (subject)
	where t.at >= p_since
	group by s.subject
	order by 1 desc, s.subject
	limit 1000;
end
$$;
grant execute on function shotai.show_telemetry(timestamptz, text) to shotai_operator;

create or replace function shotai.purge_telemetry(p_operator text) returns table (requests bigint)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_partition regclass;
begin
	select count(*) from telemetry_request into requests;
	for v_partition in select d.partition from telemetry_days() d loop
		execute format('truncate table %s', v_partition);
	end loop;
	delete from telemetry_dropped;
	insert into operator_log (operator, action, reason, detail)
	values (p_operator, 'purge_telemetry', 'purged', jsonb_build_object('requests', requests));
	return next;
end
$$;
grant execute on function shotai.purge_telemetry(text) to shotai_operator;

select set_config('role', current_setting('shotai.migrating_role'), false);

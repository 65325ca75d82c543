-- What every program asks, and how a time is written.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

create or replace function shotai.rfc3339(p_time timestamptz) returns text
language plpgsql stable security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	return to_char(p_time at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"');
end
$$;

-- A cursor of time and id, as microseconds.id: rows that are as old keep an order.
create or replace function shotai.cursor_of(p_time timestamptz, p_id text) returns text
language plpgsql immutable security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	return (extract(epoch from p_time) * 1000000)::bigint || '.' || p_id;
end
$$;

-- Where a list that begins with the newest goes on: before this time and id. extras: of a cursor that no list gave.
create or replace function shotai.read_cursor(p_cursor text, out extras text, out before timestamptz, out before_id uuid)
language plpgsql immutable security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	if p_cursor is null then
		before := 'infinity';
		before_id := 'ffffffff-ffff-ffff-ffff-ffffffffffff';
	elsif p_cursor ~ '^[0-9]{1,16}\.[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$' then
		before := 'epoch'::timestamptz + split_part(p_cursor, '.', 1)::bigint * interval '1 microsecond';
		before_id := split_part(p_cursor, '.', 2);
	else
		extras := '{"errors":[{"pointer":"cursor","detail":"is not one that a list gave"}]}';
	end if;
end
$$;

-- The newest migration and the policy in force.
create or replace function shotai.service_state()
returns table (version text, policy_version text)
language plpgsql stable security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	return query select
		(select max(m.version) from supabase_migrations.schema_migrations m),
		(select p.version from policy_version p where p.effective_from <= clock_timestamp()
			order by p.effective_from desc limit 1);
end
$$;
grant execute on function shotai.service_state() to shotai_web, shotai_webhook, shotai_worker, shotai_operator;

select set_config('role', current_setting('shotai.migrating_role'), false);

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

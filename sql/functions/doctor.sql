-- What shotaictl doctor asks the database about itself.

select set_config('shotai.migrating_role', current_user, false);

-- Columns of Supabase Auth that hold addresses or browsers, and how many rows do; null: it may not be read.
create or replace function shotai.auth_addresses() returns table (place text, kept bigint)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_column record;
begin
	for v_column in
		select c.relname, a.attname
		from pg_attribute a
		join pg_class c on c.oid = a.attrelid and c.relkind in ('r', 'p')
		join pg_namespace n on n.oid = c.relnamespace and n.nspname = 'auth'
		where a.attnum > 0 and not a.attisdropped
			and (a.atttypid in ('inet'::regtype, 'cidr'::regtype) or a.attname in ('ip', 'ip_address', 'user_agent'))
	loop
		place := 'auth.' || v_column.relname || '.' || v_column.attname;
		begin
			execute format('select count(*) from auth.%I where nullif(%I::text, '''') is not null', v_column.relname, v_column.attname)
			into kept;
		exception when insufficient_privilege then
			kept := null;
		end;
		return next;
	end loop;
end
$$;
revoke execute on function shotai.auth_addresses() from public;
grant execute on function shotai.auth_addresses() to shotai_owner;

set role shotai_owner;

-- What is wrong with a role of ours, by its name in SQL; none: nothing.
create or replace function shotai.role_faults() returns table (role text, fault text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	select r.rolname::text, f.fault
	from pg_roles r
	cross join lateral (values
		(r.rolsuper or r.rolcreaterole or r.rolcreatedb or r.rolbypassrls or r.rolreplication, 'has privileges of its own'),
		(exists (select from pg_auth_members m where m.member = r.oid), 'is a member of another role'),
		(not coalesce(r.rolconfig @> array['default_transaction_isolation=read committed'], false)
			or not coalesce(r.rolconfig::text ~ 'statement_timeout=' and r.rolconfig::text ~ 'lock_timeout=', false), 'lacks its timeouts'),
		(exists (select from pg_class c where c.relnamespace = 'shotai'::regnamespace and c.relkind in ('r', 'p', 'v', 'm')
			and has_table_privilege(r.oid, c.oid, 'select, insert, update, delete, truncate')), 'reaches a table'),
		(not has_schema_privilege(r.oid, 'shotai', 'usage'), 'may not use schema shotai'),
		(has_schema_privilege(r.oid, 'shotai', 'create'), 'may create in schema shotai')
	) f (wrong, fault)
	where r.rolname in ('shotai_web', 'shotai_webhook', 'shotai_worker', 'shotai_operator') and f.wrong;
	return query
	select x.name, 'may use schema shotai'
	from unnest(array['anon', 'authenticated', 'service_role']) x (name)
	where exists (select from pg_roles r where r.rolname = x.name and has_schema_privilege(r.oid, 'shotai', 'usage'));
	return query
	select 'everybody', 'may execute ' || p.proname
	from pg_proc p
	where p.pronamespace = 'shotai'::regnamespace and has_function_privilege('public', p.oid, 'execute');
end
$$;

-- Settings of the server that put more into its log than an error's name.
create or replace function shotai.log_faults() returns table (setting text, fault text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	select s.name, s.name || ' = ' || quote_literal(s.setting) || ': ' || w.fault
	from pg_settings s
	join (values
		('log_line_prefix', '.*%[hr].*', 'the log names clients (take %h and %r out)'),
		('log_connections', 'on', 'each connection is logged with its address (off)'),
		('log_hostname', 'on', 'clients are looked up (off)'),
		('log_error_verbosity', 'default|verbose', 'details of constraints quote rows (terse)'),
		('log_parameter_max_length', '-1|[1-9].*', 'parameters are logged with statements (0)'),
		('log_parameter_max_length_on_error', '-1|[1-9].*', 'parameters are logged with errors (0)'),
		('log_min_error_statement', '(debug\d|info|notice|warning|error|log|fatal)', 'statements are logged with errors (panic)'),
		('log_min_duration_statement', '[0-9].*', 'slow statements are logged (-1)'),
		('log_statement', 'ddl|mod|all', 'statements are logged (none)')
	) w (name, wrong, fault) on w.name = s.name and s.setting ~ ('^(' || w.wrong || ')$');
end
$$;

create or replace function shotai.doctor(p_telemetry text, p_days integer) returns table (check_name text, level text, detail text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
declare
	v_today date := (clock_timestamp() at time zone 'UTC')::date;
begin
	return query select 'roles', 'FAIL', f.role || ' ' || f.fault from role_faults() f;
	return query select 'postgres log', 'WARN', f.fault from log_faults() f;
	return query
	select 'addresses', 'FAIL', a.place || ' holds ' || a.kept || ' values: null them, and stop what writes them'
	from auth_addresses() a where a.kept > 0;
	return query
	select 'addresses', 'WARN', a.place || ' may not be read by the migrating role: look yourself'
	from auth_addresses() a where a.kept is null;
	if not exists (
		select from pg_trigger t
		join pg_class c on c.oid = t.tgrelid and c.relname = 'sessions'
		join pg_namespace n on n.oid = c.relnamespace and n.nspname = 'auth'
		where t.tgname = 'shotai_forget_address' and t.tgenabled in ('O', 'A')
	) then
		return query values ('addresses', 'FAIL', 'auth.sessions has no trigger that forgets addresses: run shotaictl migrate');
	end if;
	if p_telemetry <> 'requests+ip' and exists (select from telemetry_request t where t.address is not null) then
		return query values ('telemetry', 'WARN', 'addresses are left from TELEMETRY=requests+ip: shotaictl telemetry purge');
	end if;
	if exists (select from telemetry_days() d where d.day + p_days + 2 < v_today) then
		return query values ('telemetry', 'FAIL', 'days beyond TELEMETRY_DAYS are not dropped: does a worker run?');
	end if;
	if p_telemetry <> 'off' and not exists (select from telemetry_days() d where d.day = v_today) then
		return query values ('telemetry', 'FAIL', 'there is no room for today''s requests: does a worker run?');
	end if;
	if not exists (select from worker w where w.seen_at > clock_timestamp() - lease()) then
		return query values ('worker', 'FAIL', 'no worker was seen lately: nothing is made and nothing is deleted');
	end if;
	return query
	select 'uploads', 'FAIL', u.overdue || ' uploads should have been deleted by now: look at the worker''s log and at the storage'
	from upload_state() u where u.overdue > 0 and u.lag > 60;
end
$$;
grant execute on function shotai.doctor(text, integer) to shotai_operator;

-- How many connections there may be, and how many others have.
create or replace function shotai.connection_room() returns table (most bigint, others bigint)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	most := current_setting('max_connections')::bigint - current_setting('superuser_reserved_connections')::bigint;
	select count(*) from pg_stat_activity s
	where s.backend_type = 'client backend' and s.usename not in ('shotai_web', 'shotai_webhook', 'shotai_worker', 'shotai_operator')
	into others;
	return next;
end
$$;
grant execute on function shotai.connection_room() to shotai_operator;

select set_config('role', current_setting('shotai.migrating_role'), false);

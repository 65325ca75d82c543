-- The roles and the schema. Runs as a role that is no superuser (postgres on
-- Supabase: CREATEROLE, owner of the database). Roles belong to the cluster,
-- so each step also holds where another database made them before.

do $$
declare
	v_role text;
	v_setting text;
begin
	foreach v_role in array array['shotai_owner', 'shotai_web', 'shotai_webhook', 'shotai_worker', 'shotai_operator'] loop
		begin
			if not exists (select from pg_roles where rolname = v_role) then
				execute format('create role %I %s noinherit', v_role,
					case v_role when 'shotai_owner' then 'nologin' else 'login' end);
			end if;
		exception when duplicate_object or unique_violation then
			null; -- another database's migration was faster
		end;

		-- READ COMMITTED is what the money functions are written for.
		foreach v_setting in array array['statement_timeout=5s', 'lock_timeout=2s',
			'idle_in_transaction_session_timeout=10s', 'default_transaction_isolation=read committed'] loop
			if v_role <> 'shotai_owner' and not exists (
				select from pg_roles where rolname = v_role and v_setting = any (rolconfig)
			) then
				execute format('alter role %I set %I = %L', v_role,
					split_part(v_setting, '=', 1), split_part(v_setting, '=', 2));
			end if;
		end loop;
	end loop;

	if not pg_has_role(current_user, 'shotai_owner', 'usage') then
		execute format('grant shotai_owner to %I', current_user);
	end if;
end
$$;

create schema if not exists shotai authorization shotai_owner;
revoke all on schema shotai from public;
grant usage on schema shotai to shotai_web, shotai_webhook, shotai_worker, shotai_operator;

-- Per schema this would have no effect: the built-in default is global.
alter default privileges for role shotai_owner revoke execute on functions from public;
alter default privileges for role shotai_owner revoke usage on types from public;

-- The Supabase CLI's bookkeeping, which is ours too; service_state() reads it.
create schema if not exists supabase_migrations;
create table if not exists supabase_migrations.schema_migrations (
	version text primary key,
	statements text[],
	name text
);
grant usage on schema supabase_migrations to shotai_owner;
grant select on supabase_migrations.schema_migrations to shotai_owner;

-- Supabase Auth writes each session's address and browser; nothing here keeps
-- them. Supabase lets the migrating role make triggers on auth.sessions.

create or replace function shotai.forget_address() returns trigger
language plpgsql security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	new.ip := null;
	new.user_agent := null;
	return new;
exception when undefined_column then
	return new; -- Auth's tables are its own to change, and sign-in must not fail on it
end
$$;
revoke execute on function shotai.forget_address() from public;

drop trigger if exists shotai_forget_address on auth.sessions;
create trigger shotai_forget_address before insert or update on auth.sessions
	for each row execute function shotai.forget_address();

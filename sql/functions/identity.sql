-- What Supabase Auth knows. Custom roles get no USAGE on schema auth, so these
-- few belong to the migrating role; only shotai_owner's functions call them.

-- The user whose token this is, while he exists, is not banned and the session lives; else no row.
create or replace function shotai.auth_session(p_user_id uuid, p_session_id uuid)
returns table (email text, email_confirmed boolean, anonymous boolean)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	select u.email::text, u.email_confirmed_at is not null, u.is_anonymous
	from auth.users u
	join auth.sessions s on s.user_id = u.id
	where u.id = p_user_id
		and s.id = p_session_id
		and u.deleted_at is null
		and (u.banned_until is null or u.banned_until <= clock_timestamp())
		and (s.not_after is null or s.not_after > clock_timestamp());
end
$$;

create or replace function shotai.auth_user_exists(p_user_id uuid) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	return exists (select from auth.users u where u.id = p_user_id and u.deleted_at is null);
end
$$;

-- Users by id or e-mail address.
create or replace function shotai.auth_find(p_user_or_email text)
returns table (user_id uuid, email text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	if lower(p_user_or_email) ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then
		return query select u.id, u.email::text from auth.users u where u.id = p_user_or_email::uuid;
		return;
	end if;
	return query select u.id, u.email::text from auth.users u where lower(u.email) = lower(p_user_or_email);
end
$$;

-- Of these users those that are no more; none while there are no users at all.
create or replace function shotai.auth_missing(p_user_ids uuid[]) returns table (user_id uuid)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	select i.id
	from unnest(p_user_ids) i (id)
	where not exists (select from auth.users u where u.id = i.id and u.deleted_at is null)
		and exists (select from auth.users);
end
$$;

-- The users whose journal names are among these.
create or replace function shotai.auth_named(p_names text[]) returns table (user_id uuid)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	-- A join: without names nobody's is made.
	return query select u.id from auth.users u join unnest(p_names) n (name) on n.name = journal_name(u.id);
end
$$;

-- The confirmed addresses of those of these users that have one.
create or replace function shotai.auth_mailboxes(p_user_ids uuid[])
returns table (user_id uuid, email text, banned boolean)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	select u.id, u.email::text, coalesce(u.banned_until > clock_timestamp(), false)
	from auth.users u
	where u.id = any (p_user_ids) and u.email <> '' and u.email_confirmed_at is not null and not u.is_anonymous
		and u.deleted_at is null;
end
$$;

revoke execute on function shotai.auth_session(uuid, uuid), shotai.auth_user_exists(uuid), shotai.auth_find(text),
	shotai.auth_missing(uuid[]), shotai.auth_named(text[]), shotai.auth_mailboxes(uuid[]) from public;
grant execute on function shotai.auth_session(uuid, uuid), shotai.auth_user_exists(uuid), shotai.auth_find(text),
	shotai.auth_missing(uuid[]), shotai.auth_named(text[]), shotai.auth_mailboxes(uuid[]) to shotai_owner;

-- The part of Supabase that lives in the database: its roles and schema auth, for the stand-in only.
-- Applied by a superuser before the migrations, again at each start. Columns, owners and grants follow Supabase, so that
-- what works here works there; what only the stand-in needs is in schema sandbox_auth.

\set ON_ERROR_STOP on
set client_min_messages = warning;

-- Roles -------------------------------------------------------------------------------------------------------------

do $$
begin
	if to_regrole('postgres') is null then
		create role postgres login createrole createdb;
	end if;
	if to_regrole('anon') is null then
		create role anon nologin noinherit;
	end if;
	if to_regrole('authenticated') is null then
		create role authenticated nologin noinherit;
	end if;
	if to_regrole('service_role') is null then
		create role service_role nologin noinherit bypassrls;
	end if;
	if to_regrole('supabase_auth_admin') is null then
		create role supabase_auth_admin login noinherit;
	end if;
	execute format('grant connect on database %I to supabase_auth_admin', current_database());
	-- Another database of the cluster may hold the same roles: nothing here is taken away.
	if not (select rolbypassrls from pg_roles where rolname = 'postgres') then
		alter role postgres bypassrls;
	end if;
end
$$;
grant anon, authenticated, service_role to postgres;

create schema if not exists auth authorization supabase_auth_admin;
drop schema if exists sandbox_auth cascade; -- functions only, made again below in the shape of this version
create schema sandbox_auth authorization supabase_auth_admin;

set role supabase_auth_admin;

-- Schema auth, as Supabase Auth's own migrations make it ---------------------------------------------------------------

do $$
begin
	if to_regtype('auth.aal_level') is null then
		create type auth.aal_level as enum ('aal1', 'aal2', 'aal3');
	end if;
end
$$;

create table if not exists auth.users (
	instance_id uuid,
	id uuid primary key,
	aud varchar(255),
	role varchar(255),
	email varchar(255),
	encrypted_password varchar(255),
	email_confirmed_at timestamptz,
	invited_at timestamptz,
	confirmation_token varchar(255),
	confirmation_sent_at timestamptz,
	recovery_token varchar(255),
	recovery_sent_at timestamptz,
	email_change_token_new varchar(255),
	email_change varchar(255),
	email_change_sent_at timestamptz,
	last_sign_in_at timestamptz,
	raw_app_meta_data jsonb,
	raw_user_meta_data jsonb,
	is_super_admin boolean,
	created_at timestamptz,
	updated_at timestamptz,
	phone text unique,
	phone_confirmed_at timestamptz,
	phone_change text default '',
	phone_change_token varchar(255) default '',
	phone_change_sent_at timestamptz,
	confirmed_at timestamptz generated always as (least(email_confirmed_at, phone_confirmed_at)) stored,
	email_change_token_current varchar(255) default '',
	email_change_confirm_status smallint default 0,
	banned_until timestamptz,
	reauthentication_token varchar(255) default '',
	reauthentication_sent_at timestamptz,
	is_sso_user boolean not null default false,
	deleted_at timestamptz,
	is_anonymous boolean not null default false
);
create unique index if not exists users_email_partial_key on auth.users (email) where is_sso_user = false;
create index if not exists users_is_anonymous_idx on auth.users (is_anonymous);

create table if not exists auth.identities (
	provider_id text not null,
	user_id uuid not null references auth.users on delete cascade,
	identity_data jsonb not null,
	provider text not null,
	last_sign_in_at timestamptz,
	created_at timestamptz,
	updated_at timestamptz,
	email text generated always as (lower(identity_data ->> 'email')) stored,
	id uuid primary key default gen_random_uuid(),
	unique (provider_id, provider)
);
create index if not exists identities_user_id_idx on auth.identities (user_id);

create table if not exists auth.sessions (
	id uuid primary key,
	user_id uuid not null references auth.users on delete cascade,
	created_at timestamptz,
	updated_at timestamptz,
	factor_id uuid,
	aal auth.aal_level,
	not_after timestamptz,
	refreshed_at timestamp without time zone,
	user_agent text,
	ip inet,
	tag text
);
create index if not exists sessions_user_id_idx on auth.sessions (user_id);

create table if not exists auth.refresh_tokens (
	instance_id uuid,
	id bigserial primary key,
	token varchar(255) unique,
	user_id varchar(255),
	revoked boolean,
	created_at timestamptz,
	updated_at timestamptz,
	parent varchar(255),
	session_id uuid references auth.sessions on delete cascade
);
create index if not exists refresh_tokens_session_id_revoked_idx on auth.refresh_tokens (session_id, revoked);

create table if not exists auth.mfa_amr_claims (
	session_id uuid not null references auth.sessions on delete cascade,
	created_at timestamptz not null,
	updated_at timestamptz not null,
	authentication_method text not null,
	id uuid primary key,
	unique (session_id, authentication_method)
);

alter table auth.users enable row level security;
alter table auth.identities enable row level security;
alter table auth.sessions enable row level security;
alter table auth.refresh_tokens enable row level security;
alter table auth.mfa_amr_claims enable row level security;

create or replace function auth.uid() returns uuid language sql stable as $$
	select coalesce(nullif(current_setting('request.jwt.claim.sub', true), ''),
		(nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub'))::uuid
$$;
create or replace function auth.role() returns text language sql stable as $$
	select coalesce(nullif(current_setting('request.jwt.claim.role', true), ''),
		(nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'role'))::text
$$;
create or replace function auth.email() returns text language sql stable as $$
	select coalesce(nullif(current_setting('request.jwt.claim.email', true), ''),
		(nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'email'))::text
$$;
create or replace function auth.jwt() returns jsonb language sql stable as $$
	select coalesce(nullif(current_setting('request.jwt.claim', true), ''),
		nullif(current_setting('request.jwt.claims', true), ''))::jsonb
$$;

-- postgres may look at everything, refer to it and put triggers on it; it owns nothing and writes nothing.
grant usage on schema auth to postgres, anon, authenticated, service_role;
grant select, references, trigger on all tables in schema auth to postgres;
grant execute on function auth.uid(), auth.role(), auth.email(), auth.jwt() to postgres, anon, authenticated, service_role;

-- What the stand-in calls ------------------------------------------------------------------------------------------
-- A function that refuses says why in its first column, by a key of the table in sandbox/auth/answer.c, and commits.

create or replace function sandbox_auth.time_text(at timestamptz) returns text language sql immutable as $$
	select to_char(at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
$$;

create or replace function sandbox_auth.identities_json(of_user uuid) returns jsonb language sql stable as $$
	select coalesce(jsonb_agg(jsonb_build_object(
		'identity_id', i.id, 'id', i.provider_id, 'user_id', i.user_id, 'identity_data', i.identity_data,
		'provider', i.provider, 'last_sign_in_at', sandbox_auth.time_text(i.last_sign_in_at),
		'created_at', sandbox_auth.time_text(i.created_at), 'updated_at', sandbox_auth.time_text(i.updated_at),
		'email', i.email) order by i.created_at), '[]')
	from auth.identities i where i.user_id = of_user
$$;

create or replace function sandbox_auth.user_json(u auth.users) returns jsonb language sql stable as $$
	select jsonb_strip_nulls(jsonb_build_object(
			'id', u.id, 'aud', u.aud, 'role', u.role, 'email', coalesce(u.email, ''), 'phone', coalesce(u.phone, ''),
			'email_confirmed_at', sandbox_auth.time_text(u.email_confirmed_at),
			'phone_confirmed_at', sandbox_auth.time_text(u.phone_confirmed_at),
			'confirmed_at', sandbox_auth.time_text(u.confirmed_at),
			'recovery_sent_at', sandbox_auth.time_text(u.recovery_sent_at),
			'new_email', nullif(u.email_change, ''),
			'email_change_sent_at', sandbox_auth.time_text(u.email_change_sent_at),
			'last_sign_in_at', sandbox_auth.time_text(u.last_sign_in_at),
			'created_at', sandbox_auth.time_text(u.created_at), 'updated_at', sandbox_auth.time_text(u.updated_at),
			'banned_until', sandbox_auth.time_text(u.banned_until), 'deleted_at', sandbox_auth.time_text(u.deleted_at),
			'is_anonymous', u.is_anonymous))
		|| jsonb_build_object('app_metadata', coalesce(u.raw_app_meta_data, '{}'),
			'user_metadata', coalesce(u.raw_user_meta_data, '{}'),
			'identities', sandbox_auth.identities_json(u.id))
$$;

create or replace function sandbox_auth.is_banned(u auth.users) returns boolean language sql stable as $$
	select coalesce(u.banned_until > clock_timestamp(), false)
$$;

create or replace function sandbox_auth.is_email(address text) returns boolean language sql immutable as $$
	select length(address) <= 255 and address ~ ('^[a-zA-Z0-9.!#$%&''*+/=?^_`{|}~-]+@'
		'[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$')
$$;

-- The claims of an access token, without its signature, and what is answered beside it.
create or replace function sandbox_auth.session_answer(
	of_session uuid, issuer text, seconds integer,
	out error text, out claims text, out expires_at bigint, out refresh_token text, out user_json text
) language plpgsql as $$
declare
	s auth.sessions;
	u auth.users;
	now_seconds bigint := floor(extract(epoch from clock_timestamp()));
begin
	select * into strict s from auth.sessions where id = of_session;
	select * into strict u from auth.users where id = s.user_id;
	select t.token into strict refresh_token from auth.refresh_tokens t
		where t.session_id = s.id and not t.revoked order by t.id desc limit 1;
	expires_at := now_seconds + seconds;
	user_json := sandbox_auth.user_json(u);
	claims := jsonb_build_object(
		'iss', issuer, 'sub', u.id, 'aud', u.aud, 'exp', expires_at, 'iat', now_seconds,
		'email', coalesce(u.email, ''), 'phone', coalesce(u.phone, ''),
		'app_metadata', coalesce(u.raw_app_meta_data, '{}'), 'user_metadata', coalesce(u.raw_user_meta_data, '{}'),
		'role', u.role, 'aal', s.aal, 'session_id', s.id, 'is_anonymous', u.is_anonymous,
		'amr', (select coalesce(jsonb_agg(jsonb_build_object('method', c.authentication_method,
				'timestamp', floor(extract(epoch from c.created_at))::bigint) order by c.created_at desc), '[]')
			from auth.mfa_amr_claims c where c.session_id = s.id));
end
$$;

create or replace function sandbox_auth.open_session(of_user uuid, method text, fresh text, agent text)
returns uuid language plpgsql as $$
declare
	new_id uuid := gen_random_uuid();
	at timestamptz := clock_timestamp();
begin
	-- Everything that is served locally comes from loopback.
	insert into auth.sessions (id, user_id, created_at, updated_at, aal, user_agent, ip)
		values (new_id, of_user, at, at, 'aal1', agent, '127.0.0.1');
	insert into auth.mfa_amr_claims (session_id, created_at, updated_at, authentication_method, id)
		values (new_id, at, at, method, gen_random_uuid());
	insert into auth.refresh_tokens (token, user_id, revoked, created_at, updated_at, session_id)
		values (fresh, of_user::text, false, at, at, new_id);
	update auth.users set last_sign_in_at = at, updated_at = at where id = of_user;
	return new_id;
end
$$;

-- The new user's id, or null when the address is taken. address null: anonymous.
create or replace function sandbox_auth.create_user(address text, hash text, app_data jsonb, user_data jsonb)
returns uuid language plpgsql as $$
declare
	new_id uuid := gen_random_uuid();
	at timestamptz := clock_timestamp();
begin
	insert into auth.users (instance_id, id, aud, role, email, encrypted_password, email_confirmed_at, raw_app_meta_data,
			raw_user_meta_data, created_at, updated_at, is_anonymous)
		values ('00000000-0000-0000-0000-000000000000', new_id, 'authenticated', 'authenticated', lower(address), hash,
			case when address is not null then at end, app_data, user_data, at, at, address is null)
		on conflict (email) where is_sso_user = false do nothing;
	if not found then
		return null;
	end if;
	perform sandbox_auth.set_identity(new_id, lower(address));
	return new_id;
end
$$;

-- The identity of the provider `email`, made or brought up to date; address null: none.
create or replace function sandbox_auth.set_identity(of_user uuid, address text) returns void language plpgsql as $$
declare
	at timestamptz := clock_timestamp();
begin
	if address is null then
		return;
	end if;
	insert into auth.identities (provider_id, user_id, identity_data, provider, last_sign_in_at, created_at, updated_at)
		values (of_user::text, of_user, jsonb_build_object('sub', of_user, 'email', address, 'email_verified', true,
			'phone_verified', false), 'email', at, at, at)
		on conflict (provider_id, provider) do update
			set identity_data = excluded.identity_data, updated_at = excluded.updated_at;
end
$$;

create or replace function sandbox_auth.sign_up(
	body jsonb, hash text, fresh text, agent text, issuer text, seconds integer,
	out error text, out claims text, out expires_at bigint, out refresh_token text, out user_json text
) language plpgsql as $$
declare
	address text := nullif(body ->> 'email', '');
	data jsonb := case when jsonb_typeof(body -> 'data') = 'object' then body -> 'data' else '{}' end;
	new_id uuid;
begin
	if address is not null and not sandbox_auth.is_email(address) then
		error := 'email_invalid';
		return;
	end if;
	if address is null then
		new_id := sandbox_auth.create_user(null, null, '{}', data);
	else
		new_id := sandbox_auth.create_user(address, hash, '{"provider": "email", "providers": ["email"]}',
			data || jsonb_build_object('email', lower(address), 'email_verified', true, 'phone_verified', false));
		if new_id is null then
			error := 'user_already_exists';
			return;
		end if;
		update auth.users set raw_user_meta_data = raw_user_meta_data || jsonb_build_object('sub', new_id) where id = new_id;
	end if;
	select a.* into error, claims, expires_at, refresh_token, user_json from sandbox_auth.session_answer(
		sandbox_auth.open_session(new_id, case when address is null then 'anonymous' else 'password' end, fresh, agent),
		issuer, seconds) a;
end
$$;

-- Nothing about an unknown address: the caller compares with a made-up hash then.
create or replace function sandbox_auth.find_login(address text, out user_id uuid, out hash text)
language sql stable as $$
	select id, encrypted_password from auth.users
	where email = lower(address) and is_sso_user = false and deleted_at is null
$$;

create or replace function sandbox_auth.sign_in(
	of_user uuid, fresh text, agent text, issuer text, seconds integer,
	out error text, out claims text, out expires_at bigint, out refresh_token text, out user_json text
) language plpgsql as $$
declare
	u auth.users;
begin
	select * into u from auth.users where id = of_user for update;
	error := case when u.id is null then 'invalid_credentials' when sandbox_auth.is_banned(u) then 'user_banned'
		when u.email_confirmed_at is null then 'email_not_confirmed' end;
	if error is not null then
		return;
	end if;
	select a.* into error, claims, expires_at, refresh_token, user_json from sandbox_auth.session_answer(
		sandbox_auth.open_session(u.id, 'password', fresh, agent), issuer, seconds) a;
end
$$;

-- A refresh token works once. Used again, it gives the current one within reuse_seconds or when it is the direct parent
-- of the current one (its answer got lost); else the whole family is revoked.
create or replace function sandbox_auth.refresh(
	old text, fresh text, issuer text, seconds integer, reuse_seconds integer,
	out error text, out claims text, out expires_at bigint, out refresh_token text, out user_json text
) language plpgsql as $$
declare
	t auth.refresh_tokens;
	active auth.refresh_tokens;
	s auth.sessions;
	u auth.users;
	at timestamptz := clock_timestamp();
begin
	select * into t from auth.refresh_tokens where token = old;
	select * into s from auth.sessions where id = t.session_id for update;
	-- Again, now that the session is locked.
	select * into t from auth.refresh_tokens where token = old;
	select * into u from auth.users where id = s.user_id;
	error := case when t.id is null then 'refresh_token_not_found' when sandbox_auth.is_banned(u) then 'refresh_user_banned'
		when s.id is null then 'refresh_session_not_found' when s.not_after <= at then 'refresh_session_expired' end;
	if error is not null then
		return;
	end if;
	if t.revoked then
		select * into active from auth.refresh_tokens r
			where r.session_id = s.id and not r.revoked order by r.id desc limit 1;
		if active.id is null or (active.parent is distinct from t.token
				and at > t.updated_at + make_interval(secs => reuse_seconds)) then
			update auth.refresh_tokens r set revoked = true, updated_at = at where r.session_id = s.id and not r.revoked;
			error := 'refresh_token_already_used';
			return;
		end if;
	else
		update auth.refresh_tokens r set revoked = true, updated_at = at where r.id = t.id;
		insert into auth.refresh_tokens (token, user_id, revoked, created_at, updated_at, parent, session_id)
			values (fresh, t.user_id, false, at, at, t.token, s.id);
		update auth.sessions set refreshed_at = at at time zone 'utc', updated_at = at where id = s.id;
	end if;
	select a.* into error, claims, expires_at, refresh_token, user_json
		from sandbox_auth.session_answer(s.id, issuer, seconds) a;
end
$$;

-- Whether the bearer of a valid token still is somebody.
create or replace function sandbox_auth.caller(
	of_user uuid, of_session uuid, out error text, out user_json text, out hash text, out anonymous boolean
) language plpgsql stable as $$
declare
	u auth.users;
begin
	select * into u from auth.users where id = of_user and deleted_at is null;
	error := case when u.id is null then 'caller_not_found' when sandbox_auth.is_banned(u) then 'caller_banned'
		when of_session is not null and not exists (
			select from auth.sessions s where s.id = of_session and s.user_id = of_user) then 'session_not_found' end;
	if error is null then
		user_json := sandbox_auth.user_json(u);
		hash := u.encrypted_password;
		anonymous := u.is_anonymous;
	end if;
end
$$;

-- hash null: the password stays. A person's new address waits for its confirmation, an anonymous one's counts at once.
create or replace function sandbox_auth.update_user(
	of_user uuid, of_session uuid, body jsonb, new_hash text, out error text, out user_json text
) language plpgsql as $$
declare
	u auth.users;
	address text := lower(nullif(body ->> 'email', ''));
	at timestamptz := clock_timestamp();
begin
	select * into u from auth.users where id = of_user for update;
	error := case when u.id is null then 'caller_not_found'
		when address is not null and not sandbox_auth.is_email(address) then 'email_invalid'
		when address is distinct from u.email and exists (
			select from auth.users o where o.email = address and o.is_sso_user = false) then 'email_exists' end;
	if error is not null then
		return;
	end if;
	if new_hash is not null then
		update auth.users set encrypted_password = new_hash, updated_at = at where id = u.id;
		delete from auth.sessions s where s.user_id = u.id and s.id is distinct from of_session;
	end if;
	if jsonb_typeof(body -> 'data') = 'object' then
		update auth.users set updated_at = at, raw_user_meta_data = (
				select coalesce(jsonb_object_agg(e.key, e.value), '{}')
				from jsonb_each(coalesce(u.raw_user_meta_data, '{}') || (body -> 'data')) e
				where not (jsonb_typeof(e.value) = 'null' and body -> 'data' ? e.key))
			where id = u.id;
	end if;
	if address is distinct from u.email and address is not null and u.is_anonymous then
		update auth.users set email = address, email_confirmed_at = at, is_anonymous = false, updated_at = at,
				raw_app_meta_data = '{"provider": "email", "providers": ["email"]}' where id = u.id;
		perform sandbox_auth.set_identity(u.id, address);
	elsif address is distinct from u.email and address is not null then
		update auth.users set email_change = address, email_change_sent_at = at, updated_at = at where id = u.id;
	end if;
	select sandbox_auth.user_json(x) into user_json from auth.users x where x.id = of_user;
end
$$;

create or replace function sandbox_auth.sign_out(of_user uuid, of_session uuid, scope text, out ended bigint)
language sql as $$
	with gone as (
		delete from auth.sessions s
		where s.user_id = of_user and case scope when 'local' then s.id = of_session
			when 'others' then s.id is distinct from of_session else true end
		returning 1)
	select count(*) from gone
$$;

create or replace function sandbox_auth.recover(address text, out done boolean) language sql as $$
	with sent as (
		update auth.users set recovery_sent_at = clock_timestamp() where email = lower(address) and is_sso_user = false
		returning 1)
	select true from (select count(*) from sent) s
$$;

create or replace function sandbox_auth.admin_create(body jsonb, new_hash text, out error text, out user_json text)
language plpgsql as $$
declare
	address text := nullif(body ->> 'email', '');
	new_id uuid;
begin
	if address is null or not sandbox_auth.is_email(address) then
		error := 'email_invalid';
		return;
	end if;
	new_id := sandbox_auth.create_user(address, new_hash, '{"provider": "email", "providers": ["email"]}'::jsonb
		|| coalesce(nullif(body -> 'app_metadata', 'null'), '{}'), coalesce(nullif(body -> 'user_metadata', 'null'), '{}'));
	if new_id is null then
		error := 'email_exists';
		return;
	end if;
	update auth.users set email_confirmed_at = null where id = new_id and not coalesce((body ->> 'email_confirm')::boolean, false);
	select sandbox_auth.user_json(u) into user_json from auth.users u where u.id = new_id;
end
$$;

-- ban_duration as Go writes durations ("24h", "1h30m"); "none" lifts the ban.
create or replace function sandbox_auth.admin_update(
	of_user uuid, body jsonb, new_hash text, out error text, out user_json text
) language plpgsql as $$
declare
	u auth.users;
	ban text := body ->> 'ban_duration';
begin
	select * into u from auth.users where id = of_user for update;
	error := case when u.id is null then 'user_not_found'
		when ban <> 'none' and ban !~ '^([0-9]+h)?([0-9]+m)?([0-9]+s)?$' then 'ban_duration_invalid' end;
	if error is not null then
		return;
	end if;
	update auth.users x set
			encrypted_password = coalesce(new_hash, x.encrypted_password),
			banned_until = case when ban is null then x.banned_until when ban <> 'none' then clock_timestamp() + ban::interval end,
			raw_app_meta_data = coalesce(x.raw_app_meta_data, '{}') || coalesce(nullif(body -> 'app_metadata', 'null'), '{}'),
			raw_user_meta_data = coalesce(x.raw_user_meta_data, '{}') || coalesce(nullif(body -> 'user_metadata', 'null'), '{}'),
			updated_at = clock_timestamp()
		where x.id = of_user;
	select sandbox_auth.user_json(x) into user_json from auth.users x where x.id = of_user;
end
$$;

create or replace function sandbox_auth.admin_get(of_user uuid, out error text, out user_json text)
language plpgsql stable as $$
begin
	select sandbox_auth.user_json(u) into user_json from auth.users u where u.id = of_user;
	error := case when user_json is null then 'user_not_found' end;
end
$$;

-- A soft deletion keeps the row without what it says about the person; nothing cascades then.
create or replace function sandbox_auth.admin_delete(of_user uuid, soft boolean, out error text) language plpgsql as $$
begin
	if soft then
		update auth.users set email = encode(sha256(convert_to(coalesce(email, ''), 'UTF8')), 'hex') || '-' || id, phone = null,
			encrypted_password = '', raw_app_meta_data = '{}', raw_user_meta_data = '{}', deleted_at = clock_timestamp(),
			updated_at = clock_timestamp() where id = of_user;
	else
		delete from auth.users where id = of_user;
	end if;
	error := case when not found then 'user_not_found' end;
	delete from auth.sessions where user_id = of_user;
	delete from auth.identities where user_id = of_user;
end
$$;

revoke all on schema sandbox_auth from public;
reset role;

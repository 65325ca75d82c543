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
create schema if not exists sandbox_auth authorization supabase_auth_admin;

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

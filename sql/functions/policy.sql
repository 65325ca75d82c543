-- The privacy policy: its versions, the terms it promises, who acknowledged it.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

-- How long what is named here is kept. Whoever deletes by age asks here: the policy page shows the same row.
create or replace function shotai.retention(p_name text) returns interval
language plpgsql stable security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_term interval;
begin
	select (r.amount || ' ' || r.unit)::interval from retention r where r.name = p_name into strict v_term;
	return v_term;
end
$$;

-- Whether a material change came into force since the person acknowledged a version, or joined.
create or replace function shotai.policy_notice(p_acknowledged text, p_since timestamptz) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	return exists (
		select from policy_version v
		where v.material and v.effective_from <= clock_timestamp() and v.effective_from > coalesce(
			(select o.effective_from from policy_version o where o.version = p_acknowledged), p_since));
end
$$;

-- A policy page in one language: first the version (null: the one in force), then all versions from the newest, the
-- terms, and what the models' vendors keep. body is how a version read that is no longer the newest; null: write it anew.
create or replace function shotai.show_policy(p_version text, p_language text)
returns table (problem text, retry_after integer, extras text, kind text, name text, label text, reason text,
	amount integer, unit text, since text, material boolean, body text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
declare
	v_version policy_version;
	v_newest text;
begin
	select v.version from policy_version v order by v.effective_from desc, v.version desc limit 1 into v_newest;
	select v.* from policy_version v
	where v.version = coalesce(p_version, (select s.policy_version from service_state() s))
	into v_version;
	select p.body from policy_page p
	where p.version = v_version.version and p.language = p_language and p.version <> v_newest
	into body;
	if v_version.version is null or body is null and p_version <> v_newest
		and p_version <> (select s.policy_version from service_state() s) then
		problem := 'not_found';
		return next;
		return;
	end if;

	kind := case when v_version.effective_from > clock_timestamp() then 'coming'
		when v_version.version = (select s.policy_version from service_state() s) then 'current' else 'former' end;
	name := v_version.version;
	since := rfc3339(v_version.effective_from);
	return next;
	body := null;
	return query
	select null::text, null::integer, null::text, 'version', v.version,
		case p_language when 'nl' then v.change_nl else v.change_en end, null::text, null::integer, null::text,
		rfc3339(v.effective_from), v.material, null::text
	from policy_version v
	order by v.effective_from desc, v.version desc;
	return query
	select null::text, null::integer, null::text, 'retention', r.name,
		case p_language when 'nl' then r.what_nl else r.what_en end,
		case p_language when 'nl' then r.why_nl else r.why_en end, r.amount, r.unit, null::text, null::boolean, null::text
	from retention r
	order by r.position, r.name;
	return query
	select null::text, null::integer, null::text, 'model', m.name, p.name, m.retention, null::integer, null::text, null::text,
		null::boolean, null::text
	from model m
	join provider p on p.id = m.provider
	where m.enabled and p.enabled
	order by m.position, m.id;
end
$$;
grant execute on function shotai.show_policy(text, text) to shotai_web, shotai_worker;

-- The newest version, in each language in which it has not been recorded.
create or replace function shotai.unrecorded_policy() returns table (version text, language text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	select n.version, l.language
	from (select v.version from policy_version v order by v.effective_from desc, v.version desc limit 1) n
	cross join (values ('en'), ('nl')) l (language)
	where not exists (select from policy_page p where p.version = n.version and p.language = l.language);
end
$$;
grant execute on function shotai.unrecorded_policy() to shotai_worker;

-- How a version read when it was published; that never changes.
create or replace function shotai.record_policy(p_version text, p_language text, p_body text) returns void
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	insert into policy_page (version, language, body) values (p_version, p_language, p_body) on conflict do nothing;
end
$$;
grant execute on function shotai.record_policy(text, text, text) to shotai_worker;

create or replace function shotai.list_policies()
returns table (version text, effective_from text, material boolean, state text, acknowledged bigint, change_en text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	select v.version, rfc3339(v.effective_from), v.material,
		case when v.effective_from > clock_timestamp() then 'coming'
			when v.version = (select s.policy_version from service_state() s) then 'current' else 'former' end,
		(select count(*) from account a where a.policy_acknowledged = v.version), v.change_en
	from policy_version v
	order by v.effective_from, v.version;
end
$$;
grant execute on function shotai.list_policies() to shotai_operator;

-- Publishes the text that is installed as a new version, which is the newest. Null p_effective_from: now.
create or replace function shotai.add_policy(p_version text, p_effective_from timestamptz, p_material boolean,
	p_change_en text, p_change_nl text, p_operator text)
returns table (problem text, retry_after integer, extras text, effective_from text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
declare
	v_from timestamptz := coalesce(p_effective_from, clock_timestamp());
	v_errors jsonb := '[]';
begin
	lock table policy_version in share row exclusive mode;
	if coalesce(p_version, '') !~ '^[0-9A-Za-z][0-9A-Za-z.-]{0,31}$' or exists (select from policy_version v where v.version = p_version) then
		v_errors := v_errors || '{"pointer":"/version","detail":"must be a new name of letters, digits, dots and dashes"}'::jsonb;
	end if;
	if v_from < clock_timestamp() - interval '1 minute' or exists (select from policy_version v where v.effective_from >= v_from) then
		v_errors := v_errors || '{"pointer":"/effective_from","detail":"must not be in the past, and after every other version"}'::jsonb;
	end if;
	if coalesce(p_change_en, '') = '' or coalesce(p_change_nl, '') = '' then
		v_errors := v_errors || '{"pointer":"/change","detail":"must be told in both languages"}'::jsonb;
	end if;
	if v_errors <> '[]' then
		problem := 'invalid_request';
		extras := jsonb_build_object('errors', v_errors)::text;
		return next;
		return;
	end if;
	insert into policy_version (version, effective_from, material, change_en, change_nl)
	values (p_version, v_from, p_material, p_change_en, p_change_nl);
	insert into operator_log (operator, action, reason, detail)
	values (p_operator, 'add_policy', 'policy', jsonb_build_object('version', p_version, 'effective_from', v_from, 'material', p_material));
	effective_from := rfc3339(v_from);
	return next;
end
$$;
grant execute on function shotai.add_policy(text, timestamptz, boolean, text, text, text) to shotai_operator;

select set_config('role', current_setting('shotai.migrating_role'), false);

-- Archives, as their owner asks for them and as the worker makes them. The row
-- names the object before it is there; every attempt has a key of its own.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

-- How long an attempt lasts without renewal: longer than any single call of the storage.
create or replace function shotai.archive_lease() returns interval
language plpgsql immutable security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	return interval '40 seconds';
end
$$;

-- An archive as it is shown; link_until: unix seconds.
create or replace function shotai.archive_row(p_archive uuid)
returns table (id uuid, status text, key text, expires_at text, link_until bigint)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	select r.id, r.status, case r.status when 'ready' then r.key end,
		case r.status when 'ready' then rfc3339(r.expires_at) end, floor(extract(epoch from r.expires_at))::bigint
	from archive r
	where r.id = p_archive and (r.expires_at is null or r.expires_at > clock_timestamp());
end
$$;

-- Orders an archive of these generations, null: of the whole account, or says
-- why not. What a day allows is counted by the archives themselves; one that
-- failed does not count. Beyond those of admit the first of this order is
-- given: a replay or idempotency_key_reused, not_found, rate_limited.
create or replace function shotai.create_archive(p_user_id uuid, p_session_id uuid, p_generation_ids uuid[],
	p_idempotency_key text, p_request_hash text)
returns table (problem text, retry_after integer, extras text, rate text, replayed boolean,
	id uuid, status text, key text, expires_at text, link_until bigint)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
declare
	v_in admission := admit(p_user_id, p_session_id, 'archive', p_idempotency_key, p_request_hash);
	v_account bigint := (v_in.account).id;
	v_most integer;
	v_made timestamptz[];
	v_archive uuid;
begin
	problem := v_in.problem;
	retry_after := v_in.retry_after;
	rate := v_in.rate;
	if problem is not null then
		return next;
		return;
	end if;

	if not v_in.reused then
		return query
		select null::text, null::integer, null::text, v_in.rate, true, r.* from archive_row(v_in.created) r;
		if not found then
			problem := 'not_found'; -- it expired meanwhile
			return next;
		end if;
		return;
	end if;

	v_most := case when p_generation_ids is null then (v_in.plan).whole_archives_per_day
		else (v_in.plan).archives_per_day end;
	select array_agg(r.created_at order by r.created_at desc)
	from archive r
	where r.account = v_account and (r.generation_ids is null) = (p_generation_ids is null) and r.status <> 'failed'
		and r.created_at > clock_timestamp() - interval '1 day'
	into v_made;
	if cardinality(v_made) >= v_most then
		v_in.wait := greatest(v_in.wait, 1, ceil(extract(epoch from v_made[v_most] + interval '1 day' - clock_timestamp())));
	end if;
	problem := case
		when v_in.reused then 'idempotency_key_reused'
		when exists (
			select from unnest(p_generation_ids) n (id)
			where not exists (
				select from generation g where g.id = n.id and g.account = v_account and g.deleted_at is null)
		) then 'not_found'
		when v_in.wait > 0 then 'rate_limited' end;
	if problem is not null then
		retry_after := case problem when 'rate_limited' then v_in.wait end;
		return next;
		return;
	end if;

	insert into archive (account, generation_ids) values (v_account, p_generation_ids)
	returning archive.id into v_archive;
	perform keep_key(v_account, 'archive', p_idempotency_key, p_request_hash, v_archive);
	return query
	select null::text, null::integer, null::text, v_in.rate, false, r.* from archive_row(v_archive) r;
end
$$;
grant execute on function shotai.create_archive(uuid, uuid, uuid[], text, text) to shotai_web;

create or replace function shotai.get_archive(p_user_id uuid, p_session_id uuid, p_id uuid)
returns table (problem text, retry_after integer, extras text,
	id uuid, status text, key text, expires_at text, link_until bigint)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	perform from auth_session(p_user_id, p_session_id);
	if not found then
		problem := 'unauthenticated';
		return next;
		return;
	end if;
	return query
	select null::text, null::integer, null::text, r.*
	from archive o
	join account a on a.id = o.account and a.user_id = p_user_id and a.status <> 'closed'
	cross join archive_row(o.id) r
	where o.id = p_id;
	if not found then
		problem := 'not_found';
		return next;
	end if;
end
$$;
grant execute on function shotai.get_archive(uuid, uuid, uuid) to shotai_web;

-- Ends an archive that never will be.
create or replace function shotai.fail_archive(p_id uuid) returns void
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_key text;
begin
	select r.key from archive r where r.id = p_id into v_key;
	perform forget_objects(array_remove(array[v_key], null));
	update archive r
	set status = 'failed', key = null, lease_until = null, expires_at = clock_timestamp() + retention('archive')
	where r.id = p_id;
end
$$;

-- The next archive to make, under a fresh key for its object; what an earlier
-- attempt may have stored is forgotten. Three attempts that were lost are enough.
create or replace function shotai.claim_archive(p_key text) returns table (id uuid, whole boolean)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
declare
	v_archive archive;
begin
	loop
		select r.* from archive r
		where r.status = 'pending' and r.not_before <= clock_timestamp()
			and (r.lease_until is null or (r.lease_until < clock_timestamp() and clock_timestamp() > reclaim_from()))
		order by r.not_before
		limit 1
		for update skip locked
		into v_archive;
		exit when not found or v_archive.attempt - v_archive.released < 3;
		perform fail_archive(v_archive.id);
	end loop;
	if v_archive.id is null then
		return;
	end if;
	perform forget_objects(array_remove(array[v_archive.key], null));
	return query
	update archive r
	set attempt = r.attempt + 1, key = p_key, lease_until = clock_timestamp() + archive_lease()
	where r.id = v_archive.id
	returning r.id, r.generation_ids is null;
end
$$;
grant execute on function shotai.claim_archive(text) to shotai_worker;

-- False: the attempt is not its worker's any more, or the account is being erased.
create or replace function shotai.renew_archive(p_id uuid, p_key text) returns table (held boolean)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	update archive r set lease_until = clock_timestamp() + archive_lease()
	where r.id = p_id and r.key = p_key and r.status = 'pending';
	held := found;
	return next;
end
$$;
grant execute on function shotai.renew_archive(uuid, text) to shotai_worker;

-- What goes into it, page by page; see export_rows. not_found: as renew_archive's false.
create or replace function shotai.archive_page(p_id uuid, p_key text, p_after text, p_lim integer)
returns table (problem text, retry_after integer, extras text, place text, section text, item text,
	image_key text, thumbnail_key text, title text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
declare
	v_archive archive;
begin
	select r.* from archive r
	join account a on a.id = r.account and a.status <> 'closed'
	where r.id = p_id and r.key = p_key and r.status = 'pending'
	into v_archive;
	if not found then
		problem := 'not_found';
		return next;
		return;
	end if;
	return query
	select null::text, null::integer, null::text, e.*
	from export_rows(v_archive.account, v_archive.generation_ids, p_after, p_lim) e;
end
$$;
grant execute on function shotai.archive_page(uuid, text, text, integer) to shotai_worker;

-- The object is stored. False: nobody wants it any more.
create or replace function shotai.finish_archive(p_id uuid, p_key text, p_bytes bigint) returns table (held boolean)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	update archive r
	set status = 'ready', bytes = p_bytes, lease_until = null, expires_at = clock_timestamp() + retention('archive')
	where r.id = p_id and r.key = p_key and (r.status = 'pending' or r.bytes = p_bytes);
	held := found;
	return next;
end
$$;
grant execute on function shotai.finish_archive(uuid, text, bigint) to shotai_worker;

-- An attempt that came to nothing. p_blameless: for a reason outside of it, so
-- that it does not count; then it is tried again, ever later up to ten minutes.
create or replace function shotai.release_archive(p_id uuid, p_key text, p_blameless boolean) returns void
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	update archive r
	set lease_until = null, released = r.released + p_blameless::integer,
		not_before = clock_timestamp() + least(interval '10 minutes', interval '2 seconds' * 2 ^ least(r.released, 9))
	where r.id = p_id and r.key = p_key and r.status = 'pending';
end
$$;
grant execute on function shotai.release_archive(uuid, text, boolean) to shotai_worker;

-- Archives past their end: the rows go at once, the objects next.
create or replace function shotai.sweep_archives() returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_keys text[];
	v_swept bigint;
begin
	with swept as (
		delete from archive r
		where r.id = any (array(
			select o.id from archive o
			where o.status <> 'pending' and o.expires_at <= clock_timestamp()
			order by o.expires_at limit 1000 for update skip locked))
		returning r.key
	)
	select count(*), coalesce(array_agg(s.key) filter (where s.key is not null), '{}') from swept s
	into v_swept, v_keys;
	perform forget_objects(v_keys);
	return v_swept;
end
$$;

select set_config('role', current_setting('shotai.migrating_role'), false);

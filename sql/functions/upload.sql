-- Reference pictures: admitted, stored, used for half an hour at most, deleted.
-- The row is there before the object and outlives it, so that whatever dies in
-- between, somebody knows the key.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

-- How long an object may take to be stored, from its admission on; a row that
-- is not confirmed by then never will be.
create or replace function shotai.upload_patience() returns interval
language plpgsql immutable security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	return interval '90 seconds';
end
$$;

-- Why these uploads cannot be references of this account now; null: they can.
create or replace function shotai.reference_problem(p_account bigint, p_ids uuid[]) returns text
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_known integer;
	v_live integer;
begin
	select count(*), count(*) filter (where u.deleted_at is null and u.expires_at > clock_timestamp())
	from upload u
	where u.id = any (p_ids) and u.account = p_account and u.stored_at is not null
	into v_known, v_live;
	return case
		when v_known < cardinality(p_ids) then 'upload_unknown'
		when v_live < cardinality(p_ids) then 'upload_expired' end;
end
$$;

-- Lets an upload in, or says why not. A key counts while what it made is there.
create or replace function shotai.admit_upload(p_user_id uuid, p_session_id uuid, p_key text, p_ttl_seconds integer,
	p_idempotency_key text, p_request_hash text)
returns table (problem text, retry_after integer, extras text, rate text, replayed boolean,
	id uuid, content_type text, width integer, height integer, bytes bigint, created_at text, expires_at text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
declare
	v_in admission := admit(p_user_id, p_session_id, 'upload', p_idempotency_key, p_request_hash);
	v_account bigint := (v_in.account).id;
	v_most integer := (v_in.plan).uploads_max;
	v_upload upload;
	v_now timestamptz;
	v_live integer;
	v_next timestamptz;
begin
	problem := v_in.problem;
	retry_after := v_in.retry_after;
	extras := v_in.extras;
	rate := v_in.rate;
	if problem is not null then
		return next;
		return;
	end if;

	v_now := clock_timestamp();
	select u.* from upload u
	where u.id = v_in.created and u.deleted_at is null and u.expires_at > v_now
		and (u.stored_at is not null or u.created_at > v_now - upload_patience())
	into v_upload;
	problem := case
		when v_upload.id is null then null
		when v_in.reused then 'idempotency_key_reused'
		when v_upload.stored_at is null then 'idempotency_in_progress' end;
	if problem is not null then
		retry_after := case problem when 'idempotency_in_progress' then 1 end;
		return next;
		return;
	elsif v_upload.id is not null then
		return query select null::text, null::integer, null::text, v_in.rate, true, v_upload.id, v_upload.content_type, v_upload.width,
			v_upload.height, v_upload.bytes, rfc3339(v_upload.created_at), rfc3339(v_upload.expires_at);
		return;
	end if;

	select count(*), min(u.expires_at) from upload u
	where u.account = v_account and u.deleted_at is null
	into v_live, v_next;
	if v_in.wait > 0 or v_live >= v_most then
		problem := 'rate_limited';
		retry_after := greatest(v_in.wait, case when v_live >= v_most
			then ceil(extract(epoch from v_next - v_now))::integer end, 1);
		return next;
		return;
	end if;

	insert into upload as u (account, key, created_at, expires_at, due_at)
	values (v_account, p_key, v_now, v_now + least(greatest(p_ttl_seconds, 1), 1800) * interval '1 second',
		v_now + least(least(greatest(p_ttl_seconds, 1), 1800) * interval '1 second', upload_patience()))
	returning * into v_upload;
	perform keep_key(v_account, 'upload', p_idempotency_key, p_request_hash, v_upload.id);
	return query select null::text, null::integer, null::text, v_in.rate, false, v_upload.id, null::text, null::integer, null::integer,
		null::bigint, rfc3339(v_upload.created_at), rfc3339(v_upload.expires_at);
end
$$;
grant execute on function shotai.admit_upload(uuid, uuid, text, integer, text, text) to shotai_web;

-- The object is stored. May be repeated. A row that was given up meanwhile
-- stays so: the caller deletes the object.
create or replace function shotai.confirm_upload(p_user_id uuid, p_id uuid, p_content_type text, p_width integer,
	p_height integer, p_bytes bigint)
returns table (problem text, retry_after integer, extras text, replayed boolean,
	id uuid, content_type text, width integer, height integer, bytes bigint, created_at text, expires_at text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
declare
	v_upload upload;
begin
	update upload u
	set content_type = p_content_type, width = p_width, height = p_height, bytes = p_bytes,
		stored_at = coalesce(u.stored_at, clock_timestamp()), due_at = u.expires_at
	from account a
	where u.id = p_id and u.deleted_at is null and u.expires_at > clock_timestamp()
		and a.id = u.account and a.user_id = p_user_id and a.status = 'active'
	returning u.* into v_upload;
	if not found then
		problem := case
			when exists (select from account a where a.user_id = p_user_id and a.status = 'active') then 'storage_unavailable'
			else 'account_suspended' end;
		return next;
		return;
	end if;
	return query select null::text, null::integer, null::text, false, v_upload.id, v_upload.content_type, v_upload.width,
		v_upload.height, v_upload.bytes, rfc3339(v_upload.created_at), rfc3339(v_upload.expires_at);
end
$$;
grant execute on function shotai.confirm_upload(uuid, uuid, text, integer, integer, bigint) to shotai_web;

-- An upload that came to nothing. clean: its object is known not to be there,
-- so nothing is kept; else the worker deletes it as soon as it can.
create or replace function shotai.abandon_upload(p_user_id uuid, p_id uuid, p_clean boolean) returns void
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_account bigint;
begin
	select a.id from account a where a.user_id = p_user_id into v_account;
	delete from idempotency k where k.account = v_account and k.route = 'upload' and k.created = p_id;
	if p_clean then
		delete from upload u where u.id = p_id and u.account = v_account and u.stored_at is null and u.deleted_at is null;
	else
		update upload u
		set expires_at = least(u.expires_at, clock_timestamp()), due_at = clock_timestamp()
		where u.id = p_id and u.account = v_account and u.deleted_at is null;
	end if;
end
$$;
grant execute on function shotai.abandon_upload(uuid, uuid, boolean) to shotai_web;

-- Takes an upload out of use and gives its key to the caller, who deletes the
-- object; should he fail, the worker does so in a moment.
create or replace function shotai.remove_upload(p_user_id uuid, p_session_id uuid, p_id uuid)
returns table (problem text, retry_after integer, extras text, key text)
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
	update upload u
	set expires_at = least(u.expires_at, clock_timestamp()), due_at = least(u.due_at, clock_timestamp() + interval '5 seconds')
	from account a
	where u.id = p_id and u.deleted_at is null and u.stored_at is not null
		and a.id = u.account and a.user_id = p_user_id and a.status <> 'closed'
	returning u.key into key;
	if not found then
		problem := 'not_found';
	end if;
	return next;
end
$$;
grant execute on function shotai.remove_upload(uuid, uuid, uuid) to shotai_web;

-- These objects are gone: the rows become tombstones. Returns how many did, and
-- the longest time that one of them outlived its end, in seconds.
create or replace function shotai.bury_uploads(p_ids uuid[]) returns table (deleted bigint, lag double precision)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	return query
	with buried as (
		update upload u
		set deleted_at = clock_timestamp(), key = null, content_type = null, width = null, height = null, bytes = null
		where u.id = any (p_ids) and u.deleted_at is null
		returning u.deleted_at - u.expires_at as lag
	)
	select count(*), coalesce(extract(epoch from max(b.lag)), 0)::double precision from buried b;
end
$$;
grant execute on function shotai.bury_uploads(uuid[]) to shotai_worker;

-- The same for the object of remove_upload.
create or replace function shotai.finish_removal(p_user_id uuid, p_id uuid) returns void
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	perform bury_uploads(array(
		select u.id from upload u join account a on a.id = u.account
		where u.id = p_id and a.user_id = p_user_id and u.expires_at <= clock_timestamp()));
end
$$;
grant execute on function shotai.finish_removal(uuid, uuid) to shotai_web;

-- Objects to delete now; each is offered again after a few seconds until it is
-- buried. Whatever is offered is out of use from here on.
create or replace function shotai.claim_due_uploads(p_lim integer) returns table (id uuid, key text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
declare
	v_now timestamptz := clock_timestamp();
begin
	return query
	update upload u
	set due_at = v_now + interval '5 seconds', expires_at = least(u.expires_at, v_now)
	where u.id = any (array(
		select d.id from upload d
		where d.deleted_at is null and d.due_at <= v_now
		order by d.due_at
		limit least(greatest(p_lim, 0), 1000)
		for update skip locked))
	returning u.id, u.key;
end
$$;
grant execute on function shotai.claim_due_uploads(integer) to shotai_worker;

-- These could not be deleted: they are due at once, behind all others.
create or replace function shotai.release_uploads(p_ids uuid[]) returns void
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	update upload u set due_at = clock_timestamp()
	where u.id = any (p_ids) and u.deleted_at is null and u.expires_at <= clock_timestamp();
end
$$;
grant execute on function shotai.release_uploads(uuid[]) to shotai_worker;

-- Of these keys those whose objects no live row names. p_old: those among them
-- that have been there longer than an upload may; if one has a row, it is due.
create or replace function shotai.unowned_uploads(p_keys text[], p_old text[]) returns table (key text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	update upload u
	set expires_at = least(u.expires_at, clock_timestamp()), due_at = clock_timestamp()
	where u.key = any (p_old) and u.deleted_at is null and u.expires_at > clock_timestamp();
	return query
	select k.key from unnest(p_keys) k (key)
	where starts_with(k.key, 'uploads/') and not exists (select from upload u where u.key = k.key);
end
$$;
grant execute on function shotai.unowned_uploads(text[], text[]) to shotai_worker;

-- Old tombstones go.
create or replace function shotai.prune_uploads() returns table (pruned bigint)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	delete from upload u
	where u.id = any (array(
		select o.id from upload o
		where o.deleted_at <= clock_timestamp() - retention('upload')
		order by o.deleted_at limit 10000 for update skip locked));
	get diagnostics pruned = row_count;
	return next;
end
$$;
grant execute on function shotai.prune_uploads() to shotai_worker;

-- The references of a job, in their order; key null: that one may not be used
-- any more.
create or replace function shotai.job_references(p_generation_id uuid, p_attempt integer)
returns table (held boolean, key text, content_type text, bytes bigint)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	perform from job j where j.generation = p_generation_id and j.attempt = p_attempt and not j.waiting;
	if not found then
		held := false;
		return next;
		return;
	end if;
	return query
	select true, u.key, u.content_type, u.bytes
	from generation g
	cross join unnest(g.upload_ids) with ordinality r (id, place)
	left join upload u on u.id = r.id and u.account = g.account and u.deleted_at is null and u.stored_at is not null
		and u.expires_at > clock_timestamp()
	where g.id = p_generation_id
	order by r.place;
end
$$;
grant execute on function shotai.job_references(uuid, integer) to shotai_worker;

-- For operators: what is there, what should not be any more, and how punctual deletion was.
create or replace function shotai.upload_state()
returns table (live bigint, overdue bigint, lag double precision, deleted_24h bigint, worst_lag_24h double precision)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_now timestamptz := clock_timestamp();
begin
	select count(*), count(*) filter (where u.expires_at <= v_now),
		coalesce(extract(epoch from v_now - least(min(u.expires_at), v_now)), 0)
	from upload u
	where u.deleted_at is null
	into live, overdue, lag;
	select count(*), coalesce(extract(epoch from max(u.deleted_at - u.expires_at)), 0)
	from upload u
	where u.deleted_at > v_now - interval '24 hours'
	into deleted_24h, worst_lag_24h;
	return next;
end
$$;

select set_config('role', current_setting('shotai.migrating_role'), false);

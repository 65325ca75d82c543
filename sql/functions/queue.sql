-- The queue: claims, leases, calls, results. Everything written names the
-- attempt; held = false tells a worker that the attempt is no longer its own.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

-- How long a claim lasts without renewal.
create or replace function shotai.lease() returns interval
language plpgsql immutable security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	return interval '10 seconds';
end
$$;

-- Until when nothing is taken from another worker: one lease length after the
-- database came back. It came back when it started, when it recovered from a
-- crash of one backend (that resets statistics, not the start time), and when
-- workers reached it again after a time in which none did (worker.resumed_at);
-- while none does it may still be away.
create or replace function shotai.reclaim_from() returns timestamptz
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_now timestamptz := clock_timestamp();
	v_seen timestamptz;
	v_resumed timestamptz;
begin
	select max(w.seen_at), max(w.resumed_at) from worker w into v_seen, v_resumed;
	return greatest(pg_postmaster_start_time(), pg_stat_get_bgwriter_stat_reset_time(), v_resumed,
		case when v_seen > v_now - lease() / 2 then null else v_now end) + lease();
end
$$;

-- Notes that a worker is alive. When none was for half a lease, the database
-- may have been out of reach for all of them.
create or replace function shotai.note_worker(p_worker text) returns void
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_now timestamptz := clock_timestamp();
	v_seen timestamptz;
	v_last timestamptz;
begin
	select max(w.seen_at) filter (where w.name = p_worker), max(w.seen_at) from worker w into v_seen, v_last;
	if v_seen > v_now - interval '1 second' then
		return;
	end if;
	insert into worker as w (name, seen_at, resumed_at)
	values (p_worker, v_now, case when v_last > v_now - lease() / 2 then '-infinity' else v_now end)
	on conflict (name) do update
	set seen_at = excluded.seen_at, resumed_at = greatest(w.resumed_at, excluded.resumed_at);
end
$$;

-- Takes up to p_lim jobs: those whose lease ran out, then the lowest ranks.
-- Takes no lock but those of the jobs, and waits for none.
create or replace function shotai.claim_jobs(p_worker text, p_lim integer, p_timeout_seconds integer)
returns table (generation_id uuid, attempt integer, first_claim boolean, adapter text, vendor_model text, model text,
	options text, prompt text, aspect_ratio text, count integer, seed bigint, missing text, deadline_ms bigint,
	uncertain_calls integer, repeats_left integer, upload_ids text, moderation text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
declare
	v_limit integer := least(greatest(p_lim, 0), 1000);
	v_now timestamptz;
	v_lost uuid[] := '{}';
	v_fresh uuid[] := '{}';
	v_rank bigint;
begin
	perform note_worker(p_worker);
	v_now := clock_timestamp();

	if v_now > reclaim_from() then
		select array_agg(j.generation) from (
			select j.generation from job j
			where not j.waiting and j.lease_until < v_now and j.attempt - j.released < 3
			order by j.lease_until
			limit v_limit
			for no key update skip locked
		) j into v_lost;
	end if;
	select array_agg(j.generation), max(j.rank) from (
		select j.generation, j.rank from job j
		where j.waiting and (j.not_before is null or j.not_before <= v_now)
		order by j.rank
		limit v_limit - coalesce(cardinality(v_lost), 0)
		for no key update skip locked
	) j into v_fresh, v_rank;
	if v_rank > (select r.last_value from claimed_rank r) then
		perform setval('claimed_rank', v_rank);
	end if;

	-- A call that was sent by an earlier attempt and has no id to ask for may or may not have been made.
	update provider_call c
	set state = 'uncertain', finished_at = v_now
	where c.generation = any (v_lost) and c.state = 'sent' and c.vendor_id is null;

	return query
	with claimed as (
		update job j
		set attempt = j.attempt + 1, waiting = false, lease_until = v_now + lease(), not_before = null
		where j.generation = any (v_lost || v_fresh)
		returning j.generation, j.attempt, j.rank
	)
	select g.id, c.attempt, c.attempt = 1, m.adapter, m.vendor_model, m.id,
		m.options::text, g.prompt, g.aspect_ratio, g.count::integer, g.seed,
		(select coalesce(json_agg(n.index order by n.index), '[]')::text
			from generate_series(0, g.count - 1) n (index)
			where not exists (select from image i where i.generation = g.id and i.index = n.index)),
		greatest(0, p_timeout_seconds * 1000::bigint
			- coalesce((extract(epoch from v_now - g.started_at) * 1000)::bigint, 0)),
		(select count(*)::integer from provider_call p where p.generation = g.id and p.state = 'uncertain'),
		1 - (select count(*)::integer from provider_call p where p.generation = g.id and p.repeat),
		to_json(g.upload_ids)::text, g.moderation
	from claimed c
	join generation g on g.id = c.generation
	join model m on m.id = g.model
	order by c.rank;
end
$$;
grant execute on function shotai.claim_jobs(text, integer, integer) to shotai_worker;

-- Succeeds while the attempt is unchanged, even past the lease.
create or replace function shotai.renew_leases(p_worker text, p_generation_ids uuid[], p_attempts integer[])
returns table (generation_id uuid, attempt integer, held boolean)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	with mine as (
		select m.generation, m.attempt from unnest(p_generation_ids, p_attempts) m (generation, attempt)
	), renewed as (
		update job j
		set lease_until = clock_timestamp() + lease()
		from mine m
		where j.generation = m.generation and j.attempt = m.attempt and not j.waiting
		returning j.generation
	)
	select m.generation, m.attempt, r.generation is not null
	from mine m
	left join renewed r on r.generation = m.generation;
	perform note_worker(p_worker);
end
$$;
grant execute on function shotai.renew_leases(text, uuid[], integer[]) to shotai_worker;

-- Locks account, generation and job of an attempt, in that order; returns the
-- account, or null when the attempt is no longer held.
create or replace function shotai.hold_job(p_generation uuid, p_attempt integer) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_account bigint;
begin
	select j.account from job j where j.generation = p_generation and j.attempt = p_attempt into v_account;
	if not found then
		return null;
	end if;
	perform from account a where a.id = v_account for no key update;
	perform from generation g where g.id = p_generation for no key update;
	perform from job j
	where j.generation = p_generation and j.attempt = p_attempt and not j.waiting
	for no key update;
	return case when found then v_account end;
end
$$;

-- Stamps a generation with the next change number of its account, both locked.
create or replace function shotai.stamp(p_account bigint, p_generation uuid) returns void
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_change bigint;
begin
	update account a set change_no = a.change_no + 1 where a.id = p_account returning a.change_no into strict v_change;
	update generation g set change_no = v_change where g.id = p_generation;
end
$$;

-- Puts a generation into a final state: gives back what was not delivered and
-- deletes the job. Account, generation and job are locked by the caller.
create or replace function shotai.end_generation(p_generation uuid, p_status text, p_error_code text, p_error_reason text)
returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_generation generation;
	v_refund bigint;
	v_change bigint;
begin
	select * from generation g where g.id = p_generation into strict v_generation;
	if v_generation.finished_at is not null then
		raise exception 'a generation ends once' using errcode = 'data_corrupted';
	end if;
	v_refund := v_generation.unit_price::bigint * (v_generation.count - v_generation.delivered);

	delete from job j where j.generation = p_generation;
	if v_refund > 0 then
		perform refund(v_generation.account, v_refund, p_generation);
	end if;
	update account a
	set unfinished = a.unfinished - v_generation.count, change_no = a.change_no + 1
	where a.id = v_generation.account
	returning a.change_no into strict v_change;
	update generation g
	set status = p_status, error_code = p_error_code, error_reason = p_error_reason,
		credits_refunded = v_refund, finished_at = clock_timestamp(), change_no = v_change
	where g.id = p_generation;
	return v_refund;
end
$$;

-- What moderation said of the prompt. A denial stays. p_prompt_hash: hex SHA-256.
create or replace function shotai.record_moderation(p_generation_id uuid, p_attempt integer, p_decision text,
	p_prompt_hash text)
returns table (held boolean)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	held := hold_job(p_generation_id, p_attempt) is not null;
	if held then
		update generation g
		set moderation = p_decision, moderated_at = clock_timestamp(), prompt_hash = decode(p_prompt_hash, 'hex')
		where g.id = p_generation_id and g.moderation is distinct from 'deny';
	end if;
	return next;
end
$$;
grant execute on function shotai.record_moderation(uuid, integer, text, text) to shotai_worker;

-- Before each POST, committed before it is sent. The first one makes a queued
-- generation running. call_id null: moderation did not allow the prompt
-- (moderated is false then), or an earlier call for one of these images may
-- have succeeded, and the one blind repeat was made.
create or replace function shotai.start_call(p_generation_id uuid, p_attempt integer, p_first_index integer, p_n integer,
	p_provider text)
returns table (held boolean, call_id bigint, moderated boolean)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_account bigint := hold_job(p_generation_id, p_attempt);
	v_repeat boolean;
begin
	held := v_account is not null;
	if not held then
		return next;
		return;
	end if;
	if not exists (select from generation g where g.id = p_generation_id and p_n > 0
		and p_first_index between 0 and g.count - p_n) then
		raise exception 'a call for images that were not ordered' using errcode = 'invalid_parameter_value';
	end if;
	moderated := exists (
		select from generation g where g.id = p_generation_id and g.moderation in ('allow', 'not_required'));
	if not moderated then
		return next;
		return;
	end if;

	v_repeat := exists (
		select from provider_call c
		where c.generation = p_generation_id
			and c.state in ('sent', 'accepted', 'uncertain')
			and c.first_index < p_first_index + p_n and p_first_index < c.first_index + c.images);
	if v_repeat and exists (select from provider_call c where c.generation = p_generation_id and c.repeat) then
		return next;
		return;
	end if;

	update generation g
	set status = 'running', started_at = clock_timestamp()
	where g.id = p_generation_id and g.status = 'queued';
	if found then
		perform stamp(v_account, p_generation_id);
	end if;
	insert into provider_call (generation, attempt, first_index, images, provider, repeat)
	values (p_generation_id, p_attempt, p_first_index, p_n, p_provider, v_repeat)
	returning id into call_id;
	return next;
end
$$;
grant execute on function shotai.start_call(uuid, integer, integer, integer, text) to shotai_worker;

-- What became of a call. After a final state the outcome is still noted, since
-- the vendor bills for it, but held is false.
create or replace function shotai.record_call(p_call_id bigint, p_attempt integer, p_state text, p_vendor_id text)
returns table (held boolean)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_generation uuid;
	v_attempt integer;
begin
	select c.generation from provider_call c where c.id = p_call_id and c.attempt = p_attempt into v_generation;
	-- Against a claim at this moment, which would call it uncertain.
	select j.attempt from job j where j.generation = v_generation for share into v_attempt;
	held := found and v_attempt = p_attempt;
	if held or v_attempt is null then
		update provider_call c
		set state = p_state,
			vendor_id = coalesce(p_vendor_id, c.vendor_id),
			finished_at = case when p_state <> 'accepted' then clock_timestamp() end
		where c.id = p_call_id and c.attempt = p_attempt;
	end if;
	return next;
end
$$;
grant execute on function shotai.record_call(bigint, integer, text, text) to shotai_worker;

-- An image that is stored. One that is settled already stays as it was.
create or replace function shotai.settle_image(p_generation_id uuid, p_attempt integer, p_index integer, p_image_key text,
	p_thumbnail_key text, p_width integer, p_height integer, p_content_type text, p_bytes bigint)
returns table (held boolean)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_account bigint := hold_job(p_generation_id, p_attempt);
begin
	held := v_account is not null;
	if not held then
		return next;
		return;
	end if;
	if not exists (select from generation g where g.id = p_generation_id and g.status = 'running'
		and p_index between 0 and g.count - 1) then
		raise exception 'an image that was not ordered' using errcode = 'invalid_parameter_value';
	end if;

	insert into image (generation, index, attempt, image_key, thumbnail_key, width, height, content_type, bytes)
	values (p_generation_id, p_index, p_attempt, p_image_key, p_thumbnail_key, p_width, p_height, p_content_type, p_bytes)
	on conflict (generation, index) do nothing;
	if found then
		update generation g set delivered = g.delivered + 1 where g.id = p_generation_id;
		perform stamp(v_account, p_generation_id);
	end if;
	return next;
end
$$;
grant execute on function shotai.settle_image(uuid, integer, integer, text, text, integer, integer, text, bigint)
	to shotai_worker;

-- The end of an attempt that has its outcome; the status follows from what was settled.
create or replace function shotai.finish_generation(p_generation_id uuid, p_attempt integer, p_error_code text,
	p_error_reason text)
returns table (held boolean, status text, refunded bigint)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
declare
	v_generation generation;
begin
	held := hold_job(p_generation_id, p_attempt) is not null;
	if not held then
		return next;
		return;
	end if;
	select * from generation g where g.id = p_generation_id into strict v_generation;
	status := case v_generation.delivered when v_generation.count then 'succeeded' when 0 then 'failed' else 'partial' end;
	refunded := end_generation(p_generation_id, status,
		case status when 'succeeded' then null else coalesce(p_error_code, 'internal') end,
		case status when 'succeeded' then null else p_error_reason end);
	return next;
end
$$;
grant execute on function shotai.finish_generation(uuid, integer, text, text) to shotai_worker;

-- Hands a job back, to be claimed again after so many seconds. started: it
-- stays running, though no call of this attempt was recorded.
create or replace function shotai.release_job(p_generation_id uuid, p_attempt integer, p_after_seconds integer,
	p_started boolean)
returns table (held boolean)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_account bigint := hold_job(p_generation_id, p_attempt);
begin
	held := v_account is not null;
	if held then
		if p_started then
			update generation g
			set status = 'running', started_at = clock_timestamp()
			where g.id = p_generation_id and g.status = 'queued';
			if found then
				perform stamp(v_account, p_generation_id);
			end if;
		end if;
		update job j
		set waiting = true, released = j.released + 1, lease_until = null,
			not_before = clock_timestamp() + make_interval(secs => greatest(p_after_seconds, 0))
		where j.generation = p_generation_id;
	end if;
	return next;
end
$$;
grant execute on function shotai.release_job(uuid, integer, integer, boolean) to shotai_worker;

create or replace function shotai.queue_state()
returns table (queued bigint, running bigint, oldest_seconds bigint)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	return query
	select count(*) filter (where j.waiting), count(*) filter (where not j.waiting),
		coalesce(extract(epoch from clock_timestamp() - min(j.queued_at) filter (where j.waiting)), 0)::bigint
	from job j;
end
$$;
grant execute on function shotai.queue_state() to shotai_worker;

select set_config('role', current_setting('shotai.migrating_role'), false);

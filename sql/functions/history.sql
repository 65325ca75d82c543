-- What was made, as its owner looks back: lists, words, favourites, deleting.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

-- A query for all of these words in the prompts of one account, each as the
-- beginning of a word. Without a word it finds nothing.
create or replace function shotai.word_query(p_account bigint, p_words text) returns tsquery
language plpgsql stable security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_words text;
begin
	select string_agg(format('''%s'':*', replace(replace(w.word, '\', '\\'), '''', '''''')), ' & ')
	from unnest(tsvector_to_array(to_tsvector('simple'::regconfig, p_words))) w (word)
	into v_words;
	return (format(''' %s'' & ', p_account) || v_words)::tsquery;
end
$$;

-- Newest first, with keyset cursors: microseconds and id of the last row seen.
-- Filters that are null do not filter.
create or replace function shotai.list_generations(p_user_id uuid, p_lim integer, p_cursor text, p_status text,
	p_words text default null, p_model text default null, p_favourite boolean default null)
returns table (problem text, retry_after integer, extras text, cursor text, more boolean,
	id uuid, status text, model text, prompt text, aspect_ratio text, count integer, seed bigint,
	credits_charged bigint, credits_refunded bigint, error_code text, favourite boolean, queue_position integer,
	created_at text, started_at text, finished_at text,
	image_index integer, image_key text, thumbnail_key text, width integer, height integer, content_type text, shared text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
declare
	v_limit integer := least(greatest(p_lim, 1), 100);
	v_account bigint;
	v_query tsquery;
	v_from record;
	v_ids uuid[];
	v_cursors text[];
begin
	select * from read_cursor(p_cursor) into v_from;
	if v_from.extras is not null then
		problem := 'invalid_request';
		extras := v_from.extras;
		return next;
		return;
	end if;
	select a.id from account a where a.user_id = p_user_id and a.status <> 'closed' into v_account;

	if p_words is null then
		select array_agg(n.id), array_agg(cursor_of(n.created_at, n.id::text))
		from (
			select g.id, g.created_at
			from generation g
			where g.account = v_account and g.deleted_at is null
				and (g.created_at, g.id) < (v_from.before, v_from.before_id)
				and (p_status is null or g.status = p_status)
				and (p_model is null or g.model = p_model)
				and (p_favourite is null or g.favourite = p_favourite)
			order by g.created_at desc, g.id desc
			limit v_limit + 1
		) n
		into v_ids, v_cursors;
	else
		-- The words first, by their index: walking the account's prompts would parse each of them.
		v_query := word_query(v_account, p_words);
		with found as materialized (
			select g.id, g.created_at, g.status, g.model, g.favourite
			from generation g
			where (to_tsvector('simple'::regconfig, g.prompt) || array_to_tsvector(array[' ' || g.account])) @@ v_query
				and g.account = v_account and g.deleted_at is null
		)
		select array_agg(n.id), array_agg(cursor_of(n.created_at, n.id::text))
		from (
			select f.id, f.created_at
			from found f
			where (f.created_at, f.id) < (v_from.before, v_from.before_id)
				and (p_status is null or f.status = p_status)
				and (p_model is null or f.model = p_model)
				and (p_favourite is null or f.favourite = p_favourite)
			order by f.created_at desc, f.id desc
			limit v_limit + 1
		) n
		into v_ids, v_cursors;
	end if;

	return query
	select null::text, null::integer, null::text, v_cursors[n.place], cardinality(v_ids) > v_limit, r.*
	from unnest(v_ids[:v_limit]) with ordinality n (id, place)
	join generation_row r on r.id = n.id
	order by n.place, r.image_index;
end
$$;
grant execute on function shotai.list_generations(uuid, integer, text, text, text, text, boolean) to shotai_web;

create or replace function shotai.set_favourite(p_user_id uuid, p_session_id uuid, p_id uuid, p_favourite boolean)
returns table (problem text, retry_after integer, extras text,
	id uuid, status text, model text, prompt text, aspect_ratio text, count integer, seed bigint,
	credits_charged bigint, credits_refunded bigint, error_code text, favourite boolean, queue_position integer,
	created_at text, started_at text, finished_at text,
	image_index integer, image_key text, thumbnail_key text, width integer, height integer, content_type text, shared text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
declare
	v_in admission := admit(p_user_id, p_session_id, null);
	v_account bigint := (v_in.account).id;
begin
	problem := v_in.problem;
	if problem is not null then
		return next;
		return;
	end if;
	update generation g
	set favourite = p_favourite
	where g.id = p_id and g.account = v_account and g.deleted_at is null and g.favourite <> p_favourite;
	if found then
		perform stamp(v_account, p_id);
	end if;
	return query
	select null::text, null::integer, null::text, r.*
	from generation g
	join generation_row r on r.id = g.id
	where g.id = p_id and g.account = v_account and g.deleted_at is null
	order by r.image_index;
	if not found then
		problem := 'not_found';
		return next;
	end if;
end
$$;
grant execute on function shotai.set_favourite(uuid, uuid, uuid, boolean) to shotai_web;

-- Queues objects for the worker to delete.
create or replace function shotai.forget_objects(p_keys text[]) returns void
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	insert into object_deletion (key) select distinct k from unnest(p_keys) k on conflict (key) do nothing;
end
$$;

-- Takes pictures, prompts and shares of finished generations away; the caller
-- has locked the account and them.
create or replace function shotai.forget_generations(p_account bigint, p_ids uuid[]) returns void
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_change bigint;
begin
	delete from share s where s.generation = any (p_ids);
	perform forget_objects((
		select array_agg(k.key)
		from image i
		cross join lateral (values (i.image_key), (i.thumbnail_key)) k (key)
		where i.generation = any (p_ids)));
	delete from image i where i.generation = any (p_ids);
	update account a set change_no = a.change_no + 1 where a.id = p_account returning a.change_no into v_change;
	update generation g
	set deleted_at = clock_timestamp(), prompt = '', seed = null, upload_ids = '{}', error_reason = null,
		favourite = false, change_no = v_change
	where g.id = any (p_ids);
	insert into journal_entry (subject) select 'generation ' || g from unnest(p_ids) g on conflict do nothing;
end
$$;

-- Deletes pictures, prompts and shares of finished generations; the rows stay,
-- without what they told, since the ledger names them. All or nothing: while
-- one of them is unfinished none is deleted. p_all: every one must exist.
create or replace function shotai.delete_generations(p_user_id uuid, p_session_id uuid, p_ids uuid[], p_all boolean)
returns table (problem text, retry_after integer, extras text, rate text, deleted integer)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
declare
	v_in admission := admit(p_user_id, p_session_id, 'delete');
	v_account bigint := (v_in.account).id;
	v_ids uuid[];
	v_unfinished jsonb;
begin
	problem := v_in.problem;
	rate := v_in.rate;
	if problem is null and v_in.wait > 0 then
		problem := 'rate_limited';
		retry_after := v_in.wait;
	end if;
	if problem is not null then
		return next;
		return;
	end if;
	select array_agg(g.id), jsonb_agg(g.id) filter (where g.finished_at is null)
	from (
		select g.id, g.finished_at
		from generation g
		where g.id = any (p_ids) and g.account = v_account and g.deleted_at is null
		order by g.id
		for no key update
	) g
	into v_ids, v_unfinished;
	problem := case
		when p_all and cardinality(coalesce(v_ids, '{}')) <> cardinality(p_ids) then 'not_found'
		when v_unfinished is not null then 'unfinished' end;
	if problem is not null then
		extras := case problem when 'unfinished' then jsonb_build_object('ids', v_unfinished) end;
		return next;
		return;
	end if;

	if v_ids is not null then
		perform forget_generations(v_account, v_ids);
	end if;
	deleted := coalesce(cardinality(v_ids), 0);
	return next;
end
$$;
grant execute on function shotai.delete_generations(uuid, uuid, uuid[], boolean) to shotai_web;

-- The objects to delete now. Each is offered again, ever later up to a minute, until finish_object_deletions names it.
create or replace function shotai.claim_object_deletions(p_lim integer) returns table (key text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	update object_deletion d
	set attempts = d.attempts + 1,
		not_before = clock_timestamp() + least(interval '1 minute', interval '10 seconds' * 2 ^ least(d.attempts, 3))
	where d.key = any (array(
		select n.key from object_deletion n
		where n.not_before <= clock_timestamp()
		order by n.not_before
		limit least(greatest(p_lim, 0), 1000)
		for update skip locked))
	returning d.key;
end
$$;
grant execute on function shotai.claim_object_deletions(integer) to shotai_worker;

create or replace function shotai.finish_object_deletions(p_keys text[]) returns void
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	delete from object_deletion d where d.key = any (p_keys);
end
$$;
grant execute on function shotai.finish_object_deletions(text[]) to shotai_worker;

select set_config('role', current_setting('shotai.migrating_role'), false);

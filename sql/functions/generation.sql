-- Generations as their owner sees them: admitted, looked at, cancelled; history.sql has the list.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

-- One row per image, one with null image columns when there is none. Only
-- functions read it. The position in the queue is counted to 100.
create or replace view shotai.generation_row as
select g.id, g.status, g.model, g.prompt, g.aspect_ratio, g.count::integer as count, g.seed,
	g.credits_charged, g.credits_refunded, g.error_code, g.favourite,
	case when g.status = 'queued' then (
		select case when j.rank <= coalesce((
			-- Asked once per query: the hundredth rank; null when fewer wait.
			select o.rank from shotai.job o where o.waiting order by o.rank offset 99 limit 1
		), j.rank) then (
			select count(*)::integer + 1 from shotai.job o where o.waiting and o.rank < j.rank
		) end
		from shotai.job j
		where j.generation = g.id
	) end as queue_position,
	to_char(g.created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as created_at,
	to_char(g.started_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as started_at,
	to_char(g.finished_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as finished_at,
	i.index::integer as image_index, i.image_key, i.thumbnail_key, i.width, i.height, i.content_type,
	(
		select coalesce(json_agg(s.slug order by s.created_at, s.id), '[]')::text
		from shotai.share s
		where s.generation = g.id and s.taken_down_at is null
			-- A volatile clock would keep the view from being merged into the query around it.
			and (s.expires_at is null or s.expires_at > statement_timestamp())
	) as shared
from shotai.generation g
left join shotai.image i on i.generation = g.id;

-- The models with the price in force; one without a price is no offer.
create or replace view shotai.offer as
select m.id, m.position, m.name, p.name as provider, c.id as price, c.credits, m.enabled and p.enabled as available,
	m.aspect_ratios, m.max_count, m.accepts_reference,
	case when m.accepts_reference then m.max_references else 0 end as max_references,
	m.description, m.description_nl, m.retention
from shotai.model m
join shotai.provider p on p.id = m.provider
cross join lateral (
	select c.id, c.credits
	from shotai.model_price c
	where c.model = m.id and c.effective_from <= clock_timestamp()
	order by c.effective_from desc
	limit 1
) c;

create or replace function shotai.list_models()
returns table (id text, name text, provider text, credits integer, aspect_ratios text, max_count integer,
	accepts_reference boolean, max_references integer, description text, description_nl text, retention text, available boolean)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	select o.id, o.name, o.provider, o.credits, to_json(o.aspect_ratios)::text, o.max_count,
		o.accepts_reference, o.max_references, o.description, o.description_nl, o.retention, o.available
	from offer o
	order by o.position, o.id;
end
$$;
grant execute on function shotai.list_models() to shotai_web;

-- Charges a request and queues it, or says why not. After the refusals of admit
-- the first of this order is given: a replay or idempotency_key_reused,
-- model_unknown, model_unavailable, invalid_request, upload_unknown,
-- upload_expired, rate_limited, too_many_in_flight, insufficient_credits.
create or replace function shotai.admit_generation(p_user_id uuid, p_session_id uuid, p_model text, p_prompt text,
	p_aspect_ratio text, p_count integer, p_seed bigint, p_upload_ids uuid[], p_idempotency_key text, p_request_hash text,
	p_prompt_mark text default null)
returns table (problem text, retry_after integer, extras text, rate text, replayed boolean, balance bigint,
	id uuid, status text, model text, prompt text, aspect_ratio text, count integer, seed bigint,
	credits_charged bigint, credits_refunded bigint, error_code text, favourite boolean, queue_position integer,
	created_at text, started_at text, finished_at text,
	image_index integer, image_key text, thumbnail_key text, width integer, height integer, content_type text, shared text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
declare
	v_in admission := admit(p_user_id, p_session_id, 'generate', p_idempotency_key, p_request_hash);
	v_account account := v_in.account;
	v_plan plan := v_in.plan;
	v_wait integer;
	v_offer offer;
	v_errors jsonb;
	v_reference text;
	v_price bigint;
	v_generation uuid;
begin
	problem := v_in.problem;
	retry_after := v_in.retry_after;
	extras := v_in.extras;
	rate := v_in.rate;
	if problem is not null then
		return next;
		return;
	end if;
	v_account.balance := v_account.balance - expire_lots(v_account.id);

	if v_in.reused then
		problem := 'idempotency_key_reused';
		return next;
		return;
	elsif v_in.created is not null then
		return query
		select null::text, null::integer, null::text, v_in.rate, true, v_account.balance, r.*
		from generation_row r
		where r.id = v_in.created
			and not exists (select from generation g where g.id = v_in.created and g.deleted_at is not null)
		order by r.image_index;
		if not found then
			problem := 'not_found'; -- deleted meanwhile
			return next;
		end if;
		return;
	end if;

	select o.* from offer o where o.id = p_model into v_offer;
	v_errors := offer_errors(v_offer, p_prompt, p_aspect_ratio, p_count, coalesce(cardinality(p_upload_ids), 0));
	v_reference := reference_problem(v_account.id, p_upload_ids);
	v_price := v_offer.credits::bigint * p_count;
	v_wait := greatest(v_in.wait, refused_wait(v_account.id, v_plan));
	problem := case
		when v_offer.id is null then 'model_unknown'
		when not v_offer.available then 'model_unavailable'
		when v_errors is not null then 'invalid_request'
		when v_reference is not null then v_reference
		when v_wait > 0 then 'rate_limited'
		when v_account.unfinished + p_count > v_plan.unfinished_max then 'too_many_in_flight'
		when v_account.balance < v_price then 'insufficient_credits' end;
	if problem is not null then
		retry_after := case problem
			when 'model_unavailable' then 60
			when 'rate_limited' then v_wait
			when 'too_many_in_flight' then 5 end;
		extras := case problem
			when 'invalid_request' then jsonb_build_object('errors', v_errors)
			when 'insufficient_credits' then jsonb_build_object('required', v_price, 'balance', v_account.balance) end;
		return next;
		return;
	end if;

	v_generation := queue_generation(v_account, v_plan.weight, v_offer, p_prompt, p_aspect_ratio, p_count, p_seed,
		p_upload_ids);
	perform mark_account(v_account.id, 'prompt', p_prompt_mark);
	perform keep_key(v_account.id, 'generate', p_idempotency_key, p_request_hash, v_generation);
	return query
	select null::text, null::integer, null::text, v_in.rate, false, v_account.balance - v_price, r.*
	from generation_row r
	where r.id = v_generation;
end
$$;
grant execute on function shotai.admit_generation(uuid, uuid, text, text, text, integer, bigint, uuid[], text, text, text)
	to shotai_web;

-- The seconds until prompts are taken again from who had too many refused within an hour; 0: they are.
create or replace function shotai.refused_wait(p_account bigint, p_plan shotai.plan) returns integer
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_hour timestamptz := clock_timestamp() - interval '1 hour';
	v_since timestamptz;
begin
	select max(r.since) from (
		(select g.moderated_at as since from generation g
			where g.account = p_account and g.moderation in ('deny', 'flag') and g.moderated_at > v_hour
			order by g.moderated_at desc offset p_plan.refused_per_hour - 1 limit 1)
		union all
		(select g.finished_at from generation g
			where g.account = p_account and g.error_code = 'content_policy' and g.finished_at > v_hour
			order by g.finished_at desc offset p_plan.provoked_per_hour - 1 limit 1)
	) r into v_since;
	return coalesce(ceil(extract(epoch from v_since - v_hour)), 0)::integer;
end
$$;

-- What a model cannot do of a request, as the errors of invalid_request; null: nothing.
create or replace function shotai.offer_errors(p_offer shotai.offer, p_prompt text, p_aspect_ratio text, p_count integer,
	p_references integer)
returns jsonb
language plpgsql stable security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_errors jsonb := '[]';
begin
	if p_prompt is null or p_prompt = '' then
		v_errors := v_errors || jsonb_build_object('pointer', '/prompt', 'detail', 'must not be empty');
	end if;
	if p_aspect_ratio <> all (p_offer.aspect_ratios) then
		v_errors := v_errors || jsonb_build_object('pointer', '/aspect_ratio',
			'detail', 'must be one of ' || array_to_string(p_offer.aspect_ratios, ', '));
	end if;
	if p_count is null or p_count not between 1 and p_offer.max_count then
		v_errors := v_errors || jsonb_build_object('pointer', '/count',
			'detail', 'must be from 1 to ' || p_offer.max_count);
	end if;
	if p_references > p_offer.max_references then
		v_errors := v_errors || jsonb_build_object('pointer', '/upload_ids',
			'detail', case p_offer.max_references when 0 then 'this model takes no reference'
				else 'at most ' || p_offer.max_references end);
	end if;
	return nullif(v_errors, '[]'::jsonb);
end
$$;

-- Charges and queues what was found admissible; the account is locked. Fair
-- among accounts: each continues where its own last job stands, and none starts
-- before what is being made now.
create or replace function shotai.queue_generation(p_account shotai.account, p_weight integer, p_offer shotai.offer,
	p_prompt text, p_aspect_ratio text, p_count integer, p_seed bigint, p_upload_ids uuid[])
returns uuid
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_price bigint := p_offer.credits::bigint * p_count;
	v_rank bigint;
	v_change bigint;
	v_generation uuid;
begin
	select greatest(p_account.last_rank, r.last_value) + ceil(p_count * 1000.0 / p_weight)::bigint
	from claimed_rank r
	into v_rank;
	update account a
	set unfinished = a.unfinished + p_count, last_rank = v_rank, change_no = a.change_no + 1
	where a.id = p_account.id
	returning a.change_no into v_change;
	insert into generation (account, change_no, model, price, unit_price, prompt, aspect_ratio, count, seed, upload_ids,
		credits_charged)
	values (p_account.id, v_change, p_offer.id, p_offer.price, p_offer.credits, p_prompt,
		coalesce(p_aspect_ratio, p_offer.aspect_ratios[1]), p_count, p_seed, coalesce(p_upload_ids, '{}'), v_price)
	returning id into v_generation;
	perform charge(p_account.id, v_price, v_generation);
	insert into job (generation, account, rank) values (v_generation, p_account.id, v_rank);
	return v_generation;
end
$$;

create or replace function shotai.get_generation(p_user_id uuid, p_id uuid)
returns table (problem text, retry_after integer, extras text,
	id uuid, status text, model text, prompt text, aspect_ratio text, count integer, seed bigint,
	credits_charged bigint, credits_refunded bigint, error_code text, favourite boolean, queue_position integer,
	created_at text, started_at text, finished_at text,
	image_index integer, image_key text, thumbnail_key text, width integer, height integer, content_type text, shared text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	select null::text, null::integer, null::text, r.*
	from generation g
	join account a on a.id = g.account and a.user_id = p_user_id and a.status <> 'closed'
	join generation_row r on r.id = g.id
	where g.id = p_id and g.deleted_at is null
	order by r.image_index;
	if not found then
		problem := 'not_found';
		return next;
	end if;
end
$$;
grant execute on function shotai.get_generation(uuid, uuid) to shotai_web;

-- Cancels while no provider call was ever started, and gives everything back.
create or replace function shotai.cancel_generation(p_user_id uuid, p_session_id uuid, p_id uuid)
returns table (problem text, retry_after integer, extras text, balance bigint,
	id uuid, status text, model text, prompt text, aspect_ratio text, count integer, seed bigint,
	credits_charged bigint, credits_refunded bigint, error_code text, favourite boolean, queue_position integer,
	created_at text, started_at text, finished_at text,
	image_index integer, image_key text, thumbnail_key text, width integer, height integer, content_type text, shared text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
declare
	v_in admission := admit(p_user_id, p_session_id, null);
	v_account account := v_in.account;
	v_status text;
begin
	problem := v_in.problem;
	if problem is not null then
		return next;
		return;
	end if;
	select g.status from generation g where g.id = p_id and g.account = v_account.id and g.deleted_at is null
	for no key update into v_status;
	if not found then
		problem := 'not_found';
		return next;
		return;
	elsif v_status <> 'queued' then
		problem := 'not_cancelable';
		return next;
		return;
	end if;
	perform from job j where j.generation = p_id for update;
	perform end_generation(p_id, 'canceled', null, null);

	return query
	select null::text, null::integer, null::text, (select a.balance from account a where a.id = v_account.id), r.*
	from generation_row r
	where r.id = p_id;
end
$$;
grant execute on function shotai.cancel_generation(uuid, uuid, uuid) to shotai_web;

select set_config('role', current_setting('shotai.migrating_role'), false);

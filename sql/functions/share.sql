-- Shares as their owner, whoever has the link, and an operator see them.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

-- The shares that can be seen now.
create or replace view shotai.live_share as
select s.*
from shotai.share s
where s.taken_down_at is null and (s.expires_at is null or s.expires_at > clock_timestamp());

-- Shares a picture, or says why not. After the refusals of admit the first of
-- this order is given: a replay or idempotency_key_reused, not_found,
-- invalid_request, sharing_refused, rate_limited.
create or replace function shotai.create_share(p_user_id uuid, p_session_id uuid, p_slug text, p_generation_id uuid,
	p_image_index integer, p_show_prompt boolean, p_expires_in bigint, p_idempotency_key text, p_request_hash text)
returns table (problem text, retry_after integer, extras text, rate text, replayed boolean, slug text, generation_id uuid,
	image_index integer, show_prompt boolean, created_at text, expires_at text, views bigint)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
declare
	v_most constant integer := 20; -- of one picture at a time
	v_in admission := admit(p_user_id, p_session_id, 'share', p_idempotency_key, p_request_hash);
	v_account bigint := (v_in.account).id;
	v_share uuid;
begin
	problem := v_in.problem;
	retry_after := v_in.retry_after;
	extras := v_in.extras;
	rate := v_in.rate;
	if problem is not null then
		return next;
		return;
	end if;

	if not v_in.reused then
		return query
		select null::text, null::integer, null::text, v_in.rate, true, r.* from share_row(v_in.created) r;
		if not found then
			problem := 'not_found'; -- revoked or expired meanwhile
			return next;
		end if;
		return;
	end if;

	perform from generation g
	where g.id = p_generation_id and g.account = v_account and g.deleted_at is null
	for no key update;
	problem := case
		when v_in.reused then 'idempotency_key_reused'
		when not found then 'not_found' end;
	if problem is not null then
		return next;
		return;
	end if;
	if not exists (select from image i where i.generation = p_generation_id and i.index = p_image_index) then
		problem := 'invalid_request';
		extras := '{"errors":[{"pointer":"/image_index","detail":"there is no such picture"}]}';
	elsif exists (
		select from share s
		where s.generation = p_generation_id and s.index = p_image_index and s.taken_down_at is not null
	) then
		problem := 'sharing_refused';
	elsif v_most <= (
		select count(*) from live_share s where s.generation = p_generation_id and s.index = p_image_index
	) then
		problem := 'invalid_request';
		extras := jsonb_build_object('errors', jsonb_build_array(
			jsonb_build_object('pointer', '/image_index', 'detail', 'is shared often enough: at most ' || v_most)));
	elsif v_in.wait > 0 then
		problem := 'rate_limited';
		retry_after := v_in.wait;
	end if;
	if problem is not null then
		return next;
		return;
	end if;

	insert into share (slug, account, generation, index, show_prompt, expires_at)
	values (p_slug, v_account, p_generation_id, p_image_index, p_show_prompt,
		clock_timestamp() + make_interval(secs => p_expires_in))
	returning id into v_share;
	perform stamp(v_account, p_generation_id);
	perform keep_key(v_account, 'share', p_idempotency_key, p_request_hash, v_share);
	return query
	select null::text, null::integer, null::text, v_in.rate, false, r.* from share_row(v_share) r;
end
$$;
grant execute on function shotai.create_share(uuid, uuid, text, uuid, integer, boolean, bigint, text, text) to shotai_web;

-- A live share as it is shown to its owner.
create or replace function shotai.share_row(p_share uuid)
returns table (slug text, generation_id uuid, image_index integer, show_prompt boolean, created_at text,
	expires_at text, views bigint)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	select s.slug, s.generation, s.index::integer, s.show_prompt, rfc3339(s.created_at), rfc3339(s.expires_at), s.views
	from live_share s
	where s.id = p_share;
end
$$;

-- Newest first; p_generation_id null: of all pictures.
create or replace function shotai.list_shares(p_user_id uuid, p_lim integer, p_cursor text, p_generation_id uuid)
returns table (problem text, retry_after integer, extras text, cursor text, more boolean, slug text,
	generation_id uuid, image_index integer, show_prompt boolean, created_at text, expires_at text, views bigint)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
declare
	v_limit integer := least(greatest(p_lim, 1), 100);
	v_account bigint;
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
	select array_agg(n.id), array_agg(cursor_of(n.created_at, n.id::text))
	from (
		select s.id, s.created_at
		from live_share s
		where s.account = v_account and (s.created_at, s.id) < (v_from.before, v_from.before_id)
			and (p_generation_id is null or s.generation = p_generation_id)
		order by s.created_at desc, s.id desc
		limit v_limit + 1
	) n
	into v_ids, v_cursors;
	return query
	select null::text, null::integer, null::text, v_cursors[n.place], cardinality(v_ids) > v_limit, r.*
	from unnest(v_ids[:v_limit]) with ordinality n (id, place)
	cross join lateral share_row(n.id) r
	order by n.place;
end
$$;
grant execute on function shotai.list_shares(uuid, integer, text, uuid) to shotai_web;

create or replace function shotai.delete_share(p_user_id uuid, p_session_id uuid, p_slug text)
returns table (problem text, retry_after integer, extras text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_in admission := admit(p_user_id, p_session_id, null);
	v_account bigint := (v_in.account).id;
	v_generation uuid;
begin
	problem := v_in.problem;
	if problem is not null then
		return next;
		return;
	end if;
	select s.generation from share s
	where s.slug = p_slug and s.account = v_account and s.taken_down_at is null
	into v_generation;
	perform from generation g where g.id = v_generation for no key update;
	delete from share s where s.slug = p_slug and s.account = v_account and s.taken_down_at is null;
	if found then
		perform stamp(v_account, v_generation);
	else
		problem := 'not_found';
	end if;
	return next;
end
$$;
grant execute on function shotai.delete_share(uuid, uuid, text) to shotai_web;

-- What whoever has the link may see now. p_look: 'page', which is a view, or 'image', or null, which does not count;
-- counting must not make anybody wait for the disk.
create or replace function shotai.open_share(p_slug text, p_look text)
returns table (problem text, retry_after integer, extras text, image_key text, content_type text, width integer,
	height integer, image_index integer, model_name text, prompt text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	select null::text, null::integer, null::text, i.image_key, i.content_type, i.width, i.height, i.index::integer,
		m.name, case when s.show_prompt then g.prompt end
	from live_share s
	join account a on a.id = s.account and a.status = 'active'
	join generation g on g.id = s.generation
	join model m on m.id = g.model
	join image i on i.generation = s.generation and i.index = s.index
	where s.slug = p_slug;
	if not found then
		problem := 'not_found';
		return next;
	elsif p_look is not null then
		perform set_config('synchronous_commit', 'off', true);
		update share s set views = s.views + 1 where s.slug = p_slug and p_look = 'page';
		insert into share_traffic as t (share, pages, images)
		select s.id, (p_look = 'page')::integer, (p_look = 'image')::integer from share s where s.slug = p_slug
		on conflict (share) do update set pages = t.pages + excluded.pages, images = t.images + excluded.images;
	end if;
end
$$;
grant execute on function shotai.open_share(text, text) to shotai_web;

-- Queues a report. Of one share so many wait at most, and only one when an
-- operator has just seen nothing wrong with it; the others are counted.
create or replace function shotai.report_share(p_slug text, p_reason text)
returns table (problem text, retry_after integer, extras text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_most integer := 20;
begin
	perform from open_share(p_slug, null) o where o.problem is null;
	if found then
		update share s set reports = s.reports + 1 where s.slug = p_slug;
	end if;
	if not found then
		problem := 'not_found';
		return next;
		return;
	end if;
	if exists (
		select from share_report r
		where r.slug = p_slug and r.state = 'dismissed' and r.decided_at > clock_timestamp() - interval '30 days'
	) then
		v_most := 1;
	end if;
	insert into share_report (slug, account, generation, index, reason)
	select s.slug, s.account, s.generation, s.index, p_reason
	from share s
	where s.slug = p_slug
		and v_most > (select count(*) from share_report r where r.slug = p_slug and r.state = 'open');
	return next;
end
$$;
grant execute on function shotai.report_share(text, text) to shotai_web;

-- How many of an account's shares operators took down within 90 days, also those that are gone since.
create or replace function shotai.upheld_shares(p_account bigint) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_since timestamptz := clock_timestamp() - interval '90 days';
begin
	return (
		select count(*) from (
			select s.slug from share s where s.account = p_account and s.taken_down_at > v_since
			union
			select r.slug from share_report r where r.account = p_account and r.state = 'upheld' and r.decided_at > v_since
		) u);
end
$$;

-- For shotaictl: the queue of reports; or every live share, newest first.
-- Whose pictures were taken down before comes first, then what waits longest.
create or replace function shotai.operator_shares(p_all boolean, p_lim integer)
returns table (slug text, state text, user_id uuid, generation_id uuid, image_index integer, views bigint,
	reports bigint, upheld bigint, created_at text, reported_at text, waits text, reason text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	if p_all then
		return query
		select s.slug, 'live'::text, a.user_id, s.generation, s.index::integer, s.views, s.reports, upheld_shares(a.id),
			rfc3339(s.created_at), null::text, null::text, null::text
		from live_share s
		join account a on a.id = s.account
		order by s.created_at desc
		limit p_lim;
		return;
	end if;
	return query
	select r.slug,
		case when l.slug is not null then 'live' when s.taken_down_at is not null then 'taken down' else 'gone' end,
		a.user_id, r.generation, r.index::integer, s.views, coalesce(s.reports, r.open), u.upheld, rfc3339(s.created_at),
		rfc3339(r.reported_at), waited(r.reported_at), r.reasons
	from (
		select r.slug, r.account, r.generation, r.index, count(*) as open, min(r.created_at) as reported_at,
			string_agg(r.reason, ' | ' order by r.id) as reasons
		from share_report r
		where r.state = 'open'
		group by r.slug, r.account, r.generation, r.index
	) r
	join account a on a.id = r.account
	cross join upheld_shares(r.account) u (upheld)
	left join share s on s.slug = r.slug
	left join live_share l on l.slug = r.slug
	order by u.upheld desc, r.reported_at
	limit p_lim;
end
$$;
grant execute on function shotai.operator_shares(boolean, integer) to shotai_operator;

-- How long ago, in the largest unit of which there is one.
create or replace function shotai.waited(p_since timestamptz) returns text
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_minutes integer := extract(epoch from clock_timestamp() - p_since) / 60;
begin
	return case
		when v_minutes >= 2880 then v_minutes / 1440 || ' days'
		when v_minutes >= 120 then v_minutes / 60 || ' hours'
		else v_minutes || ' minutes' end;
end
$$;

-- Decides the open reports of a share: upheld, it goes off the air and its picture is not shared again.
create or replace function shotai.decide_share(p_slug text, p_upheld boolean, p_reason text, p_operator text)
returns table (problem text, retry_after integer, extras text, reports bigint)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
declare
	v_share share;
	v_account bigint;
begin
	select * from share s where s.slug = p_slug into v_share;
	v_account := coalesce(v_share.account, (select r.account from share_report r where r.slug = p_slug limit 1));
	if v_account is null then
		problem := 'not_found';
		return next;
		return;
	end if;
	perform from account a where a.id = v_account for no key update;
	perform from generation g where g.id = v_share.generation for no key update;
	if p_upheld then
		update share s set taken_down_at = clock_timestamp() where s.slug = p_slug and s.taken_down_at is null;
		if found then
			perform stamp(v_account, v_share.generation);
		end if;
	end if;
	update share_report r
	set state = case when p_upheld then 'upheld' else 'dismissed' end, decided_at = clock_timestamp()
	where r.slug = p_slug and r.state = 'open';
	get diagnostics reports = row_count;
	insert into operator_log (operator, action, account, reason, detail)
	values (p_operator, case when p_upheld then 'take_down_share' else 'dismiss_reports' end, v_account, p_reason,
		jsonb_build_object('slug', p_slug, 'generation', v_share.generation, 'index', v_share.index, 'reports', reports));
	if p_upheld then
		perform raise_finding(v_account, 'upheld', upheld_shares(v_account), 1, '{}', clock_timestamp());
		perform apply_findings(v_account);
	end if;
	return next;
end
$$;
grant execute on function shotai.decide_share(text, boolean, text, text) to shotai_operator;

-- Called by the worker's sweep: what nobody can see or needs any more.
create or replace function shotai.sweep_shares() returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_rows bigint;
begin
	delete from share s
	where s.id = any (array(
		select o.id from share o
		where o.expires_at < clock_timestamp() - retention('share') and o.taken_down_at is null
		order by o.expires_at limit 1000 for update skip locked));
	get diagnostics v_rows = row_count;
	delete from share_report r where r.decided_at < clock_timestamp() - retention('share_report');
	return v_rows;
end
$$;

select set_config('role', current_setting('shotai.migrating_role'), false);

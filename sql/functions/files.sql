-- Which stored objects may be read, and which nobody names any more. A key is
-- gen/<generation id>/<index>-<attempt>, with an ending of the worker's choice,
-- or archives/<random>.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

-- filename: what it is to be kept under, null for pictures, which are shown.
create or replace function shotai.authorize_file(p_key text)
returns table (problem text, retry_after integer, extras text, content_type text, kind text, filename text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
declare
	v_generation uuid := substring(p_key from '^gen/([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})/');
begin
	select case p_key when i.image_key then i.content_type else 'image/webp' end,
		case p_key when i.image_key then 'image' else 'thumbnail' end
	from image i
	join generation g on g.id = i.generation
	join account a on a.id = g.account and a.status <> 'closed'
	where i.generation = v_generation and p_key in (i.image_key, i.thumbnail_key)
	into content_type, kind;
	if not found and starts_with(p_key, 'archives/') then
		select 'application/zip', 'archive', to_char(r.created_at at time zone 'UTC', '"shotai-"YYYY-MM-DD".zip"')
		from archive r
		join account a on a.id = r.account and a.status <> 'closed'
		where r.key = p_key and r.status = 'ready' and r.expires_at > clock_timestamp()
		into content_type, kind, filename;
	end if;
	if kind is null then
		problem := 'not_found';
	end if;
	return next;
end
$$;
grant execute on function shotai.authorize_file(text) to shotai_web;

-- Of these keys those below gen/ that no row names and no live attempt can still
-- name, and those of archives that none names.
create or replace function shotai.unnamed_objects(p_keys text[]) returns table (key text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	select k.key
	from (
		select k.key,
			substring(k.key from '^gen/([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})/')::uuid as generation,
			substring(k.key from '^gen/[^/]+/[0-9]+-([0-9]{1,9})')::integer as attempt
		from unnest(p_keys) k (key)
		where starts_with(k.key, 'gen/')
	) k
	where not exists (
			select from image i where i.generation = k.generation and k.key in (i.image_key, i.thumbnail_key))
		and not exists (
			select from job j where j.generation = k.generation and j.attempt <= coalesce(k.attempt, j.attempt))
	union all
	select k.key from unnest(p_keys) k (key)
	where starts_with(k.key, 'archives/') and not exists (select from archive r where r.key = k.key);
end
$$;
grant execute on function shotai.unnamed_objects(text[]) to shotai_worker;

select set_config('role', current_setting('shotai.migrating_role'), false);

-- Which stored objects may be read, and which nobody names any more. A key is
-- gen/<generation id>/<index>-<attempt>, with an ending of the worker's choice.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

create or replace function shotai.authorize_file(p_key text)
returns table (problem text, retry_after integer, extras text, content_type text, kind text)
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
	if not found then
		problem := 'not_found';
	end if;
	return next;
end
$$;
grant execute on function shotai.authorize_file(text) to shotai_web;

-- Of these keys those below gen/ that no row names and no live attempt can still name.
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
			select from job j where j.generation = k.generation and j.attempt <= coalesce(k.attempt, j.attempt));
end
$$;
grant execute on function shotai.unnamed_objects(text[]) to shotai_worker;

select set_config('role', current_setting('shotai.migrating_role'), false);

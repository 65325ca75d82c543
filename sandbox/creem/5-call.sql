-- What stands between the program and the functions of the next files: how they are called, how input is checked.

-- spec: {"member": "string!"}, by the types of jsonb_typeof, ! where the member must be there. null counts as absent.
create or replace function check_input(input jsonb, spec jsonb) returns void language plpgsql as $$
declare
	said text[] := '{}';
	member text;
	kind text;
	given text;
begin
	for member, kind in select * from jsonb_each_text(spec) loop
		given := coalesce(nullif(jsonb_typeof(input -> member), 'null'), 'absent');
		if given = 'absent' and kind like '%!' then
			said := said || (member || ' should not be empty');
		end if;
		if given <> rtrim(kind, '!') and (given <> 'absent' or kind like '%!') then
			said := said || format('%s must be %s %s', member, case when kind ~ '^[aeiou]' then 'an' else 'a' end,
				rtrim(kind, '!'));
		end if;
	end loop;
	for member in select k from jsonb_object_keys(input) k where not spec ? k loop
		said := said || format('property %s should not exist', member);
	end loop;
	if said <> '{}' then
		perform refuse(400, variadic said);
	end if;
end
$$;

-- The member as a whole number within these bounds, whether it came as a number or as text; null when absent.
create or replace function whole(input jsonb, member text, least_value bigint, greatest_value bigint) returns bigint
language plpgsql as $$
declare
	given text := input ->> member;
begin
	if given is null then
		return null;
	elsif given !~ '^-?[0-9]{1,12}$' then
		perform refuse(400, member || ' must be an integer number');
	elsif given::bigint < least_value then
		perform refuse(400, format('%s must not be less than %s', member, least_value));
	elsif given::bigint > greatest_value then
		perform refuse(400, format('%s must not be greater than %s', member, greatest_value));
	end if;
	return given::bigint;
end
$$;

create or replace function one_of(input jsonb, member text, variadic allowed text[]) returns text language plpgsql as $$
begin
	if input ->> member is not null and not input ->> member = any (allowed) then
		perform refuse(400, format('%s must be one of the following values: %s', member, array_to_string(allowed, ', ')));
	end if;
	return input ->> member;
end
$$;

create or replace function list_json(items jsonb, total bigint, page bigint, size bigint) returns jsonb
language sql immutable as $$
	select jsonb_build_object('items', coalesce(items, '[]'), 'pagination', jsonb_build_object('total_records', total,
		'total_pages', (total + size - 1) / size, 'current_page', page,
		'next_page', case when page * size < total then page + 1 end, 'prev_page', case when page > 1 then page - 1 end))
$$;

-- All of it runs through here: name is a function of the next files, path_id what stood in the path, url PUBLIC_URL,
-- key an Idempotency-Key or null.
create or replace function call(name text, path_id text, input jsonb, url text, key text, out status integer, out body text)
language plpgsql as $$
declare
	answer jsonb;
begin
	perform set_config('sandbox_creem.url', url, true), set_config('sandbox_creem.key', coalesce(key, ''), true);
	execute format('select sandbox_creem.%I($1, $2)', name) into answer using path_id, input;
	status := 200;
	body := answer::text;
exception when sqlstate 'CR400' or sqlstate 'CR404' or sqlstate 'CR503' then
	get stacked diagnostics body = message_text;
	status := right(sqlstate, 3)::integer;
end
$$;

create or replace function public_url() returns text language sql stable as $$
	select current_setting('sandbox_creem.url')
$$;

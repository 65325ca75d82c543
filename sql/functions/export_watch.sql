-- What the watch over accounts holds about a person, as sections of the export.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

create or replace function shotai.export_findings(p_account bigint, p_after text, p_lim integer)
returns table (cursor text, item json)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	select r.id::text, row_to_json(r)
	from (
		select f.id, f.signal, f.action, f.score, f.evidence, f.state, f.applied, rfc3339(f.first_at) as first_at,
			rfc3339(f.last_at) as last_at, rfc3339(f.expires_at) as expires_at, rfc3339(f.closed_at) as closed_at, f.mistaken, f.reason
		from finding f
		where f.account = p_account and f.id > coalesce(p_after::bigint, 0)
		order by f.id
		limit p_lim
	) r;
end
$$;

create or replace function shotai.export_baselines(p_account bigint, p_after text, p_lim integer)
returns table (cursor text, item json)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	select r.signal, row_to_json(r)
	from (
		select b.signal, rfc3339(b.span_start) as span_start, b.hits, b.base, b.observed, b.mean, b.variance
		from baseline b
		where b.account = p_account and b.signal > coalesce(p_after, '')
		order by b.signal
		limit p_lim
	) r;
end
$$;

create or replace function shotai.export_account_marks(p_account bigint, p_after text, p_lim integer)
returns table (cursor text, item json)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	select r.kind || ' ' || r.mark, row_to_json(r)
	from (
		select m.kind, encode(m.mark, 'hex') as mark, rfc3339(m.seen_at) as seen_at
		from account_mark m
		where m.account = p_account and m.kind || ' ' || encode(m.mark, 'hex') > coalesce(p_after, '')
		order by m.kind || ' ' || encode(m.mark, 'hex')
		limit p_lim
	) r;
end
$$;

select set_config('role', current_setting('shotai.migrating_role'), false);

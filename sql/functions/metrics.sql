-- What a monitoring system asks for: sums about nobody.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

create or replace function shotai.metrics() returns table (name text, help text, value double precision)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	select m.name, m.help, m.value
	from queue_state() q
	cross join upload_state() u
	cross join lateral (values
		(1, 'jobs_queued', 'Generations that wait for a worker', q.queued::double precision),
		(2, 'jobs_running', 'Generations that a worker has in hand', q.running),
		(3, 'jobs_oldest_seconds', 'How long the oldest of those that wait has waited', q.oldest_seconds),
		(4, 'workers', 'Workers seen within a lease', (select count(*) from worker w where w.seen_at > clock_timestamp() - lease())),
		(5, 'uploads_live', 'Uploads whose object is not deleted yet', u.live),
		(6, 'uploads_overdue', 'Those of them that should be', u.overdue),
		(7, 'upload_deletion_lag_seconds', 'How long the oldest of those should have been gone', u.lag),
		(8, 'uploads_deleted_24h', 'Uploads deleted in the last 24 hours', u.deleted_24h),
		(9, 'upload_worst_lag_seconds_24h', 'The longest that one of those outlived its end', u.worst_lag_24h)
	) m (place, name, help, value)
	order by m.place;
end
$$;
grant execute on function shotai.metrics() to shotai_web;

select set_config('role', current_setting('shotai.migrating_role'), false);

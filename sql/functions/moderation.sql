-- Prompts are screened before a provider sees them: for how long that may fail.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

-- Nobody screens a prompt now. patience_ms: how long that may go on, of so many
-- seconds since it first failed for this job.
create or replace function shotai.postpone_moderation(p_generation_id uuid, p_attempt integer, p_patience_seconds integer)
returns table (held boolean, patience_ms bigint)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_from timestamptz;
begin
	update job j
	set unscreened_from = coalesce(j.unscreened_from, clock_timestamp())
	where j.generation = p_generation_id and j.attempt = p_attempt and not j.waiting
	returning j.unscreened_from into v_from;
	held := found;
	if held then
		patience_ms := greatest(0, p_patience_seconds * 1000::bigint
			- (extract(epoch from clock_timestamp() - v_from) * 1000)::bigint);
	end if;
	return next;
end
$$;
grant execute on function shotai.postpone_moderation(uuid, integer, integer) to shotai_worker;

select set_config('role', current_setting('shotai.migrating_role'), false);

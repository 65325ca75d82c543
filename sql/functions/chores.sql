-- What the worker does once in a while.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

-- True for one worker at most once in so many seconds.
create or replace function shotai.claim_chore(p_name text, p_every_seconds integer) returns table (due boolean)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	update chore c set claimed_at = clock_timestamp()
	where c.name = p_name and c.claimed_at <= clock_timestamp() - p_every_seconds * interval '1 second';
	due := found;
	return next;
end
$$;
grant execute on function shotai.claim_chore(text, integer) to shotai_worker;

-- What apply_transaction would answer; nothing is kept of it.
create or replace function shotai.preview_transaction(p_raw text) returns table (outcome text, reason text, subject text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_result record;
begin
	begin
		select * from apply_transaction(p_raw, 'preview') into v_result;
		raise exception 'only a preview' using errcode = 'SA001';
	exception when sqlstate 'SA001' then
		null; -- what was changed is undone, what was answered is not
	end;
	outcome := v_result.outcome;
	reason := v_result.reason;
	subject := v_result.subject;
	return next;
end
$$;
grant execute on function shotai.preview_transaction(text) to shotai_operator;

select set_config('role', current_setting('shotai.migrating_role'), false);

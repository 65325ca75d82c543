-- What the worker does beside making pictures.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

-- One round of upkeep, called every minute and again while it says 'more' = 1:
-- one account per transaction is locked, whatever there is to do. Accounts come
-- first: what is deleted after them is locked without waiting.
create or replace function shotai.sweep() returns table (name text, value bigint)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_now timestamptz := clock_timestamp();
	v_account bigint;
	v_job record;
	v_expired bigint := 0;
	v_ended bigint := 0;
	v_keys bigint;
	v_rates bigint;
	v_shares bigint;
	v_archives bigint;
begin
	if not pg_try_advisory_xact_lock(hashtext('shotai.sweep')) then
		return;
	end if;

	select j.generation, j.attempt, j.account from job j
	where not j.waiting and j.lease_until < v_now and j.attempt - j.released >= 3 and v_now > reclaim_from()
	order by j.lease_until limit 1
	into v_job;
	if found then
		perform hold_job(v_job.generation, v_job.attempt);
		-- It may have been renewed or finished while its account was waited for.
		perform from job j
		where j.generation = v_job.generation and j.attempt = v_job.attempt and not j.waiting
			and j.lease_until < clock_timestamp();
		if found then
			perform end_generation(v_job.generation,
				case when g.delivered = g.count then 'succeeded' when g.delivered = 0 then 'failed' else 'partial' end,
				case when g.delivered < g.count then 'provider_error' end,
				case when g.delivered < g.count then 'three attempts lost their lease' end)
			from generation g where g.id = v_job.generation;
			v_ended := 1;
		end if;
	else
		select l.account from credit_lot l
		where l.open and l.expires_at <= v_now
		order by l.expires_at limit 1
		into v_account;
		if found then
			perform from account a where a.id = v_account for no key update;
			v_expired := expire_lots(v_account);
		end if;
	end if;

	delete from idempotency i
	where i.ctid = any (array(
		select o.ctid from idempotency o
		where o.created_at <= v_now - retention('idempotency')
		order by o.created_at limit 1000 for update skip locked));
	get diagnostics v_keys = row_count;
	delete from rate_state r
	where r.ctid = any (array(
		select o.ctid from rate_state o where o.arrival < v_now - retention('rate_state') limit 1000 for update skip locked));
	get diagnostics v_rates = row_count;
	v_shares := sweep_shares();
	v_archives := sweep_archives();
	delete from mail_outbox m where m.finished_at <= v_now - retention('mail');
	delete from welcome_grant w where w.delete_after <= v_now;
	delete from age_block b where b.blocked_until <= v_now;
	delete from worker w where w.seen_at < v_now - interval '1 day';

	return query values
		('ended_generations', v_ended),
		('expired_credits', v_expired),
		('idempotency_keys', v_keys),
		('rate_states', v_rates),
		('expired_shares', v_shares),
		('expired_archives', v_archives),
		('more', (v_ended > 0 or v_account is not null or v_keys = 1000 or v_rates = 1000 or v_shares = 1000
			or v_archives = 1000)::integer::bigint);
end
$$;
grant execute on function shotai.sweep() to shotai_worker;

select set_config('role', current_setting('shotai.migrating_role'), false);

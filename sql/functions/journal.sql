-- The journal: objects of storage that outlive the database. A backup that is
-- restored brings back what was erased and deleted after it; the journal tells.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

-- What the journal is to tell next, a line for each, and under which key; none: nothing. What was offered is offered
-- again until journal_told.
create or replace function shotai.journal_next() returns table (key text, line text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
declare
	v_key text;
begin
	select e.journal from journal_entry e where e.journal is not null limit 1 into v_key;
	if v_key is null then
		if not exists (select from journal_entry) then
			return;
		end if;
		v_key := to_char(clock_timestamp() at time zone 'UTC', '"journal/"YYYYMMDD"t"HH24MISSUS-')
			|| substr(md5(gen_random_uuid()::text), 1, 8);
		insert into journal (key) values (v_key);
		update journal_entry e set journal = v_key
		where e.subject = any (array(
			select o.subject from journal_entry o where o.journal is null limit 1000 for no key update skip locked));
	end if;
	return query select e.journal, e.subject from journal_entry e where e.journal = v_key order by e.subject;
end
$$;
grant execute on function shotai.journal_next() to shotai_worker, shotai_operator;

-- The object is there: erasures that it tells of may begin.
create or replace function shotai.journal_told(p_key text) returns void
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	with told as (
		delete from journal_entry e where e.journal = p_key returning e.erasure
	)
	update erasure_step s
	set count = 1, done_at = clock_timestamp()
	from told t
	where s.erasure = t.erasure and s.step = 'journal' and s.done_at is null;
end
$$;
grant execute on function shotai.journal_told(text) to shotai_worker, shotai_operator;

-- After which key an object may be unknown here: rows are not committed in the order of their keys.
create or replace function shotai.journal_from() returns table (key text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	return query
	select coalesce(to_char((max(j.written_at) - interval '1 hour') at time zone 'UTC', '"journal/"YYYYMMDD"t"HH24MISSUS'), '')
	from journal j;
end
$$;
grant execute on function shotai.journal_from() to shotai_worker, shotai_operator;

create or replace function shotai.journal_unknown(p_keys text[]) returns table (key text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	select k.key from unnest(p_keys) k (key) where not exists (select from journal j where j.key = k.key) order by k.key;
end
$$;
grant execute on function shotai.journal_unknown(text[]) to shotai_worker, shotai_operator;

-- Does again what an object tells, and knows it from then on. p_dry: only counts.
create or replace function shotai.replay_journal(p_key text, p_lines text[], p_dry boolean)
returns table (accounts bigint, generations bigint)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
declare
	v_names text[] := array(select substr(l, 6) from unnest(p_lines) l where starts_with(l, 'user '));
	v_ids uuid[] := array(
		select substr(l, 12)::uuid from unnest(p_lines) l
		where l ~ '^generation [0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$');
	v_user_id uuid;
	v_account bigint;
	v_mine uuid[];
begin
	accounts := 0;
	generations := 0;
	for v_user_id in
		select n.user_id from auth_named(v_names) n
		union
		select a.user_id from account a
		join unnest(v_names) n (name) on n.name = journal_name(a.user_id)
		order by 1
	loop
		if not exists (select from erasure e where e.user_id = v_user_id) then
			accounts := accounts + 1;
			if not p_dry then
				perform begin_erasure((select o.id from open_account(v_user_id) o), 'replay');
			end if;
		end if;
	end loop;
	for v_account, v_mine in
		select g.account, array_agg(g.id order by g.id) from generation g
		where g.id = any (v_ids) and g.deleted_at is null
		group by g.account order by g.account
	loop
		generations := generations + cardinality(v_mine);
		if not p_dry then
			perform from account a where a.id = v_account for no key update;
			perform from generation g where g.id = any (v_mine) order by g.id for no key update;
			-- The backup may have caught it while it was being made.
			perform from job j where j.generation = any (v_mine) order by j.generation for update;
			perform end_generation(g.id, 'failed', 'internal', null) from generation g where g.id = any (v_mine) and g.finished_at is null;
			perform forget_generations(v_account, v_mine);
		end if;
	end loop;
	if not p_dry then
		insert into journal (key) values (p_key) on conflict do nothing;
	end if;
	return next;
end
$$;
grant execute on function shotai.replay_journal(text, text[], boolean) to shotai_operator;

-- Objects before this key have had their time; their rows are forgotten, all but the newest row.
create or replace function shotai.prune_journal() returns table (key text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
declare
	v_before timestamptz := clock_timestamp() - retention('journal');
begin
	delete from journal j
	where j.written_at < v_before and j.key < (select max(n.key) from journal n)
		and not exists (select from journal_entry e where e.journal = j.key);
	return query select to_char(v_before at time zone 'UTC', '"journal/"YYYYMMDD"t"HH24MISSUS');
end
$$;
grant execute on function shotai.prune_journal() to shotai_worker;

select set_config('role', current_setting('shotai.migrating_role'), false);

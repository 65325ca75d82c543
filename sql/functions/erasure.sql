-- The erasure of an account: it locks at once, then the worker takes it away
-- step by step. The locked row stays until the Auth user is gone, so that an
-- old token opens nothing; what the books need stays for good, without a name.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

-- In which order: the journal comes before anything is gone, the sign-in after everything is.
create or replace function shotai.erasure_steps() returns text[]
language plpgsql immutable security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	return array['journal', 'subscriptions', 'shares', 'pictures', 'uploads', 'prompts', 'records', 'payments', 'sign_in'];
end
$$;

-- How the journal names a user: nobody finds the id from it, but who has the id finds it.
create or replace function shotai.journal_name(p_user_id uuid) returns text
language plpgsql immutable security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	return encode(sha256(convert_to(p_user_id::text, 'UTF8')), 'hex');
end
$$;

-- Closes an account, which the caller has locked, and ends what is unfinished; the same erasure when there is one.
create or replace function shotai.begin_erasure(p_account bigint, p_cause text) returns uuid
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_user_id uuid;
	v_erasure uuid;
	v_generation record;
begin
	select a.user_id from account a where a.id = p_account into strict v_user_id;
	insert into erasure (account, user_id, cause) values (p_account, v_user_id, p_cause)
	on conflict (user_id) do nothing
	returning id into v_erasure;
	if not found then
		return (select e.id from erasure e where e.user_id = v_user_id);
	end if;
	insert into erasure_step (erasure, position, step)
	select v_erasure, s.position, s.step from unnest(erasure_steps()) with ordinality s (step, position);
	insert into journal_entry (subject, erasure) values ('user ' || journal_name(v_user_id), v_erasure) on conflict do nothing;

	for v_generation in
		select g.id, g.status from job j join generation g on g.id = j.generation
		where j.account = p_account order by g.id for no key update of g
	loop
		perform from job j where j.generation = v_generation.id for update;
		perform end_generation(v_generation.id,
			case v_generation.status when 'queued' then 'canceled' else 'failed' end,
			case v_generation.status when 'queued' then null else 'internal' end, null);
	end loop;
	update account a
	set status = 'closed', closed_at = clock_timestamp(), change_no = a.change_no + 1
	where a.id = p_account;
	return v_erasure;
end
$$;

-- p_signed_in_at: unix seconds of the newest sign-in that the token tells of, 0: it tells of none.
create or replace function shotai.request_erasure(p_user_id uuid, p_session_id uuid, p_signed_in_at bigint)
returns table (problem text, retry_after integer, extras text, erasure_id uuid)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_in admission := admit(p_user_id, p_session_id, null);
	v_account account := v_in.account;
begin
	problem := case
		when v_in.problem = 'account_suspended' and v_account.status = 'closed' then null
		when v_in.problem is not null then v_in.problem
		when p_signed_in_at < extract(epoch from clock_timestamp() - interval '10 minutes') then 'reauthentication_required' end;
	if problem is null then
		erasure_id := begin_erasure(v_account.id, 'request');
	end if;
	return next;
end
$$;
grant execute on function shotai.request_erasure(uuid, uuid, bigint) to shotai_web;

-- For whoever has the id: each step with the time when it was done, until a receipt's term after the last, and how long
-- is kept what is kept.
create or replace function shotai.erasure_state(p_id uuid)
returns table (problem text, retry_after integer, extras text, status text, requested_at text, finished_at text,
	step text, done_at text, books text, welcome text, receipt text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	select null::text, null::integer, null::text,
		case when e.finished_at is not null then 'done' when h.account is not null then 'held' else 'pending' end,
		rfc3339(e.requested_at), rfc3339(e.finished_at), s.step, rfc3339(s.done_at), t.books, t.welcome, t.receipt
	from erasure e
	join erasure_step s on s.erasure = e.id
	cross join (
		select max(r.amount || ' ' || r.unit) filter (where r.name = 'books') as books,
			max(r.amount || ' ' || r.unit) filter (where r.name = 'welcome') as welcome,
			max(r.amount || ' ' || r.unit) filter (where r.name = 'receipt') as receipt
		from retention r
	) t
	left join legal_hold h on h.account = e.account
	where e.id = p_id and coalesce(e.finished_at, 'infinity') > clock_timestamp() - retention('receipt')
	order by s.position;
	if not found then
		problem := 'not_found';
		return next;
	end if;
end
$$;
grant execute on function shotai.erasure_state(uuid) to shotai_web;

-- An erasure to go on with: its steps that are not done, in order. Whoever holds it says so by every step.
create or replace function shotai.claim_erasure() returns table (erasure uuid, step text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
declare
	v_erasure uuid;
begin
	select e.id from erasure e
	where e.finished_at is null and e.not_before <= clock_timestamp()
		and not exists (select from legal_hold h where h.account = e.account)
		and exists (select from erasure_step s where s.erasure = e.id and s.step = 'journal' and s.done_at is not null)
	order by e.not_before limit 1
	for no key update skip locked
	into v_erasure;
	update erasure e
	set attempts = e.attempts + 1, not_before = clock_timestamp() + erasure_lease()
	where e.id = v_erasure;
	return query
	select s.erasure, s.step from erasure_step s
	where s.erasure = v_erasure and s.done_at is null
	order by s.position;
end
$$;
grant execute on function shotai.claim_erasure() to shotai_worker, shotai_operator;

-- How long an erasure is left to whoever claimed it. Two at one do no harm.
create or replace function shotai.erasure_lease() returns interval
language plpgsql immutable security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	return interval '15 seconds';
end
$$;

-- Something is away: it is tried again, ever later up to ten minutes, for as long as it takes. finished: nothing was.
create or replace function shotai.postpone_erasure(p_erasure uuid, p_problem text) returns table (finished boolean)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	update erasure e
	set problem = p_problem,
		not_before = clock_timestamp() + least(interval '10 minutes', interval '1 second' * 2 ^ least(e.attempts, 10))
	where e.id = p_erasure and e.finished_at is null;
	return query select not found;
end
$$;
grant execute on function shotai.postpone_erasure(uuid, text) to shotai_worker, shotai_operator;

-- A part of a step. p_done: what was taken away outside, of what the call
-- before had named. Returns what is to be taken away outside now; a row of null
-- when there is simply more to do; none when the step is done, or cannot be.
create or replace function shotai.erase_step(p_erasure uuid, p_step text, p_done text[]) returns table (item text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_account bigint;
	v_count bigint;
	v_left text[];
begin
	select e.account from erasure e where e.id = p_erasure into v_account;
	perform from account a where a.id = v_account for no key update;
	perform from erasure_step s
	where s.erasure = p_erasure and s.step = p_step and s.done_at is null
		and not exists (select from legal_hold h where h.account = v_account)
		and not exists (
			select from erasure_step o
			where o.erasure = p_erasure and o.done_at is null and (o.step = 'journal' or p_step = 'sign_in' and o.step <> 'sign_in'))
	for no key update;
	if not found then
		return;
	end if;
	update erasure e set not_before = clock_timestamp() + erasure_lease() where e.id = p_erasure;

	case p_step
		when 'subscriptions' then
			v_count := cardinality(p_done);
			v_left := array(
				select u.id from subscription u
				where u.account = v_account and u.status is distinct from 'canceled' and u.id <> all (p_done));
		when 'shares' then v_count := erase_shares(v_account);
		when 'pictures' then select * from erase_pictures(v_account, p_done) into v_count, v_left;
		when 'uploads' then select * from erase_uploads(v_account, p_done) into v_count, v_left;
		when 'prompts' then
			v_count := erase_prompts(v_account);
			v_left := case when v_count > 0 then array[null] end;
		when 'records' then v_count := erase_records(v_account);
		when 'payments' then v_count := erase_payments(v_account);
		when 'sign_in' then
			v_left := array(select e.user_id::text from erasure e where e.id = p_erasure and auth_user_exists(e.user_id));
			v_count := case when v_left = '{}' then 1 else 0 end;
			if p_done <> '{}' and v_left <> '{}' then
				return; -- Auth said so, and yet it is there
			end if;
	end case;

	update erasure_step s
	set count = s.count + v_count,
		done_at = case when cardinality(coalesce(v_left, '{}')) = 0 then clock_timestamp() end
	where s.erasure = p_erasure and s.step = p_step;
	if cardinality(coalesce(v_left, '{}')) = 0 then
		update erasure e set attempts = 0, problem = null where e.id = p_erasure;
		if not exists (select from erasure_step s where s.erasure = p_erasure and s.done_at is null) then
			perform finish_erasure(p_erasure, v_account);
		end if;
	end if;
	return query select unnest(v_left);
end
$$;
grant execute on function shotai.erase_step(uuid, text, text[]) to shotai_worker, shotai_operator;

-- Nothing is left but a pseudonym, and that only where something had to be kept under it.
create or replace function shotai.finish_erasure(p_erasure uuid, p_account bigint) returns void
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	update erasure e
	set user_id = null, account = null, finished_at = coalesce(e.finished_at, clock_timestamp())
	where e.id = p_erasure;
	-- What was under way while the account was being closed may have been recorded a little later.
	perform erase_records(p_account);
	begin
		delete from account a where a.id = p_account;
	exception when foreign_key_violation then
		update account a set user_id = null where a.id = p_account;
		update erasure e set account = p_account where e.id = p_erasure;
	end;
end
$$;

-- Reports about the shares of an account go with them.
create or replace function shotai.erase_shares(p_account bigint) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_count bigint;
begin
	delete from share s where s.account = p_account;
	get diagnostics v_count = row_count;
	delete from share_report r where r.account = p_account;
	return v_count;
end
$$;

-- Some objects at a time: a row goes once its objects are gone, also the row of one whose deletion was asked for before.
create or replace function shotai.erase_pictures(p_account bigint, p_done text[], out count bigint, out keys text[])
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	delete from image i using generation g
	where g.account = p_account and i.generation = g.id and i.image_key = any (p_done) and i.thumbnail_key = any (p_done);
	get diagnostics count = row_count;
	delete from archive r where r.account = p_account and (r.key is null or r.key = any (p_done));
	delete from object_deletion d where d.key = any (p_done);
	keys := array(
		select k.key
		from (
			select i.image_key, i.thumbnail_key
			from generation g join image i on i.generation = g.id
			where g.account = p_account
			limit 250
		) i
		cross join lateral (values (i.image_key), (i.thumbnail_key)) k (key)
		union all
		(select r.key from archive r where r.account = p_account limit 250)
		union all
		(select d.key
		from object_deletion d
		join generation g on g.id = substring(d.key from '^gen/([0-9a-f-]{36})/')::uuid
		where g.account = p_account
		limit 250));
end
$$;

create or replace function shotai.erase_uploads(p_account bigint, p_done text[], out count bigint, out keys text[])
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	select b.deleted from bury_uploads(array(
		select u.id from upload u where u.account = p_account and u.key = any (p_done))) b into count;
	keys := array(select u.key from upload u where u.account = p_account and u.deleted_at is null limit 250);
	if keys = '{}' then
		update upload u set account = null where u.account = p_account;
	end if;
end
$$;

-- A batch; 0 when nothing is left.
create or replace function shotai.erase_prompts(p_account bigint) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_count bigint;
begin
	update generation g
	set prompt = '', prompt_hash = null, seed = null, upload_ids = '{}', error_reason = null, favourite = false
	where g.id = any (array(
		select o.id from generation o
		where o.account = p_account and (o.prompt <> '' or o.prompt_hash is not null or o.seed is not null
			or o.upload_ids <> '{}' or o.error_reason is not null or o.favourite)
		limit 1000));
	get diagnostics v_count = row_count;
	return v_count;
end
$$;

-- Mails and what bounced, keys of repeated requests, the state of limits, what the watch knows, settings. Who was
-- welcomed is remembered for a while.
create or replace function shotai.erase_records(p_account bigint) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_count bigint := 0;
	v_some bigint;
begin
	delete from mail_outbox m where m.account = p_account;
	get diagnostics v_some = row_count;
	v_count := v_count + v_some;
	delete from mail_bounce b where b.account = p_account;
	get diagnostics v_some = row_count;
	v_count := v_count + v_some;
	delete from idempotency i where i.account = p_account;
	get diagnostics v_some = row_count;
	v_count := v_count + v_some;
	delete from rate_state r where r.account = p_account;
	get diagnostics v_some = row_count;
	v_count := v_count + v_some;
	v_count := v_count + forget_requests(p_account);
	delete from finding f where f.account = p_account;
	get diagnostics v_some = row_count;
	v_count := v_count + v_some;
	delete from baseline b where b.account = p_account;
	get diagnostics v_some = row_count;
	v_count := v_count + v_some;
	delete from account_mark m where m.account = p_account;
	get diagnostics v_some = row_count;
	v_count := v_count + v_some;
	update welcome_grant w set delete_after = clock_timestamp() + retention('welcome')
	where w.account = p_account and w.delete_after is null;
	update account a
	set locale = default, receipts = false, announcements = false, age_confirmed_at = null, policy_acknowledged = null,
		welcome_refused = null, throttle = 1, throttled_until = null
	where a.id = p_account;
	return v_count;
end
$$;

-- What Creem told of the buyer goes; orders, payments and the events that prove them stay. A later refund or
-- chargeback names an order, transaction or subscription, so the customer's id need not stay either.
create or replace function shotai.erase_payments(p_account bigint) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_customers text[] := array(
		select l.id from creem_link l
		where l.account = p_account and l.kind = 'customer'
			and not exists (select from creem_link o where o.id = l.id and o.kind = l.kind and o.account <> l.account));
	v_ids text[] := array(select l.id from creem_link l where l.account = p_account and l.kind <> 'customer');
	v_count bigint;
begin
	update creem_event e
	set raw = strip_person(e.raw, false), keys = array(select k from unnest(e.keys) k where k <> all (v_customers))
	where e.account = p_account or (e.state = 'parked' and e.keys && (v_customers || v_ids))
		-- Of one that was not applied nobody noted whose it is.
		or (e.state in ('ignored', 'failed') and exists (
			select from unnest(v_customers) c (id) where strpos(e.raw::text, to_json(c.id)::text) > 0));
	get diagnostics v_count = row_count;
	delete from creem_link l where l.account = p_account and l.kind = 'customer';
	update checkout c set url = null where c.account = p_account and c.url is not null;
	return v_count;
end
$$;

-- Begins what nobody asked for: the erasure of accounts whose Auth user
-- vanished, of p_most among the next p_lim accounts; none at all while Auth has
-- no users, since then it is not they who went. last: where to go on, null: nowhere.
create or replace function shotai.erase_vanished(p_after bigint, p_lim integer, p_most integer) returns table (last bigint, vanished bigint)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_users uuid[];
	v_account bigint;
begin
	select max(n.id), array_agg(n.user_id) filter (where n.user_id is not null and n.status <> 'closed')
	from (select * from account a where a.id > p_after order by a.id limit least(greatest(p_lim, 1), 10000)) n
	into last, v_users;
	vanished := 0;
	for v_account in
		select a.id from auth_missing(v_users) m join account a on a.user_id = m.user_id
		order by a.id limit greatest(p_most, 0)
	loop
		perform from account a where a.id = v_account for no key update;
		perform begin_erasure(v_account, 'vanished');
		vanished := vanished + 1;
	end loop;
	return next;
end
$$;
grant execute on function shotai.erase_vanished(bigint, integer, integer) to shotai_worker;

-- Goes on where a subscription was made after all, by a checkout that was open when the account closed.
create or replace function shotai.reopen_erasures() returns void
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	update erasure_step s
	set done_at = null
	from erasure e
	where e.id = s.erasure and s.step = 'subscriptions' and s.done_at is not null and exists (
		select from subscription u
		where u.account = e.account and u.status is distinct from 'canceled' and u.created_at > s.done_at);
	update erasure e
	set finished_at = null, not_before = clock_timestamp()
	where e.finished_at is not null and exists (select from erasure_step s where s.erasure = e.id and s.done_at is null);
end
$$;
grant execute on function shotai.reopen_erasures() to shotai_worker;

select set_config('role', current_setting('shotai.migrating_role'), false);

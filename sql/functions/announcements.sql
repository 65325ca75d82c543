-- Announcements to everybody who wants them. No list of recipients is made: an
-- announcement goes through the accounts in their order, and the mail of the next
-- one is written in the transaction that passes it. So it resumes where it stopped,
-- reaches nobody twice, and who switches it off in time gets none.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

-- The generic cell rate algorithm for all together. Returns the seconds to wait, 0 when it may happen; only then it counts.
create or replace function shotai.take_pace(p_name text) returns integer
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_now timestamptz := clock_timestamp();
	v_pace pace;
	v_step interval;
	v_latest timestamptz;
begin
	select p.* from pace p where p.name = p_name for update into strict v_pace;
	v_step := interval '1 minute' / v_pace.per_minute;
	v_latest := v_now + v_step * (v_pace.burst - 1);
	if greatest(v_pace.arrival, v_now) > v_latest then
		return greatest(1, ceil(extract(epoch from v_pace.arrival - v_latest)))::integer;
	end if;
	update pace p set arrival = greatest(v_pace.arrival, v_now) + v_step where p.name = p_name;
	return 0;
end
$$;

-- Who gets an announcement, of the accounts after one up to another.
create or replace function shotai.announcement_recipients(p_after bigint, p_last bigint)
returns table (account bigint, locale text, email text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	with wanted as materialized (
		select a.id, a.user_id, a.locale
		from account a
		where a.announcements and a.id > p_after and a.id <= p_last
			and a.status = 'active' and a.age_confirmed_at is not null
	)
	select w.id, w.locale, u.email
	from wanted w
	join auth_mailboxes(array(select v.user_id from wanted v)) u on u.user_id = w.user_id and not u.banned
	left join mail_bounce b on b.account = w.id
	where b.account is null or b.address_hash <> address_hash(w.id, u.email);
end
$$;

create or replace function shotai.is_paused(p_announcement bigint) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	return p_announcement is not null and exists (select from announcement n where n.id = p_announcement and n.state = 'paused');
end
$$;

-- Writes the next mail of the oldest open announcement, if the pace allows one now and not many wait already.
create or replace function shotai.queue_announcement() returns void
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_waiting constant integer := 20;
	v_step constant integer := 20; -- accounts looked at in one go
	v_open announcement;
	v_account bigint;
	v_to bigint;
begin
	select n.* from announcement n where n.state = 'sending' order by n.id limit 1 for update skip locked into v_open;
	if not found
		or v_waiting <= (select count(*) from mail_outbox m where m.announcement = v_open.id and m.state = 'waiting')
		or take_pace('announcement') > 0 then
		return;
	end if;
	loop -- ends with the next recipient, or with nobody
		select max(c.id) from (
			select a.id from account a
			where a.announcements and a.id > v_open.passed_account and a.id <= v_open.last_account
			order by a.id limit v_step
		) c
		into v_to;
		exit when v_to is null;
		select min(r.account) from announcement_recipients(v_open.passed_account, v_to) r into v_account;
		v_open.passed_account := coalesce(v_account, v_to);
		exit when v_account is not null;
	end loop;
	-- Who changes the account now is asked again, next time.
	if v_account is not null then
		perform from account a where a.id = v_account for no key update skip locked;
		if not found or not exists (select from announcement_recipients(v_account - 1, v_account)) then
			return;
		end if;
	end if;
	update announcement n
	set passed_account = v_open.passed_account, mailed = n.mailed + (v_account is not null)::integer,
		state = case when v_account is null then 'done' else n.state end,
		finished_at = case when v_account is null then clock_timestamp() end
	where n.id = v_open.id;
	if v_account is not null then
		-- Whoever can guess a Message-ID could make us believe that it bounced.
		insert into mail_outbox (account, cause, message_id, kind, announcement)
		values (v_account, format('announcement:%s:%s', v_open.id, v_account), replace(gen_random_uuid()::text, '-', ''),
			'announcement', v_open.id)
		on conflict (cause) do nothing;
	end if;
end
$$;

-- Starts an announcement; the same file once only.
create or replace function shotai.start_announcement(p_digest text, p_subject_en text, p_body_en text, p_subject_nl text,
	p_body_nl text, p_operator text)
returns table (problem text, retry_after integer, extras text, id bigint, fresh boolean, state text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	insert into announcement as n (digest, subject_en, body_en, subject_nl, body_nl, last_account)
	values (decode(p_digest, 'hex'), p_subject_en, p_body_en, p_subject_nl, p_body_nl,
		coalesce((select max(a.id) from account a), 0))
	on conflict (digest) do nothing
	returning n.id into id;
	fresh := found;
	if fresh then
		insert into operator_log (operator, action, reason, detail)
		values (p_operator, 'start_announcement', p_subject_en, jsonb_build_object('announcement', id));
	end if;
	select n.id, n.state from announcement n where n.digest = decode(p_digest, 'hex') into id, state;
	return next;
end
$$;
grant execute on function shotai.start_announcement(text, text, text, text, text, text) to shotai_operator;

-- How many would get one now, by language.
create or replace function shotai.count_recipients() returns table (locale text, people bigint, per_minute integer)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	select l.locale, count(r.account), p.per_minute
	from (values ('en'), ('nl')) l (locale)
	join pace p on p.name = 'announcement'
	left join announcement_recipients(0, 9223372036854775807) r on r.locale = l.locale
	group by l.locale, p.per_minute
	order by l.locale;
end
$$;
grant execute on function shotai.count_recipients() to shotai_operator;

-- Newest first. left: who would still get it now.
create or replace function shotai.list_announcements()
returns table (id bigint, state text, created_at text, finished_at text, mailed bigint, sent bigint, waiting bigint,
	failed bigint, uncertain bigint, remaining bigint, subject text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	select n.id, n.state, rfc3339(n.created_at), rfc3339(n.finished_at), n.mailed,
		count(*) filter (where m.state = 'sent'), count(*) filter (where m.state in ('waiting', 'sending')),
		count(*) filter (where m.state = 'failed'), count(*) filter (where m.state = 'uncertain'),
		case when n.state in ('sending', 'paused') then
			(select count(*) from announcement_recipients(n.passed_account, n.last_account)) else 0 end,
		n.subject_en
	from announcement n
	left join mail_outbox m on m.announcement = n.id
	group by n.id
	order by n.id desc
	limit 100;
end
$$;
grant execute on function shotai.list_announcements() to shotai_operator;

-- p_state: sending, paused or canceled, also of one that is done but for mails that are tried again. Cancelled, what has
-- not left ends.
create or replace function shotai.move_announcement(p_id bigint, p_state text, p_operator text)
returns table (problem text, retry_after integer, extras text, state text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	if p_state is null or p_state not in ('sending', 'paused', 'canceled') then
		raise exception 'no such state' using errcode = 'invalid_parameter_value';
	end if;
	select n.state from announcement n where n.id = p_id for update into state;
	if not found then
		problem := 'not_found';
	elsif state = 'canceled' or state = 'done' and p_state = 'sending' then
		problem := 'invalid_request';
		extras := jsonb_build_object('state', state);
	elsif state <> p_state then
		update announcement n
		set state = p_state, finished_at = case when p_state = 'canceled' then clock_timestamp() end
		where n.id = p_id;
		if p_state = 'canceled' then
			update mail_outbox m set state = 'failed', finished_at = clock_timestamp()
			where m.announcement = p_id and m.state = 'waiting';
		end if;
		insert into operator_log (operator, action, reason, detail)
		values (p_operator, 'move_announcement', p_state, jsonb_build_object('announcement', p_id, 'before', state));
		state := p_state;
	end if;
	return next;
end
$$;
grant execute on function shotai.move_announcement(bigint, text, text) to shotai_operator;

-- So many announcements a minute from now on, in bursts of at most two seconds' worth.
create or replace function shotai.set_announcement_pace(p_per_minute integer) returns void
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	update pace p
	set per_minute = p_per_minute, burst = ceil(p_per_minute / 30.0) + 1, arrival = clock_timestamp()
	where p.name = 'announcement';
end
$$;
grant execute on function shotai.set_announcement_pace(integer) to shotai_operator;

-- Whoever has the link of a mail; the caller has checked it. An account that is gone is left alone.
create or replace function shotai.unsubscribe(p_account bigint) returns void
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	update account a set announcements = false, change_no = a.change_no + 1 where a.id = p_account and a.announcements;
end
$$;
grant execute on function shotai.unsubscribe(bigint) to shotai_web;

-- A message to the operator from anybody; p_user_id, p_session_id: who wrote it, where he is signed in.
create or replace function shotai.send_support(p_user_id uuid, p_session_id uuid, p_reply_to text, p_body text)
returns table (problem text, retry_after integer, extras text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_id text := replace(gen_random_uuid()::text, '-', '');
begin
	retry_after := take_pace('support');
	if retry_after > 0 then
		problem := 'rate_limited';
		return next;
		return;
	end if;
	retry_after := null;
	insert into mail_outbox (account, cause, message_id, kind, reply_to, body)
	select (select a.id from account a
			where a.user_id = p_user_id and a.status <> 'closed' and exists (select from auth_session(p_user_id, p_session_id))),
		'support:' || v_id, v_id, 'support', p_reply_to, p_body;
	return next;
end
$$;
grant execute on function shotai.send_support(uuid, uuid, text, text) to shotai_web;

select set_config('role', current_setting('shotai.migrating_role'), false);

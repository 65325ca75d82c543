-- The watch over accounts: each signal and what it does, what it must not do, and an operator's word on it.
begin;
\ir fixture.psql
\ir ../simulation/people.psql
\ir ../simulation/clock.psql
select no_plan();
select no_outage();

create table fixture.clock (now timestamptz);
insert into fixture.clock values ('2026-03-02 12:00Z');
update shotai.signal_progress set seen_until = '2026-03-02 12:00Z';
create function fixture.later(p_by interval) returns void language plpgsql as $$
declare
	v_more boolean := true;
begin
	update fixture.clock set now = now + p_by;
	while v_more loop
		select w.value > 0 from fixture.clock c, shotai.watch_accounts(c.now) w where w.name = 'more' into v_more;
	end loop;
end
$$;
-- So many times now.
create function fixture.happens(p_name text, p_what text, p_times integer, p_amount integer default 1, p_mark text default null)
returns void language plpgsql as $$
begin
	perform sim.happen(row(c.now + interval '1 second', account(p_name), p_what, p_amount, p_mark)::sim.event)
	from fixture.clock c, generate_series(1, p_times);
end
$$;
create function fixture.found(p_name text) returns text language sql as $$
	select string_agg(f.signal || ' ' || f.action, ', ' order by f.signal) from shotai.finding f where f.account = account(p_name) and f.state = 'open'
$$;
create function fixture.state(p_name text) returns text language sql as $$
	select a.status || case when a.throttle > 1 then ' /' || a.throttle else '' end from shotai.account a where a.id = account(p_name)
$$;
select person(n) from unnest('{anna,bert,carl,dora,emil,finn,gijs,hans,ines,jaap,kees,lies}'::text[]) n;

-- A burst
select happens('anna', 'generate', 39, 10), later('1 minute');
select is(found('anna'), null, 'while nobody knows what is usual only the ceiling counts');
select happens('anna', 'generate', 1, 10), later('1 minute');
select is(found('anna') || ' ' || state('anna'), 'burst watch active', 'beyond it somebody is watched, which changes nothing');
select is(problem, null, 'and is told nothing') from shotai.get_account(md5('anna')::uuid, md5('anna')::uuid) where restriction_action is null;
select happens('anna', 'generate', 10, 10), later('1 minute');
select is(found('anna') || ' ' || state('anna'), 'burst throttle active /4', 'then throttled');
select happens('anna', 'generate', 400, 10), later('1 minute');
select is(found('anna') || ' ' || state('anna'), 'burst throttle active /4', 'a burst alone never gets further');
select is(evidence - 'own_mean' - 'own_deviation', '{"span":"00:10:00","hits":4500,"base":9000,"own_spans":0.0,"crowd":null,"value":4500,"limit":400}'::jsonb, 'the evidence is numbers')
	from shotai.finding where account = account('anna');
select later('2 hours');
select is(coalesce(found('anna'), 'nothing') || ' ' || state('anna'), 'nothing active', 'it ends by itself');
select is((select array_agg(operator || ' ' || (detail ->> 'from') || ' ' || (detail ->> 'to') order by id) from shotai.operator_log where account = account('anna') and action = 'restrict_account'),
	'{"worker active throttled","worker throttled active"}', 'each change is in the log');

-- Who is used to much, and what everybody does
insert into shotai.baseline (account, signal, span_start, observed, mean, variance) values (account('bert'), 'burst', '2026-03-02', 20, 500, 900);
select happens('bert', 'generate', 60, 10), later('1 minute');
select is(found('bert'), null, 'habit excuses');
select happens('bert', 'generate', 60, 10), later('1 minute');
select is(found('bert'), 'burst throttle', 'so much');
insert into shotai.crowd_bin (signal, bin, weight) values ('burst', 20, 1000) on conflict (signal, bin) do update set weight = 1000;
select happens('carl', 'generate', 16, 10), later('1 minute');
select is(found('carl'), 'burst watch', 'when everybody is known to do less the limit is the floor');
update shotai.crowd_bin set bin = 43 where signal = 'burst' and bin = 20;
select happens('dora', 'generate', 39, 10), later('1 minute');
select is(found('dora'), null, 'and where everybody does much, more');
select is((select observed > 0 and mean > 0 from shotai.baseline where account = account('dora') and signal = 'burst'), false, 'a span is not learnt while it lasts');
select later('20 minutes'), happens('dora', 'generate', 1), later('1 minute');
select is((select array[observed, mean, hits] from shotai.baseline where account = account('dora') and signal = 'burst'), '{1,390,1}'::double precision[], 'but when it is over');

-- Refused prompts
select happens('emil', 'refuse', 11), later('1 minute');
select is(found('emil'), null, 'some are refused');
select happens('emil', 'refuse', 1), later('1 minute');
select is(found('emil'), 'refused watch', 'many are watched');
select happens('emil', 'refuse', 36), later('1 minute');
select is(found('emil') || ' ' || state('emil'), 'refused hold held', 'and end in a hold');
select is((select problem || extras from shotai.admit_generation(md5('emil')::uuid, md5('emil')::uuid, 'gpt-image-1-mini', 'p', null, 1, null, null, null, hash('x'))),
	'account_suspended{"reason": "refused"}', 'which stops spending, and says why');
select is((select array[status, restriction_action, restriction_reason] from shotai.get_account(md5('emil')::uuid, md5('emil')::uuid)), '{held,hold,refused}', 'as the account does');
select later('30 days');
select is(state('emil'), 'held', 'only an operator ends it');

-- What comes back
select happens('finn', 'fail', 40, 2), later('1 minute');
select is(found('finn'), null, 'refunds say nothing while too few others are about');
select happens(n, 'generate', 2), happens(n, 'fail', 3) from unnest('{gijs,hans,ines,jaap,kees}'::text[]) n;
select happens('finn', 'fail', 1), later('1 minute');
select is(found('finn'), null, 'nor when it fails for everybody');
select happens(n, 'generate', 3) from unnest('{gijs,hans,ines,jaap,kees}'::text[]) n;
select happens('finn', 'fail', 1), later('1 minute');
select is(found('finn') || ' ' || state('finn'), 'refunds throttle active /4', 'but when it fails for one');
select happens('lies', 'fail', 14, 2), happens('lies', 'generate', 40, 4), later('1 minute');
select is(found('lies'), null, 'a small share is usual');
select happens('gijs', 'fail', 10), later('1 minute');
select is(found('gijs'), null, 'and a share of little says nothing');

-- Checkouts
select happens('hans', 'checkout', 5), later('1 minute');
update shotai.checkout set state = 'completed', creem_id = 'ch' where account = account('hans') and id = (select id from shotai.checkout where account = account('hans') limit 1);
select is(found('hans'), null, 'some checkouts are not finished');
select happens('hans', 'checkout', 5), later('1 minute');
select is(found('hans'), 'checkouts throttle', 'many are somebody who tries cards');
select happens('hans', 'checkout', 12), later('1 minute');
select is(state('hans'), 'held', 'and very many');

-- Pictures shown elsewhere
select happens('ines', 'look', 1, 5000), later('1 minute');
select is(found('ines'), null, 'who is looked at on our page is only popular');
select happens('ines', 'hotlink', 1, 1200), later('1 minute');
select is(found('ines'), 'hotlink watch', 'who is looked at elsewhere is not');
select is((select count(*)::integer from shotai.share_traffic), 0, 'what was looked at is forgotten');

-- Reports: of one share once a day, and never more than watched
insert into shotai.share_report (slug, account, generation, index, reason, created_at)
select 's' || n % 5, account('jaap'), gen_random_uuid(), 0, 'r', c.now + interval '1 second' from fixture.clock c, generate_series(1, 100) n;
select later('1 minute');
insert into shotai.share_report (slug, account, generation, index, reason, created_at)
select 's' || n % 5, account('jaap'), gen_random_uuid(), 0, 'r', c.now + interval '1 second' from fixture.clock c, generate_series(1, 100) n;
select later('1 minute');
select is(found('jaap'), null, 'many reports of few shares are one angry reporter');
insert into shotai.share_report (slug, account, generation, index, reason, created_at)
select 't' || n, account('jaap'), gen_random_uuid(), 0, 'r', c.now + interval '1 second' from fixture.clock c, generate_series(1, 100) n;
select later('1 minute');
select is(found('jaap') || ' ' || state('jaap'), 'reports watch active', 'reports of many shares are looked at, and do nothing by themselves');

-- One person behind many accounts
select person('n' || n) from generate_series(1, 40) n;
select happens('n' || n, 'mark', 1, 1, 'stem a') from generate_series(1, 3) n;
select later('1 minute');
select is(found('n1'), null, 'three alike are a coincidence');
select happens('n4', 'mark', 1, 1, 'stem a'), later('1 minute');
select is(found('n1') || ' ' || found('n4'), 'stem watch stem watch', 'four are watched, the first too');
select happens('n5', 'mark', 1, 1, 'stem a'), later('1 minute');
select is(found('n1') || ' ' || state('n5'), 'stem throttle active /4', 'five throttled');
select happens('n' || n, 'mark', 1, 1, 'stem a') from generate_series(6, 8) n;
select later('1 minute');
select is(state('n1') || ' ' || state('n8'), 'held held', 'eight held');
select later('8 days'), happens('n9', 'mark', 1, 1, 'stem a'), later('1 minute');
select is(found('n9'), null, 'after a week the others are forgotten');
select happens('n' || n, 'mark', 1, 1, 'domain d') from generate_series(10, 29) n;
select later('1 minute');
select is(found('n10') || ' ' || state('n10'), 'domain throttle active /4', 'a domain with many new accounts is only throttled');
select happens('n' || n, 'mark', 1, 1, 'prompt ' || p) from generate_series(10, 13) n, generate_series(1, 3) p;
select later('1 minute');
select is(found('n10') || ' ' || state('n10'), 'domain throttle, prompt hold held', 'with the same prompts it is held: they confirm one another');
select is(state('n20'), 'active /4', 'and who has other prompts is not');
select happens('n' || n, 'mark', 1, 1, 'prompt tutorial') from generate_series(30, 39) n;
select later('1 minute');
select is(found('n30'), null, 'one prompt that many know says nothing');
select happens('n' || n, 'mark', 1, 1, 'customer c') from generate_series(30, 35) n;
select later('1 minute');
select is(found('n30'), 'customer throttle', 'one customer of many accounts');
set local enable_seqscan = off;
create function fixture.plan_of(p_query text) returns text language plpgsql as $$
declare
	v_line text;
	v_plan text := '';
begin
	for v_line in execute 'explain ' || p_query loop
		v_plan := v_plan || v_line;
	end loop;
	return v_plan;
end
$$;
select matches(plan_of($$ select from shotai.common_mark where kind = 'customer' and mark = decode(md5('c'), 'hex') $$), 'creem_link_mark', 'whom an index finds');
reset enable_seqscan;

-- A verdict: shares that were taken down
select sim.share_of(account('kees'), clock_timestamp()) as share \gset
create function fixture.take_down(p_name text, p_n integer) returns text language plpgsql as $$
declare
	v_slug text := repeat('x', 20) || p_n || 'A';
begin
	insert into shotai.share (slug, account, generation, index, show_prompt)
	select v_slug, s.account, s.generation, 0, false from shotai.share s where s.account = account(p_name) limit 1;
	perform shotai.decide_share(v_slug, true, 'not allowed', 'op');
	return coalesce(found(p_name), 'nothing') || ' ' || state(p_name);
end
$$;
select is(take_down('kees', 1), 'upheld watch active', 'the first is a warning for us');
select is(take_down('kees', 2), 'upheld throttle active /4', 'the second slows down');
select is(take_down('kees', 3), 'upheld hold held', 'the third holds');

-- What was missed, what fails
select happens('lies', 'generate', 50, 10);
select later('5 hours');
select is(f.action || ' ' || f.state, 'throttle expired', 'hours that were missed are caught up') from shotai.finding f, shotai.signal_progress p
	where f.account = account('lies') and p.signal = 'burst' and seen_until = (select now from fixture.clock);
select is((select hits from shotai.baseline where account = account('lies') and signal = 'burst'), 500::bigint, 'and nothing is counted twice');
alter table shotai.checkout rename to away;
select happens('n40', 'refuse', 12);
update fixture.clock set now = now + interval '1 minute';
select results_eq($$ select name, value from fixture.clock c, shotai.watch_accounts(c.now) $$, $$ values ('failed', 1::bigint), ('more', 0::bigint) $$, 'a signal that fails is counted');
select is(failure, '42P01', 'and noted') from shotai.signal_progress where signal = 'checkouts';
create function fixture.too_long() returns boolean language plpgsql as $$ begin raise 'too long' using errcode = 'query_canceled'; end $$;
create view shotai.checkout as select a.* from shotai.away a where (select fixture.too_long());
grant usage on schema fixture to shotai_owner;
grant select on shotai.checkout to shotai_owner;
select results_eq($$ select name, value from fixture.clock c, shotai.watch_accounts(c.now) $$, $$ values ('failed', 1::bigint), ('more', 0::bigint) $$, 'one that takes too long, too');
select is(failure, '57014', 'which is noted') from shotai.signal_progress where signal = 'checkouts';
drop view shotai.checkout;
select is(found('n40'), 'refused watch', 'the others go on');
alter table shotai.away rename to checkout;
select later('1 minute');
select is(failure || ' ' || (seen_until = c.now), null, 'it catches up later') from shotai.signal_progress, fixture.clock c where signal = 'checkouts';
select is((select value from shotai.operator_status() where name = 'watch_behind_seconds')::bigint > 1000, true, 'status tells how far the watch is');

-- An operator's word
select is(list.id || list.signal, (select id || signal from shotai.finding where account = account('emil') and state = 'open'), 'the gravest first')
	from shotai.list_findings(false, 100) list where action = 'hold' and user_id = md5('emil')::uuid;
select id as held from shotai.finding where account = account('emil') and state = 'open' \gset
select is((select count(*)::integer from shotai.show_finding(:held) where name like 'evidence.%' and value is not null) > 3, true, 'with its evidence');
select is(problem, 'invalid_request', 'a word needs a reason') from shotai.resolve_finding(:held, false, '', 'op');
select is(problem, 'not_found', 'and a finding') from shotai.resolve_finding(-1, false, 'x', 'op');
select is(status, 'active', 'mistaken lifts') from shotai.resolve_finding(:held, false, 'a poet', 'op');
select happens('emil', 'refuse', 60), later('1 minute');
select is(found('emil'), null, 'the same is not found again next day');
select happens('emil', 'refuse', 60), later('1 minute');
select is(found('emil'), 'refused hold', 'but twice as much is');
select id as held from shotai.finding where account = account('emil') and state = 'open' \gset
select is(status, 'held', 'right keeps') from shotai.resolve_finding(:held, true, 'no poet', 'op');
select is(found('emil'), 'operator hold', 'by the operator''s word');
select is(status, 'suspended', 'suspend') from shotai.restrict_account(md5('emil')::uuid, true, 'enough', 'op');
select is(status, 'active', 'restore lifts all') from shotai.restrict_account(md5('emil')::uuid, false, 'he moved', 'op');
select is((select array_agg(action order by id) from shotai.operator_log where account = account('emil') and operator = 'op' and action <> 'restrict_account'),
	'{resolve_finding,resolve_finding,suspend_account,restore_account}', 'all of it is in the log');
select happens('emil', 'chargeback', 1);
select is(state('emil'), 'suspended', 'a dispute suspends');
select is(problem, 'invalid_request', 'and is not restored') from shotai.restrict_account(md5('emil')::uuid, false, 'no', 'op');
select is(problem, 'invalid_request', 'nor resolved') from shotai.finding f, shotai.resolve_finding(f.id, false, 'no', 'op') where f.account = account('emil') and f.state = 'open';
select ok((select count(*) from shotai.show_account(md5('emil')::uuid)) > 20, 'all about one account');

-- A throttle divides bursts and rates while it lasts
select grant_credits from shotai.grant_credits(md5('n30')::uuid, 100, 'top_up', null, 'test', 'test');
insert into shotai.plan (id, generate_burst, generate_per_minute) values ('small', 8, 4);
update shotai.account set plan = 'small', throttled_until = clock_timestamp() + interval '1 hour' where id = account('n30');
select is((select array_agg(case when admit('n30') ~ '-' then 'in' else 'rate_limited' end) from generate_series(1, 3)), '{in,in,rate_limited}', 'a quarter of the burst');
update shotai.account set throttled_until = clock_timestamp() where id = account('n30');
delete from shotai.rate_state;
select isnt(admit('n30'), 'rate_limited', 'and not a moment longer');

-- Addresses to be thrown away
create function fixture.welcomed(p_email text) returns text language plpgsql as $$
declare
	v_id uuid := signed_up(p_email);
begin
	update auth.users set email = p_email where id = v_id;
	return (select balance || coalesce(' ' || welcome_refused, '') from shotai.confirm_age(v_id, v_id, true, p_email, hash(p_email)) limit 1);
end
$$;
select is(welcomed('a@mailinator.com'), '0 disposable_address', 'get no welcome');
select is(welcomed('a@x.y.Mailinator.com'), '0 disposable_address', 'nor below');
select is(welcomed('a@notmailinator.example'), '50', 'others do');
select ok((select count(*) from shotai.list_disposable()) > 200, 'they are rows');
select is((select array_agg(coalesce(problem, changed::text)) from unnest('{throwaway.example,throwaway.example,no domain,-x.example,example}'::text[]) d, shotai.set_disposable(d, true)),
	'{true,false,invalid_request,invalid_request,invalid_request}', 'which operators add');
select is(welcomed('a@throwaway.example'), '0 disposable_address', 'and then hold');
select is((select changed from shotai.set_disposable('throwaway.example', false)), true, 'until they are taken out');
update auth.users set email_confirmed_at = now() where email = 'a@throwaway.example';
select is((select balance || coalesce(' ' || welcome_refused, '') from auth.users u, shotai.confirm_age(u.id, u.id, true, u.email, hash('again')) where u.email = 'a@throwaway.example'), '50', 'and it is made good');

-- What is owed
select grant_credits from shotai.grant_credits(md5('n39')::uuid, 100, 'top_up', null, 'test', 'test');
select is((select name || ' ' || value from shotai.operator_status() where name = 'worth_top_up'),
	(select 'worth_top_up ' || round(sum(l.remaining) * c.cents / 100, 2) || ' EUR' from shotai.credit_lot l, (select min(price_cents::numeric / credits) as cents from shotai.sale where available) c where l.source = 'top_up' and l.open group by c.cents),
	'credits that nobody bought are worth what the cheapest offer asks');

-- Reports are bounded
select s.slug as reported from shotai.share s where s.account = account('ines') limit 1 \gset
select shotai.report_share(:'reported', 'r') from generate_series(1, 3);
select shotai.decide_share(:'reported', false, 'nothing wrong', 'op');
select shotai.report_share(:'reported', 'r') from generate_series(1, 3);
select is((select reports from shotai.operator_shares(false, 1000) where slug = :'reported'), 6::bigint, 'all are counted') ;
select is((select count(*)::integer from shotai.share_report where slug = :'reported' and state = 'open'), 1, 'after a dismissal one waits at most');

-- Erased with the account
select account('lies') as lies \gset
select happens('lies', 'mark', 1, 1, 'stem z');
select shotai.erase_records(:lies);
select is((select count(*) from shotai.finding where account = :lies) + (select count(*) from shotai.baseline where account = :lies) + (select count(*) from shotai.account_mark where account = :lies), 0::bigint, 'nothing is left of it');
select * from finish();
rollback;

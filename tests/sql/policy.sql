-- The privacy policy: its terms are those that are kept, its versions stay, and a material change is noticed until acknowledged.
begin;
\ir fixture.psql
select no_plan();

-- Terms: one row each, read by whoever deletes
select is((
	select string_agg(p.proname || ' (' || m[1] || ')', ', ' order by p.proname) from pg_proc p
	cross join lateral regexp_matches(p.prosrc, 'delete from (\w+)[^;]*[-+] interval ''\d+ (?:hour|day|week|month|year)', 'gi') m
	where p.pronamespace = 'shotai'::regnamespace and m[1] <> 'worker'
), null, 'what deletes by age asks retention(), but for workers, who are no people');
select is((
	select string_agg(m[1], ', ') from pg_proc p
	cross join lateral regexp_matches(p.prosrc, '\mretention\(''(\w+)''\)', 'g') m
	where p.pronamespace = 'shotai'::regnamespace and not exists (select from shotai.retention r where r.name = m[1])
), null, 'each term that a function asks for is a row');
select is((
	select string_agg(distinct m[1], ', ') from shotai.erasure_class e
	cross join lateral regexp_matches(e.reason, '(\d+ (?:hour|day|month|year)s?)', 'g') m
	where not exists (select from shotai.retention r where rtrim(m[1], 's') = r.amount || ' ' || r.unit)
), null, 'each term of an erasure class too');
select is(shotai.retention('welcome'), interval '24 months', 'a term');
select throws_ok($$ select shotai.retention('nothing') $$, 'P0002', null, 'none without a row');

select fixture.person('anna', 10);
insert into shotai.welcome_grant (email_hash, account, delete_after) values (sha256('x'), account('anna'), now() - interval '1 second');
update shotai.retention set amount = 1, unit = 'hour' where name = 'idempotency';
insert into shotai.idempotency (account, route, key, request_hash, created, created_at)
select account('anna'), 'generate', k.key, sha256('x'), gen_random_uuid(), now() - k.age
from (values ('old', interval '61 minutes'), ('young', interval '59 minutes')) k (key, age);
select count(*) from shotai.sweep();
select is((select string_agg(key, ', ') from shotai.idempotency where account = account('anna')), 'young', 'the sweep keeps to the row');
select is((select count(*)::integer from shotai.welcome_grant where delete_after < now()), 0, 'and to the dates');

-- The page's rows
select results_eq($$ select kind, name, body from shotai.show_policy(null, 'en') limit 1 $$,
	$$ values ('current', '2026-11-01', null::text) $$, 'the version in force is written anew');
select set_eq($$ select name, amount, unit from shotai.show_policy(null, 'nl') where kind = 'retention' $$,
	'select name, amount, unit from shotai.retention', 'with every term');
select is((select label from shotai.show_policy(null, 'nl') where name = 'welcome'),
	(select what_nl from shotai.retention where name = 'welcome'), 'in the reader''s language');
update shotai.model set enabled = false where id = 'gpt-image-2';
select results_eq($$ select name, reason from shotai.show_policy(null, 'en') where kind = 'model' $$,
	$$ select name, retention from shotai.model where enabled order by position $$, 'and what the vendors keep');
select is((select problem from shotai.show_policy('2000-01-01', 'en')), 'not_found', 'a version must be one');

-- Recording
select set_eq('select * from shotai.unrecorded_policy()', $$ values ('2026-11-01', 'en'), ('2026-11-01', 'nl') $$, 'nothing is recorded yet');
select shotai.record_policy('2026-11-01', 'en', 'as it was');
select shotai.record_policy('2026-11-01', 'en', 'something else');
select set_eq('select * from shotai.unrecorded_policy()', $$ values ('2026-11-01', 'nl') $$, 'one is');
select is((select body from shotai.show_policy(null, 'en') limit 1), null, 'the newest is written anew all the same');

-- Publishing
create function fixture.add(p_version text, p_from timestamptz, p_material boolean default true, p_change text default 'A change.')
returns text language sql as $$
	select coalesce(problem || ' ' || (extras::jsonb #>> '{errors,0,pointer}'), 'done')
	from shotai.add_policy(p_version, p_from, p_material, p_change, 'Een wijziging.', 'tester')
$$;
select is(add('2026-11-01', null), 'invalid_request /version', 'a version is new');
select is(add('no spaces', null), 'invalid_request /version', 'and a plain name');
select is(add('2027-01-01', now() - interval '2 minutes'), 'invalid_request /effective_from', 'not in the past');
select is(add('2027-01-01', null, true, ''), 'invalid_request /change', 'with its change');
select is(add('2027-01-01', now() + interval '1 hour'), 'done', 'a version to come');
select is(add('2027-01-02', now() + interval '1 minute'), 'invalid_request /effective_from', 'is followed, not preceded');
select results_eq($$ select kind, name, body from shotai.show_policy(null, 'en') limit 1 $$,
	$$ values ('current', '2026-11-01', 'as it was') $$, 'until then the old one holds, as it was');
select results_eq($$ select kind, body from shotai.show_policy('2027-01-01', 'en') limit 1 $$, $$ values ('coming', null::text) $$, 'and the new one can be read');
select results_eq($$ select version, state from shotai.list_policies() $$, $$ values ('2026-11-01', 'current'), ('2027-01-01', 'coming') $$, 'the operator''s list');
select is((select detail ->> 'version' from shotai.operator_log where action = 'add_policy'), '2027-01-01', 'it is logged');

-- The notice
create function fixture.notice(p_name text, p_version text default null) returns text language plpgsql as $$
declare
	v record;
begin
	if p_version is null then
		select problem, policy_notice, policy_acknowledged from shotai.get_account(md5(p_name)::uuid, md5(p_name)::uuid) into v;
	else
		select problem, policy_notice, policy_acknowledged from shotai.acknowledge_policy(md5(p_name)::uuid, md5(p_name)::uuid, p_version) into v;
	end if;
	return coalesce(v.problem, v.policy_notice || ' ' || coalesce(v.policy_acknowledged, '-'));
end
$$;
select is(notice('anna'), 'false -', 'who joined under a version has no change to see');
select is(notice('anna', '2027-01-01'), 'invalid_request', 'what is to come cannot be acknowledged');
select is(notice('anna', '2000-01-01'), 'invalid_request', 'nor what never was');
select is(notice('anna', '2026-11-01'), 'false 2026-11-01', 'what holds can');
update shotai.policy_version set effective_from = clock_timestamp() where version = '2027-01-01';
select is(notice('anna'), 'true 2026-11-01', 'a material change is noticed');
select signed_up('bert');
select is(notice('bert'), 'false -', 'by those who were there');
select is(notice('anna', '2027-01-01'), 'false 2027-01-01', 'until it is acknowledged');
select is(notice('anna', '2026-11-01'), 'false 2027-01-01', 'for good');
select is(add('2027-02-01', null, false), 'done', 'a minor change');
select is(notice('anna'), 'false 2027-01-01', 'is on its page only');
select is((select problem from shotai.acknowledge_policy(md5('anna')::uuid, md5('other')::uuid, '2027-02-01')), 'unauthenticated', 'with a living session');
select is((select body from shotai.show_policy('2026-11-01', 'en') limit 1), 'as it was', 'an old version stays as it was');
select is((select problem from shotai.show_policy('2026-11-01', 'nl') limit 1), 'not_found', 'unless nobody recorded it');

select * from finish();
rollback;

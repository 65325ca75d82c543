-- The common beginning: who is let in, and at what rate.
begin;
\ir fixture.psql
select no_plan();
select person('anna'), person('sam'), signed_up('young'), signed_up('ghost', true, true);

create function fixture.ask(p_name text, p_action text, p_session uuid default null) returns shotai.admission language sql as $$
	select shotai.admit(md5(p_name)::uuid, coalesce(p_session, md5(p_name)::uuid), p_action)
$$;

-- Each plan has a limit for each action, each a column of its row.
select is((select count(*) from shotai.plan_limit l where l.plan = 'free'), (select count(*) from pg_attribute where attrelid = 'shotai.plan'::regclass and attname ~ '_burst$' and not attisdropped),
	'every limit of the plan row is one of an action');
select results_eq($$ select action, burst, per_minute from shotai.plan_limit where spends order by action $$,
	$$ values ('checkout', 30, 10), ('generate', 100, 60), ('share', 30, 10), ('upload', 30, 20) $$, 'what spends');
select throws_ok($$ select ask('anna', 'dance') $$, 'P0002', null, 'an action without a limit is a mistake');

-- Who may what: spending is closed to more people than the rest.
update shotai.account set status = 'suspended' where id = account('sam');
select results_eq(format($$ select l.action, (ask(%L, l.action)).problem from shotai.plan_limit l where l.plan = 'free' and l.action in ('generate', 'portal') order by 1 $$, p.name),
	format($$ values ('generate', %L), ('portal', %L::text) $$, p.spending, p.other), p.name)
from (values ('anna', null, null), ('nobody', 'unauthenticated', 'unauthenticated'), ('ghost', 'anonymous_not_allowed', null), ('sam', 'account_suspended', null),
	('young', 'age_confirmation_required', null)) p (name, spending, other);
select is((ask('anna', 'portal', gen_random_uuid())).problem, 'unauthenticated', 'another session');
select is((ask('sam', null)).problem, null, 'what has no limit is open to a suspended account');
update shotai.account set status = 'closed' where id = account('sam');
select is((ask('sam', null)).problem, 'account_suspended', 'but not to one that is being erased');
delete from shotai.rate_state where account = account('sam');
select is((ask('sam', 'portal')).rate, null, 'of which no rate is kept any more');
select is((select count(*) from shotai.rate_state where account = account('sam')), 0::bigint, 'so that nothing comes after its erasure');

-- The rate as it is told: quota, window, what is left, when one more may pass.
select person('bert');
update shotai.plan set export_burst = 3, export_per_minute = 2;
select results_eq($$ select a.wait, a.rate from generate_series(1, 4) n cross join lateral ask('bert', case when n > 0 then 'export' end) a $$,
	$$ values (0, 'export;q=3;w=90;r=2;t=30'), (0, 'export;q=3;w=90;r=1;t=30'), (0, 'export;q=3;w=90;r=0;t=30'), (30, 'export;q=3;w=90;r=0;t=30') $$,
	'a burst of three, then one each half minute');
update shotai.rate_state set arrival = arrival - interval '70 seconds' where account = account('bert');
select results_eq($$ select wait, rate from ask('bert', 'export') $$, $$ values (0, 'export;q=3;w=90;r=1;t=20') $$, 'two came back, and a third of the next');
update shotai.rate_state set arrival = arrival - interval '1 hour' where account = account('bert');
select is((ask('bert', 'export')).rate, 'export;q=3;w=90;r=2;t=30', 'never more than the burst');
update shotai.plan set export_burst = 1;
select results_eq($$ select wait, rate from ask('bert', 'export') $$, $$ values (30, 'export;q=1;w=30;r=0;t=30') $$, 'a smaller quota counts from what was used');
select is((ask('bert', 'archive')).wait, 0, 'each action has its own');
select is((ask('bert', 'export', gen_random_uuid())).wait, 30, 'a request without a session counts for the account');
select is(count(*), 100::bigint, 'what the rate refuses costs nothing more') from generate_series(1, 100) n cross join lateral ask('bert', case when n > 0 then 'export' end) a where a.wait between 25 and 30;
select is((ask('anna', null)).rate, null, 'no action, no rate');

-- Plans are an operator's to change.
select is((select value from shotai.list_plans() where plan = 'free' and name = 'share_burst'), '30', 'a value of a plan');
select results_eq($$ select (select problem from shotai.add_plan('studio', 'op')), (select problem from shotai.add_plan('studio', 'op')), (select problem from shotai.add_plan('No', 'op')) $$,
	$$ values (null::text, 'invalid_request', 'invalid_request') $$, 'a plan is added once');
select is((select problem from shotai.set_plan('studio', 'share_burst', 7, 'op')), null, 'a limit of its own');
select results_eq($$ select l.plan, l.burst from shotai.plan_limit l where l.action = 'share' and l.plan in ('free', 'studio') order by 1 $$, $$ values ('free', 30), ('studio', 7) $$, 'and nobody else''s');
select is((select problem from shotai.set_plan('studio', n.name, n.value, 'op')), 'invalid_request', format('%s may not be %s', n.name, n.value))
from (values ('share_burst', 0), ('share_burst', null), ('id', 1), ('dance_burst', 1), ('welcome_credits', -1)) n (name, value);
select is((select extras::json #>> '{errors,0,pointer}' from shotai.set_plan('studio', 'dance_burst', 1, 'op')), '/name', 'and says which it is');
select is((select problem from shotai.set_plan('none', 'share_burst', 7, 'op')), 'not_found', 'of a plan that there is');
select is((select problem from shotai.give_plan(md5('bert')::uuid, 'studio', 'friend', 'op')), null, 'a person is put on it');
select is((ask('bert', 'share')).rate, 'share;q=7;w=42;r=6;t=6', 'and has its limits');
select is((select problem from shotai.give_plan(p.id, p.plan, p.reason, 'op')), p.problem, 'nobody is put on nothing')
from (values (md5('bert')::uuid, 'none', 'x', 'not_found'), (md5('nobody')::uuid, 'studio', 'x', 'not_found'), (md5('bert')::uuid, 'free', '', 'invalid_request')) p (id, plan, reason, problem);
select is((select array_agg(action order by id) from shotai.operator_log where action like '%plan'), '{add_plan,set_plan,give_plan}', 'all of which is logged');
select * from finish();
rollback;

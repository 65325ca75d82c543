-- People and abusers in simulated time, through the functions that watch them in production. A small town here; the
-- SIMULATION_... variables make a larger one, whose tables tests/simulation/run prints.
begin;
\ir fixture.psql
select no_plan();
\ir ../simulation/people.psql
\ir ../simulation/clock.psql
\set days 2
\set size 1
\set seed 0.5
\set limits 1
\set step 10
\getenv days SIMULATION_DAYS
\getenv size SIMULATION_SIZE
\getenv seed SIMULATION_SEED
\getenv limits SIMULATION_LIMITS
\getenv step SIMULATION_STEP
\getenv report SIMULATION_REPORT
set local statement_timeout = 0;

select setseed(:seed);
update shotai.signal set floor = floor * :limits, ceiling = ceiling * :limits where family in ('habit', 'crowd');
select sim.add_normal('2026-01-05', :days, :size), sim.add_abuse('2026-01-05', :days, :size);
create index on sim.event (at);
analyze sim.event;
call sim.run('2026-01-05', :days, :step);

\if :{?report}
\o :report
select * from sim.by_kind order by abuse, kind;
select * from sim.total order by level;
select f.signal, r.abuse, f.action, count(*) as findings, string_agg(distinct r.kind, ' ') as kinds
from shotai.finding f join sim.result r on r.account = f.account group by 1, 2, 3 order by 1, 2, 3;
\o
\endif

select ok(precision >= 0.95, level || ': few of them are innocent: ' || precision) from sim.total;
select ok(recall >= 0.85, level || ': most abusers are: ' || recall) from sim.total;
select is(string_agg(kind, ', '), null, 'no abuse passes unseen') from sim.by_kind where abuse and found = 0 and kind not in ('refunds');
select is(string_agg(kind, ', '), null, 'nobody is stopped who does nothing wrong') from sim.by_kind k
	where not abuse and exists (select from sim.result r join shotai.finding f on f.account = r.account where r.kind = k.kind and f.action >= 'hold');
select ok(minutes_to_find <= 90, kind || ' is seen within so many minutes: ' || minutes_to_find) from sim.by_kind where abuse and kind <> 'refunds';
select is(string_agg(distinct signal, ', ' order by signal), null, 'none of whom was only fast is stopped') from shotai.finding where signal in ('burst', 'hotlink', 'reports', 'refunds') and action >= 'hold';
select is(shotai.account_ok, true, 'each account is as its findings say') from (
	select bool_and(a.status = case f.action when 'suspend' then 'suspended' when 'hold' then 'held' else 'active' end) as account_ok
	from shotai.account a left join (select account, max(action) as action from shotai.finding where state = 'open' group by 1) f on f.account = a.id) shotai;

select * from finish();
rollback;

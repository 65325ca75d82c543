-- Requests that are recorded, kept for so many days, and forgotten.
begin;
\ir fixture.psql
select no_plan();

create function fixture.recorded(p_requests text, p_dropped bigint default 0) returns bigint language sql as $$
	select dropped from shotai.record_requests('history', p_requests, p_dropped)
$$;
create function fixture.asked(p_name text, p_more jsonb default '{}') returns jsonb language sql as $$
	select jsonb_build_object('at', (extract(epoch from clock_timestamp()) * 1000)::bigint, 'method', 'GET', 'route', '/api/history',
		'status', 200, 'ms', 12, 'user', md5(p_name)::uuid, 'address', null) || p_more
$$;
create function fixture.kept(p_days integer, p_make boolean default false) returns text language sql as $$
	select string_agg(value::text, ' ' order by name desc) from shotai.keep_telemetry(p_days, p_make)
$$;
create function fixture.stored() returns bigint language sql as 'select count(*) from shotai.telemetry_request';

select person('anna'), person('bert');
select is(kept(7), '0 0', 'nothing is made while nothing is recorded');
select is(recorded(jsonb_build_array(asked('anna'))::text), 1::bigint, 'and what comes nevertheless is counted, not an error');
select is((select requests from shotai.telemetry_dropped where program = 'history'), 1::bigint, 'under its program');
select is(kept(7, true), '7 0', 'a week is made ahead');
select is(kept(7, true), '0 0', 'once');

select is(recorded(jsonb_build_array(asked('anna'), asked('bert', '{"status":404,"address":"2001:db8::7"}'), asked('nobody', '{"route":null}'),
	asked('anna', '{"user":null,"at":1}'), asked('anna', '{"user":null,"at":99999999999999}'))::text, 3), 3::bigint, 'a batch, and what was dropped before it');
select is(stored(), 5::bigint, 'all of it');
select is((select requests from shotai.telemetry_dropped where program = 'history'), 4::bigint, 'drops add up');
select is((select array_agg(account order by account) from shotai.telemetry_request where account is not null),
	(select array_agg(id order by id) from shotai.account), 'whose they were, when there is an account');
select is((select count(*)::integer from shotai.telemetry_request where at between clock_timestamp() - interval '61 seconds' and clock_timestamp()),
	5, 'no clock is wrong by more than a minute');
select results_eq('select requests, errors, accounts, subject from shotai.show_telemetry(now() - interval ''1 hour'', ''route'') order by subject',
	$$ values (1::bigint, 0::bigint, 0::bigint, 'history GET - 200'), (3, 0, 1, 'history GET /api/history 200'), (1, 0, 1, 'history GET /api/history 404') $$, 'by route');
select results_eq('select requests, subject from shotai.show_telemetry(now() - interval ''1 hour'', ''address'')',
	$$ values (4::bigint, '-'), (1, '2001:db8::7') $$, 'by address');
select results_eq('select name, value from shotai.telemetry_status() where name not in (''telemetry_oldest'', ''telemetry_newest'')',
	$$ values ('telemetry_requests', '5'), ('telemetry_addresses', '1'), ('telemetry_dropped', '4'), ('telemetry_partitions', '7') $$, 'and in sum');

select shotai.begin_erasure(account('anna'), 'request');
select is(recorded(jsonb_build_array(asked('anna'))::text), 0::bigint, 'one of somebody who is being erased');
select is((select count(*)::integer from shotai.telemetry_request where account = account('anna')), 1, 'is nobody''s');
select shotai.erase_records(account('anna'));
select is((select count(*)::integer from shotai.telemetry_request where account is not null), 1, 'with an account its requests go');
select is(stored(), 5::bigint, 'and no others');

-- Days
create function fixture.day_before(p_days integer) returns void language plpgsql as $$
declare
	v_day date := (now() at time zone 'UTC')::date - p_days;
begin
	execute format('create table shotai.telemetry_request_%s partition of shotai.telemetry_request for values from (%L) to (%L)',
		to_char(v_day, 'YYYYMMDD'), v_day::timestamp at time zone 'UTC', (v_day + 1)::timestamp at time zone 'UTC');
	execute format('alter table shotai.telemetry_request_%s owner to shotai_owner', to_char(v_day, 'YYYYMMDD'));
	insert into shotai.telemetry_request values (v_day::timestamp at time zone 'UTC' + interval '12 hours', 'share', 'GET', '/s/{slug}', 200, 1, null, null);
	insert into shotai.telemetry_dropped values (v_day, 'share', 1);
end
$$;
select fixture.day_before(n) from unnest(array[1, 7, 8, 9]) n;
select is(kept(7), '0 2', 'a day is dropped when all of it is older than the term, recorded or not');
select is((select array_agg(day order by day) from shotai.telemetry_days() where day < (now() at time zone 'UTC')::date),
	array[(now() at time zone 'UTC')::date - 7, (now() at time zone 'UTC')::date - 1], 'the others stay');
select is((select count(*)::integer from shotai.telemetry_dropped where program = 'share'), 2, 'as do their counts');
select is(kept(1), '0 1', 'a shorter term works at once');

select requests as purged from shotai.purge_telemetry('me') \gset
select is(:purged, 6, 'an operator forgets all of it');
select is(stored() + (select count(*) from shotai.telemetry_dropped), 0::bigint, 'nothing is left');
select is((select operator || ' ' || action || ' ' || (detail ->> 'requests') from shotai.operator_log order by id desc limit 1), 'me purge_telemetry 6', 'but who did it');

select * from finish();
rollback;

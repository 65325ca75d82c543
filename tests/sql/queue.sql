-- Claims, leases, fencing, calls that may not be repeated, results.
begin;
\ir fixture.psql
select no_plan();

-- What the grace after an outage rests on, before it is switched off for the rest.
select ok(shotai.reclaim_from() > clock_timestamp() + interval '9 seconds', 'nothing is reclaimed while no worker reaches the database');
insert into shotai.worker values ('back', clock_timestamp(), '-infinity');
select is(shotai.reclaim_from() - interval '10 seconds', greatest(pg_postmaster_start_time(), pg_stat_get_bgwriter_stat_reset_time()),
	'nor for one lease length after it started or recovered');
update shotai.worker set resumed_at = clock_timestamp();
select is(shotai.reclaim_from(), (select resumed_at + interval '10 seconds' from shotai.worker), 'nor after workers came back to it');
delete from shotai.worker;
select shotai.note_worker('a');
select ok(resumed_at > now(), 'the first worker of all may have been away') from shotai.worker where name = 'a';
select shotai.note_worker('b');
select is(resumed_at, '-infinity', 'one that joins others was not') from shotai.worker where name = 'b';
update shotai.worker set seen_at = clock_timestamp() - interval '4 seconds', resumed_at = '-infinity';
select shotai.note_worker('a');
select is(resumed_at, '-infinity', 'a renewal that is a little late means nothing') from shotai.worker where name = 'a';
update shotai.worker set seen_at = clock_timestamp() - interval '6 seconds';
select shotai.note_worker('b');
select ok(resumed_at > now(), 'after a silence of all workers the first one to return waits') from shotai.worker where name = 'b';
update shotai.worker set seen_at = clock_timestamp() - interval '6 seconds', resumed_at = '-infinity' where name = 'a';
select shotai.note_worker('a');
select is(resumed_at, '-infinity', 'but not while another one was there') from shotai.worker where name = 'a';
select shotai.note_worker('a');
select ok(seen_at < clock_timestamp(), 'a note is kept once a second') from shotai.worker where name = 'a';
delete from shotai.worker;

-- During the grace a lapsed lease is not taken, but new work is.
update shotai.plan set unfinished_max = 100000, generate_burst = 100000, generate_per_minute = 100000;
select person('anna', 100000);
insert into shotai.worker values ('back', clock_timestamp(), clock_timestamp());
select claimed('anna') as lost, admit('anna') as fresh \gset
select lapse_lease(:'lost');
select results_eq($$ select generation_id from shotai.claim_jobs('other', 10, 20) $$, format('values (%L::uuid)', :'fresh'), 'the grace holds');
select is(held, true, 'and its worker renews it, past the lease') from shotai.renew_leases('worker', array[:'lost']::uuid[], array[1]);
select ok(lease_until > clock_timestamp() + interval '9 seconds', 'for ten seconds') from shotai.job where generation = :'lost';
update shotai.worker set resumed_at = '-infinity';
select no_outage();
select lapse_lease(:'lost');
select results_eq($$ select generation_id, attempt, first_claim from shotai.claim_jobs('other', 10, 20) $$,
	format('values (%L::uuid, 2, false)', :'lost'), 'later it is taken');

-- What a claim tells
select admit('anna', 3) as g \gset
select results_eq($$ select attempt, first_claim, adapter, vendor_model, model, options, prompt, aspect_ratio, count, seed, missing::jsonb, deadline_ms, uncertain_calls, repeats_left, upload_ids
	from shotai.claim_jobs('worker', 10, 20) $$,
	$$ values (1, true, 'openai', 'gpt-image-1-mini', 'gpt-image-1-mini', '{}', 'a red fox', '1:1', 3, null::bigint, '[0,1,2]'::jsonb, 20000::bigint, 0, 1, '[]') $$,
	'all that a worker needs, and nobody''s name');
select is((select count(*)::integer from shotai.claim_jobs('worker', 10, 20)), 0, 'a job is claimed once');
select is(status(:'g'), 'queued', 'a claim starts nothing');
select is(last_value, (select rank from shotai.job where generation = :'g'), 'the rank claimed last is known') from shotai.claimed_rank;
select admit('anna') as a, admit('anna') as b, admit('anna') as c \gset
update shotai.job set rank = case generation when :'a' then 3 when :'b' then 1 else 2 end where generation in (:'a', :'b', :'c');
select is((select array_agg(generation_id) from shotai.claim_jobs('worker', 2, 20)), array[:'b', :'c']::uuid[], 'the lowest ranks first, no more than wanted');
select is((select count(*)::integer from shotai.claim_jobs('worker', 0, 20)), 0, 'none when none is wanted');
select is((select array_agg(generation_id) from shotai.claim_jobs('worker', 2, 20)), array[:'a']::uuid[], 'then the next');
select ok(last_value > 3, 'the rank claimed last never goes back') from shotai.claimed_rank;

-- From queued to running to succeeded
select change_no as before from shotai.account where id = account('anna') \gset
select results_eq(format($$ select held, call_id is not null from shotai.start_call(%L, 1, 0, 3, 'openai') $$, :'g'), 'values (true, true)', 'a call starts');
select is(status(:'g'), 'running', 'the generation runs');
select ok(change_no = :before + 1 and started_at is not null, 'and is stamped') from shotai.generation where id = :'g';
select max(id) as call from shotai.provider_call where generation = :'g' \gset
select results_eq(format('select attempt, first_index::integer, images::integer, provider, state, repeat from shotai.provider_call where id = %s', :call),
	$$ values (1, 0, 3, 'openai', 'sent', false) $$, 'the call is on record before it is made');
select throws_ok(format($$ select shotai.start_call(%L, 1, 2, 2, 'openai') $$, :'g'), '22023', null, 'only for images that were ordered');
select throws_ok(format($$ select shotai.start_call(%L, 1, 0, 0, 'openai') $$, :'g'), '22023', null, 'and for some');
select is(held, true, 'its id is kept') from shotai.record_call(:call, 1, 'accepted', 'req_1');
select is(held, true, 'it is done') from shotai.record_call(:call, 1, 'done', null);
select results_eq(format('select state, vendor_id, finished_at is not null from shotai.provider_call where id = %s', :call), $$ values ('done', 'req_1', true) $$, 'both are on record');
select throws_ok(format($$ select shotai.record_call(%s, 1, 'lost', null) $$, :call), '23514', null, 'in the words we know');
select is(settle(:'g', 0), true, 'an image is settled');
select change_no as before from shotai.generation where id = :'g' \gset
select is(settle(:'g', 0), true, 'a repeated answer changes nothing');
select is(change_no, :before::bigint, 'nothing at all') from shotai.generation where id = :'g';
select throws_ok(format('select settle(%L, 3)', :'g'), '22023', null, 'no image that was not ordered');
select throws_ok(format($$ select shotai.settle_image(%L, 1, 1, 'gen/other/1-1', 'gen/other/1-1-t', 1, 1, 'image/png', 1) $$, :'g'), '23514', null, 'none under another''s key');
select settle(:'g', 1), settle(:'g', 2);
select balance('anna') as before \gset
select results_eq(format($$ select * from shotai.finish_generation(%L, 1, 'internal', 'x') $$, :'g'), $$ values (true, 'succeeded', 0::bigint) $$, 'all three: succeeded');
select is(balance('anna'), :before::bigint, 'nothing comes back');
select results_eq(format('select error_code, error_reason, delivered::integer, credits_refunded from shotai.generation where id = %L', :'g'),
	'values (null::text, null::text, 3, 0::bigint)', 'and no error is told');
select is((select count(*)::integer from shotai.job where generation = :'g'), 0, 'the job is gone');
select is(held, false, 'an end comes once') from shotai.finish_generation(:'g', 1, null, null);
select is(settle(:'g', 0), false, 'a late image is dropped');
select is(held, false, 'so is a renewal') from shotai.renew_leases('worker', array[:'g']::uuid[], array[1]);
select is(held, false, 'a call that ends later is lost to its worker') from shotai.record_call(:call, 1, 'uncertain', 'req_2');
select is(state, 'uncertain', 'but its cost is on record') from shotai.provider_call where id = :call;
select is(audit(), null, 'the books are right');

-- Partly and not at all
select claimed('anna', 4) as p, claimed('anna', 2) as f \gset
select call(:'p', 1, 0, 4), settle(:'p', 1);
select results_eq(format($$ select * from shotai.finish_generation(%L, 1, 'provider_error', 'three were black') $$, :'p'), $$ values (true, 'partial', 6::bigint) $$, 'one of four: partial');
select is(error_reason, 'three were black', 'with the reason for operators') from shotai.generation where id = :'p';
select call(:'f', 1, 0, 2);
select results_eq(format($$ select * from shotai.finish_generation(%L, 1, 'content_policy', null) $$, :'f'), $$ values (true, 'failed', 4::bigint) $$, 'none: failed');
select is(error_code, 'content_policy', 'with its code') from shotai.generation where id = :'f';
select claimed('anna') as n \gset
select is(status, 'failed', 'also before any call') from shotai.finish_generation(:'n', 1, null, null);
select is(error_code, 'internal', 'never without a code') from shotai.generation where id = :'n';
select is(unfinished, 5, 'five are still unfinished') from shotai.account where id = account('anna');
select is(audit(), null, 'the books are right');

-- A worker that lost its lease changes nothing.
select claimed('anna', 2) as z \gset
select call(:'z', 1, 0, 2) as old \gset
select settle(:'z', 0);
select lapse_lease(:'z');
select is(settle(:'z', 0), true, 'past the lease the attempt still counts');
select results_eq(format($$ select attempt, missing::jsonb, uncertain_calls, repeats_left from shotai.claim_jobs('other', 10, 20) where generation_id = %L $$, :'z'),
	$$ values (2, '[1]'::jsonb, 1, 1) $$, 'the next worker sees what is missing and that a call is uncertain');
select is(state, 'uncertain', 'so it is marked') from shotai.provider_call where id = :old;
create function fixture.snapshot() returns text language sql as $$
	select md5(string_agg(x, '|' order by x)) from (
		select g::text from shotai.generation g union all select a::text from shotai.account a union all select i::text from shotai.image i
		union all select j::text from shotai.job j union all select c::text from shotai.provider_call c union all select e::text from shotai.credit_entry e
		union all select l::text from shotai.credit_lot l
	) t (x)
$$;
select snapshot() as before \gset
select is(settle(:'z', 1, 1), false, 'the old one settles nothing');
select is(held, false, 'finishes nothing') from shotai.finish_generation(:'z', 1, null, null);
select is(held, false, 'starts nothing') from shotai.start_call(:'z', 1, 0, 1, 'openai');
select is(held, false, 'records nothing') from shotai.record_call(:old, 1, 'done', 'x');
select is(held, false, 'hands nothing back') from shotai.release_job(:'z', 1, 0, true);
select is(held, false, 'and renews nothing') from shotai.renew_leases('worker', array[:'z']::uuid[], array[1]);
select is(held, false, 'nor does one of the future') from shotai.finish_generation(:'z', 3, null, null);
select is(held, false, 'nor one of another world') from shotai.finish_generation(gen_random_uuid(), 1, null, null);
select is(snapshot(), :'before', 'none of it left a trace');

-- One blind repeat
select results_eq(format($$ select held, call_id is not null from shotai.start_call(%L, 2, 1, 1, 'openai') $$, :'z'), 'values (true, true)', 'an uncertain call may be repeated');
select ok(repeat, 'as such') from shotai.provider_call where generation = :'z' and attempt = 2;
select lapse_lease(:'z');
select results_eq($$ select attempt, uncertain_calls, repeats_left from shotai.claim_jobs('third', 10, 20) $$, 'values (3, 2, 0)', 'it was lost as well');
select results_eq(format($$ select held, call_id from shotai.start_call(%L, 3, 1, 1, 'openai') $$, :'z'), 'values (true, null::bigint)', 'but only once');
select results_eq(format($$ select * from shotai.finish_generation(%L, 3, 'provider_error', null) $$, :'z'), $$ values (true, 'partial', 2::bigint) $$, 'the rest comes back');

select claimed('anna', 4) as y \gset
select call(:'y', 1, 0, 2) as first \gset
select held from shotai.record_call(:first, 1, 'failed', null);
update shotai.generation set started_at = clock_timestamp() - interval '7 seconds' where id = :'y';
select ok(call(:'y', 1, 0, 2) is not null, 'a call that surely failed may be made again');
select ok(started_at < clock_timestamp() - interval '6 seconds', 'which is no new start') from shotai.generation where id = :'y';
select ok(not bool_or(repeat), 'which is no blind repeat') from shotai.provider_call where generation = :'y';
select max(id) as second from shotai.provider_call where generation = :'y' \gset
select held from shotai.record_call(:second, 1, 'uncertain', null);
select ok(call(:'y', 1, 2, 2) is not null and not bool_or(repeat), 'other images are another matter') from shotai.provider_call where generation = :'y';
select ok(call(:'y', 1, 1, 1) is not null, 'one of these is repeated');
select is(call(:'y', 1, 0, 1), null, 'the other is not');
select is(call(:'y', 1, 2, 1), null, 'nor is one whose call is under way');

-- A call with an id is not uncertain: it can be asked for.
select claimed('anna') as w \gset
select call(:'w') as known \gset
select held from shotai.record_call(:known, 1, 'accepted', 'req_9');
select lapse_lease(:'w');
select is(uncertain_calls, 0, 'a call with an id is not uncertain') from shotai.claim_jobs('other', 10, 20) where generation_id = :'w';
select is(state, 'accepted', 'and stays as it was') from shotai.provider_call where id = :known;

-- Three attempts
select claimed('anna', 2) as t \gset
select call(:'t', 1, 0, 1), settle(:'t', 0);
select lapse_lease(:'t'), lapse_lease(:'w'), lapse_lease(:'y');
select is((select array_agg(attempt order by attempt) from shotai.claim_jobs('worker', 10, 20)), '{2,2,3}', 'attempts count');
select lapse_lease(:'t');
select is((select attempt from shotai.claim_jobs('worker', 10, 20)), 3, 'the third');
select lapse_lease(:'t');
select is((select count(*)::integer from shotai.claim_jobs('worker', 10, 20)), 0, 'there is no fourth');
select balance('anna') as before \gset
create temporary table swept as select * from shotai.sweep();
select is((select value from swept where name = 'ended_generations'), 1::bigint, 'the sweep ends it');
select results_eq(format('select status, error_code, credits_refunded from shotai.generation where id = %L', :'t'), $$ values ('partial', 'provider_error', 2::bigint) $$, 'with a refund');
select is(balance('anna'), :before + 2::bigint, 'in the balance');
select is((select value from swept where name = 'more'), 1::bigint, 'and may have more to do');
select is((select value from shotai.sweep() where name = 'more'), 0::bigint, 'which it has not');
select is(held, true, 'what has a lease is left alone') from shotai.renew_leases('worker', array[:'y']::uuid[], array[2]);

-- Handing back
select claimed('anna') as h \gset
select is(held, true, 'a job is handed back') from shotai.release_job(:'h', 1, 0, false);
select is(status(:'h'), 'queued', 'unstarted it is queued again');
select is(held, false, 'and no longer held') from shotai.renew_leases('worker', array[:'h']::uuid[], array[1]);
select is((select attempt from shotai.claim_jobs('worker', 10, 20) where generation_id = :'h'), 2, 'another worker takes it at once');
select held from shotai.release_job(:'h', 2, 3600, true);
select is(status(:'h'), 'running', 'started it stays running');
select is((select count(*)::integer from shotai.claim_jobs('worker', 10, 20)), 0, 'later means later');
create function fixture.hand_on(p_id uuid, p_attempt integer) returns integer language plpgsql as $$
begin
	update shotai.job set not_before = null where generation = p_id;
	perform shotai.release_job(p_id, (select attempt from shotai.claim_jobs('worker', 10, 20) where generation_id = p_id), 0, true);
	return (select attempt from shotai.job where generation = p_id);
end
$$;
select is((select max(hand_on(:'h', n)) from generate_series(3, 9) n), 9, 'handing back in good order uses no attempt up');
select is((select count(*)::integer from shotai.claim_jobs('worker', 10, 20)), 1, 'it is claimed a tenth time');
update shotai.generation set started_at = clock_timestamp() - interval '15 seconds' where id = :'h';
select lapse_lease(:'h');
select ok(deadline_ms between 4000 and 5000, 'the deadline counts from the first start') from shotai.claim_jobs('worker', 10, 20);
update shotai.generation set started_at = clock_timestamp() - interval '1 hour' where id = :'h';
select lapse_lease(:'h');
select is(deadline_ms, 0::bigint, 'and is never negative') from shotai.claim_jobs('worker', 10, 20);
select is(audit(), null, 'the books are right');

-- Numbers
select admit('anna');
update shotai.job set queued_at = clock_timestamp() - interval '1 minute' where waiting;
select results_eq('select * from shotai.queue_state()', format('values (1::bigint, %s::bigint, 60::bigint)', (select count(*) from shotai.job where not waiting)), 'the state of the queue');

-- A renewal stays on its page.
select pg_stat_get_xact_tuples_updated('shotai.job'::regclass) as updated, pg_stat_get_xact_tuples_hot_updated('shotai.job'::regclass) as hot \gset
select count(*) as renewed from shotai.renew_leases('worker', (select array_agg(generation) from shotai.job where not waiting),
	(select array_agg(attempt) from shotai.job where not waiting)) where held \gset
select is(pg_stat_get_xact_tuples_updated('shotai.job'::regclass) - :updated, :renewed::bigint, 'each lease is one update');
select is(pg_stat_get_xact_tuples_hot_updated('shotai.job'::regclass) - :hot, :renewed::bigint, 'of the heap alone');

select * from finish();
rollback;

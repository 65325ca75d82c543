-- Admission with each of its refusals, idempotency, limits, lists, cancelling.
begin;
\ir fixture.psql
select no_plan();
select no_outage();

create function fixture.ask(p_name text, p_model text default 'gpt-image-1-mini', p_count integer default 1,
	p_ratio text default null, p_uploads uuid[] default null, p_prompt text default 'a red fox')
returns table (problem text, retry_after integer, extras jsonb, status text, aspect_ratio text, balance bigint, charged bigint)
language sql as $$
	select problem, retry_after, extras::jsonb, status, aspect_ratio, balance, credits_charged
	from shotai.admit_generation(md5(p_name)::uuid, md5(p_name)::uuid, p_model, p_prompt, p_ratio, p_count, 7, p_uploads,
		null, fixture.hash('body'))
$$;
create function fixture.tokens(p_name text) returns integer language sql as $$
	select coalesce(round(extract(epoch from arrival - clock_timestamp()))::integer, 0)
	from shotai.rate_state where account = fixture.account(p_name) and action = 'generate'
$$;

-- What is admitted
select person('anna', 100);
select results_eq($$ select * from ask('anna', 'gpt-image-2', 3) $$,
	$$ values (null::text, null::integer, null::jsonb, 'queued', '1:1', 82::bigint, 18::bigint) $$, 'price times count, the model''s first ratio');
select results_eq($$ select model, prompt, count::integer, seed, unit_price, credits_charged, delivered::integer, g.change_no = a.change_no, a.unfinished
	from shotai.generation g join shotai.account a on a.id = g.account where a.id = account('anna') $$,
	$$ values ('gpt-image-2', 'a red fox', 3, 7::bigint, 6, 18::bigint, 0, false, 3) $$, 'the row');
select ok(g.change_no = a.change_no - 1, 'is stamped with the change, the charge is one more')
	from shotai.generation g join shotai.account a on a.id = g.account where a.id = account('anna');
select is(rank, 3000::bigint + (select last_value from shotai.claimed_rank), 'its job is ranked') from shotai.job where account = account('anna');
select is((select aspect_ratio from ask('anna', 'gpt-image-2', 1, '9:16')), '9:16', 'the ratio asked for');
select is(audit(), null, 'the books are right');

-- Each refusal
select is((select problem from shotai.admit_generation(md5('nobody')::uuid, md5('nobody')::uuid, 'gpt-image-2', 'x', null, 1, null, null, null, hash('x'))),
	'unauthenticated', 'no such user');
select is((select problem from shotai.admit_generation(md5('anna')::uuid, md5('gone')::uuid, 'gpt-image-2', 'x', null, 1, null, null, null, hash('x'))),
	'unauthenticated', 'no such session');
select signed_up('young'), signed_up('anonymous', true, true), person('sam', 100), person('poor', 5);
select is((select problem from ask('young')), 'age_confirmation_required', 'age unknown');
select ok(account('young') is not null, 'the account is made all the same');
select is((select problem from ask('anonymous')), 'anonymous_not_allowed', 'anonymous');
update shotai.account set status = 'suspended' where id = account('sam');
select is((select problem from ask('sam')), 'account_suspended', 'suspended');
update shotai.account set status = 'closed' where id = account('sam');
select is((select problem from ask('sam')), 'account_suspended', 'closed');
select is((select problem from ask('anna', 'dall-e-2')), 'model_unknown', 'no such model');
update shotai.model set enabled = false where id = 'gpt-image-1.5';
select results_eq($$ select problem, retry_after from ask('anna', 'gpt-image-1.5') $$, $$ values ('model_unavailable', 60) $$, 'a model that is off');
select is((select available from shotai.list_models() where id = 'gpt-image-1.5'), false, 'and shown as such');
update shotai.model set enabled = true;
update shotai.provider set enabled = false;
select is((select problem from ask('anna')), 'model_unavailable', 'a provider that is off');
update shotai.provider set enabled = true;
select results_eq($$ select problem, extras #>> '{errors,0,pointer}' from ask('anna', p_ratio => '5:1') $$, $$ values ('invalid_request', '/aspect_ratio') $$, 'a ratio it lacks');
select results_eq($$ select problem, extras #>> '{errors,0,pointer}' from ask('anna', p_count => 5) $$, $$ values ('invalid_request', '/count') $$, 'too many');
select results_eq($$ select problem, extras #>> '{errors,0,pointer}' from ask('anna', p_count => 0) $$, $$ values ('invalid_request', '/count') $$, 'too few');
select results_eq($$ select problem, extras #>> '{errors,0,pointer}' from ask('anna', p_prompt => '') $$, $$ values ('invalid_request', '/prompt') $$, 'no prompt');
select is((select jsonb_array_length(extras -> 'errors') from ask('anna', p_count => 0, p_ratio => 'x')), 2, 'all that is wrong is listed');
select is((select problem from ask('anna', p_uploads => array[gen_random_uuid()])), 'upload_unknown', 'no such upload');
select results_eq($$ select problem, extras #>> '{errors,0,pointer}' from ask('anna', p_uploads => array[gen_random_uuid(), gen_random_uuid()]) $$,
	$$ values ('invalid_request', '/upload_ids') $$, 'too many references');
update shotai.model set accepts_reference = false;
select results_eq($$ select problem, extras #>> '{errors,0,detail}' from ask('anna', p_uploads => array[gen_random_uuid()]) $$,
	$$ values ('invalid_request', 'this model takes no reference') $$, 'none taken');
select results_eq($$ select problem, extras from ask('poor', 'gpt-image-2') $$,
	$$ values ('insufficient_credits', '{"required":6,"balance":5}'::jsonb) $$, 'too poor');
select is((select count(*)::integer from shotai.generation where account <> account('anna')), 0, 'a refusal makes nothing');
select is(balance('poor'), 5::bigint, 'and costs nothing');
update shotai.plan set unfinished_max = 5;
select results_eq($$ select problem, retry_after from ask('anna', p_count => 2) $$, $$ values ('too_many_in_flight', 5) $$, 'four are unfinished, five the limit');
select is((select problem from ask('anna', p_count => 1)), null, 'one more may');

-- Which one wins when several hold
update shotai.account set status = 'suspended', age_confirmed_at = null where id = account('anna');
update shotai.plan set unfinished_max = 1, generate_burst = 1;
select is((select problem from ask('anna', 'x', 99)), 'account_suspended', 'suspended before age');
update shotai.account set status = 'active' where id = account('anna');
select is((select problem from ask('anna', 'x', 99)), 'age_confirmation_required', 'age before the model');
update shotai.account set age_confirmed_at = now() where id = account('anna');
select is((select problem from ask('anna', 'x', 99)), 'model_unknown', 'the model before the input');
select is((select problem from ask('anna', p_count => 99)), 'invalid_request', 'the input before the rate');
select is((select problem from ask('anna', 'gpt-image-2', 4)), 'rate_limited', 'the rate before what is in flight');
update shotai.plan set generate_burst = 1000;
select is((select problem from ask('anna', 'gpt-image-2', 4)), 'too_many_in_flight', 'that before the credits');
update shotai.plan set unfinished_max = 1000;
select person('broke');
select is((select problem from ask('broke')), 'insufficient_credits', 'the credits last');

-- The rate: a burst, then so many a minute, counted whatever the answer.
update shotai.plan set generate_burst = 5, generate_per_minute = 60;
select person('quick');
select is((select array_agg(distinct admit('quick')) from generate_series(1, 5)), '{insufficient_credits}', 'a burst of five');
select results_eq($$ select problem, retry_after from ask('quick') $$, $$ values ('rate_limited', 1) $$, 'the sixth waits a second');
select is(tokens('quick'), 5, 'and costs no token');
update shotai.rate_state set arrival = arrival - interval '2 seconds' where account = account('quick');
select is((select array_agg(admit('quick')) from generate_series(1, 3)), '{insufficient_credits,insufficient_credits,rate_limited}', 'two seconds later two more');
update shotai.rate_state set arrival = now() - interval '1 hour' where account = account('quick');
select count(admit('quick', 1, 'unknown')) from generate_series(1, 5);
select is((select problem from ask('quick')), 'rate_limited', 'every request counts');
update shotai.plan set generate_per_minute = 2;
select person('slow');
select count(admit('slow')) from generate_series(1, 5);
select is((select retry_after from ask('slow')), 30, 'the wait follows the rate');
select person('visitor');
delete from auth.sessions where id = md5('visitor')::uuid;
select is((select array_agg(distinct admit('visitor')) from generate_series(1, 5)), '{unauthenticated}', 'without a session');
insert into auth.sessions (id, user_id) values (md5('visitor')::uuid, md5('visitor')::uuid);
select is((select problem from ask('visitor')), 'rate_limited', 'requests count too');
update shotai.plan set generate_burst = 1000, generate_per_minute = 1000;

-- Prices are versions with a date.
insert into shotai.model_price (model, credits, effective_from) values ('gpt-image-2', 9, now() - interval '1 minute'), ('gpt-image-2', 99, now() + interval '1 day');
select is((select charged from ask('anna', 'gpt-image-2', 2)), 18::bigint, 'the newest price in force');
select is((select credits from shotai.list_models() where id = 'gpt-image-2'), 9, 'is the one shown');
select is((select array_agg(distinct unit_price order by unit_price) from shotai.generation where model = 'gpt-image-2'), '{6,9}', 'what was ordered before keeps its price');
select is(audit(), null, 'the books are right');
select results_eq($$ select id, name, provider, credits, aspect_ratios::jsonb, max_count, max_references, available from shotai.list_models() limit 1 $$,
	$$ values ('gpt-image-1-mini', 'GPT Image Mini', 'OpenAI', 2, '["1:1","3:2","2:3"]'::jsonb, 4, 0, true) $$, 'the list of models');
update shotai.model set accepts_reference = true;
select is((select array_agg(max_references) from shotai.list_models()), '{1,4,4}', 'and how many references each takes');
insert into shotai.model select 'unpriced', provider, name, 9, enabled, adapter, vendor_model, options, aspect_ratios, max_count, false, 1, description, description_nl, retention
	from shotai.model limit 1;
select is((select problem from ask('anna', 'unpriced')), 'model_unknown', 'a model without a price is none');

-- Idempotency
select person('key', 100);
select admit('key', 1, 'gpt-image-1-mini', 'k1') as first \gset
select is(admit('key', 1, 'gpt-image-1-mini', 'k1'), :'first', 'the same request again is the same generation');
select is((select replayed from shotai.admit_generation(md5('key')::uuid, md5('key')::uuid, 'x', '', null, 0, null, null, 'k1', hash('body'))), true, 'marked as replayed');
select is(balance('key'), 98::bigint, 'and charged once');
select is(admit('key', 1, 'gpt-image-1-mini', 'k1', 'other'), 'idempotency_key_reused', 'another body is refused');
select isnt(admit('key', 1, 'gpt-image-1-mini', 'k2'), :'first', 'another key is another request');
select person('key2', 100);
select isnt(admit('key2', 1, 'gpt-image-1-mini', 'k1'), :'first', 'a key is an account''s own');
insert into shotai.idempotency (account, route, key, request_hash, created)
values (account('key2'), 'shares', 'k9', decode(hash('else'), 'hex'), gen_random_uuid());
select isnt(admit('key2', 1, 'gpt-image-1-mini', 'k9'), 'idempotency_key_reused', 'and a route''s own');
select person('key3', 1);
select is(admit('key3', 1, 'gpt-image-1-mini', 'k'), 'insufficient_credits', 'a refusal');
select lot('key3', 10);
select isnt(admit('key3', 1, 'gpt-image-1-mini', 'k', 'changed'), 'idempotency_key_reused', 'is not kept');
update shotai.idempotency set created_at = now() - interval '24 hours 1 second' where key = 'k1' and account = account('key');
select isnt(admit('key', 1, 'gpt-image-1-mini', 'k1', 'other'), :'first', 'a key is kept for 24 hours');
select is(balance('key'), 94::bigint, 'then it is a new request');
select isnt(admit('key', 1, 'gpt-image-1-mini', 'k1', 'other'), 'idempotency_key_reused', 'which is kept in turn');
select claimed('key') is not null;
select call(:'first'), settle(:'first', 0);
select held from shotai.finish_generation(:'first', 1, null, null);
update shotai.idempotency set created = :'first', request_hash = decode(hash('body'), 'hex') where key = 'k1' and account = account('key');
select results_eq($$ select status, image_index from shotai.admit_generation(md5('key')::uuid, md5('key')::uuid, 'x', '', null, 0, null, null, 'k1', hash('body')) $$,
	$$ values ('succeeded', 0) $$, 'a replay shows the generation as it is now');
update shotai.plan set generate_burst = 1, generate_per_minute = 1;
select is(admit('key', 1, 'gpt-image-1-mini', 'k1'), :'first', 'a replay is answered whatever the rate');
update shotai.plan set generate_burst = 1000, generate_per_minute = 1000;

-- Fairness
select person('crowd', 100), person('single', 100);
select setval('shotai.claimed_rank', 1000000);
select admit('crowd', 4), admit('crowd', 4);
select admit('single', 1);
select is((select array_agg(rank order by rank) from shotai.job where account in (account('crowd'), account('single'))), '{1001000,1004000,1008000}',
	'who asked for one picture comes before who asked for eight');
insert into shotai.plan (id, weight) values ('pro', 4);
update shotai.account set plan = 'pro' where id = account('single');
select setval('shotai.claimed_rank', 2000000);
select admit('single', 1);
select is((select max(rank) from shotai.job where account = account('single')), 2000250::bigint, 'and a weight divides');

-- One generation, the list
select is((select problem from shotai.get_generation(md5('key2')::uuid, :'first')), 'not_found', 'nobody else''s');
select is((select problem from shotai.get_generation(md5('key')::uuid, gen_random_uuid())), 'not_found', 'nor one that is not');
select results_eq(format($$ select status, image_index, image_key, width, content_type, queue_position from shotai.get_generation(md5('key')::uuid, %L) $$, :'first'),
	format($$ values ('succeeded', 0, 'gen/%s/0-1', 1024, 'image/png', null::integer) $$, :'first'), 'one''s own');
select person('list', 1000);
select count(admit('list')) from generate_series(1, 25);
update shotai.generation set created_at = now() - interval '1 hour' where account = account('list'); -- one moment: ids decide
create function fixture.page(p_cursor text, p_status text default null) returns table (n bigint, cursor text, more boolean, ids uuid[]) language sql as $$
	select count(*), (array_agg(cursor order by r desc))[1], bool_or(more), array_agg(id order by r)
	from (select *, row_number() over () as r from shotai.list_generations(md5('list')::uuid, 10, p_cursor, p_status)) p
$$;
create view fixture.pages as
with recursive pages as (
	select 1 as i, p.* from page(null) p
	union all
	select i + 1, q.* from pages p cross join lateral page(p.cursor) q where p.more
) select * from pages;
select is((select array_agg(n order by i) from pages), '{10,10,5}', 'pages');
select is((select count(distinct id)::integer from pages, unnest(ids) id), 25, 'show everything once');
select is((select array_agg(id) from pages, unnest(ids) id), (select array_agg(id order by created_at desc, id desc) from shotai.generation where account = account('list')),
	'newest first');
select is((select n from page(null, 'failed')), 0::bigint, 'by status');
select is((select n from page(null, 'queued')), 10::bigint, 'of those there are');
select is((select problem from shotai.list_generations(md5('list')::uuid, 10, '1; drop table', null)), 'invalid_request', 'a made-up cursor is refused');
select is((select count(*)::integer from shotai.list_generations(md5('nobody')::uuid, 10, null, null)), 0, 'a stranger''s list is empty');
select results_eq($$ select cursor is not null, image_index from shotai.list_generations(md5('key')::uuid, 1, null, 'succeeded') $$, 'values (true, 0)', 'images come with it');

-- Cancelling
select id as newest, balance('list') as before from shotai.generation where account = account('list') order by id limit 1 \gset
select is((select problem from shotai.cancel_generation(md5('key')::uuid, md5('key')::uuid, :'newest')), 'not_found', 'not somebody else''s');
select is((select problem from shotai.cancel_generation(md5('list')::uuid, md5('gone')::uuid, :'newest')), 'unauthenticated', 'not without a session');
select results_eq(format($$ select problem, balance, status, credits_refunded from shotai.cancel_generation(md5('list')::uuid, md5('list')::uuid, %L) $$, :'newest'),
	format($$ values (null::text, %s::bigint, 'canceled', 2::bigint) $$, :before + 2), 'one''s own, and the credits come back');
select is((select problem from shotai.cancel_generation(md5('list')::uuid, md5('list')::uuid, :'newest')), 'not_cancelable', 'once');
select is((select count(*)::integer from shotai.job where generation = :'newest'), 0, 'its job is gone');
select claimed('list') as claimed \gset
select is((select status from shotai.cancel_generation(md5('list')::uuid, md5('list')::uuid, :'claimed')), 'canceled', 'claimed, but no call was started: still queued');
select is((select held from shotai.start_call(:'claimed', 1, 0, 1, 'openai')), false, 'its worker may not start one');
select claimed('list') as running \gset
select call(:'running') is not null;
select is((select problem from shotai.cancel_generation(md5('list')::uuid, md5('list')::uuid, :'running')), 'not_cancelable', 'not while a call is made');
select held from shotai.release_job(:'running', 1, 0, true);
select is((select problem from shotai.cancel_generation(md5('list')::uuid, md5('list')::uuid, :'running')), 'not_cancelable', 'nor ever after');
select is(audit(), null, 'the books are right');

-- The position in the queue
select person('waiting', 1000);
select count(*) from shotai.claim_jobs('worker', 1000, 20);
select admit('waiting') as one \gset
select is((select queue_position from shotai.get_generation(md5('waiting')::uuid, :'one')), 1, 'the first');
select admit('waiting') as two \gset
select is((select queue_position from shotai.get_generation(md5('waiting')::uuid, :'two')), 2, 'the second');
select count(admit('waiting')) from generate_series(1, 98);
select is((select max(queue_position) from shotai.list_generations(md5('waiting')::uuid, 100, null, 'queued')), 100, 'the hundredth');
select admit('waiting') as far \gset
select is((select queue_position from shotai.get_generation(md5('waiting')::uuid, :'far')), null, 'further back nobody counts');

select * from finish();
rollback;

-- Files, the sweep and the operator's functions.
begin;
\ir fixture.psql
select no_plan();
select no_outage();

-- Files
select person('anna', 100);
select claimed('anna', 2) as g \gset
select call(:'g', 1, 0, 2), settle(:'g', 0);
select results_eq(format($$ select problem, content_type, kind from shotai.authorize_file('gen/%s/0-1') $$, :'g'), $$ values (null::text, 'image/png', 'image') $$, 'a picture');
select results_eq(format($$ select problem, content_type, kind from shotai.authorize_file('gen/%s/0-1-thumbnail') $$, :'g'), $$ values (null::text, 'image/webp', 'thumbnail') $$, 'its thumbnail');
select is((select problem from shotai.authorize_file(k)), 'not_found', 'not ' || k)
	from unnest(array['gen/' || :'g' || '/1-1', 'gen/' || :'g' || '/0-2', 'gen/' || :'g', 'gen/' || gen_random_uuid() || '/0-1', 'gen/x/0-1', '', '../etc/passwd', 'uploads/1/2']) k;
update shotai.account set status = 'suspended' where id = account('anna');
select is((select problem from shotai.authorize_file('gen/' || :'g' || '/0-1')), null, 'reading stays open when suspended');
update shotai.account set status = 'closed' where id = account('anna');
select is((select problem from shotai.authorize_file('gen/' || :'g' || '/0-1')), 'not_found', 'not when locked');
update shotai.account set status = 'active' where id = account('anna');

select bag_eq(format($$ select * from shotai.unnamed_objects(array['gen/%1$s/0-1', 'gen/%1$s/0-1-thumbnail', 'gen/%1$s/1-1', 'gen/%1$s/1-2', 'gen/%1$s/strange', 'gen/11111111-2222-3333-4444-555555555555/0-1', 'gen/junk', 'uploads/1/2', 'archives/x']) $$, :'g'),
	$$ values ('gen/11111111-2222-3333-4444-555555555555/0-1'), ('gen/junk'), ('archives/x') $$, 'what no row names and no live attempt can name, but uploads');
select lapse_lease(:'g');
select count(*) from shotai.claim_jobs('other', 10, 20);
select bag_eq(format($$ select * from shotai.unnamed_objects(array['gen/%1$s/0-1', 'gen/%1$s/1-1', 'gen/%1$s/1-2']) $$, :'g'),
	format($$ values ('gen/%s/1-1') $$, :'g'), 'nobody can name the object of an attempt that was lost');
select held from shotai.finish_generation(:'g', 2, 'provider_error', null);
select bag_eq(format($$ select * from shotai.unnamed_objects(array['gen/%1$s/0-1', 'gen/%1$s/1-1', 'gen/%1$s/1-2']) $$, :'g'),
	format($$ values ('gen/%1$s/1-1'), ('gen/%1$s/1-2') $$, :'g'), 'nor any, once it is over');

-- The sweep
create function fixture.sweep(p_name text) returns bigint language sql as $$ select value from shotai.sweep() where name = p_name $$;
select is(sweep('more'), 0::bigint, 'nothing to do');
select person('bert'), person('carl');
select lot('bert', 3, 5) as b, lot('carl', 4, 5) as c, lot('carl', 1) as kept \gset
update shotai.credit_lot set expires_at = clock_timestamp() - interval '2 seconds' where id = :b;
select lapse(:c);
select is(sweep('expired_credits'), 3::bigint, 'due lots expire, one account at a time');
select is(sweep('expired_credits'), 4::bigint, 'then the next');
select is(sweep('expired_credits'), 0::bigint, 'until none is due');
select is(lots('carl'), '{0,1}', 'others are left alone');
select admit('anna', 1, 'gpt-image-1-mini', 'old'), admit('anna', 1, 'gpt-image-1-mini', 'new');
update shotai.idempotency set created_at = clock_timestamp() - interval '24 hours 1 second' where key = 'old';
select is(sweep('idempotency_keys'), 1::bigint, 'keys over 24 hours go');
select is((select array_agg(key) from shotai.idempotency), '{new}', 'others stay');
update shotai.rate_state set arrival = clock_timestamp() - interval '2 days';
select is(sweep('rate_states'), 1::bigint, 'so does old rate state');
insert into shotai.age_block values (decode(hash('x'), 'hex'), now() - interval '1 second'), (decode(hash('y'), 'hex'), now() + interval '1 hour');
insert into shotai.welcome_grant (email_hash, account, delete_after) values (decode(hash('x'), 'hex'), account('anna'), now() - interval '1 second'), (decode(hash('y'), 'hex'), account('anna'), null);
select count(*) from shotai.sweep();
select is((select count(*)::integer from shotai.age_block), 1, 'and blocks that ended');
select is((select count(*)::integer from shotai.welcome_grant), 1, 'and welcome records 24 months after erasure');
select is(audit(), null, 'the books are right');

-- A sweep ends all its jobs, oldest lease first, though their accounts differ.
select lot('bert', 10), lot('carl', 10);
select claimed('bert') as jb, claimed('carl') as jc \gset
update shotai.job set attempt = 3, released = 0 where generation in (:'jb', :'jc');
select lapse_lease(:'jb'), lapse_lease(:'jc');
select is(sweep('ended_generations') + sweep('ended_generations') + sweep('ended_generations'), 2::bigint, 'each ends in a round of its own');
select is(status(:'jb') || ' ' || status(:'jc'), 'failed failed', 'both are over');

-- Operators
select signed_up('new');
create function fixture.grant_to(p_user uuid, p_amount bigint default 5, p_source text default 'adjustment', p_expires timestamptz default null, p_reason text default 'sorry')
returns text language sql as $$
	select coalesce(problem, 'balance ' || balance) from shotai.grant_credits(p_user, p_amount, p_source, p_expires, p_reason, 'me')
$$;
select is(grant_to(md5('new')::uuid), 'balance 5', 'credits are granted, though he never looked in');
select is(grant_to(md5('new')::uuid, 7, 'top_up', now() + interval '1 day'), 'balance 12', 'of any source, with an end');
select is((select string_agg(kind || ' ' || amount, ', ' order by number) from shotai.credit_entry where account = account('new')), 'adjust 5, grant 7', 'as entries');
select is((select string_agg(operator || ' ' || reason || ' ' || (detail ->> 'amount'), ', ' order by id) from shotai.operator_log where account = account('new')),
	'me sorry 5, me sorry 7', 'and who did it is on record');
select is(grant_to(md5('nobody')::uuid), 'not_found', 'not to nobody');
select is(grant_to(md5('new')::uuid, 0), 'invalid_request', 'not nothing');
select is(grant_to(md5('new')::uuid, -5), 'invalid_request', 'not less');
select is(grant_to(md5('new')::uuid, null), 'invalid_request', 'not unknown');
select is(grant_to(md5('new')::uuid, 5, 'gift'), 'invalid_request', 'not of a source we do not know');
select is(grant_to(md5('new')::uuid, 5, 'top_up', now()), 'invalid_request', 'not into the past');
select is(grant_to(md5('new')::uuid, p_reason => ''), 'invalid_request', 'not without a reason');
select is(balance('new'), 12::bigint, 'a refusal grants nothing');
select results_eq($$ select user_id, email, status, balance, age_confirmed from shotai.find_account('NEW@example.nl') $$,
	$$ values (md5('new')::uuid, 'new@example.nl', 'active', 12::bigint, false) $$, 'an account is found by address');
select is((select user_id from shotai.find_account(md5('new')::uuid::text)), md5('new')::uuid, 'and by id');
select is((select count(*)::integer from shotai.find_account('%')), 0, 'not by a pattern');
select results_eq($$ select name, value from shotai.operator_status() where name in ('migration', 'policy', 'jobs_running', 'jobs_queued') $$,
	format($$ values ('migration', %L), ('policy', '2026-11-01'), ('jobs_queued', '0'), ('jobs_running', '2') $$,
		(select max(version) from supabase_migrations.schema_migrations)), 'the status');
select results_eq('select * from shotai.service_state()',
	$$ select max(version), '2026-11-01' from supabase_migrations.schema_migrations $$, 'the state of the service');
insert into shotai.policy_version values ('2027-01-01', now() + interval '1 day'), ('2026-11-15', now() - interval '1 minute');
select is((select policy_version from shotai.service_state()), '2026-11-15', 'the policy in force');
select is(audit(), null, 'the books are right');

select * from finish();
rollback;

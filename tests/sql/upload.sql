-- Uploads: admission with each refusal, confirmation, removal, references, deletion in time, tombstones.
begin;
\ir fixture.psql
select no_plan();
select no_outage();

create function fixture.upload_key() returns text language sql as $$
	select 'uploads/29000000/' || replace(gen_random_uuid()::text, '-', '')
$$;
create function fixture.ask(p_name text, p_key text default null, p_body text default 'picture', p_ttl integer default 1800)
returns table (problem text, retry_after integer, replayed boolean, id uuid, stored boolean, seconds integer) language sql as $$
	select problem, retry_after, replayed, id, content_type is not null,
		extract(epoch from expires_at::timestamptz - created_at::timestamptz)::integer
	from shotai.admit_upload(md5(p_name)::uuid, md5(p_name)::uuid, fixture.upload_key(), p_ttl, p_key, fixture.hash(p_body))
$$;
create function fixture.confirm(p_name text, p_id uuid) returns text language sql as $$
	select coalesce(problem, content_type || ' ' || width || 'x' || height || ' ' || bytes)
	from shotai.confirm_upload(md5(p_name)::uuid, p_id, 'image/png', 640, 480, 1000)
$$;
-- A stored upload that ends in so many seconds.
create function fixture.uploaded(p_name text, p_seconds integer default 1800) returns uuid language plpgsql as $$
declare
	v_id uuid := (select id from fixture.ask(p_name));
begin
	perform fixture.confirm(p_name, v_id);
	update shotai.upload
	set created_at = n.ends - interval '30 minutes', expires_at = n.ends, due_at = n.ends
	from (select clock_timestamp() + p_seconds * interval '1 second' as ends) n
	where id = v_id;
	return v_id;
end
$$;
create function fixture.refer(p_name text, p_ids uuid[], p_model text default 'gpt-image-2') returns text language sql as $$
	select coalesce(problem, 'admitted')
	from shotai.admit_generation(md5(p_name)::uuid, md5(p_name)::uuid, p_model, 'x', null, 1, null, p_ids, null, fixture.hash('x'))
$$;
create function fixture.remove(p_name text, p_id uuid) returns text language sql as $$
	select coalesce(problem, key) from shotai.remove_upload(md5(p_name)::uuid, md5(p_name)::uuid, p_id)
$$;
create function fixture.key_of(p_id uuid) returns text language sql as $$ select key from shotai.upload where id = p_id $$;

update shotai.plan set upload_burst = 100;

-- Who may
select person('anna', 100), person('bert', 100), person('sam'), signed_up('young'), signed_up('anonymous', true, true);
select shotai.restrict_account(md5('sam')::uuid, true, 'test', 'test');
select is((select problem from ask('nobody')), 'unauthenticated', 'no such user');
select is((select problem from shotai.admit_upload(md5('anna')::uuid, md5('gone')::uuid, upload_key(), 1800, null, hash('x'))), 'unauthenticated', 'no such session');
select is((select problem from ask('anonymous')), 'anonymous_not_allowed', 'anonymous');
select is((select problem from ask('sam')), 'account_suspended', 'suspended');
select is((select problem from ask('young')), 'age_confirmation_required', 'age unknown');
select is((select count(*)::integer from shotai.upload), 0, 'a refusal leaves nothing');

-- From admission to confirmation
select id as u from ask('anna') \gset
select is(seconds, 1800, 'half an hour') from ask('anna');
select is(seconds, 5, 'or less') from ask('anna', p_ttl => 5);
select is(seconds, 1800, 'never more') from ask('anna', p_ttl => 86400);
select is(seconds, 1, 'nor nothing') from ask('anna', p_ttl => 0);
select is(refer('anna', array[:'u'::uuid]), 'upload_unknown', 'before it is confirmed nobody can name it');
select is(remove('anna', :'u'), 'not_found', 'nor remove it');
select is(confirm('bert', :'u'), 'storage_unavailable', 'nor can anybody else confirm it');
select is(confirm('anna', :'u'), 'image/png 640x480 1000', 'confirmed');
select is(confirm('anna', :'u'), 'image/png 640x480 1000', 'also twice');
select is(refer('anna', array[:'u'::uuid]), 'admitted', 'then it is a reference');
select is((select upload_ids from shotai.generation where account = account('anna')), array[:'u'::uuid], 'that the generation names');
update shotai.account set status = 'suspended' where id = account('anna');
select id as late from shotai.upload where account = account('anna') and stored_at is null limit 1 \gset
select is(confirm('anna', :'late'), 'account_suspended', 'not for who was suspended meanwhile');
update shotai.account set status = 'active' where id = account('anna');
select throws_ok($$ insert into shotai.upload (key, created_at, expires_at, due_at) values (fixture.upload_key(), now(), now() + interval '31 minutes', now()) $$,
	'23514', null, 'no row can promise more than half an hour');

-- What is abandoned
select id as bad from ask('anna', 'key') \gset
select lives_ok(format('select shotai.abandon_upload(%L, %L, true)', md5('bert')::uuid, :'bad'), 'somebody else cannot abandon it');
select ok(exists (select from shotai.upload where id = :'bad'), 'it is still there');
select shotai.abandon_upload(md5('anna')::uuid, :'bad', true);
select ok(not exists (select from shotai.upload where id = :'bad'), 'a bad picture leaves no row');
select ok(not exists (select from shotai.idempotency where key = 'key'), 'and no key');
select id as half from ask('anna') \gset
select shotai.abandon_upload(md5('anna')::uuid, :'half', false);
select ok(key is not null and deleted_at is null and due_at <= clock_timestamp(), 'an object that may be there is due at once') from shotai.upload where id = :'half';
select is(confirm('anna', :'half'), 'storage_unavailable', 'and never confirmed');
select shotai.abandon_upload(md5('anna')::uuid, :'u', true);
select ok(exists (select from shotai.upload where id = :'u'), 'what is confirmed cannot vanish');

-- Keys
select id as first from ask('anna', 'again') \gset
select results_eq($$ select problem, retry_after from ask('anna', 'again') $$, $$ values ('idempotency_in_progress', 1) $$, 'the first one is still at it');
select is((select problem from ask('anna', 'again', 'other')), 'idempotency_key_reused', 'another picture');
select confirm('anna', :'first');
select results_eq($$ select problem, replayed, id, stored from ask('anna', 'again') $$, format($$ values (null::text, true, %L::uuid, true) $$, :'first'), 'replayed');
select is((select replayed from ask('bert', 'again')), false, 'a key is its account''s');
select is((select count(*)::integer from shotai.upload where account = account('bert')), 1, 'who gets one of his own');
update shotai.upload set expires_at = clock_timestamp(), due_at = clock_timestamp() where id = :'first';
select ok(not replayed and id <> :'first', 'once it has ended the key makes a new one') from ask('anna', 'again', 'other');
select is((select count(*)::integer from shotai.idempotency where key = 'again' and account = account('anna')), 1, 'under the same key');
update shotai.upload set created_at = created_at - interval '90 seconds', expires_at = expires_at - interval '90 seconds' where id = (select created from shotai.idempotency where key = 'again' and account = account('anna'));
select is((select problem from ask('anna', 'again', 'third')), null, 'as it does when the first one was never confirmed');

-- Limits
select person('carl', 10);
update shotai.plan set upload_burst = 2, upload_per_minute = 1, uploads_max = 100;
select is((select count(*)::integer from (select (ask('carl')).*  from generate_series(1, 2)) a where problem is null), 2, 'the burst');
select ok(problem = 'rate_limited' and retry_after between 55 and 60, 'then a minute each') from ask('carl');
select ok(problem = 'rate_limited', 'a refusal costs nothing more') from ask('carl');
update shotai.plan set upload_burst = 100, upload_per_minute = 20, uploads_max = 3;
select is((select problem from ask('carl')), null, 'a third one');
update shotai.upload set expires_at = clock_timestamp() + interval '100 seconds' where id = (select id from shotai.upload where account = account('carl') limit 1);
select ok(problem = 'rate_limited' and retry_after between 98 and 100, 'a fourth one when one of them ends') from ask('carl');
select count(*) from shotai.bury_uploads(array(select id from shotai.upload where account = account('carl')));
select is((select problem from ask('carl')), null, 'tombstones do not count');
update shotai.plan set uploads_max = 1000;

-- References
select uploaded('anna') as r1, uploaded('anna') as r2, uploaded('anna', 0) as ended, uploaded('bert') as foreign \gset
select is(refer('anna', array[:'r1', :'r2']::uuid[]), 'admitted', 'several');
select is(refer('anna', array[:'r1', :'foreign']::uuid[]), 'upload_unknown', 'somebody else''s is unknown');
select is(refer('anna', array[:'ended']::uuid[]), 'upload_expired', 'refused once it has ended, though not deleted yet');
select ok(key is not null, 'it really is not') from shotai.upload where id = :'ended';
select is(refer('anna', array[:'ended', gen_random_uuid()]::uuid[]), 'upload_unknown', 'unknown goes first');
select is(refer('anna', array[:'r1', :'r2']::uuid[], 'gpt-image-1-mini'), 'invalid_request', 'as many as the model takes');
select is(balance('anna'), 88::bigint, 'what was refused cost nothing');
select count(*) from shotai.claim_jobs('worker', 1000, 20);
select id as g from shotai.generation where upload_ids = array[:'r1', :'r2']::uuid[] \gset
select results_eq(format($$ select held, key, content_type, bytes from shotai.job_references(%L, 1) $$, :'g'),
	format($$ values (true, %L, 'image/png', 1000::bigint), (true, %L, 'image/png', 1000::bigint) $$, key_of(:'r1'), key_of(:'r2')), 'the worker gets them in order');
select results_eq(format($$ select held, key from shotai.job_references(%L, 2) $$, :'g'), $$ values (false, null::text) $$, 'while it holds the job');
update shotai.upload set expires_at = clock_timestamp() where id = :'r2';
select is((select array_agg(key is null) from shotai.job_references(:'g', 1)), '{f,t}', 'one that has ended it does not get');

-- Removal
select key_of(:'r1') as key \gset
select is(remove('bert', :'r1'), 'not_found', 'nobody else''s');
select is((select problem from shotai.remove_upload(md5('anna')::uuid, md5('gone')::uuid, :'r1')), 'unauthenticated', 'nor without a session');
select is(remove('anna', :'r1'), :'key', 'the key is given out');
select is(refer('anna', array[:'r1']::uuid[]), 'upload_expired', 'and the upload is out of use at once');
select due_at as due from shotai.upload where id = :'r1' \gset
select is(remove('anna', :'r1'), :'key', 'again, while it is not gone');
select is(due_at, :'due'::timestamptz, 'which does not put the worker off') from shotai.upload where id = :'r1';
select shotai.finish_removal(md5('bert')::uuid, :'r1');
select ok(deleted_at is null, 'only he may say that it is gone') from shotai.upload where id = :'r1';
select shotai.finish_removal(md5('anna')::uuid, :'foreign'), shotai.finish_removal(md5('anna')::uuid, :'u');
select is((select count(*)::integer from shotai.upload where id in (:'foreign', :'u') and deleted_at is null), 2, 'and only of what was removed');
select shotai.finish_removal(md5('anna')::uuid, :'r1');
select ok(deleted_at is not null and num_nonnulls(key, content_type, width, height, bytes) = 0 and account is not null, 'a tombstone holds the times') from shotai.upload where id = :'r1';
select is(remove('anna', :'r1'), 'not_found', 'what is gone is gone');
select is(refer('anna', array[:'r1']::uuid[]), 'upload_expired', 'and still known as such');

-- Deletion in time
delete from shotai.upload;
select uploaded('anna') as young, uploaded('anna', 0) as old, uploaded('anna', -20) as older \gset
select id as writing from ask('anna') \gset
update shotai.upload set created_at = created_at - interval '91 seconds', expires_at = expires_at - interval '91 seconds', due_at = due_at - interval '91 seconds' where id = :'writing';
select key_of(:'old') as k1, key_of(:'older') as k2, key_of(:'writing') as k3, key_of(:'young') as k4 \gset
select bag_eq($$ select id, key from shotai.claim_due_uploads(2) $$, format($$ values (%L::uuid, %L::text), (%L::uuid, %L::text) $$, :'older', :'k2', :'writing', :'k3'), 'what ended or was never confirmed, the oldest first');
select bag_eq($$ select id, key from shotai.claim_due_uploads(10) $$, format($$ values (%L::uuid, %L::text) $$, :'old', :'k1'), 'then the rest');
select is((select count(*)::integer from shotai.claim_due_uploads(10)), 0, 'nothing is offered twice at a time');
select is(confirm('anna', :'writing'), 'storage_unavailable', 'what was offered is not confirmed any more');
update shotai.upload set due_at = due_at - interval '5 seconds' where id = :'older';
select is((select id from shotai.claim_due_uploads(10)), :'older'::uuid, 'but again after a while');
select shotai.release_uploads(array[:'old', :'young']::uuid[]);
select bag_eq($$ select id from shotai.claim_due_uploads(10) $$, format($$ values (%L::uuid) $$, :'old'), 'or when it is given back, which says nothing of what has not ended');
select results_eq($$ select live, overdue, deleted_24h from shotai.upload_state() $$, $$ values (4::bigint, 3::bigint, 0::bigint) $$, 'the state');
select ok(lag between 20 and 25, 'and how late it is') from shotai.upload_state();
select ok(deleted = 3 and lag between 20 and 25, 'buried, with the worst lag') from shotai.bury_uploads(array[:'old', :'older', :'writing']::uuid[]);
select is((select deleted from shotai.bury_uploads(array[:'old', :'older']::uuid[])), 0::bigint, 'once');
select ok(live = 1 and overdue = 0 and lag = 0 and deleted_24h = 3 and worst_lag_24h between 20 and 25, 'the state after') from shotai.upload_state();
select results_eq($$ select name, value from shotai.operator_status() where name in ('uploads_live', 'uploads_overdue', 'uploads_deleted_24h') $$,
	$$ values ('uploads_live', '1'), ('uploads_overdue', '0'), ('uploads_deleted_24h', '3') $$, 'operators see it');
select results_eq($$ select name, value from shotai.metrics() where name in ('uploads_live', 'uploads_deleted_24h', 'jobs_running') $$,
	$$ values ('jobs_running', 2::double precision), ('uploads_live', 1), ('uploads_deleted_24h', 3) $$, 'and what monitors it');

-- The sweep of objects
select bag_eq(format($$ select * from shotai.unowned_uploads(array[%L, %L, 'uploads/1/2', 'gen/x'], '{}') $$, :'k4', :'k1'),
	format($$ values (%L), ('uploads/1/2') $$, :'k1'), 'objects without a live row, below uploads/ only');
select is((select count(*)::integer from shotai.claim_due_uploads(10)), 0, 'the young one stays');
select is((select count(*)::integer from shotai.unowned_uploads(array[:'k4'], array[:'k4'])), 0, 'an old object with a row');
select is((select id from shotai.claim_due_uploads(10)), :'young'::uuid, 'is due');

-- Tombstones go after 30 days
update shotai.upload set deleted_at = clock_timestamp() - interval '30 days' where id = :'old';
update shotai.upload set deleted_at = clock_timestamp() - interval '29 days' where id = :'older';
select is((select pruned from shotai.prune_uploads()), 1::bigint, 'after 30 days');
select ok(exists (select from shotai.upload where id = :'older'), 'not before');

-- Erasure
select uploaded('bert') as b, uploaded('bert', 0) as gone \gset
select count(*) from shotai.bury_uploads(array[:'gone']::uuid[]);
select account('bert') as bert \gset
select erase(:bert);
select is((select count(*)::integer from shotai.upload where account = :bert), 0, 'none is his any more');
select is((select count(*)::integer from shotai.upload where id = :'b' and key is null and deleted_at is not null), 1, 'the object goes at once');
select ok(deleted_at is not null, 'the tombstone stays') from shotai.upload where id = :'gone';
select is(audit(), null, 'the books are right');

select * from finish();
rollback;

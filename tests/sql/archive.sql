-- Archives: who may order how many, and that nothing of them is lost or left behind.
begin;
\ir fixture.psql
select no_plan();

select fixture.no_outage();
select fixture.person('anna', 100);
select fixture.person('bert', 100);
update shotai.plan set archive_burst = 100;
create table fixture.made (name text primary key, id uuid);
insert into fixture.made select 'first', fixture.claimed('anna');
insert into fixture.made select 'second', fixture.claimed('anna');
insert into fixture.made select 'bert''s', fixture.claimed('bert');
create function fixture.made(p_name text) returns uuid language sql as 'select id from fixture.made where name = p_name';
create function fixture.key(p_letter text) returns text language sql as $$ select 'archives/' || repeat(p_letter, 32) $$;

-- What was asked for: its id, or the problem.
create function fixture.order(p_name text, p_ids uuid[], p_key text default null, p_body text default 'body') returns text language sql as $$
	select coalesce(a.problem, a.id::text)
	from shotai.create_archive(md5(p_name)::uuid, md5(p_name)::uuid, p_ids, p_key, fixture.hash(p_body)) a
$$;
create function fixture.look(p_name text, p_id text) returns text language sql as $$
	select coalesce(a.problem, a.status || coalesce(' ' || a.key, ''))
	from shotai.get_archive(md5(p_name)::uuid, md5(p_name)::uuid, p_id::uuid) a
$$;
create function fixture.doomed(p_key text) returns boolean language sql as 'select exists (select from shotai.object_deletion where key = p_key)';
create function fixture.lapse_archive() returns void language sql as $$
	update shotai.archive set lease_until = clock_timestamp() - interval '1 second' where lease_until is not null;
	update shotai.archive set not_before = clock_timestamp();
$$;

-- Who may
select is((select problem from shotai.create_archive(md5('anna')::uuid, gen_random_uuid(), null, null, fixture.hash(''))), 'unauthenticated',
	'without a session nothing is ordered');
select is(fixture.order('anna', array[fixture.made('first'), fixture.made('bert''s')]), 'not_found', 'nor what is another''s');
select is(fixture.order('anna', array[gen_random_uuid()]), 'not_found', 'nor what nobody has');
savepoint deleted;
update shotai.generation set status = 'failed', finished_at = now() where id = fixture.made('second');
select ok((select problem is null from shotai.delete_generations(md5('anna')::uuid, md5('anna')::uuid, array[fixture.made('second')], true)));
select is(fixture.order('anna', array[fixture.made('second')]), 'not_found', 'nor what is deleted');
rollback to deleted;
select is((select count(*)::integer from shotai.archive), 0, 'none of these made a row');
savepoint suspended;
update shotai.account set status = 'suspended' where id = fixture.account('anna');
select matches(fixture.order('anna', null), '^[0-9a-f-]{36}$', 'who is suspended takes his with him');
update shotai.account set status = 'closed' where id = fixture.account('anna');
select is(fixture.order('anna', null), 'account_suspended', 'who is closed does not');
rollback to suspended;

-- How many
create table fixture.whole as select fixture.order('anna', null, 'k') as id;
select matches(id, '^[0-9a-f-]{36}$', 'the whole account') from fixture.whole;
select is(fixture.order('anna', null, 'k'), id, 'the same key answers with the same') from fixture.whole;
select is(fixture.order('anna', array[fixture.made('first')], 'k', 'other'), 'idempotency_key_reused', 'another body does not');
select is(fixture.order('anna', null), 'rate_limited', 'a second one the same day');
select cmp_ok((select retry_after from shotai.create_archive(md5('anna')::uuid, md5('anna')::uuid, null, null, fixture.hash(''))), '>', 86000,
	'which says how long to wait');
select is((select count(*)::integer from generate_series(1, 10) n where fixture.order('anna', array[fixture.made('first')]) ~ '-'), 10,
	'ten of chosen ones');
select is(fixture.order('anna', array[fixture.made('first')]), 'rate_limited', 'an eleventh');
update shotai.archive set created_at = created_at - interval '1 day';
select matches(fixture.order('anna', array[fixture.made('first')]), '-', 'the next day again');
select matches(fixture.order('bert', null), '-', 'another''s do not count');
savepoint failing;
select shotai.fail_archive(id::uuid) from fixture.whole;
delete from shotai.rate_state;
update shotai.archive set created_at = clock_timestamp();
select matches(fixture.order('anna', null), '-', 'nor does one that failed');
rollback to failing;
savepoint tokens;
update shotai.plan set archive_burst = 1, archive_per_minute = 1;
delete from shotai.rate_state;
select is(fixture.order('bert', array[gen_random_uuid()]), 'not_found', 'a refusal takes its token');
select is(fixture.order('bert', array[fixture.made('bert''s')]), 'rate_limited', 'so the next has none');
rollback to tokens;

-- Who sees it
select is(fixture.look('anna', id), 'pending', 'its owner looks') from fixture.whole;
select is(fixture.look('bert', id), 'not_found', 'nobody else does') from fixture.whole;

-- Making one
delete from shotai.archive where id::text not in (select id from fixture.whole);
select results_eq(format('select id::text, whole from shotai.claim_archive(%L)', fixture.key('a')), 'select id, true from fixture.whole',
	'it is claimed');
select is((select count(*)::integer from shotai.claim_archive(fixture.key('b'))), 0, 'once');
select is(fixture.look('anna', id), 'pending', 'and no object is shown yet') from fixture.whole;
select is((select problem from shotai.archive_page((select id::uuid from fixture.whole), fixture.key('b'), null, 10)), 'not_found',
	'under another key nothing is told');
select fixture.lapse_archive();
select is((select held from shotai.renew_archive((select id::uuid from fixture.whole), fixture.key('a'))), true, 'a late renewal counts');
select fixture.lapse_archive();
select is((select count(*)::integer from shotai.claim_archive(fixture.key('b'))), 1, 'without one it is claimed again');
select ok(fixture.doomed(fixture.key('a')), 'and what the first attempt stored goes');
select is((select held from shotai.renew_archive((select id::uuid from fixture.whole), fixture.key('a'))), false, 'who is late hears of it');
select is((select held from shotai.finish_archive((select id::uuid from fixture.whole), fixture.key('a'), 10)), false, 'at the end, too');
select shotai.release_archive((select id::uuid from fixture.whole), fixture.key('b'), true);
select is((select count(*)::integer from shotai.claim_archive(fixture.key('c'))), 0, 'a postponed one waits');
select fixture.lapse_archive();
select is((select count(*)::integer from shotai.claim_archive(fixture.key('c'))), 1, 'and is claimed later');
savepoint attempts;
select fixture.lapse_archive();
select is((select count(*)::integer from shotai.claim_archive(fixture.key('d'))), 1, 'a third attempt that counts');
select fixture.lapse_archive();
select is((select count(*)::integer from shotai.claim_archive(fixture.key('e'))), 0, 'is the last');
select is(fixture.look('anna', id), 'failed', 'then it failed') from fixture.whole;
select ok(fixture.doomed(fixture.key('d')), 'and leaves nothing');
rollback to attempts;
select is((select held from shotai.finish_archive((select id::uuid from fixture.whole), fixture.key('c'), 10)), true, 'it is done');
select is((select held from shotai.finish_archive((select id::uuid from fixture.whole), fixture.key('c'), 10)), true, 'also when the answer was lost');
select is(fixture.look('anna', id), 'ready ' || fixture.key('c'), 'and shown') from fixture.whole;

-- Its object
select is((select array_agg(u.key) from shotai.unnamed_objects(array[fixture.key('c'), fixture.key('a'), 'uploads/x']) u), array[fixture.key('a')],
	'only what a row names is to be there');
select results_eq(format('select problem, content_type, kind, filename from shotai.authorize_file(%L)', fixture.key('c')),
	$$ values (null::text, 'application/zip', 'archive', to_char((now() - interval '1 day') at time zone 'UTC', '"shotai-"YYYY-MM-DD".zip"')) $$, 'it may be fetched');
select is((select problem from shotai.authorize_file(fixture.key('a'))), 'not_found', 'an earlier one may not');
savepoint closed;
update shotai.account set status = 'closed' where id = fixture.account('anna');
select is((select problem from shotai.authorize_file(fixture.key('c'))), 'not_found', 'nor that of a closed account');
rollback to closed;
savepoint erased;
select ok(fixture.key('c') = any ((shotai.erase_pictures(fixture.account('anna'), '{}')).keys), 'erasure names its object');
select ok(not fixture.key('c') = any ((shotai.erase_pictures(fixture.account('anna'), array[fixture.key('c')])).keys), 'until that is gone');
select is((select count(*)::integer from shotai.archive where account = fixture.account('anna')), 0, 'and the row with it');
rollback to erased;
update shotai.archive set expires_at = clock_timestamp() where key = fixture.key('c');
select is((select problem from shotai.authorize_file(fixture.key('c'))), 'not_found', 'from its end on it may not be fetched');
select is(fixture.look('anna', id), 'not_found', 'nor looked at') from fixture.whole;
select is(fixture.order('anna', null, 'k'), 'not_found', 'nor found by the key that ordered it');
select is(shotai.sweep_archives(), 1::bigint, 'and it goes');
select ok(fixture.doomed(fixture.key('c')), 'with its object');

select * from finish();
rollback;

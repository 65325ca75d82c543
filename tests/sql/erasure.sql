-- Erasure: who may ask, what happens at once, every step, holds, the journal and its replay.
begin;
\ir fixture.psql
select no_plan();

create function fixture.ask(p_name text, p_ago interval default '1 minute') returns text language sql as $$
	select coalesce(problem, erasure_id::text) from shotai.request_erasure(md5(p_name)::uuid, md5(p_name)::uuid,
		case when p_ago is null then 0 else extract(epoch from clock_timestamp() - p_ago)::bigint end)
$$;
create function fixture.state(p_id uuid) returns text language sql as $$
	select coalesce(max(problem), max(status)) from shotai.erasure_state(p_id)
$$;
-- The steps of an erasure that are done, with their counts.
create function fixture.done(p_id uuid) returns text language sql as $$
	select string_agg(step || '=' || count, ' ' order by position) from shotai.erasure_step where erasure = p_id and done_at is not null
$$;
-- One call of a step.
create function fixture.part(p_id uuid, p_step text, p_done text[] default '{}') returns text[] language sql as $$
	select array_agg(item order by item) from shotai.erase_step(p_id, p_step, p_done)
$$;

-- Who may ask
select no_outage();
select person('anna', 100);
select claimed('anna', 2) as running \gset
select call(:'running', 1, 0, 2), settle(:'running', 0);
select claimed('anna') as made \gset
select call(:'made'), settle(:'made', 0);
select held from shotai.finish_generation(:'made', 1, null, null);
select admit('anna', 1, 'gpt-image-1-mini', 'key') as queued \gset
select account('anna') as anna \gset
select is(ask('anna', '11 minutes'), 'reauthentication_required', 'a sign-in of long ago is not enough');
select is(ask('anna', null), 'reauthentication_required', 'nor one of which nothing is known');
select is((select problem from shotai.request_erasure(md5('anna')::uuid, gen_random_uuid(), 9999999999)), 'unauthenticated', 'nor a session that has ended');
select is(status, 'active', 'nothing was done') from shotai.account where id = :anna;
select ask('anna') as first \gset
select is(ask('anna', '11 minutes'), :'first', 'who asks again gets the same answer');

-- At once
select results_eq(format('select status, balance, unfinished from shotai.account where id = %s', :anna),
	$$ values ('closed', 96::bigint, 0) $$, 'what was not delivered came back, the row is locked');
select is(status(:'queued'), 'canceled', 'what was queued is cancelled');
select is(status(:'running'), 'failed', 'what ran has failed');
select is((select held from shotai.settle_image(:'running', 1, 1, 'x', 'y', 1, 1, 'image/png', 1)), false, 'its worker changes nothing any more');
select is((select problem from shotai.get_account(md5('anna')::uuid, md5('anna')::uuid)), 'account_suspended', 'the token opens nothing');
select is((select problem from shotai.get_generation(md5('anna')::uuid, :'queued')), 'not_found', 'and sees nothing');
select is((select count(*)::integer from shotai.list_generations(md5('anna')::uuid, 20, null, null)), 0, 'nor in the list');
select is((select count(*)::integer from shotai.list_credit_entries(md5('anna')::uuid, 20, null)), 0, 'nor in the ledger');
select is((select problem from shotai.authorize_file(format('gen/%s/0-1', :'made'))), 'not_found', 'nor by a link');
select is(admit('anna'), 'account_suspended', 'and makes nothing');
select is(state(:'first'), 'pending', 'the receipt says so');

-- The journal comes first.
select is((select count(*)::integer from shotai.claim_erasure()), 0, 'no worker begins before the journal tells it');
select is(part(:'first', 'prompts'), null, 'nor does a step');
select is(done(:'first'), null, 'none is done');
select key, line from shotai.journal_next() \gset
select is(:'line', 'user ' || hash(md5('anna')::uuid::text), 'the journal names nobody who can be recognised');
select results_eq('select key, line from shotai.journal_next()', format('values (%L, %L)', :'key', :'line'), 'it is offered until it is told');
select shotai.journal_told(:'key');
select is((select count(*)::integer from shotai.journal_next()), 0, 'once');
select is(done(:'first'), 'journal=1', 'the first step is done');

-- The steps, in order and each again
select is((select array_agg(step) from shotai.claim_erasure() where erasure = :'first'),
	'{subscriptions,shares,pictures,uploads,prompts,records,payments,sign_in}', 'a worker takes the rest');
select is((select count(*)::integer from shotai.claim_erasure()), 0, 'no other one does');
select is(part(:'first', 'sign_in'), null, 'the last step waits for the others');
select is(cardinality(part(:'first', 'pictures')), 4, 'pictures and thumbnails of both');
select is(cardinality(part(:'first', 'pictures')), 4, 'named again when they were not taken away');
select is(done(:'first'), 'journal=1', 'and not done');
select is(part(:'first', 'pictures', array(select unnest(part(:'first', 'pictures')))), null, 'gone');
select is((select count(*)::integer from shotai.image i join shotai.generation g on g.id = i.generation where g.account = :anna), 0, 'with their rows');
select is(part(:'first', 'subscriptions'), null, 'no subscription');
select is(part(:'first', 'shares'), null, 'nor shares');
select is(part(:'first', 'uploads'), null, 'nor uploads');
select is(part(:'first', 'prompts'), array[null], 'some prompts, perhaps more');
select is(part(:'first', 'prompts'), null, 'no more');
select is(part(:'first', 'records'), null, 'keys and limits');
select is(part(:'first', 'payments'), null, 'and payments');
select is(done(:'first'), 'journal=1 subscriptions=0 shares=0 pictures=2 uploads=0 prompts=3 records=2 payments=0', 'all is counted');
select value from shotai.watch_accounts(clock_timestamp()) where name = 'failed' \gset watch_
select is(:watch_value, 0, 'the watch looks at the minute before');
select is((select count(*)::integer from shotai.baseline where account = :anna), 0, 'but learns nothing more of who is erased');
select is((select p.finished from shotai.postpone_erasure(:'first', 'sign_in: auth_unavailable') p), false, 'what waits is not finished');
select is((select why from shotai.list_erasures(true, 10)), 'sign_in: auth_unavailable', 'operators see what it waits for');
select ok(not_before > clock_timestamp(), 'a failure is tried later') from shotai.erasure where id = :'first';
insert into shotai.mail_outbox (account, cause, message_id, kind, body) values (:anna, 'support:late', 'late', 'support', 'just before I went');
select is(part(:'first', 'sign_in'), array[md5('anna')::uuid::text], 'then the user');
select is(part(:'first', 'sign_in', array[md5('anna')::uuid::text]), null, 'of whom Auth said that he is gone');
select is(state(:'first'), 'pending', 'which counts once he is');
delete from auth.users where id = md5('anna')::uuid;
select is(part(:'first', 'sign_in', array[md5('anna')::uuid::text]), null, 'he is');
select is(state(:'first'), 'done', 'done');
select is((select p.finished from shotai.postpone_erasure(:'first', null) p), true, 'and whoever did it is told');
select results_eq(format('select user_id, status, locale, age_confirmed_at from shotai.account where id = %s', :anna),
	$$ values (null::uuid, 'closed', 'en', null::timestamptz) $$, 'nothing but a pseudonym is left');
select is((select user_id from shotai.erasure where id = :'first'), null, 'in the receipt too');
select is((select count(*)::integer from shotai.mail_outbox where account = :anna), 0, 'nor what was recorded a little later');
select is((select problem from shotai.get_account(md5('anna')::uuid, md5('anna')::uuid)), 'unauthenticated', 'an old token opens nothing');
select is(audit(), null, 'the books are right');
update shotai.erasure set finished_at = finished_at - interval '30 days' where id = :'first';
select is(state(:'first'), 'not_found', 'a receipt is shown for 30 days');
select is(state(gen_random_uuid()), 'not_found', 'and only by its id');

-- Nobody with books: nothing is left.
select signed_up('fresh');
select ask('fresh') as fresh \gset
select account('fresh') as fresh_account \gset
select erase(:fresh_account);
select is((select count(*)::integer from shotai.account where id = :fresh_account), 0, 'an account without books goes altogether');
select is(state(:'fresh'), 'done', 'its receipt stays');

-- What Creem told of a buyer that came to nothing here
select person('buyer');
insert into shotai.creem_link (kind, id, account) values ('customer', 'cust_buyer', account('buyer'));
insert into shotai.creem_event (id, type, state, raw) values ('evt_buyer', 'checkout.completed', 'ignored', '{"object":{"id":"ch","customer":"cust_buyer"}}'),
	('evt_other', 'checkout.completed', 'ignored', '{"object":{"id":"ch","customer":"cust_other"}}');
select account('buyer') as buyer \gset
select ask('buyer');
select erase(:buyer);
select is((select array_agg(raw #>> '{object,customer}' order by id) from shotai.creem_event where id in ('evt_buyer', 'evt_other')), '{NULL,cust_other}', 'forgets the buyer, too');

-- A legal hold
select person('held');
select changed from shotai.set_hold(md5('held')::uuid, true, 'court order 7', 'op');
select is(status, 'active', 'a hold locks nobody') from shotai.account where id = account('held');
select ask('held') as held \gset
select is(status, 'closed', 'the request does') from shotai.account where id = account('held');
select is(state(:'held'), 'held', 'the receipt says why nothing more happens');
select shotai.journal_told((select min(key) from shotai.journal_next()));
select is((select count(*)::integer from shotai.claim_erasure()), 0, 'no worker takes it');
select is(part(:'held', 'records'), null, 'one that has it takes nothing away');
select is(done(:'held'), 'journal=1', 'though the journal knows it');
select is((select problem from shotai.set_hold(md5('held')::uuid, false, '', 'op')), 'invalid_request', 'a basis must be given');
select is((select problem from shotai.set_hold(gen_random_uuid(), true, 'x', 'op')), 'not_found', 'and somebody');
select is((select erasure_id from shotai.set_hold(md5('held')::uuid, false, 'order lifted', 'op')), :'held', 'lifted');
select is((select array_agg(action order by id) from shotai.operator_log where account = account('held')), '{set_hold,lift_hold}', 'both are in the log');
select is((select count(distinct erasure)::integer from shotai.claim_erasure()), 1, 'then it goes on');
select erase(account('held'));
select is(state(:'held'), 'done', 'to the end');

-- Disclosure
select person('told');
select is((select problem from shotai.disclose(md5('told')::uuid, '', 'op')), 'invalid_request', 'nothing without a basis');
select is((select record::jsonb - 'disclosed_at' - 'account' - 'disclosure' from shotai.disclose(md5('told')::uuid, 'order 8', 'op')),
	jsonb_build_object('basis', 'order 8', 'user_id', md5('told')::uuid, 'email', 'told@example.nl', 'payments', '[]'::jsonb), 'no more than who it is and what was paid');
select is(value, '1', 'counted') from shotai.operator_status() where name = 'disclosures';
select is((select reason from shotai.operator_log where action = 'disclose'), 'order 8', 'and logged');
set local enable_seqscan = off;
select coalesce(sum(seq_scan), 0) as scans from pg_stat_xact_all_tables where relid = 'auth.users'::regclass \gset
select is(email, 'told@example.nl', 'an id finds its user') from shotai.auth_find(md5('told')::uuid::text);
select is(coalesce(sum(seq_scan), 0)::integer, :scans, 'without looking at all of them') from pg_stat_xact_all_tables where relid = 'auth.users'::regclass;
reset enable_seqscan;

-- Users who vanished
select person('lost', 5), person('kept');
select account('lost') as lost \gset
select is((select sum(vanished)::integer from shotai.erase_vanished(0, 10000, 20)), 0, 'nobody is missing');
delete from auth.users where id = md5('lost')::uuid;
select is((select vanished from shotai.erase_vanished(0, 10000, 0)), 0::bigint, 'at most so many at once');
select is((select vanished from shotai.erase_vanished(0, 10000, 20)), 1::bigint, 'one is');
select is((select array_agg(cause) from shotai.erasure where account = :lost), '{vanished}', 'he is erased');
select is((select last from shotai.erase_vanished((select max(id) from shotai.account), 10000, 20)), null, 'after the last there is nobody');
select erase(:lost);
select is(user_id, null, 'to the end') from shotai.account where id = :lost;
create temporary table everybody as select * from auth.users;
delete from auth.users;
select is((select vanished from shotai.erase_vanished(0, 10000, 20)), 0::bigint, 'when all are missing it is not they who went');
insert into auth.users (id, email, is_anonymous) select id, email, is_anonymous from everybody;

-- A single deletion, and what a restored backup does again
select person('ben', 50), person('cleo', 50);
select claimed('ben') as one \gset
select call(:'one'), settle(:'one', 0);
select held from shotai.finish_generation(:'one', 1, null, null);
select admit('ben') as two \gset
select problem from shotai.delete_generations(md5('ben')::uuid, md5('ben')::uuid, array[:'one'::uuid], true);
select is((select array_agg(line) from shotai.journal_next()), array['generation ' || :'one'], 'the journal tells what was deleted');
select shotai.journal_told((select min(key) from shotai.journal_next()));
-- Another journal, of a time that this database does not know.
select is((select array_agg(key) from shotai.journal_unknown(array['journal/9', (select max(key) from shotai.journal)])), '{journal/9}', 'an object without a row is unknown');
create temporary table lines as select array['user ' || hash(md5('cleo')::uuid::text), 'user ' || hash('nobody'), 'generation ' || :'one',
	'generation ' || :'two', 'generation ' || gen_random_uuid(), 'something else'] as lines;
select results_eq($$ select * from shotai.replay_journal('journal/9', (select lines from lines), true) $$, 'values (1::bigint, 1::bigint)', 'a dry run counts');
select is(status, 'active', 'and does nothing') from shotai.account where id = account('cleo');
select results_eq($$ select * from shotai.replay_journal('journal/9', (select lines from lines), false) $$, 'values (1::bigint, 1::bigint)', 'what is still there is closed and deleted');
select is(status, 'closed', 'who was erased') from shotai.account where id = account('cleo');
select results_eq(format('select status, prompt, deleted_at is not null from shotai.generation where id = %L', :'two'),
	$$ values ('failed', '', true) $$, 'what was deleted, whatever the backup caught it at');
select is((select count(*)::integer from shotai.journal_unknown(array['journal/9'])), 0, 'and the object is known');
select results_eq($$ select * from shotai.replay_journal('journal/9', (select lines from lines), false) $$, 'values (0::bigint, 0::bigint)', 'again there is nothing to do');
select is((select cause from shotai.erasure where account = account('cleo')), 'replay', 'operators see the cause');
savepoint nobody;
create or replace function shotai.journal_name(p_user_id uuid) returns text
language plpgsql immutable security definer set search_path = pg_catalog, shotai, pg_temp
as 'begin raise ''asked''; end';
select lives_ok($$ select shotai.replay_journal('journal/8', array['generation ' || gen_random_uuid()], false) $$, 'where nobody was erased no name is made of all users');
rollback to nobody;
select is(audit(), null, 'the books are right');

-- A checkout that Creem made while the account was being closed
insert into shotai.checkout (account, product) values (account('cleo'), 'monthly') returning id as late \gset
select is((select problem from shotai.open_checkout(:'late', 'ch_late', 'https://creem.io/ch_late')), 'account_suspended', 'nobody pays for a closed account');
select results_eq(format('select state, creem_id, url from shotai.checkout where id = %L', :'late'), $$ values ('retired', 'ch_late', null::text) $$, 'though a payment would be known');

-- A subscription that was made after all
select account('cleo') as cleo \gset
select problem from shotai.start_checkout(md5('ben')::uuid, md5('ben')::uuid, 'top-up-500', null, null);
select erase(:cleo);
select shotai.reopen_erasures();
select is((select count(*)::integer from shotai.erasure where account = :cleo and finished_at is null), 0, 'nothing is opened again');
insert into shotai.subscription (id, account, status) values ('sub_late', :cleo, 'active');
select shotai.reopen_erasures();
select is(part((select id from shotai.erasure where account = :cleo), 'subscriptions'), '{sub_late}', 'a late subscription is cancelled, too');
select is(part((select id from shotai.erasure where account = :cleo), 'subscriptions', '{sub_late}'), null, 'once');
select isnt(finished_at, null, 'and then it is done again') from shotai.erasure where account = :cleo;

select * from finish();
rollback;

-- Announcements, the links that end them, what bounces, and messages to support.
begin;
\ir fixture.psql
select no_plan();
select person(name) from unnest('{anna,bert,cleo,dora,emma,fred,gina,hugo}'::text[]) name;
update shotai.account set announcements = true where user_id <> md5('bert')::uuid;
update shotai.account set locale = 'nl' where id = account('cleo');
update shotai.account set status = 'suspended' where id = account('dora');
update shotai.account set age_confirmed_at = null where id = account('emma');
update auth.users set email_confirmed_at = null where id = md5('fred')::uuid;
update auth.users set banned_until = now() + interval '1 day' where id = md5('gina')::uuid;
create function fixture.recipients() returns text language sql as $$
	select string_agg(split_part(email, '@', 1), ' ' order by account) from shotai.announcement_recipients(0, 1000000)
$$;
select is(recipients(), 'anna cleo hugo', 'who wants it, is active, of age, confirmed and not banned');
select results_eq('select locale, people from shotai.count_recipients()', $$ values ('en', 2::bigint), ('nl', 1) $$, 'by language');
insert into shotai.mail_bounce (account, address_hash, kind, status)
select id, shotai.address_hash(id, 'hugo@example.nl'), 'refused', '550' from shotai.account where id = account('hugo');
select is(recipients(), 'anna cleo', 'and takes mail');

-- Started once, for whoever was there
select * from shotai.start_announcement(hash('file'), 'Subject', 'Body', 'Onderwerp', 'Tekst', 'test') \gset first_
select is(:'first_fresh'::boolean, true, 'a new file starts');
select results_eq(format('select id, fresh, state from shotai.start_announcement(hash(''file''), ''Subject'', ''Body'', ''Onderwerp'', ''Tekst'', ''test'')'),
	format('values (%s::bigint, false, ''sending'')', :first_id), 'the same one does not');
select person('late');
update shotai.account set announcements = true where id = account('late');

create function fixture.claimed_mails() returns text language sql as $$
	select string_agg(concat_ws(':', split_part(email, '@', 1), subject, body), ' ') from shotai.claim_mails(10)
$$;
select is(claimed_mails(), 'anna:Subject:Body', 'one at a time');
update shotai.pace set arrival = now() + interval '1 hour' where name = 'announcement';
select is(claimed_mails(), null, 'only so many a minute');
update shotai.pace set arrival = now() where name = 'announcement';
select results_eq('select state from shotai.move_announcement(1000000, ''paused'', ''test'')', array[null::text], 'there is no such announcement');
select is(state, 'paused', 'paused') from shotai.move_announcement(:first_id, 'paused', 'test');
select is(claimed_mails(), null, 'none while it is paused');
update shotai.mail_outbox set not_before = now() - interval '1 second', created_at = now() - interval '2 days';
select is(claimed_mails(), null, 'not even what had been claimed');
select is((select count(*)::integer from shotai.mail_outbox where state = 'waiting'), 1, 'which does not grow too old');
update shotai.mail_outbox set created_at = now();
select is(state, 'sending', 'resumed') from shotai.move_announcement(:first_id, 'sending', 'test');
select is(claimed_mails(), 'anna:Subject:Body cleo:Onderwerp:Tekst', 'each in his language');

-- Whoever is done with it in time
update shotai.mail_outbox set not_before = now() - interval '1 second';
select shotai.unsubscribe(account('cleo')), shotai.unsubscribe(account('cleo')), shotai.unsubscribe(1000000);
select is(announcements, false, 'unsubscribed') from shotai.account where id = account('cleo');
select is(claimed_mails(), 'anna:Subject:Body', 'and left alone, though the mail was written');
select is(state, 'failed', 'it ends') from shotai.mail_outbox where account = account('cleo');
select is(claimed_mails(), null, 'nobody else: who came later gets none');
select results_eq('select state, mailed, waiting, failed, remaining from shotai.list_announcements()',
	$$ values ('done', 2::bigint, 1::bigint, 1::bigint, 0::bigint) $$, 'done');
select is(problem, 'invalid_request', 'and not to be resumed') from shotai.move_announcement(:first_id, 'sending', 'test');
select is((select count(*)::integer from shotai.mail_outbox where kind = 'announcement'), 2, 'one mail for each');

-- Held back while mails wait in vain
select * from shotai.start_announcement(hash('second'), 'S', 'B', 'O', 'T', 'test') \gset second_
insert into shotai.mail_outbox (account, cause, message_id, kind, announcement, not_before)
select account('anna'), 'stuck' || n, 'stuck' || n, 'announcement', :second_id, 'infinity' from generate_series(1, 20) n;
select is(claimed_mails(), null, 'twenty that wait are enough');
select is(state, 'canceled', 'canceled') from shotai.move_announcement(:second_id, 'canceled', 'test');
select is((select count(*)::integer from shotai.mail_outbox where cause like 'stuck%' and state = 'failed'), 20, 'with what waited');
select is((select count(*)::integer from shotai.operator_log where action in ('start_announcement', 'move_announcement')), 5, 'all of it is on record');

-- Bounces
select id, message_id from shotai.mail_outbox where account = account('anna') and cause like 'announcement:%' \gset anna_
select shotai.finish_mail(:anna_id, tries, 'bounced', '5.1.1') from shotai.mail_outbox where id = :anna_id;
select results_eq($$ select kind, status from shotai.mail_bounce where account = account('anna') $$, $$ values ('refused', '5.1.1') $$, 'refused for good');
select is(shotai.mail_address(account('anna'), 'announcement'), null, 'so nothing more goes there');
update auth.users set email = 'anna@new.example' where id = md5('anna')::uuid;
select is(shotai.mail_address(account('anna'), 'announcement'), 'anna@new.example', 'until the address changes');
select is(user_id, md5('anna')::uuid, 'a report about the old address') from shotai.report_bounce(:'anna_message_id', '5.1.1');
select is(shotai.mail_address(account('anna'), 'announcement'), 'anna@new.example', 'says nothing about the new one');
select is(problem, 'not_found', 'nor one about a mail that we never sent') from shotai.report_bounce(repeat('0', 32), '5.1.1');
update auth.users set email = 'anna@example.nl' where id = md5('anna')::uuid;
select problem from shotai.update_account(md5('anna')::uuid, md5('anna')::uuid, 'nl', null, null) limit 1;
select is(shotai.mail_address(account('anna'), 'announcement'), null, 'another setting changes nothing');
select problem from shotai.update_account(md5('anna')::uuid, md5('anna')::uuid, null, null, true) limit 1;
select is(shotai.mail_address(account('anna'), 'announcement'), 'anna@example.nl', 'or until it is switched on again');
insert into shotai.mail_bounce (account, address_hash, kind, status)
values (account('anna'), shotai.address_hash(account('anna'), 'ANNA@example.nl'), 'reported', '5.1.1');
update shotai.account set receipts = true where id = account('anna');
select is(shotai.mail_address(account('anna'), 'receipt'), null, 'receipts neither');

-- Support
create function fixture.send(p_name text, p_reply_to text, p_body text) returns text language sql as $$
	select problem from shotai.send_support(md5(p_name)::uuid, md5(p_name)::uuid, p_reply_to, p_body)
$$;
delete from shotai.mail_outbox;
update shotai.pace set burst = 3 where name = 'support';
select is(send('nobody', 'me@there.example', 'Help'), null, 'from anybody');
select is(send('anna', null, 'From Anna'), null, 'or somebody');
select results_eq($$ select email, user_id, body, reply_to from shotai.claim_mails(10) $$,
	$$ values (null::text, null::uuid, 'Help', 'me@there.example'), (null, md5('anna')::uuid, 'From Anna', null) $$, 'to the operator, before all');
select is(send('nobody', null, 'Third'), null, 'the last one');
select is(send('nobody', null, 'Fourth'), 'rate_limited', 'too many together');
select id as help_id from shotai.mail_outbox where body = 'Help' \gset
select held from shotai.start_mail(:help_id, 1);
update shotai.mail_outbox set not_before = now() - interval '1 second';
select is((select string_agg(body, ' ' order by id) from shotai.claim_mails(10)), 'Help From Anna Third', 'one that may not have arrived goes again');
select shotai.finish_mail(:help_id, 2, 'uncertain');
select is(state, 'waiting', 'nothing is lost') from shotai.mail_outbox where id = :help_id;
update shotai.mail_outbox set not_before = now() - interval '1 second', created_at = now() - interval '13 days' where id = :help_id;
select is((select string_agg(body, ' ') from shotai.claim_mails(10)), 'Help', 'for two weeks');
update shotai.mail_outbox set created_at = now() - interval '14 days' where id = :help_id;
select shotai.finish_mail(:help_id, 3, 'retry');
select is(state || ' ' || body, 'failed Help', 'then the text is still there') from shotai.show_mail(:help_id);
select shotai.finish_mail(id, tries, 'sent') from shotai.mail_outbox where state = 'waiting';
select is((select count(*)::integer from shotai.mail_outbox where state = 'sent' and num_nonnulls(body, reply_to) = 0), 2, 'what is sent is forgotten');
select shotai.finish_mail(id, tries, 'bounced', '550') from shotai.mail_outbox where state = 'waiting';
select is((select count(*)::integer from shotai.mail_bounce where account = account('anna')), 1, 'the operator''s mailbox is nobody''s bounce');

select shotai.erase_records(account('anna'));
select is((select count(*)::integer from shotai.mail_outbox where account is not null) + (select count(*)::integer from shotai.mail_bounce where kind = 'reported'), 0, 'erasure takes all of it');
select * from finish();
rollback;

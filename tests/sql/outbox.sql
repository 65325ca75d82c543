-- Mails: in the transaction of what they tell, once, and only to who wants them.
begin;
\ir fixture.psql
\ir creem.psql
select no_plan();
select person('anna'), person('bert');
select checkout('anna', 'top-up-500') as a, checkout('bert', 'top-up-500') as b \gset
select problem from shotai.update_account(md5('anna')::uuid, md5('anna')::uuid, 'nl', true, null) limit 1;
select results_eq($$ select locale, receipts, announcements from shotai.get_account(md5('anna')::uuid, md5('anna')::uuid) $$, $$ values ('nl', true, false) $$, 'receipts are switched on, the rest stays');
select is(receipts, false, 'off at first') from shotai.get_account(md5('bert')::uuid, md5('bert')::uuid);

select send(bought('a1', :'a', 'ord_a', 'tran_a')), send(bought('a2', :'a', 'ord_a', 'tran_a')), send(bought('b1', :'b', 'ord_b', 'tran_b'));
select is((select string_agg(kind || ' ' || credits || ' ' || amount_cents, ', ') from shotai.mail_outbox), 'receipt 500 1452', 'one receipt for one payment, none for who does not want it');
select send(refunded('a3', 'ref_1', 'tran_a', 500, 1452)), send(refunded('a4', 'ref_1', 'tran_a', 500, 1452)), send(refunded('a5', 'ref_2', 'tran_a', 500, 1452));
select is((select string_agg(kind || ' ' || amount_cents, ', ' order by id) from shotai.mail_outbox), 'receipt 1452, refund 500, refund 1000', 'one for each refund, however often it is told');
update shotai.account set receipts = true where id = account('bert');
select send(refunded('b2', 'ref_3', 'tran_b', 1452, 1452));
select is((select string_agg(m.kind, ', ') from shotai.mail_outbox m where m.account = account('bert')), 'refund', 'what was not wanted when it was due does not come later');
select is((select count(distinct message_id)::integer from shotai.mail_outbox), 4, 'each has its id');
create table fixture.ids as select cause, message_id from shotai.mail_outbox;

-- Never for what was rolled back.
create function fixture.fail() returns trigger language plpgsql as $$ begin raise exception 'late' using errcode = 'check_violation'; end $$;
create trigger fail before insert on shotai.mail_outbox for each row execute function fixture.fail();
select checkout('anna', 'top-up-500') as c \gset
select is(send(bought('a6', :'c', 'ord_c', 'tran_c')), 'failed', 'a mail that cannot be written');
select is((select count(*)::integer from shotai.payment where transaction = 'tran_c'), 0, 'takes its grant with it');
drop trigger fail on shotai.mail_outbox;
create trigger fail after insert on shotai.mail_outbox for each row execute function fixture.fail();
select is(send(bought('a6', :'c', 'ord_c', 'tran_c')), 'failed', 'and a grant that fails');
select is((select count(*)::integer from shotai.mail_outbox), 4, 'its mail');
drop trigger fail on shotai.mail_outbox;
select is(outcome, 'applied', 'replayed, both are there') from shotai.replay_event('a6', 'test');
select is((select count(*)::integer from shotai.mail_outbox), 5, 'once');

-- What the sender gets
select results_eq($$ select kind, email, locale, product_name_nl, credits, amount_cents, currency, transaction_id, creem_order from shotai.claim_mails(1) $$,
	$$ values ('receipt', 'anna@example.nl', 'nl', '500 credits', 500::bigint, 1452::bigint, 'EUR', 'tran_a', 'ord_a') $$, 'all that a mail says');
select is((select count(*)::integer from shotai.claim_mails(10)), 4, 'the others');
select is((select count(*)::integer from shotai.claim_mails(10)), 0, 'each is offered to one');
update shotai.mail_outbox set not_before = clock_timestamp() - interval '1 second';
update shotai.account set receipts = false where id = account('bert');
select is((select count(*)::integer from shotai.claim_mails(10)), 4, 'and again when its sender does not report, unless it is unwanted now');
select id from shotai.mail_outbox where cause like 'receipt:%' order by id limit 1 \gset
select is(held, false, 'an earlier claim may not send it') from shotai.start_mail(:id, 1);
select is(held, true, 'the last one may') from shotai.start_mail(:id, 2);
select shotai.finish_mail(:id, 2, 'sent');
select is(state, 'sent', 'once') from shotai.mail_outbox where id = :id;
select ok(bool_and(i.message_id = m.message_id), 'the id of a mail never changes') from fixture.ids i join shotai.mail_outbox m using (cause);
select throws_ok('select shotai.finish_mail(1, 1, ''lost'')', '22023', null, 'in the words we know');

select is(audit(), null, 'the books are right');
select * from finish();
rollback;

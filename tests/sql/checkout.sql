-- Checkouts: ours first, posted once.
begin;
\ir fixture.psql
\ir creem.psql
select no_plan();
select signed_up('young'), signed_up('ghost', true, true), person('anna'), person('bert');

create function fixture.start(p_name text, p_product text, p_key text default null, p_body text default 'body') returns text language sql as $$
	select coalesce(problem, case when replayed then 'again ' else '' end || creem_product_id) from shotai.start_checkout(md5(p_name)::uuid, md5(p_name)::uuid, p_product, p_key, fixture.hash(p_body))
$$;

-- Refusals
select is(start('nobody', 'monthly'), 'unauthenticated', 'nobody');
select is(start('ghost', 'monthly'), 'anonymous_not_allowed', 'an anonymous user');
select is(start('young', 'monthly'), 'age_confirmation_required', 'who did not confirm his age');
select is(start('anna', 'weekly'), 'product_unknown', 'no such product');
update shotai.product set enabled = false where id = 'top-up-100';
select is(start('anna', 'top-up-100'), 'product_unknown', 'one that is no longer sold');
update shotai.product set creem_product = null where id = 'top-up-2000';
select is(start('anna', 'top-up-2000'), 'product_unknown', 'one that Creem does not know');
select is((select count(*)::integer from shotai.checkout), 0, 'none made a row');
select is((select array_agg(id) from shotai.list_products()), '{monthly,yearly,top-up-500}', 'the list shows neither');

-- A row, then what Creem made of it.
select checkout_id as id from shotai.start_checkout(md5('anna')::uuid, md5('anna')::uuid, 'top-up-500', 'k1', hash('body')) \gset
select results_eq(format($$ select state, product, account = account('anna') from shotai.checkout where id = %L $$, :'id'), $$ values ('created', 'top-up-500', true) $$, 'a row first');
select results_eq($$ select creem_product_id, email, checkout_url from shotai.start_checkout(md5('anna')::uuid, md5('anna')::uuid, 'top-up-500', null, hash('body')) $$,
	$$ values ('prod_sandbox_topup_500', 'anna@example.nl', null::text) $$, 'what Creem is to be asked');
select is(start('anna', 'top-up-500', 'k1'), 'idempotency_in_progress', 'the same key while Creem is asked');
select is(problem, null, 'Creem answers') from shotai.open_checkout(:'id', 'ch_1', 'https://creem.io/ch_1');
select results_eq($$ select replayed, checkout_id::text, checkout_url from shotai.start_checkout(md5('anna')::uuid, md5('anna')::uuid, 'top-up-500', 'k1', hash('body')) $$,
	format($$ values (true, %L, 'https://creem.io/ch_1') $$, :'id'), 'then the same key gives the same checkout');
select is(start('anna', 'top-up-500', 'k1', 'other'), 'idempotency_key_reused', 'and no other');
select is(start('bert', 'top-up-500', 'k1', 'other'), 'prod_sandbox_topup_500', 'keys are each account''s own');
select is(problem, 'not_found', 'a checkout is opened once') from shotai.open_checkout(:'id', 'ch_2', 'https://creem.io/ch_2');
select is(problem, 'not_found', 'and only one that there is') from shotai.open_checkout(gen_random_uuid(), 'ch_3', 'x');
select shotai.retire_checkout(:'id');
select is(state, 'open', 'an open one is not retired') from shotai.checkout where id = :'id';

-- Refused, lost, crashed: never posted again.
select checkout_id as lost from shotai.start_checkout(md5('anna')::uuid, md5('anna')::uuid, 'top-up-500', 'k2', hash('body')) \gset
select shotai.retire_checkout(:'lost');
select checkout_id as fresh from shotai.start_checkout(md5('anna')::uuid, md5('anna')::uuid, 'monthly', 'k2', hash('other')) \gset
select isnt(:'fresh'::text, :'lost'::text, 'the key of a retired one makes a fresh row, for whatever is asked now');
update shotai.checkout set created_at = created_at - interval '11 seconds' where id = :'fresh';
select is(start('anna', 'top-up-500', 'k2'), 'prod_sandbox_topup_500', 'so does that of one whose request died');
select is(state, 'retired', 'which is retired') from shotai.checkout where id = :'fresh';
select is(send(bought('e1', :'lost', 'ord_1')), 'applied', 'a retired one that is paid after all');
select is(send(bought('e2', :'id', 'ord_2', null, 500, null, '{"id":"ch_1"}')), 'applied', 'and its successor');
select is(balance('anna'), 1000::bigint, 'both grant');
select results_eq(format($$ select id::text, state from shotai.checkout where id in (%L, %L) order by creem_id $$, :'id', :'lost'), format($$ values (%L, 'completed'), (%L, 'completed') $$, :'id', :'lost'), 'and are completed');
select checkout_id as fast from shotai.start_checkout(md5('anna')::uuid, md5('anna')::uuid, 'top-up-500', null, null) \gset
select send(bought('e3', :'fast', 'ord_3', null, 500, null, '{"id":"ch_fast"}'));
select is(problem, null, 'a webhook may be faster than the answer') from shotai.open_checkout(:'fast', 'ch_fast', 'https://creem.io/ch_fast');
select is(state, 'completed', 'which then changes nothing') from shotai.checkout where id = :'fast';
update shotai.idempotency set created_at = created_at - interval '25 hours';
select is(start('anna', 'top-up-500', 'k1', 'other'), 'prod_sandbox_topup_500', 'a day later a key is free');

-- The portal
select is(problem, 'not_found', 'no portal before the first purchase') from shotai.get_portal_customer(md5('bert')::uuid, md5('bert')::uuid);
select ok(creem_customer_id like 'cust\_ord\_%', 'a customer of his afterwards') from shotai.get_portal_customer(md5('anna')::uuid, md5('anna')::uuid);
select is(problem, 'unauthenticated', 'for who is signed in') from shotai.get_portal_customer(md5('anna')::uuid, gen_random_uuid());

-- Erasure keeps what tax law wants, and what a later refund needs.
select account('bert') as bert \gset
select erase(:bert, '{sign_in}');
select is(status, 'closed', 'an account with a checkout stays, closed') from shotai.account where id = :bert;
select is(start('bert', 'top-up-500'), 'account_suspended', 'and buys nothing');
update shotai.account set receipts = true where id = account('anna');
select send(bought('e4', :'fast', 'ord_4', null, 500, null, '{"id":"ch_4"}'));
select erase(account('anna'));
select is((select count(*)::integer from shotai.mail_outbox) + (select count(url)::integer from shotai.checkout), 0, 'no mail and no address of a checkout is left');
select is(send(refunded('e5', 'ref_5', 'tran_5', 1452, 1452, '{"order":"ord_3"}')), 'applied', 'a refund still finds its payment');

-- What is paid after the account was closed is kept for an operator to refund.
select person('cleo');
select checkout_id as late from shotai.start_checkout(md5('cleo')::uuid, md5('cleo')::uuid, 'top-up-500', null, null) \gset
select account('cleo') as cleo \gset
select erase(:cleo);
select is(value, '0', 'nothing was paid too late') from shotai.billing_status() where name = 'paid_after_closing';
select is(send(bought('e6', :'late', 'ord_6', 'tran_6', 500, jsonb_build_object('created_at', iso(clock_timestamp() + interval '1 minute')))), 'applied', 'a checkout that is paid after its account was closed');
select is(balance_of, 500::bigint, 'is granted as any other') from (select a.balance as balance_of from shotai.account a where a.id = :cleo) a;
select is((select count(*)::integer from shotai.mail_outbox), 0, 'mailed to nobody');
select is(value, '1', 'and shown to operators') from shotai.billing_status() where name = 'paid_after_closing';
select send(refunded('e7', 'ref_6', 'tran_6', 1452, 1452));
select is(value, '0', 'until it is refunded') from shotai.billing_status() where name = 'paid_after_closing';

-- Each is a call to Creem: a burst, then as many as a minute allows.
select person('dirk');
select is((select count(*)::integer from generate_series(1, 30) where start('dirk', 'top-up-500') = 'prod_sandbox_topup_500'), 30, 'many checkouts');
select results_eq($$ select problem, retry_after between 1 and 6 from shotai.start_checkout(md5('dirk')::uuid, md5('dirk')::uuid, 'top-up-500', null, null) $$,
	$$ values ('rate_limited', true) $$, 'but not endlessly');
select is((select count(*)::integer from shotai.checkout where account = account('dirk')), 30, 'which makes no row');
select is(audit(), null, 'the books are right');
select * from finish();
rollback;

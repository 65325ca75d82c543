-- The 21 traps of Creem, by the names that its protocol sheet gives them.
begin;
\ir fixture.psql
\ir creem.psql
select no_plan();
select person(n) from unnest('{t1,t2,t3,t4,t5,t6,t7,t8,t9,t10,t11,t12,t13,t14,t15,t16,t17,t20,t21}'::text[]) n;

-- 1
select checkout('t1', 'monthly') as c \gset
select is(send(subscribed('e1a', :'c', 'sub_1')), 'applied', 'trap 1, double grant on the first period: checkout.completed links');
select is(balance('t1'), 0::bigint, 'trap 1: and grants nothing');
select is(send(told('e1b', 'subscription.active', 'sub_1')), 'applied', 'trap 1: active only tells');
select is(balance('t1'), 0::bigint, 'trap 1: and grants nothing');
select is(send(told('e1c', 'subscription.paid', 'sub_1', 'tran_1')), 'applied', 'trap 1: paid grants');
select is(balance('t1'), 1000::bigint, 'trap 1: once');

-- 2
select checkout('t2', 'top-up-500') as c \gset
select is(send(bought('e2a', :'c', 'ord_2')), 'applied', 'trap 2, a shared key may be missing: an order that names no transaction');
select is(send(bought('e2b', :'c', 'ord_2', 'tran_2')), 'applied', 'trap 2: and again with it');
select is(balance('t2'), 500::bigint, 'trap 2: is one payment');
select is(transaction, 'tran_2', 'trap 2: which has both ids') from shotai.payment where creem_order = 'ord_2';
select is(send(refunded('e2c', 'ref_2', 'tran_2', 1452, 1452)), 'applied', 'trap 2: so that a refund by transaction finds it');
select is(balance('t2'), 0::bigint, 'trap 2: whole');

-- 3
select checkout('t3', 'monthly') as c \gset
select send(subscribed('e3a', :'c', 'sub_3')), send(told('e3b', 'subscription.paid', 'sub_3', 'tran_3'));
select is(send(told('e3b', 'subscription.paid', 'sub_3', 'tran_3')), 'duplicate', 'trap 3, evt_ dedupe is not enough: the same event');
select is(send(told('e3c', 'subscription.paid', 'sub_3', 'tran_3')), 'applied', 'trap 3: another event of the same payment');
select send(told('e3' || t, 'subscription.' || t, 'sub_3', 'tran_3')) from unnest('{update,past_due,scheduled_cancel,unpaid,paused,canceled,expired}'::text[]) t;
select is(balance('t3'), 1000::bigint, 'trap 3: and an old payment named by update, past_due and canceled grant nothing more');

-- 4
select checkout('t4', 'top-up-500') as c \gset
create function fixture.fail() returns trigger language plpgsql as $$ begin raise exception 'disk' using errcode = 'check_violation'; end $$;
create trigger fail before insert on shotai.credit_lot for each row execute function fixture.fail();
select is(send(bought('e4', :'c', 'ord_4')), 'failed', 'trap 4, event and grant are one transaction: a grant that fails');
select is(event_state('e4'), 'failed 23514', 'trap 4: is on record with its error');
select is((select count(*)::integer from shotai.payment where creem_order = 'ord_4') + balance('t4'), 0::bigint, 'trap 4: and left nothing half done');
drop trigger fail on shotai.credit_lot;
select is(send(bought('e4', :'c', 'ord_4')), 'applied', 'trap 4: the retry is no duplicate');
select is(balance('t4'), 500::bigint, 'trap 4: and grants');
create trigger fail before insert on shotai.creem_event for each row execute function fixture.fail();
select throws_ok(format($$ select send(bought('e4b', %L, 'ord_4b')) $$, :'c'), '23514', null, 'trap 4: an event that cannot be stored');
drop trigger fail on shotai.creem_event;
select is(balance('t4'), 500::bigint, 'trap 4: grants nothing');

-- 5
select checkout('t5', 'monthly') as c \gset
select send(subscribed('e5a', :'c', 'sub_5')), send(told('e5b', 'subscription.paid', 'sub_5', 'tran_5a', -10));
select is(send(told('e5c', 'subscription.update', 'sub_5', 'tran_5a', 0, 365, 'prod_sandbox_yearly')), 'applied', 'trap 5, plan change: the update tells');
select is(balance('t5'), 1000::bigint, 'trap 5: and grants nothing');
select send(told('e5d', 'subscription.paid', 'sub_5', 'tran_5b', 0, 365, 'prod_sandbox_yearly', 1, 17733));
select is(entitled('t5'), '1000 11000', 'trap 5: the difference, not the full plan');
select is(balance('t5'), 12000::bigint, 'trap 5: so both together are the new plan');

-- 6
select checkout('t6', 'monthly') as c \gset
select is(send(subscribed('e6a', :'c', 'sub_6')), 'applied', 'trap 6, paid trial: a paid order of a trial');
select is(send(told('e6b', 'subscription.trialing', 'sub_6', null, 0, 7)), 'applied', 'trap 6: and its trial');
select is(send(told('e6c', 'subscription.paid', 'sub_6', 'tran_6', 0, 7, 'prod_sandbox_monthly', 1, 100, '{"status":"trialing"}')), 'applied', 'trap 6: even its payment');
select is(event_state('e6c'), 'applied trial', 'trap 6: are no plan');
select is(balance('t6'), 0::bigint, 'trap 6: and grant none');
select send(told('e6d', 'subscription.paid', 'sub_6', 'tran_6b', 7));
select is(balance('t6'), 1000::bigint, 'trap 6: the first full payment does');

-- 7
select checkout('t7', 'top-up-500') as c \gset
select is(send(bought('e7a', :'c', 'ord_7', null, 500, '{"amount_paid":0,"discount_amount":1200,"tax_amount":0,"discount":{"id":"dis_1"}}')), 'applied', 'trap 7, 100 % discount: an order without a transaction');
select is(balance('t7'), 500::bigint, 'trap 7: grants by its order');
select is(send(refunded('e7b', 'ref_7', 'tran_7', 500, 0, '{"order":"ord_7"}')), 'applied', 'trap 7: nothing was paid');
select is(balance('t7'), 500::bigint, 'trap 7: so nothing is taken back');
select checkout('t7', 'monthly') as c \gset
select send(subscribed('e7c', :'c', 'sub_7')), send(told('e7d', 'subscription.paid', 'sub_7')), send(told('e7e', 'subscription.paid', 'sub_7')) ;
select is(balance('t7'), 1500::bigint, 'trap 7: a period without a transaction is granted once');
select send(told('e7f', 'subscription.paid', 'sub_7', 'tran_7f', 0, 30, 'prod_sandbox_monthly', 1, 0));
select is(balance('t7'), 1500::bigint, 'trap 7: also when its transaction shows up later');
select is((select count(*)::integer from shotai.payment where subscription = 'sub_7'), 1, 'trap 7: on the same row');

-- 8
select checkout('t8', 'top-up-500') as c \gset
select send(bought('e8a', :'c', 'ord_8', null, 500, null, '{"units":3}'));
select is(balance('t8'), 1500::bigint, 'trap 8, units and custom_price: credits for each unit');
select send(bought('e8b', :'c', 'ord_8b', null, 500, null, '{"custom_price":100}'));
select is(balance('t8'), 1541::bigint, 'trap 8: a twelfth of the price is a twelfth of the credits');
select send(bought('e8c', :'c', 'ord_8c', null, 500, null, '{"custom_price":99999999}'));
select is(balance('t8'), 2041::bigint, 'trap 8: a higher price is not more credits');
select checkout('t8', 'monthly') as c \gset
select send(subscribed('e8d', :'c', 'sub_8')), send(told('e8e', 'subscription.paid', 'sub_8', 'tran_8', 0, 30, 'prod_sandbox_monthly', 3));
select is(balance('t8'), 5041::bigint, 'trap 8: seats of a subscription count');

-- 9
select checkout('t9', 'top-up-500') as c \gset
select send(bought('e9', :'c', 'ord_9', null, 500, '{"amount_paid":7,"fx_amount":99999,"fx_currency":"USD"}', '{"metadata":{"credits":99999,"product":"prod_sandbox_topup_2000"}}'));
select is(balance('t9'), 500::bigint, 'trap 9, amounts: credits come from our row of the product, never from sums, names or metadata');

-- 10
select checkout('t10', 'top-up-500') as c \gset
select send(bought('e10a', :'c', 'ord_10', 'tran_10'));
select send(refunded('e10b', 'ref_10a', 'tran_10', 333, 1452, null, '{"refunded_amount":333}'));
select is(balance('t10'), 500 - 115::bigint, 'trap 10, partial refunds: in proportion, in our favour');
select send(refunded('e10c', 'ref_10b', 'tran_10', 333, 1452, null, '{"refunded_amount":666}'));
select is(balance('t10'), 500 - 230::bigint, 'trap 10: the sum moves the target, so that rounding is not paid twice');
select send(refunded('e10d', 'ref_10a', 'tran_10', 333, 1452));
select is(balance('t10'), 270::bigint, 'trap 10: another event of a refund that is known');
select send(refunded('e10e', 'ref_10c', 'tran_10', 5000, 1452));
select is(balance('t10'), 0::bigint, 'trap 10: never more than was paid');
select is(refunded_cents, 1452::bigint, 'trap 10: which is what is shown') from shotai.payment where transaction = 'tran_10';
select is(send(refunded('e10f', 'ref_10f', 'tran_10', 5, 1452, '{"status":"pending"}')), 'applied', 'trap 10: one that is pending is kept');

-- 11
select checkout('t11', 'top-up-500') as c \gset
select is(send(refunded('e11a', 'ref_11', 'tran_11', 726, 1452, jsonb_build_object('checkout', jsonb_build_object('id', 'ch_ord_11', 'request_id', :'c'), 'order', 'ord_11'))),
	'applied', 'trap 11, refund before the grant: it is kept');
select is(balance('t11'), 0::bigint, 'trap 11: with nothing to take');
select send(bought('e11b', :'c', 'ord_11'));
select is(balance('t11'), 250::bigint, 'trap 11: the grant nets it');
select send(disputed('e11c', 'disp_11', 'tran_11', 1452));
select is(balance('t11'), 0::bigint, 'trap 11: a dispute after a refund takes the rest');
select is(entitled('t11'), '500-500', 'trap 11: not more than all');
select send(refunded('e11d', 'ref_11b', 'tran_11', 726, 1452));
select is(entitled('t11'), '500-500', 'trap 11: and the refund that comes of it nothing again');

-- 12
select checkout('t12', 'monthly') as c \gset
select send(subscribed('e12a', :'c', 'sub_12')), send(told('e12b', 'subscription.paid', 'sub_12', 'tran_12a', -32)),
	send(told('e12c', 'subscription.paid', 'sub_12', 'tran_12b', -2));
select is(balance('t12'), 1000::bigint, 'trap 12, old refund on a live subscription: last month is over');
select send(refunded('e12d', 'ref_12', 'tran_12a', 2299, 2299));
select is(balance('t12'), 1000::bigint, 'trap 12: its refund takes nothing of this month');
select is(status, 'active', 'trap 12: nor ends the subscription') from shotai.get_subscription(md5('t12')::uuid);

-- 13
select checkout('t13', 'monthly') as c \gset
select send(subscribed('e13a', :'c', 'sub_13')), send(told('e13b', 'subscription.active', 'sub_13', null, 0, 30, 'prod_sandbox_monthly', 1, 0, jsonb_build_object('canceled_at', iso(now()))));
select is(status, 'active', 'trap 13, expired is not canceled: canceled_at of an active one means nothing') from shotai.get_subscription(md5('t13')::uuid);
select send(told('e13c', 'subscription.expired', 'sub_13', 'tran_13', 0));
select results_eq($$ select status, lapsed from shotai.get_subscription(md5('t13')::uuid) $$, $$ values ('active', true) $$, 'trap 13: expired marks the period and leaves the status');
select send(told('e13d', 'subscription.paid', 'sub_13', 'tran_13b', 30));
select results_eq($$ select status, lapsed from shotai.get_subscription(md5('t13')::uuid) $$, $$ values ('active', false) $$, 'trap 13: a retry that succeeds opens a new one');
select is(send(told('e13e', 'subscription.canceled', 'sub_13', 'tran_13b', 31)), 'applied', 'trap 13: only canceled');
select is(status, 'canceled', 'trap 13: is the end') from shotai.get_subscription(md5('t13')::uuid);

-- 14
select checkout('t14', 'monthly') as c \gset
select send(subscribed('e14a', :'c', 'sub_14')), send(told('e14b', 'subscription.past_due', 'sub_14', 'tran_14', 5)), send(told('e14c', 'subscription.active', 'sub_14', null, 0));
select is(status, 'past_due', 'trap 14, out of order: an older state does not replace a newer one') from shotai.get_subscription(md5('t14')::uuid);
select send(told('e14d', 'subscription.canceled', 'sub_14', 'tran_14', 3));
select is(status, 'canceled', 'trap 14: canceled is terminal whatever its time') from shotai.get_subscription(md5('t14')::uuid);
select send(told('e14e', 'subscription.update', 'sub_14', 'tran_14', 9));
select is(status, 'canceled', 'trap 14: and stays') from shotai.get_subscription(md5('t14')::uuid);
select send(told('e14f', 'subscription.paid', 'sub_14', 'tran_14', 0));
select is(balance('t14'), 1000::bigint, 'trap 14: money needs no order');

-- 15
select is(send(told('e15a', 'subscription.paid', 'sub_15', 'tran_15')), 'parked', 'trap 15, ack too late or too eagerly: whose it is not known');
select is(event_state('e15a'), 'parked account', 'trap 15: is stored and answered');
select checkout('t15', 'monthly') as c \gset
select is(send(subscribed('e15b', :'c', 'sub_15')), 'applied', 'trap 15: the event that tells');
select is(balance('t15'), 1000::bigint, 'trap 15: applies it in the same transaction');
select is(event_state('e15a'), 'applied', 'trap 15: for good');
select is(send(event('e15c', 'something.new', '{"id":"x_1","mode":"test"}')), 'ignored', 'trap 15: an unknown type is stored too');
select is(send(event('e15d', '', '[]')), 'ignored', 'trap 15: and what is no object at all');

-- 16
select checkout('t16', 'monthly') as c \gset
select is(reconciled(subscribed('x', :'c', 'sub_16') -> 'object'), 'applied', 'trap 16, lost events: a checkout read from the API links');
select is(reconciled(transaction_object('tran_16', 'sub_16', 1900, now(), now() + interval '30 days', '{"product":"prod_sandbox_monthly"}')), 'applied', 'trap 16: its transaction grants');
select is(balance('t16'), 1000::bigint, 'trap 16: as the event would have');
select is(reconciled(transaction_object('tran_16', 'sub_16', 1900, now(), now() + interval '30 days', '{"product":"prod_sandbox_monthly"}')), 'duplicate', 'trap 16: once');
select is(send(told('e16', 'subscription.paid', 'sub_16', 'tran_16')), 'applied', 'trap 16: the event, late after all');
select is(balance('t16'), 1000::bigint, 'trap 16: adds nothing');

-- 17
select checkout('t17', 'top-up-500') as c \gset
select is(send(jsonb_build_object('id', 'e17a', 'type', 'checkout.completed', 'created_at', '2026-03-01T09:00:00Z', 'data', jsonb_build_object(
	'id', 'ch_17', 'mode', 'local', 'request_id', upper(:'c'), 'product', 'prod_sandbox_topup_500', 'customer', 'cust_17', 'subscription', null, 'metadata', null, 'units', null,
	'order', jsonb_build_object('id', 'ord_17', 'customer', null, 'transaction', null, 'amount', '1200', 'status', 'paid', 'type', 'onetime', 'created_at', 1772355600000)))),
	'applied', 'trap 17, strict parsing breaks: other names, ids for objects, nulls, missing members, either kind of date');
select is(balance('t17'), 500::bigint, 'trap 17: and it grants');
select is((select outcome from shotai.receive_event('{"id":"e17b","eventType":"x","object":{"id":"a\u0000"}}')), 'ignored', 'trap 17: what PostgreSQL cannot hold');
select is((select count(*)::integer from shotai.creem_event where id like 'sha256:%'), 1, 'trap 17: is known by its hash');

-- 18
select is(send('{"id":"e18","eventType":"x","object":{}}'), 'ignored', 'trap 18, raw bytes: C verifies them before this is called');
select is((select outcome from shotai.receive_event(E'{ "object" : {},\n"eventType":"x" , "id":"e18" }')), 'duplicate', 'trap 18: here only the id counts, not the spelling');

-- 19
select is(outcome_as('shotai_web', $$ select shotai.receive_event('{}') $$), '42501', 'trap 19, empty secret: only the program that checks signatures may call this');
select is(outcome_as('shotai_worker', $$ select shotai.receive_event('{}') $$), '42501', 'trap 19: no other');

-- 20
select person('t20b');
update auth.users set email = 'cust_ord_20@elsewhere.nl' where id = md5('t20b')::uuid;
select checkout('t20', 'top-up-500') as c \gset
select send(bought('e20', :'c', 'ord_20'));
select is(balance('t20'), 500::bigint, 'trap 20, customer.email may differ: the checkout says whose it is');
select is(balance('t20b'), 0::bigint, 'trap 20: never the address');
select is(send(bought('e20b', null, 'ord_20b', null, 500, null, '{"customer":{"id":"cust_new","email":"t20b@example.nl"}}')), 'parked', 'trap 20: which does not even help where nothing else is known');

-- 21
select checkout('t21', 'top-up-500') as c \gset
select is(send(bought('e21', :'c', 'ord_21', null, 500, null, jsonb_build_object('custom_fields', repeat('x', 250000)))), 'applied', 'trap 21, body size: 250 kB');
select is(balance('t21'), 500::bigint, 'trap 21: are no trouble');
select ok(length(raw::text) < 10000, 'trap 21: nor kept') from shotai.creem_event where id = 'e21';

select is(audit(), null, 'the books are right');
select * from finish();
rollback;

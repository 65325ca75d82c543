-- One row for each payment, and what it entitles to.
begin;
\ir fixture.psql
\ir creem.psql
select no_plan();
select no_outage();
select person(n) from unnest('{anna,bert,carl,dora,eva,finn,gaby,hans,iris,jan,kim}'::text[]) n;

-- A payment, its lot and its entry know one another.
select checkout('anna', 'top-up-500') as c \gset
select send(bought('a1', :'c', 'ord_a', 'tran_a'));
select results_eq($$ select p.kind, p.product, p.units, p.credits, p.paid_cents, p.confirmed_by, l.source, l.granted, l.expires_at, e.kind, e.cause = 'payment:' || p.id || ':1'
	from shotai.payment p join shotai.credit_lot l on l.payment = p.id join shotai.credit_entry e on e.order_id = p.id $$,
	$$ values ('top_up', 'top-up-500', 1, 500::bigint, 1452::bigint, 'event', 'top_up', 500::bigint, null::timestamptz, 'grant', true) $$, 'a top-up does not expire');
select is(order_id, (select id from shotai.payment where transaction = 'tran_a'), 'the statement names the payment') from shotai.list_credit_entries(md5('anna')::uuid, 10, null);

-- The entitlement of invoices, in any order.
select checkout('bert', 'monthly') as c \gset
select send(subscribed('b0', :'c', 'sub_b'));
select send(told('b2', 'subscription.paid', 'sub_b', 'tran_b2', -5, 365, 'prod_sandbox_yearly', 1, 17000));
select is(entitled('bert'), '12000', 'an upgrade whose first invoice is not known yet');
select send(told('b1', 'subscription.paid', 'sub_b', 'tran_b1', -15));
select is(entitled('bert'), '1000 11000', 'is the difference once it is');
select is(balance('bert'), 12000::bigint, 'which is moved by an entry');
select is((select string_agg(e.kind || e.amount, ' ' order by e.number) from shotai.credit_entry e where e.account = account('bert')), 'grant12000 grant1000 revoke-1000', 'for each');
select send(refunded('b3', 'ref_b', 'tran_b1', 2299, 2299));
select is(entitled('bert'), '1000-1000 12000', 'what an earlier invoice no longer entitles to, a later one does');
select is(balance('bert'), 12000::bigint, 'so a refund of the part is no loss of the whole');
select is((select string_agg(e.cause, ' ' order by e.number) from shotai.credit_entry e join shotai.payment p on p.id = e.order_id and p.transaction = 'tran_b2'),
	(select format('payment:%1$s:1 payment:%1$s:2 payment:%1$s:3', id) from shotai.payment where transaction = 'tran_b2'), 'entries are keyed by payment and revision');
select is(audit(), null, 'the books are right');

-- A downgrade, and an invoice of the same plan: nothing for what is paid already.
select checkout('carl', 'yearly') as c \gset
select send(subscribed('c0', :'c', 'sub_c', 'prod_sandbox_yearly')), send(told('c1', 'subscription.paid', 'sub_c', 'tran_c1', -5, 365, 'prod_sandbox_yearly', 1, 19000)),
	send(told('c2', 'subscription.paid', 'sub_c', 'tran_c2', -1, 30, 'prod_sandbox_monthly', 1, 0));
select is(entitled('carl'), '12000 0', 'a downgrade grants nothing below what runs');
select is((select count(*)::integer from shotai.credit_lot where payment = (select id from shotai.payment where transaction = 'tran_c2')), 0, 'and makes no lot');
select send(told('c3', 'subscription.paid', 'sub_c', 'tran_c3', 360, 30, 'prod_sandbox_monthly', 13));
select is(entitled('carl'), '12000 0 13000', 'a renewal begins when the period ends');
select send(told('c4', 'subscription.paid', 'sub_c', 'tran_c4', 370, 30, 'prod_sandbox_monthly', 15, 100));
select is(entitled('carl'), '12000 0 13000 2000', 'more units are the difference too');

-- Periods: lots expire with them, later ones are not touched.
select checkout('dora', 'monthly') as c \gset
select send(subscribed('d0', :'c', 'sub_d')), send(told('d1', 'subscription.paid', 'sub_d', 'tran_d1', -40)), send(told('d2', 'subscription.paid', 'sub_d', 'tran_d2', -10));
select is(balance('dora'), 1000::bigint, 'a period that is over is granted and expires at once');
select is((select string_agg(kind || amount, ' ' order by number) from shotai.credit_entry where account = account('dora')), 'grant1000 expire-1000 grant1000', 'as entries say');
select results_eq($$ select l.expires_at from shotai.credit_lot l join shotai.payment p on p.id = l.payment where p.transaction = 'tran_d2' $$,
	$$ select period_end from shotai.payment where transaction = 'tran_d2' $$, 'a lot lasts as long as its period');
select send(told('d3', 'subscription.paid', 'sub_d', 'tran_d2', -10, 45));
select ok(l.expires_at = p.period_end and l.expires_at > now() + interval '34 days', 'a period that turns out longer takes its lot with it')
	from shotai.credit_lot l join shotai.payment p on p.id = l.payment where p.transaction = 'tran_d2';
select send(told('d4', 'subscription.paid', 'sub_d', 'tran_d2', -10, 20));
select ok(expires_at > now() + interval '34 days', 'none gets shorter') from shotai.credit_lot l join shotai.payment p on p.id = l.payment where p.transaction = 'tran_d2';
select send(refunded('d5', 'ref_d', 'tran_d1', 1000, 2299));
select is(balance('dora'), 1000::bigint, 'a refund of what expired takes nothing else');
select checkout('dora', 'top-up-100') as c \gset
select problem, '' from shotai.set_product('monthly', 'subscription', 'Monthly', 'Maandelijks', 'month', true, 'prod_sandbox_monthly', 1, true, 'test');
select send(told('d6', 'subscription.paid', 'sub_d', 'tran_d3', 35));
select is(l.expires_at, null, 'what rolls over does not expire') from shotai.credit_lot l join shotai.payment p on p.id = l.payment where p.transaction = 'tran_d3';

-- A dispute that ends well after the period did.
select checkout('eva', 'monthly') as c \gset
select send(subscribed('e0', :'c', 'sub_e')), send(told('e1', 'subscription.paid', 'sub_e', 'tran_e', -10, 30, 'prod_sandbox_monthly'));
update shotai.credit_lot set expires_at = now() + interval '1 day' where payment = (select id from shotai.payment where transaction = 'tran_e');
select send(disputed('e2', 'disp_e', 'tran_e', 2299));
select lapse(id) from shotai.credit_lot where payment = (select id from shotai.payment where transaction = 'tran_e');
select is(balance, 0::bigint, 'gives back what expires at once') from shotai.close_dispute('disp_e', true, 'test', 'won');
select is(audit(), null, 'the books are right');

-- Refunds of what is spent, or being spent.
select checkout('finn', 'top-up-100') as c \gset
select send(bought('f1', :'c', 'ord_f', 'tran_f', 100));
select claimed('finn', 4) as running \gset
select admit('finn', 4) as a, admit('finn', 4) as b, admit('finn', 4) as c, admit('finn', 4) as d, admit('finn', 4) as e, admit('finn', 4) as f \gset
select is(balance('finn'), 44::bigint, '56 of 100 are spent');
select send(refunded('f2', 'ref_f', 'tran_f', 363, 363));
select is(balance('finn') || ' ' || loss('finn'), '0 56', 'what is left is taken, the rest is a loss');
select call(:'running', 1, 0, 4), settle(:'running', 0);
select refunded from shotai.finish_generation(:'running', 1, 'provider_error', null);
select is(balance('finn') || ' ' || loss('finn'), '0 50', 'a picture that fails after all makes the loss smaller, not the balance larger');
select problem from shotai.cancel_generation(md5('finn')::uuid, md5('finn')::uuid, :'a');
select is(balance('finn') || ' ' || loss('finn'), '0 42', 'as does one that is cancelled');
select checkout('finn', 'top-up-100') as c \gset
select send(bought('f3', :'c', 'ord_f2', 'tran_f2', 100));
select is(balance('finn') || ' ' || loss('finn'), '100 42', 'a loss is not taken from what is bought later');
select is(audit(), null, 'the books are right');

-- Statuses of refunds: once known to be final they stay, and failures take nothing.
select checkout('gaby', 'top-up-500') as c \gset
select send(bought('g1', :'c', 'ord_g', 'tran_g'));
select send(refunded('g2', 'ref_g1', 'tran_g', 700, 1452, '{"status":"pending"}')), send(refunded('g3', 'ref_g2', 'tran_g', 700, 1452, '{"status":"failed"}'));
select is(balance('gaby'), 500::bigint, 'pending and failed refunds take nothing');
select is((select count(*)::integer from shotai.reconcile_targets() where kind = 'transaction' and id = 'tran_g'), 1, 'the transaction of a pending one is asked for');
select is(reconciled(transaction_object('tran_g', null, 1200, null, null, '{"order":"ord_g","product":"prod_sandbox_topup_500","refunded_amount":700,"status":"partialRefund"}')), 'applied', 'which tells');
select is(balance('gaby'), 258::bigint, 'that it was made');
select is((select count(*)::integer from shotai.reconcile_targets() where kind = 'transaction' and id = 'tran_g'), 0, 'and is not asked for again');
select send(refunded('g4', 'ref_g1', 'tran_g', 700, 1452)), send(refunded('g5', 'ref_g1', 'tran_g', 700, 1452, '{"status":"failed"}'));
select is((select status from shotai.payment_refund where id = 'ref_g1'), 'succeeded', 'a refund that succeeded stays so');
select is(balance('gaby'), 258::bigint, 'and counts once');

-- Price versions
select problem from shotai.set_product_price('top-up-500', 600, 1300, 'EUR', now() + interval '1 day', 'test');
select checkout('hans', 'top-up-500') as c \gset
select send(bought('h1', :'c', 'ord_h1', null, 500)), send(bought('h2', :'c', 'ord_h2', null, 500, jsonb_build_object('created_at', iso(now() + interval '2 days'))));
select is(entitled('hans'), '500 600', 'what is paid when a version is in force is granted by it');
select send(bought('h3', :'c', 'ord_h3', null, 500, '{"created_at":"2020-01-01"}'));
select is(entitled('hans'), '500 500 600', 'and by the first one before');
select is(problem, 'invalid_request', 'no version begins in the past') from shotai.set_product_price('top-up-500', 1, 1, 'EUR', now() - interval '1 day', 'test');

-- Two rows that turn out to be one payment.
select checkout('iris', 'top-up-500') as c1, checkout('iris', 'top-up-500') as c2 \gset
select send(bought('i1', :'c1', 'ord_i1', 'tran_i1')), send(bought('i2', :'c2', 'ord_i2'));
select is(send(refunded('i3', 'ref_i', 'tran_i2', 1452, 1452)), 'parked', 'a refund that names a transaction nobody knows');
select is(applied, 1::bigint, 'an operator says whose it is') from shotai.link_creem('transaction', 'tran_i2', md5('iris')::uuid, 'asked', 'test');
select is(balance('iris'), 1000::bigint, 'takes nothing yet');
select is(send(bought('i4', :'c2', 'ord_i2', 'tran_i2')), 'applied', 'until an order names it too');
select is(balance('iris'), 500::bigint, 'then it is that payment''s');
select is((select count(*)::integer from shotai.payment where account = account('iris')), 2, 'of which there is one');
select is(send(bought('i5', :'c1', 'ord_i1', 'tran_i2')), 'failed', 'two that both granted are not merged');
select is(event_state('i5'), 'failed 21000', 'but shown to the operator');
select is(audit(), null, 'the books are right');

-- A checkout is one payment too.
select checkout('iris', 'top-up-500') as c \gset
select is(send(refunded('i6', 'ref_i6', 'tran_i6', 726, 1452, jsonb_build_object('checkout', jsonb_build_object('id', 'ch_ord_i6', 'request_id', :'c')))), 'applied', 'a refund that names the checkout only');
select is(send(bought('i7', :'c', 'ord_i6')), 'applied', 'then its order, without a transaction');
select is(balance('iris'), 750::bigint, 'are one');

-- Ids of two accounts
select checkout('jan', 'top-up-500') as jan, checkout('kim', 'top-up-500') as kim \gset
select send(bought('j1', :'jan', 'ord_j', 'tran_j'));
select is(send(bought('j2', :'kim', 'ord_j', 'tran_j')), 'failed', 'a checkout and an order of different accounts');
select is(balance('kim'), 0::bigint, 'grant nothing');
select is(send(bought('j3', :'kim', 'ord_k', null, 500, null, jsonb_build_object('customer', customer('cust_ord_j')))), 'applied', 'one customer may pay for two');
select is(balance('jan') || ' ' || balance('kim'), '500 500', 'each checkout says for whom');
select is(send(bought('j4', null, 'ord_l', null, 500, null, jsonb_build_object('customer', customer('cust_ord_j')))), 'parked', 'then the customer says nothing');
select is(problem, 'not_found', 'nor may either see his portal') from shotai.get_portal_customer(md5('jan')::uuid, md5('jan')::uuid);
select is(send(disputed('j5', 'disp_k', 'tran_k', 1452, '{"order":"ord_k"}')), 'applied', 'an order says whose a dispute is');
select is((select array_agg(status order by id) from shotai.account where id in (account('jan'), account('kim'))), '{active,suspended}', 'which is that account''s alone');

-- Orders as the buyer sees them
select results_eq($$ select product_id, product_name, product_name_nl, kind, status, amount_cents, tax_cents, currency, credits, refunded_cents, transaction_id, order_id from shotai.list_orders(md5('gaby')::uuid, 10, null) $$,
	$$ values ('top-up-500', '500 credits', '500 credits', 'top_up', 'partially_refunded', 1452::bigint, 252::bigint, 'EUR', 500::bigint, 700::bigint, 'tran_g', 'ord_g') $$, 'what was paid, with tax');
select is((select array_agg(status order by status) from shotai.list_orders(md5('iris')::uuid, 10, null)), '{paid,partially_refunded,refunded}', 'what was refunded');
select is(status, 'disputed', 'what is disputed') from shotai.list_orders(md5('kim')::uuid, 10, null);
select cursor, id as newest from shotai.list_orders(md5('carl')::uuid, 2, null) offset 1 \gset
select results_eq(format($$ select more, transaction_id from shotai.list_orders(md5('carl')::uuid, 2, %L) $$, :'cursor'), $$ values (false, 'tran_c2'), (false, 'tran_c1') $$, 'page by page');
select is(problem, 'invalid_request', 'by cursors of ours') from shotai.list_orders(md5('carl')::uuid, 2, 'x');

-- An invoice a few seconds before the last one ends
select person('nina'), person('olga');
select checkout('nina', 'monthly') as n, checkout('olga', 'monthly') as o \gset
select send(subscribed('n1', :'n', 'sub_n')), send(subscribed('o1', :'o', 'sub_o'));
select send(told('n2', 'subscription.paid', 'sub_n', 'tran_n1')), send(told('o2', 'subscription.paid', 'sub_o', 'tran_o1'));
select send(told('n3', 'subscription.paid', 'sub_n', 'tran_n2', 29.9999)), send(told('o3', 'subscription.paid', 'sub_o', 'tran_o2', 29.9999, 365, 'prod_sandbox_yearly', 1, 19000));
select is(entitled('nina'), '1000 1000', 'of the same plan renews it');
select is(entitled('olga'), '1000 11000', 'of another changes it');
select send(told('n4', 'subscription.paid', 'sub_n', 'tran_n3', 40));
select is(entitled('nina'), '1000 1000 0', 'and of the same in the middle of a period brings nothing twice');

-- What is no order, and sums that say nothing
select person('lars'), person('mia');
select checkout('lars', 'monthly') as plan, checkout('lars', 'top-up-500') as c, checkout('mia', 'top-up-500') as m \gset
select send(subscribed('l1', :'plan', 'sub_l'));
select is(send(told('l2', 'subscription.paid', 'sub_l', 'tran_l', 0, 7, 'prod_sandbox_monthly', 1, 1900, null, '{"status":"declined","amount_paid":null}')), 'applied', 'a payment that was declined');
select is((select paid_cents from shotai.payment where transaction = 'tran_l'), null, 'paid nothing, whatever it was to be');
select is_empty($$ select id from shotai.list_orders(md5('lars')::uuid, 10, null) $$, 'and is no order');
select is(send(refunded('l3', 'ref_l', 'tran_l5', 1452, 1452, jsonb_build_object('order', 'ord_l5', 'checkout', jsonb_build_object('id', 'ch_ord_l5', 'request_id', :'c')))), 'applied', 'a refund before its order');
select results_eq($$ select product_id, status, amount_cents, credits from shotai.list_orders(md5('lars')::uuid, 10, null) $$,
	$$ values (null::text, 'refunded', 1452::bigint, 0::bigint) $$, 'tells what was paid');
select send(bought('l4', :'c', 'ord_l5', 'tran_l5'));
select is((select count(*)::integer from shotai.list_orders(md5('lars')::uuid, 10, null)), 1, 'and is that order');
select is(send(told('l5', 'subscription.paid', 'sub_l', 'tran_l', 0, 30)), 'applied', 'the payment is made after all');
select is(balance('lars'), 1000::bigint, 'and grants');
select send(bought('m1', :'m', 'ord_m', 'tran_m'));
select is(send(refunded('m2', 'ref_m', 'tran_m', 100000, 1452, '{"refund_currency":"JPY"}', '{"refunded_amount":726}')), 'applied', 'a refund told in another currency');
select is(balance('mia'), 250::bigint, 'counts by what the transaction says');
select is(audit(), null, 'the books are right');

select is(audit(), null, 'the books are right');
select * from finish();
rollback;

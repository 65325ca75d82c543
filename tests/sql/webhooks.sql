-- Storing, parking, replaying and listing what Creem sends; reading its objects.
begin;
\ir fixture.psql
\ir creem.psql
select no_plan();
select person('anna'), person('bert');

-- Dates, numbers, ids
select is(shotai.json_time(j::jsonb), t::timestamptz, j) from (values
	('1772355600123', '2026-03-01 09:00:00.123Z'), ('"1772355600123"', '2026-03-01 09:00:00.123Z'), ('"2026-03-01T09:00:00.000Z"', '2026-03-01 09:00Z'),
	('"2026-03-01T10:00:00+01:00"', '2026-03-01 09:00Z'), ('"2026-03-01T09:00:00"', '2026-03-01 09:00Z'), ('"2026-03-01"', '2026-03-01 00:00Z'),
	('"2026-02-31T09:00:00Z"', null), ('"soon"', null), ('"infinity"', null), ('null', null), ('{}', null), ('-1', null), ('1e300', null)) v (j, t);
select is(shotai.json_number(j::jsonb), n, j) from (values
	('12', 12::bigint), ('"12"', 12), ('12.9', 12), ('-1', null), ('1e30', null), ('"x"', null), ('null', null), ('{}', null), ('true', null)) v (j, n);
select is(shotai.json_id(j::jsonb), t, j) from (values ('"a"', 'a'), ('{"id":"a"}', 'a'), ('""', null), ('{"id":1}', null), ('1', null), ('null', null), ('{}', null), ('[]', null)) v (j, t);
select is(shotai.json_id(to_jsonb(repeat('x', 256))), null, 'an id that is too long is none');
select is(shotai.json_units('{"items":[{"product_id":"p","units":2},{"product_id":"q","units":9},{"units":null},7]}', 'p'), 3, 'units of its own product');
select is(shotai.json_units('{}', 'p'), null, 'or none told');
select is((shotai.creem_facts('subscription', '{"id":"sub_1","last_transaction_id":"tran_2","last_transaction":{"id":"tran_1","amount":5}}')).amount, null, 'sums of another transaction are not those of the last');
select is(shotai.strip_person('{"a":[{"customer":{"id":"c","email":"x"},"n":1}],"metadata":{"x":1},"order":{"customer":"c","id":"o","email":"x","custom_fields":[{"text":{"value":"x"}}]}}', false), '{"a":[{"n":1}],"order":{"id":"o"}}', 'what tells of the buyer goes');
select is(shotai.strip_person('{"a":[{"customer":{"id":"c","email":"x"}}],"metadata":{"x":1}}', true), '{"a":[{"customer":"c"}]}', 'or all but his id');

-- Anything that is JSON is stored and answered.
select is(outcome, 'ignored', t) from unnest(array['[]', '"x"', '1', 'null', '{}', '{"id":1}', '{"id":"x1"}', '{"id":"x2","eventType":7}', 'no JSON']) t cross join lateral shotai.receive_event(t);
select is(outcome, 'ignored', 'objects of every wrong kind: ' || k) from unnest('{checkout.completed,subscription.paid,refund.created,dispute.created,subscription.expired}'::text[]) k
	cross join unnest(array['[]', 'null', '7', '"x"', '{}', '{"mode":"test"}', '{"id":7,"mode":"test"}']) o cross join lateral shotai.receive_event(format('{"id":%s,"eventType":"%s","object":%s}', to_json(k || o), k, o)) r;
select is((select count(*)::integer from shotai.payment), 0, 'and none of it grants');
select is(send(event('z1', 'credits.granted', '{"id":"a","mode":"test"}')), 'ignored', 'types that are not ours');
select is(event_state('z1'), 'ignored type', 'say so');

-- Modes
select checkout('anna', 'top-up-500') as c \gset
select is(send(bought('m1', :'c', 'ord_m', null, 500, null, '{"mode":"prod"}')), 'ignored', 'real money does not count in a sandbox');
select is(event_state('m1'), 'ignored mode', 'as is noted');
select is(send(bought('m2', :'c', 'ord_m2', null, 500, null, '{"mode":"local"}')), 'applied', 'play money of any kind does');
select shotai.set_billing_live(true, 'test');
select is(send(bought('m3' || m, :'c', 'ord_m3', null, 500, null, format('{"mode":%s}', m)::jsonb)), 'ignored', 'play money does not count when live: ' || m) from unnest(array['"test"', '"local"', '"sandbox"']) m;
select is(send(bought('m4', :'c', 'ord_m4', null, 500, null, '{"mode":null}')), 'ignored', 'nor what has no mode');
select is(outcome, 'applied', 'what was ignored counts when it is replayed after the fix') from shotai.replay_event('m1', 'op');
select is(balance('anna'), 1000::bigint, 'once');
select is(outcome, 'duplicate', 'and not again') from shotai.replay_event('m1', 'op');
select is(problem, 'not_found', 'what was never stored') from shotai.replay_event('nothing', 'op');
select shotai.set_billing_live(false, 'test');

-- Parked for a product
select checkout('bert', 'top-up-500') as c \gset
select is(send(bought('p1', :'c', 'ord_p', 'tran_p', 500, null, '{"product":"prod_new"}')), 'parked', 'a product that we do not know');
select is(event_state('p1'), 'parked product', 'is named');
select is(send(refunded('p2', 'ref_p', 'tran_p', 726, 1452, '{"order":"ord_p"}')), 'applied', 'though whose it is is known');
select is(problem, null, 'the product') from shotai.set_product('new', 'top_up', 'New', 'Nieuw', null, false, 'prod_new', 9, true, 'op');
select is(event_state('p1'), 'parked product', 'without a price does not do');
select is(problem, null, 'with one') from shotai.set_product_price('new', 700, 1200, 'EUR', null, 'op');
select is(event_state('p1'), 'applied', 'it is granted');
select is(balance('bert'), 350::bigint, 'less what was refunded');
select is(send(bought('p3', :'c', 'ord_p3', null, 500, null, '{"product":"prod_sandbox_monthly"}')), 'parked', 'a plan is not sold in one go');
select is(send(told('p4', 'subscription.paid', 'sub_p', 'tran_p4', 0, 30, 'prod_sandbox_topup_100')), 'parked', 'nor a top-up every month');

-- Parked for a person, who becomes known in steps.
select is(send(refunded('q1', 'ref_q', 'tran_q', 2299, 2299)), 'parked', 'a refund of an unknown transaction');
select is(send(told('q2', 'subscription.paid', 'sub_q', 'tran_q')), 'parked', 'of an unknown subscription');
select is(send(told('q3', 'subscription.canceled', 'sub_q', 'tran_q', 1)), 'parked', 'that has ended');
select is((select count(*)::integer from shotai.list_events('parked', 100, null)), 5, 'all are listed');
select checkout('bert', 'monthly') as c \gset
select is(send(subscribed('q4', :'c', 'sub_q')), 'applied', 'the checkout links the subscription, that the transaction, that the refund');
select is((select string_agg(event_state('q' || n), ' ') from generate_series(1, 4) n), 'applied applied applied applied', 'all in one transaction');
select is(entitled('bert'), '700-350 1000-1000', 'with their effects');
select is((select status from shotai.get_subscription(md5('bert')::uuid)), 'canceled', 'of every kind');

-- The lists
select id as newest, cursor, more from shotai.list_events(null, 2, null) offset 1 \gset
select is(:'more'::text, 't', 'there are more');
select isnt((select id from shotai.list_events(null, 1, :'cursor')), :'newest'::text, 'on the next page');
select is(problem, 'invalid_request', 'by cursors of ours') from shotai.list_events(null, 1, 'x');
select results_eq($$ select type, state, reason, tries, raw::jsonb -> 'object' ? 'order' from shotai.show_event('p1') $$, $$ values ('checkout.completed', 'applied', null::text, 2, true) $$, 'one is shown whole');
select is(problem, 'not_found', 'if there is one') from shotai.show_event('nothing');
select is(problem, 'not_found', 'nobody to link to') from shotai.link_creem('customer', 'cust_x', gen_random_uuid(), 'r', 'op');
select is(problem, 'invalid_request', 'nothing to link') from shotai.link_creem('person', 'x', md5('anna')::uuid, 'r', 'op');
select ok(not exists (select from shotai.creem_event where raw::text ~ '@elsewhere|metadata'), 'no address is kept, whatever became of the event');

-- Reconciliation
select checkout('anna', 'monthly') as c \gset
select is(problem, null, 'open') from shotai.open_checkout(:'c', 'ch_sub_r', 'u');
select ok(exists (select from shotai.reconcile_targets() where kind = 'checkout' and id = 'ch_sub_r'), 'an open checkout is asked for');
select ok(exists (select from shotai.reconcile_targets() where kind = 'product' and id = 'prod_sandbox_yearly'), 'each product too');
select is(reconciled('{"id":"ch_sub_r","object":"checkout","mode":"test","status":"pending"}'), 'ignored', 'one that is not paid');
select is(reconciled(subscribed('x', :'c', 'sub_r') -> 'object'), 'applied', 'one that is');
select ok(not exists (select from shotai.reconcile_targets() where kind = 'checkout' and id = 'ch_sub_r'), 'is not asked for again');
select ok(exists (select from shotai.reconcile_targets() where kind = 'subscription' and id = 'sub_r'), 'its subscription is');
create function fixture.bill(p_id text, p_product text, p_amount bigint, p_days integer, p_more jsonb default null) returns jsonb language sql as $$
	select fixture.transaction_object(p_id, 'sub_r', p_amount, now() + p_days * interval '1 day', now() + (p_days + 30) * interval '1 day', fixture.merged(jsonb_build_object('product', p_product), p_more))
$$;
select is(reconciled(bill('tran_r0', 'prod_sandbox_monthly', 100, -7)), 'ambiguous', 'a first sum that is no price may be a trial''s');
select is(reconciled(bill('tran_r1', 'prod_sandbox_monthly', 3800, 0)), 'applied', 'twice the price');
select is(units, 2, 'is two') from shotai.payment where transaction = 'tran_r1';
select is(reconciled(bill('tran_r2', 'prod_sandbox_yearly', 17000, 5)), 'ambiguous', 'a difference to another plan');
select is(reconciled(told('x', 'subscription.update', 'sub_r', 'tran_r2', 5, 30, 'prod_sandbox_yearly') -> 'object'), 'applied', 'of a subscription that is read');
select is(reconciled(bill('tran_r2', 'prod_sandbox_yearly', 17000, 5)), 'applied', 'is clear then');
select is(entitlement, 10000::bigint, 'and the difference in credits') from shotai.payment where transaction = 'tran_r2';
select isnt(reconciled(bill('tran_r3', 'prod_sandbox_yearly', 19000, 35, '{"status":"declined"}')), 'ambiguous', 'what was declined');
select is((select count(*)::integer from shotai.payment where transaction = 'tran_r3'), 0, 'is no payment');
select is(reconciled(bill('tran_r4', 'prod_sandbox_yearly', 38000, 40, '{"units":1}')), 'applied', 'who asks may know the units');
select is(reconciled('{"id":"tran_9","object":"transaction","mode":"test","status":"paid","amount":300,"product":"prod_sandbox_topup_100","type":"payment"}'), 'parked', 'whose it is must be known');
select is(reconciled('[]'), 'ignored', 'and that it is one');
select is(outcome, 'ignored', 'nothing readable') from shotai.apply_transaction('{"id":"tran_\u0000"}', 'op');
select is(reconciled(bill('tran_r5', 'prod_sandbox_monthly', 1900, 400, '{"mode":"prod"}')), 'ignored', 'modes count here too');

select is(audit(), null, 'the books are right');
select * from finish();
rollback;

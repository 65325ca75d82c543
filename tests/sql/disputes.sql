-- Chargebacks: what they take, what they stop, how they end.
begin;
\ir fixture.psql
\ir creem.psql
select no_plan();
select no_outage();
select person(n) from unnest('{anna,bert,carl}'::text[]) n;

select checkout('anna', 'top-up-500') as c \gset
select send(bought('a1', :'c', 'ord_a', 'tran_a'));
select checkout('anna', 'top-up-100') as second \gset
select send(bought('a2', :'second', 'ord_a2', 'tran_a2', 100));
select claimed('anna', 2) as running \gset
select call(:'running', 1, 0, 2), settle(:'running', 0);
select admit('anna', 3) as queued \gset
select is(balance('anna'), 590::bigint, '10 of 600 are being spent');
select is(send(disputed('a3', 'disp_a', 'tran_a', 1452)), 'applied', 'a dispute');
select is(status(:'queued'), 'canceled', 'cancels what is queued');
select is(status(:'running'), 'running', 'not what was sent to a provider');
select is(balance('anna') || ' ' || loss('anna'), '100 4', 'takes the whole entitlement, also of what came back; nothing of other payments');
select is(refunded, 2::bigint, 'what fails later') from shotai.finish_generation(:'running', 1, 'provider_error', null);
select is(balance('anna') || ' ' || loss('anna'), '100 2', 'is taken too');

-- What is closed and what stays open.
select is(admit('anna', 1), 'account_suspended', 'no spending');
select is(problem, 'account_suspended', 'no buying') from shotai.start_checkout(md5('anna')::uuid, md5('anna')::uuid, 'top-up-100', null, null);
select is(problem, null, 'reading is open') from shotai.get_account(md5('anna')::uuid, md5('anna')::uuid) limit 1;
select is((select count(*)::integer from shotai.list_orders(md5('anna')::uuid, 10, null)), 2, 'orders too');
select is((select count(*)::integer from shotai.list_generations(md5('anna')::uuid, 10, null, null) where problem is null), 2, 'and history');
select is(problem || '', null, 'and the portal') from shotai.get_portal_customer(md5('anna')::uuid, md5('anna')::uuid);
select is(send(disputed('a4', 'disp_a', 'tran_a', 1452)), 'applied', 'told again');
select is(send(disputed('a5', 'disp_a2', 'tran_a2', 363)), 'applied', 'a second one, of another payment');
select is(balance('anna'), 0::bigint, 'takes that');
select results_eq($$ select id, state, revoked, loss from shotai.list_disputes(true) order by id $$, $$ values ('disp_a', 'open', 498::bigint, 2::bigint), ('disp_a2', 'open', 100::bigint, 0::bigint) $$, 'operators see both');

-- Won: what was revoked is granted again, what was lost is forgiven.
select is(problem, 'invalid_request', 'closing needs a reason') from shotai.close_dispute('disp_a', true, 'op', '');
select is(balance, 498::bigint, 'won gives back') from shotai.close_dispute('disp_a', true, 'op', 'the bank said so');
select is(loss('anna'), 0::bigint, 'and nothing is lost any more');
select is(admit('anna', 1), 'account_suspended', 'while the other one is open');
select is(problem, 'not_found', 'a closed one is not closed again') from shotai.close_dispute('disp_a', false, 'op', 'again');
select is(balance, 498::bigint, 'lost leaves it as it is') from shotai.close_dispute((select id::text from shotai.payment where transaction = 'tran_a2'), false, 'op', 'the bank said no');
select isnt(admit('anna', 1), 'account_suspended', 'and the account is open again');
select is((select count(*)::integer from shotai.operator_log where action = 'close_dispute' and account = account('anna')), 2, 'both are logged');
select is(send(disputed('a6', 'disp_a2', 'tran_a2', 363)), 'applied', 'an event of a closed dispute');
select isnt(admit('anna', 1), 'account_suspended', 'does not open it');
select is(audit(), null, 'the books are right');

-- A chargeback that only the API tells, then its event.
select checkout('bert', 'top-up-500') as c \gset
select send(bought('b1', :'c', 'ord_b', 'tran_b')), send(refunded('b2', 'ref_b', 'tran_b', 726, 1452, null, '{"refunded_amount":726}'));
select is(reconciled(transaction_object('tran_b', null, 1200, null, null, '{"order":"ord_b","product":"prod_sandbox_topup_500","status":"chargeback","refunded_amount":1452}')), 'applied', 'a transaction that was charged back');
select results_eq($$ select d.id, d.state from shotai.dispute d join shotai.payment p on p.id = d.payment where p.transaction = 'tran_b' $$, $$ values ('chargeback:tran_b', 'open') $$, 'is a dispute');
select send(disputed('b3', 'disp_b', 'tran_b', 1452));
select results_eq($$ select d.id, d.state from shotai.dispute d join shotai.payment p on p.id = d.payment where p.transaction = 'tran_b' $$, $$ values ('disp_b', 'open') $$, 'the same as its event''s');
select is(balance, 250::bigint, 'won: the refund before it stays, what the chargeback claimed does not') from shotai.close_dispute('disp_b', true, 'op', 'won');
select is(reconciled(transaction_object('tran_b', null, 1200, null, null, '{"order":"ord_b","product":"prod_sandbox_topup_500","status":"chargedBack","refunded_amount":1452}')), 'duplicate', 'read again it opens nothing');

-- A dispute before the payment.
select checkout('carl', 'monthly') as c \gset
select is(send(disputed('c1', 'disp_c', 'tran_c', 2299, '{"subscription":"sub_c"}')), 'parked', 'of somebody unknown waits');
select send(subscribed('c2', :'c', 'sub_c'));
select is((select status from shotai.account where id = account('carl')), 'suspended', 'until he is known');
select is(send(told('c3', 'subscription.paid', 'sub_c', 'tran_c')), 'applied', 'what is granted then');
select is(balance('carl') || ' ' || entitled('carl'), '0 1000-1000', 'is taken at once');
select shotai.restrict_account(md5('bert')::uuid, true, 'another cause', 'op');
select send(disputed('b4', 'disp_b2', 'tran_b', 1452));
select is(problem, null, 'a suspension of another cause') from shotai.close_dispute('disp_b2', true, 'op', 'won');
select is((select status from shotai.account where id = account('bert')), 'suspended', 'outlives the dispute');

select is(audit(), null, 'the books are right');
select * from finish();
rollback;

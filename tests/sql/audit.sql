-- Each invariant is broken in turn, and found.
begin;
\ir fixture.psql
\ir creem.psql
select no_plan();
select no_outage();

-- Something of everything: grants, charges, refunds, expiry, all states.
select person('anna'), person('bert', 50);
select lot('anna', 20) as lot, lot('anna', 20, 5) as due \gset
select admit('anna', 2) as queued, admit('anna', 1) as canceled \gset
select problem from shotai.cancel_generation(md5('anna')::uuid, md5('anna')::uuid, :'canceled');
select lapse(:due);
select claimed('anna', 2) as partial, claimed('anna', 1) as done, claimed('anna', 1) as running \gset
select call(:'partial', 1, 0, 2), settle(:'partial', 0), call(:'done'), settle(:'done', 0), call(:'running');
select held from shotai.finish_generation(:'partial', 1, 'provider_error', null);
select held from shotai.finish_generation(:'done', 1, null, null);
select signed_up('welcome');
select problem from shotai.confirm_age(md5('welcome')::uuid, md5('welcome')::uuid, true, 'welcome@example.nl', hash('welcome'));
select person('carl'), person('dora');
update shotai.account set receipts = true where id = account('carl');
select checkout('carl', 'top-up-500') as bought, checkout('carl', 'monthly') as subscribed \gset
select send(bought('e1', :'bought', 'ord_1', 'tran_1')), send(refunded('e2', 'ref_1', 'tran_1', 400, 1452)),
	send(subscribed('e3', :'subscribed', 'sub_1')), send(told('e4', 'subscription.paid', 'sub_1', 'tran_2')), send(told('e5', 'subscription.paid', 'sub_x', 'tran_x')),
	send(disputed('e6', 'disp_1', 'tran_2', 2299)), send(told('e7', 'subscription.expired', 'sub_1', 'tran_2'));
select id as top_up from shotai.payment where transaction = 'tran_1' \gset
select id as period from shotai.payment where transaction = 'tran_2' \gset
select is(audit(), null, 'whole books give no row');
select ok((select count(*) from shotai.credit_entry) >= 10 and (select count(distinct kind) from shotai.credit_entry) >= 4, 'and there are books to audit');

-- What keeps the books whole is out of the way for the damage below.
do $$
declare
	c record;
begin
	alter table shotai.credit_entry disable trigger all;
	alter table shotai.entry_lot disable trigger all;
	alter table shotai.image disable trigger all;
	alter table shotai.job disable trigger all;
	alter table shotai.payment disable trigger all;
	alter table shotai.credit_lot disable trigger all;
	for c in select conrelid::regclass as relation, conname from pg_constraint where connamespace = 'shotai'::regnamespace and contype = 'c' loop
		execute format('alter table %s drop constraint %I', c.relation, c.conname);
	end loop;
end
$$;

-- The checks that find a damage; the damage is undone.
create function fixture.found(p_damage text) returns text[] language plpgsql as $$
declare
	v_found text[];
begin
	begin
		execute p_damage;
		select array_agg(distinct check_name) from shotai.audit() into v_found;
		raise exception 'undo' using errcode = 'P0099';
	exception when sqlstate 'P0099' then
		return coalesce(v_found, '{}');
	end;
end
$$;
create table fixture.damage (check_name text, statement text);
insert into fixture.damage values
	('balance_is_sum_of_entries', format('update shotai.account set balance = balance + 1 where id = %s', account('anna'))),
	('balance_is_sum_of_lots', format('update shotai.credit_lot set remaining = remaining - 1 where id = %s', :lot)),
	('balance_not_negative', format('update shotai.account set balance = -1 where id = %s', account('anna'))),
	('lot_is_sum_of_allocations', format('update shotai.credit_lot set granted = granted + 1 where id = %s', :lot)),
	('lot_is_sum_of_allocations', format('update shotai.credit_lot set revoked = 1 where id = %s', :lot)),
	('lot_is_sum_of_allocations', format('delete from shotai.entry_lot where lot = %s and amount > 0', :lot)),
	('lot_within_bounds', format('update shotai.credit_lot set remaining = -1 where id = %s', :lot)),
	('lot_within_bounds', format('update shotai.credit_lot set remaining = granted + 1 where id = %s', :lot)),
	('entry_is_sum_of_allocations', format('update shotai.entry_lot set amount = amount - 1 where lot = %s and amount < 0', :lot)),
	('entry_is_sum_of_allocations', 'update shotai.credit_entry set amount = amount - 1 where kind = ''charge'''),
	('allocation_in_own_account', format('update shotai.credit_lot set account = %s where id = %s', account('bert'), :lot)),
	('entries_numbered_without_gaps', format('update shotai.credit_entry set number = number + 100 where number > 2 and account = %s', account('anna'))),
	('entries_numbered_without_gaps', format('delete from shotai.credit_entry where number = 2 and account = %s', account('anna'))),
	('newest_entry_number', 'update shotai.account set entry_no = entry_no + 1'),
	('balance_after_is_running_sum', 'update shotai.credit_entry set balance_after = balance_after + 1 where kind = ''charge'''),
	('generation_is_paid_exactly', format('update shotai.generation set credits_refunded = credits_refunded + 1 where id = %L', :'partial')),
	('generation_is_paid_exactly', format('update shotai.generation set credits_charged = 0 where id = %L', :'queued')),
	('generation_is_paid_exactly', format('delete from shotai.credit_entry where kind = ''refund'' and generation = %L', :'canceled')),
	('generation_is_paid_exactly', format('update shotai.generation set delivered = 2 where id = %L', :'partial')),
	('generation_is_paid_exactly', format('update shotai.generation set unit_price = 3 where id = %L', :'done')),
	('entry_in_account_of_generation', format('update shotai.generation set account = %s where id = %L', account('bert'), :'done')),
	('refund_within_lot_of_charge', format('update shotai.entry_lot p set amount = 99 from shotai.credit_entry e where e.id = p.entry and e.kind = ''refund''')),
	('delivered_is_number_of_images', format('delete from shotai.image where generation = %L', :'done')),
	('delivered_is_number_of_images', format('update shotai.generation set status = ''succeeded'' where id = %L', :'partial')),
	('delivered_is_number_of_images', format('update shotai.generation set status = ''partial'' where id = %L', :'done')),
	('job_for_each_unfinished_generation', format('delete from shotai.job where generation = %L', :'running')),
	('job_for_each_unfinished_generation', format('update shotai.generation set finished_at = now() where id = %L', :'running')),
	('job_for_each_unfinished_generation', format('insert into shotai.job (generation, account, rank) values (%L, %s, 1)', :'done', account('anna'))),
	('job_in_account_of_generation', format('update shotai.job set account = %s where generation = %L', account('bert'), :'queued')),
	('unfinished_is_counted', format('update shotai.account set unfinished = unfinished - 1 where id = %s', account('anna'))),
	('welcome_grant_is_recorded', 'delete from shotai.welcome_grant'),
	('change_numbers_of_account', 'update shotai.account set change_no = 0'),
	('revoked_within_target', format('update shotai.credit_lot set revoke_target = 1 where payment = %L', :'period')),
	('payment_is_granted_exactly', format('update shotai.payment set entitlement = entitlement + 1 where id = %L', :'top_up')),
	('payment_is_granted_exactly', format('update shotai.credit_lot set payment = null where payment = %L', :'top_up')),
	('payment_is_granted_exactly', format('update shotai.credit_lot set revoke_target = 0 where payment = %L', :'top_up')),
	('payment_is_granted_exactly', format('delete from shotai.credit_entry where order_id = %L and kind = ''grant''', :'top_up')),
	('payment_entitlement_is_derived', format('update shotai.payment set paid_cents = paid_cents * 2 where id = %L', :'top_up')),
	('payment_entitlement_is_derived', 'delete from shotai.payment_refund'),
	('payment_entitlement_is_derived', 'update shotai.dispute set state = ''won'''),
	('payment_entitlement_is_derived', 'update shotai.payment set units = 2, credits = 2 * credits'),
	('payment_is_one_row', 'insert into shotai.payment (account, kind, confirmed_by, product, price, units, credits, subscription, paid_at, period_start)
		select account, kind, confirmed_by, product, price, units, 0, subscription, paid_at, period_start from shotai.payment where transaction = ''tran_2'''),
	('paid_lot_has_payment', format('update shotai.credit_lot set payment = null where payment = %L', :'period')),
	('lot_in_account_of_payment', format('update shotai.payment set account = %s where id = %L', account('dora'), :'top_up')),
	('lot_in_account_of_payment', format('update shotai.credit_lot set source = ''welcome'' where payment = %L', :'top_up')),
	('entry_of_payment_moves_its_lot', format('update shotai.credit_entry set order_id = %L where order_id = %L', :'top_up', :'period')),
	('entry_of_payment_moves_its_lot', format('update shotai.credit_entry set order_id = %L where kind = ''charge''', :'top_up')),
	('top_up_does_not_expire', format('update shotai.credit_lot set expires_at = now() where payment = %L', :'top_up')),
	('payment_within_what_was_paid', format('update shotai.payment set refunded_cents = 1453 where id = %L', :'top_up')),
	('payment_in_account_of_subscription', format('update shotai.subscription set account = %s', account('dora'))),
	('payment_in_account_of_checkout', format('update shotai.checkout set account = %s', account('dora'))),
	('payment_in_account_of_checkout', 'update shotai.checkout set state = ''open'''),
	('event_is_applied', format('delete from shotai.payment where id = %L', :'top_up')),
	('event_is_applied', format('update shotai.payment set confirmed_by = null where id = %L', :'period')),
	('event_is_applied', 'delete from shotai.payment_refund'),
	('event_is_applied', 'delete from shotai.dispute'),
	('event_is_applied', 'delete from shotai.creem_link where kind = ''checkout'''),
	('event_is_applied', 'update shotai.creem_event set subject = null where id = ''e7'''),
	('event_is_applied', format('update shotai.creem_event set account = %s where id = ''e7''', account('dora'))),
	('event_is_handled', 'update shotai.creem_event set state = ''received'' where id = ''e5'''),
	('parked_event_waits', format('insert into shotai.creem_link (kind, id, account) values (''subscription'', ''sub_x'', %s)', account('dora'))),
	('applied_event_forgot_person', 'update shotai.creem_event set raw = ''{"object":{"order":{"metadata":{}}}}'' where id = ''e1'''),
	('applied_event_forgot_person', 'update shotai.creem_event set raw = ''{"object":{"items":[{"customer":"a"}]}}'' where id = ''e1'''),
	('disputed_account_is_suspended', format('delete from shotai.finding where account = %s', account('carl'))),
	('disputed_account_is_suspended', format('update shotai.finding set account = %s', account('dora'))),
	('restriction_is_strongest_finding', format('update shotai.account set status = ''active'' where id = %s', account('carl'))),
	('restriction_is_strongest_finding', format('update shotai.account set status = ''held'' where id = %s', account('dora'))),
	('restriction_is_strongest_finding', format('update shotai.account set throttle = 4 where id = %s', account('dora'))),
	('mail_in_account_of_payment', format('update shotai.mail_outbox set account = %s', account('dora'))),
	('refused_prompt_reached_nobody', format('update shotai.generation set moderation = ''deny'' where id = %L', :'done'));
select ok(check_name = any (found(statement)), check_name || ': ' || statement) from fixture.damage;
select is(audit(), null, 'and the damage was undone');
select set_eq($$ select distinct m[1] from regexp_matches(pg_get_functiondef('shotai.audit()'::regprocedure), 'select ''(\w+)'',', 'g') m $$,
	'select distinct check_name from fixture.damage', 'no check is without a test');

select * from finish();
rollback;

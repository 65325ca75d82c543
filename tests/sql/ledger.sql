-- Lots and entries: what is taken first, what comes back where, what expires.
begin;
\ir fixture.psql
select no_plan();
select no_outage();

create function fixture.entries(p_name text) returns text language sql as $$
	select string_agg(kind || ' ' || amount || ' = ' || balance_after, ', ' order by number)
	from shotai.credit_entry where account = fixture.account(p_name)
$$;

-- The order of a charge: lots that expire first, then the oldest.
select person('anna');
select lot('anna', 10) as never_1, lot('anna', 10, 30) as late, lot('anna', 10, 5) as soon, lot('anna', 10) as never_2 \gset
select admit('anna', 3) as first \gset
select is(lots('anna'), '{10,10,4,10}', 'the lot that expires first pays first');
select admit('anna', 4) as second \gset
select is(lots('anna'), '{10,6,0,10}', 'then the next to expire');
select admit('anna', 4) as third \gset
select is(lots('anna'), '{8,0,0,10}', 'then the oldest that never expires');
select admit('anna', 4), admit('anna', 4);
select is(lots('anna'), '{0,0,0,2}', 'then the newest');
select is(balance('anna'), 2::bigint, 'the balance follows');
select is((select string_agg(p.lot - :never_1 || ':' || p.amount, ' ' order by p.position)
	from shotai.entry_lot p join shotai.credit_entry e on e.id = p.entry where e.cause = 'charge:' || :'second'),
	'2:-4 1:-4', 'the allocations tell the order');
select is(audit(), null, 'the books are right');

-- A refund goes back in reverse order.
select claimed('anna', 1) is not null;
select call(:'second', 1, 0, 4), settle(:'second', 0);
select is(refunded, 6::bigint, 'three of four images of 2 were not delivered') from shotai.finish_generation(:'second', 1, 'provider_error', null);
select is(lots('anna'), '{0,4,2,0}', 'the lot taken last is filled first');
select is((select string_agg(p.lot - :never_1 || ':' || p.amount, ' ' order by p.position)
	from shotai.entry_lot p join shotai.credit_entry e on e.id = p.entry where e.cause = 'refund:' || :'second'),
	'1:4 2:2', 'as the allocations say');
select is((select count(*)::integer from shotai.credit_entry where generation = :'second' and kind = 'refund'), 1, 'in one entry');
select throws_ok(format($$ select shotai.refund(account('anna'), 1, %L) $$, :'second'), '23505', null, 'and only once');
select throws_ok(format($$ select shotai.refund(account('anna'), 100, %L) $$, :'first'), 'XX001', null, 'never more than was charged');
select is(audit(), null, 'the books are right');

-- Expiry
select person('bert');
select lot('bert', 10, 5) as old, lot('bert', 7) as kept \gset
select lapse(:old);
select is(balance('bert'), 17::bigint, 'a lapsed lot counts until its account is looked at');
select is(balance, 7::bigint, 'then it is gone') from shotai.get_account(md5('bert')::uuid, md5('bert')::uuid);
select is(lots('bert'), '{0,7}', 'as far as it was left');
select is(entries('bert'), 'grant 10 = 10, grant 7 = 17, expire -10 = 7', 'an entry says so');
select is(shotai.expire_lots(account('bert')), 0::bigint, 'once');
select is(audit(), null, 'the books are right');

select lot('bert', 4, 5) as due \gset
select lapse(:due);
select is(admit('bert', 4), 'insufficient_credits', 'a charge expires due lots before it looks at the balance');
select is((select kind from shotai.credit_entry where account = account('bert') order by number desc limit 1), 'expire', 'which stays');

-- A lot that expired meanwhile is reopened for a day, once.
select person('carl');
select lot('carl', 12, 5) as l \gset
select admit('carl', 2) as one, admit('carl', 2) as two, admit('carl', 1) as three \gset
select lapse(:l);
select problem from shotai.cancel_generation(md5('carl')::uuid, md5('carl')::uuid, :'one');
select is(lots('carl'), '{4}', 'a refund comes back to the lot that paid');
select is(entries('carl'), 'grant 12 = 12, charge -4 = 8, charge -4 = 4, charge -2 = 2, expire -2 = 0, refund 4 = 4',
	'what was left in it had expired before, and stays so');
select ok(reopened and expires_at between clock_timestamp() + interval '23 h 59 min' and clock_timestamp() + interval '24 h',
	'it is open for 24 hours') from shotai.credit_lot where id = :l;
select expires_at as until from shotai.credit_lot where id = :l \gset
select problem from shotai.cancel_generation(md5('carl')::uuid, md5('carl')::uuid, :'two');
select is(lots('carl'), '{8}', 'another refund meanwhile adds to it');
select is(expires_at, :'until', 'and moves nothing') from shotai.credit_lot where id = :l;
select lapse(:l);
select problem from shotai.cancel_generation(md5('carl')::uuid, md5('carl')::uuid, :'three');
select is(lots('carl'), '{0}', 'a day later it is not reopened again');
select is(entries('carl'), 'grant 12 = 12, charge -4 = 8, charge -4 = 4, charge -2 = 2, expire -2 = 0, refund 4 = 4, refund 4 = 8, expire -8 = 0, refund 2 = 2, expire -2 = 0',
	'the refund is booked and expires at once');
select is(audit(), null, 'the books are right');

-- A lot that is being revoked
select person('dora');
select lot('dora', 10) as paid, lot('dora', 10, 5) as other \gset
select admit('dora', 4) as a, admit('dora', 4) as b \gset
select is(lots('dora'), '{4,0}', 'sixteen are spent');
-- What a dispute does: the target is the whole lot, and what is left is taken.
do $$
declare
	v_lot bigint := (select min(id) from shotai.credit_lot where account = fixture.account('dora'));
	v_entry uuid := shotai.book(fixture.account('dora'), 'revoke', -4, 'revoke:test', null);
begin
	insert into shotai.entry_lot (entry, position, lot, amount) values (v_entry, 1, v_lot, -4);
	update shotai.credit_lot set revoke_target = 8, remaining = 0, revoked = 4 where id = v_lot;
end
$$;
select is(audit(), null, 'the books are right');
select problem from shotai.cancel_generation(md5('dora')::uuid, md5('dora')::uuid, :'b');
select is(lots('dora'), '{2,2}', 'of six that come back to the revoked lot four are revoked again; two of the other come back');
select is(revoked, revoke_target, 'its target is met') from shotai.credit_lot where id = :paid;
select is((select string_agg(kind || ' ' || amount, ', ' order by number) from shotai.credit_entry where account = account('dora') and number > 5),
	'refund 8, revoke -4', 'in the same transaction, in an entry of its own');
select problem from shotai.cancel_generation(md5('dora')::uuid, md5('dora')::uuid, :'a');
select is(lots('dora'), '{2,10}', 'the rest comes back in full');
select is(audit(), null, 'the books are right');

-- The ledger itself
select throws_ok($$ select shotai.book(account('anna'), 'charge', -1000000, 'x', null) $$, '23514', null, 'a balance is never negative');
select throws_ok($$ select shotai.book(account('anna'), 'grant', -1, 'x', null) $$, '23514', null, 'a grant is positive');
select throws_ok($$ select shotai.book(account('anna'), 'charge', 1, 'x', null) $$, '23514', null, 'a charge is negative');
select throws_ok($$ select shotai.book(account('anna'), 'adjust', 1, 'charge:' || (select id from shotai.generation limit 1), null) $$, '23505', null, 'one entry per cause');
select throws_ok($$ select shotai.charge(account('anna'), 1000000, gen_random_uuid()) $$, '23514', null, 'no charge above the balance');
select throws_ok($$ update shotai.credit_lot set remaining = granted + 1 $$, '23514', null, 'no lot above what was granted');
select throws_ok($$ update shotai.credit_lot set remaining = -1 $$, '23514', null, 'nor below nothing');
update shotai.credit_lot set remaining = 0 where account = account('anna');
insert into shotai.generation (account, change_no, model, price, unit_price, prompt, aspect_ratio, count, credits_charged)
select account, 1, model, price, unit_price, 'x', '1:1', 1, unit_price from shotai.generation where id = :'first' returning id as more \gset
select throws_ok(format($$ select shotai.charge(account('anna'), 2, %L) $$, :'more'), 'XX001', null, 'lots that lack what the balance says are no silent loss');

select * from finish();
rollback;

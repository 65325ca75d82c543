-- Proves the books: one row per violated invariant, none when they are right.
-- Each check is one statement and so sees one moment; every transaction leaves
-- the invariants whole.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

create or replace function shotai.audit() returns table (check_name text, detail text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	select 'balance_is_sum_of_entries', format('account %s: balance %s, entries %s', a.id, a.balance, coalesce(e.amount, 0))
	from account a
	left join (select e.account, sum(e.amount) as amount from credit_entry e group by e.account) e on e.account = a.id
	where a.balance <> coalesce(e.amount, 0);

	return query
	select 'balance_is_sum_of_lots', format('account %s: balance %s, remaining %s', a.id, a.balance, coalesce(l.remaining, 0))
	from account a
	left join (select l.account, sum(l.remaining) as remaining from credit_lot l group by l.account) l on l.account = a.id
	where a.balance <> coalesce(l.remaining, 0);

	return query
	select 'balance_not_negative', format('account %s: %s', a.id, a.balance)
	from account a
	where a.balance < 0;

	-- What grants put into a lot is its granted; everything else moves its remaining.
	return query
	select 'lot_is_sum_of_allocations', format('lot %s: granted %s of %s, remaining %s of %s, revoked %s of %s',
		l.id, l.granted, coalesce(p.granted, 0), l.remaining, l.granted + coalesce(p.moved, 0), l.revoked, coalesce(p.revoked, 0))
	from credit_lot l
	left join (
		select p.lot,
			sum(p.amount) filter (where e.kind = 'grant' or (e.kind = 'adjust' and p.amount > 0)) as granted,
			sum(p.amount) filter (where not (e.kind = 'grant' or (e.kind = 'adjust' and p.amount > 0))) as moved,
			-sum(p.amount) filter (where e.kind = 'revoke') as revoked
		from entry_lot p
		join credit_entry e on e.id = p.entry
		group by p.lot
	) p on p.lot = l.id
	where l.granted <> coalesce(p.granted, 0)
		or l.remaining <> l.granted + coalesce(p.moved, 0)
		or l.revoked <> coalesce(p.revoked, 0);

	return query
	select 'lot_within_bounds', format('lot %s: remaining %s of %s', l.id, l.remaining, l.granted)
	from credit_lot l
	where l.remaining < 0 or l.remaining > l.granted;

	return query
	select 'entry_is_sum_of_allocations', format('entry %s: %s, allocations %s', e.id, e.amount, coalesce(p.amount, 0))
	from credit_entry e
	left join (select p.entry, sum(p.amount) as amount from entry_lot p group by p.entry) p on p.entry = e.id
	where e.amount <> coalesce(p.amount, 0);

	return query
	select 'allocation_in_own_account', format('entry %s, lot %s', p.entry, p.lot)
	from entry_lot p
	join credit_entry e on e.id = p.entry
	join credit_lot l on l.id = p.lot
	where e.account <> l.account;

	return query
	select 'entries_numbered_without_gaps', format('account %s: entry %s is number %s', n.account, n.place, n.number)
	from (
		select e.account, e.number, row_number() over (partition by e.account order by e.number) as place
		from credit_entry e
	) n
	where n.number <> n.place;

	return query
	select 'newest_entry_number', format('account %s: %s, newest entry %s', a.id, a.entry_no, coalesce(e.number, 0))
	from account a
	left join (select e.account, max(e.number) as number from credit_entry e group by e.account) e on e.account = a.id
	where a.entry_no <> coalesce(e.number, 0);

	return query
	select 'balance_after_is_running_sum', format('entry %s: %s, sum %s', n.id, n.balance_after, n.total)
	from (
		select e.id, e.balance_after, sum(e.amount) over (partition by e.account order by e.number) as total
		from credit_entry e
	) n
	where n.balance_after <> n.total;

	-- Charges and refunds of the ledger, as the generation says, and for a final one the price of what was delivered.
	return query
	select 'generation_is_paid_exactly', format('generation %s (%s): charged %s, refunded %s; entries %s, %s; %s of %s at %s',
		g.id, g.status, g.credits_charged, g.credits_refunded, coalesce(e.charged, 0), coalesce(e.refunded, 0),
		g.delivered, g.count, g.unit_price)
	from generation g
	left join (
		select e.generation,
			-sum(e.amount) filter (where e.kind = 'charge') as charged,
			sum(e.amount) filter (where e.kind = 'refund') as refunded
		from credit_entry e
		where e.generation is not null
		group by e.generation
	) e on e.generation = g.id
	where g.credits_charged <> coalesce(e.charged, 0)
		or g.credits_refunded <> coalesce(e.refunded, 0)
		or (g.finished_at is null and g.credits_refunded <> 0)
		or (g.finished_at is not null
			and g.credits_charged - g.credits_refunded <> g.unit_price::bigint * g.delivered);

	return query
	select 'entry_in_account_of_generation', format('entry %s, generation %s', e.id, g.id)
	from credit_entry e
	join generation g on g.id = e.generation
	where e.account <> g.account;

	return query
	select 'refund_within_lot_of_charge', format('generation %s, lot %s: taken %s, given back %s', p.generation, p.lot, p.taken, p.back)
	from (
		select e.generation, p.lot,
			coalesce(-sum(p.amount) filter (where e.kind = 'charge'), 0) as taken,
			coalesce(sum(p.amount) filter (where e.kind = 'refund'), 0) as back
		from entry_lot p
		join credit_entry e on e.id = p.entry
		where e.kind in ('charge', 'refund')
		group by e.generation, p.lot
	) p
	where p.back > p.taken;

	return query
	select 'delivered_is_number_of_images', format('generation %s (%s): %s, images %s',
		g.id, g.status, g.delivered, coalesce(i.images, 0))
	from generation g
	join account a on a.id = g.account and a.status <> 'closed'
	left join (select i.generation, count(*) as images from image i group by i.generation) i on i.generation = g.id
	where g.delivered <> coalesce(i.images, 0) and (g.deleted_at is null or i.images > 0)
		or (g.status = 'succeeded' and g.delivered <> g.count)
		or (g.status = 'partial' and g.delivered not between 1 and g.count - 1)
		or (g.status in ('failed', 'canceled', 'queued') and g.delivered <> 0);

	return query
	select 'job_for_each_unfinished_generation', format('generation %s (%s)', g.id, g.status)
	from generation g
	left join job j on j.generation = g.id
	where (g.finished_at is null) <> (j.generation is not null);

	return query
	select 'job_in_account_of_generation', format('generation %s', j.generation)
	from job j
	join generation g on g.id = j.generation
	where j.account <> g.account;

	return query
	select 'unfinished_is_counted', format('account %s: %s, images %s', a.id, a.unfinished, coalesce(g.images, 0))
	from account a
	left join (select g.account, sum(g.count) as images from generation g where g.finished_at is null group by g.account) g
		on g.account = a.id
	where a.unfinished <> coalesce(g.images, 0);

	return query
	select 'welcome_grant_is_recorded', format('account %s', e.account)
	from credit_entry e
	where e.cause = 'welcome:' || e.account
		and not exists (select from welcome_grant w where w.account = e.account)
		and not exists (select from account a where a.id = e.account and a.status = 'closed');

	return query
	select 'change_numbers_of_account', format('generation %s: %s, account %s', g.id, g.change_no, a.change_no)
	from generation g
	join account a on a.id = g.account
	where g.change_no > a.change_no;
end
$$;
grant execute on function shotai.audit() to shotai_operator;

select set_config('role', current_setting('shotai.migrating_role'), false);

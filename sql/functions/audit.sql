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

	return query
	select 'revoked_within_target', format('lot %s: revoked %s of %s', l.id, l.revoked, l.revoke_target)
	from credit_lot l
	where l.revoked > l.revoke_target;

	-- Grants - revokes of a payment are what it entitles to now and what could not be taken back.
	return query
	select 'payment_is_granted_exactly', format('payment %s: entitles to %s - %s, lot %s - %s, grants - revokes %s, loss %s',
		p.id, p.entitlement, p.revoked, coalesce(l.granted, 0), coalesce(l.revoke_target, 0), coalesce(e.amount, 0),
		coalesce(l.revoke_target - l.revoked, 0))
	from payment p
	left join credit_lot l on l.payment = p.id
	left join (
		select x.lot, sum(x.amount) as amount
		from entry_lot x
		join credit_entry e on e.id = x.entry
		where e.kind in ('grant', 'revoke')
		group by x.lot
	) e on e.lot = l.id
	where p.entitlement - p.revoked <> coalesce(l.granted - l.revoke_target, 0)
		or coalesce(e.amount, 0) <> p.entitlement - p.revoked + coalesce(l.revoke_target - l.revoked, 0);

	return query
	select 'payment_entitlement_is_derived', format('payment %s: %s - %s, refunded %s; derived %s - %s, %s',
		p.id, p.entitlement, p.revoked, p.refunded_cents, d.entitlement, d.revoked, d.refunded_cents)
	from (
		select n.* from (select distinct p.subscription from payment p where p.subscription is not null) s
		cross join entitlements(s.subscription, null) n
		union all
		select n.* from payment p cross join entitlements(null, p.id) n where p.subscription is null
	) d
	join payment p on p.id = d.payment
	where (p.entitlement, p.revoked, p.refunded_cents) <> (d.entitlement, d.revoked, d.refunded_cents);

	return query
	select 'payment_is_one_row', format('payments %s and %s', p.id, o.id)
	from payment p
	join payment o on o.id > p.id and o.kind = p.kind and o.confirmed_by is not null
		and (o.transaction = p.transaction or (p.kind = 'top_up' and o.creem_order = p.creem_order)
			or (o.subscription = p.subscription and o.period_start = p.period_start
				and (o.transaction is null or p.transaction is null)))
	where p.confirmed_by is not null;

	return query
	select 'paid_lot_has_payment', format('lot %s (%s)', l.id, l.source)
	from credit_lot l
	join entry_lot x on x.lot = l.id
	join credit_entry e on e.id = x.entry and e.kind = 'grant'
	where l.source in ('subscription', 'top_up') and l.payment is null and e.cause not like 'operator:%';

	return query
	select 'lot_in_account_of_payment', format('lot %s, payment %s', l.id, p.id)
	from credit_lot l
	join payment p on p.id = l.payment
	where l.account <> p.account or l.source <> p.kind;

	return query
	select 'entry_of_payment_moves_its_lot', format('entry %s, payment %s', e.id, e.order_id)
	from credit_entry e
	join entry_lot x on x.entry = e.id
	join credit_lot l on l.id = x.lot
	where e.order_id is not null and (l.payment is distinct from e.order_id or e.kind not in ('grant', 'revoke'));

	return query
	select 'top_up_does_not_expire', format('lot %s', l.id)
	from credit_lot l
	join payment p on p.id = l.payment
	where p.kind = 'top_up' and l.expires_at is not null;

	return query
	select 'payment_within_what_was_paid', format('payment %s: refunded %s of %s', p.id, p.refunded_cents, p.paid_cents)
	from payment p
	where p.refunded_cents > coalesce(p.paid_cents, 0);

	return query
	select 'payment_in_account_of_subscription', format('payment %s, subscription %s', p.id, s.id)
	from payment p
	join subscription s on s.id = p.subscription
	where p.account <> s.account;

	return query
	select 'payment_in_account_of_checkout', format('payment %s, checkout %s', p.id, c.id)
	from payment p
	join checkout c on c.id = p.checkout
	where p.account <> c.account or (p.kind = 'top_up' and p.confirmed_by = 'event' and c.state <> 'completed');

	return query
	select 'event_is_applied', format('event %s (%s): %s', e.id, e.type, coalesce(e.subject, 'nothing'))
	from creem_event e
	where e.state = 'applied' and not coalesce(case split_part(e.subject, ':', 1)
		when 'payment' then exists (select from payment p where p.id::text = split_part(e.subject, ':', 2)
			and p.account = e.account and (p.confirmed_by = 'event' or e.reason is not null))
		when 'refund' then exists (select from payment_refund r where r.id = substr(e.subject, 8))
		when 'dispute' then exists (select from dispute d where d.id = substr(e.subject, 9))
		when 'checkout' then exists (select from creem_link l where l.kind = 'checkout' and l.id = substr(e.subject, 10)
			and l.account = e.account)
		when 'subscription' then exists (select from subscription s where s.id = substr(e.subject, 14) and s.account = e.account
			and (s.status is not null or e.type = 'subscription.expired')) end, false);

	return query
	select 'event_is_handled', format('event %s (%s)', e.id, e.type)
	from creem_event e
	where e.state = 'received';

	return query
	select 'parked_event_waits', format('event %s (%s)', e.id, e.type)
	from creem_event e
	where e.state = 'parked' and e.reason = 'account'
		and exists (select from creem_link l where l.id = any (e.keys) and l.kind <> 'customer');

	return query
	select 'applied_event_forgot_person', format('event %s (%s)', e.id, e.type)
	from creem_event e
	where e.state = 'applied' and jsonb_path_exists(e.raw, '$.** ? (exists (@.customer) || exists (@.metadata) || exists (@.custom_fields) || exists (@.email))');

	return query
	select 'disputed_account_is_suspended', format('account %s (%s)', a.id, a.status)
	from account a
	where a.status <> 'closed'
		and exists (select from dispute d join payment p on p.id = d.payment where p.account = a.id and d.state = 'open')
			<> exists (select from finding f where f.account = a.id and f.state = 'open' and f.signal = 'dispute');

	return query
	select 'restriction_is_strongest_finding', format('account %s (%s, throttle %s): %s', a.id, a.status, a.throttle, coalesce(f.action::text, 'none'))
	from account a
	left join (
		select f.account, max(f.action) as action from finding f where f.state = 'open' group by f.account
	) f on f.account = a.id
	where a.status <> 'closed'
		and (a.status, a.throttle > 1) is distinct from (
			case f.action when 'suspend' then 'suspended' when 'hold' then 'held' else 'active' end,
			coalesce(f.action = 'throttle', false))
		and not exists (select from finding o where o.account = a.id and not o.applied);

	return query
	select 'mail_in_account_of_payment', format('mail %s', m.id)
	from mail_outbox m
	join payment p on p.id = m.payment
	where m.account <> p.account;

	return query
	select 'refused_prompt_reached_nobody', format('generation %s (%s)', g.id, g.moderation)
	from generation g
	where g.moderation in ('deny', 'flag')
		and exists (select from provider_call c where c.generation = g.id and c.created_at >= g.moderated_at);
end
$$;
grant execute on function shotai.audit() to shotai_operator;

select set_config('role', current_setting('shotai.migrating_role'), false);

-- The only writers of lots and entries. Each expects the account's row to be
-- locked by the caller, in a statement of its own, before anything was read.
-- Nobody but the owner may execute them.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

create or replace function shotai.book(p_account bigint, p_kind text, p_amount bigint, p_cause text, p_generation uuid)
returns uuid
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	return book_order(p_account, p_kind, p_amount, p_cause, p_generation, null);
end
$$;

-- Writes one entry: assigns its number and the balance after it.
create or replace function shotai.book_order(p_account bigint, p_kind text, p_amount bigint, p_cause text, p_generation uuid,
	p_order uuid)
returns uuid
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_entry uuid := gen_random_uuid();
	v_number bigint;
	v_balance bigint;
begin
	update account a
	set balance = a.balance + p_amount, entry_no = a.entry_no + 1, change_no = a.change_no + 1
	where a.id = p_account
	returning a.entry_no, a.balance into strict v_number, v_balance;

	insert into credit_entry (id, account, number, kind, amount, balance_after, cause, generation, order_id)
	values (v_entry, p_account, v_number, p_kind, p_amount, v_balance, p_cause, p_generation, p_order);
	return v_entry;
end
$$;

-- Takes what is left in the lots whose time has come; returns the sum.
create or replace function shotai.expire_lots(p_account bigint) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_now timestamptz := clock_timestamp();
	v_lot record;
	v_entry uuid;
	v_sum bigint := 0;
begin
	for v_lot in
		select l.id, l.remaining, l.expires_at
		from credit_lot l
		where l.account = p_account and l.open and l.expires_at <= v_now
		order by l.id
	loop
		v_entry := book(p_account, 'expire', -v_lot.remaining,
			format('expire:%s:%s', v_lot.id, extract(epoch from v_lot.expires_at)), null);
		insert into entry_lot (entry, position, lot, amount) values (v_entry, 1, v_lot.id, -v_lot.remaining);
		update credit_lot l set remaining = 0 where l.id = v_lot.id;
		v_sum := v_sum + v_lot.remaining;
	end loop;
	return v_sum;
end
$$;

create or replace function shotai.grant_lot(p_account bigint, p_source text, p_amount bigint, p_expires_at timestamptz,
	p_cause text)
returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_lot bigint;
	v_entry uuid;
begin
	insert into credit_lot (account, source, granted, remaining, expires_at)
	values (p_account, p_source, p_amount, p_amount, p_expires_at)
	returning id into v_lot;
	v_entry := book(p_account, case p_source when 'adjustment' then 'adjust' else 'grant' end, p_amount, p_cause, null);
	insert into entry_lot (entry, position, lot, amount) values (v_entry, 1, v_lot, p_amount);
	return v_lot;
end
$$;

-- Takes the price of a generation from the lots that expire first, then the
-- oldest. The caller has expired due lots and knows that the balance suffices.
create or replace function shotai.charge(p_account bigint, p_amount bigint, p_generation uuid) returns void
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	perform take_credits(p_account, 'charge', p_amount, 'charge:' || p_generation, p_generation);
end
$$;

create or replace function shotai.take_credits(p_account bigint, p_kind text, p_amount bigint, p_cause text, p_generation uuid)
returns void
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_entry uuid := book(p_account, p_kind, -p_amount, p_cause, p_generation);
	v_taken bigint;
begin
	with lot as (
		select l.id, l.remaining,
			sum(l.remaining) over consumption as upto,
			row_number() over consumption as position
		from credit_lot l
		where l.account = p_account and l.open
		window consumption as (order by l.expires_at nulls last, l.id)
	), part as (
		select l.id, l.position, least(l.remaining, p_amount - (l.upto - l.remaining))::bigint as amount
		from lot l
		where l.upto - l.remaining < p_amount
	), emptied as (
		update credit_lot l set remaining = l.remaining - part.amount from part where l.id = part.id
	), listed as (
		insert into entry_lot (entry, position, lot, amount)
		select v_entry, part.position, part.id, -part.amount from part
		returning amount
	)
	select -sum(listed.amount) from listed into v_taken;
	if v_taken is distinct from p_amount then
		raise exception 'lots do not cover the balance' using errcode = 'data_corrupted';
	end if;
end
$$;

-- Gives back part of a generation's charge, in one entry, to its lots in
-- reverse order. A lot that expired meanwhile is reopened for 24 hours, once; a
-- lot that is being revoked loses what came back as far as is still to revoke.
create or replace function shotai.refund(p_account bigint, p_amount bigint, p_generation uuid) returns void
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_now timestamptz;
	v_entry uuid;
	v_left bigint := p_amount;
	v_back bigint;
	v_position smallint := 0;
	v_part record;
	v_revoked bigint;
begin
	-- What is left in a due lot has expired: reopening must not revive it.
	perform expire_lots(p_account);
	v_now := clock_timestamp();
	v_entry := book(p_account, 'refund', p_amount, 'refund:' || p_generation, p_generation);

	for v_part in
		select p.lot, -p.amount as amount
		from entry_lot p
		join credit_entry e on e.id = p.entry
		where e.cause = 'charge:' || p_generation
		order by p.position desc
	loop
		exit when v_left = 0;
		v_back := least(v_part.amount, v_left);
		v_left := v_left - v_back;
		v_position := v_position + 1;
		insert into entry_lot (entry, position, lot, amount) values (v_entry, v_position, v_part.lot, v_back);
		-- Reopened before: a new moment of expiry, already past, is a new cause.
		update credit_lot l
		set remaining = l.remaining + v_back,
			expires_at = case
				when l.expires_at > v_now or l.expires_at is null then l.expires_at
				when l.reopened then v_now
				else v_now + interval '24 hours' end,
			reopened = l.reopened or coalesce(l.expires_at <= v_now, false)
		where l.id = v_part.lot;
	end loop;
	if v_left <> 0 then
		raise exception 'a refund exceeds its charge' using errcode = 'data_corrupted';
	end if;

	select sum(least(l.remaining, l.revoke_target - l.revoked))
	from credit_lot l
	join entry_lot p on p.lot = l.id
	where p.entry = v_entry and l.revoke_target > l.revoked and l.remaining > 0
	into v_revoked;
	if v_revoked > 0 then
		perform revoke_refunded(p_account, v_entry, v_revoked, 'revoke:refund:' || p_generation);
	end if;
	perform expire_lots(p_account);
end
$$;

-- The last step of a refund into lots that are being revoked.
create or replace function shotai.revoke_refunded(p_account bigint, p_refund uuid, p_amount bigint, p_cause text)
returns void
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_entry uuid := book(p_account, 'revoke', -p_amount, p_cause, null);
begin
	with part as (
		select l.id, p.position, least(l.remaining, l.revoke_target - l.revoked) as amount
		from credit_lot l
		join entry_lot p on p.lot = l.id
		where p.entry = p_refund and l.revoke_target > l.revoked and l.remaining > 0
	), taken as (
		update credit_lot l
		set remaining = l.remaining - part.amount, revoked = l.revoked + part.amount
		from part
		where l.id = part.id
	)
	insert into entry_lot (entry, position, lot, amount)
	select v_entry, part.position, part.id, -part.amount from part;
end
$$;

select set_config('role', current_setting('shotai.migrating_role'), false);

-- Events of Creem: stored and applied in one transaction, one at a time.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

-- Taken in a statement of its own before anything is read; the first in the order of locks.
create or replace function shotai.lock_creem() returns void
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	perform pg_advisory_xact_lock(hashtextextended('shotai.creem', 0));
end
$$;

-- Whether objects of this mode count here.
create or replace function shotai.mode_counts(p_mode text) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	return (select (coalesce(p_mode, '') = 'prod') = s.live from billing_setting s);
end
$$;

create or replace function shotai.receive_event(p_raw text) returns table (outcome text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
declare
	v_raw jsonb;
	v_id text;
	v_state text;
begin
	perform lock_creem();
	begin
		v_raw := p_raw::jsonb;
	exception when data_exception or program_limit_exceeded then
		v_raw := null; -- what JSON allows and PostgreSQL does not, as a character 0
	end;
	v_id := coalesce(json_id(v_raw), 'sha256:' || encode(sha256(convert_to(p_raw, 'UTF8')), 'hex'));
	insert into creem_event (id, type, sent_at, raw)
	values (v_id, coalesce(json_text(v_raw -> 'eventType'), json_text(v_raw -> 'type'), ''), json_time(v_raw -> 'created_at'),
		v_raw)
	on conflict (id) do nothing;
	if not found then
		select e.state from creem_event e where e.id = v_id into strict v_state;
		-- Sent again because it was not applied: it may be now.
		if v_state not in ('parked', 'failed') then
			outcome := 'duplicate';
			return next;
			return;
		end if;
	end if;
	outcome := handle_event(v_id);
	return next;
end
$$;
grant execute on function shotai.receive_event(text) to shotai_webhook;

-- Applies a stored event and notes what became of it, then those that waited
-- for what it made known. What fails changes nothing, and says by which error.
create or replace function shotai.handle_event(p_id text) returns text
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_event creem_event;
	v_object jsonb;
	v_fact creem_fact;
	v_result record;
	v_error text;
	v_parked text;
begin
	select e.* from creem_event e where e.id = p_id for no key update into strict v_event;
	begin
		v_object := json_object(coalesce(v_event.raw -> 'object', v_event.raw -> 'data'));
		v_fact := creem_facts(split_part(v_event.type, '.', 1), v_object);
		select * from apply_fact(v_event.type, v_fact, v_event.sent_at, v_event.id) into v_result;
	exception
		when transaction_rollback or lock_not_available or insufficient_resources or system_error then
			raise; -- nothing is wrong with the event
		when others then
			get stacked diagnostics v_error = returned_sqlstate;
			select 'failed' as state, v_error as reason, null::bigint as account, null::text as subject, '{}'::text[] as keys
			into v_result;
	end;

	update creem_event e
	set state = v_result.state, reason = v_result.reason, account = v_result.account, subject = v_result.subject,
		keys = case v_result.state when 'parked' then fact_keys(v_fact) else '{}' end,
		-- A customer's id is all that another try may need of him.
		raw = strip_person(e.raw, v_result.state <> 'applied'),
		tries = e.tries + 1, handled_at = clock_timestamp()
	where e.id = p_id;
	if v_result.keys <> '{}' then
		perform apply_parked(v_result.keys, p_id);
	end if;
	return v_result.state;
end
$$;

-- Tries again the parked events that name one of these ids, but for the one that told them.
create or replace function shotai.apply_parked(p_keys text[], p_told_by text default null) returns void
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_id text;
begin
	for v_id in
		select e.id from creem_event e where e.state = 'parked' and e.keys && p_keys and e.id is distinct from p_told_by
		order by e.sent_at nulls last, e.received_at, e.id
	loop
		-- One of them may have applied it meanwhile.
		if exists (select from creem_event e where e.id = v_id and e.state = 'parked') then
			perform handle_event(v_id);
		end if;
	end loop;
end
$$;

-- What an object of Creem changes here. p_type: the type of its event;
-- transaction, or subscription.read, where it was read from Creem's API.
create or replace function shotai.apply_fact(p_type text, f shotai.creem_fact, p_sent_at timestamptz, p_event text)
returns table (state text, reason text, account bigint, subject text, keys text[])
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
declare
	v_found bigint;
begin
	keys := '{}';
	state := 'applied';
	reason := case
		when p_type = '' then 'unreadable'
		when p_type not in ('transaction', 'subscription.read') and event_rank(p_type) is null then 'type'
		when not mode_counts(f.mode) then 'mode'
		when f.id is null then 'object' end;
	if reason is not null then
		state := 'ignored';
		return next;
		return;
	end if;

	v_found := account_of(f);
	reason := case
		when v_found is null then 'account'
		when grants(p_type, f) = 'grant' and not sold(f) then 'product' end;
	if reason is not null then
		state := 'parked';
		if v_found is not null then -- whose it is counts already
			perform from account a where a.id = v_found for no key update;
			keys := add_links(v_found, f);
		end if;
		return next;
		return;
	end if;

	perform from account a where a.id = v_found for no key update;
	perform expire_lots(v_found);
	account := v_found;
	keys := add_links(v_found, f);
	reason := nullif(grants(p_type, f), 'grant');
	subject := case f.kind
		when 'checkout' then apply_checkout(v_found, f, p_sent_at)
		when 'subscription' then apply_subscription(v_found, p_type, f, p_sent_at, p_event)
		when 'transaction' then apply_invoice(v_found, f, p_sent_at)
		when 'refund' then apply_refund(v_found, f, p_sent_at)
		when 'dispute' then apply_dispute(v_found, f, p_sent_at) end;
	return next;
end
$$;

-- Whether we know what was bought: a product of that kind that has a price.
create or replace function shotai.sold(f shotai.creem_fact) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	return exists (
		select from product r
		where r.creem_product = f.product and r.kind = case when f.subscription is null then 'top_up' else 'subscription' end
			and exists (select from product_price c where c.product = r.id));
end
$$;

-- The types that mean something, and of those of a subscription the place among equals of one moment.
create or replace function shotai.event_rank(p_type text) returns integer
language plpgsql immutable security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	return array_position(array['subscription.read', 'checkout.completed', 'refund.created', 'dispute.created',
		'subscription.active', 'subscription.trialing', 'subscription.update', 'subscription.paid', 'subscription.past_due',
		'subscription.unpaid', 'subscription.scheduled_cancel', 'subscription.paused', 'subscription.expired',
		'subscription.canceled'], p_type);
end
$$;

-- 'grant' when a payment is proved, else why not; null where nothing is paid.
create or replace function shotai.grants(p_type text, f shotai.creem_fact) returns text
language plpgsql immutable security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_paid boolean := coalesce(f.transaction_status, 'paid') in ('paid', 'refunded', 'partialRefund', 'chargedBack', 'chargeback');
begin
	return case p_type
		when 'checkout.completed' then case
			when f.subscription is not null or f.order_type = 'recurring' then null
			when f.creem_order is null then 'no order'
			when f.order_status = 'paid' then 'grant'
			else 'not paid' end
		when 'subscription.paid' then case
			when f.status = 'trialing' then 'trial'
			when f.transaction is null and f.period_start is null then 'no transaction'
			when v_paid then 'grant'
			else 'not paid' end
		when 'transaction' then case when v_paid then 'grant' else 'not paid' end end;
end
$$;

-- A one-time order grants; one of a subscription only says whose it is.
create or replace function shotai.apply_checkout(p_account bigint, f shotai.creem_fact, p_sent_at timestamptz) returns text
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_payment uuid;
begin
	update checkout c
	set state = 'completed', creem_id = coalesce(c.creem_id, f.id), completed_at = coalesce(c.completed_at, clock_timestamp())
	where (c.id = f.request_id or c.creem_id = f.id) and c.state <> 'completed';
	if grants('checkout.completed', f) is distinct from 'grant' then
		return 'checkout:' || f.id;
	end if;
	v_payment := note_payment(p_account, f, 'event', p_sent_at);
	perform settle_payment(v_payment);
	return 'payment:' || v_payment;
end
$$;

create or replace function shotai.apply_refund(p_account bigint, f shotai.creem_fact, p_sent_at timestamptz) returns text
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_payment uuid := note_payment(p_account, f, null, p_sent_at);
begin
	perform note_refund(v_payment, f);
	perform settle_payment(v_payment);
	return 'refund:' || f.id;
end
$$;

create or replace function shotai.list_events(p_state text, p_lim integer, p_cursor text)
returns table (problem text, retry_after integer, extras text, cursor text, more boolean,
	id text, type text, state text, reason text, subject text, tries integer, sent_at text, received_at text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
declare
	v_limit integer := least(greatest(p_lim, 1), 100);
	v_before timestamptz := 'infinity';
	v_before_id text := '';
begin
	if p_cursor is not null and p_cursor !~ '^[0-9]{1,17}\..+$' then
		problem := 'invalid_request';
		extras := '{"errors":[{"pointer":"cursor","detail":"is not one that a list gave"}]}';
		return next;
		return;
	elsif p_cursor is not null then
		v_before := 'epoch'::timestamptz + split_part(p_cursor, '.', 1)::bigint * interval '1 microsecond';
		v_before_id := substr(p_cursor, strpos(p_cursor, '.') + 1);
	end if;
	return query
	select null::text, null::integer, null::text,
		cursor_of(n.received_at, n.id), n.number > v_limit,
		n.id, n.type, n.state, n.reason, n.subject, n.tries, rfc3339(n.sent_at), rfc3339(n.received_at)
	from (
		select e.*, count(*) over () as number
		from (
			select e.* from creem_event e
			where (p_state is null or e.state = p_state) and (e.received_at, e.id) < (v_before, v_before_id)
			order by e.received_at desc, e.id desc
			limit v_limit + 1
		) e
		order by e.received_at desc, e.id desc
		limit v_limit
	) n
	order by n.received_at desc, n.id desc;
end
$$;
grant execute on function shotai.list_events(text, integer, text) to shotai_operator;

create or replace function shotai.show_event(p_id text)
returns table (problem text, retry_after integer, extras text, id text, type text, state text, reason text, subject text,
	user_id uuid, keys text, tries integer, sent_at text, received_at text, handled_at text, raw text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	select null::text, null::integer, null::text, e.id, e.type, e.state, e.reason, e.subject, a.user_id,
		to_json(e.keys)::text, e.tries, rfc3339(e.sent_at), rfc3339(e.received_at), rfc3339(e.handled_at), e.raw::text
	from creem_event e
	left join account a on a.id = e.account
	where e.id = p_id;
	if not found then
		problem := 'not_found';
		return next;
	end if;
end
$$;
grant execute on function shotai.show_event(text) to shotai_operator;

-- Tries a stored event again; one that is applied changes nothing.
create or replace function shotai.replay_event(p_id text, p_operator text)
returns table (problem text, retry_after integer, extras text, outcome text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_state text;
begin
	perform lock_creem();
	select e.state from creem_event e where e.id = p_id into v_state;
	if v_state is null then
		problem := 'not_found';
		return next;
		return;
	end if;
	outcome := case v_state when 'applied' then 'duplicate' else handle_event(p_id) end;
	insert into operator_log (operator, action, account, reason, detail)
	select p_operator, 'replay_event', e.account, 'replayed', jsonb_build_object('event', p_id, 'outcome', outcome)
	from creem_event e where e.id = p_id;
	return next;
end
$$;
grant execute on function shotai.replay_event(text, text) to shotai_operator;

-- Says whose a customer or subscription of Creem is, where no checkout of ours does.
create or replace function shotai.link_creem(p_kind text, p_id text, p_user_id uuid, p_reason text, p_operator text)
returns table (problem text, retry_after integer, extras text, applied bigint)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_account bigint;
begin
	perform lock_creem();
	select a.id from account a where a.user_id = p_user_id for no key update into v_account;
	problem := case
		when v_account is null then 'not_found'
		when p_kind not in ('customer', 'subscription', 'order', 'checkout', 'transaction') or coalesce(p_id, '') = ''
			or coalesce(p_reason, '') = '' or coalesce(p_operator, '') = '' then 'invalid_request' end;
	if problem is not null then
		return next;
		return;
	end if;
	insert into creem_link (kind, id, account) values (p_kind, p_id, v_account) on conflict do nothing;
	insert into operator_log (operator, action, account, reason, detail)
	values (p_operator, 'link_creem', v_account, p_reason, jsonb_build_object('kind', p_kind, 'id', p_id));
	select count(*) from creem_event e where e.state = 'parked' and e.keys && array[p_id] into applied;
	perform apply_parked(array[p_id]);
	select applied - count(*) from creem_event e where e.state = 'parked' and e.keys && array[p_id] into applied;
	return next;
end
$$;
grant execute on function shotai.link_creem(text, text, uuid, text, text) to shotai_operator;

select set_config('role', current_setting('shotai.migrating_role'), false);

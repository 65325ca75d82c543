-- Subscriptions: their state, whatever the order in which it is told, and their
-- invoices.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

create or replace function shotai.apply_subscription(p_account bigint, p_type text, f shotai.creem_fact,
	p_sent_at timestamptz, p_event text)
returns text
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_granted text := grants(p_type, f);
	v_payment uuid;
begin
	perform note_state(p_type, f, p_sent_at, p_event);
	if v_granted is null or v_granted = 'no transaction' then
		return 'subscription:' || f.id;
	end if;
	v_payment := note_payment(p_account, f, case v_granted when 'grant' then 'event' end, p_sent_at);
	perform settle_payment(v_payment);
	return 'payment:' || v_payment;
end
$$;

-- The state stored is the highest by (canceled, updated_at, rank of the type,
-- time and id of the event). An expired event says nothing but that the period
-- lapsed: its status still is what it was.
create or replace function shotai.note_state(p_type text, f shotai.creem_fact, p_sent_at timestamptz, p_event text)
returns void
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_status text := case p_type when 'subscription.canceled' then 'canceled'
		else coalesce(f.status, split_part(p_type, '.', 2)) end;
	v_updated_at timestamptz := coalesce(f.updated_at, p_sent_at, '-infinity');
begin
	if p_type = 'subscription.expired' then
		update subscription s
		set lapsed_until = greatest(s.lapsed_until, f.current_period_end, case when f.current_period_end is null then f.period_end end)
		where s.id = f.id;
		return;
	end if;
	update subscription s
	set status = v_status, updated_at = v_updated_at, event_rank = event_rank(p_type), event_at = coalesce(p_sent_at, '-infinity'),
		event = coalesce(p_event, ''), units = coalesce(f.units, s.units, 1),
		product = coalesce((select r.id from product r where r.creem_product = f.product), s.product),
		current_period_start = coalesce(f.current_period_start, s.current_period_start),
		current_period_end = coalesce(f.current_period_end, s.current_period_end)
	where s.id = f.id
		and (s.status is null or ((v_status = 'canceled')::integer, v_updated_at, event_rank(p_type),
				coalesce(p_sent_at, '-infinity'), coalesce(p_event, '') collate "C")
			> ((s.status = 'canceled')::integer, s.updated_at, s.event_rank, s.event_at, s.event collate "C"));
end
$$;

create or replace function shotai.get_subscription(p_user_id uuid)
returns table (id text, product_id text, status text, current_period_start text, current_period_end text,
	cancel_at_period_end boolean, lapsed boolean, updated_at text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	select s.id, s.product_id, s.status, s.current_period_start, s.current_period_end, s.cancel_at_period_end, s.lapsed,
		s.updated_at
	from account a
	cross join shown_subscription(a.id) s
	where a.user_id = p_user_id and a.status <> 'closed';
end
$$;
grant execute on function shotai.get_subscription(uuid) to shotai_web;

-- The one an account sees: one that is not over, then the latest.
create or replace function shotai.shown_subscription(p_account bigint)
returns table (id text, product_id text, status text, current_period_start text, current_period_end text,
	cancel_at_period_end boolean, lapsed boolean, updated_at text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	select s.id, s.product, s.status, rfc3339(s.current_period_start), rfc3339(s.current_period_end),
		s.status = 'scheduled_cancel', coalesce(s.lapsed_until >= s.current_period_end, false), rfc3339(nullif(s.updated_at, '-infinity'))
	from subscription s
	where s.account = p_account and s.status is not null
	order by s.status = 'canceled', s.updated_at desc, s.id
	limit 1;
end
$$;

select set_config('role', current_setting('shotai.migrating_role'), false);

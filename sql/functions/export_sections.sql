-- The sections of an export. Each gives, as JSON in the order of its cursor,
-- what is held about one account; null: from the start.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

create or replace function shotai.export_time(p_cursor text) returns timestamptz
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	return coalesce('epoch'::timestamptz + split_part(p_cursor, '.', 1)::bigint * interval '1 microsecond', '-infinity');
end
$$;

create or replace function shotai.export_account(p_account bigint, p_after text, p_lim integer)
returns table (cursor text, item json)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	select '1', row_to_json(r)
	from (
		select a.user_id, (select f.email from auth_find(a.user_id::text) f) as email, a.plan, a.status, a.throttle,
			rfc3339(a.throttled_until) as throttled_until, a.welcome_refused, a.locale,
			json_build_object('receipts', a.receipts, 'announcements', a.announcements) as notifications,
			rfc3339(a.age_confirmed_at) as age_confirmed_at, a.policy_acknowledged, a.balance, a.unfinished,
			rfc3339(a.created_at) as created_at
		from account a
		where a.id = p_account and p_after is null
	) r;
end
$$;

-- email_hash: keyed, of the folded address.
create or replace function shotai.export_welcome_grants(p_account bigint, p_after text, p_lim integer)
returns table (cursor text, item json)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	select '1', row_to_json(r)
	from (
		select rfc3339(w.granted_at) as granted_at, encode(w.email_hash, 'hex') as email_hash
		from welcome_grant w
		where w.account = p_account and p_after is null
	) r;
end
$$;

create or replace function shotai.export_generations(p_account bigint, p_after text, p_lim integer, p_ids uuid[] default null)
returns table (cursor text, item json)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
declare
	v_time timestamptz := export_time(p_after);
	v_id uuid := coalesce(nullif(substr(p_after, strpos(p_after, '.') + 1), '')::uuid, '00000000-0000-0000-0000-000000000000'::uuid);
begin
	return query
	select cursor_of(n.created_at, n.id::text), row_to_json(r)
	from (
		select g.*
		from generation g
		where g.account = p_account and (g.created_at, g.id) > (v_time, v_id)
			and (p_ids is null or (g.id = any (p_ids) and g.deleted_at is null))
		order by g.created_at, g.id
		limit p_lim
	) n
	cross join lateral (
		select n.id, n.status, n.model, n.prompt, n.aspect_ratio, n.count, n.seed, n.upload_ids, n.delivered,
			n.credits_charged, n.credits_refunded, n.error_code, n.error_reason, n.moderation,
			rfc3339(n.moderated_at) as moderated_at, encode(n.prompt_hash, 'hex') as prompt_hash, n.favourite,
			rfc3339(n.created_at) as created_at, rfc3339(n.started_at) as started_at, rfc3339(n.finished_at) as finished_at,
			rfc3339(n.deleted_at) as deleted_at
	) r
	order by n.created_at, n.id;
end
$$;

-- A cursor of the image: time and id of its generation, and its index. title: for the name of a file.
create or replace function shotai.export_images(p_account bigint, p_after text, p_lim integer, p_ids uuid[] default null)
returns table (cursor text, item json, image_key text, thumbnail_key text, title text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
declare
	v_time timestamptz := export_time(p_after);
	v_id uuid := coalesce(nullif(split_part(p_after, '.', 2), '')::uuid, '00000000-0000-0000-0000-000000000000');
	v_index integer := coalesce(nullif(split_part(p_after, '.', 3), '')::integer, -1);
begin
	return query
	select cursor_of(n.made, n.generation || '.' || n.index), row_to_json(r), n.image_key, n.thumbnail_key,
		to_char(n.made at time zone 'UTC', 'YYYY-MM-DD') || ' ' || left(n.prompt, 100)
	from (
		select i.*, g.created_at as made, g.prompt
		from generation g
		join image i on i.generation = g.id
		where g.account = p_account and (g.created_at, g.id) >= (v_time, v_id)
			and (g.created_at, g.id, i.index) > (v_time, v_id, v_index)
			and (p_ids is null or g.id = any (p_ids))
		order by g.created_at, g.id, i.index
		limit p_lim
	) n
	cross join lateral (
		select n.generation as generation_id, n.index, n.width, n.height, n.content_type, n.bytes,
			rfc3339(n.created_at) as created_at
	) r
	order by n.made, n.generation, n.index;
end
$$;

create or replace function shotai.export_provider_calls(p_account bigint, p_after text, p_lim integer)
returns table (cursor text, item json)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	select r.id::text, row_to_json(r)
	from (
		select c.id, c.generation as generation_id, c.attempt, c.first_index, c.images, c.provider, c.state, c.repeat,
			c.vendor_id, rfc3339(c.created_at) as created_at, rfc3339(c.finished_at) as finished_at
		from generation g
		join provider_call c on c.generation = g.id
		where g.account = p_account and c.id > coalesce(p_after::bigint, 0)
		order by c.id
		limit p_lim
	) r;
end
$$;

-- The pictures themselves can be looked at by nobody; after 30 minutes the times are all that is left.
create or replace function shotai.export_uploads(p_account bigint, p_after text, p_lim integer)
returns table (cursor text, item json)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
declare
	v_time timestamptz := export_time(p_after);
	v_id uuid := coalesce(nullif(substr(p_after, strpos(p_after, '.') + 1), '')::uuid, '00000000-0000-0000-0000-000000000000'::uuid);
begin
	return query
	select cursor_of(n.created_at, n.id::text), row_to_json(r)
	from (
		select u.*
		from upload u
		where u.account = p_account and (u.created_at, u.id) > (v_time, v_id)
		order by u.created_at, u.id
		limit p_lim
	) n
	cross join lateral (
		select n.id, n.content_type, n.width, n.height, n.bytes, rfc3339(n.created_at) as created_at,
			rfc3339(n.expires_at) as expires_at, rfc3339(n.stored_at) as stored_at, rfc3339(n.deleted_at) as deleted_at
	) r
	order by n.created_at, n.id;
end
$$;

create or replace function shotai.export_shares(p_account bigint, p_after text, p_lim integer)
returns table (cursor text, item json)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
declare
	v_time timestamptz := export_time(p_after);
	v_id uuid := coalesce(nullif(substr(p_after, strpos(p_after, '.') + 1), '')::uuid, '00000000-0000-0000-0000-000000000000'::uuid);
begin
	return query
	select cursor_of(n.created_at, n.id::text), row_to_json(r)
	from (
		select s.*
		from share s
		where s.account = p_account and (s.created_at, s.id) > (v_time, v_id)
		order by s.created_at, s.id
		limit p_lim
	) n
	cross join lateral (
		select n.slug, '/s/' || n.slug as path, n.generation as generation_id, n.index as image_index, n.show_prompt, n.views,
			n.reports, rfc3339(n.created_at) as created_at, rfc3339(n.expires_at) as expires_at,
			rfc3339(n.taken_down_at) as taken_down_at
	) r
	order by n.created_at, n.id;
end
$$;

create or replace function shotai.export_share_reports(p_account bigint, p_after text, p_lim integer)
returns table (cursor text, item json)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	select r.id::text, row_to_json(r)
	from (
		select s.id, s.slug, s.generation as generation_id, s.index as image_index, s.reason, s.state,
			rfc3339(s.created_at) as created_at, rfc3339(s.decided_at) as decided_at
		from share_report s
		where s.account = p_account and s.id > coalesce(p_after::bigint, 0)
		order by s.id
		limit p_lim
	) r;
end
$$;

create or replace function shotai.export_credit_entries(p_account bigint, p_after text, p_lim integer)
returns table (cursor text, item json)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	select r.number::text, row_to_json(r)
	from (
		select e.number, e.id, e.kind, e.amount, e.balance_after, e.cause, e.generation as generation_id,
			e.order_id as payment_id, rfc3339(e.created_at) as created_at,
			(
				select json_agg(json_build_object('lot', x.lot, 'amount', x.amount) order by x.position)
				from entry_lot x where x.entry = e.id
			) as lots
		from credit_entry e
		where e.account = p_account and e.number > coalesce(p_after::bigint, 0)
		order by e.number
		limit p_lim
	) r;
end
$$;

create or replace function shotai.export_credit_lots(p_account bigint, p_after text, p_lim integer)
returns table (cursor text, item json)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	select r.id::text, row_to_json(r)
	from (
		select l.id, l.source, l.granted, l.remaining, rfc3339(l.expires_at) as expires_at, l.reopened, l.revoke_target,
			l.revoked, l.payment as payment_id, rfc3339(l.created_at) as created_at
		from credit_lot l
		where l.account = p_account and l.id > coalesce(p_after::bigint, 0)
		order by l.id
		limit p_lim
	) r;
end
$$;

create or replace function shotai.export_checkouts(p_account bigint, p_after text, p_lim integer)
returns table (cursor text, item json)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
declare
	v_time timestamptz := export_time(p_after);
	v_id uuid := coalesce(nullif(substr(p_after, strpos(p_after, '.') + 1), '')::uuid, '00000000-0000-0000-0000-000000000000'::uuid);
begin
	return query
	select cursor_of(n.created_at, n.id::text), row_to_json(r)
	from (
		select c.*
		from checkout c
		where c.account = p_account and (c.created_at, c.id) > (v_time, v_id)
		order by c.created_at, c.id
		limit p_lim
	) n
	cross join lateral (
		select n.id, n.product as product_id, n.state, n.creem_id, n.url, rfc3339(n.created_at) as created_at,
			rfc3339(n.completed_at) as completed_at
	) r
	order by n.created_at, n.id;
end
$$;

create or replace function shotai.export_payments(p_account bigint, p_after text, p_lim integer)
returns table (cursor text, item json)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
declare
	v_time timestamptz := export_time(p_after);
	v_id uuid := coalesce(nullif(substr(p_after, strpos(p_after, '.') + 1), '')::uuid, '00000000-0000-0000-0000-000000000000'::uuid);
begin
	return query
	select cursor_of(n.paid_at, n.id::text), row_to_json(r)
	from (
		select p.*
		from payment p
		where p.account = p_account and (p.paid_at, p.id) > (v_time, v_id)
		order by p.paid_at, p.id
		limit p_lim
	) n
	cross join lateral (
		select n.id, n.kind, payment_status(n.id) as status, n.confirmed_by, n.product as product_id, n.units, n.credits,
			n.entitlement, n.revoked, n.amount_cents, n.tax_cents, n.paid_cents, n.refunded_cents, n.currency, n.charged_back,
			n.creem_order, n.transaction as creem_transaction, n.subscription as creem_subscription, n.checkout as checkout_id,
			n.receipted, rfc3339(n.paid_at) as paid_at, rfc3339(n.period_start) as period_start,
			rfc3339(n.period_end) as period_end, rfc3339(n.created_at) as created_at
	) r
	order by n.paid_at, n.id;
end
$$;

create or replace function shotai.export_payment_refunds(p_account bigint, p_after text, p_lim integer)
returns table (cursor text, item json)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	select r.id, row_to_json(r)
	from (
		select f.id, f.payment as payment_id, f.status, f.amount_cents, f.currency, rfc3339(f.refunded_at) as refunded_at,
			rfc3339(f.created_at) as created_at
		from payment p
		join payment_refund f on f.payment = p.id
		where p.account = p_account and f.id > coalesce(p_after, '')
		order by f.id
		limit p_lim
	) r;
end
$$;

create or replace function shotai.export_disputes(p_account bigint, p_after text, p_lim integer)
returns table (cursor text, item json)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	select r.id, row_to_json(r)
	from (
		select d.id, d.payment as payment_id, d.state, d.amount_cents, rfc3339(d.opened_at) as opened_at,
			rfc3339(d.closed_at) as closed_at
		from payment p
		join dispute d on d.payment = p.id
		where p.account = p_account and d.id > coalesce(p_after, '')
		order by d.id
		limit p_lim
	) r;
end
$$;

create or replace function shotai.export_subscriptions(p_account bigint, p_after text, p_lim integer)
returns table (cursor text, item json)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	select r.id, row_to_json(r)
	from (
		select s.id, s.product as product_id, s.units, s.status, rfc3339(s.current_period_start) as current_period_start,
			rfc3339(s.current_period_end) as current_period_end, rfc3339(s.lapsed_until) as lapsed_until,
			rfc3339(s.updated_at) as updated_at, rfc3339(s.created_at) as created_at
		from subscription s
		where s.account = p_account and s.id > coalesce(p_after, '')
		order by s.id
		limit p_lim
	) r;
end
$$;

create or replace function shotai.export_creem_ids(p_account bigint, p_after text, p_lim integer)
returns table (cursor text, item json)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	select r.kind || '.' || r.id, row_to_json(r)
	from (
		select l.kind, l.id, rfc3339(l.created_at) as created_at
		from creem_link l
		where l.account = p_account
			and (l.kind, l.id) > (coalesce(split_part(p_after, '.', 1), ''), coalesce(substr(p_after, strpos(p_after, '.') + 1), ''))
		order by l.kind, l.id
		limit p_lim
	) r;
end
$$;

create or replace function shotai.export_creem_events(p_account bigint, p_after text, p_lim integer)
returns table (cursor text, item json)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
declare
	v_time timestamptz := export_time(p_after);
	v_id text := coalesce(substr(p_after, strpos(p_after, '.') + 1), '');
begin
	return query
	select cursor_of(n.received_at, n.id::text), row_to_json(r)
	from (
		select e.*
		from creem_event e
		where e.account = p_account and (e.received_at, e.id) > (v_time, v_id)
		order by e.received_at, e.id
		limit p_lim
	) n
	cross join lateral (
		select n.id, n.type, n.state, n.reason, n.subject, n.raw, rfc3339(n.sent_at) as sent_at,
			rfc3339(n.received_at) as received_at, rfc3339(n.handled_at) as handled_at
	) r
	order by n.received_at, n.id;
end
$$;

create or replace function shotai.export_mails(p_account bigint, p_after text, p_lim integer)
returns table (cursor text, item json)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	select r.id::text, row_to_json(r)
	from (
		select m.id, m.kind, m.message_id, m.payment as payment_id, m.credits, m.amount_cents, m.state,
			case a.locale when 'nl' then n.subject_nl else n.subject_en end as announcement, m.reply_to, m.body,
			rfc3339(m.created_at) as created_at, rfc3339(m.finished_at) as finished_at
		from mail_outbox m
		join account a on a.id = m.account
		left join announcement n on n.id = m.announcement
		where m.account = p_account and m.id > coalesce(p_after::bigint, 0)
		order by m.id
		limit p_lim
	) r;
end
$$;

create or replace function shotai.export_mail_bounces(p_account bigint, p_after text, p_lim integer)
returns table (cursor text, item json)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	select r.bounced_at, row_to_json(r)
	from (
		select b.kind, b.status, rfc3339(b.bounced_at) as bounced_at
		from mail_bounce b
		where b.account = p_account and p_after is null
		limit p_lim
	) r;
end
$$;

create or replace function shotai.export_archives(p_account bigint, p_after text, p_lim integer)
returns table (cursor text, item json)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
declare
	v_time timestamptz := export_time(p_after);
	v_id uuid := coalesce(nullif(substr(p_after, strpos(p_after, '.') + 1), '')::uuid, '00000000-0000-0000-0000-000000000000'::uuid);
begin
	return query
	select cursor_of(n.created_at, n.id::text), row_to_json(r)
	from (
		select o.*
		from archive o
		where o.account = p_account and (o.created_at, o.id) > (v_time, v_id)
		order by o.created_at, o.id
		limit p_lim
	) n
	cross join lateral (
		select n.id, n.generation_ids, n.status, n.bytes, rfc3339(n.created_at) as created_at,
			rfc3339(n.expires_at) as expires_at
	) r
	order by n.created_at, n.id;
end
$$;

create or replace function shotai.export_idempotency_keys(p_account bigint, p_after text, p_lim integer)
returns table (cursor text, item json)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	select r.route || '.' || r.key, row_to_json(r)
	from (
		select k.route, k.key, encode(k.request_hash, 'hex') as request_hash, k.created, rfc3339(k.created_at) as created_at
		from idempotency k
		where k.account = p_account
			and (k.route, k.key) > (coalesce(split_part(p_after, '.', 1), ''), coalesce(substr(p_after, strpos(p_after, '.') + 1), ''))
		order by k.route, k.key
		limit p_lim
	) r;
end
$$;

create or replace function shotai.export_rate_states(p_account bigint, p_after text, p_lim integer)
returns table (cursor text, item json)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	select r.action, row_to_json(r)
	from (
		select s.action, rfc3339(s.arrival) as arrival
		from rate_state s
		where s.account = p_account and s.action > coalesce(p_after, '')
		order by s.action
		limit p_lim
	) r;
end
$$;

-- Without the operator, who is a person too.
create or replace function shotai.export_operator_actions(p_account bigint, p_after text, p_lim integer)
returns table (cursor text, item json)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	select r.id::text, row_to_json(r)
	from (
		select o.id, rfc3339(o.at) as at, o.action, o.reason, o.detail
		from operator_log o
		where o.account = p_account and o.id > coalesce(p_after::bigint, 0)
		order by o.id
		limit p_lim
	) r;
end
$$;

-- Its cursor is a time, so what came at the same time is not cut in two. An address was recorded only where TELEMETRY says so.
create or replace function shotai.export_requests(p_account bigint, p_after text, p_lim integer)
returns table (cursor text, item json)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
declare
	v_time timestamptz := export_time(p_after);
begin
	return query
	select cursor_of(n.at, ''), row_to_json(r)
	from (
		select t.*
		from telemetry_request t
		where t.account = p_account and t.at > v_time
		order by t.at
		fetch first p_lim rows with ties
	) n
	cross join lateral (
		select rfc3339(n.at) as at, n.program, n.method, n.route, n.status, n.milliseconds, host(n.address) as address
	) r
	order by n.at;
end
$$;

select set_config('role', current_setting('shotai.migrating_role'), false);

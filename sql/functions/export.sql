-- Everything held about a person, in sections. A section is a function
-- export_<section>(account, after, lim) that gives its rows after a cursor of
-- its own, and a row in export_list; what is told nowhere has a row there too.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

-- The sections in their order, with the tables that each tells of; then, without a section, the tables that none
-- tells of, and why.
create or replace function shotai.export_list() returns table (place bigint, section text, relations text[], reason text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	return query
	select row_number() over (), l.*
	from (values
		('account', '{account}'::text[], null::text),
		('welcome_grants', '{welcome_grant}', null),
		('generations', '{generation}', null),
		('images', '{image}', null),
		('provider_calls', '{provider_call}', null),
		('uploads', '{upload}', null),
		('shares', '{share}', null),
		('share_reports', '{share_report}', null),
		('credit_entries', '{credit_entry,entry_lot}', null),
		('credit_lots', '{credit_lot}', null),
		('checkouts', '{checkout}', null),
		('payments', '{payment}', null),
		('payment_refunds', '{payment_refund}', null),
		('disputes', '{dispute}', null),
		('subscriptions', '{subscription}', null),
		('creem_ids', '{creem_link}', null),
		('creem_events', '{creem_event}', null),
		('mails', '{mail_outbox}', null),
		('mail_bounces', '{mail_bounce}', null),
		('archives', '{archive}', null),
		('idempotency_keys', '{idempotency}', null),
		('rate_states', '{rate_state}', null),
		('findings', '{finding}', null),
		('baselines', '{baseline}', null),
		('account_marks', '{account_mark}', null),
		('operator_actions', '{operator_log}', null),
		('requests', '{telemetry_request}', null),
		(null, '{job}', 'a place in the queue; generations tell what became of it'),
		(null, '{crowd_bin}', 'sums over everybody'),
		(null, '{share_traffic}', 'looks of the last minute, which shares count for good'),
		(null, '{object_deletion}', 'files that belong to nobody any more'),
		(null, '{age_block}', 'a keyed hash of an address of which no account is left'),
		(null, '{erasure,erasure_step,journal_entry}', 'there only once the account is closed; the receipt tells of it'),
		(null, '{legal_hold}', 'a hold that the law asks for may not be told while it stands')
	) l (section, relations, reason);
end
$$;

-- One page of an account's export: up to p_lim items after a place that an
-- earlier page gave, null: from the start. A row without an item is where its
-- section begins, one without a section is the end. p_ids: no more than these
-- generations and their images.
create or replace function shotai.export_rows(p_account bigint, p_ids uuid[], p_after text, p_lim integer)
returns table (place text, section text, item text, image_key text, thumbnail_key text, title text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
declare
	v_from text := split_part(p_after, ' ', 1);
	v_cursor text := nullif(substr(p_after, length(v_from) + 2), '');
	v_left integer := least(greatest(p_lim, 1), 1000);
	v_section text;
	v_rows integer;
begin
	for v_section in
		select l.section from export_list() l
		where l.section is not null and (p_ids is null or l.section in ('generations', 'images'))
			and l.place >= coalesce((select f.place from export_list() f where f.section = v_from), 0)
		order by l.place
	loop
		if v_section is distinct from v_from then
			v_cursor := null;
			return query select v_section || ' ', v_section, null, null, null, null;
		end if;
		return query execute format(
			'select %1$L || e.cursor, %2$L, e.item::text, %3$s from shotai.export_%2$s($1, $2, $3%4$s) e',
			v_section || ' ', v_section,
			case v_section when 'images' then 'e.image_key, e.thumbnail_key, e.title'
				else 'null::text, null::text, null::text' end,
			case when p_ids is not null then ', $4' end)
		using p_account, v_cursor, v_left, p_ids;
		get diagnostics v_rows = row_count;
		v_left := v_left - v_rows;
		if v_left <= 0 then
			return;
		end if;
	end loop;
	return query select null::text, null, null, null, null, null;
end
$$;

-- A page for the person himself. Refusals: those of admit; a first page may be rate_limited.
create or replace function shotai.export_page(p_user_id uuid, p_session_id uuid, p_after text, p_lim integer)
returns table (problem text, retry_after integer, extras text, rate text, place text, section text, item text,
	image_key text, thumbnail_key text, title text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
declare
	v_in admission := admit(p_user_id, p_session_id, case when p_after is null then 'export' end);
begin
	problem := case
		when v_in.problem is not null then v_in.problem
		when v_in.wait > 0 then 'rate_limited' end;
	rate := v_in.rate;
	if problem is not null then
		retry_after := nullif(v_in.wait, 0);
		return next;
		return;
	end if;
	return query
	select null::text, null::integer, null::text, v_in.rate, e.*
	from export_rows((v_in.account).id, null, p_after, p_lim) e;
end
$$;
grant execute on function shotai.export_page(uuid, uuid, text, integer) to shotai_web;

select set_config('role', current_setting('shotai.migrating_role'), false);

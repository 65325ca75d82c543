-- Who may do what, and the rules that every table and function keeps.
begin;
\ir fixture.psql
select no_plan();
-- So that partitions are held against the rules too.
select shotai.keep_telemetry(7, true);

-- Roles
select is((select count(*)::integer from pg_roles where rolname ~ '^shotai_' and (rolsuper or rolcreaterole or rolcreatedb or rolbypassrls)),
	0, 'no role of ours has a privilege of its own');
select is((select array_agg(rolname::text order by rolname) from pg_roles where rolname ~ '^shotai_' and rolcanlogin),
	'{shotai_operator,shotai_web,shotai_webhook,shotai_worker}', 'the login roles');
select is((select count(*)::integer from pg_auth_members m join pg_roles r on r.oid = m.member where r.rolname ~ '^shotai_'),
	0, 'and none is a member of another');
select ok(rolconfig @> array['statement_timeout=5s', 'lock_timeout=2s', 'default_transaction_isolation=read committed'],
	rolname || ' has its timeouts') from pg_roles where rolname ~ '^shotai_' and rolcanlogin;
select is((select rolsuper from pg_roles where rolname = 'postgres'), false, 'the migrating role is no superuser');

-- Nobody but the owner reaches a table, a view or a sequence.
select is((
	select string_agg(r.rolname || ' on ' || c.relname, ', ')
	from pg_class c
	cross join pg_roles r
	where c.relnamespace = 'shotai'::regnamespace and c.relkind in ('r', 'v', 'S', 'm', 'p')
		and (r.rolname ~ '^shotai_' and r.rolname <> 'shotai_owner' or r.rolname in ('anon', 'authenticated', 'service_role'))
		and (c.relkind = 'S' and has_sequence_privilege(r.oid, c.oid, 'usage, select, update')
			or c.relkind <> 'S' and has_table_privilege(r.oid, c.oid, 'select, insert, update, delete, truncate, references, trigger'))
), null, 'no table is reachable');
select is((
	select string_agg(a.attrelid::regclass || '.' || a.attname, ', ') from pg_attribute a join pg_class c on c.oid = a.attrelid
	where c.relnamespace = 'shotai'::regnamespace and a.attacl is not null
), null, 'no column is granted');
select is((
	select string_agg(r.rolname, ', ' order by r.rolname) from pg_roles r
	where has_schema_privilege(r.oid, 'shotai', 'usage') and not r.rolsuper and r.rolname not like 'pg\_%'
), 'postgres, shotai_operator, shotai_owner, shotai_web, shotai_webhook, shotai_worker', 'who may look into the schema');
select is((
	select string_agg(r.rolname, ', ' order by r.rolname) from pg_roles r
	where has_schema_privilege(r.oid, 'shotai', 'create') and not r.rolsuper
), 'postgres, shotai_owner', 'who may create in it');
select is((
	select string_agg(c.relname, ', ') from pg_class c
	where c.relnamespace = 'shotai'::regnamespace and c.relkind in ('r', 'p') and not c.relrowsecurity
), null, 'row level security is on everywhere');
select is((
	select string_agg(c.relname, ', ') from pg_class c
	where c.relnamespace = 'shotai'::regnamespace and c.relkind in ('r', 'p', 'v', 'S') and c.relowner <> 'shotai_owner'::regrole
), null, 'everything belongs to the owner');
select is(outcome_as('shotai_web', 'select * from shotai.account'), '42501', 'not even reading');
select is(outcome_as('shotai_web', 'select shotai.book(1, ''grant'', 1, ''x'', null)'), '42501', 'nor the ledger''s functions');
select is(outcome_as('shotai_web', 'select shotai.audit()'), '42501', 'nor the operator''s');
select is(outcome_as('shotai_web', 'select shotai.list_models()'), 'done', 'what is granted works');
select is(outcome_as('anon', 'select shotai.list_models()'), '42501', 'for our roles only');

-- Functions
create view fixture.functions as
select p.oid, p.proname::text as name, p.prosecdef, p.proconfig, p.proacl, p.provolatile, p.proowner::regrole::text as owner, l.lanname::text as language
from pg_proc p join pg_language l on l.oid = p.prolang
where p.pronamespace = 'shotai'::regnamespace;
create view fixture.unsafe as
select name from fixture.functions
where not prosecdef or proconfig is distinct from '{"search_path=pg_catalog, shotai, pg_temp"}' or language <> 'plpgsql'
	or has_function_privilege('anon', oid, 'execute') or has_function_privilege('authenticated', oid, 'execute')
	or has_function_privilege('service_role', oid, 'execute')
	or proacl is null or exists (select from aclexplode(proacl) a where a.grantee = 0);

select is((select string_agg(name, ', ') from fixture.unsafe), null, 'every function keeps the rules');
set local role shotai_owner;
create function shotai.slip() returns void language plpgsql as 'begin end';
reset role;
select is((select string_agg(name, ', ') from fixture.unsafe), 'slip', 'and one that does not is found');
select is(has_function_privilege('shotai_web', 'shotai.slip()', 'execute'), false, 'though nobody may execute it by default');
drop function shotai.slip();

select is((select array_agg(name order by name) from fixture.functions where owner <> 'shotai_owner'),
	'{auth_addresses,auth_find,auth_mailboxes,auth_missing,auth_named,auth_session,auth_user_exists,forget_address}', 'those that the migrating role owns');
select is((
	select string_agg(f.name, ', ') from fixture.functions f
	where f.owner <> 'shotai_owner' and pg_get_functiondef(f.oid) ~ '\m(account|credit_|generation|job)\M'
), null, 'and they touch nothing of ours');
select is((
	select string_agg(f.name, ', ') from fixture.functions f
	where f.provolatile <> 'v' and f.name not in ('rfc3339', 'cursor_of', 'read_cursor', 'service_state', 'retention', 'lease', 'offer_errors', 'word_query', 'upload_patience', 'span_value', 'archive_lease', 'json_id', 'json_object', 'json_text',
		'json_number', 'json_time', 'json_units', 'creem_facts', 'fact_keys', 'strip_person', 'event_rank', 'grants', 'refund_class',
		'erasure_steps', 'erasure_lease', 'journal_name')
), null, 'everything that reads the books is volatile');

create table fixture.permitted (role text, function text);
insert into fixture.permitted
select 'shotai_' || p.role, unnest(p.functions) from (values
	('web', '{service_state,list_models,admit_generation,get_generation,cancel_generation,list_generations,get_account,update_account,acknowledge_policy,confirm_age,show_policy,list_credit_entries,authorize_file,create_share,list_shares,delete_share,open_share,report_share,set_favourite,delete_generations,admit_upload,confirm_upload,abandon_upload,remove_upload,finish_removal,list_products,start_checkout,open_checkout,retire_checkout,get_portal_customer,list_orders,get_subscription,metrics,request_erasure,erasure_state,record_requests,create_archive,get_archive,export_page,unsubscribe,send_support}'::text[]),
	('webhook', '{service_state,receive_event,record_requests}'),
	('worker', '{service_state,claim_jobs,renew_leases,start_call,record_call,settle_image,finish_generation,release_job,unnamed_objects,claim_erasure,erase_step,postpone_erasure,erase_vanished,reopen_erasures,journal_next,journal_told,journal_from,journal_unknown,prune_journal,sweep,queue_state,claim_object_deletions,finish_object_deletions,claim_due_uploads,release_uploads,bury_uploads,unowned_uploads,prune_uploads,job_references,record_moderation,postpone_moderation,claim_mails,start_mail,finish_mail,claim_chore,show_policy,unrecorded_policy,record_policy,reconcile_targets,apply_transaction,keep_telemetry,claim_archive,renew_archive,archive_page,finish_archive,release_archive,watch_accounts}'),
	('operator', '{service_state,audit,grant_credits,operator_status,find_account,operator_shares,decide_share,adjust_credits,list_events,show_event,replay_event,link_creem,reconcile_targets,apply_transaction,preview_transaction,close_dispute,list_disputes,list_refund_classes,catalogue,list_model_prices,set_product,set_product_price,set_model_price,set_model_enabled,set_billing_live,list_plans,add_plan,set_plan,give_plan,list_policies,add_policy,claim_erasure,erase_step,postpone_erasure,journal_next,journal_told,journal_from,journal_unknown,replay_journal,set_hold,disclose,list_erasures,telemetry_status,show_telemetry,purge_telemetry,doctor,connection_room,list_mails,show_mail,mail_status,report_bounce,start_announcement,count_recipients,list_announcements,move_announcement,set_announcement_pace,list_findings,show_finding,resolve_finding,restrict_account,show_account,list_disposable,set_disposable}')
) p (role, functions);
select set_eq(
	$$ select r.rolname::text, f.name from fixture.functions f cross join pg_roles r
		where r.rolname in ('shotai_web', 'shotai_webhook', 'shotai_worker', 'shotai_operator') and has_function_privilege(r.oid, f.oid, 'execute') $$,
	'select role, function from fixture.permitted', 'who may execute what');

-- Tables
select is((
	select string_agg(c.relname || '.' || a.attname, ', ')
	from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
	left join shotai.erasure_class e on e.relation = c.relname and e.attribute = a.attname
	where c.relnamespace = 'shotai'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition and e.relation is null
), null, 'each column has an erasure class');
select is((
	select string_agg(e.relation || '.' || e.attribute, ', ') from shotai.erasure_class e
	where not exists (select from pg_attribute a where a.attrelid = to_regclass('shotai.' || e.relation) and a.attname = e.attribute
		and a.attnum > 0 and not a.attisdropped)
), null, 'and each class a column');
select is((
	select string_agg(conrelid::regclass || ' ' || conname, ', ') from pg_constraint
	where contype = 'f' and connamespace = 'shotai'::regnamespace
		and (confrelid in (select oid from pg_class where relnamespace = 'auth'::regnamespace) or confdeltype <> 'a' or confupdtype <> 'a')
), null, 'no foreign key to auth, none that cascades');
select set_eq($$ select distinct coalesce(i.inhparent, a.attrelid)::regclass || '.' || a.attname
	from pg_attribute a join pg_class c on c.oid = a.attrelid left join pg_inherits i on i.inhrelid = a.attrelid
	where c.relnamespace = 'shotai'::regnamespace and c.relkind in ('r', 'p') and a.atttypid in ('inet'::regtype, 'cidr'::regtype) $$,
	array['shotai.telemetry_request.address'], 'there is one place for an address, and none besides');

-- The queue's shape
select ok((select reloptions from pg_class where oid = 'shotai.job'::regclass) @> '{fillfactor=50}', 'a job leaves room on its page');
select is((
	select string_agg(i.indexrelid::regclass::text, ', ') from pg_index i
	where i.indrelid = 'shotai.job'::regclass and pg_get_indexdef(i.indexrelid) ~ 'lease_until|not_before'
), null, 'no index knows the lease, not even by its predicate');
select matches(pg_get_indexdef('shotai.job_waiting'::regclass), 'USING btree \(rank\) WHERE waiting', 'ranks are indexed while they wait');

-- Append-only
create function fixture.refused(p_statement text) returns setof text language plpgsql as $$
begin
	return query select throws_ok(p_statement, '23001', 'this table is append-only', p_statement);
end
$$;
select fixture.person('anna', 10);
select fixture.refused('update shotai.credit_entry set amount = 1');
select fixture.refused('update shotai.credit_entry set amount = 1 where false');
select fixture.refused('delete from shotai.credit_entry');
select fixture.refused('truncate shotai.credit_entry cascade');
select fixture.refused('update shotai.entry_lot set amount = 1');
select fixture.refused('delete from shotai.entry_lot');
select fixture.refused('truncate shotai.entry_lot');
select fixture.refused('truncate shotai.account cascade');
select fixture.refused('update shotai.model_price set credits = 1');
select fixture.refused('delete from shotai.model_price');
select fixture.refused('update shotai.product_price set credits = 1');
select fixture.refused('delete from shotai.product_price');
select fixture.refused('delete from shotai.operator_log');
set local session_replication_role = replica;
select fixture.refused('delete from shotai.credit_entry');
set local session_replication_role = origin;

-- Supabase Auth's own record of addresses
insert into auth.sessions (id, user_id, ip, user_agent) values (gen_random_uuid(), md5('anna')::uuid, '192.0.2.1', 'Firefox');
update auth.sessions set ip = '192.0.2.2', user_agent = 'Firefox';
select is((select count(*)::integer from auth.sessions where ip is not null or user_agent is not null), 0, 'a session keeps no address');
select is(outcome_as('supabase_auth_admin',
	$$ insert into auth.sessions (id, user_id, ip) values (gen_random_uuid(), md5('anna')::uuid, '192.0.2.1') $$),
	'done', 'and Auth itself may still write sessions');
alter table auth.sessions drop column ip;
select lives_ok($$ insert into auth.sessions (id, user_id) values (gen_random_uuid(), md5('anna')::uuid) $$,
	'also when its table changes');

select * from finish();
rollback;

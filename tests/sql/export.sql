-- Exports: everything held about a person is in them, once, and nothing about another.
begin;
\ir fixture.psql
select no_plan();

-- What is held about persons is exported, or it says why not.
create view fixture.told as select unnest(l.relations) as relation, l.section, l.reason from shotai.export_list() l;
create view fixture.about as select distinct e.relation from shotai.erasure_class e where e.reason not like 'about no person%';
select set_eq('select relation from fixture.told', 'select relation from fixture.about', 'each table about persons is told of or named');
select is((select string_agg(relation, ', ') from (select relation from fixture.told group by relation having count(*) > 1) t), null, 'once');
select is((select string_agg(relation, ', ') from fixture.told where (section is null) = (reason is null)), null, 'with a reason where it is not told');
set local role shotai_owner;
create table shotai.diary (account bigint);
insert into shotai.erasure_class values ('diary', 'account', 'delete', 'deleted with the account');
reset role;
select isnt((select string_agg(relation, ', ') from fixture.about where relation not in (select relation from fixture.told)), null, 'a forgotten one is found');
drop table shotai.diary;

create table fixture.requests partition of shotai.telemetry_request default;
-- Two people with one row at least in every table that is told of.
select fixture.person('anna', 100);
select fixture.person('bert', 100);
create function fixture.fill(p_name text) returns void language plpgsql as $$
declare
	v_account bigint := fixture.account(p_name);
	v_id uuid;
	v_payment uuid;
begin
	for n in 1..3 loop
		v_id := fixture.admit(p_name, 1, 'gpt-image-1-mini', p_name || n)::uuid;
		insert into shotai.image (generation, index, attempt, image_key, thumbnail_key, width, height, content_type, bytes)
		select v_id, i, 1, format('gen/%s/%s-1.png', v_id, i), format('gen/%s/%s-1-t.webp', v_id, i), 8, 8, 'image/png', 10
		from generate_series(0, 1) i;
		insert into shotai.provider_call (generation, attempt, first_index, images, provider) values (v_id, 1, 0, 1, 'openai');
		insert into shotai.upload (account, key, expires_at, due_at)
		values (v_account, 'uploads/29000000/' || md5(p_name || n), clock_timestamp(), clock_timestamp());
		insert into shotai.share (slug, account, generation, index, show_prompt)
		values (left(translate(md5(p_name || n), '-', '_'), 21) || 'A', v_account, v_id, 0, true);
		insert into shotai.share_report (slug, account, generation, index, reason) values ('x', v_account, v_id, 0, 'rude');
		insert into shotai.checkout (account, product) values (v_account, 'top-up-100');
		insert into shotai.payment (account, kind, creem_order, paid_at) values (v_account, 'top_up', p_name || n, now()) returning id into v_payment;
		insert into shotai.payment_refund (id, payment, status, amount_cents) values (p_name || n, v_payment, 'succeeded', 1);
		insert into shotai.dispute (id, payment, opened_at) values (p_name || n, v_payment, now());
		insert into shotai.subscription (id, account) values (p_name || n, v_account);
		insert into shotai.creem_link (kind, id, account) values ('order', p_name || '.' || n, v_account);
		insert into shotai.creem_event (id, type, account) values (p_name || n, 'refund.created', v_account);
		insert into shotai.mail_outbox (account, cause, message_id, kind, payment, credits, amount_cents)
		values (v_account, p_name || n, p_name || n, 'receipt', v_payment, 1, 1);
		insert into shotai.archive (account) values (v_account);
		insert into shotai.welcome_grant (email_hash, account) values (sha256(convert_to(p_name || n, 'UTF8')), v_account);
		insert into shotai.telemetry_request (at, program, method, status, milliseconds, account)
		values (now(), 'account', 'GET', 200, n, v_account), (now() + n * interval '1 second', 'account', 'GET', 200, n, v_account);
		insert into shotai.rate_state (account, action, arrival) values (v_account, p_name || n, now());
		insert into shotai.finding (account, signal, action, score, first_at, last_at)
		values (v_account, (array['burst', 'refused', 'refunds'])[n], 'watch', n, now(), now());
		insert into shotai.baseline (account, signal, span_start)
		values (v_account, (array['burst', 'refused', 'refunds'])[n], now());
		insert into shotai.account_mark (kind, mark, account) values ('prompt', sha256(convert_to(p_name || n, 'UTF8')), v_account);
	end loop;
	insert into shotai.mail_bounce (account, address_hash, kind, status) values (v_account, sha256('x'), 'refused', '5.1.1');
end
$$;
select fixture.fill('anna');
select fixture.fill('bert');

-- All pages of so many items, as section and item.
create function fixture.exported(p_name text, p_lim integer, p_ids uuid[] default null) returns table (section text, item text) language plpgsql as $$
declare
	v_row record;
	v_after text;
	v_last boolean := false;
begin
	while not v_last loop
		for v_row in select * from shotai.export_rows(fixture.account(p_name), p_ids, v_after, p_lim) loop
			section := v_row.section;
			item := v_row.item;
			v_after := v_row.place;
			v_last := v_row.section is null;
			return next;
		end loop;
	end loop;
end
$$;
create table fixture.anna as select row_number() over () as number, e.* from fixture.exported('anna', 1000) e;
select is((select string_agg(section, ', ') from shotai.export_list() where section is not null
	and section not in (select section from fixture.anna where item is not null)), null, 'every section holds something');
select is((select string_agg(distinct section, ', ') from fixture.anna where item is null and section not in (select section from shotai.export_list() where section is not null)),
	null, 'and begins where it is named');
select is((select string_agg(relation, ', ') from fixture.told t where t.section is not null and not exists (
	select from fixture.anna a where a.section = t.section and a.item is not null)), null, 'so each table is told of');
select results_eq('select section, item from fixture.exported(''anna'', 1)', 'select section, item from fixture.anna order by number', 'pages of one tell the same in the same order');
select results_eq('select section, item from fixture.exported(''anna'', 7)', 'select section, item from fixture.anna order by number', 'as do pages of seven');
select is((select count(*)::integer from fixture.anna where section = 'generations' and item is not null), 3, 'all generations');
select is((select count(*)::integer from fixture.anna where section = 'images' and item is not null), 6, 'all images');
select is((select count(*)::integer from fixture.anna where item like '%bert%' or item ~ (select string_agg(id::text, '|') from shotai.generation
	where account = fixture.account('bert'))), 0, 'nothing is another''s');
select ok((select item::json ->> 'email' = 'anna@example.nl' and item::json ->> 'balance' = '94' from fixture.anna where section = 'account' and item is not null),
	'the account is told');
select is((select count(*)::integer from fixture.exported('anna', 2, array(select id from shotai.generation where account = fixture.account('anna') limit 1))), 6,
	'chosen generations: a beginning of each section, one generation, two images, the end');
select is((select title from shotai.export_rows(fixture.account('anna'), null, 'images ', 1) where item is not null),
	to_char(now() at time zone 'UTC', 'YYYY-MM-DD') || ' a red fox', 'an image has a title');

-- For the person himself
create function fixture.page(p_name text, p_after text default null) returns text language sql as $$
	select coalesce(problem, section) from shotai.export_page(md5(p_name)::uuid, md5(p_name)::uuid, p_after, 10) limit 1
$$;
select is((select problem from shotai.export_page(md5('anna')::uuid, gen_random_uuid(), null, 10)), 'unauthenticated', 'without a session nothing is told');
select is(fixture.page('anna'), 'account', 'with one it begins');
update shotai.plan set export_burst = 1, export_per_minute = 1;
delete from shotai.rate_state;
select is(fixture.page('anna'), 'account', 'a first page takes a token');
select is(fixture.page('anna'), 'rate_limited', 'and waits for one');
select is(fixture.page('anna', 'images '), 'images', 'the others do not');
update shotai.account set status = 'suspended' where id = fixture.account('bert');
select is(fixture.page('bert'), 'account', 'who is suspended may');
update shotai.account set status = 'closed' where id = fixture.account('bert');
select is(fixture.page('bert', 'images '), 'account_suspended', 'who is closed may not, in the middle either');
select fixture.signed_up('carl');
select is(fixture.page('carl'), 'account', 'who just came has an export, too');

select * from finish();
rollback;

-- Accounts: opening, age, welcome credits, erasure of a child, the credit list.
begin;
\ir fixture.psql
select no_plan();

create function fixture.get(p_name text) returns setof record language sql as $$
	select problem, balance, status from shotai.get_account(md5(p_name)::uuid, md5(p_name)::uuid)
$$;
create function fixture.confirm(p_name text, p_yes boolean default true, p_email text default null, p_hash text default null,
	p_previous text default null) returns text language sql as $$
	select coalesce(problem, case when erasure_id is not null then 'erased' else 'balance ' || balance end)
	from shotai.confirm_age(md5(p_name)::uuid, md5(p_name)::uuid, p_yes, coalesce(p_email, p_name || '@example.nl'),
		fixture.hash(coalesce(p_hash, p_name)), fixture.hash(p_previous))
	limit 1
$$;

-- Opening
select is((select problem from shotai.get_account(md5('nobody')::uuid, md5('nobody')::uuid)), 'unauthenticated', 'no user, no account');
select signed_up('anna');
select is((select problem from shotai.get_account(md5('anna')::uuid, md5('other')::uuid)), 'unauthenticated', 'a session must live');
select is((select problem from shotai.get_account(md5('anna')::uuid, null)), 'unauthenticated', 'and be named');
select signed_up('other');
select is((select problem from shotai.get_account(md5('anna')::uuid, md5('other')::uuid)), 'unauthenticated', 'and be the user''s own');
select is(account('anna'), null, 'none of this made an account');
select results_eq(
	$$ select problem, email, balance, locale, receipts, announcements, age_confirmed, policy_version, policy_acknowledged,
		policy_notice, limits::jsonb @> '{"unfinished_max":250,"generate_burst":100,"generate_per_minute":60,"uploads_max":100,"portal_burst":10}', status, lot_source
		from shotai.get_account(md5('anna')::uuid, md5('anna')::uuid) $$,
	$$ values (null::text, 'anna@example.nl', 0::bigint, 'en', false, false, false, '2026-11-01', null::text, false, true, 'active', null::text) $$,
	'a new account');
select is((select count(*)::integer from shotai.account where user_id = md5('anna')::uuid), 1, 'is a row');

create function fixture.auth(p_set text) returns text language plpgsql as $$
declare
	v_problem text;
begin
	execute 'update auth.users set ' || p_set || ' where id = md5(''anna'')::uuid';
	select problem from shotai.get_account(md5('anna')::uuid, md5('anna')::uuid) into v_problem;
	return coalesce(v_problem, 'fine');
end
$$;
select is(auth('banned_until = now() + interval ''1 hour'''), 'unauthenticated', 'a ban works at once');
select is(auth('banned_until = now() - interval ''1 hour'''), 'fine', 'one that is over does not');
select is(auth('deleted_at = now()'), 'unauthenticated', 'so does deletion');
select is(auth('deleted_at = null'), 'fine', 'the user is back');
update auth.sessions set not_after = now() - interval '1 second' where id = md5('anna')::uuid;
select is(auth('deleted_at = null'), 'unauthenticated', 'a session ends');
update auth.sessions set not_after = now() + interval '1 hour' where id = md5('anna')::uuid;
select is(auth('deleted_at = null'), 'fine', 'not before its time');

-- Locale
select is((select locale from shotai.update_account(md5('anna')::uuid, md5('anna')::uuid, 'nl')), 'nl', 'the locale changes');
select results_eq($$ select problem, extras::jsonb #>> '{errors,0,pointer}' from shotai.update_account(md5('anna')::uuid, md5('anna')::uuid, 'fr') $$,
	$$ values ('invalid_request', '/locale') $$, 'to one we speak');
select is((select locale from shotai.update_account(md5('anna')::uuid, md5('anna')::uuid, null)), 'nl', 'none leaves it');
select is((select problem from shotai.update_account(md5('anna')::uuid, md5('other')::uuid, 'nl')), 'unauthenticated', 'with a living session');

-- Age and welcome
select is(confirm('anna'), 'balance 50', 'a confirmed person is welcome');
select is(confirm('anna'), 'balance 50', 'once');
select ok((select age_confirmed from shotai.get_account(md5('anna')::uuid, md5('anna')::uuid) limit 1), 'the age stays confirmed');
select results_eq($$ select lot_source, lot_remaining, lot_expires_at from shotai.get_account(md5('anna')::uuid, md5('anna')::uuid) $$,
	$$ values ('welcome', 50::bigint, null::text) $$, 'the lot is shown');
select is(confirm('other', true, null, 'anna'), 'balance 0', 'the same folded address is welcome once');
select is(confirm('other', true, null, 'fresh'), 'balance 50', 'another one is');
select is(confirm('other', true, null, 'fresh again'), 'balance 50', 'an account is welcome once, whatever its address');
select signed_up('wrong'), signed_up('unconfirmed', false), signed_up('anonymous', true, true), signed_up('upper');
select is(confirm('wrong', true, 'else@example.nl'), 'balance 0', 'a token''s address that is not the user''s counts for nothing');
select is(confirm('wrong'), 'balance 50', 'until it is');
select is(confirm('unconfirmed'), 'balance 0', 'nor does one that is not confirmed');
select is(confirm('anonymous'), 'balance 0', 'nor an anonymous user');
select is(confirm('upper', true, 'UPPER@example.nl'), 'balance 50', 'case does not matter');
select is((select problem from shotai.confirm_age(md5('upper')::uuid, md5('anna')::uuid, true, null, null)), 'unauthenticated', 'with a living session');
select signed_up('rotated');
select is(confirm('rotated', true, null, 'new key', 'anna'), 'balance 0', 'the key was rotated: the previous hash is still known');
select is((select count(*)::integer from shotai.welcome_grant where email_hash = decode(hash('new key'), 'hex')), 1, 'and moves to the current one');
update shotai.plan set welcome_credits = 0;
select signed_up('later');
select is(confirm('later'), 'balance 0', 'welcome credits are a row');
update shotai.plan set welcome_credits = 50;
select is(audit(), null, 'the books are right');

-- Under age
select throws_ok($$ select confirm('anna', null) $$, '22004', null, 'no answer is no answer');
select signed_up('child');
select is(confirm('child', false), 'erased', 'a child is sent away');
select is(status, 'closed', 'the account is locked') from shotai.account where id = account('child');
select is(confirm('child'), 'account_suspended', 'nothing is opened meanwhile');
select is((select problem from shotai.get_account(md5('child')::uuid, md5('child')::uuid)), 'account_suspended', 'not even by looking');
select is(admit('child'), 'account_suspended', 'or asking for a picture');
select signed_up('again');
select is(confirm('again', true, null, 'child'), 'account_suspended', 'the address is blocked');
select is(confirm('again', true, null, 'new child', 'child'), 'account_suspended', 'after a rotation too');
select is(confirm('again', true, null, 'other'), 'account_suspended', 'and another address makes nobody older');
update shotai.age_block set blocked_until = now() - interval '1 second';
update shotai.finding set expires_at = now() - interval '1 second' where signal = 'age';
select is(confirm('again', true, null, 'new child'), 'balance 50', 'for 12 months');
select is(confirm('anonymous', false, null, 'block'), 'erased', 'another child');
select ok(blocked_until between now() + interval '11 months 27 days' and now() + interval '12 months 1 day', 'a block lasts 12 months')
	from shotai.age_block where email_hash = decode(hash('block'), 'hex');

-- Somebody with a ledger who says so later: the books stay, under a pseudonym.
select person('late', 20);
select no_outage();
select claimed('late', 2) as running \gset
select call(:'running', 1, 0, 2), settle(:'running', 0);
select admit('late', 1, 'gpt-image-1-mini', 'key') as queued \gset
select account('late') as late \gset
select is(confirm('late', false), 'erased', 'he is erased');
select results_eq(format('select status, balance, unfinished from shotai.account where id = %s', :late),
	$$ values ('closed', 18::bigint, 0) $$, 'what was not delivered came back, the row is locked');
select is(status(:'queued'), 'canceled', 'what was queued is cancelled');
select is(status(:'running'), 'failed', 'what ran has failed');
select is((select held from shotai.settle_image(:'running', 1, 1, 'x', 'y', 1, 1, 'image/png', 1)), false, 'its worker changes nothing any more');
select is((select problem from shotai.get_account(md5('late')::uuid, md5('late')::uuid)), 'account_suspended', 'an old token opens nothing');
select is((select problem from shotai.get_generation(md5('late')::uuid, :'queued')), 'not_found', 'and sees nothing');
select is((select count(*)::integer from shotai.list_generations(md5('late')::uuid, 20, null, null)), 0, 'nor in the list');
select is((select count(*)::integer from shotai.list_credit_entries(md5('late')::uuid, 20, null)), 0, 'nor in the ledger');
select is(audit(), null, 'the books are right');

-- Suspension leaves reading open.
select person('sam', 10);
update shotai.account set status = 'suspended' where id = account('sam');
select is((select status from shotai.get_account(md5('sam')::uuid, md5('sam')::uuid)), 'suspended', 'a suspended account is shown as such');

-- The list of credits
select person('list', 100);
select count(admit('list')) from generate_series(1, 24);
create function fixture.page(p_cursor text, p_limit integer default 10) returns table (n bigint, cursor text, more boolean, first bigint) language sql as $$
	select count(*), (array_agg(cursor order by balance_after desc))[1], bool_or(more), min(balance_after)
	from shotai.list_credit_entries(md5('list')::uuid, p_limit, p_cursor)
$$;
select results_eq('select n, more, first from page(null)', 'values (10::bigint, true, 52::bigint)', 'a page, newest first');
select results_eq('select n, more from page((select cursor from page(null)))', 'values (10::bigint, true)', 'the next');
select is((select array_agg(n order by i) from (
	with recursive pages as (
		select 1 as i, p.* from page(null) p
		union all
		select i + 1, q.* from pages p cross join lateral page(p.cursor) q where p.more
	) select i, n from pages) p), '{10,10,5}', 'all of it, once');
select results_eq($$ select distinct kind, source from shotai.list_credit_entries(md5('list')::uuid, 100, null) order by 1 $$,
	$$ values ('charge', null), ('grant', 'top_up') $$, 'a grant tells its source');
select is((select count(*)::integer from shotai.list_credit_entries(md5('list')::uuid, 1000, null)), 25, 'at most a hundred at once');
select is((select problem from shotai.list_credit_entries(md5('list')::uuid, 10, 'x')), 'invalid_request', 'a made-up cursor is refused');
select is((select count(*)::integer from shotai.list_credit_entries(md5('list')::uuid, 10, '1')), 0, 'one past the end is empty');
select matches((select created_at from shotai.list_credit_entries(md5('list')::uuid, 1, null)), '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$', 'times are RFC 3339');

select * from finish();
rollback;

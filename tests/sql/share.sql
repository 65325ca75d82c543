-- Shares: made, seen, counted, reported, revoked, expired, taken down.
begin;
\ir fixture.psql
select no_plan();
select no_outage();

create function fixture.made(p_name text, p_count integer default 1) returns uuid language plpgsql as $$
declare
	v_id uuid := fixture.claimed(p_name, p_count);
begin
	perform fixture.call(v_id, 1, 0, p_count);
	perform fixture.settle(v_id, n) from generate_series(0, p_count - 1) n;
	perform shotai.finish_generation(v_id, 1, null, null);
	return v_id;
end
$$;
create function fixture.slug(p_n integer) returns text language sql as $$ select lpad(p_n::text, 21, 's') || 'A' $$;
create function fixture.share(p_name text, p_generation uuid, p_n integer, p_index integer default 0, p_prompt boolean default false,
	p_expires_in bigint default null, p_key text default null, p_body text default 'body')
returns text language sql as $$
	select coalesce(problem, slug) from shotai.create_share(md5(p_name)::uuid, md5(p_name)::uuid, fixture.slug(p_n), p_generation,
		p_index, p_prompt, p_expires_in, p_key, fixture.hash(p_body))
$$;
create function fixture.seen(p_n integer) returns text language sql as $$
	select coalesce(problem, 'seen') from shotai.open_share(fixture.slug(p_n), null)
$$;

select person('anna', 100), person('ben', 100);
select made('anna', 2) as pair, made('ben') as bens \gset

-- Made
select results_eq(format($$ select problem, replayed, slug, generation_id, image_index, show_prompt, expires_at, views
	from shotai.create_share(md5('anna')::uuid, md5('anna')::uuid, slug(1), %L, 1, true, null, null, null) $$, :'pair'),
	format($$ values (null::text, false, slug(1), %L::uuid, 1, true, null::text, 0::bigint) $$, :'pair'), 'a share as its owner sees it');
select is((select count(distinct shared) from shotai.get_generation(md5('anna')::uuid, :'pair')), 1::bigint, 'each row of the generation tells');
select is((select shared::jsonb from shotai.get_generation(md5('anna')::uuid, :'pair') limit 1), jsonb_build_array(slug(1)), 'its slug');
select is((select g.change_no from shotai.generation g where g.id = :'pair'), (select change_no from shotai.account where id = account('anna')), 'the generation changed');
select is(share('anna', :'pair', 2, 0, false, 3600), slug(2), 'another picture of it, for an hour');
select ok((select expires_at - created_at between interval '3599 seconds' and interval '3601 seconds' from shotai.share where slug = slug(2)), 'exactly');
select is((select shared::jsonb from shotai.get_generation(md5('anna')::uuid, :'pair') limit 1), jsonb_build_array(slug(1), slug(2)), 'in order of time');
select throws_ok(format($$ select share('anna', %L, 1) $$, :'pair'), '23505', null, 'a slug is used once');
select throws_ok($$ insert into shotai.share (slug, account, generation, index, show_prompt) select 'short', account, generation, index, false from shotai.share limit 1 $$,
	'23514', null, 'and has 128 bits');

-- Refused
select is(share('anna', gen_random_uuid(), 9), 'not_found', 'no such generation');
select is(share('anna', :'bens', 9), 'not_found', 'somebody else''s');
select is(share('anna', :'pair', 9, 2), 'invalid_request', 'no such picture');
select results_eq(format($$ select extras::jsonb #>> '{errors,0,pointer}' from shotai.create_share(md5('anna')::uuid, md5('anna')::uuid, slug(9), %L, -1, false, null, null, null) $$, :'pair'),
	$$ values ('/image_index') $$, 'it says which member');
select is((select problem from shotai.create_share(md5('anna')::uuid, md5('ben')::uuid, slug(9), :'pair', 0, false, null, null, null)), 'unauthenticated', 'not with another''s session');
select signed_up('ghost', true, true), signed_up('young');
select is(share('ghost', :'pair', 9), 'anonymous_not_allowed', 'not anonymously');
select is(share('young', :'pair', 9), 'age_confirmation_required', 'not before the age is known');
update shotai.account set status = 'suspended' where id = account('ben');
select is(share('ben', :'bens', 9), 'account_suspended', 'not while suspended');
update shotai.account set status = 'active' where id = account('ben');
update shotai.plan set share_burst = 3, share_per_minute = 6;
select person('quick', 10);
select made('quick') as quicks \gset
select is((select array_agg(share('quick', gen_random_uuid(), 9)) from generate_series(1, 3)), '{not_found,not_found,not_found}', 'whatever the answer');
select results_eq(format($$ select problem, retry_after from shotai.create_share(md5('quick')::uuid, md5('quick')::uuid, slug(9), %L, 0, false, null, null, null) $$, :'quicks'),
	$$ values ('rate_limited', 10) $$, 'a request takes a token');
update shotai.plan set share_burst = 1000, share_per_minute = 1000;
select count(share('quick', :'quicks', n)) from generate_series(100, 119) n;
select is(share('quick', :'quicks', 120), 'invalid_request', 'twenty of one picture');
select is((select count(*) from shotai.idempotency where route = 'share'), 0::bigint, 'no key, nothing kept');

-- The same request again
select is(share('anna', :'pair', 10, 0, true, null, 'k1'), slug(10), 'a key');
select is(share('anna', :'pair', 11, 0, true, null, 'k1'), slug(10), 'the same share');
select is(share('anna', :'pair', 11, 0, true, null, 'k1', 'other'), 'idempotency_key_reused', 'another body');
select is((select count(*) from shotai.share where slug = slug(11)), 0::bigint, 'nothing new');
select is(admit('anna', 1, 'gpt-image-1-mini', 'k1') ~ '^[0-9a-f-]{36}$', true, 'a key belongs to a route');

-- Seen by whoever has the link
select results_eq($$ select problem, image_key is not null, content_type, width, height, image_index, model_name, prompt from shotai.open_share(slug(1), 'page') $$,
	$$ values (null::text, true, 'image/png', 1024, 1024, 1, 'GPT Image Mini', 'a red fox') $$, 'with its prompt');
select is((select prompt from shotai.open_share(slug(2), 'page')), null, 'without, when it is not allowed');
select count(*) from shotai.open_share(slug(1), 'page');
select count(*) from shotai.open_share(slug(1), 'image');
select is((select views from shotai.list_shares(md5('anna')::uuid, 100, null, null) where slug = slug(1)), 2::bigint, 'views are counted when asked to');
select is((select array_agg(column_name::text order by column_name) from information_schema.columns where table_schema = 'shotai' and table_name = 'share'),
	'{account,created_at,expires_at,generation,id,index,reports,show_prompt,slug,taken_down_at,views}', 'and nothing else is kept about one');
select is(seen(999), 'not_found', 'no such share');
update shotai.account set status = 'suspended' where id = account('anna');
select is(seen(1), 'not_found', 'a suspended account shares nothing');
update shotai.account set status = 'active' where id = account('anna');
select is(seen(1), 'seen', 'and does again');
update shotai.share set expires_at = clock_timestamp() where slug = slug(2);
select is(seen(2), 'not_found', 'an expired one is gone');
select is((select count(*) from shotai.list_shares(md5('anna')::uuid, 100, null, null) where slug = slug(2)), 0::bigint, 'from the list too');
select ok(not (select shared::jsonb from shotai.get_generation(md5('anna')::uuid, :'pair') limit 1) @> jsonb_build_array(slug(2)), 'and from the generation');

-- Lists
select is((select array_agg(slug) from shotai.list_shares(md5('anna')::uuid, 100, null, null)), array[slug(10), slug(1)], 'newest first');
select results_eq($$ select slug, more from shotai.list_shares(md5('anna')::uuid, 1, null, null) $$, $$ values (slug(10), true) $$, 'a page');
select is((select array_agg(l.slug) from shotai.list_shares(md5('anna')::uuid, 1, null, null) f, shotai.list_shares(md5('anna')::uuid, 1, f.cursor, null) l), array[slug(1)], 'the next');
select is((select count(*) from shotai.list_shares(md5('anna')::uuid, 100, null, :'bens')), 0::bigint, 'of one generation');
select is((select problem from shotai.list_shares(md5('anna')::uuid, 1, 'x', null)), 'invalid_request', 'a made-up cursor');
select is((select count(*) from shotai.list_shares(md5('ben')::uuid, 100, null, null)), 0::bigint, 'one''s own only');

-- Revoked
select is((select problem from shotai.delete_share(md5('ben')::uuid, md5('ben')::uuid, slug(1))), 'not_found', 'not by another');
select is((select problem from shotai.delete_share(md5('anna')::uuid, md5('ben')::uuid, slug(1))), 'unauthenticated', 'not without a session');
select is((select problem from shotai.delete_share(md5('anna')::uuid, md5('anna')::uuid, slug(1))), null, 'by its owner');
select is(seen(1), 'not_found', 'gone at once');
select is((select problem from shotai.delete_share(md5('anna')::uuid, md5('anna')::uuid, slug(1))), 'not_found', 'once');
select is((select problem from shotai.delete_share(md5('anna')::uuid, md5('anna')::uuid, slug(10))), null, 'the one with a key');
select is(share('anna', :'pair', 11, 0, true, null, 'k1'), 'not_found', 'does not come back by its key');

-- Reported
select is(share('anna', :'pair', 20), slug(20), 'one more');
select is((select problem from shotai.report_share(slug(20), 'reason ' || n)), null, 'reported') from generate_series(1, 25) n;
select is((select reports from shotai.share where slug = slug(20)), 25::bigint, 'all are counted');
select is((select count(*) from shotai.share_report where slug = slug(20)), 20::bigint, 'twenty are kept');
select is((select problem from shotai.report_share(slug(1), 'late')), 'not_found', 'what is gone cannot be reported');
select is((select problem from shotai.report_share(slug(998), 'x')), 'not_found', 'nor what never was');
select results_eq($$ select slug, state, reports, reason like 'reason 1 | reason 2%' from shotai.operator_shares(false, 10) $$, $$ values (slug(20), 'live', 25::bigint, true) $$, 'the queue');
select is((select reports from shotai.decide_share(slug(20), false, 'harmless', 'op')), 20::bigint, 'dismissed');
select is(seen(20), 'seen', 'it stays');
select is((select count(*) from shotai.operator_shares(false, 10)), 0::bigint, 'the queue is empty');
select is((select count(*) from shotai.operator_shares(true, 100) where state = 'live' and slug = slug(20)), 1::bigint, 'among all live ones');
select problem from shotai.report_share(slug(20), 'again');
select is((select reports from shotai.decide_share(slug(20), true, 'unlawful', 'op')), 1::bigint, 'upheld');
select is(seen(20), 'not_found', 'off the air');
select is(share('anna', :'pair', 21), 'sharing_refused', 'the picture is not shared again');
select is(share('anna', :'pair', 21, 1), slug(21), 'another one of it is');
select is((select problem from shotai.delete_share(md5('anna')::uuid, md5('anna')::uuid, slug(20))), 'not_found', 'its owner cannot clear the record');
select is((select problem from shotai.decide_share(slug(997), true, 'x', 'op')), 'not_found', 'no such share');
select is((select array_agg(action order by id) from shotai.operator_log where account = account('anna') and action <> 'grant_credits'), '{dismiss_reports,take_down_share}', 'both are in the log');

-- Reports outlive the share; an operator still decides.
select problem from shotai.report_share(slug(21), 'quick');
select problem from shotai.delete_share(md5('anna')::uuid, md5('anna')::uuid, slug(21));
select results_eq($$ select slug, state from shotai.operator_shares(false, 10) $$, $$ values (slug(21), 'gone') $$, 'its owner was faster');
select is((select reports from shotai.decide_share(slug(21), true, 'still', 'op')), 1::bigint, 'decided all the same');

-- What is swept
update shotai.share set expires_at = clock_timestamp() - interval '25 hours' where slug = slug(2);
update shotai.share_report set decided_at = clock_timestamp() - interval '91 days' where slug = slug(20);
select is((select value from shotai.sweep() where name = 'expired_shares'), 1::bigint, 'expired for a day');
select is((select count(*) from shotai.share_report where slug = slug(20)), 0::bigint, 'decided for 90 days');
select is((select count(*) from shotai.share_report where slug = slug(21)), 1::bigint, 'not sooner');

-- Erasure
select problem from shotai.report_share(slug(100), 'x');
select account('quick') as quick \gset
select shotai.begin_erasure(:quick, 'request');
select is(seen(100), 'not_found', 'a closed account shares nothing');
select erase(:quick);
select is((select count(*) from shotai.share_report where account = :quick), 0::bigint, 'reports go with the account');
select is((select count(*) from shotai.share where account = :quick), 0::bigint, 'so do shares');
select is((select count(*) from shotai.image where generation = :'quicks'), 0::bigint, 'and pictures');
select is(audit(), null, 'the books are right');
select * from finish();
rollback;

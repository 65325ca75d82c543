-- No prompt reaches a provider unscreened, and who has many refused waits.
begin;
\ir fixture.psql
select no_plan();
select no_outage();
alter table shotai.generation alter column moderation drop default, alter column moderated_at drop default;
select person('anna', 1000), person('bert', 1000);

create function fixture.screened(p_name text, p_decision text) returns uuid language plpgsql as $$
declare
	v_id uuid := fixture.claimed(p_name);
begin
	perform shotai.record_moderation(v_id, 1, p_decision, fixture.hash('a red fox'));
	return v_id;
end
$$;
select claimed('anna') as id \gset
select results_eq(format($$ select held, call_id is null, moderated from shotai.start_call(%L, 1, 0, 1, 'openai') $$, :'id'), 'values (true, true, false)', 'no call without a decision');
select is(status(:'id'), 'queued', 'and nothing starts');
select is(held, false, 'a decision of another attempt is not noted') from shotai.record_moderation(:'id', 2, 'allow', hash('x'));
select throws_ok(format($$ select shotai.record_moderation(%L, 1, 'maybe', hash('x')) $$, :'id'), '23514', null, 'nor one that there is not');
select is(held, true, 'allow') from shotai.record_moderation(:'id', 1, 'allow', hash('a red fox'));
select results_eq(format($$ select moderation, encode(prompt_hash, 'hex'), moderated_at is not null from shotai.generation where id = %L $$, :'id'), $$ select 'allow', hash('a red fox'), true $$, 'is stored with time and hash');
select results_eq(format($$ select held, call_id is not null, moderated from shotai.start_call(%L, 1, 0, 1, 'openai') $$, :'id'), 'values (true, true, true)', 'and lets the call go');
select lapse_lease(:'id');
select is(moderation, 'allow', 'who claims it later is told') from shotai.claim_jobs('other', 10, 20) where generation_id = :'id';

select results_eq(format($$ select moderated from shotai.start_call(%L, 1, 0, 1, 'openai') $$, screened('anna', d)), format('values (%L::boolean)', d = 'not_required'), d)
	from unnest('{deny,flag,not_required}'::text[]) d;
select screened('anna', 'deny') as denied \gset
select is(held, true, 'a denial') from shotai.record_moderation(:'denied', 1, 'allow', hash('x'));
select results_eq(format($$ select moderated from shotai.start_call(%L, 1, 0, 1, 'openai') $$, :'denied'), 'values (false)', 'stays one');
select is(refunded, 2::bigint, 'and is refunded') from shotai.finish_generation(:'denied', 1, 'content_policy', null);

-- Ten an hour, the three above among them.
select is((select count(*)::integer from unnest(array(select admit('anna') from generate_series(1, 3))) id where id !~ '^[0-9a-f-]{36}$'), 0, 'three refused: more may come');
select screened('anna', case n % 2 when 0 then 'deny' else 'flag' end) from generate_series(1, 7) n;
select results_eq($$ select problem, retry_after between 3590 and 3600 from shotai.admit_generation(md5('anna')::uuid, md5('anna')::uuid, 'gpt-image-1-mini', 'a red fox', null, 1, null, null, null, hash('x')) $$,
	$$ values ('rate_limited', true) $$, 'ten refused, by deny or flag: no more within the hour');
select isnt(admit('bert'), 'rate_limited', 'others are not concerned');
update shotai.generation set moderated_at = moderated_at - interval '50 minutes' where account = account('anna') and moderation in ('deny', 'flag');
select ok(retry_after between 590 and 600, 'the wait ends when the tenth last is an hour old')
	from shotai.admit_generation(md5('anna')::uuid, md5('anna')::uuid, 'gpt-image-1-mini', 'a red fox', null, 1, null, null, null, hash('x'));
update shotai.generation set moderated_at = moderated_at - interval '11 minutes' where account = account('anna') and moderation in ('deny', 'flag');
select isnt(admit('anna'), 'rate_limited', 'then prompts are taken again');

-- Prompts that only the provider refuses cost a call each.
update shotai.plan set provoked_per_hour = 2;
select count(*) from (select screened('bert', 'allow') as id from generate_series(1, 2)) s cross join lateral shotai.finish_generation(s.id, 1, 'content_policy', null);
select is(admit('bert'), 'rate_limited', 'so they have a limit as well');
select results_eq($$ select class, generations, credits from shotai.list_refund_classes(null) where user_id = md5('bert')::uuid $$, $$ values ('refused', 2::bigint, 4::bigint) $$, 'and are listed');
select is(value, '2', 'screened ones apart') from shotai.operator_status() where name = 'refunded_24h_screened';

select is(audit(), null, 'the books are right');
select * from finish();
rollback;

-- Products, prices and models, as operators change them; corrections of credits.
begin;
\ir fixture.psql
\ir creem.psql
select no_plan();
select person('anna', 20);

create function fixture.set(p_id text, p_kind text default 'top_up', p_interval text default null, p_creem text default null, p_name text default 'Name',
	p_rollover boolean default false)
returns text language sql as $$
	select coalesce(problem, 'done') from shotai.set_product(p_id, p_kind, p_name, 'Naam', p_interval, p_rollover, p_creem, 10, true, 'op')
$$;
select results_eq('select id, kind, credits, price_cents, currency, "interval", rollover from shotai.list_products()', $$ values
	('monthly', 'subscription', 1000::bigint, 1900::bigint, 'EUR', 'month', false), ('yearly', 'subscription', 12000, 19000, 'EUR', 'year', false),
	('top-up-100', 'top_up', 100, 300, 'EUR', null, false), ('top-up-500', 'top_up', 500, 1200, 'EUR', null, false),
	('top-up-2000', 'top_up', 2000, 4000, 'EUR', null, false) $$, 'what a fresh installation sells');

select is(set('small', p_creem => 'prod_small'), 'done', 'a new product');
select is((select count(*)::integer from shotai.list_products() where id = 'small'), 0, 'is no offer without a price');
select is(problem, null, 'with one') from shotai.set_product_price('small', 10, 50, 'EUR', null, 'op');
select is((select price_cents from shotai.list_products() where id = 'small'), 50::bigint, 'it is');
select is(set('small', p_creem => 'prod_small', p_name => 'Smaller'), 'done', 'a change');
select is((select name from shotai.list_products() where id = 'small'), 'Smaller', 'counts at once');
select is(set(id, kind, length, creem, name, rollover), 'invalid_request', what) from (values
	('Small!', 'top_up', null, null, 'x', false, 'an id that is none'), ('small', 'subscription', 'month', null, 'x', false, 'another kind'), ('a', 'gift', null, null, 'x', false, 'an unknown kind'),
	('a', 'subscription', null, null, 'x', false, 'a plan without an interval'), ('a', 'top_up', 'month', null, 'x', false, 'a top-up with one'), ('a', 'subscription', 'week', null, 'x', false, 'an unknown interval'),
	('a', 'top_up', null, 'prod_small', 'x', false, 'another one''s id at Creem'), ('a', 'top_up', null, null, '', false, 'no name'), ('a', 'top_up', null, null, 'x', true, 'a top-up that rolls over')) v (id, kind, length, creem, name, rollover, what);
select is(problem, 'not_found', 'no such product') from shotai.set_product_price('none', 1, 1, 'EUR', null, 'op');
select is(problem, 'invalid_request', what) from (values (0, 1, 'EUR', 'no credits'), (1, -1, 'EUR', 'a negative price'), (1, 1, 'euro', 'no currency')) v (credits, cents, currency, what)
	cross join lateral shotai.set_product_price('small', credits, cents, currency, null, 'op');
select is(problem, null, 'a price of tomorrow') from shotai.set_product_price('small', 10, 60, 'EUR', now() + interval '1 day', 'op');
select is((select price_cents from shotai.list_products() where id = 'small'), 50::bigint, 'is none today');
select is((select count(*)::integer from shotai.catalogue() where id = 'small'), 2, 'operators see both');

select is(problem, null, 'a model''s price') from shotai.set_model_price('gpt-image-2', 7, null, 'op');
select is((select credits from shotai.list_models() where id = 'gpt-image-2'), 7, 'likewise');
select is(problem, 'not_found', 'of a model that there is') from shotai.set_model_price('none', 7, null, 'op');
select is(problem, 'invalid_request', 'and not for nothing') from shotai.set_model_price('gpt-image-2', 0, null, 'op');
select is((select count(*)::integer from shotai.list_model_prices() where id = 'gpt-image-2'), 2, 'versions are kept');
select is(problem, null, 'a model is switched off') from shotai.set_model_enabled('gpt-image-2', false, 'op');
select is(admit('anna', 1, 'gpt-image-2'), 'model_unavailable', 'at once');
select is(problem, 'not_found', 'if there is one') from shotai.set_model_enabled('none', false, 'op');

-- Corrections
select lot('anna', 10, 5) as due \gset
select is(balance, 35::bigint, 'more') from shotai.adjust_credits(md5('anna')::uuid, 5, 'a gift', 'op');
select is(balance, 20::bigint, 'less') from shotai.adjust_credits(md5('anna')::uuid, -15, 'a mistake', 'op');
select is(lots('anna'), '{15,0,5}', 'from what expires first, then the oldest');
select results_eq($$ select problem, extras::jsonb from shotai.adjust_credits(md5('anna')::uuid, -21, 'too much', 'op') $$, $$ values ('insufficient_credits', '{"required":21,"balance":20}'::jsonb) $$, 'never below nothing');
select is(problem, 'invalid_request', 'nothing') from shotai.adjust_credits(md5('anna')::uuid, 0, 'x', 'op');
select is(problem, 'invalid_request', 'without a reason') from shotai.adjust_credits(md5('anna')::uuid, -1, '', 'op');
select is(problem, 'not_found', 'of nobody') from shotai.adjust_credits(gen_random_uuid(), -1, 'x', 'op');
select is((select array_agg(action order by id) from shotai.operator_log where account = account('anna')), '{grant_credits,grant_credits,grant_credits,adjust_credits}', 'all are logged');
select is((select count(distinct action)::integer from shotai.operator_log), 6, 'changes of the catalogue too');

-- What operators see
select set_eq($$ select name from shotai.operator_status() where name ~ '^(credits_(top_up|subscription|adjustment|lost)|events_|payments|disputes|refunds|mails|subscri)' $$,
	$$ values ('credits_adjustment'), ('credits_subscription'), ('credits_top_up'), ('credits_lost'), ('payments'), ('payments_unconfirmed'), ('subscriptions'), ('disputes_open'), ('refunds_pending'),
	('events_parked'), ('events_failed'), ('events_ignored'), ('mails_waiting'), ('mails_failed'), ('subscribed_twice') $$, 'liabilities and what waits');
select is((select count(*) - count(distinct name) from shotai.operator_status()), 0::bigint, 'each once');
select is(value, '15', 'credits that are owed, by source') from shotai.operator_status() where name = 'credits_top_up';
select is(audit(), null, 'the books are right');
select * from finish();
rollback;

-- The state of a subscription is the same whatever the order in which it is told.
begin;
\ir fixture.psql
\ir creem.psql
select no_plan();

create function fixture.state_of(p_name text) returns text language sql as $$
	select concat_ws(' ', status, product_id, case when cancel_at_period_end then 'ends' end, case when lapsed then 'lapsed' end)
	from shotai.get_subscription(md5(p_name)::uuid)
$$;

-- Every order of five events of one life, two of them of the same moment.
create table fixture.life (id text, type text, days numeric, product text, more jsonb);
insert into fixture.life values
	('1', 'subscription.active', 0, 'prod_sandbox_monthly', null),
	('2', 'subscription.paid', 0, 'prod_sandbox_monthly', null),
	('3', 'subscription.update', 3, 'prod_sandbox_yearly', null),
	('4', 'subscription.past_due', 3, 'prod_sandbox_yearly', null),
	('5', 'subscription.expired', 3, 'prod_sandbox_monthly', '{"status":"active"}');
create function fixture.lives(p_canceled boolean) returns setof text language plpgsql as $$
declare
	v_order record;
	v_name text;
	v_id text;
begin
	for v_order in
		with recursive o (ids) as (
			select array[id] from fixture.life union all
			select o.ids || l.id from o join fixture.life l on l.id <> all (o.ids) where cardinality(o.ids) < 5)
		select ids from o where cardinality(ids) = 5
	loop
		v_name := 'life' || p_canceled || array_to_string(v_order.ids, '');
		perform fixture.person(v_name);
		insert into shotai.creem_link (kind, id, account) values ('subscription', 'sub_' || v_name, fixture.account(v_name));
		foreach v_id in array case when p_canceled then v_order.ids[:2] || '6'::text || v_order.ids[3:] else v_order.ids end loop
			perform fixture.send(fixture.told('e' || v_name || v_id, coalesce(l.type, 'subscription.canceled'), 'sub_' || v_name,
				case when v_id = '2' then 'tran_' || v_name end, coalesce(l.days, 2), 30, coalesce(l.product, 'prod_sandbox_monthly'), 1, 1900, l.more))
			from (select) one left join fixture.life l on l.id = v_id;
		end loop;
		return next fixture.state_of(v_name) || ' ' || fixture.balance(v_name);
	end loop;
end
$$;
select results_eq('select distinct lives, count(*)::integer from fixture.lives(false) group by 1', $$ values ('past_due yearly lapsed 1000', 120) $$, 'all 120 orders end alike');
select results_eq('select distinct lives, count(*)::integer from fixture.lives(true) group by 1', $$ values ('canceled monthly lapsed 1000', 120) $$,
	'and with a cancellation in the middle, older than the rest, all end canceled');

-- One moment: the type, then the time of the event, then its id decides.
select person('anna'), checkout('anna', 'monthly') as c \gset
select send(subscribed('a0', :'c', 'sub_a'));
select is(state_of('anna'), null, 'a nested object only links, whatever it says');
select is(problem, 'already_subscribed', 'but it is a subscription') from shotai.start_checkout(md5('anna')::uuid, md5('anna')::uuid, 'yearly', null, null);
select send(told('a2', 'subscription.update', 'sub_a', null, 0, 30, 'prod_sandbox_yearly')), send(told('a1', 'subscription.update', 'sub_a', null, 0, 30, 'prod_sandbox_monthly'));
select is(state_of('anna'), 'active yearly', 'the higher id of two');
select send(told('a3', 'subscription.scheduled_cancel', 'sub_a', null, 1));
select is(state_of('anna'), 'scheduled_cancel monthly ends', 'a scheduled end is shown');
select send(told('a4', 'subscription.update', 'sub_a', null, 2));
select is(state_of('anna'), 'active monthly', 'and its withdrawal');
select send(told('a5', 'subscription.paused', 'sub_a', null, 3, 30, 'prod_unknown'));
select is(state_of('anna'), 'paused monthly', 'a product that we do not sell is not shown');
select send(told('a6', 'subscription.unpaid', 'sub_a', null, 4, 30, 'prod_sandbox_monthly', 1, 0, '{"status":null,"updated_at":null}'));
select is(state_of('anna'), 'unpaid monthly', 'missing members are made up for: the type, the time of the event');
select results_eq($$ select sub_status, sub_product_id, sub_lapsed, sub_cancel_at_period_end, sub_current_period_end from shotai.get_account(md5('anna')::uuid, md5('anna')::uuid) $$,
	$$ select 'unpaid', 'monthly', false, false, iso(now() + interval '34 days') $$, 'the account shows it too');

-- What blocks a second one.
select is(problem, 'already_subscribed', 'while one is not over there is no second') from shotai.start_checkout(md5('anna')::uuid, md5('anna')::uuid, 'monthly', null, null);
select is(problem, null, 'top-ups are no subscriptions') from shotai.start_checkout(md5('anna')::uuid, md5('anna')::uuid, 'top-up-100', null, null);
select send(told('a7', 'subscription.canceled', 'sub_a', null, 5));
select is(problem, null, 'afterwards there may be one') from shotai.start_checkout(md5('anna')::uuid, md5('anna')::uuid, 'monthly', null, null);
select checkout('anna', 'monthly') as c1, checkout('anna', 'yearly') as c2 \gset
select send(subscribed('a8', :'c1', 'sub_a1')), send(subscribed('a9', :'c2', 'sub_a2', 'prod_sandbox_yearly')), send(told('a10', 'subscription.paid', 'sub_a1', 'tran_a1', 6)),
	send(told('a11', 'subscription.paid', 'sub_a2', 'tran_a2', 7, 365, 'prod_sandbox_yearly', 1, 19000));
select is(balance('anna'), 13000::bigint, 'two that were both paid both grant');
select is(value, '1', 'and are listed') from shotai.operator_status() where name = 'subscribed_twice';
select is(state_of('anna'), 'active yearly', 'the later one is shown');
select is((select count(*)::integer from shotai.get_subscription(md5('nobody')::uuid)), 0, 'nobody has none');

select is(audit(), null, 'the books are right');
select * from finish();
rollback;

-- Plans as operators see and change them: what an account may do at a time, and what it is welcomed with.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

create or replace function shotai.list_plans() returns table (plan text, accounts bigint, name text, value text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	return query
	select p.id, (select count(*) from account a where a.plan = p.id and a.status <> 'closed'), v.key, v.value
	from plan p
	cross join lateral jsonb_each_text(to_jsonb(p) - 'id') v
	order by p.id, v.key;
end
$$;
grant execute on function shotai.list_plans() to shotai_operator;

-- A new plan has the values that the first one began with.
create or replace function shotai.add_plan(p_plan text, p_operator text)
returns table (problem text, retry_after integer, extras text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	if coalesce(p_plan, '') !~ '^[a-z][a-z0-9-]{0,31}$' or coalesce(p_operator, '') = ''
		or exists (select from plan p where p.id = p_plan) then
		problem := 'invalid_request';
		return next;
		return;
	end if;
	insert into plan (id) values (p_plan);
	insert into operator_log (operator, action, reason, detail)
	values (p_operator, 'add_plan', 'catalogue', jsonb_build_object('plan', p_plan));
	return next;
end
$$;
grant execute on function shotai.add_plan(text, text) to shotai_operator;

-- p_name: a column of plan. What was used already counts against the new value.
create or replace function shotai.set_plan(p_plan text, p_name text, p_value integer, p_operator text)
returns table (problem text, retry_after integer, extras text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_plan jsonb;
begin
	select to_jsonb(p) - 'id' from plan p where p.id = p_plan for update into v_plan;
	problem := case
		when v_plan is null then 'not_found'
		when p_value is null or not v_plan ? p_name or coalesce(p_operator, '') = '' then 'invalid_request' end;
	if not v_plan ? p_name then
		extras := '{"errors":[{"pointer":"/name","detail":"is none that plan list tells"}]}';
	end if;
	if problem is null then
		begin
			execute format('update plan set %I = $1 where id = $2', p_name) using p_value, p_plan;
			insert into operator_log (operator, action, reason, detail)
			values (p_operator, 'set_plan', 'catalogue',
				jsonb_build_object('plan', p_plan, 'name', p_name, 'value', p_value, 'before', v_plan -> p_name));
		exception when check_violation then
			problem := 'invalid_request';
			extras := '{"errors":[{"pointer":"/value","detail":"is out of range"}]}';
		end;
	end if;
	return next;
end
$$;
grant execute on function shotai.set_plan(text, text, integer, text) to shotai_operator;

create or replace function shotai.give_plan(p_user_id uuid, p_plan text, p_reason text, p_operator text)
returns table (problem text, retry_after integer, extras text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_account account;
begin
	select a.* from account a where a.user_id = p_user_id and a.status <> 'closed' for no key update into v_account;
	problem := case
		when v_account.id is null or not exists (select from plan p where p.id = p_plan) then 'not_found'
		when coalesce(p_reason, '') = '' or coalesce(p_operator, '') = '' then 'invalid_request' end;
	if problem is null then
		update account a set plan = p_plan, change_no = a.change_no + 1 where a.id = v_account.id;
		insert into operator_log (operator, action, account, reason, detail)
		values (p_operator, 'give_plan', v_account.id, p_reason, jsonb_build_object('plan', p_plan, 'before', v_account.plan));
	end if;
	return next;
end
$$;
grant execute on function shotai.give_plan(uuid, text, text, text) to shotai_operator;

select set_config('role', current_setting('shotai.migrating_role'), false);

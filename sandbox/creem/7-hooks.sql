-- Hooks for tests, called like the API.

-- One action on a checkout, subscription or transaction; answers the events, oldest first.
create or replace function test_act(path_id text, input jsonb) returns jsonb language plpgsql as $$
declare
	ids jsonb := act(path_id, input);
begin
	return jsonb_build_object('events', coalesce((select jsonb_agg(event_json(e) order by e.position) from event e
		where ids ? e.id), '[]'));
end
$$;

-- A refund that was pending has gone through; no event tells.
create or replace function test_settle(path_id text, input jsonb) returns jsonb language plpgsql as $$
declare
	r refund;
begin
	perform tick();
	update refund set status = 'succeeded' where id = path_id and status in ('pending', 'requiresAction') returning * into r;
	if r.id is null then
		perform refuse(404, 'There is no such refund that waits');
	end if;
	perform settle_refund(get_transaction(r.transaction_id), r.amount);
	return refund_json(r);
end
$$;

-- The newest events whose body holds `about` (an id, a request_id, an address) and that are of `type`, newest first.
create or replace function test_events(path_id text, input jsonb) returns jsonb language plpgsql as $$
declare
	most bigint := coalesce(whole(input, 'limit', 1, 1000), 100);
begin
	perform check_input(input, '{"about": "string", "type": "string", "limit": "string"}');
	return jsonb_build_object('items', coalesce((select jsonb_agg(event_json(e) order by e.position desc) from (
		select * from event n where (input ->> 'about' is null or strpos(n.body, input ->> 'about') > 0)
			and (input ->> 'type' is null or n.type = input ->> 'type')
		order by n.position desc limit most) e), '[]'));
end
$$;

create or replace function get_event(of_id text) returns event language plpgsql as $$
declare
	e event;
begin
	select * into e from event where id = of_id;
	if e.id is null then
		perform refuse(404, 'Event not found');
	end if;
	return e;
end
$$;

create or replace function test_event(path_id text, input jsonb) returns jsonb language sql as $$
	select event_json(get_event(path_id))
$$;

create or replace function redeliver(e event, to_port integer) returns void language sql as $$
	insert into delivery (event_id, lane, port, due_at) values (e.id, e.lane, to_port, clock_timestamp())
$$;

-- Delivers an event (again), under the same id and with the same body.
create or replace function test_redeliver(path_id text, input jsonb) returns jsonb language plpgsql as $$
declare
	e event := get_event(path_id);
begin
	perform check_input(input, '{"port": "number"}');
	perform redeliver(e, whole(input, 'port', 1, 65535)::integer);
	return event_json(e);
end
$$;

-- Any event, made up by the test: {"type", "object"} and send()'s how.
create or replace function test_send(path_id text, input jsonb) returns jsonb language plpgsql as $$
declare
	ids jsonb;
begin
	if jsonb_typeof(input -> 'type') is distinct from 'string' then
		perform refuse(400, 'type must be a string');
	end if;
	ids := send(coalesce(input ->> 'lane', 'test'), happened(input ->> 'type', input -> 'object'), input);
	return (select event_json(e) from event e where ids ? e.id order by e.position limit 1);
end
$$;

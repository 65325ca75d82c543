-- Events and their way to the receiver: at least once, the same id and body each time, only HTTP 200 counts.

-- Makes the events of one change and returns their ids. list: [{"type", "object"}] in their documented order. how:
--   twice    true: each is announced again under an id of its own
--   copies   how often each is delivered under the same id (1)
--   shuffle  true: they are delivered in reverse order
--   drop     true, or a list of types: never delivered
--   port     another receiver on loopback instead of PUBLIC_URL/webhooks/creem
create or replace function send(to_lane text, list jsonb, how jsonb) returns jsonb language plpgsql volatile as $$
declare
	item jsonb;
	event_id text;
	at timestamptz;
	ids jsonb := '[]';
begin
	insert into lane (id) values (to_lane) on conflict do nothing;
	if how ->> 'twice' = 'true' then
		list := list || list;
	end if;
	for item in select value from jsonb_array_elements(list) loop
		at := tick();
		event_id := new_id('evt');
		insert into event (id, type, lane, body, created_at) values (event_id, item ->> 'type', to_lane,
			jsonb_build_object('id', event_id, 'eventType', item -> 'type', 'created_at', ms(at),
				'object', item -> 'object')::text, at);
		if not coalesce(how -> 'drop' = 'true' or how -> 'drop' ? (item ->> 'type'), false) then
			insert into delivery (event_id, lane, port, due_at)
				select event_id, to_lane, (how ->> 'port')::integer,
					at - case when how ->> 'shuffle' = 'true' then jsonb_array_length(ids) * interval '1 second'
						else interval '0' end
				from generate_series(1, coalesce((how ->> 'copies')::integer, 1));
		end if;
		ids := ids || to_jsonb(event_id);
	end loop;
	return ids;
end
$$;

create or replace function happened(event_type text, object jsonb) returns jsonb language sql immutable as $$
	select jsonb_build_array(jsonb_build_object('type', event_type, 'object', object))
$$;

-- The next delivery that is due, of a lane that no other sender is busy with; none: no row. A sender that dies leaves
-- its lane after that many seconds.
create or replace function claim_delivery(seconds integer)
returns table (delivery_id bigint, attempt integer, port integer, body text) language plpgsql volatile as $$
declare
	now_at timestamptz := clock_timestamp();
	chosen text;
begin
	select l.id into chosen from delivery d join lane l on l.id = d.lane
		where d.state = 'waiting' and d.due_at <= now_at and l.busy_until < now_at
		order by d.due_at, d.id limit 1 for no key update of l skip locked;
	if chosen is null then
		return;
	end if;
	update lane l set busy_until = now_at + seconds * interval '1 second' where l.id = chosen;
	return query update delivery d set attempts = d.attempts + 1
		from event e
		where e.id = d.event_id and d.id = (select n.id from delivery n
			where n.lane = chosen and n.state = 'waiting' and n.due_at <= now_at
			order by n.due_at, n.id limit 1)
		returning d.id, d.attempts, d.port, e.body;
end
$$;

-- status: of the answer, 0 without one. Creem's steps between attempts are divided by speed.
create or replace function finish_delivery(
	of_delivery bigint, of_attempt integer, status integer, outcome text, speed integer
) returns table (state text) language plpgsql volatile as $$
declare
	steps constant interval[] := '{30 seconds, 1 minute, 5 minutes, 1 hour}';
begin
	insert into attempt values (of_delivery, of_attempt, clock_timestamp(), status, outcome) on conflict do nothing;
	return query update delivery d set
			state = case when status = 200 then 'delivered' when d.attempts > cardinality(steps) then 'failed'
				else d.state end,
			due_at = clock_timestamp() + coalesce(steps[d.attempts], interval '0') / speed
		where d.id = of_delivery returning d.state;
	update lane l set busy_until = '-infinity' from delivery d where d.id = of_delivery and l.id = d.lane;
end
$$;

create or replace function event_json(e event) returns jsonb language sql stable as $$
	select jsonb_build_object('id', e.id, 'type', e.type, 'created_at', iso(e.created_at), 'body', e.body,
		'deliveries', coalesce((select jsonb_agg(jsonb_build_object('id', d.id, 'state', d.state, 'port', d.port,
			'due_at', iso(d.due_at), 'attempts', coalesce((select jsonb_agg(jsonb_build_object('number', a.number,
				'at', iso(a.at), 'status', a.status, 'outcome', a.outcome) order by a.number)
				from attempt a where a.delivery_id = d.id), '[]')) order by d.id)
			from delivery d where d.event_id = e.id), '[]'))
$$;

-- Providers, models and their prices. A price is a row with a date; a new one
-- never touches what was charged before.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

create function shotai.refuse_change() returns trigger
language plpgsql security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	raise exception 'this table is append-only' using errcode = 'restrict_violation';
end
$$;

create table shotai.provider (
	id text primary key,
	name text not null,
	enabled boolean not null default true
);

create table shotai.model (
	id text primary key check (id ~ '^[a-z0-9][a-z0-9.-]{0,63}$'),
	provider text not null references shotai.provider,
	name text not null,
	position integer not null default 0,
	enabled boolean not null default true,
	adapter text not null check (adapter in ('openai', 'queue', 'gemini')),
	vendor_model text not null,
	options jsonb not null default '{}' check (jsonb_typeof(options) = 'object'),
	aspect_ratios text[] not null check (cardinality(aspect_ratios) > 0),
	max_count integer not null check (max_count between 1 and 10),
	accepts_reference boolean not null default false,
	max_references integer not null default 1 check (max_references > 0),
	description text not null,
	description_nl text not null,
	retention text,
	check (retention is not null or not accepts_reference)
);
comment on column shotai.model.aspect_ratios is 'The first one is the default.';
comment on column shotai.model.options is 'Switches of the adapter.';
comment on column shotai.model.retention is 'How long the vendor keeps the request; unknown (null) takes no reference.';

create table shotai.model_price (
	id bigint generated always as identity primary key,
	model text not null references shotai.model,
	credits integer not null check (credits > 0),
	effective_from timestamptz not null,
	unique (model, effective_from)
);
comment on column shotai.model_price.credits is 'Credits of one image.';
create trigger append_only before update or delete or truncate on shotai.model_price
	for each statement execute function shotai.refuse_change();
alter table shotai.model_price enable always trigger append_only;

create trigger append_only before update or delete or truncate on shotai.operator_log
	for each statement execute function shotai.refuse_change();
alter table shotai.operator_log enable always trigger append_only;

insert into shotai.erasure_class (relation, attribute, class, reason)
select c.relation, unnest(c.attributes), 'keep', 'about no person; for ever'
from (values
	('provider', '{id,name,enabled}'::text[]),
	('model', '{id,provider,name,position,enabled,adapter,vendor_model,options,aspect_ratios,max_count,accepts_reference,max_references,description,description_nl,retention}'),
	('model_price', '{id,model,credits,effective_from}')
) c (relation, attributes);

insert into shotai.provider (id, name) values ('openai', 'OpenAI');
insert into shotai.model (id, provider, name, position, adapter, vendor_model, options, aspect_ratios, max_count,
	accepts_reference, max_references, description, description_nl, retention)
values
	('gpt-image-1-mini', 'openai', 'GPT Image Mini', 1, 'openai', 'gpt-image-1-mini', '{}', '{1:1,3:2,2:3}', 4, true, 1,
		'Quick and cheap, for trying out ideas.', 'Snel en goedkoop, om ideeën uit te proberen.', '30 days'),
	('gpt-image-1.5', 'openai', 'GPT Image 1.5', 2, 'openai', 'gpt-image-1.5', '{}', '{1:1,3:2,2:3}', 4, true, 4,
		'A good balance of detail and price.', 'Goede balans tussen detail en prijs.', '30 days'),
	('gpt-image-2', 'openai', 'GPT Image 2', 3, 'openai', 'gpt-image-2', '{}', '{1:1,4:3,3:4,16:9,9:16,3:2,2:3}', 4, true, 4,
		'The most detail and the best lettering.', 'Het meeste detail en de beste letters.', '30 days');
insert into shotai.model_price (model, credits, effective_from)
values
	('gpt-image-1-mini', 2, '2026-11-01T00:00:00Z'),
	('gpt-image-1.5', 4, '2026-11-01T00:00:00Z'),
	('gpt-image-2', 6, '2026-11-01T00:00:00Z');

select set_config('role', current_setting('shotai.migrating_role'), false);

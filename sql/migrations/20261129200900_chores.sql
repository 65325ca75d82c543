-- What the worker does once in a while wherever it runs, and since when a prompt
-- could not be screened.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

create table shotai.chore (
	name text primary key,
	claimed_at timestamptz not null default clock_timestamp()
);
comment on table shotai.chore is 'One row for each that is done by one worker at a time; the first time is one interval after the row was made.';
alter table shotai.chore enable row level security;
insert into shotai.chore (name) values ('reconcile');

alter table shotai.job add column unscreened_from timestamptz;
comment on column shotai.job.unscreened_from is 'Since when nobody screens its prompt; null: nobody failed to.';

insert into shotai.erasure_class (relation, attribute, class, reason)
values
	('chore', 'name', 'keep', 'about no person; for ever'),
	('chore', 'claimed_at', 'keep', 'about no person; for ever'),
	('job', 'unscreened_from', 'delete', 'deleted when the generation ends');

select set_config('role', current_setting('shotai.migrating_role'), false);

-- The account as it is shown is a type of its own: what is added to it is added once.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

create type shotai.account_row as (
	problem text,
	retry_after integer,
	extras text,
	erased boolean,
	user_id uuid,
	email text,
	balance bigint,
	locale text,
	receipts boolean,
	announcements boolean,
	age_confirmed boolean,
	policy_version text,
	policy_acknowledged text,
	policy_notice boolean,
	limits text,
	status text,
	lot_source text,
	lot_remaining bigint,
	lot_expires_at text,
	sub_id text,
	sub_product_id text,
	sub_status text,
	sub_current_period_start text,
	sub_current_period_end text,
	sub_cancel_at_period_end boolean,
	sub_lapsed boolean,
	sub_updated_at text
);
comment on type shotai.account_row is 'One for each lot with credits left; lot and subscription are null where there is none.';

-- They answer with that type now; sql/functions makes them again.
drop function if exists shotai.get_account(uuid, uuid);
drop function if exists shotai.update_account(uuid, uuid, text, boolean, boolean);
drop function if exists shotai.acknowledge_policy(uuid, uuid, text);
drop function if exists shotai.confirm_age(uuid, uuid, boolean, text, text, text);
drop function if exists shotai.account_answer(bigint, text);

select set_config('role', current_setting('shotai.migrating_role'), false);

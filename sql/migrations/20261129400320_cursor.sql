-- cursor_of does what it did, for every list.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

drop function if exists shotai.export_cursor(timestamptz, text);

select set_config('role', current_setting('shotai.migrating_role'), false);

-- Whose customer somebody is, as the watch looks it up.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

create index creem_link_mark on shotai.creem_link (decode(md5(id), 'hex'), created_at) where kind = 'customer';

select set_config('role', current_setting('shotai.migrating_role'), false);

-- A line of the statement tells where granted credits came from. Made anew by sql/functions/account.sql.

drop function if exists shotai.list_credit_entries(uuid, integer, text);

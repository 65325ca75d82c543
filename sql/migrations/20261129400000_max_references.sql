-- The list of models says how many references each takes; made again with the functions.
drop function if exists shotai.list_models();

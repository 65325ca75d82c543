-- Its result has the terms, too.
drop function if exists shotai.erasure_state(uuid);

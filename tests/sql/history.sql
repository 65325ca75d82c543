-- Looking back: words, filters, favourites, deleting.
begin;
\ir fixture.psql
select no_plan();
select no_outage();

create function fixture.ordered(p_name text, p_prompt text, p_model text default 'gpt-image-1-mini') returns uuid language sql as $$
	select a.id from shotai.admit_generation(md5(p_name)::uuid, md5(p_name)::uuid, p_model, p_prompt, null, 1, 7, null, null, fixture.hash('body')) a
$$;
create function fixture.found(p_words text, p_status text default null, p_model text default null, p_favourite boolean default null)
returns text language sql as $$
	select string_agg(left(prompt, 3), ',' order by r) from (
		select *, row_number() over () as r
		from shotai.list_generations(md5('anna')::uuid, 100, null, p_status, p_words, p_model, p_favourite)) l
$$;
create function fixture.ended(p_id uuid) returns void language plpgsql as $$
begin
	perform shotai.claim_jobs('worker', 1000, 20);
	perform fixture.call(p_id), fixture.settle(p_id, 0);
	perform shotai.finish_generation(p_id, 1, null, null);
end
$$;
create function fixture.erased(p_name text, p_ids uuid[], p_all boolean default true) returns text language sql as $$
	select coalesce(problem, deleted::text) from shotai.delete_generations(md5(p_name)::uuid, md5(p_name)::uuid, p_ids, p_all)
$$;

select person('anna', 1000), person('ben', 1000);
select ordered('anna', 'one: a Red fox, on the quay') as one, ordered('anna', 'two red lighthouses') as two,
	ordered('anna', 'thr It''s a café \ "quoted" 35mm', 'gpt-image-2') as three, ordered('ben', 'ben''s red fox') as bens \gset
update shotai.generation set created_at = clock_timestamp() - case id when :'one' then 3 when :'two' then 2 else 1 end * interval '1 minute';

-- Words
select is(found('red'), 'two,one', 'a word, newest first, one''s own');
select is(found('FOX quay'), 'one', 'all words, in any case and order');
select is(found('light'), 'two', 'the beginning of a word');
select is(found('house'), null, 'not its end');
select is(found('red lighthouse nothing'), null, 'one word too many');
select is(found('it''s'), 'thr', 'with an apostrophe');
select is(found('café'), 'thr', 'with an accent');
select is(found('35mm "quoted" \'), 'thr', 'quotes and a backslash do no harm');
select is(found(w), null, 'no word: ' || w) from unnest(array['', ' ', '!!!', '\', '''', ''':*', '&', '|']) w;
select is(found('red | nothing'), null, 'operators are no operators');
select is(found('red !fox'), 'one', 'nor is a negation');
select is(found('account'), null, 'the account is no word of a prompt');
select is(found(account('anna')::text), null, 'nor its number');
select is(shotai.word_query(7, 'a\b')::text, $$' 7' & 'a':* & 'b':*$$, 'the query');
set local enable_seqscan = off;
create function fixture.plan(p_statement text) returns text language plpgsql as $$
declare v_line text; v_all text := '';
begin
	for v_line in execute 'explain ' || p_statement loop v_all := v_all || v_line || E'\n'; end loop;
	return v_all;
end $$;
select matches(plan($$ select g.id from shotai.generation g
	where (to_tsvector('simple'::regconfig, g.prompt) || array_to_tsvector(array[' ' || g.account])) @@ ''' 1'' & ''red'':*'::tsquery $$), 'generation_words', 'the index serves it');

set local enable_hashjoin = off;
set local enable_mergejoin = off;
select matches(plan('select r.* from unnest(array[gen_random_uuid()]) n (id) join shotai.generation_row r on r.id = n.id'), 'Index Cond: \(id = n.id\)',
	'a page reads its own rows only');
reset enable_hashjoin;
reset enable_mergejoin;

-- Filters
select is(found(null, null, 'gpt-image-2'), 'thr', 'by model');
select is(found('red', null, 'gpt-image-2'), null, 'with words');
select is(found(null, 'queued'), 'thr,two,one', 'by status');
select is(found('red', 'failed'), null, 'with words too');
select is((select string_agg(left(l.prompt, 3), ',') from shotai.list_generations(md5('anna')::uuid, 1, null, null, 'red') f,
	shotai.list_generations(md5('anna')::uuid, 1, f.cursor, null, 'red') l), 'one', 'pages of what was found');

-- Favourites
select results_eq(format($$ select problem, favourite from shotai.set_favourite(md5('anna')::uuid, md5('anna')::uuid, %L, true) $$, :'two'),
	$$ values (null::text, true) $$, 'marked');
select is((select g.change_no from shotai.generation g where g.id = :'two'), (select change_no from shotai.account where id = account('anna')), 'a change');
select change_no from shotai.account where id = account('anna') \gset
select favourite from shotai.set_favourite(md5('anna')::uuid, md5('anna')::uuid, :'two', true);
select is((select change_no from shotai.account where id = account('anna')), :'change_no'::bigint, 'once');
select is(found(null, p_favourite => true), 'two', 'the favourites');
select is(found(null, p_favourite => false), 'thr,one', 'the others');
select is(found('red', p_favourite => true), 'two', 'with words');
select is((select problem from shotai.set_favourite(md5('ben')::uuid, md5('ben')::uuid, :'two', true)), 'not_found', 'not another''s');
select is((select problem from shotai.set_favourite(md5('anna')::uuid, md5('ben')::uuid, :'two', true)), 'unauthenticated', 'not without a session');
select favourite from shotai.set_favourite(md5('anna')::uuid, md5('anna')::uuid, :'two', false);
select is(found(null, p_favourite => true), null, 'no longer');

-- Deleting
select is(erased('anna', array[:'one'::uuid]), 'unfinished', 'not before it is finished');
select is((select extras::jsonb from shotai.delete_generations(md5('anna')::uuid, md5('anna')::uuid, array[:'one'::uuid], true)), jsonb_build_object('ids', array[:'one']), 'it says which');
select ended(:'one'), ended(:'two');
select is(erased('anna', array[:'one'::uuid, :'three'::uuid], false), 'unfinished', 'all or nothing');
select is(found('quay'), 'one', 'nothing');
select is(erased('ben', array[:'one'::uuid]), 'not_found', 'not another''s');
select is(erased('ben', array[:'one'::uuid], false), '0', 'nor in a list');
select is((select problem from shotai.delete_generations(md5('anna')::uuid, md5('ben')::uuid, array[:'one'::uuid], true)), 'unauthenticated', 'not without a session');
select slug from shotai.create_share(md5('anna')::uuid, md5('anna')::uuid, repeat('s', 21) || 'A', :'one', 0, true, null, null, null);
select image_key as key, thumbnail_key as thumbnail from shotai.image where generation = :'one' \gset
select is((select kind from shotai.authorize_file(:'key')), 'image', 'until then it is served');
select balance('anna') as before \gset
select is(erased('anna', array[:'one'::uuid]), '1', 'deleted');
select is((select problem from shotai.get_generation(md5('anna')::uuid, :'one')), 'not_found', 'not there');
select is(found(null), 'thr,two', 'nor in the list');
select is(found('quay'), null, 'nor found by its words');
select is((select array_agg(problem) from unnest(array[:'key', :'thumbnail']) k, shotai.authorize_file(k)), '{not_found,not_found}', 'no picture is served');
select is((select problem from shotai.open_share(repeat('s', 21) || 'A', null)), 'not_found', 'nor shared');
select results_eq(format($$ select prompt, seed, upload_ids::text, favourite, status, delivered::integer, deleted_at is not null from shotai.generation where id = %L $$, :'one'),
	$$ values ('', null::bigint, '{}', false, 'succeeded', 1, true) $$, 'the row keeps what the ledger needs');
select is(balance('anna'), :'before'::bigint, 'no credit moves');
select is((select count(*) from shotai.credit_entry where generation = :'one'), 1::bigint, 'the ledger stays');
select is(erased('anna', array[:'one'::uuid]), 'not_found', 'once');
select is(erased('anna', array[:'one'::uuid, :'two'::uuid, gen_random_uuid()], false), '1', 'of a list what is there');
select is((select problem from shotai.set_favourite(md5('anna')::uuid, md5('anna')::uuid, :'one', true)), 'not_found', 'what is gone is no favourite');
select is((select problem from shotai.cancel_generation(md5('anna')::uuid, md5('anna')::uuid, :'one')), 'not_found', 'nor can it be cancelled');
select is(audit(), null, 'the books are right');

-- A key whose generation was deleted makes nothing new.
select admit('anna', 1, 'gpt-image-1-mini', 'k') as keyed \gset
select ended(:'keyed');
select erased('anna', array[:'keyed'::uuid]);
select is(admit('anna', 1, 'gpt-image-1-mini', 'k'), 'not_found', 'the resource as it is now');

-- Objects
select is((select count(*) from shotai.object_deletion), 6::bigint, 'pictures and thumbnails are queued');
create temporary table claimed as select * from shotai.claim_object_deletions(4);
select is((select count(*) from claimed), 4::bigint, 'offered');
select is((select count(*) from shotai.claim_object_deletions(100)), 2::bigint, 'to one worker at a time');
select is((select count(*) from shotai.claim_object_deletions(100)), 0::bigint, 'each');
update shotai.object_deletion set not_before = clock_timestamp();
select is((select count(*) from shotai.claim_object_deletions(100)), 6::bigint, 'again while it is not confirmed');
select shotai.finish_object_deletions((select array_agg(key) from claimed));
update shotai.object_deletion set not_before = clock_timestamp();
select is((select count(*) from shotai.claim_object_deletions(100)), 2::bigint, 'then no more');
select is((select max(not_before) <= clock_timestamp() + interval '1 minute' from shotai.object_deletion), true, 'a minute later at most');
update shotai.object_deletion set attempts = 100000, not_before = clock_timestamp();
select lives_ok('select * from shotai.claim_object_deletions(100)', 'however often it failed');

select * from finish();
rollback;

-- What new accounts have in common, without a name: keyed hashes, and the kinds of mail domains.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

-- Remembers a mark (hex) of an account that is younger than a week; null: nothing.
create or replace function shotai.mark_account(p_account bigint, p_kind text, p_mark text) returns void
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
begin
	insert into account_mark (kind, mark, account)
	select p_kind, decode(p_mark, 'hex'), a.id
	from account a
	where a.id = p_account and p_mark is not null and a.created_at > clock_timestamp() - retention('mark')
	on conflict do nothing;
end
$$;

-- 'disposable', 'public' (anybody has an address there) or null: of an address's domain or one above it.
create or replace function shotai.mail_domain_kind(p_email text) returns text
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_domain text := lower(substring(p_email from '@([^@]+)$'));
	v_kind text;
begin
	while v_domain ~ '\.' and v_kind is null loop
		select d.kind from mail_domain d where d.domain = v_domain into v_kind;
		v_domain := substring(v_domain from '\.(.*)$');
	end loop;
	return v_kind;
end
$$;

-- For shotaictl.
create or replace function shotai.list_disposable() returns table (domain text)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
#variable_conflict use_column
begin
	return query select d.domain from mail_domain d where d.kind = 'disposable' order by d.domain;
end
$$;
grant execute on function shotai.list_disposable() to shotai_operator;

-- Refuses welcome credits to a domain and those below it, or no longer; changed: it was otherwise.
create or replace function shotai.set_disposable(p_domain text, p_disposable boolean)
returns table (problem text, retry_after integer, extras text, changed boolean)
language plpgsql volatile security definer set search_path = pg_catalog, shotai, pg_temp
as $$
declare
	v_domain text := lower(p_domain);
begin
	if v_domain !~ '^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z0-9-]{2,}$' or length(v_domain) > 253 then
		problem := 'invalid_request';
		extras := '{"errors":[{"pointer":"/domain","detail":"is no domain"}]}';
	elsif p_disposable then
		insert into mail_domain as d (domain, kind) values (v_domain, 'disposable')
		on conflict (domain) do update set kind = 'disposable' where d.kind <> 'disposable';
		changed := found;
	else
		delete from mail_domain d where d.domain = v_domain and d.kind = 'disposable';
		changed := found;
	end if;
	return next;
end
$$;
grant execute on function shotai.set_disposable(text, boolean) to shotai_operator;

select set_config('role', current_setting('shotai.migrating_role'), false);

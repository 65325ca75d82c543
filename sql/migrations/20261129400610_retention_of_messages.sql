-- What the outbox keeps became more: the policy page says so.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

update shotai.retention
set what_en = 'The note that a mail was sent, or could not be; a message of yours to us that could not be',
	what_nl = 'De notitie dat een mail is verstuurd, of niet kon worden verstuurd; een bericht van jou aan ons dat niet kon'
where name = 'mail';

select set_config('role', current_setting('shotai.migrating_role'), false);

-- How long an archive can be fetched.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

insert into shotai.retention (name, position, amount, unit, what_en, why_en, what_nl, why_nl)
values ('archive', 25, 24, 'hour',
	'A ZIP of your pictures, or of everything about you, after it was made',
	'Time to fetch it; then it is deleted',
	'Een ZIP met je opnamen, of met alles over jou, nadat hij is gemaakt',
	'Tijd om hem op te halen; dan wordt hij gewist');

select set_config('role', current_setting('shotai.migrating_role'), false);

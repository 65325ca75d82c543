-- How long the watch keeps what it keeps.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

insert into shotai.retention (name, position, amount, unit, what_en, why_en, what_nl, why_nl)
values
	('mark', 100, 7, 'day',
		'Of a new account: keyed hashes of the shape and the domain of its address and of its prompts, which cannot be read back',
		'One person with many accounts takes the welcome credits of others',
		'Van een nieuw account: hashes met sleutel van de vorm en het domein van zijn adres en van zijn prompts, die niet terug te lezen zijn',
		'Eén persoon met veel accounts neemt de welkomstcredits van anderen'),
	('baseline', 110, 90, 'day',
		'How much you usually do: averages, after the last time you did it',
		'To see what is unusual, for you and for everybody',
		'Hoeveel je gewoonlijk doet: gemiddelden, na de laatste keer dat je het deed',
		'Om te zien wat ongewoon is, voor jou en voor iedereen'),
	('finding', 120, 12, 'month',
		'That something unusual was found about your account, with its numbers, after it was closed',
		'To answer objections, and to recognise repeated abuse',
		'Dat er iets ongewoons aan je account is gevonden, met de cijfers, nadat dat is afgesloten',
		'Om bezwaren te beantwoorden en herhaald misbruik te herkennen');

select set_config('role', current_setting('shotai.migrating_role'), false);

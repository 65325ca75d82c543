-- What the policy promises: its versions, how each read, and how long things are kept.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

alter table shotai.policy_version
	add column change_en text not null default '',
	add column change_nl text not null default '';
comment on column shotai.policy_version.change_en is 'What it changed, in a sentence for the list of changes.';
update shotai.policy_version set change_en = 'The first version.', change_nl = 'De eerste versie.' where version = '2026-11-01';

create table shotai.policy_page (
	version text not null references shotai.policy_version,
	language text not null check (language in ('en', 'nl')),
	body text not null,
	recorded_at timestamptz not null default clock_timestamp(),
	primary key (version, language)
);
comment on table shotai.policy_page is 'Each version as it read when it was published, for as long as newer ones are in force.';
alter table shotai.policy_page enable row level security;

create table shotai.retention (
	name text primary key,
	position integer not null,
	amount integer not null check (amount > 0),
	unit text not null check (unit in ('minute', 'hour', 'day', 'month', 'year')),
	what_en text not null,
	why_en text not null,
	what_nl text not null,
	why_nl text not null
);
comment on table shotai.retention is
	'How long what has a term is kept. The functions that delete, and the policy page, read it here and nowhere else.';
alter table shotai.retention enable row level security;

insert into shotai.erasure_class (relation, attribute, class, reason)
select c.relation, unnest(c.attributes), 'keep', 'about no person; for ever'
from (values
	('policy_version', '{change_en,change_nl}'::text[]),
	('policy_page', '{version,language,body,recorded_at}'),
	('retention', '{name,position,amount,unit,what_en,why_en,what_nl,why_nl}')
) c (relation, attributes);

insert into shotai.retention (name, position, amount, unit, what_en, why_en, what_nl, why_nl)
values
	('upload', 10, 30, 'day',
		'When an uploaded picture came and when it was deleted: times, nothing of the picture or of you',
		'Proves that uploads are deleted in time',
		'Wanneer een geüploade foto kwam en is gewist: tijden, niets van de foto of van jou',
		'Bewijst dat uploads op tijd worden gewist'),
	('share', 20, 1, 'day',
		'A share link, after the date on which you let it end',
		'Then it is swept up',
		'Een deellink, na de datum waarop je hem liet eindigen',
		'Dan wordt hij opgeruimd'),
	('share_report', 30, 90, 'day',
		'A report about a shared picture, after our decision',
		'To answer objections, and to recognise repeated abuse',
		'Een melding over een gedeelde opname, na onze beslissing',
		'Om bezwaren te beantwoorden en herhaald misbruik te herkennen'),
	('idempotency', 40, 24, 'hour',
		'The key that a program sends with an order, with a hash of the order',
		'A repeated order is not charged twice',
		'De sleutel die een programma met een opdracht meestuurt, met een hash van de opdracht',
		'Een herhaalde opdracht wordt niet twee keer berekend'),
	('rate_state', 50, 24, 'hour',
		'How busy you were lately: one point in time for each kind of action',
		'The limits that keep the service usable for everybody',
		'Hoe druk je het onlangs had: één tijdstip per soort handeling',
		'De limieten die de dienst voor iedereen bruikbaar houden'),
	('mail', 60, 30, 'day',
		'The note that a mail was sent to you, or could not be',
		'So that no mail is sent twice, and failures can be repaired',
		'De notitie dat een mail aan jou is verstuurd, of niet kon worden verstuurd',
		'Zodat geen mail twee keer gaat en fouten te herstellen zijn'),
	('welcome', 70, 24, 'month',
		'After erasure: a keyed hash of your e-mail address, from which the address cannot be read',
		'Welcome credits are given once per person',
		'Na verwijdering: een hash met sleutel van je e-mailadres, waaruit het adres niet te lezen is',
		'Welkomstcredits zijn er één keer per persoon'),
	('age_block', 80, 12, 'month',
		'After somebody said to be under 13: the same keyed hash of the e-mail address',
		'Nobody under 13 uses ShotAI, also not by answering again',
		'Nadat iemand zei jonger dan 13 te zijn: dezelfde hash met sleutel van het e-mailadres',
		'Niemand onder de 13 gebruikt ShotAI, ook niet door opnieuw te antwoorden'),
	('books', 90, 7, 'year',
		'Orders, payments and every change of credits; after erasure without your name, address or prompts',
		'Tax law asks for the books of at least these years',
		'Bestellingen, betalingen en elke wijziging van credits; na verwijdering zonder je naam, adres of prompts',
		'De belastingwet vraagt de boeken van ten minste deze jaren');

-- They answer with more columns now; sql/functions makes them again.
drop function if exists shotai.get_account(uuid, uuid);
drop function if exists shotai.update_account(uuid, uuid, text, boolean, boolean);
drop function if exists shotai.confirm_age(uuid, uuid, boolean, text, text, text);
drop function if exists shotai.account_answer(bigint, text);

select set_config('role', current_setting('shotai.migrating_role'), false);

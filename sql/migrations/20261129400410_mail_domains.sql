-- Domains of addresses that are made to be thrown away, and of those that anybody may have.

select set_config('shotai.migrating_role', current_user, false);
set role shotai_owner;

create table shotai.mail_domain (
	domain text primary key check (domain = lower(domain)),
	kind text not null check (kind in ('disposable', 'public'))
);
comment on column shotai.mail_domain.kind is
	'disposable: no welcome credits, also below it; public: that two accounts have it says nothing.';
alter table shotai.mail_domain enable row level security;
insert into shotai.erasure_class (relation, attribute, class, reason)
values
	('mail_domain', 'domain', 'keep', 'about no person; for ever'),
	('mail_domain', 'kind', 'keep', 'about no person; for ever');

insert into shotai.mail_domain (domain, kind)
select d.domain, 'disposable' from regexp_split_to_table(btrim($$
	0-mail.com 0815.ru 0clickemail.com 10minemail.com 10minutemail.co.za 10minutemail.com 10minutemail.net
	10minutesmail.com 1secmail.com 1secmail.net 1secmail.org 20minutemail.com 20minutemail.it 33mail.com
	afrobacon.com anonbox.net anonymbox.com antispam.de armyspy.com bccto.me beefmilk.com binkmail.com
	bobmail.info bugmenot.com burnermail.io byom.de chacuo.net chammy.info cock.li crazymailing.com cuvox.de
	dayrep.com deadaddress.com despam.it discard.email discardmail.com discardmail.de dispostable.com dodgit.com
	dropmail.me dumpmail.de e4ward.com einrot.com email-fake.com emailfake.com emailondeck.com emailsensei.com
	emailtemporario.com.br emailwarden.com ephemail.net fakeinbox.com fakemail.net fakemailgenerator.com fastacura.com
	filzmail.com fleckens.hu generator.email getairmail.com getnada.com getonemail.com gishpuppy.com
	grr.la guerrillamail.biz guerrillamail.com guerrillamail.de guerrillamail.info guerrillamail.net guerrillamail.org
	guerrillamailblock.com gustr.com harakirimail.com hidemail.de hulapla.de inboxalias.com inboxbear.com
	inboxkitten.com incognitomail.com incognitomail.org instant-mail.de jetable.com jetable.fr.nf jetable.net jetable.org
	jourrapide.com kasmail.com killmail.com killmail.net kurzepost.de letthemeatspam.com linshiyouxiang.net luxusmail.org
	mail-temp.com mail-temporaire.fr mail.tm mailcatch.com maildrop.cc maileater.com mailexpire.com mailforspam.com
	mailinator.com mailinator.net mailinator.org mailinator2.com mailismagic.com mailme.lv mailmetrash.com mailmoat.com
	mailnesia.com mailnull.com mailpoof.com mailsac.com mailshell.com mailtemp.info mailtothis.com mailzilla.com
	meltmail.com minuteinbox.com mintemail.com moakt.cc moakt.com mohmal.com mt2015.com mvrht.com mytemp.email
	mytrashmail.com nada.email nepwk.com nospam.ze.tc notmailinator.com nowmymail.com objectmail.com oneoffemail.com
	onewaymail.com owlpic.com pokemail.net proxymail.eu putthisinyourspamdatabase.com rcpt.at receiveee.com
	recursor.net rhyta.com rmqkr.net rtrtr.com s0ny.net safetymail.info sharklasers.com shieldemail.com
	shortmail.net slopsbox.com smailpro.com sneakemail.com sofort-mail.de spam.la spam4.me spambob.com spambog.com
	spambog.de spambog.ru spambox.us spamcorptastic.com spamevader.com spamex.com spamfree24.com spamfree24.org
	spamgourmet.com spamhole.com spaml.de spammotel.com spamspot.com spoofmail.de superrito.com tafmail.com
	teleworm.us temp-mail.io temp-mail.org temp-mail.ru tempail.com tempemail.co tempemail.net tempinbox.com
	tempmail.com tempmail.de tempmail.dev tempmail.eu tempmail.net tempmail.plus tempmailer.com tempmailo.com tempomail.fr
	temporarily.de temporaryemail.net temporaryinbox.com tempr.email thankyou2010.com thisisnotmyrealemail.com
	throwam.com throwawayemailaddress.com throwawaymail.com tmail.ws tmailinator.com tmpmail.net tmpmail.org
	trash-mail.at trash-mail.com trash-mail.de trashmail.at trashmail.com trashmail.de trashmail.me trashmail.net
	trashymail.com trbvm.com turual.com tyldd.com uggsrock.com upozowac.info venompen.com vomoto.com vpn.st
	wegwerfadresse.de wegwerfemail.de wegwerfmail.de wegwerfmail.net wegwerfmail.org wh4f.org wuzup.net
	yopmail.com yopmail.fr yopmail.net zehnminutenmail.de zoemail.org
$$, E' \t\n'), '\s+') d (domain);

insert into shotai.mail_domain (domain, kind)
select d.domain, 'public' from regexp_split_to_table(btrim($$
	aol.com bluewin.ch fastmail.com fastmail.fm free.fr gmail.com gmx.at gmx.ch gmx.com gmx.de gmx.net googlemail.com
	hetnet.nl home.nl hotmail.be hotmail.co.uk hotmail.com hotmail.de hotmail.fr hotmail.nl icloud.com kpnmail.nl
	kpnplanet.nl laposte.net libero.it live.be live.com live.nl mac.com mail.com mail.ru me.com msn.com naver.com
	online.nl orange.fr outlook.be outlook.com outlook.nl planet.nl pm.me posteo.de posteo.net proton.me protonmail.com
	qq.com quicknet.nl skynet.be solcon.nl t-online.de telenet.be telfort.nl tele2.nl tuta.com tutanota.com upcmail.nl
	web.de wxs.nl xs4all.nl yahoo.co.uk yahoo.com yahoo.de yahoo.fr yandex.ru zeelandnet.nl ziggo.nl 126.com 163.com
$$, E' \t\n'), '\s+') d (domain);

select set_config('role', current_setting('shotai.migrating_role'), false);

// The account: who is signed in, in which language, which mails are wanted, how many credits there are (where those went is on /billing), all that
// is held about the person to take along, and the way out.

import { api, Problem } from './api.js';
import { signOut } from './auth.js';
import { byId, element, say } from './dom.js';
import { askToErase } from './erase-dialog.js';
import { t } from './language.js';
import { offerMails } from './mails.js';
import { problemText } from './problem.js';
import { onAccount, startShell, writeCredits } from './shell.js';
import { createTakeout } from './takeout.js';

const EXPORT_MS = 10 * 60 * 1000;

let shown = null;

function showAccount(account) {
  shown = account;
  byId('erase').disabled = false;
  byId('email').textContent = account.email;
  writeCredits(byId('amount'), account.balance);
}

/** An export that was cut off arrives like a whole one, but is no JSON. */
async function check(data) {
  try { JSON.parse(await data.text()); } catch { throw new Problem('network'); }
}

/** The token goes in a header, which a plain link could not carry. */
async function saveExport() {
  const button = byId('export');
  button.disabled = true;
  button.textContent = t('account.exporting');
  say(byId('data-message'), '');
  try {
    const { data } = await api('GET', '/api/account/export', { file: true, timeout: EXPORT_MS });
    await check(data);
    const url = URL.createObjectURL(data);
    element('a', { href: url, download: 'shotai-export.json' }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60000);
  } catch (error) {
    say(byId('data-message'), problemText(error));
  } finally {
    button.disabled = false;
    button.textContent = t('account.export');
  }
}

async function saveAll(takeout) {
  byId('export-all').disabled = true;
  await takeout.order({});
  byId('export-all').disabled = false;
}

async function leave() {
  byId('sign-out').disabled = true;
  await signOut();
  location.assign('/');
}

async function start() {
  onAccount(showAccount);
  const takeout = createTakeout(byId('takeout'), 'all');
  byId('sign-out').addEventListener('click', leave);
  byId('erase').addEventListener('click', () => askToErase(shown));
  byId('export').addEventListener('click', saveExport);
  byId('export-all').addEventListener('click', () => saveAll(takeout));
  try {
    const account = await startShell({ needsAccount: true });
    offerMails('receipts', account);
    offerMails('announcements', account);
    takeout.resume();
  } catch (error) {
    say(byId('message'), `${t('account.failed')} ${problemText(error)}`);
  } finally {
    byId('sign-out').disabled = false;
  }
}

start();

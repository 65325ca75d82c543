// The account: who is signed in, in which language, how many credits there are, and the way out; where credits went is on
// /billing.

import { signOut } from './auth.js';
import { byId, say } from './dom.js';
import { askToErase } from './erase-dialog.js';
import { t } from './language.js';
import { problemText } from './problem.js';
import { onAccount, startShell, writeCredits } from './shell.js';

let shown = null;

function showAccount(account) {
  shown = account;
  byId('erase').disabled = false;
  byId('email').textContent = account.email;
  writeCredits(byId('amount'), account.balance);
}

async function leave() {
  byId('sign-out').disabled = true;
  await signOut();
  location.assign('/');
}

async function start() {
  onAccount(showAccount);
  byId('sign-out').addEventListener('click', leave);
  byId('erase').addEventListener('click', () => askToErase(shown));
  try {
    await startShell({ needsAccount: true });
  } catch (error) {
    say(byId('message'), `${t('account.failed')} ${problemText(error)}`);
  } finally {
    byId('sign-out').disabled = false;
  }
}

start();

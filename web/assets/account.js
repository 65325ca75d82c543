// The account: who is signed in, how many credits there are and until when, and where every one of them went.

import { api } from './api.js';
import { signOut } from './auth.js';
import { byId, element, say } from './dom.js';
import { credits, date, moment, number, signed, t } from './language.js';
import { problemText } from './problem.js';
import { onAccount, startShell } from './shell.js';

const PAGE = 20;
const SOURCES = ['welcome', 'subscription', 'top_up', 'adjustment'];
const KINDS = ['grant', 'charge', 'refund', 'expire', 'revoke', 'adjust'];

function showAccount(account) {
  byId('email').textContent = account.email;
  const [amount, unit] = credits(account.balance).split(' ');
  byId('amount').replaceChildren(element('b', {}, amount), ` ${unit}`);
  showLots(account.credit_lots.filter((lot) => lot.remaining > 0));
}

function showLots(lots) {
  byId('lots-empty').hidden = lots.length > 0;
  byId('lots').replaceChildren(...lots.map((lot) => {
    const source = SOURCES.includes(lot.source) ? lot.source : 'other';
    return element('li', { dataset: { source } },
      element('span', {}, t(`account.lot.${source}`)),
      element('span', { class: 'edge' }, lot.expires_at ? t('account.expires', { date: date(lot.expires_at) }) : t('account.expiresNever')),
      element('b', { class: 'figure' }, number(lot.remaining)));
  }));
  byId('bar').hidden = lots.length < 2;
  byId('bar').replaceChildren(...lots.map((lot) => {
    const part = element('span', { dataset: { source: SOURCES.includes(lot.source) ? lot.source : 'other' } });
    part.style.flexGrow = String(lot.remaining);
    return part;
  }));
}

// --- statement -------------------------------------------------------------------------------------------------------

let cursor = null;

function row(entry) {
  const what = element('td', {}, t(`account.entry.${KINDS.includes(entry.kind) ? entry.kind : 'other'}`));
  if (entry.generation_id) what.append(' ', element('a', { href: `/history#${entry.generation_id}` }, t('account.view')));
  return element('tr', { 'data-testid': 'credit-entry', dataset: { kind: entry.kind } },
    element('td', { class: 'edge' }, element('time', { datetime: entry.created_at }, moment(entry.created_at))),
    what,
    element('td', { class: 'figure', dataset: { sign: entry.amount < 0 ? 'minus' : 'plus' } }, signed(entry.amount)),
    element('td', { class: 'figure' }, number(entry.balance_after)));
}

async function loadStatement() {
  const more = byId('more');
  more.disabled = true;
  more.textContent = t('common.loading');
  try {
    const query = new URLSearchParams({ limit: String(PAGE), ...(cursor ? { cursor } : {}) });
    const { data } = await api('GET', `/api/account/credits?${query}`);
    byId('entries').append(...data.items.map(row));
    cursor = data.next_cursor;
    const empty = byId('entries').childElementCount === 0;
    byId('statement').hidden = empty;
    byId('statement-empty').hidden = !empty;
    more.hidden = cursor === null;
    say(byId('statement-message'), '');
  } catch (error) {
    say(byId('statement-message'), `${t('account.statementFailed')} ${problemText(error)}`);
    more.hidden = false;
  } finally {
    more.disabled = false;
    more.textContent = t(byId('statement-message').hidden ? 'common.more' : 'common.retry');
  }
}

async function leave() {
  byId('sign-out').disabled = true;
  await signOut();
  location.assign('/');
}

async function start() {
  onAccount(showAccount);
  byId('sign-out').addEventListener('click', leave);
  byId('more').addEventListener('click', loadStatement);
  try {
    await startShell({ needsAccount: true });
  } catch (error) {
    byId('more').hidden = true;
    return say(byId('message'), `${t('account.failed')} ${problemText(error)}`);
  } finally {
    byId('sign-out').disabled = false;
  }
  await loadStatement();
}

start();

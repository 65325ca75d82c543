// Credits: how many and until when, where each of them came from and went, and how to get more.

import { createBooks } from './billing-books.js';
import { awaitPurchase, noticeReturn, openPurchase } from './billing-return.js';
import { loadProducts, loadSubscription, noteNewestOrders, startShop } from './billing-shop.js';
import { byId, element, say } from './dom.js';
import { date, number, t } from './language.js';
import { offerMails } from './mails.js';
import { problemText } from './problem.js';
import { onAccount, startShell, toSignIn, writeCredits } from './shell.js';

const SOURCES = ['welcome', 'subscription', 'top_up', 'adjustment'];

// --- balance ---------------------------------------------------------------------------------------------------------

/** Lots that differ in nothing a person can see are one. */
function mergeLots(lots) {
  const merged = new Map();
  for (const { source: from, remaining, expires_at: end } of lots.filter((lot) => lot.remaining > 0)) {
    const source = SOURCES.includes(from) ? from : 'other';
    const until = end ? t('billing.expires', { date: date(end) }) : t('billing.expiresNever');
    const lot = merged.get(source + until) ?? { source, until, remaining: 0 };
    lot.remaining += remaining;
    merged.set(source + until, lot);
  }
  return [...merged.values()];
}

function showBalance(account) {
  writeCredits(byId('amount'), account.balance);
  const lots = mergeLots(account.credit_lots);
  byId('bar').hidden = lots.length === 0;
  byId('bar').replaceChildren(...lots.map(({ source, remaining }) => {
    const part = element('span', { dataset: { source } });
    part.style.flexGrow = String(remaining);
    return part;
  }));
  byId('lots').replaceChildren(...lots.map(({ source, until, remaining }) => element('li', { 'data-testid': 'lot', dataset: { source } },
    element('b', { class: 'figure' }, number(remaining)), ' ',
    element('span', {}, t(`billing.lot.${source}`)), ' ',
    element('span', { class: 'edge' }, until))));
}

// --- start -----------------------------------------------------------------------------------------------------------

async function loadOwn(account) {
  const books = createBooks({ onNewestOrders: noteNewestOrders });
  const loaded = Promise.all([books.load(), loadSubscription()]);
  const purchase = openPurchase(account.user_id);
  if (!purchase || !await awaitPurchase(purchase)) return;
  await loaded;
  await Promise.all([books.reload(), loadSubscription()]);
}

async function start() {
  noticeReturn();
  startShop();
  onAccount(showBalance);
  const stocked = loadProducts();
  try {
    const account = await startShell();
    if (!account && openPurchase()) return toSignIn('/billing');
    if (!account) return;
    byId('receipts-note').textContent = t('billing.receiptsTo', { email: account.email });
    offerMails('receipts', account);
    await stocked;
    await loadOwn(account);
  } catch (error) {
    say(byId('message'), `${t('billing.failed')} ${problemText(error)}`);
  }
}

start();

// Coming back from the till. The redirect proves nothing and grants nothing: credits are there once the payment has been
// confirmed to the server, so this asks until they are, tells what it is waiting for, and goes on after a reload.

import { api, Problem } from './api.js';
import { ORDERS_AT_ONCE } from './billing-books.js';
import { config } from './config.js';
import { byId, element, pause, say } from './dom.js';
import { whenVisible } from './follow.js';
import { credits, date, money, number, t } from './language.js';
import { lasting } from './memory.js';
import { refreshAccount, toSignIn } from './shell.js';

// Kept for all tabs: a bank's app returns to a new one.
const KEY = 'shotai.purchase';
const FORGET_MS = 24 * 60 * 60 * 1000;
const FIRST_MS = 1000;
const GROWTH = 1.5;
const LONGEST_MS = 10000;
const SLOW_AFTER_MS = 2 * 60 * 1000;
const SLOW_MS = 30000;
const CLOCKS_DIFFER_MS = 15 * 60 * 1000;

/** Before leaving for the till: what is being bought, and the ids of the newest orders so far (null: not known). */
export function rememberPurchase({ user, product, known }) {
  lasting.write(KEY, { user, product: product.id, name: product.name, kind: product.kind, known, at: Date.now() });
}

/** Takes what the till added to the address out of it again, whoever is signed in by now. */
export function noticeReturn() {
  const query = new URLSearchParams(location.search);
  if (!['return', 'request_id', 'checkout_id'].some((name) => query.has(name))) return;
  const request = query.get('request_id') ?? query.get('return');
  lasting.write(KEY, { ...remembered(), returned: Date.now(), request: /^[\w-]{8,64}$/.test(request) ? request : null });
  history.replaceState(null, '', location.pathname + location.hash);
}

function remembered() {
  const purchase = lasting.read(KEY);
  return purchase && Date.now() - (purchase.returned ?? purchase.at) < FORGET_MS ? purchase : null;
}

/** The purchase this person (or, signed out, anybody) came back from and that is not confirmed yet, or null. */
export function openPurchase(user) {
  const purchase = remembered();
  const isTheirs = !user || !purchase?.user || purchase.user === user;
  return purchase?.returned && isTheirs ? purchase : null;
}

/** The payments that this purchase brought, out of the newest orders. */
function paymentsOf(purchase, orders) {
  const since = (purchase.at ?? purchase.returned) - CLOCKS_DIFFER_MS;
  const isNew = purchase.known
    ? (order) => !purchase.known.includes(order.id)
    : (order) => Date.parse(order.created_at) >= since;
  return orders.filter((order) => isNew(order) && (!purchase.product || order.product_id === purchase.product));
}

// --- what it says ----------------------------------------------------------------------------------------------------

function show(state, title, text) {
  const section = byId('return');
  section.hidden = false;
  section.dataset.state = state;
  byId('return-title').textContent = title;
  byId('return-text').replaceChildren(...[text].flat());
}

const showWaiting = ({ name }) => show('waiting', t('billing.return.waiting'), name ? t('billing.return.waitingFor', { product: name }) : t('billing.return.waitingText'));

async function showSlow({ request }) {
  const { support_email: email } = await config().catch(() => ({}));
  const help = email ? t('billing.return.help', { email }) : '';
  show('slow', t('billing.return.slow'), [t('billing.return.slowText'), help].filter(Boolean).join(' '));
  byId('return-close').hidden = false;
  say(byId('return-note'), request ? t('billing.return.request', { request }) : '');
}

function showPaid(payments, balance) {
  const [order] = payments;
  const paid = payments.filter(({ status }) => status === 'paid');
  const added = paid.reduce((sum, { credits: n }) => sum + n, 0);
  const text = t('billing.return.paid', { product: order.product_name ?? t('billing.order'), amount: money(order.amount_cents, order.currency), credits: credits(balance) });
  const link = element('a', { href: `#order-${order.id}`, 'data-testid': 'return-order' }, t('billing.return.order'));
  if (paid.length === 0) show('done', t('billing.return.reversed'), [t('billing.return.reversedText'), ' ', link]);
  else if (paid.length > 1) show('done', t('billing.return.added', { credits: credits(added) }), [t('billing.return.several', { n: number(paid.length) }), ' ', link]);
  else show('done', t('billing.return.added', { credits: credits(added) }), [text, ' ', link]);
  if (added > 0) develop(added);
}

const showTrial = ({ current_period_end: end }) => show('done', t('billing.return.trial'), t('billing.return.trialText', { date: date(end) }));

function develop(added) {
  const frame = byId('return-frame');
  frame.className = 'shot developed';
  frame.replaceChildren(element('b', { class: 'figure developing' }, `+${number(added)}`));
}

// --- waiting ---------------------------------------------------------------------------------------------------------

async function look(purchase) {
  const [account, { data: orders }] = await Promise.all([refreshAccount(), api('GET', `/api/billing/orders?limit=${ORDERS_AT_ONCE}`)]);
  const payments = paymentsOf(purchase, orders.items);
  if (payments.length > 0) return () => showPaid(payments, account.balance);
  const { subscription } = account;
  return purchase.kind === 'subscription' && subscription?.status === 'trialing' ? () => showTrial(subscription) : null;
}

/** Resolves with true once the purchase has arrived and was shown, with false when the person no longer wants to be told. */
export async function awaitPurchase(purchase) {
  let wait = FIRST_MS;
  let slow = false;
  byId('return-close').addEventListener('click', () => {
    byId('return').hidden = true;
    lasting.remove(KEY);
  });
  showWaiting(purchase);
  while (!byId('return').hidden) {
    try {
      const arrived = await look(purchase);
      if (arrived) {
        lasting.remove(KEY);
        say(byId('return-note'), '');
        byId('return-close').hidden = false;
        arrived();
        return true;
      }
      if (!slow) say(byId('return-note'), '');
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (error.code === 'unauthenticated') toSignIn('/billing');
      if (!slow) say(byId('return-note'), t('billing.return.trouble'));
    }
    if (!slow && Date.now() - purchase.returned > SLOW_AFTER_MS) {
      slow = true;
      await showSlow(purchase);
    }
    await pause(slow ? SLOW_MS : wait);
    await whenVisible();
    wait = Math.min(LONGEST_MS, wait * GROWTH);
  }
  return false;
}

// The till: the plan one has, what can be bought, and the ways to Creem, where it is paid and where a plan is changed.

import { api, Problem } from './api.js';
import { rememberPurchase } from './billing-return.js';
import { byId, element, say } from './dom.js';
import { credits, date, money, t, waitingTime } from './language.js';
import { postOnce } from './once.js';
import { problemText } from './problem.js';
import { currentAccount, toSignIn } from './shell.js';

const INTERVALS = ['month', 'year'];

let products = [];
let subscription = null;
let newestOrders = null; // their ids, null while they are not known
let busy = false;

const isLive = () => subscription !== null && !subscription.lapsed && !['canceled', 'expired'].includes(subscription.status);

// --- what one has ----------------------------------------------------------------------------------------------------

function stateText({ status, lapsed, cancel_at_period_end: ending, current_period_end: end }) {
  if (['past_due', 'unpaid', 'paused'].includes(status)) return t(`billing.state.${status === 'paused' ? 'paused' : 'overdue'}`);
  if (!end) return t('billing.state.starting');
  const dated = (key) => t(`billing.state.${key}`, { date: date(end) });
  if (['canceled', 'expired'].includes(status)) return dated(Date.parse(end) > Date.now() ? 'endsSoon' : 'ended');
  if (lapsed) return dated('lapsed');
  if (ending || status === 'scheduled_cancel') return dated('ending');
  return dated(status === 'trialing' ? 'trialing' : 'active');
}

function drawPlan() {
  byId('plan').hidden = !subscription;
  byId('portal-offer').hidden = !subscription && !newestOrders?.length;
  if (!subscription) return;
  const product = products.find(({ id }) => id === subscription.product_id);
  byId('plan').dataset.status = subscription.status;
  byId('plan-name').textContent = product?.name ?? t('billing.planUnnamed');
  say(byId('plan-contents'), product && contents(product));
  byId('plan-status').textContent = stateText(subscription);
}

// --- what can be bought ----------------------------------------------------------------------------------------------

const every = (what, interval) => (INTERVALS.includes(interval) ? t(`billing.every.${interval}`, { what }) : what);
const contents = ({ credits: n, interval }) => every(credits(n), interval);
/** A top-up may be called by what is in it; then that is said once. */
const nameAndCredits = ({ name, credits: n }) => (name === credits(n) ? name : `${name}, ${credits(n)}`);
const price = ({ price_cents: cents, currency, interval }) => every(money(cents, currency), interval);

function lifetime({ kind, rollover }) {
  if (kind === 'top_up') return t('billing.lasts.ever');
  return rollover ? t('billing.lasts.rollover') : t('billing.lasts.period');
}

function productButton(product) {
  if (product.kind === 'subscription' && isLive()) {
    return element('button', { type: 'button', class: 'button', 'data-testid': 'switch', 'aria-label': t('billing.switchTo', { product: product.name }), onclick: openPortal }, t('billing.switch'));
  }
  const label = t('billing.buy', { product: nameAndCredits(product), price: price(product) });
  return element('button', { type: 'button', class: 'button', 'data-testid': 'buy', 'aria-label': label, onclick: ({ currentTarget }) => buy(product, currentTarget) }, price(product));
}

function productRow(product) {
  const each = t('billing.perCredit', { price: money(product.price_cents / product.credits, product.currency, 3) });
  const switching = product.kind === 'subscription' && isLive();
  return element('li', { 'data-testid': 'product', dataset: { id: product.id, kind: product.kind } },
    element('div', {},
      element('h3', {}, product.name),
      contents(product) !== product.name && element('p', {}, contents(product)),
      element('p', { class: 'edge' }, switching ? price(product) : each),
      element('p', { class: 'edge' }, lifetime(product))),
    productButton(product));
}

function drawProducts() {
  const current = isLive() ? subscription.product_id : null;
  byId('plans-title').textContent = t(current ? 'billing.otherPlans' : 'billing.plans');
  for (const [kind, list] of [['subscription', 'plans'], ['top_up', 'top-ups']]) {
    const rows = products.filter((product) => product.kind === kind && product.id !== current).map(productRow);
    byId(list).replaceChildren(...rows);
    byId(`${list}-section`).hidden = rows.length === 0;
  }
}

function draw() {
  drawPlan();
  drawProducts();
}

// --- to Creem --------------------------------------------------------------------------------------------------------

/** One way out at a time; once on the way, the buttons stay off until the page is left. */
async function leave(button, address) {
  if (busy) return;
  busy = true;
  const label = button.textContent;
  say(byId('shop-message'), '');
  button.textContent = t('billing.leaving');
  for (const each of byId('main').querySelectorAll('.shop button')) each.disabled = true;
  try {
    location.assign(await address());
  } catch (error) {
    busy = false;
    for (const each of byId('main').querySelectorAll('.shop button')) each.disabled = false;
    button.textContent = label;
    await explain(error);
  }
}

function buy(product, button) {
  const account = currentAccount();
  if (!account) return toSignIn('/billing');
  return leave(button, async () => {
    const { checkout_url: address } = await postOnce('/api/billing/checkout', { product_id: product.id },
      (wait) => complain(t('common.retrying', { seconds: waitingTime(wait) })));
    rememberPurchase({ user: account.user_id, product, known: newestOrders });
    return address;
  });
}

function openPortal({ currentTarget }) {
  return leave(currentTarget, async () => (await api('POST', '/api/billing/portal')).data.url);
}

function complain(text) {
  say(byId('shop-message'), text);
  byId('shop-message').scrollIntoView({ block: 'nearest' });
}

async function explain(error) {
  if (!(error instanceof Problem)) throw error;
  const own = { already_subscribed: 'billing.alreadySubscribed', account_suspended: 'billing.suspended', not_found: 'billing.noPortal' }[error.code];
  complain(own ? t(own) : problemText(error));
  if (error.code === 'unauthenticated') toSignIn('/billing');
  if (error.code === 'age_confirmation_required') location.reload();
  if (error.code === 'not_found') byId('portal-offer').hidden = true;
  if (error.code === 'product_unknown') await loadProducts();
  if (error.code === 'already_subscribed') {
    await loadSubscription();
    byId('portal-offer').hidden = false;
  }
}

// --- loading ---------------------------------------------------------------------------------------------------------

export async function loadProducts() {
  try {
    const { data } = await api('GET', '/api/billing/products', { open: true });
    products = data.items;
    draw();
  } catch (error) {
    complain(`${t('billing.productsFailed')} ${problemText(error)}`);
  }
}

export async function loadSubscription() {
  try {
    const { data } = await api('GET', '/api/billing/subscription');
    ({ subscription } = data);
    draw();
  } catch (error) {
    complain(`${t('billing.planFailed')} ${problemText(error)}`);
  }
}

export function noteNewestOrders(ids) {
  newestOrders = ids;
  drawPlan();
}

export function startShop() {
  byId('portal').addEventListener('click', openPortal);
  addEventListener('pageshow', ({ persisted }) => {
    // Coming back from Creem with the back button: anything may have changed there.
    if (persisted) location.reload();
  });
}

// The books: every change of the balance with its reason, and every payment with what became of it.

import { createList } from './billing-list.js';
import { byId, element, wantsStillness } from './dom.js';
import { credits, date, dateRange, dayTime, money, month, number, signed, t } from './language.js';

export const ORDERS_AT_ONCE = 10;
const KINDS = ['charge', 'refund', 'expire', 'revoke', 'adjust'];
const STATUSES = ['paid', 'refunded', 'disputed'];

/** id -> order, of what is loaded so far: the statement calls an order by the name of what was bought. */
const known = new Map();

/** Adds rows below the heading of their month, as a bank does. */
function addByMonth(table, items, row) {
  for (const item of items) {
    const name = month(item.created_at);
    let body = table.tBodies[table.tBodies.length - 1];
    if (body?.dataset.month !== name) {
      body = element('tbody', { dataset: { month: name } },
        element('tr', { class: 'month' }, element('th', { colspan: 4, scope: 'rowgroup' }, name)));
      table.append(body);
    }
    body.append(row(item));
  }
}

const when = (iso, text) => element('td', { class: 'edge' }, element('time', { datetime: iso }, text));

// --- statement -------------------------------------------------------------------------------------------------------

const orderName = (id) => known.get(id)?.product_name ?? t('billing.order');

/** Why the balance changed. Credits that no order paid for were given by us. */
function reason({ kind, source, order_id: order }) {
  if (kind === 'grant' && source === 'welcome') return t('billing.lot.welcome');
  if (kind === 'grant') return t(order ? 'billing.entry.bought' : 'billing.entry.given');
  return t(`billing.entry.${KINDS.includes(kind) ? kind : 'other'}`);
}

function entryRow(entry) {
  const what = element('td', {}, element('span', {}, reason(entry)));
  if (entry.generation_id) what.append(' ', element('a', { href: `/history#${entry.generation_id}`, 'data-testid': 'entry-frames' }, t('billing.view')));
  if (entry.order_id) {
    what.append(' ', element('a', { href: `#order-${entry.order_id}`, 'data-testid': 'entry-order', dataset: { order: entry.order_id } }, orderName(entry.order_id)));
  }
  return element('tr', { 'data-testid': 'credit-entry', dataset: { kind: entry.kind } },
    when(entry.created_at, dayTime(entry.created_at)), what,
    element('td', { class: 'figure', dataset: { sign: entry.amount < 0 ? 'minus' : 'plus' } }, signed(entry.amount)),
    element('td', { class: 'figure' }, number(entry.balance_after)));
}

// --- orders ----------------------------------------------------------------------------------------------------------

function orderDetails(order) {
  const period = order.period_start && order.period_end && dateRange(order.period_start, order.period_end);
  const contents = credits(order.credits);
  return [[contents !== order.product_name && contents, period].filter(Boolean).join(' · '), order.transaction_id].filter(Boolean);
}

function orderStatus({ status, refunded_cents: back, currency }) {
  if (status === 'partially_refunded') return t('billing.refundedPart', { amount: money(back, currency) });
  return t(`billing.status.${STATUSES.includes(status) ? status : 'other'}`);
}

function orderRow(order) {
  return element('tr', { id: `order-${order.id}`, tabindex: '-1', 'data-testid': 'order', dataset: { id: order.id, status: order.status } },
    when(order.created_at, date(order.created_at)),
    element('td', {}, element('span', {}, order.product_name ?? t('billing.order')), orderDetails(order).map((text) => element('small', { class: 'edge' }, text))),
    element('td', { class: 'figure' }, money(order.amount_cents, order.currency),
      order.tax_cents > 0 && element('small', { class: 'edge' }, t('billing.tax', { amount: money(order.tax_cents, order.currency) }))),
    element('td', {}, orderStatus(order)));
}

function learn(orders) {
  for (const order of orders) known.set(order.id, order);
  for (const link of byId('statement').querySelectorAll('a[data-order]')) link.textContent = orderName(link.dataset.order);
}

// --- both ------------------------------------------------------------------------------------------------------------

/** onNewestOrders(ids) is called each time these are known anew. */
export function createBooks({ onNewestOrders }) {
  const statement = createList('statement', {
    path: '/api/account/credits', size: 20, failed: 'billing.statementFailed',
    draw: (items) => addByMonth(byId('statement'), items, entryRow),
  });
  const orders = createList('orders', {
    path: '/api/billing/orders', size: ORDERS_AT_ONCE, failed: 'billing.ordersFailed',
    draw(items, fresh) {
      if (items.length > 0) byId('orders').append(element('tbody', {}, items.map(orderRow)));
      learn(items);
      if (fresh) onNewestOrders(items.map(({ id }) => id));
    },
  });

  /** The address names an order (#order-id); it may lie some pages down. */
  async function openFromAddress() {
    const id = /^#(order-[\w-]+)$/.exec(location.hash)?.[1];
    while (id && !byId(id) && orders.hasMore() && await orders.load());
    for (const row of byId('orders').querySelectorAll('[data-chosen]')) delete row.dataset.chosen;
    const row = id && byId(id);
    if (!row) return;
    row.dataset.chosen = '';
    row.scrollIntoView({ behavior: wantsStillness() ? 'auto' : 'smooth', block: 'center' });
    row.focus({ preventScroll: true });
  }

  addEventListener('hashchange', openFromAddress);
  return {
    load: () => Promise.all([statement.load(), orders.load()]).then(openFromAddress),
    reload: () => Promise.all([statement.reload(), orders.reload()]),
  };
}

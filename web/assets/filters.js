// What of the history is shown: a state, words of the prompt, a model, favourites. The address says it, so that a reload and
// a bookmark show the same.

import { listModels } from './api.js';
import { byId, element } from './dom.js';
import { t } from './language.js';

const STATUSES = ['queued', 'running', 'succeeded', 'partial', 'failed', 'canceled'];
const PAUSE_MS = 400;

/** What the address asks for, ready for the API; members that do not filter are absent. */
export function wanted() {
  const query = new URLSearchParams(location.search);
  const filter = {};
  if (STATUSES.includes(query.get('status'))) filter.status = query.get('status');
  if (query.get('q')?.trim()) filter.q = query.get('q').trim().slice(0, 100);
  if (query.get('model')) filter.model = query.get('model').slice(0, 100);
  if (query.get('favourite') === 'true') filter.favourite = 'true';
  return filter;
}

/** Why nothing is shown. */
export function emptyText() {
  const { q, ...others } = wanted();
  if (q) return t('history.emptySearch');
  return t(Object.keys(others).length > 0 ? 'history.emptyFilter' : 'history.empty');
}

export function drawFilters({ onChange }) {
  const form = byId('filters');
  const search = byId('search');
  const model = byId('filter-model');
  const filter = wanted();
  search.value = filter.q ?? '';
  byId('filter').append(
    ...['', ...STATUSES].map((status) => chip({ type: 'radio', name: 'status', value: status, checked: status === (filter.status ?? ''), 'data-testid': `filter-${status || 'all'}` },
      status ? t(`status.${status}`) : t('history.all'))),
    chip({ type: 'checkbox', name: 'favourite', value: 'true', checked: Boolean(filter.favourite), 'data-testid': 'filter-favourite' }, `\u2665 ${t('history.favourites')}`));
  addModels(model, filter.model);

  function apply() {
    const next = new URLSearchParams();
    for (const [name, value] of [['q', search.value.trim()], ['status', form.elements.status.value], ['model', model.value], ['favourite', form.elements.favourite.checked ? 'true' : '']]) {
      if (value) next.set(name, value);
    }
    const address = `/history${next.size ? `?${next}` : ''}`;
    if (address === `${location.pathname}${location.search}`) return;
    history.replaceState(null, '', address);
    onChange();
  }

  let timer = null;
  const applyLater = () => { clearTimeout(timer); timer = setTimeout(apply, PAUSE_MS); };
  search.addEventListener('input', applyLater);
  form.addEventListener('change', (event) => { if (event.target !== search) apply(); });
  form.addEventListener('submit', (event) => { event.preventDefault(); clearTimeout(timer); apply(); });
}

const chip = (attributes, words) => element('label', { class: 'chip' }, element('input', attributes), element('span', {}, words));

async function addModels(select, current) {
  const models = await listModels().catch(() => []);
  select.append(...models.map(({ id, name }) => element('option', { value: id, selected: id === current }, name)));
  if (current && !models.some(({ id }) => id === current)) select.append(element('option', { value: current, selected: true }, current));
}

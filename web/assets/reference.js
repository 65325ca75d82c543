// The reference pictures on the desk, as many as the chosen model takes: chosen, dropped or pasted, sent with their
// progress in sight, and each counted down to the moment the server deletes it. What is kept here, a small likeness
// included, goes at that moment too.

import { byId, element, say } from './dom.js';
import { count, number, t } from './language.js';
import { passing } from './memory.js';
import { discard, inspect, refusalText, send } from './reference-file.js';

const KEY = 'shotai.references';
const SOON_SECONDS = 60;

const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
const abort = (item) => item.sending.abort(new DOMException('given up', 'AbortError'));

/** How long the provider of a model keeps what it gets. */
export function keptFor({ retention }) {
  const days = /^(\d+) days$/.exec(retention)?.[1];
  return days ? count('days', Number(days)) : retention;
}

/** The row of one picture. */
function createRow({ name, thumb }, onRemove) {
  const time = element('time', { 'data-testid': 'reference-time', role: 'timer' });
  const left = element('span', { class: 'edge', hidden: true }, `${t('reference.until')} `, time);
  const progress = element('progress', { 'data-testid': 'reference-progress', max: 1, value: 0, 'aria-label': t('reference.sending') });
  const remove = element('button', { class: 'quiet', type: 'button', 'data-testid': 'reference-remove', 'aria-label': t('reference.remove', { name }) }, '\u00d7');
  remove.addEventListener('click', onRemove);
  const row = element('li', { class: 'held' },
    thumb && element('img', { class: 'thumb', alt: '', width: 48, height: 48, src: thumb }),
    element('div', {}, element('b', { 'data-testid': 'reference-name' }, name), left, progress), remove);
  return { row, time, left, progress, remove };
}

/**
 * Draws the place for references. onSignIn is called when someone signed out brings a picture. Returns
 * {ids(), busy(), setModel(model), forget(text)}: the ids to order with, whether one is still on its way, what follows
 * from the chosen model, and the end of uploads that the server no longer knows.
 */
export function createReferences({ signedIn, onSignIn, onChange }) {
  const box = byId('reference');
  const file = byId('reference-file');
  const status = byId('reference-status');
  const message = byId('reference-message');
  let items = []; // {name, thumb, row...} with sending, an AbortController, or else id and endsAt
  let model = null;

  const most = () => model?.max_references ?? Math.max(1, items.length);
  const held = () => items.filter(({ id }) => id);
  const busy = () => items.some(({ sending }) => sending);

  function show() {
    box.dataset.state = busy() ? 'sending' : items.length > 0 ? 'held' : 'empty';
    box.hidden = most() === 0 && items.length === 0;
    for (const [place, { row }] of items.entries()) row.classList.toggle('idle', place >= most());
    byId('reference-list').hidden = items.length === 0;
    byId('reference-pick').hidden = items.length >= Math.max(1, most());
    file.multiple = most() > 1;
    byId('reference-add').textContent = t(items.length > 0 ? 'reference.another' : 'reference.add');
    byId('reference-how').textContent = items.length > 0 ? t('reference.taken', { n: number(items.length), most: number(most()) })
      : most() > 1 ? t('reference.howMany', { most: number(most()) }) : t('reference.how');
    say(byId('reference-note'), noteText());
    onChange();
  }

  function noteText() {
    if (!model) return '';
    if (items.length > 0 && most() === 0) return t('reference.notTaken', { model: model.name });
    if (items.length > most()) return count('reference.first', most(), { model: model.name });
    if (held().length === 0 || !model.retention) return '';
    return t('reference.kept', { provider: model.provider, time: keptFor(model) });
  }

  function keep() {
    const kept = held().map(({ id, name, endsAt, thumb }) => ({ id, name, endsAt, thumb }));
    if (kept.length > 0) passing.write(KEY, kept);
    else passing.remove(KEY);
  }

  function put(item) {
    Object.assign(item, createRow(item, () => giveUp(item)));
    items.push(item);
    byId('reference-list').append(item.row);
    return item;
  }

  /** Nothing of it stays in the page. */
  function drop(item, text = '') {
    items = items.filter((other) => other !== item);
    item.row.remove();
    keep();
    status.textContent = '';
    show();
    say(message, text);
  }

  function hold(item) {
    item.progress.hidden = true;
    item.left.hidden = false;
    keep();
    tickOf(item);
    show();
  }

  function tickOf(item) {
    const seconds = Math.max(0, Math.ceil((item.endsAt - Date.now()) / 1000));
    item.time.textContent = clock(seconds);
    if (seconds === SOON_SECONDS) status.textContent = t('reference.soon', { name: item.name });
    if (seconds === 0) drop(item, t('reference.gone'));
  }

  /** Whether there is room for one more; the only one of a model that takes one makes way. */
  function makeRoom() {
    const [old] = items;
    if (items.length < most()) return true;
    if (most() > 1 || items.length > 1) return say(message, count('reference.most', most()));
    drop(old);
    if (old.sending) abort(old);
    else discard(old);
    return true;
  }

  async function take(chosen) {
    const { type, thumb, refused } = await inspect(chosen);
    if (refused) return say(message, refused);
    if (!makeRoom()) return;
    const item = put({ name: chosen.name, thumb, sending: new AbortController() });
    const { signal } = item.sending;
    status.textContent = t('reference.sending');
    show();
    try {
      Object.assign(item, await send(chosen, type, {
        signal,
        onProgress: (part) => {
          item.progress.value = part;
          if (part === 1) status.textContent = t('reference.checking');
        },
      }));
      item.sending = null;
      status.textContent = t('reference.ready');
      hold(item);
      // What was chosen from may be gone; whoever went on typing is left alone.
      if (document.activeElement === document.body) item.remove.focus({ preventScroll: true });
    } catch (error) {
      if (signal.aborted) return;
      item.sending = null;
      drop(item, refusalText(error));
      if (error.code === 'unauthenticated') onSignIn();
    }
  }

  function takeAll(files) {
    const chosen = [...files];
    file.value = '';
    if (chosen.length === 0 || most() === 0) return;
    if (!signedIn) return void onSignIn();
    say(message, '');
    for (const one of most() > 1 ? chosen : chosen.slice(0, 1)) take(one);
  }

  async function giveUp(item) {
    const place = items.indexOf(item);
    drop(item);
    (items[place]?.remove ?? file).focus({ preventScroll: true });
    if (item.sending) return abort(item);
    const text = await discard(item);
    if (message.hidden && !busy()) say(message, text);
  }

  file.addEventListener('change', () => takeAll(file.files));
  document.addEventListener('paste', (event) => {
    const { files } = event.clipboardData ?? {};
    if (!files?.length || box.hidden) return;
    event.preventDefault();
    takeAll(files);
  });
  // A file that misses the place would otherwise replace the page.
  for (const name of ['dragover', 'drop']) {
    document.addEventListener(name, (event) => {
      if (![...(event.dataTransfer?.types ?? [])].includes('Files')) return;
      event.preventDefault();
      box.classList.toggle('over', name === 'dragover');
      if (name === 'drop' && !box.hidden) takeAll(event.dataTransfer.files);
    });
  }
  document.addEventListener('dragleave', (event) => { if (!event.relatedTarget) box.classList.remove('over'); });

  const kept = passing.read(KEY);
  for (const one of signedIn && Array.isArray(kept) ? kept : []) {
    if (typeof one?.id === 'string' && one.endsAt > Date.now()) hold(put(one));
  }
  keep();
  show();
  setInterval(() => held().forEach(tickOf), 1000);

  return {
    ids: () => (model ? held().slice(0, most()).map(({ id }) => id) : []),
    busy,
    setModel(next) { model = next; show(); },
    forget: (text) => held().forEach((item) => drop(item, text)),
  };
}

// History: everything that was made, as one contact sheet in strips of a day; one frame at a time opens beside it.

import { api, modelNames } from './api.js';
import { askToDelete } from './delete-dialog.js';
import { createDetails } from './details.js';
import { byId, element, say } from './dom.js';
import { createFrame, frameState } from './film.js';
import { drawFilters, emptyText, wanted } from './filters.js';
import { follow, isFinal } from './follow.js';
import { count, credits, dayKey, dayName, t, time } from './language.js';
import { problemText } from './problem.js';
import { createSelection } from './selection.js';
import { openShareDialog } from './share-dialog.js';
import { isShared, learnPlaces } from './shares.js';
import { refreshAccount, startShell } from './shell.js';
import { createTakeout } from './takeout.js';

const PAGE = 30;

const items = new Map(); // id -> {generation, element}
const days = new Map(); // day -> {strip, total, generations}
let cursor = null;
let page = 0; // a number for each fresh sheet: answers that belong to an older one are dropped
let leaving = new AbortController();
let details = null;
let selection = null;

// --- the sheet -------------------------------------------------------------------------------------------------------

function dayOf(generation) {
  const key = dayKey(generation.created_at);
  if (!days.has(key)) {
    const strip = element('ol', { class: 'strip dense' });
    const total = element('span', {});
    byId('sheet').append(element('section', { class: 'day', 'data-testid': 'day' },
      element('h2', { class: 'edge' }, element('span', {}, dayName(generation.created_at)), total), strip));
    days.set(key, { key, strip, total, generations: [] });
  }
  return days.get(key);
}

function sumUp({ total, generations }) {
  const all = generations.map((id) => items.get(id).generation);
  const frames = all.reduce((sum, { images }) => sum + images.length, 0);
  const spent = all.reduce((sum, { credits_charged: paid, credits_refunded: back }) => sum + paid - back, 0);
  total.textContent = `${count('history.frames', frames)} · ${credits(spent)}`;
}

/** The frames of one generation; those that came to nothing are one fogged frame together. */
function framesOf(generation) {
  const indexes = Array.from({ length: generation.count }, (_, index) => index);
  const isLost = (index) => ['failed', 'canceled'].includes(frameState(generation, index).status);
  const lost = indexes.filter(isLost);
  const shown = indexes.filter((index) => !isLost(index) || index === lost[0]);
  const stamp = (index) => (index === shown[0] ? time(generation.created_at) : undefined);
  return shown.map((index) => createFrame(generation, index, {
    thumbnail: true, stamp: stamp(index), missing: lost.length, onStale: () => renew(generation.id), linked: true, isShared,
  }).element);
}

/** Takes a generation off the sheet, and its day when nothing is left of that. */
function remove(id) {
  const { generation, element: item } = items.get(id) ?? {};
  if (!item) return;
  const day = dayOf(generation);
  item.remove();
  items.delete(id);
  day.generations.splice(day.generations.indexOf(id), 1);
  if (day.generations.length > 0) return sumUp(day);
  day.strip.closest('.day').remove();
  days.delete(day.key);
}

function draw(generation) {
  const known = items.get(generation.id);
  const item = known?.element ?? element('li', { class: 'take', 'data-testid': 'history-item', dataset: { id: generation.id } });
  item.dataset.status = generation.status;
  item.replaceChildren(element('ol', { class: 'take-frames', 'aria-label': generation.prompt }, framesOf(generation)));
  items.set(generation.id, { ...known, generation, element: item });
  if (!known) {
    const day = dayOf(generation);
    day.strip.append(item);
    day.generations.push(generation.id);
    if (!isFinal(generation)) watch(generation.id);
  }
  sumUp(dayOf(generation));
  markChosen();
  selection.draw();
}

async function watch(id) {
  try {
    await follow(id, { onChange: update, signal: leaving.signal });
    await refreshAccount();
  } catch { /* the sheet keeps what it last knew; loading it again asks again */ }
}

function update(generation) {
  if (items.has(generation.id)) draw(generation);
  if (details.shows(generation.id)) details.open(generation, addressed()?.index ?? 0);
}

/** Signed addresses of pictures run out after an hour or two: a page left open gets new ones, at most once a minute. */
async function renew(id) {
  const item = items.get(id);
  if (!item || Date.now() - (item.renewed ?? 0) < 60000) return;
  item.renewed = Date.now();
  try {
    const { data } = await api('GET', `/api/history/${id}`);
    update(data);
  } catch { /* the frame says that its picture cannot be loaded */ }
}

// --- pages ----------------------------------------------------------------------------------------------------------

async function load() {
  const asked = page;
  const more = byId('more');
  const query = new URLSearchParams({ limit: String(PAGE), ...wanted() });
  if (cursor) query.set('cursor', cursor);
  more.disabled = true;
  more.textContent = t('common.loading');
  try {
    const { data } = await api('GET', `/api/history?${query}`);
    if (asked !== page) return;
    data.items.forEach(draw);
    learnPlaces(data.items).then((known) => known.filter(({ id }) => items.has(id)).forEach(({ id }) => draw(items.get(id).generation)), () => { /* then these frames have no star */ });
    cursor = data.next_cursor;
    say(byId('message'), '');
    showEnd();
    byId('announcer').textContent = count('history.loaded', items.size);
  } catch (error) {
    if (asked !== page) return;
    say(byId('message'), `${t('history.failed')} ${problemText(error)}`);
    more.hidden = false;
    more.dataset.failed = '';
  } finally {
    if (asked === page) {
      more.disabled = false;
      more.textContent = t('common.more');
    }
  }
}

function showEnd() {
  const empty = items.size === 0;
  delete byId('more').dataset.failed;
  byId('more').hidden = cursor === null;
  byId('end').hidden = cursor !== null || empty;
  byId('empty').hidden = !empty;
  if (empty) byId('empty-text').textContent = emptyText();
}

function startOver() {
  selection.stop();
  leaving.abort();
  leaving = new AbortController();
  page += 1;
  cursor = null;
  items.clear();
  days.clear();
  byId('sheet').replaceChildren();
  for (const id of ['empty', 'end', 'message']) byId(id).hidden = true;
  byId('more').hidden = false;
  return load();
}

/** The button is real; reaching it by scrolling presses it, unless the last try failed. */
function loadWhileScrolling() {
  const more = byId('more');
  more.addEventListener('click', load);
  new IntersectionObserver((entries) => {
    if (entries.some((entry) => entry.isIntersecting) && !more.disabled && !more.hidden && !('failed' in more.dataset) && cursor) load();
  }, { rootMargin: '600px' }).observe(more);
}

// --- one frame -------------------------------------------------------------------------------------------------------

/** The address names the open frame (#id/index), so that back closes it, and a reload or another page can open it. */
function addressed() {
  const match = /^#([\w-]+)(?:\/(\d+))?$/.exec(location.hash);
  return match && { id: match[1], index: Number(match[2] ?? 0) };
}

async function openFromAddress() {
  const wanted = addressed();
  markChosen();
  if (!wanted) return details.close();
  try {
    const generation = items.get(wanted.id)?.generation ?? (await api('GET', `/api/history/${wanted.id}`)).data;
    details.open(generation, wanted.index);
  } catch (error) {
    say(byId('message'), error.code === 'not_found' ? t('history.gone') : problemText(error));
  }
}

function closeDetails() {
  if (!addressed()) return;
  history.pushState(null, '', location.pathname + location.search);
  openFromAddress();
}

function markChosen() {
  const wanted = addressed();
  for (const [id, { element: item }] of items) {
    const chosen = wanted?.id === id;
    item.toggleAttribute('data-chosen', chosen);
    for (const link of item.querySelectorAll('a')) {
      if (chosen && link.hash === `#${id}/${wanted.index}`) link.setAttribute('aria-current', 'true');
      else link.removeAttribute('aria-current');
    }
  }
}

/** Left and right go along the strip, as a loupe would. */
function walkWithArrows(event) {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step || event.altKey || event.ctrlKey || event.metaKey || !event.target.closest('#sheet')) return;
  const links = [...byId('sheet').querySelectorAll('.frame a')];
  const next = links[links.indexOf(event.target) + step];
  if (!next) return;
  event.preventDefault();
  next.focus();
}

// --- what can be done with a frame --------------------------------------------------------------------------------------

function shareFrame(generation, image) {
  openShareDialog(generation, image, {
    onChange(added, removed) {
      const { shared, ...rest } = items.get(generation.id)?.generation ?? generation;
      update({ ...rest, shared: [...shared.filter((slug) => !removed.includes(slug)), ...added] });
    },
  });
}

async function setFavourite(generation, favourite, button) {
  button.disabled = true;
  try {
    const { data } = await api('PATCH', `/api/history/${generation.id}`, { body: { favourite } });
    update(data);
    byId('announcer').textContent = t(favourite ? 'details.favouriteDone' : 'details.unfavouriteDone');
    document.querySelector('[data-testid="favourite"]')?.focus();
  } catch (error) {
    button.disabled = false;
    say(byId('message'), problemText(error));
  }
}

async function deleteSome(generations) {
  if (generations.length === 0) return [];
  const gone = await askToDelete(generations);
  if (gone.some((id) => details.shows(id))) closeDetails();
  gone.forEach(remove);
  if (gone.length > 0) {
    byId('announcer').textContent = count('delete.done', gone.length);
    if (items.size === 0 && cursor !== null) load();
    else showEnd();
  }
  return gone;
}

async function start() {
  try {
    await startShell({ needsAccount: true });
  } catch (error) {
    byId('more').hidden = true;
    return say(byId('message'), `${t('history.failed')} ${problemText(error)}`);
  }
  details = createDetails({ names: await modelNames(), onClose: closeDetails, onStale: renew, onShare: shareFrame, onFavourite: setFavourite, onDelete: deleteSome });
  const takeout = createTakeout(byId('takeout'), 'chosen');
  selection = createSelection(items, { onDelete: deleteSome, onTake: (ids) => takeout.order({ generation_ids: ids }) });
  takeout.resume();
  addEventListener('hashchange', openFromAddress);
  addEventListener('popstate', openFromAddress);
  addEventListener('keydown', walkWithArrows);
  drawFilters({ onChange: () => { details.close(); startOver(); } });
  await startOver();
  loadWhileScrolling();
  openFromAddress();
}

start();

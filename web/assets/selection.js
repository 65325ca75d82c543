// Choosing several on the sheet: their edge printing turns red, and a bar says what can be done with them.

import { byId } from './dom.js';
import { isFinal } from './follow.js';
import { count, t } from './language.js';

const ARCHIVE_MOST = 100;

/**
 * items: the sheet's map of id -> {generation, element}; onDelete(generations) resolves with the ids that are gone,
 * onTake(ids) takes at most a hundred along.
 */
export function createSelection(items, { onDelete, onTake }) {
  const chosen = new Set();
  const root = document.documentElement;
  const start = byId('select');
  const bar = byId('selection');
  const active = () => 'selecting' in root.dataset;

  function draw() {
    for (const [id, { element: item, generation }] of items) mark(item, generation, id);
    const tooMany = chosen.size > ARCHIVE_MOST && t('select.mostTaken', { most: ARCHIVE_MOST });
    byId('selection-count').textContent = [chosen.size ? count('select.chosen', chosen.size) : t('select.none'), tooMany].filter(Boolean).join(' ');
    byId('selection-delete').disabled = chosen.size === 0;
    byId('selection-take').disabled = chosen.size === 0 || Boolean(tooMany);
  }

  function mark(item, generation, id) {
    item.toggleAttribute('data-selected', chosen.has(id));
    item.toggleAttribute('data-unfinished', !isFinal(generation));
    for (const link of item.querySelectorAll('.frame a')) {
      if (!active()) {
        link.removeAttribute('role');
        link.removeAttribute('aria-checked');
      } else {
        link.setAttribute('role', 'checkbox');
        link.setAttribute('aria-checked', String(chosen.has(id)));
      }
    }
  }

  function toggle(id) {
    const item = items.get(id);
    if (!item || !isFinal(item.generation)) return;
    if (chosen.has(id)) chosen.delete(id);
    else chosen.add(id);
    draw();
  }

  function set(on) {
    chosen.clear();
    if (on) root.dataset.selecting = '';
    else delete root.dataset.selecting;
    start.setAttribute('aria-pressed', String(on));
    start.textContent = t(on ? 'select.stop' : 'select.start');
    bar.hidden = !on;
    draw();
  }

  start.addEventListener('click', () => set(!active()));
  byId('selection-delete').addEventListener('click', async () => {
    const gone = await onDelete([...chosen].map((id) => items.get(id)?.generation).filter(Boolean));
    if (gone.length > 0) set(false);
  });
  byId('selection-take').addEventListener('click', () => {
    onTake([...chosen]);
    set(false);
  });
  byId('sheet').addEventListener('click', (event) => {
    const take = active() && event.target.closest('.take');
    if (!take) return;
    event.preventDefault();
    toggle(take.dataset.id);
  }, { capture: true });
  byId('sheet').addEventListener('keydown', (event) => {
    if (!active() || event.key !== ' ' || !event.target.matches('.frame a')) return;
    event.preventDefault();
    toggle(event.target.closest('.take').dataset.id);
  });
  addEventListener('keydown', (event) => {
    if (event.key === 'Escape' && active() && !document.querySelector('dialog:modal')) set(false);
  });

  return { active, draw, stop: () => active() && set(false) };
}

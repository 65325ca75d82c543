// A table that is loaded page by page: the statement and the orders.

import { api } from './api.js';
import { byId, say } from './dom.js';
import { t } from './language.js';
import { problemText } from './problem.js';

/**
 * `name` is the id of the table and the start of the ids around it (name-more, name-empty, name-message); draw(items, fresh)
 * adds rows to it, fresh meaning that these are the newest. load() adds the next page, reload() starts again from the
 * newest; both tell whether they succeeded.
 */
export function createList(name, { path, size, failed, draw }) {
  const table = byId(name);
  const more = byId(`${name}-more`);
  const message = byId(`${name}-message`);
  let cursor = null;
  let fresh = true;
  let running = null;

  async function loadPage() {
    more.disabled = true;
    more.textContent = t('common.loading');
    try {
      const query = new URLSearchParams({ limit: String(size), ...(fresh ? {} : { cursor }) });
      const { data } = await api('GET', `${path}?${query}`);
      if (fresh) for (const body of [...table.tBodies]) body.remove();
      draw(data.items, fresh);
      fresh = false;
      cursor = data.next_cursor;
      table.hidden = table.tBodies.length === 0;
      byId(`${name}-empty`).hidden = !table.hidden;
      more.hidden = cursor === null;
      say(message, '');
    } catch (error) {
      say(message, `${t(failed)} ${problemText(error)}`);
      more.hidden = false;
    }
    more.disabled = false;
    more.textContent = t(message.hidden ? 'common.more' : 'common.retry');
    return message.hidden;
  }

  function load() {
    running ??= loadPage().finally(() => { running = null; });
    return running;
  }

  async function reload() {
    await running;
    fresh = true;
    return load();
  }

  more.addEventListener('click', load);
  return { load, reload, hasMore: () => fresh || cursor !== null };
}

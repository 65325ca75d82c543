// The question before something is gone for good. Nothing here can be undone, so it says what goes and what does not come back.

import { api } from './api.js';
import { element, say } from './dom.js';
import { count, t } from './language.js';
import { problemText } from './problem.js';

/** Resolves with the ids that were deleted, none when the answer was no. */
export function askToDelete(generations) {
  const frames = generations.reduce((sum, { images }) => sum + images.length, 0);
  const links = generations.reduce((sum, { shared }) => sum + shared.length, 0);
  const ids = generations.map(({ id }) => id);
  const message = element('p', { class: 'message', role: 'alert', hidden: true });
  const yes = element('button', { type: 'button', class: 'button primary', 'data-testid': 'delete-yes' }, t('delete.yes'));
  const no = element('button', { type: 'button', class: 'button', 'data-testid': 'delete-no' }, t('delete.no'));
  const dialog = element('dialog', { class: 'ask', 'aria-labelledby': 'delete-title', 'data-testid': 'delete-dialog' },
    element('h2', { id: 'delete-title', tabindex: '-1', autofocus: true }, count('delete.title', ids.length)),
    element('p', {}, frames > 0 ? count('delete.what', frames) : t('delete.whatPrompt')),
    links > 0 && element('p', {}, count('delete.links', links)),
    element('p', {}, t('delete.final')),
    message, element('div', { class: 'choices' }, yes, no));
  document.body.append(dialog);
  dialog.showModal();

  return new Promise((resolve) => {
    const end = (deleted) => { dialog.remove(); resolve(deleted); };
    yes.addEventListener('click', async () => {
      yes.disabled = no.disabled = true;
      say(message, '');
      try {
        await remove(ids);
        end(ids);
      } catch (error) {
        say(message, problemText(error));
        yes.disabled = no.disabled = false;
      }
    });
    no.addEventListener('click', () => end([]));
    dialog.addEventListener('close', () => end([]));
  });
}

async function remove(ids) {
  for (let start = 0; start < ids.length; start += 100) {
    await api('POST', '/api/history/delete', { body: { ids: ids.slice(start, start + 100) } });
  }
}

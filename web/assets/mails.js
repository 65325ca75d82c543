// The mails that a person gets only once they are switched on: receipts and announcements, each a checkbox with a note
// that tells what became of the choice.

import { api } from './api.js';
import { byId } from './dom.js';
import { t } from './language.js';
import { problemText } from './problem.js';

/** kind: `receipts` or `announcements`, the id of the checkbox too. */
export function offerMails(kind, { notifications }) {
  const box = byId(kind);
  const note = byId(`${kind}-note`);
  box.checked = notifications[kind];
  box.disabled = false;
  box.addEventListener('change', async () => {
    const wanted = box.checked;
    box.disabled = true;
    try {
      await api('PATCH', '/api/account', { body: { notifications: { [kind]: wanted } } });
      note.textContent = t(`mails.${kind}.${wanted ? 'on' : 'off'}`);
    } catch (error) {
      box.checked = !wanted;
      note.textContent = problemText(error);
    }
    box.disabled = false;
    box.focus();
  });
}

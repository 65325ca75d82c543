// The pages that the server writes, as privacy and terms: the shell around them, and the form to write to us.

import { byId, say } from './dom.js';
import { language, rememberLanguage, t } from './language.js';
import { problemText } from './problem.js';
import { api } from './api.js';
import { startShell } from './shell.js';

async function send(event) {
  event.preventDefault();
  const { target: form, submitter } = event;
  const { message, email } = form.elements;
  submitter.disabled = true;
  say(byId('support-message'), '');
  try {
    await api('POST', '/api/support', { open: true, body: { message: message.value, ...(email.value && { email: email.value }) } });
    location.assign(`/support?sent&lang=${language}`);
  } catch (error) {
    say(byId('support-message'), `${t('support.failed')} ${problemText(error)}`);
    submitter.disabled = false;
  }
}

/** A language chosen here holds for the rest of the site too. */
for (const link of document.querySelectorAll('a[data-language]')) link.addEventListener('click', () => rememberLanguage(link.dataset.language));
byId('support')?.addEventListener('submit', send);
// Anybody may read this before saying an age.
startShell({ asksAge: false }).catch(() => { /* the page is read without it */ });

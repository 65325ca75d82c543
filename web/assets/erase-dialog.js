// The question before an account is gone for good: what goes, what stays and why, and the e-mail address typed once more.
// Whoever signed in long ago is asked for the password again.

import { api } from './api.js';
import { forgetSession, signIn } from './auth.js';
import { element, say } from './dom.js';
import { credits, language, t } from './language.js';
import { forgetTab } from './memory.js';
import { problemText } from './problem.js';

function field(label, attributes, hint) {
  const input = element('input', { required: true, ...attributes });
  const box = element('div', { class: 'field' }, element('label', { for: attributes.id }, label), input, hint && element('small', {}, hint));
  return { box, input };
}

export function askToErase({ email, balance, subscription }) {
  const runs = subscription && subscription.status !== 'canceled';
  const typed = field(t('erase.type', { email }), { id: 'erase-email', type: 'email', autocomplete: 'off', autocapitalize: 'none', spellcheck: 'false', 'data-testid': 'erase-email' });
  const password = field(t('sign.password'), { id: 'erase-password', type: 'password', autocomplete: 'current-password', 'data-testid': 'erase-password' }, t('erase.again'));
  const message = element('p', { class: 'message', role: 'alert', hidden: true, 'data-testid': 'erase-message' });
  const yes = element('button', { type: 'submit', class: 'button primary', disabled: email !== '', 'data-testid': 'erase-yes' }, t('erase.yes'));
  const no = element('button', { type: 'button', class: 'button', 'data-testid': 'erase-no' }, t('erase.no'));
  const form = element('form', { method: 'post', novalidate: true }, typed.box, password.box, message, element('div', { class: 'choices' }, yes, no));
  const dialog = element('dialog', { class: 'ask', 'aria-labelledby': 'erase-question', 'data-testid': 'erase-dialog' },
    element('h2', { id: 'erase-question', tabindex: '-1', autofocus: true }, t('erase.title')),
    element('p', {}, t('erase.what')),
    balance > 0 && element('p', {}, t('erase.balance', { credits: credits(balance) })),
    runs && element('p', {}, t('erase.subscription')),
    element('p', {}, t('erase.stays')),
    form);
  password.box.hidden = true;
  typed.box.hidden = email === ''; // an anonymous person has none
  document.body.append(dialog);
  dialog.showModal();

  const matches = () => typed.input.value.trim().toLowerCase() === email.toLowerCase();
  typed.input.addEventListener('input', () => { yes.disabled = !matches(); });
  no.addEventListener('click', () => dialog.close());
  dialog.addEventListener('close', () => dialog.remove());
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    if (yes.disabled) return;
    yes.disabled = no.disabled = true;
    say(message, '');
    try {
      if (!password.box.hidden) await signIn(email, password.input.value);
      const { data } = await api('DELETE', '/api/account');
      forgetSession();
      forgetTab();
      location.assign(`${new URL(data.status_url).pathname}?lang=${language}`);
    } catch (error) {
      say(message, problemText(error));
      yes.disabled = no.disabled = false;
      if (error.code === 'reauthentication_required') password.box.hidden = false;
      if (!password.box.hidden) password.input.focus();
    }
  });
}

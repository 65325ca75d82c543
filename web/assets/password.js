// What the pages with a password field share.

import { t } from './language.js';

const SHORTEST = 8;

/** The key of what is wrong with a new password, or null. Supabase Auth has the last word. */
export const passwordProblem = (password) => (password.length < SHORTEST ? 'sign.passwordShort' : null);

/** A typing error is best found by looking: each button [data-shows] uncovers the field it names. */
export function watchPasswordButtons() {
  for (const button of document.querySelectorAll('[data-shows]')) {
    const input = document.getElementById(button.dataset.shows);
    button.hidden = false;
    button.addEventListener('click', () => {
      const uncover = input.type === 'password';
      input.type = uncover ? 'text' : 'password';
      button.textContent = t(uncover ? 'sign.hide' : 'sign.show');
      button.setAttribute('aria-label', t(uncover ? 'sign.hideLabel' : 'sign.showLabel'));
    });
    input.form.addEventListener('submit', () => {
      if (input.type === 'text') button.click(); // password managers look for a password field
    });
  }
}

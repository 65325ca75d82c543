// Where the links in Supabase Auth's mails lead: a confirmed address signs in, a forgotten password is chosen anew.

import { acceptTokens, AuthError, exchangeCode, ownerOf, readCallback, setPassword } from './auth.js';
import { byId, say } from './dom.js';
import { t, translate } from './language.js';
import { passwordProblem, watchPasswordButtons } from './password.js';
import { problemText } from './problem.js';
import { drawFooter } from './shell.js';

function show(view) {
  for (const section of document.querySelectorAll('[data-view]')) section.hidden = section.dataset.view !== view;
  document.querySelector(`[data-view="${view}"] :is(input, h1)`)?.focus({ preventScroll: true });
}

function fail(error) {
  byId('why').textContent = problemText(error);
  show('failed');
}

const goOn = (purpose) => (purpose === 'recovery' ? show('password') : location.replace('/'));

async function arrive(found) {
  if (found.kind === 'code') return goOn(await exchangeCode(found.code));
  if (found.kind !== 'tokens') throw new AuthError(found.code ?? 'otp_expired');
  const user = await ownerOf(found.tokens);
  if (found.expected) {
    acceptTokens(found.tokens, user);
    return goOn(found.purpose);
  }
  byId('whose').textContent = t('callback.expectedTitle', { email: user.email });
  byId('continue').textContent = t('callback.continue', { email: user.email });
  byId('continue').addEventListener('click', () => {
    acceptTokens(found.tokens, user);
    goOn(found.purpose);
  });
  show('whose');
}

async function save(event) {
  event.preventDefault();
  const { password } = event.target.elements;
  const wrong = passwordProblem(password.value);
  say(byId('message'), wrong && t(wrong));
  if (wrong) return void password.focus();
  byId('save').disabled = true;
  try {
    await setPassword(password.value);
    location.replace('/');
  } catch (error) {
    say(byId('message'), problemText(error));
    byId('save').disabled = false;
  }
}

async function start() {
  const found = readCallback();
  translate();
  drawFooter();
  watchPasswordButtons();
  byId('password-form').addEventListener('submit', save);
  byId('save').disabled = false;
  // The age question of the shell would come before a new password: it waits for the page after this one.
  try { await arrive(found); } catch (error) { fail(error); }
}

start();

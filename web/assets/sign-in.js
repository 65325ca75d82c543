// Signing in, creating an account, asking for a new password: one page, its fragment says which. Creating an account asks
// the age before anything else, and an answer of no leaves this page without a single request.

import { recover, signIn, signUp, isSignedIn } from './auth.js';
import { byId, say } from './dom.js';
import { readDraft } from './draft.js';
import { passing, YOUNG } from './memory.js';
import { api } from './api.js';
import { language, rememberLanguage, t } from './language.js';
import { watchPasswordButtons, passwordProblem } from './password.js';
import { problemText } from './problem.js';
import { confirmAge, nextPage, startShell } from './shell.js';

const VIEWS = { '': 'in', '#up': 'up', '#forgot': 'forgot' };
let oldEnough = false;

function show() {
  const view = VIEWS[location.hash] ?? 'in';
  const unasked = passing.read(YOUNG) ? 'young' : 'age';
  const part = view === 'up' && !oldEnough ? unasked : view;
  for (const section of document.querySelectorAll('[data-view]')) section.hidden = section.dataset.view !== part;
  copyEmail();
  document.querySelector(`[data-view="${part}"] :is(input, h1)`)?.focus({ preventScroll: true });
}

/** Someone who typed an address under one heading need not type it again under the next. */
let typed = '';
function copyEmail() {
  for (const input of document.querySelectorAll('input[type="email"]')) if (!input.value) input.value = typed;
}

function emailOf(form) {
  const { email } = form.elements;
  email.value = email.value.trim();
  if (email.value && email.validity.valid) return email.value;
  return complain(form, email, 'sign.emailMissing');
}

function complain(form, input, key) {
  say(form.querySelector('.message'), t(key));
  input.setAttribute('aria-invalid', 'true');
  input.focus();
  return null;
}

/** Runs a form's work with the button off, and says what went wrong in the form itself. */
function onSubmit(form, work) {
  const button = form.querySelector('[type="submit"]');
  const message = form.querySelector('.message');
  button.disabled = false;
  form.addEventListener('input', ({ target }) => {
    target.removeAttribute('aria-invalid');
    if (target.type === 'email') typed = target.value;
  });
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    say(message, '');
    const label = button.textContent;
    button.disabled = true;
    button.textContent = t('sign.busy');
    try { await work(form); } catch (error) { say(message, problemText(error)); }
    button.disabled = false;
    button.textContent = label;
  });
}

async function enter(form) {
  const email = emailOf(form);
  if (!email) return;
  const { password } = form.elements;
  if (!password.value) return void complain(form, password, 'sign.passwordMissing');
  await signIn(email, password.value);
  location.replace(nextPage());
}

async function join(form) {
  const email = emailOf(form);
  if (!email) return;
  const { password } = form.elements;
  const wrong = passwordProblem(password.value);
  if (wrong) return void complain(form, password, wrong);
  rememberLanguage(language); // a new account says 'en' until it is told otherwise
  if (!await signUp(email, password.value)) return inform('sign.confirmSent', email);
  await passOn();
  location.replace(nextPage());
}

/** The age was answered a moment ago and the language is the one on the screen: the new account is told both. */
async function passOn() {
  try {
    await confirmAge(true);
    await api('PATCH', '/api/account', { body: { locale: language } });
  } catch { /* what could not be told is asked again on the next page */ }
}

async function ask(form) {
  const email = emailOf(form);
  if (!email) return;
  await recover(email);
  inform('sign.recoverSent', email);
}

function inform(key, email) {
  for (const section of document.querySelectorAll('[data-view]')) section.hidden = section.dataset.view !== 'sent';
  byId('sent').textContent = t(key, { email });
}

function answerAge(yes) {
  oldEnough = yes;
  if (!yes) passing.write(YOUNG, true);
  show();
}

async function start() {
  startShell().catch(() => { /* the forms work without the header */ });
  if (isSignedIn()) location.replace(nextPage());
  watchPasswordButtons();
  onSubmit(byId('in'), enter);
  onSubmit(byId('up'), join);
  onSubmit(byId('forgot'), ask);
  byId('age-yes').addEventListener('click', () => answerAge(true));
  byId('age-no').addEventListener('click', () => answerAge(false));
  byId('kept').hidden = !readDraft().prompt;
  addEventListener('hashchange', show);
  show();
}

start();

// What every page has around it: words, theme, the header with the balance, the footer, and the question that comes before
// everything else, the age.

import { api, Problem } from './api.js';
import { forgetSession, isSignedIn, watchSession } from './auth.js';
import { config } from './config.js';
import { byId, element } from './dom.js';
import { credits, language, rememberLanguage, rememberedLanguage, t, translate } from './language.js';
import { problemText } from './problem.js';
import { restrictionText } from './restriction.js';

const listeners = new Set();
let account = null;

/** Called with the account whenever it, or its balance, is known anew. */
export const onAccount = (listener) => listeners.add(listener);

function setAccount(next) {
  account = next;
  showBalance();
  for (const listener of listeners) listener(account);
}

export const currentAccount = () => account;

export function setBalance(balance) {
  if (account && Number.isFinite(balance)) setAccount({ ...account, balance });
}

export async function refreshAccount() {
  const { data } = await api('GET', '/api/account');
  setAccount(data);
  return data;
}

/** An amount of credits whose number stands out. */
export function writeCredits(node, n) {
  const [amount, ...unit] = credits(n).split(' ');
  node.replaceChildren(element('b', {}, amount), ` ${unit.join(' ')}`);
}

function showBalance() {
  const pill = byId('balance');
  if (!pill || !account) return;
  writeCredits(pill, account.balance);
  pill.setAttribute('aria-label', t('nav.balance', { credits: credits(account.balance) }));
}

/** The address to come back to after signing in; only pages of our own are taken. */
export function nextPage(fallback = '/') {
  const next = new URLSearchParams(location.search).get('next');
  return next && /^\/(history|billing|account)?(#[\w/-]*)?$/.test(next) ? next : fallback;
}

export const toSignIn = (next = '/') => location.assign(next === '/' ? '/sign-in' : `/sign-in?next=${encodeURIComponent(next)}`);

/**
 * Draws the shell. Resolves with the account once it may be used, with null when signed out (pages that need an account
 * lead to the sign-in page first), and rejects with the Problem when it cannot be known now.
 */
export async function startShell({ needsAccount = false, asksAge = true } = {}) {
  translate();
  drawFooter();
  watchSession(() => location.reload());
  addEventListener('pageshow', (event) => {
    if (event.persisted && account) refreshAccount().catch(() => {});
  });
  if (!isSignedIn()) {
    if (needsAccount) toSignIn(location.pathname + location.hash);
    return needsAccount ? new Promise(() => {}) : null;
  }
  try {
    const found = await refreshAccount();
    adoptLanguage(found);
    if (!found.age_confirmed && asksAge) await askAge();
    const notice = restrictionText(account);
    if (notice) showNotice(notice);
    if (account.policy.notice) showPolicyNotice(account.policy.version);
    return account;
  } catch (error) {
    if (!(error instanceof Problem) || error.code !== 'unauthenticated') throw error;
    if (needsAccount) toSignIn(location.pathname + location.hash);
    return needsAccount ? new Promise(() => {}) : null;
  }
}

function adoptLanguage({ locale }) {
  if (rememberedLanguage() || !['nl', 'en'].includes(locale)) return;
  if (rememberLanguage(locale) && locale !== language) location.reload();
}

function showNotice(...content) {
  const notice = element('div', { class: 'notice', role: 'status' }, ...content);
  document.querySelector('main').before(notice);
  return notice;
}

/** A material change of the privacy policy stays on every page until it is acknowledged. */
function showPolicyNotice(version) {
  const seen = element('button', { type: 'button', class: 'button', 'data-testid': 'policy-acknowledge' }, t('policy.acknowledge'));
  const message = element('p', { class: 'message', role: 'alert', hidden: true });
  const notice = showNotice(element('p', {}, `${t('policy.changed')} `, element('a', { href: `/privacy?lang=${language}#versions` }, t('policy.read'))), seen, message);
  notice.dataset.testid = 'policy-notice';
  seen.addEventListener('click', async () => {
    seen.disabled = true;
    try {
      const { data } = await api('POST', '/api/account/acknowledge-policy', { body: { version } });
      setAccount(data);
      notice.remove();
    } catch (error) {
      message.textContent = problemText(error);
      message.hidden = false;
      seen.disabled = false;
    }
  });
}

// --- footer ----------------------------------------------------------------------------------------------------------

export function drawFooter() {
  for (const button of document.querySelectorAll('[data-language]')) {
    button.setAttribute('aria-pressed', String(button.dataset.language === language));
    button.addEventListener('click', () => chooseLanguage(button.dataset.language));
  }
  const theme = byId('theme');
  if (theme) {
    theme.value = document.documentElement.dataset.theme ?? 'auto';
    theme.addEventListener('change', () => chooseTheme(theme.value));
  }
  for (const link of document.querySelectorAll('.foot > a')) link.setAttribute('href', `${link.pathname}?lang=${language}`);
}

export function chooseTheme(theme) {
  const root = document.documentElement;
  if (theme === 'auto') delete root.dataset.theme;
  else root.dataset.theme = theme;
  try { localStorage.setItem('shotai.theme', theme); } catch { /* then it holds for this page only */ }
}

/** The account remembers the choice too, for the mails and for other browsers; the page does not wait long for that. */
export async function chooseLanguage(choice) {
  if (choice === language) return;
  rememberLanguage(choice);
  if (isSignedIn()) {
    await api('PATCH', '/api/account', { body: { locale: choice }, signal: AbortSignal.timeout(4000) }).catch(() => {});
  }
  location.reload();
}

// --- age -------------------------------------------------------------------------------------------------------------

export async function confirmAge(atLeast13) {
  const { status, data } = await api('POST', '/api/account/confirm-age', { body: { at_least_13: atLeast13 } });
  if (status === 202) forgetSession();
  else if (data) setAccount(data);
}

/** Resolves once the age is confirmed; an account of a younger person goes no further than this. */
function askAge() {
  return new Promise((resolve) => {
    const message = element('p', { class: 'message', role: 'alert', hidden: true });
    const yes = element('button', { type: 'button', class: 'button', 'data-testid': 'age-yes' }, t('age.yes'));
    const no = element('button', { type: 'button', class: 'button', 'data-testid': 'age-no' }, t('age.no'));
    const dialog = element('dialog', { class: 'ask', 'aria-labelledby': 'age-title', 'data-testid': 'age-dialog', closedby: 'none' },
      // The heading takes the focus: a stray Enter must not answer, and neither answer is made the easier one.
      element('h2', { id: 'age-title', tabindex: '-1', autofocus: true }, t('age.title')), element('p', {}, t('age.why')), message,
      element('div', { class: 'choices' }, yes, no));

    const answer = async (atLeast13) => {
      yes.disabled = no.disabled = true;
      message.hidden = true;
      try {
        await confirmAge(atLeast13);
        if (!atLeast13) return sayGoodbye(dialog);
        dialog.close();
        dialog.remove();
        resolve();
      } catch (error) {
        message.textContent = error.code === 'age_confirmation_required' ? t('problem.age_blocked') : problemText(error);
        message.hidden = false;
        yes.disabled = no.disabled = false;
      }
    };
    yes.addEventListener('click', () => answer(true));
    no.addEventListener('click', () => answer(false));
    dialog.addEventListener('cancel', (event) => event.preventDefault());
    // Where closedby is unknown, a second Escape closes a modal dialog whatever a page wants; it comes straight back.
    dialog.addEventListener('close', () => { if (dialog.isConnected) dialog.showModal(); });
    document.body.append(dialog);
    dialog.showModal();
  });
}

function sayGoodbye(dialog) {
  dialog.replaceChildren(
    element('h2', { id: 'age-title', tabindex: '-1' }, t('age.removingTitle')),
    element('p', { role: 'status' }, t('age.removing')),
    element('div', { class: 'choices' }, element('a', { class: 'button', href: '/' }, t('history.toStudio'))),
  );
  dialog.querySelector('h2').focus();
}

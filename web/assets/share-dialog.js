// Sharing one frame: its links, and a new one. Whoever has a link sees the frame until the link is revoked or runs out.

import { element, say } from './dom.js';
import { frameNumber } from './film.js';
import { count, date, t } from './language.js';
import { problemText } from './problem.js';
import { revoke, share, sharesOf } from './shares.js';

const DAY = 24 * 3600;
const EXPIRIES = [['never', null], ['day', DAY], ['week', 7 * DAY], ['month', 30 * DAY]];

/** onChange(slugs to add, slugs to remove) is called when a link was made or revoked. */
export function openShareDialog(generation, image, { onChange }) {
  const list = element('ul', { class: 'links', 'data-testid': 'links' });
  const message = element('p', { class: 'message', role: 'alert', hidden: true });
  const status = element('p', { class: 'sr', role: 'status' });
  const close = element('button', { type: 'button', class: 'quiet close', 'aria-label': t('common.close'), 'data-testid': 'share-close' }, '\u00d7');
  const form = newLinkForm(generation);
  const dialog = element('dialog', { class: 'ask share', 'aria-labelledby': 'share-title', 'data-testid': 'share-dialog' },
    close,
    element('h2', { id: 'share-title', tabindex: '-1', autofocus: true }, t('share.title')),
    element('div', { class: 'share-what' },
      element('img', { src: image.thumbnail_url ?? image.url, alt: t('frame.alt', { n: image.index + 1, count: generation.count, prompt: generation.prompt }) }),
      element('p', {}, t('share.lead'))),
    message, list, form.element, status);

  const add = (item, first) => {
    const row = linkRow(item, { say: (text) => { status.textContent = text; }, onRevoke: () => withdraw(item, row) });
    if (first) list.prepend(row);
    else list.append(row);
    return row;
  };

  async function withdraw(item, row) {
    try {
      await revoke(item.slug);
    } catch (error) {
      if (error.code !== 'not_found') return say(message, problemText(error));
    }
    say(message, '');
    row.remove();
    status.textContent = t('share.revoked');
    dialog.querySelector('h2').focus();
    onChange([], [item.slug]);
  }

  form.element.addEventListener('submit', async (event) => {
    event.preventDefault();
    form.setBusy(true);
    try {
      const item = await share(generation, image.index, form.wishes());
      say(message, '');
      const row = add(item, true);
      await copy(row.querySelector('input'), (text) => { status.textContent = text; });
      onChange([item.slug], []);
    } catch (error) {
      say(message, problemText(error));
    } finally {
      form.setBusy(false);
    }
  });
  close.addEventListener('click', () => dialog.close());
  dialog.addEventListener('click', (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener('close', () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  sharesOf(generation, image.index).then((items) => items.forEach((item) => add(item, false)), (error) => say(message, problemText(error)));
  return dialog;
}

function newLinkForm(generation) {
  const prompt = element('input', { type: 'checkbox', name: 'prompt', 'data-testid': 'share-prompt' });
  const expiry = element('select', { name: 'expiry', 'data-testid': 'share-expiry' },
    EXPIRIES.map(([name, seconds]) => element('option', { value: seconds ?? '' }, t(`share.expiry.${name}`))));
  const button = element('button', { class: 'button primary', 'data-testid': 'share-make' }, t('share.make'));
  return {
    element: element('form', { class: 'new-link' },
      element('label', { class: 'check' }, prompt,
        element('span', {}, t('share.showPrompt'), element('small', { dir: 'auto' }, generation.prompt))),
      element('label', { class: 'choose' }, element('span', {}, t('share.expiry')), expiry),
      button),
    wishes: () => ({ show_prompt: prompt.checked, expires_in: Number(expiry.value) || null }),
    setBusy(busy) { button.disabled = busy; },
  };
}

function linkRow(item, { say: announce, onRevoke }) {
  const input = element('input', { readonly: true, value: item.url, 'aria-label': t('share.link'), 'data-testid': 'share-url' });
  const copyButton = element('button', { type: 'button', class: 'button', 'data-testid': 'share-copy' }, t('share.copy'));
  const revokeButton = element('button', { type: 'button', class: 'quiet', 'data-testid': 'share-revoke' }, t('share.revoke'));
  const facts = [
    count('share.views', item.views),
    item.show_prompt ? t('share.withPrompt') : t('share.withoutPrompt'),
    item.expires_at ? t('share.until', { date: date(item.expires_at) }) : t('share.untilRevoked'),
  ];
  input.addEventListener('focus', () => input.select());
  copyButton.addEventListener('click', () => copy(input, (text) => {
    announce(text);
    copyButton.textContent = text;
    setTimeout(() => { copyButton.textContent = t('share.copy'); }, 2500);
  }));
  revokeButton.addEventListener('click', () => { revokeButton.disabled = true; onRevoke(); });
  return element('li', { 'data-testid': 'link', dataset: { slug: item.slug } },
    element('div', { class: 'link-line' }, input, copyButton),
    element('div', { class: 'link-line edge' }, element('span', {}, facts.join(' · ')),
      element('a', { href: item.url, target: '_blank', rel: 'noopener' }, t('share.open', { n: frameNumber(item.image_index) })), revokeButton));
}

/** The clipboard can be refused or missing; then the selected text is what can be copied by hand. */
async function copy(input, announce) {
  try {
    await navigator.clipboard.writeText(input.value);
    announce(t('share.copied'));
  } catch {
    input.focus();
    input.select();
    announce(t('share.copyByHand'));
  }
}

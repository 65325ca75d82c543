// One generation in full. On a desk it stands beside the sheet, on a phone it lies over it: the same dialog, shown in two ways.

import { byId, element } from './dom.js';
import { writeDraft } from './draft.js';
import { durationOf, fileName, frameNumber } from './film.js';
import { isFinal } from './follow.js';
import { credits, moment, number, seconds, t } from './language.js';
import { generationErrorText } from './problem.js';

const DESK = matchMedia('(min-width: 60rem)');

export function createDetails({ names, onClose, onStale, onShare, onFavourite, onDelete }) {
  const dialog = byId('details');
  const body = byId('details-body');
  let shown = null;
  let opener = null;

  function place() {
    if (dialog.open && dialog.matches(':modal') !== DESK.matches) return; // already as this width wants it
    if (dialog.open) dialog.close();
    if (DESK.matches) dialog.show();
    else dialog.showModal();
  }

  byId('details-close').addEventListener('click', onClose);
  dialog.addEventListener('cancel', (event) => { event.preventDefault(); onClose(); });
  dialog.addEventListener('click', (event) => { if (event.target === dialog) onClose(); });
  addEventListener('keydown', (event) => {
    if (event.key === 'Escape' && dialog.open && DESK.matches && !document.querySelector('dialog:modal')) onClose();
  });
  DESK.addEventListener('change', () => { if (shown) place(); });

  return {
    shows: (id) => shown?.id === id,
    open(generation, index) {
      const fresh = shown?.id !== generation.id;
      if (!shown) opener = document.activeElement;
      shown = generation;
      document.documentElement.dataset.details = '';
      body.replaceChildren(...content(generation, index, { names, onStale, onShare, onFavourite, onDelete }));
      place();
      if (fresh) {
        dialog.scrollTop = 0;
        byId('details-title').focus({ preventScroll: true });
      }
    },
    close() {
      if (!shown) return;
      shown = null;
      delete document.documentElement.dataset.details;
      dialog.close();
      if (opener?.isConnected) opener.focus();
    },
  };
}

function content(generation, index, { names, onStale, ...does }) {
  const image = generation.images.find((candidate) => candidate.index === index) ?? generation.images[0] ?? null;
  return [
    image && large(generation, image, onStale),
    generation.images.length > 1 && others(generation, image),
    generation.error && element('p', { class: 'reason' }, generationErrorText(generation.error)),
    element('h3', { class: 'edge' }, t('details.prompt')),
    element('p', { class: 'prompt', 'data-testid': 'details-prompt' }, generation.prompt),
    actions(generation, image, does),
    facts(generation, image, names),
  ].filter(Boolean);
}

function large(generation, image, onStale) {
  const img = element('img', {
    src: image.url, width: image.width, height: image.height, class: 'large',
    alt: t('frame.alt', { n: image.index + 1, count: generation.count, prompt: generation.prompt }),
  });
  img.addEventListener('error', () => onStale(generation.id), { once: true });
  return element('a', { href: image.url, target: '_blank', rel: 'noopener', class: 'large-frame' }, img);
}

function others(generation, current) {
  return element('ol', { class: 'others' }, generation.images.map((image) => element('li', {},
    element('a', { href: `#${generation.id}/${image.index}`, 'aria-current': image === current ? 'true' : null },
      element('img', { src: image.thumbnail_url ?? image.url, alt: t('frame.alt', { n: image.index + 1, count: generation.count, prompt: generation.prompt }) }),
      element('span', { class: 'edge', 'aria-hidden': 'true' }, frameNumber(image.index))))));
}

function facts(generation, image, names) {
  const took = durationOf(generation);
  const { credits_charged: paid, credits_refunded: back } = generation;
  const rows = [
    ['details.status', t(`status.${generation.status}`)],
    ['details.model', names(generation.model)],
    ['details.ratio', generation.aspect_ratio],
    ['details.size', image?.width && `${image.width} \u00d7 ${image.height}`],
    ['details.seed', generation.seed === null || generation.seed === undefined ? null : String(generation.seed)],
    ['details.credits', back > 0 ? t('details.chargedRefunded', { n: credits(paid), back: number(back) }) : t('details.charged', { n: credits(paid) })],
    ['details.made', moment(generation.created_at)],
    ['details.took', took === null ? null : seconds(took)],
  ];
  return element('dl', { class: 'facts' }, rows.filter(([, value]) => value).map(([key, value]) => element('div', {},
    element('dt', {}, t(key)), element('dd', {}, value))));
}

const button = (key, onClick, attributes = {}) => element('button', { type: 'button', class: 'button', onclick: onClick, ...attributes }, t(key));

function actions(generation, current, { onShare, onFavourite, onDelete }) {
  const again = element('a', { class: 'button', href: '/', 'data-testid': 'again' }, t('details.again'));
  again.addEventListener('click', () => writeDraft({
    prompt: generation.prompt, model: generation.model, aspect_ratio: generation.aspect_ratio, count: generation.count,
  }));
  const several = generation.images.length > 1;
  const downloads = generation.images.map((image) => element('a', {
    class: image === current ? 'button primary' : 'button', href: image.url, download: fileName(generation, image), 'data-testid': 'download',
  }, several ? t('details.download', { n: frameNumber(image.index) }) : t('details.downloadOne')));
  const { favourite } = generation;
  return element('div', { class: 'actions' }, downloads,
    current && button('details.share', () => onShare(generation, current), { 'data-testid': 'share' }),
    button(favourite ? 'details.unfavourite' : 'details.favourite', (event) => onFavourite(generation, !favourite, event.currentTarget),
      { 'aria-pressed': String(favourite), 'data-testid': 'favourite' }),
    again,
    isFinal(generation) && button('details.delete', () => onDelete([generation]), { class: 'quiet delete', 'data-testid': 'delete' }));
}

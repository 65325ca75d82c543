// Frames of film: one per picture that was asked for, with the edge printing under it. A frame is drawn from a generation
// and an index, and drawn again only when what it shows has changed, so that nothing flickers while a roll is followed.

import { element, wantsStillness } from './dom.js';
import { count, credits, seconds, t } from './language.js';
import { isFinal } from './follow.js';
import { generationErrorText } from './problem.js';

/** Film prints a half-frame letter behind the number. */
export const frameNumber = (index) => `${index + 1}A`;

/** Width divided by height: of the pictures once there are any, else as asked for. */
export function ratioOf(generation) {
  const [image] = generation.images;
  if (image?.width && image.height) return image.width / image.height;
  const asked = /^(\d+(?:\.\d+)?)[:x/](\d+(?:\.\d+)?)$/.exec(generation.aspect_ratio ?? '');
  return asked && Number(asked[2]) ? Number(asked[1]) / Number(asked[2]) : 1;
}

const unitPrice = (generation) => (generation.count ? Math.round(generation.credits_charged / generation.count) : 0);

/** What became of one frame: 'queued', 'running', 'succeeded', 'failed' or 'canceled', and its picture. */
export function frameState(generation, index) {
  const image = generation.images.find((candidate) => candidate.index === index);
  if (image) return { status: 'succeeded', image };
  if (!isFinal(generation)) return { status: generation.status };
  return { status: generation.status === 'canceled' ? 'canceled' : 'failed' };
}

export function durationOf(generation) {
  if (!generation.started_at || !generation.finished_at) return null;
  const s = (Date.parse(generation.finished_at) - Date.parse(generation.started_at)) / 1000;
  return Number.isFinite(s) && s >= 0 ? s : null;
}

// In history itself the address keeps its filter: only the fragment says which frame is open.
const linkTo = (generation, index) => ({
  href: `${location.pathname === '/history' ? '' : '/history'}#${generation.id}/${index}`,
  'aria-label': t('frame.open', { n: index + 1, count: generation.count, prompt: generation.prompt }),
});

export function fileName(generation, image) {
  const made = (generation.finished_at ?? generation.created_at).replace(/[-:]/g, '').replace('T', '-').slice(0, 15);
  const kind = { 'image/png': 'png', 'image/jpeg': 'jpg', 'image/webp': 'webp' }[image.content_type] ?? 'png';
  return `shotai-${made}-${frameNumber(image.index).toLowerCase()}.${kind}`;
}

// --- one frame -------------------------------------------------------------------------------------------------------

/**
 * options: live (a picture that arrives develops instead of being there at once), thumbnail (the small picture will do),
 * linked (frames still being made lead to their details too), missing (how many frames one fogged frame stands for), stamp
 * (edge print instead of the frame number), isShared (whether a frame has links, given generation and index), onStale
 * (called when a picture's address has expired).
 */
export function createFrame(generation, index, options = {}) {
  const shot = element('div', { class: 'shot' });
  const left = element('span', {});
  const right = element('span', {});
  const item = element('li', { class: 'frame', 'data-testid': 'frame' },
    element('figure', {}, shot, element('figcaption', { class: 'edge' }, left, right)));
  let shown = null;

  const update = (next) => {
    const state = frameState(next, index);
    shot.style.aspectRatio = String(ratioOf(next));
    left.textContent = options.stamp ?? frameNumber(index);
    right.replaceChildren(...marks(next, index, state, options), ...edgePrint(next, state));
    const wanted = `${state.status} ${state.image?.url ?? next.error?.code ?? ''}`;
    if (wanted === shown) return;
    const developing = shown !== null && options.live && state.status === 'succeeded';
    shown = wanted;
    item.dataset.status = state.status;
    shot.replaceChildren(...content(next, index, state, { ...options, developing }));
  };
  update(generation);
  return { element: item, update, clock: right, isRunning: () => item.dataset.status === 'running' };
}

/** A star for shared, a heart for favourites. */
function marks(generation, index, { status }, { isShared }) {
  if (status !== 'succeeded') return [];
  const mark = (sign, key) => element('span', { class: 'mark', title: t(key) }, element('span', { 'aria-hidden': 'true' }, `${sign} `), element('span', { class: 'sr' }, `${t(key)} `));
  return [generation.favourite && mark('\u2665', 'frame.favourite'), isShared?.(generation, index) && mark('\u2605', 'frame.shared')].filter(Boolean);
}

/** The seconds are the first to go where a frame is narrow. */
function edgePrint(generation, { status }) {
  if (status === 'succeeded') {
    const took = durationOf(generation);
    const price = `${unitPrice(generation)}\u00a0${t('credits.short')}`;
    return took === null ? [price] : [element('span', { class: 'took' }, `${seconds(took)} · `), price];
  }
  if (status === 'failed') return [t(generation.error?.code === 'content_policy' ? 'frame.refused' : 'frame.failed')];
  return [t(`frame.${status}`)];
}

function content(generation, index, { status, image }, options) {
  if (status === 'succeeded') return [picture(generation, index, image, options)];
  if (status === 'queued' || status === 'running') {
    const latent = element('div', { class: 'latent' });
    return [options.linked ? element('a', linkTo(generation, index), latent) : latent];
  }
  return [fog(generation, index, status, options)];
}

function picture(generation, index, image, { thumbnail, developing, onStale }) {
  const img = element('img', {
    src: thumbnail ? image.thumbnail_url ?? image.url : image.url, alt: '', decoding: 'async',
    loading: thumbnail ? 'lazy' : null, width: image.width, height: image.height,
  });
  const link = element('a', linkTo(generation, index), img);
  if (developing && !wantsStillness()) {
    img.classList.add('undeveloped');
    const develop = () => { img.classList.add('developing'); img.classList.remove('undeveloped'); };
    img.decode().then(develop, develop);
  }
  img.addEventListener('error', () => {
    link.replaceChildren(element('span', { class: 'gone' }, t('frame.unavailable')));
    onStale?.();
  }, { once: true });
  return link;
}

/** Light got at the film: why there is no picture, and that it cost nothing. */
function fog(generation, index, status, { missing = 1 }) {
  const back = Math.min(unitPrice(generation) * missing, generation.credits_refunded);
  return element('a', { class: 'fog', href: linkTo(generation, index).href },
    missing > 1 && element('b', { class: 'edge' }, `${missing}\u00d7`),
    element('span', {}, status === 'canceled' ? t('frame.canceledLong') : generationErrorText(generation.error)),
    back > 0 && element('small', {}, t('frame.back', { credits: credits(back) })));
}

// --- a roll: the frames of one generation -----------------------------------------------------------------------------

/** How many frames lie side by side, so that a strip is filled rather than left with a gap. */
function columns(frames, ratio) {
  if (frames <= 3) return ratio > 1.4 && frames === 3 ? 2 : frames;
  if (frames === 4) return ratio < 0.8 ? 4 : 2;
  return ratio > 1.4 ? 2 : 3;
}

/** options: modelName, onCancel (called with the button). The roll's update() takes each newer state of its generation. */
export function createRoll(generation, { modelName, onCancel }) {
  const frames = Array.from({ length: generation.count }, (_, index) => createFrame(generation, index, { live: true }));
  const place = element('span', {});
  const cancel = onCancel && element('button', { type: 'button', class: 'quiet', 'data-testid': 'cancel' }, t('roll.cancel'));
  cancel?.addEventListener('click', () => onCancel(cancel));
  const facts = [modelName, generation.aspect_ratio, credits(generation.credits_charged)].filter(Boolean).join(' · ');
  const note = element('p', { class: 'roll-note', hidden: true });
  const ratio = ratioOf(generation);
  const shape = ratio > 1.4 ? 'wide' : ratio < 0.8 ? 'tall' : 'even';
  const strip = element('ol', { class: 'strip large', 'data-testid': 'frames', dataset: { columns: columns(generation.count, ratio), shape } },
    frames.map((frame) => frame.element));
  strip.style.setProperty('--ratio', String(ratio));
  strip.style.setProperty('--rows', String(Math.min(2, Math.ceil(generation.count / columns(generation.count, ratio)))));
  const roll = element('section', { class: 'roll', 'data-testid': 'roll', dataset: { id: generation.id } },
    element('div', { class: 'roll-head edge' }, element('h3', {}, facts), place, cancel),
    element('p', { class: 'roll-prompt' }, generation.prompt), note, strip);

  let clock = null;
  const update = (next) => {
    roll.dataset.status = next.status;
    frames.forEach((frame) => frame.update(next));
    const queued = next.status === 'queued';
    if (cancel) {
      cancel.hidden = !queued;
      cancel.setAttribute('aria-label', t('roll.cancelLabel', { credits: credits(next.credits_charged) }));
    }
    place.textContent = queued && next.queue_position >= 1 ? t('roll.queue', { n: next.queue_position }) : '';
    if (next.status === 'running') clock ??= startClock(next, frames);
    if (isFinal(next)) clearInterval(clock);
  };
  update(generation);
  return { element: roll, update, note, stop: () => clearInterval(clock) };
}

/** The seconds run under each frame that is developing. */
function startClock(generation, frames) {
  // The server's clock may be ahead of this one, and never has a frame been developing for less than nothing.
  const since = Math.min(Date.now(), Date.parse(generation.started_at ?? '') || Date.now());
  const tick = () => {
    for (const frame of frames) {
      if (frame.isRunning()) frame.clock.textContent = `${t('frame.running')} ${seconds((Date.now() - since) / 1000)}`;
    }
  };
  tick();
  return setInterval(tick, wantsStillness() ? 1000 : 100);
}

/** What a screen reader hears when a roll is done. */
export function outcomeText(generation) {
  const back = credits(generation.credits_refunded);
  switch (generation.status) {
    case 'succeeded': return count('roll.done', generation.images.length);
    case 'partial': return t('roll.partial', { made: generation.images.length, count: generation.count, credits: back });
    case 'canceled': return t('roll.canceled', { credits: back });
    default: return t('roll.failed', { reason: generationErrorText(generation.error), credits: back });
  }
}

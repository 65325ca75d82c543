// The reference picture on the desk: chosen, dropped or pasted, sent with its progress in sight, and counted down to the
// moment the server deletes it. What is kept here, a small likeness of it included, goes at that moment too.

import { api, Problem } from './api.js';
import { byId, say } from './dom.js';
import { count, t, time } from './language.js';
import { passing } from './memory.js';
import { problemText } from './problem.js';

const KEY = 'shotai.reference';
const BYTES_MAX = 20 * 1024 * 1024;
const THUMB = 96;
const SOON_SECONDS = 60;

/** The type that the first bytes of a file tell, whatever its name; null when we do not take it. */
async function typeOf(file) {
  const bytes = new Uint8Array(await file.slice(0, 12).arrayBuffer());
  const text = String.fromCharCode(...bytes);
  if (text.startsWith('\x89PNG\r\n\x1a\n')) return 'image/png';
  if (text.startsWith('\xff\xd8\xff')) return 'image/jpeg';
  return text.startsWith('RIFF') && text.slice(8) === 'WEBP' ? 'image/webp' : null;
}

async function thumbnailOf(file) {
  try {
    const image = await createImageBitmap(file);
    const scale = Math.max(THUMB / image.width, THUMB / image.height);
    const canvas = Object.assign(document.createElement('canvas'), { width: THUMB, height: THUMB });
    canvas.getContext('2d').drawImage(image, (THUMB - image.width * scale) / 2, (THUMB - image.height * scale) / 2, image.width * scale, image.height * scale);
    image.close();
    return canvas.toDataURL('image/jpeg', 0.7);
  } catch { return null; }
}

const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;

/** What the server's "too large" and "unsupported" mean here, where a picture was sent and no prompt. */
function refusalText(error) {
  if (!(error instanceof Problem)) return t('problem.unexpected');
  if (error.code === 'too_large') return t('reference.tooLarge');
  if (error.code === 'unsupported_image') return t('reference.unsupported');
  if (error.code === 'storage_unavailable') return t('reference.away');
  if (error.code === 'network') return t('reference.network');
  return problemText(error);
}

/**
 * Draws the place for the reference. onSignIn is called when someone signed out brings a picture. Returns
 * {id(), setModel(model), forget(text)}: the id to order with (null: none, or not for this model), what follows from the
 * chosen model, and the end of an upload that the server no longer knows.
 */
export function createReference({ signedIn, onSignIn, onChange }) {
  const box = byId('reference');
  const file = byId('reference-file');
  const held = byId('reference-held');
  const status = byId('reference-status');
  const left = byId('reference-left');
  const progress = byId('reference-progress');
  const note = byId('reference-note');
  const message = byId('reference-message');
  const thumb = byId('reference-thumb');
  let upload = null; // {id, name, endsAt, thumb}
  let sending = null; // AbortController
  let timer = 0;
  let model = null;

  const usable = () => upload !== null && Boolean(model?.accepts_reference);

  function show(state) {
    box.dataset.state = state;
    held.hidden = state === 'empty';
    progress.hidden = state !== 'sending';
    left.hidden = state !== 'held';
    byId('reference-pick').hidden = state !== 'empty';
    showModel();
    onChange();
  }

  function showModel() {
    const refused = model !== null && !model.accepts_reference;
    box.classList.toggle('idle', upload !== null && refused);
    const days = /^(\d+) days$/.exec(model?.retention ?? '')?.[1];
    say(note, refused ? (upload ? t('reference.notTaken', { model: model.name }) : '')
      : upload && model?.retention ? t('reference.kept', { provider: model.provider, time: days ? count('days', Number(days)) : model.retention }) : '');
    box.hidden = refused && upload === null;
  }

  function draw(name, source) {
    byId('reference-name').textContent = name;
    thumb.hidden = !source;
    if (source) thumb.src = source;
    else thumb.removeAttribute('src');
  }

  function tick() {
    const seconds = Math.max(0, Math.ceil((upload.endsAt - Date.now()) / 1000));
    byId('reference-time').textContent = clock(seconds);
    if (seconds === SOON_SECONDS) status.textContent = t('reference.soon');
    if (seconds === 0) clear(t('reference.gone'));
  }

  function hold(next) {
    upload = next;
    passing.write(KEY, next);
    draw(next.name, next.thumb);
    show('held');
    clearInterval(timer);
    timer = setInterval(tick, 1000);
    tick();
  }

  /** Nothing of it stays in the page. */
  function clear(text = '') {
    clearInterval(timer);
    passing.remove(KEY);
    upload = null;
    draw('', null);
    status.textContent = '';
    show('empty');
    say(message, text);
  }

  async function take(chosen) {
    if (!chosen) return;
    if (!signedIn) return onSignIn();
    if (sending) sending.abort(new DOMException('another one', 'AbortError'));
    const old = upload;
    say(message, '');
    const type = await typeOf(chosen).catch(() => null);
    if (type === null) return say(message, t('reference.unsupported'));
    if (chosen.size > BYTES_MAX) return say(message, t('reference.tooLarge'));
    const mine = sending = new AbortController();
    const likeness = await thumbnailOf(chosen);
    if (old) { clear(); remove(old); }
    draw(chosen.name, likeness);
    progress.value = 0;
    status.textContent = t('reference.sending');
    show('sending');
    try {
      const { data, date } = await api('POST', '/api/uploads', {
        body: new Blob([chosen], { type }), signal: mine.signal,
        onProgress: (part) => {
          progress.value = part;
          if (part === 1) status.textContent = t('reference.checking');
        },
      });
      // By the server's clock, whatever this one says; its Date has whole seconds.
      const life = Date.parse(data.expires_at) - Math.max(date ?? 0, Date.parse(data.created_at));
      status.textContent = t('reference.ready');
      hold({ id: data.id, name: chosen.name, endsAt: Date.now() + life, thumb: likeness });
      // What was chosen from is gone; whoever went on typing is left alone.
      if (document.activeElement === document.body) byId('reference-remove').focus({ preventScroll: true });
    } catch (error) {
      if (mine.signal.aborted) return;
      clear(refusalText(error));
      if (error.code === 'unauthenticated') onSignIn();
    } finally {
      if (sending === mine) sending = null;
      file.value = '';
    }
  }

  async function remove({ id, endsAt }) {
    try {
      await api('DELETE', `/api/uploads/${id}`);
      return t('reference.removed');
    } catch (error) {
      if (error instanceof Problem && error.code === 'not_found') return t('reference.removed');
      return t('reference.removeLater', { time: time(new Date(endsAt).toISOString()) });
    }
  }

  byId('reference-remove').addEventListener('click', async () => {
    if (sending) {
      sending.abort(new DOMException('given up', 'AbortError'));
      sending = null;
      clear();
    } else if (upload) {
      const old = upload;
      clear();
      const text = await remove(old);
      if (upload === null && !sending) say(message, text);
    }
    file.focus({ preventScroll: true });
  });
  file.addEventListener('change', () => take(file.files[0]));

  const pictures = (transfer) => [...(transfer?.files ?? [])];
  document.addEventListener('paste', (event) => {
    const [pasted] = pictures(event.clipboardData);
    if (!pasted || box.hidden) return;
    event.preventDefault();
    take(pasted);
  });
  // A file that misses the place would otherwise replace the page.
  for (const name of ['dragover', 'drop']) {
    document.addEventListener(name, (event) => {
      if (![...(event.dataTransfer?.types ?? [])].includes('Files')) return;
      event.preventDefault();
      box.classList.toggle('over', name === 'dragover');
      if (name === 'drop' && !box.hidden) take(pictures(event.dataTransfer)[0]);
    });
  }
  document.addEventListener('dragleave', (event) => { if (!event.relatedTarget) box.classList.remove('over'); });

  const kept = passing.read(KEY);
  if (signedIn && typeof kept?.id === 'string' && kept.endsAt > Date.now()) hold(kept);
  else passing.remove(KEY);

  return {
    id: () => (usable() ? upload.id : null),
    busy: () => sending !== null,
    setModel(next) { model = next; showModel(); },
    forget: (text) => { if (upload) clear(text); },
  };
}

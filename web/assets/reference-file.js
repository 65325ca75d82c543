// What a chosen file is, before anything is sent, and what becomes of it at the server.

import { api, Problem } from './api.js';
import { t, time } from './language.js';
import { problemText } from './problem.js';

const BYTES_MAX = 20 * 1024 * 1024;
const THUMB = 96;

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

/** {type, thumb} of a file that may be sent, or {refused} in words. */
export async function inspect(file) {
  const type = await typeOf(file).catch(() => null);
  if (type === null) return { refused: t('reference.unsupported') };
  if (file.size > BYTES_MAX) return { refused: t('reference.tooLarge') };
  return { type, thumb: await thumbnailOf(file) };
}

/** What the server's "too large" and "unsupported" mean here, where a picture was sent and no prompt. */
export function refusalText(error) {
  if (!(error instanceof Problem)) return t('problem.unexpected');
  if (error.code === 'too_large') return t('reference.tooLarge');
  if (error.code === 'unsupported_image') return t('reference.unsupported');
  if (error.code === 'storage_unavailable') return t('reference.away');
  if (error.code === 'network') return t('reference.network');
  return problemText(error);
}

/** {id, endsAt} of a picture once the server holds it; onProgress with the part that was sent. */
export async function send(file, type, { signal, onProgress }) {
  const { data, date } = await api('POST', '/api/uploads', { body: new Blob([file], { type }), signal, onProgress });
  // By the server's clock, whatever this one says; its Date has whole seconds.
  const life = Date.parse(data.expires_at) - Math.max(date ?? 0, Date.parse(data.created_at));
  return { id: data.id, endsAt: Date.now() + life };
}

/** Has the server delete it; how that went, in words. */
export async function discard({ id, endsAt }) {
  try {
    await api('DELETE', `/api/uploads/${id}`);
  } catch (error) {
    if (!(error instanceof Problem && error.code === 'not_found')) return t('reference.removeLater', { time: time(new Date(endsAt).toISOString()) });
  }
  return t('reference.removed');
}

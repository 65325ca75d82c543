// What is shared: the API's links, and which frame each of them shows.

import { api } from './api.js';

const places = new Map(); // slug -> "generation/index"

const placeOf = (generation, index) => `${generation.id}/${index}`;

const remember = (share) => {
  places.set(share.slug, `${share.generation_id}/${share.image_index}`);
  return share;
};

/** The live links of one frame, the newest first. */
export async function sharesOf(generation, index) {
  const { data } = await api('GET', `/api/shares?limit=100&generation_id=${generation.id}`);
  return data.items.map(remember).filter((share) => share.image_index === index);
}

/** wishes: {show_prompt, expires_in (seconds, or null: until it is revoked)}. */
export async function share(generation, index, { show_prompt: showPrompt, expires_in: expiresIn }) {
  const body = { generation_id: generation.id, image_index: index, show_prompt: showPrompt };
  if (expiresIn) body.expires_in = expiresIn;
  const { data } = await api('POST', '/api/shares', { body });
  return remember(data);
}

export const revoke = (slug) => api('DELETE', `/api/shares/${slug}`);

/** Whether a link leads to this frame. Of a generation with several frames that takes knowing its links: see learnPlaces. */
export function isShared(generation, index) {
  if (generation.images.length < 2) return generation.shared.length > 0;
  return generation.shared.some((slug) => places.get(slug) === placeOf(generation, index));
}

/** Asks which frames the links show where that is not known yet; resolves with the generations about which it learned. */
export async function learnPlaces(generations) {
  const unclear = generations.filter(({ images, shared }) => images.length > 1 && shared.some((slug) => !places.has(slug)));
  await Promise.all(unclear.map(async (generation) => {
    const { data } = await api('GET', `/api/shares?limit=100&generation_id=${generation.id}`);
    data.items.forEach(remember);
  }));
  return unclear;
}

// Follows one generation until it is final, by asking again: quickly at first, then every three seconds, and not at all
// while nobody looks at the page.

import { api, Problem } from './api.js';
import { pause } from './dom.js';

const FIRST_MS = 500;
const LONGEST_MS = 3000;
const GROWTH = 1.4;
const TROUBLE_MS = 15000;

export const isFinal = (generation) => !['queued', 'running'].includes(generation.status);

const jitter = (ms) => ms * (0.85 + Math.random() * 0.3);

export function whenVisible(signal) {
  if (document.visibilityState === 'visible') return Promise.resolve();
  return new Promise((resolve, reject) => {
    document.addEventListener('visibilitychange', () => resolve(), { once: true, signal });
    signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

/**
 * onChange(generation) is called for each change; onTrouble(problem or null) when an attempt failed, and with null once
 * answers come again. Resolves with the final generation, or rejects with the Problem that makes following it pointless.
 */
export async function follow(id, { onChange, onTrouble = () => {}, signal }) {
  let etag = null;
  let wait = FIRST_MS;
  let failures = 0;
  for (;;) {
    await pause(jitter(wait), signal);
    await whenVisible(signal);
    try {
      const answer = await api('GET', `/api/generate/${id}`, { headers: etag ? { 'If-None-Match': etag } : {}, signal });
      if (failures > 0) onTrouble(null);
      failures = 0;
      wait = Math.min(LONGEST_MS, wait * GROWTH);
      if (answer.status === 304) continue;
      etag = answer.etag;
      onChange(answer.data);
      if (isFinal(answer.data)) return answer.data;
    } catch (error) {
      if (!(error instanceof Problem) || ['not_found', 'unauthenticated'].includes(error.code)) throw error;
      failures += 1;
      onTrouble(error);
      wait = Math.max((error.retryAfter ?? 0) * 1000, Math.min(TROUBLE_MS, 1000 * 2 ** failures));
    }
  }
}

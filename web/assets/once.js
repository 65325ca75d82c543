// Sends a request so that it happens once. The idempotency key belongs to the attempt: it stays the same through lost
// connections and answers that leave open whether something was made, also over a reload of the page.

import { api, Problem } from './api.js';
import { pause } from './dom.js';
import { passing } from './memory.js';

const REMEMBER_MS = 10 * 60 * 1000;
const TRIES = 4;
const LONGEST_WAIT_SECONDS = 20;

// Answers after which the attempt may have been admitted, or may be once the server is back.
const OPEN_ENDED = ['network', 'idempotency_in_progress', 'database_unavailable', 'auth_unavailable', 'unavailable', 'upstream_failed', 'upstream_timeout'];

const memoryKey = (path) => `shotai.attempt:${path}`;

function attemptFor(path, body) {
  const text = JSON.stringify(body);
  const kept = passing.read(memoryKey(path));
  if (kept?.text === text && Date.now() - kept.at < REMEMBER_MS) return kept;
  const attempt = { key: newKey(), text, at: Date.now() };
  passing.write(memoryKey(path), attempt);
  return attempt;
}

// randomUUID exists in secure contexts only; a page opened by address in a home network is none.
function newKey() {
  if (crypto.randomUUID) return crypto.randomUUID();
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Resolves with what a POST answered. onWait(seconds) tells of each new try before it is made. */
export async function postOnce(path, body, onWait = () => {}) {
  const attempt = attemptFor(path, body);
  for (let tries = 1; ; tries += 1) {
    try {
      const { data } = await api('POST', path, { body: attempt.text, headers: { 'Idempotency-Key': attempt.key } });
      passing.remove(memoryKey(path));
      return data;
    } catch (error) {
      const open = error instanceof Problem && OPEN_ENDED.includes(error.code);
      if (!open) passing.remove(memoryKey(path));
      if (!open || tries === TRIES) throw error;
      const wait = Math.min(LONGEST_WAIT_SECONDS, error.retryAfter ?? 2 ** (tries - 1));
      onWait(wait);
      await pause(wait * 1000);
    }
  }
}

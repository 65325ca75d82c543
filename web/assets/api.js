// ShotAI's own HTTP API: JSON in, JSON out, the access token and the language along, and every refusal as a Problem.

import { accessToken, forgetSession, AuthError } from './auth.js';
import { language } from './language.js';
import { transfer } from './transfer.js';

const TIMEOUT_MS = 20000;

/** A refusal (RFC 9457), or what stands in for one: 'network' when nothing came back, 'unexpected' when no problem was said. */
export class Problem extends Error {
  constructor(code, { status = 0, detail = '', extras = {}, retryAfter = null } = {}) {
    super(code);
    Object.assign(this, { code, status, detail, extras, retryAfter });
  }
}

function retryAfterSeconds(response) {
  const value = response.headers.get('retry-after');
  if (!value) return null;
  const seconds = Number(value);
  return Number.isFinite(seconds) ? seconds : Math.max(1, Math.ceil((Date.parse(value) - Date.now()) / 1000)) || null;
}

async function toProblem(response) {
  const body = await response.json().catch(() => null);
  const { code, detail, ...extras } = body ?? {};
  return new Problem(typeof code === 'string' ? code : fallbackCode(response.status), {
    status: response.status, detail: typeof detail === 'string' ? detail : '', extras, retryAfter: retryAfterSeconds(response),
  });
}

function fallbackCode(status) {
  if (status === 401) return 'unauthenticated';
  if (status === 404) return 'not_found';
  if (status === 429) return 'rate_limited';
  if (status === 502) return 'upstream_failed';
  if (status === 503) return 'unavailable';
  return status === 504 ? 'upstream_timeout' : 'unexpected';
}

async function tokenOrNull(rejected) {
  try { return await accessToken({ rejected }); } catch (error) {
    if (error instanceof AuthError) throw new Problem(error.code === 'network' ? 'network' : 'auth_unavailable', { status: error.status });
    throw error;
  }
}

async function send(method, path, token, { body, headers = {}, signal, onProgress, timeout = TIMEOUT_MS }) {
  const sent = { Accept: 'application/json', 'Accept-Language': language, ...headers };
  if (body !== undefined) sent['Content-Type'] = body instanceof Blob ? body.type : 'application/json';
  if (token) sent.Authorization = `Bearer ${token}`;
  const limit = AbortSignal.timeout(timeout);
  try {
    if (onProgress) return await transfer(path, { method, headers: sent, body, signal, onProgress });
    return await fetch(path, {
      method, headers: sent, cache: 'no-store', signal: signal ? AbortSignal.any([signal, limit]) : limit,
      body: body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Problem('network');
  }
}

/**
 * One request. `open` routes carry no token. Returns {status, data, etag, date}; a 304 counts as an answer, with data
 * null. A Blob goes out as it is, with onProgress(0 to 1) told how much of it has left.
 * With `file` data is the body as a Blob; such a one may take longer than `timeout` usually allows.
 * A token the server refuses is refreshed once: after that, the person has to sign in again.
 */
export async function api(method, path, { open = false, file = false, ...options } = {}) {
  let token = open ? null : await tokenOrNull(null);
  if (!open && !token) throw new Problem('unauthenticated', { status: 401 });

  let response = await send(method, path, token, options);
  if (response.status === 401 && !open) {
    const problem = await toProblem(response);
    if (problem.code !== 'unauthenticated') throw problem;
    token = await tokenOrNull(token);
    if (!token) throw problem;
    response = await send(method, path, token, options);
    if (response.status === 401) forgetSession();
  }
  if (response.status === 304) return { status: 304, data: null, etag: response.headers.get('etag') };
  if (!response.ok) throw await toProblem(response);
  if (file) return { status: response.status, data: await response.blob().catch(() => { throw new Problem('network'); }) };
  const data = response.status === 204 ? null : await response.json().catch(() => null);
  const date = Date.parse(response.headers.get('date') ?? '') || null;
  return { status: response.status, data, etag: response.headers.get('etag'), date };
}

let models = null;
/** The models, with their prices: asked once per page. */
export function listModels() {
  models ??= api('GET', '/api/models', { open: true }).then(({ data }) => data.items).catch((error) => {
    models = null;
    throw error;
  });
  return models;
}

/** A model's name, or its id once it is no longer offered. */
export async function modelNames() {
  const items = await listModels().catch(() => []);
  const names = new Map(items.map((model) => [model.id, model.name]));
  return (id) => names.get(id) ?? id;
}

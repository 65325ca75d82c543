// Supabase Auth over its REST API: sign up, sign in, refresh, sign out, recover. It keeps the session and hands out access
// tokens; what the account may do is api.js's and the server's business.

import { config } from './config.js';
import { forgetTab, lasting } from './memory.js';

const SESSION = 'shotai.session';
const FLOW = 'shotai.auth-flow';
const API_VERSION = '2024-01-01';
const EARLY_SECONDS = 90;
const TICK_MS = 30000;
const TIMEOUT_MS = 15000;

/** code is Supabase Auth's own, or 'network' or 'auth_unavailable'. */
export class AuthError extends Error {
  constructor(code, { status = 0, retryAfter = null, reasons = [] } = {}) {
    super(code);
    Object.assign(this, { code, status, retryAfter, reasons });
  }

  /** Whether the answer says that this session is over, rather than that the server is in trouble. */
  get final() {
    return this.status >= 400 && this.status < 500 && ![408, 409, 429].includes(this.status);
  }
}

const now = () => Math.floor(Date.now() / 1000);

// The two error shapes differ by the version the server speaks, and the OAuth style is a third; the header is in all of them.
function errorCode(response, body) {
  const candidates = [body?.error_code, body?.code, response.headers.get('x-sb-error-code'), body?.error];
  const named = candidates.find((value) => typeof value === 'string' && value !== '');
  if (named) return named;
  if (response.status === 429) return 'over_request_rate_limit';
  return response.status >= 500 ? 'auth_unavailable' : 'unexpected_failure';
}

async function call(method, path, { body, token, query } = {}) {
  const url = await endpoint(path, query);
  const headers = { Accept: 'application/json', apikey: url.key, 'X-Supabase-Api-Version': API_VERSION };
  if (body) headers['Content-Type'] = 'application/json;charset=UTF-8';
  if (token) headers.Authorization = `Bearer ${token}`;

  let response;
  try {
    response = await fetch(url.href, {
      method, headers, body: body && JSON.stringify(body), cache: 'no-store', signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch { throw new AuthError('network'); }

  if (response.status === 204) return null;
  const answer = await response.json().catch(() => null);
  if (response.ok) {
    if (answer === null) throw new AuthError('auth_unavailable', { status: 502 });
    return answer;
  }
  throw new AuthError(errorCode(response, answer), {
    status: response.status,
    retryAfter: Number(response.headers.get('retry-after')) || null,
    reasons: answer?.weak_password?.reasons ?? [],
  });
}

async function endpoint(path, query) {
  let settings;
  try { settings = await config(); } catch { throw new AuthError('network'); }
  const url = new URL(`${settings.supabase_url.replace(/\/$/, '')}/auth/v1/${path}`);
  for (const [name, value] of Object.entries(query ?? {})) url.searchParams.set(name, value);
  return { href: url.href, key: settings.supabase_anon_key };
}

// --- the session -----------------------------------------------------------------------------------------------------

function stored() {
  const session = lasting.read(SESSION);
  return session?.access_token && session.refresh_token && session.expires_at ? session : null;
}

/** Keeps an answer as the session, or returns null when it is none: a sign-up that awaits its mail answers a bare user. */
function keep(answer) {
  if (!answer?.access_token || !answer.refresh_token || !answer.expires_in) return null;
  const lifetime = Number(answer.expires_in);
  const user = answer.user ?? stored()?.user ?? null;
  const session = {
    access_token: answer.access_token,
    refresh_token: answer.refresh_token,
    // Counted on this clock: the server's expires_at would be wrong by as much as the two clocks differ.
    expires_at: now() + lifetime,
    lifetime,
    user: user && { id: user.id, email: user.email },
  };
  lasting.write(SESSION, session);
  document.documentElement.dataset.signedIn = '';
  return session;
}

export function forgetSession() {
  lasting.remove(SESSION);
  delete document.documentElement.dataset.signedIn;
}

export const isSignedIn = () => stored() !== null;
export const signedInUser = () => stored()?.user ?? null;

const fresh = (session) => session.expires_at - now() > Math.min(EARLY_SECONDS, session.lifetime / 3);

// A refresh token works once. Two tabs that used the same one would end the whole session, so they queue for it.
let queue = Promise.resolve();
function oneAtATime(work) {
  if (navigator.locks) return navigator.locks.request(SESSION, work);
  queue = queue.then(work, work);
  return queue;
}

/**
 * An access token that is good for a while, refreshed when needed; null when signed out. A token the server has just
 * rejected is named, so that it is replaced even if its time is not up.
 */
export async function accessToken({ rejected = null } = {}) {
  const usable = (session) => fresh(session) && session.access_token !== rejected;
  const session = stored();
  if (!session) return null;
  if (usable(session)) return session.access_token;
  return oneAtATime(async () => {
    const current = stored(); // another tab may have refreshed, or signed out, while this one waited
    if (!current) return null;
    return usable(current) ? current.access_token : refresh(current, rejected);
  });
}

async function refresh(session, rejected) {
  try {
    const answer = await call('POST', 'token', {
      query: { grant_type: 'refresh_token' }, body: { refresh_token: session.refresh_token },
    });
    return keep(answer)?.access_token ?? null;
  } catch (error) {
    if (error.final) {
      if (stored()?.refresh_token === session.refresh_token) forgetSession();
      return null;
    }
    if (session.expires_at > now() && session.access_token !== rejected) return session.access_token;
    throw error;
  }
}

/** Keeps the session fresh while the page is looked at, and tells when a tab signs in as someone else, or out. */
export function watchSession(onChange) {
  const tick = () => {
    if (document.visibilityState === 'visible') accessToken().catch(() => { /* the next tick tries again */ });
  };
  setInterval(tick, TICK_MS);
  document.addEventListener('visibilitychange', tick);
  let user = signedInUser()?.id ?? null;
  addEventListener('storage', (event) => {
    if (event.key !== SESSION && event.key !== null) return;
    const next = signedInUser()?.id ?? null;
    if (next === user) return;
    user = next;
    onChange();
  });
}

// --- signing in and out ----------------------------------------------------------------------------------------------

const callbackAddress = () => new URL('/auth/callback', location.origin).href;

/** Returns true when signed in, false when a confirmation mail comes first. */
export async function signUp(email, password) {
  const challenge = await beginFlow('signup');
  const answer = await call('POST', 'signup', {
    query: { redirect_to: callbackAddress() }, body: { email, password, ...challenge },
  });
  const session = keep(answer);
  if (session) endFlow();
  return session !== null;
}

export async function signIn(email, password) {
  const answer = await call('POST', 'token', { query: { grant_type: 'password' }, body: { email, password } });
  if (!keep(answer)) throw new AuthError('auth_unavailable');
}

/** Ends the session of this browser only. It is gone here even when the server cannot be reached. */
export async function signOut() {
  try {
    const token = await accessToken();
    if (token) await call('POST', 'logout', { query: { scope: 'local' }, token });
  } catch { /* someone at a shared machine must be able to leave, whatever the network does */ }
  forgetSession();
  forgetTab();
}

/** Asks for the mail with which a new password can be set; the answer is the same whether or not the address is known. */
export async function recover(email) {
  const challenge = await beginFlow('recovery');
  await call('POST', 'recover', { query: { redirect_to: callbackAddress() }, body: { email, ...challenge } });
}

export async function setPassword(password) {
  const token = await accessToken();
  if (!token) throw new AuthError('session_not_found', { status: 401 });
  await call('PUT', 'user', { token, body: { password } });
}

// --- coming back from a mail (PKCE, or tokens in the fragment) -----------------------------------------------------------

const base64url = (bytes) => btoa(String.fromCharCode(...bytes)).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');

// Web Crypto exists in secure contexts only; without it Supabase Auth answers with the fragment form.
async function beginFlow(purpose) {
  if (!globalThis.crypto?.subtle) {
    lasting.write(FLOW, { purpose });
    return {};
  }
  const verifier = base64url(crypto.getRandomValues(new Uint8Array(48)));
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(verifier));
  lasting.write(FLOW, { purpose, verifier });
  return { code_challenge: base64url(new Uint8Array(digest)), code_challenge_method: 's256' };
}

const endFlow = () => lasting.remove(FLOW);

/**
 * Reads the address a mail led to and takes it out of the address bar. Returns one of {kind: 'error', code},
 * {kind: 'code', code}, {kind: 'tokens', tokens, purpose, expected} and {kind: 'nothing'}; `expected` says that this
 * browser had asked for it: a link from a stranger could otherwise sign someone in to the stranger's account.
 */
export function readCallback() {
  const query = new URLSearchParams(location.search);
  const fragment = new URLSearchParams(location.hash.slice(1));
  history.replaceState(null, '', location.pathname);
  const error = fragment.get('error_code') ?? query.get('error_code') ?? fragment.get('error') ?? query.get('error');
  if (error) return { kind: 'error', code: error };
  if (query.get('code')) return { kind: 'code', code: query.get('code') };
  if (!fragment.get('access_token')) return { kind: 'nothing' };
  const purpose = fragment.get('type') ?? 'signup';
  return { kind: 'tokens', tokens: Object.fromEntries(fragment), purpose, expected: lasting.read(FLOW)?.purpose === purpose };
}

/** Exchanges a PKCE code; returns what the mail was for: 'signup' or 'recovery'. */
export async function exchangeCode(code) {
  const flow = lasting.read(FLOW);
  if (!flow?.verifier) throw new AuthError('flow_state_not_found', { status: 400 });
  const answer = await call('POST', 'token', {
    query: { grant_type: 'pkce' }, body: { auth_code: code, code_verifier: flow.verifier },
  });
  if (!keep(answer)) throw new AuthError('auth_unavailable');
  endFlow();
  return flow.purpose;
}

/** Whose tokens these are, asked of the server: a fragment proves nothing by itself. */
export const ownerOf = (tokens) => call('GET', 'user', { token: tokens.access_token });

export function acceptTokens(tokens, user) {
  if (!keep({ ...tokens, user })) throw new AuthError('auth_unavailable');
  endFlow();
}

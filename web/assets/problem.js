// Human words for what the server refuses: of our own API (Problem), of Supabase Auth (AuthError) and of a generation.

import { AuthError } from './auth.js';
import { Problem } from './api.js';
import { credits, has, t, waitingTime } from './language.js';
import { suspensionText } from './restriction.js';

const special = {
  insufficient_credits: ({ extras }) => Number.isFinite(extras.required) && Number.isFinite(extras.balance)
    && t('problem.insufficient_credits', { required: credits(extras.required), balance: credits(extras.balance) }),
  rate_limited: ({ retryAfter }) => (retryAfter ? t('problem.rate_limited', { seconds: waitingTime(retryAfter) }) : t('problem.rate_limitedSoon')),
  account_suspended: ({ extras }) => suspensionText(extras),
  unavailable: ({ retryAfter }) => retryAfter && t('problem.unavailableIn', { seconds: waitingTime(retryAfter) }),
  // The server says which member was wrong in the language we asked for; nothing here could say it better.
  invalid_request: ({ extras }) => [t('problem.invalid_request'), extras.errors?.[0]?.detail].filter(Boolean).join(' '),
};

export function problemText(error) {
  if (error instanceof AuthError) {
    if (error.code === 'over_request_rate_limit' && error.retryAfter) return special.rate_limited(error);
    const key = `auth.${aliases[error.code] ?? error.code}`;
    return t(has(key) ? key : 'auth.unexpected_failure');
  }
  if (!(error instanceof Problem)) return t('problem.unexpected');
  const own = special[error.code]?.(error);
  if (own) return own;
  const key = `problem.${error.code}`;
  if (has(key) && error.code !== 'insufficient_credits') return t(key);
  return error.detail || t('problem.unexpected');
}

// Codes of Supabase Auth that mean the same to the person in front of the screen.
const aliases = {
  email_exists: 'user_already_exists',
  invalid_grant: 'invalid_credentials',
  user_not_found: 'invalid_credentials',
  validation_failed: 'email_address_invalid',
  email_address_not_authorized: 'email_address_invalid',
  email_provider_disabled: 'signup_disabled',
  access_denied: 'otp_expired',
  bad_code_verifier: 'flow_state_not_found',
  flow_state_expired: 'otp_expired',
  bad_jwt: 'otp_expired',
  session_expired: 'session_not_found',
  request_timeout: 'auth_unavailable',
  conflict: 'auth_unavailable',
};

export const generationErrorText = (error) => t(error && has(`error.${error.code}`) ? `error.${error.code}` : 'error.unknown');

// What a person is told when his account is kept from something, or got no welcome credits: why, and whom to ask.

import { has, t } from './language.js';

const reasons = {
  stem: 'crowd', domain: 'crowd', customer: 'crowd', prompt: 'crowd',
};

function reasonText(reason) {
  const key = `restriction.reason.${reasons[reason] ?? reason}`;
  return has(key) ? t(key) : t('restriction.reason.other');
}

/** The sentences of a notice; empty when there is nothing to tell. */
export function restrictionText({ restriction, status, welcome_refused: refused }) {
  if (restriction) {
    return [
      t(`restriction.${restriction.action}`, { reason: reasonText(restriction.reason) }),
      t('restriction.contact', { email: restriction.contact }),
    ].join(' ');
  }
  if (status === 'suspended' || status === 'held') return t('problem.account_suspended');
  return refused ? t('restriction.welcome') : '';
}

/** The same for a request that was refused for it. */
export const suspensionText = ({ reason, contact }) => [
  t('problem.account_suspended'), reason && `${t('restriction.why', { reason: reasonText(reason) })}`,
  contact && t('restriction.contact', { email: contact }),
].filter(Boolean).join(' ');

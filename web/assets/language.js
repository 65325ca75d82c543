// The language of the page: early.js has chosen it, this module fills in the words and formats numbers and times.

import { catalogue } from './text.js';

export const languages = ['nl', 'en'];
export const language = document.documentElement.lang === 'nl' ? 'nl' : 'en';

const region = { nl: 'nl-NL', en: 'en-GB' }[language];
const plurals = new Intl.PluralRules(region);
const words = catalogue[language];

/** The text of a key, its {names} filled in. */
export function t(key, values = {}) {
  const text = words[key] ?? catalogue.en[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

export const has = (key) => key in words;

/** The singular or plural text of a key, with {n} written as a number. */
export function count(key, n, values = {}) {
  return t(`${key}.${plurals.select(n) === 'one' ? 'one' : 'other'}`, { n: number(n), ...values });
}

export const credits = (n) => count('credits', n);

const numbers = new Intl.NumberFormat(region);
export const number = (n) => numbers.format(n);

/** A change of a balance always shows its sign. */
export const signed = (n) => `${n < 0 ? '\u2212' : '+'}${number(Math.abs(n))}`;

/** An amount in cents; a price of one credit has more digits than a bill. */
export const money = (cents, currency, digits = 2) => new Intl.NumberFormat(region, {
  style: 'currency', currency: currency ?? 'EUR', minimumFractionDigits: 2, maximumFractionDigits: digits,
}).format(cents / 100);

const tenths = new Intl.NumberFormat(region, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
export const seconds = (s) => (s < 100 ? `${tenths.format(s)}\u00a0s` : `${number(Math.round(s))}\u00a0s`);

/** A time to wait, in words. */
export function waitingTime(s) {
  if (s < 100) return count('seconds', Math.ceil(s));
  return s < 100 * 60 ? count('minutes', Math.ceil(s / 60)) : count('hours', Math.ceil(s / 3600));
}

const formats = {
  time: new Intl.DateTimeFormat(region, { hour: '2-digit', minute: '2-digit' }),
  date: new Intl.DateTimeFormat(region, { day: 'numeric', month: 'short', year: 'numeric' }),
  day: new Intl.DateTimeFormat(region, { weekday: 'long', day: 'numeric', month: 'long' }),
  dayOfYear: new Intl.DateTimeFormat(region, { weekday: 'long', day: 'numeric', month: 'long', year: 'numeric' }),
  month: new Intl.DateTimeFormat(region, { month: 'long', year: 'numeric' }),
  dayTime: new Intl.DateTimeFormat(region, { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' }),
  moment: new Intl.DateTimeFormat(region, { day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit' }),
};
export const time = (iso) => formats.time.format(new Date(iso));
export const date = (iso) => formats.date.format(new Date(iso));
export const dateRange = (from, to) => formats.date.formatRange(new Date(from), new Date(to));
export const month = (iso) => formats.month.format(new Date(iso));
export const dayTime = (iso) => formats.dayTime.format(new Date(iso));
export const moment = (iso) => formats.moment.format(new Date(iso));

/** The local calendar day, as a key to group by. */
export function dayKey(iso) {
  const d = new Date(iso);
  return `${d.getFullYear()}-${d.getMonth() + 1}-${d.getDate()}`;
}

export function dayName(iso) {
  const yesterday = new Date();
  yesterday.setDate(yesterday.getDate() - 1);
  if (dayKey(iso) === dayKey(Date.now())) return t('day.today');
  if (dayKey(iso) === dayKey(yesterday)) return t('day.yesterday');
  const sameYear = new Date(iso).getFullYear() === new Date().getFullYear();
  return (sameYear ? formats.day : formats.dayOfYear).format(new Date(iso));
}

/** Fills in data-text="key" and data-text-on="attribute:key attribute:key" below an element, then lets the words show. */
export function translate(root = document) {
  for (const node of root.querySelectorAll('[data-text]')) node.textContent = t(node.dataset.text);
  for (const node of root.querySelectorAll('[data-text-on]')) {
    for (const pair of node.dataset.textOn.split(' ')) {
      const [attribute, key] = pair.split(':');
      node.setAttribute(attribute, t(key));
    }
  }
  delete document.documentElement.dataset.waiting;
}

/** Remembers a choice; the page has to be loaded again to be drawn in it. */
export function rememberLanguage(choice) {
  try { localStorage.setItem('shotai.language', choice); } catch { return false; }
  return true;
}

export function rememberedLanguage() {
  try { return localStorage.getItem('shotai.language'); } catch { return null; }
}

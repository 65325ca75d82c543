// A ZIP to take along, from the order to its link. It is packed elsewhere, so leaving the page loses nothing: the tab
// remembers which one it ordered, and finds it again.

import { api, Problem } from './api.js';
import { element, pause } from './dom.js';
import { dayTime, t } from './language.js';
import { passing } from './memory.js';
import { postOnce } from './once.js';
import { problemText } from './problem.js';

const PATH = '/api/account/archives';
const LONGEST_WAIT_MS = 10000;

/** place: an empty element with role=status; memory: a word under which this tab keeps the order. */
export function createTakeout(place, memory) {
  const key = `shotai.takeout:${memory}`;
  let turn = 0; // an order that is newer than the one followed

  function show(state, ...children) {
    place.dataset.state = state;
    place.replaceChildren(...children);
    place.hidden = false;
  }

  function end() {
    passing.remove(key);
    place.hidden = true;
    place.replaceChildren();
  }

  const closer = () => element('button', { type: 'button', class: 'quiet', 'aria-label': t('common.close'), onclick: end }, '\u00d7');
  const say = (state, text) => show(state, element('p', {}, text), closer());

  function draw({ status, url, expires_at: until }) {
    if (status === 'failed') return say(status, t('takeout.failed'));
    if (status === 'pending') return show(status, element('p', {}, t('takeout.packing')), element('progress', { 'aria-label': t('takeout.packing') }));
    show(status, element('p', {}, t('takeout.ready', { until: dayTime(until) })),
      element('a', { class: 'button primary', href: url, download: true, 'data-testid': 'takeout-link' }, t('takeout.download')), closer());
  }

  async function follow(id) {
    const mine = turn += 1;
    for (let wait = 1000; mine === turn; wait = Math.min(LONGEST_WAIT_MS, wait * 1.5)) {
      try {
        const { data } = await api('GET', `${PATH}/${id}`);
        if (mine !== turn) return;
        if (data.status !== 'pending' || place.dataset.state !== 'pending') draw(data);
        if (data.status !== 'pending') return;
      } catch (error) {
        if (error instanceof Problem && error.code === 'not_found') return end();
      }
      await pause(wait);
    }
  }

  /** Orders what body says; resolves once that is accepted or refused, which it says itself. */
  async function order(body) {
    turn += 1;
    draw({ status: 'pending' });
    try {
      const { id } = await postOnce(PATH, body);
      passing.write(key, id);
      follow(id);
    } catch (error) {
      say('refused', problemText(error));
    }
  }

  /** Goes on with what this tab ordered before. */
  function resume() {
    const id = passing.read(key);
    if (typeof id === 'string') follow(id);
  }

  return { order, resume };
}

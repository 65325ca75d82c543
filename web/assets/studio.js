// The studio: the desk on one side, the contact sheet on the other, and the rolls of this visit developing on it.

import { api, modelNames, Problem } from './api.js';
import { isSignedIn } from './auth.js';
import { createDesk } from './desk.js';
import { byId, element, say, wantsStillness } from './dom.js';
import { createFrame, createRoll, outcomeText } from './film.js';
import { follow, isFinal } from './follow.js';
import { count, credits, t, time, waitingTime } from './language.js';
import { postOnce } from './once.js';
import { problemText } from './problem.js';
import { onAccount, refreshAccount, setBalance, startShell, toSignIn } from './shell.js';

const EARLIER = 8;

const announce = (text) => { byId('announcer').textContent = text; };

const desk = createDesk({ signedIn: isSignedIn(), onShoot, onSignIn: () => toSignIn() });
onAccount((account) => desk.setBalance(account.balance));

async function onShoot(request) {
  if (!isSignedIn()) return toSignIn();
  desk.setBusy(true);
  try {
    const { balance, ...generation } = await postOnce('/api/generate', request, (wait) => desk.say(t('common.retrying', { seconds: waitingTime(wait) })));
    desk.say('');
    setBalance(balance);
    announce(count('studio.started', generation.count, { credits: credits(generation.credits_charged) }));
    await lay(generation);
  } catch (error) {
    await explain(error);
  } finally {
    desk.setBusy(false);
  }
}

async function explain(error) {
  desk.say(problemText(error));
  if (!(error instanceof Problem)) throw error;
  if (error.code === 'insufficient_credits') setBalance(error.extras.balance);
  if (error.code === 'upload_expired' || error.code === 'upload_unknown') desk.forgetReferences(problemText(error));
  if (error.code === 'age_confirmation_required') location.reload();
  if (error.code === 'unauthenticated') toSignIn();
}

/** Lays a roll on top of the sheet and follows it to its end. */
async function lay(generation) {
  const names = await modelNames();
  const roll = createRoll(generation, { modelName: names(generation.model), onCancel: (button) => cancel(generation, roll, button) });
  showLeader(false);
  byId('rolls').prepend(roll.element);
  // On a phone the sheet lies below the desk: a roll nobody sees develop might as well not.
  if (roll.element.getBoundingClientRect().top > innerHeight * 0.7) {
    roll.element.scrollIntoView({ behavior: wantsStillness() ? 'auto' : 'smooth', block: 'start' });
  }
  watch(generation, roll);
}

async function watch(generation, roll) {
  if (isFinal(generation)) return finish(generation);
  try {
    finish(await follow(generation.id, {
      onChange: roll.update,
      onTrouble: (problem) => say(roll.note, problem ? (problem.code === 'network' ? t('studio.offline') : problemText(problem)) : ''),
    }));
  } catch (error) {
    roll.stop();
    say(roll.note, error instanceof Problem && error.code === 'unauthenticated' ? problemText(error) : t('studio.lost'));
  }
}

function finish(generation) {
  announce(outcomeText(generation));
  refreshAccount().catch(() => { /* the next change brings the balance */ });
}

async function cancel(generation, roll, button) {
  button.disabled = true;
  try {
    const { data } = await api('DELETE', `/api/generate/${generation.id}`);
    roll.update(data);
    byId('prompt').focus({ preventScroll: true });
  } catch (error) {
    say(roll.note, problemText(error));
  } finally {
    button.disabled = false;
  }
}

/** What was made before: unfinished rolls are followed again, the others lie below as one dense strip. */
async function layEarlier() {
  const { data } = await api('GET', `/api/history?limit=${EARLIER}`);
  const busy = data.items.filter((generation) => !isFinal(generation));
  const done = data.items.filter((generation) => isFinal(generation) && generation.images.length > 0);
  for (const generation of busy.reverse()) {
    if (!document.querySelector(`[data-testid="roll"][data-id="${generation.id}"]`)) await lay(generation);
  }
  showLeader(data.items.length === 0);
  if (done.length === 0) return;
  byId('earlier-frames').append(...done.flatMap(smallFrames));
  byId('earlier').hidden = false;
}

const smallFrames = (generation) => generation.images.map((image) => (
  createFrame(generation, image.index, { thumbnail: true, stamp: time(generation.created_at) }).element));

// Someone signed in sees the leader only once it is known that there is nothing else to show.
function showLeader(wanted) {
  const leader = byId('leader');
  leader.dataset.known = '';
  leader.hidden = !wanted;
}

async function start() {
  try {
    if (!await startShell()) return;
    await layEarlier();
  } catch (error) {
    showLeader(true);
    byId('rolls').append(element('p', { class: 'message', role: 'status' }, problemText(error)));
  }
}

start();

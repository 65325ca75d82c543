// The desk: the form on which a shot is described. It knows the models and what a choice costs; sending it is shoot.js's.

import { listModels } from './api.js';
import { byId, element, say } from './dom.js';
import { readDraft, writeDraft } from './draft.js';
import { count, credits, number, t } from './language.js';
import { createReferences, keptFor } from './reference.js';

const FALLBACK_RATIO = '1:1';

/** onShoot({model, prompt, aspect_ratio, count, upload_id or upload_ids}) is called when the form is sent and complete. */
export function createDesk({ signedIn, onShoot, onSignIn }) {
  const form = byId('desk');
  const prompt = byId('prompt');
  const button = byId('shoot');
  const message = byId('desk-message');
  const shortage = byId('shortage');
  let models = [];
  let balance = null;
  let busy = false;

  const chosen = (name) => form.elements[name]?.value || null;
  const model = () => models.find((candidate) => candidate.id === chosen('model')) ?? null;
  const shots = () => Number(chosen('count')) || 1;
  const price = () => (model() ? model().credits * shots() : null);

  function request() {
    const body = { model: model().id, prompt: prompt.value.trim(), count: shots() };
    if (chosen('ratio')) body.aspect_ratio = chosen('ratio');
    const ids = references.ids();
    if (ids.length === 1) [body.upload_id] = ids;
    else if (ids.length > 1) body.upload_ids = ids;
    return body;
  }

  function showPrice() {
    const words = busy ? t('studio.sending') : count(signedIn ? 'studio.shoot' : 'studio.shootSignedOut', shots());
    button.replaceChildren(element('span', {}, words), price() !== null && element('span', { class: 'price' }, credits(price())));
    button.disabled = busy || price() === null;
    const short = balance !== null && price() !== null && price() > balance;
    say(shortage, short ? t('studio.short', { balance: credits(balance), price: credits(price()) }) : '');
  }

  function remember() {
    writeDraft({ prompt: prompt.value, model: chosen('model'), aspect_ratio: chosen('ratio'), count: shots() });
  }

  function showChoices(wanted) {
    const current = model();
    references.setModel(current);
    say(byId('keeping'), keepingText(current));
    const ratios = current?.aspect_ratios ?? [];
    byId('ratios').replaceChildren(...ratios.map(ratioChoice));
    byId('ratio-field').hidden = ratios.length === 0;
    check('ratio', ratios.includes(wanted.aspect_ratio) ? wanted.aspect_ratio : ratios.includes(FALLBACK_RATIO) ? FALLBACK_RATIO : ratios[0]);
    const most = Math.max(1, current?.max_count ?? 1);
    byId('counts').replaceChildren(...Array.from({ length: most }, (_, n) => countChoice(n + 1)));
    check('count', String(Math.min(most, Math.max(1, Number(wanted.count) || 1))));
    showPrice();
  }

  function check(name, value) {
    for (const input of form.querySelectorAll(`input[name="${name}"]`)) input.checked = input.value === value;
  }

  async function loadModels() {
    const box = byId('models');
    try {
      models = await listModels();
    } catch {
      const again = element('button', { type: 'button', class: 'button' }, t('common.retry'));
      again.addEventListener('click', loadModels);
      box.replaceChildren(element('p', { class: 'message' }, t('studio.modelsMissing')), again);
      return;
    }
    box.setAttribute('aria-busy', 'false');
    if (models.length === 0) return void box.replaceChildren(element('p', { class: 'message' }, t('studio.noModels')));
    const draft = readDraft();
    box.replaceChildren(...models.map(modelChoice));
    check('model', models.some((candidate) => candidate.id === draft.model) ? draft.model : models[0].id);
    showChoices(draft);
  }

  const references = createReferences({ signedIn, onSignIn, onChange: () => showPrice() });

  form.addEventListener('change', (event) => {
    if (event.target.name === 'model') showChoices({ aspect_ratio: chosen('ratio'), count: shots() });
    showPrice();
    remember();
  });
  prompt.addEventListener('input', () => {
    remember();
    if (prompt.value.trim()) prompt.removeAttribute('aria-invalid');
  });
  prompt.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    if (!button.disabled) form.requestSubmit(button);
  });
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    if (busy || !model()) return;
    if (references.busy()) return void say(message, t('reference.wait'));
    if (!prompt.value.trim()) {
      say(message, t('studio.promptMissing'));
      prompt.setAttribute('aria-invalid', 'true');
      return void prompt.focus();
    }
    say(message, '');
    remember();
    onShoot(request());
  });

  if (!prompt.value) prompt.value = readDraft().prompt ?? '';
  loadModels();

  return {
    setBalance(next) { balance = next; showPrice(); },
    setBusy(next) { busy = next; showPrice(); },
    say: (text) => say(message, text),
    forgetReferences: (text) => references.forget(text),
  };
}

function keepingText(model) {
  if (!model) return '';
  const { provider } = model;
  if (!model.retention) return t('studio.keepsUnknown', { provider });
  return model.retention.startsWith('0 ') ? t('studio.keepsNot', { provider }) : t('studio.keeps', { provider, time: keptFor(model) });
}

function modelChoice(model) {
  return element('label', { class: 'model' },
    element('input', { type: 'radio', name: 'model', value: model.id, 'data-testid': 'model' }),
    element('span', {},
      element('b', {}, model.name),
      (model.description || model.provider) && element('small', {}, model.description || model.provider),
      element('span', { class: 'price' }, number(model.credits), element('abbr', { title: credits(model.credits) }, ` ${t('credits.short')}`))));
}

function ratioChoice(ratio) {
  const [width, height] = ratio.split(/[:x/]/).map(Number);
  const shape = element('span', { class: 'shape' });
  // Custom properties go through the object model: a style attribute would be refused by the content security policy.
  shape.style.setProperty('--w', String(width / Math.max(width, height) || 1));
  shape.style.setProperty('--h', String(height / Math.max(width, height) || 1));
  return element('label', { class: 'ratio' }, element('input', { type: 'radio', name: 'ratio', value: ratio, 'data-testid': 'ratio' }), shape, element('span', {}, ratio));
}

function countChoice(n) {
  return element('label', { class: 'count' }, element('input', { type: 'radio', name: 'count', value: String(n), 'data-testid': 'count' }), element('span', {}, number(n)));
}

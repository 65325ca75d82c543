// A few lines to build elements. Strings only ever become text nodes: no text of a person or a server is read as markup.

/** element('a', { class: 'shot', href, dataset: { status } }, 'text', child): false, null and undefined are left out. */
export function element(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key === 'dataset') Object.assign(node.dataset, value);
    else if (key.startsWith('on')) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? '' : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export const byId = (id) => document.getElementById(id);

/** Shows a text in an element that is hidden while it has nothing to say. */
export function say(node, text) {
  node.textContent = text ?? '';
  node.hidden = !text;
}

export const wantsStillness = () => matchMedia('(prefers-reduced-motion: reduce)').matches;

export const pause = (ms, signal) => new Promise((resolve, reject) => {
  const timer = setTimeout(resolve, ms);
  signal?.addEventListener('abort', () => { clearTimeout(timer); reject(signal.reason); }, { once: true });
});

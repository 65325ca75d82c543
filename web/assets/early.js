// A classic script in the head: it runs before the first paint, so that neither the theme, nor the language, nor the
// signed-in half of the header flashes while the modules are still on their way.
(() => {
  const root = document.documentElement;
  root.dataset.scripted = '';
  const read = (key) => {
    try { return localStorage.getItem(key); } catch { return null; }
  };

  const theme = read('shotai.theme');
  if (theme === 'light' || theme === 'dark') root.dataset.theme = theme;

  // A page that the server wrote is in its language already.
  if (!('served' in root.dataset)) {
    const asked = read('shotai.language');
    const wanted = asked === 'nl' || asked === 'en' ? asked : (navigator.language || 'en').slice(0, 2).toLowerCase();
    root.lang = wanted === 'nl' ? 'nl' : 'en';
    // The pages are written in English: any other language waits for its words instead of showing the wrong ones.
    if (root.lang !== 'en') root.dataset.waiting = '';
  }

  if (read('shotai.session')) root.dataset.signedIn = '';
})();

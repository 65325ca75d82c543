// What the browser remembers for us. Storage can be full, blocked or cleared by hand, so reading never throws and an
// unreadable value counts as absent.

const box = (storage) => ({
  read(key) {
    try {
      const text = storage().getItem(key);
      return text === null ? null : JSON.parse(text);
    } catch { return null; }
  },
  write(key, value) {
    try { storage().setItem(key, JSON.stringify(value)); return true; } catch { return false; }
  },
  remove(key) {
    try { storage().removeItem(key); } catch { /* nothing was kept, so nothing is left */ }
  },
});

/** Shared by all tabs, kept until removed. */
export const lasting = box(() => localStorage);

/** This tab only. */
export const passing = box(() => sessionStorage);

/** Who said to be younger is not asked again in this tab, whoever signs out. */
export const YOUNG = 'shotai.young';

/** Leaves nothing of what this tab was in the middle of to whoever comes next. */
export function forgetTab() {
  try {
    for (const key of Object.keys(sessionStorage)) if (key !== YOUNG) sessionStorage.removeItem(key);
  } catch { /* nothing was kept, so nothing is left */ }
}

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

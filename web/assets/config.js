// What the server tells a page before anyone signs in: where Supabase Auth is, and the address of the help desk.

let asked = null;

export function config() {
  asked ??= fetch('/api/config', { headers: { Accept: 'application/json' }, signal: AbortSignal.timeout(15000) })
    .then((response) => {
      if (!response.ok) throw new Error(`config ${response.status}`);
      return response.json();
    })
    .catch((error) => {
      asked = null; // a failed attempt must not decide for the rest of the visit
      throw error;
    });
  return asked;
}

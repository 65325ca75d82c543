// A request whose body is large enough to watch it leave: fetch cannot tell, XMLHttpRequest can.

const STALL_MS = 45000;

/**
 * Like fetch: resolves with a Response, rejects when nothing came back. onProgress(part of the body that has left, 0 to 1).
 * There is no limit on the whole time, since lines differ, but on the time in which nothing moves.
 */
export function transfer(path, { method, headers, body, signal, onProgress }) {
  return new Promise((resolve, reject) => {
    const sent = new XMLHttpRequest();
    let stall;
    const moving = () => {
      clearTimeout(stall);
      stall = setTimeout(() => sent.abort(), STALL_MS);
    };
    const failed = () => {
      clearTimeout(stall);
      reject(signal?.aborted ? signal.reason : new TypeError('network'));
    };
    sent.upload.addEventListener('progress', (event) => {
      moving();
      if (event.lengthComputable && event.total > 0) onProgress(event.loaded / event.total);
    });
    sent.addEventListener('load', () => {
      clearTimeout(stall);
      const known = new Headers();
      for (const name of ['content-type', 'retry-after', 'date', 'x-request-id']) {
        const value = sent.getResponseHeader(name);
        if (value !== null) known.set(name, value);
      }
      resolve(new Response(sent.response, { status: sent.status, headers: known }));
    });
    for (const name of ['error', 'abort', 'timeout']) sent.addEventListener(name, failed);
    signal?.addEventListener('abort', () => sent.abort(), { once: true });
    sent.open(method, path);
    sent.responseType = 'text';
    for (const [name, value] of Object.entries(headers)) sent.setRequestHeader(name, value);
    moving();
    sent.send(body);
  });
}

// What stands on the desk and is not sent yet. It lives in this tab, so that it survives signing in and a look in history.

import { passing } from './memory.js';

const KEY = 'shotai.draft';

/** {prompt, model, aspect_ratio, count}, each of them possibly absent. */
export const readDraft = () => passing.read(KEY) ?? {};

export const writeDraft = (draft) => passing.write(KEY, draft);

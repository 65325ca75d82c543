// What a dead link leads to: the shell and a way on.

import { startShell } from './shell.js';

startShell().catch(() => {}); // signed in or not, the page says the same

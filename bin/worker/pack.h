/*
 * The thread that makes archives, one at a time: pictures go from storage into
 * a ZIP on disk, piece by piece, and the ZIP goes into storage. The file on
 * disk has no name, so nothing of it outlives the process. Storage that is away
 * postpones; a picture that is gone is told in the index, and no more.
 */
#ifndef SHOTAI_WORKER_PACK_H
#define SHOTAI_WORKER_PACK_H

/* Until STOP_DRAIN, when it gives up what it is making. context is the struct worker. */
void *pack_run(void *context);

#endif

/*
 * Places that all processes of one program share: whoever wants to do what only
 * so many of them may do at once takes one first.
 *
 * A place is a byte of the listening socket, which all of them inherited, under
 * a record lock: the kernel takes it back when a process ends, however it ends,
 * and a reload's new children count together with the old ones.
 */
#ifndef SHOTAI_PLACE_H
#define SHOTAI_PLACE_H

#define PLACE_NONE (-1)

/* One of `most` places on descriptor 0, without waiting; PLACE_NONE when all are taken. A process holds one at most. */
int place_take(int most);
/* Gives it back; PLACE_NONE is fine. */
void place_give(int place);

static inline void
place_cleanup(const int *place)
{
	place_give(*place);
}
#define AUTO_PLACE __attribute__((cleanup(place_cleanup))) int

#endif

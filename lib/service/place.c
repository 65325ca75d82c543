#include "service/place.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

static int
lock(int place, short kind)
{
	struct flock range = {.l_type = kind, .l_whence = SEEK_SET, .l_start = place, .l_len = 1};

	return fcntl(STDIN_FILENO, F_SETLK, &range);
}

int
place_take(int most)
{
	for (int place = 0; place < most; place++) {
		if (lock(place, F_WRLCK) == 0)
			return place;
		if (errno != EAGAIN && errno != EACCES) {
			log_event(LOG_ERROR, "place_unavailable", "error", strerror(errno), NULL);
			return PLACE_NONE;
		}
	}
	return PLACE_NONE;
}

void
place_give(int place)
{
	if (place != PLACE_NONE)
		lock(place, F_UNLCK);
}

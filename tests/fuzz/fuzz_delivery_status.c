/* A mail from a stranger, read as a delivery status notification. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/delivery_status.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_ARENA arena = arena_new();
	struct delivery_status status;
	char refusal[DELIVERY_STATUS_MAX];
	/* A block of its own, without a NUL after it. */
	char *bytes = arena_alloc(arena, size + 1);
	if (size > 0)
		memcpy(bytes, data, size);
	if (delivery_status_read(arena, bytes, size, &status)) {
		assert(strspn(status.status, "0123456789.") == strlen(status.status));
		assert(status.message_id == NULL || strlen(status.message_id) < size);
	}
	if (delivery_status_refuses(bytes, size, refusal))
		assert(strspn(refusal, "0123456789.") == strlen(refusal) && strlen(refusal) >= 3);
	return 0;
}

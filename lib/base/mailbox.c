#include "base/mailbox.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>

#include "base/arena.h"
#include "base/text.h"

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"
#define LOCAL_MAX 64
#define DOMAIN_MAX 253
#define LABEL_MAX 63

/* Words of the allowed characters with single dots between them. */
static bool
is_dotted(const char *string, size_t len, const char *allowed, size_t word_max)
{
	size_t word = 0;

	for (size_t i = 0; i < len; i++) {
		if (string[i] == '.') {
			if (word == 0)
				return false;
			word = 0;
		} else if (strchr(allowed, string[i]) == NULL || ++word > word_max) {
			return false;
		}
	}
	return word > 0;
}

bool
mailbox_is_address(const char *address)
{
	const char *at = strchr(address, '@');
	size_t local = at == NULL ? 0 : (size_t)(at - address);

	return at != NULL && local <= LOCAL_MAX && strlen(at + 1) <= DOMAIN_MAX &&
	       is_dotted(address, local, LETTERS DIGITS "!#$%&'*+-/=?^_`{|}~", LOCAL_MAX) &&
	       is_dotted(at + 1, strlen(at + 1), LETTERS DIGITS "-", LABEL_MAX);
}

static bool
is_name(const char *name)
{
	for (size_t size, left = strlen(name); left > 0; name += size, left -= size) {
		size = text_utf8(name, left);
		if (size == 0 || iscntrl((unsigned char)*name) || strchr("\"<>\\", *name) != NULL)
			return false;
	}
	return true;
}

bool
mailbox_read(struct arena *arena, const char *string, struct mailbox *ret_mailbox)
{
	const char *open = strchr(string, '<'), *address = string, *name = NULL;
	size_t len = strlen(string);

	if (open != NULL) {
		size_t name_len = (size_t)(open - string);

		if (string[len - 1] != '>')
			return false;
		address = arena_strndup(arena, open + 1, len - name_len - 2);
		while (name_len > 0 && string[name_len - 1] == ' ')
			name_len--;
		if (name_len > 0)
			name = arena_strndup(arena, string, name_len);
	}
	if (!mailbox_is_address(address) || (name != NULL && !is_name(name)))
		return false;
	address = arena_strdup(arena, address);
	*ret_mailbox = (struct mailbox){.name = name, .address = address, .domain = strchr(address, '@') + 1};
	return true;
}

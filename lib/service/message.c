#include "service/message.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/digest.h"
#include "base/mailbox.h"
#include "base/text.h"

#define ALNUM "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
#define REPLACEMENT "\xef\xbf\xbd"
/* Bytes of text in one encoded word: 52 of base64, 73 with what is around it and "Subject: ". */
#define WORD_MAX 39
/* A plain subject stays on one line of 78. */
#define PLAIN_MAX 66
#define QUOTED_MAX 75
#define URL_MAX 900

/* What stands for the character at the start of bytes in a header: itself, a blank for a control, U+FFFD for no text.
 */
static size_t
header_character(const char *bytes, size_t len, const char **ret_character, size_t *ret_size)
{
	size_t size = text_utf8(bytes, len);

	if (size == 0) {
		*ret_character = REPLACEMENT;
		*ret_size = strlen(REPLACEMENT);
		return 1;
	}
	*ret_character = size == 1 && ((unsigned char)*bytes < ' ' || *bytes == 0x7f) ? " " : bytes;
	*ret_size = size;
	return size;
}

/* RFC 2047, folded between the words, none of which cuts a character. */
static void
add_encoded(struct text *to, const char *string)
{
	size_t left = strlen(string), used = 0;
	char word[WORD_MAX];
	bool first = true;

	while (left > 0 || used > 0) {
		const char *character = NULL;
		size_t size = 0, taken = left > 0 ? header_character(string, left, &character, &size) : 0;

		if (left == 0 || used + size > WORD_MAX) {
			text_printf(to, "%s=?UTF-8?B?%s?=", first ? "" : "\r\n ", digest_base64(to->arena, word, used));
			first = false;
			used = 0;
			continue;
		}
		memcpy(word + used, character, size);
		used += size;
		string += taken;
		left -= taken;
	}
}

static void
add_unstructured(struct text *to, const char *string)
{
	bool plain = strlen(string) <= PLAIN_MAX && strstr(string, "=?") == NULL && *string != ' ';

	for (const char *c = string; plain && *c != '\0'; c++)
		plain = *c >= ' ' && *c < 0x7f;
	if (plain)
		text_add(to, string);
	else
		add_encoded(to, string);
}

static void
add_mailbox(struct text *to, const struct mailbox *mailbox)
{
	if (mailbox->name == NULL) {
		text_add(to, mailbox->address);
		return;
	}
	if (strspn(mailbox->name, ALNUM " ") == strlen(mailbox->name) && strlen(mailbox->name) <= PLAIN_MAX)
		text_add(to, mailbox->name);
	else
		add_encoded(to, mailbox->name);
	text_printf(to, "\r\n <%s>", mailbox->address);
}

/* In English whatever the locale. */
static void
add_date(struct text *to, int64_t seconds)
{
	static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	static const char months[][4] = {
	    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	time_t time = (time_t)seconds;
	struct tm utc = {0};

	gmtime_r(&time, &utc);
	text_printf(to, "%s, %02d %s %04d %02d:%02d:%02d +0000", days[utc.tm_wday], utc.tm_mday, months[utc.tm_mon],
	    utc.tm_year + 1900, utc.tm_hour, utc.tm_min, utc.tm_sec);
}

/* Whether a byte of quoted-printable goes as it is. A dot that opens a line is left to no transport's care. */
static bool
is_literal(const char *byte, size_t column)
{
	if (*byte == ' ')
		return byte[1] != '\n' && byte[1] != '\0';
	if (column == 0 && (*byte == '.' || strncmp(byte, "From ", 5) == 0))
		return false;
	return *byte > ' ' && *byte < 0x7f && *byte != '=';
}

static void
add_quoted_printable(struct text *to, const char *string)
{
	size_t column = 0;

	for (; *string != '\0'; string++) {
		size_t width;

		if (*string == '\n') {
			text_add(to, "\r\n");
			column = 0;
			continue;
		}
		width = is_literal(string, column) ? 1 : 3;
		if (column + width > QUOTED_MAX) {
			text_add(to, "=\r\n");
			column = 0;
			width = is_literal(string, column) ? 1 : 3;
		}
		if (width == 1)
			text_add_bytes(to, string, 1);
		else
			text_printf(to, "=%02X", (unsigned)(unsigned char)*string);
		column += width;
	}
	if (column > 0)
		text_add(to, "\r\n");
}

static void
add_content(struct text *to, const char *type, const char *string)
{
	text_printf(to,
	    "Content-Type: %s; charset=utf-8\r\n"
	    "Content-Transfer-Encoding: quoted-printable\r\n\r\n",
	    type);
	add_quoted_printable(to, string);
}

static void
add_alternatives(struct text *to, const struct message *message)
{
	uint8_t digest[DIGEST_SHA256];
	char hex[DIGEST_HEX];
	const char *boundary;

	/* "=_" is nothing that quoted-printable writes, so no text can hold the boundary. */
	digest_sha256(message->id, strlen(message->id), digest);
	digest_hex(digest, sizeof digest, hex);
	boundary = arena_printf(to->arena, "=_%.32s", hex);
	text_printf(to, "Content-Type: multipart/alternative;\r\n boundary=\"%s\"\r\n\r\n--%s\r\n", boundary, boundary);
	add_content(to, "text/plain", message->text);
	text_printf(to, "\r\n--%s\r\n", boundary);
	add_content(to, "text/html", message->html);
	text_printf(to, "\r\n--%s--\r\n", boundary);
}

static bool
is_id(const char *id)
{
	size_t left = strspn(id, ALNUM ".-_");

	return left > 0 && left <= PLAIN_MAX && id[left] == '@' && id[left + 1] != '\0' &&
	       strspn(id + left + 1, ALNUM ".-_") == strlen(id + left + 1);
}

/* Of characters that need no care in a header. */
static bool
is_url(const char *url)
{
	return strncmp(url, "http", 4) == 0 && strlen(url) <= URL_MAX &&
	       strspn(url, ALNUM "-._~:/?#[]@!$&'()*+,;=%") == strlen(url);
}

static void
add_headers(struct text *to, const struct message *message)
{
	text_add(to, "Date: ");
	add_date(to, message->date);
	text_add(to, "\r\nFrom: ");
	add_mailbox(to, message->from);
	text_printf(to, "\r\nTo: %s", message->to);
	if (message->reply_to != NULL)
		text_printf(to, "\r\nReply-To: %s", message->reply_to);
	text_printf(to, "\r\nMessage-ID:\r\n <%s>\r\nSubject: ", message->id);
	add_unstructured(to, message->subject);
	if (message->unsubscribe != NULL)
		text_printf(to,
		    "\r\nList-Unsubscribe:\r\n <%s>\r\n"
		    "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
		    message->unsubscribe);
	text_printf(to, "\r\nContent-Language: %s\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n",
	    message->language);
}

bool
message_write(struct text *to, const struct message *message)
{
	if (!mailbox_is_address(message->from->address) || !mailbox_is_address(message->to) || !is_id(message->id) ||
	    (message->reply_to != NULL && !mailbox_is_address(message->reply_to)) || message->language[0] == '\0' ||
	    strspn(message->language, ALNUM "-") != strlen(message->language) ||
	    (message->unsubscribe != NULL && !is_url(message->unsubscribe)))
		return false;
	add_headers(to, message);
	if (message->html != NULL)
		add_alternatives(to, message);
	else
		add_content(to, "text/plain", message->text);
	return !to->overflow;
}

#include "feature/announcement.h"

#include <ctype.h>
#include <string.h>

#include "base/arena.h"
#include "base/markdown.h"
#include "base/template.h"
#include "base/text.h"
#include "feature/announcement_foot_html.h" /* made from announcement_foot.html */
#include "feature/announcement_top_html.h"  /* made from announcement_top.html */

#define FILE_MAX ((size_t)64 << 10)
#define MAIL_MAX ((size_t)512 << 10)
#define SUBJECT_MAX 150

static const char *const names[LANGUAGE__COUNT] = {[LANGUAGE_EN] = "en", [LANGUAGE_NL] = "nl"};

enum word { WORD_WHY, WORD_STOP, WORD_HELP, WORD__COUNT };

static const char *const words[WORD__COUNT][LANGUAGE__COUNT] = {
    [WORD_WHY] = {"You get this because you switched announcements on.",
	"Je krijgt dit omdat je aankondigingen hebt aangezet."},
    [WORD_STOP] = {"Unsubscribe", "Afmelden"},
    [WORD_HELP] = {"Questions", "Vragen"},
};

static bool
is_text(const char *bytes, size_t len)
{
	for (size_t size; len > 0; bytes += size, len -= size) {
		size = text_utf8(bytes, len);
		if (size == 0 || (iscntrl((unsigned char)*bytes) && strchr("\n\t", *bytes) == NULL) || *bytes == '\0')
			return false;
	}
	return true;
}

/* The language whose part a line opens; LANGUAGE__COUNT: none. */
static enum language
opens(const char *line)
{
	for (enum language language = 0; language < LANGUAGE__COUNT; language++)
		if (strncmp(line, "# ", 2) == 0 && strncmp(line + 2, names[language], 2) == 0 && line[4] == ':')
			return language;
	return LANGUAGE__COUNT;
}

static const char *
trimmed(struct arena *arena, const char *text, size_t len)
{
	while (len > 0 && isspace((unsigned char)*text)) {
		text++;
		len--;
	}
	while (len > 0 && isspace((unsigned char)text[len - 1]))
		len--;
	return arena_strndup(arena, text, len);
}

/* Takes the file apart; the body of a part ends where the next one opens. */
static const char *
split(struct arena *arena, const char *file, struct announcement *announcement)
{
	struct announcement_part *part = NULL;
	const char *body = file, *line = file;

	for (int number = 1;; number++) {
		size_t len = strcspn(line, "\n");
		enum language language = opens(line);
		bool heading = strncmp(line, "# ", 2) == 0;
		if (heading || line[len] == '\0') {
			const char *end = heading ? line : line + len;
			const char *text = trimmed(arena, body, (size_t)(end - body));
			if (part != NULL)
				part->body = text;
			else if (*text != '\0')
				return "the file begins with \"# en: Subject\" or \"# nl: Onderwerp\"";
		}
		if (heading && (language == LANGUAGE__COUNT || announcement->part[language].subject != NULL))
			return arena_printf(
			    arena, "line %d: a heading of this size opens a part, en or nl, once each", number);
		if (heading) {
			part = &announcement->part[language];
			part->subject = trimmed(arena, line + 5, len - 5);
			body = line + len;
		}
		if (line[len] == '\0')
			return NULL;
		line += len + 1;
	}
}

static const char *
check_part(struct arena *arena, const struct announcement_part *part, const char *language)
{
	struct text text, html;
	const char *fault = NULL;
	int line = 0;

	if (part->subject == NULL || part->body == NULL || *part->subject == '\0' || *part->body == '\0')
		return arena_printf(arena, "%s: there must be a subject and a text", language);
	if (strlen(part->subject) > SUBJECT_MAX)
		return arena_printf(arena, "%s: the subject has more than %d bytes", language, SUBJECT_MAX);
	text_init(&text, arena, MAIL_MAX);
	text_init(&html, arena, MAIL_MAX);
	if (!markdown_write(part->body, &text, &html, &line, &fault))
		return arena_printf(
		    arena, "%s: line %d of the text: %s does not go into a mail", language, line, fault);
	if (text.overflow || html.overflow)
		return arena_printf(arena, "%s: the text is too long", language);
	return NULL;
}

bool
announcement_read(
    struct arena *arena, const char *bytes, size_t len, struct announcement *ret_announcement, const char **ret_error)
{
	struct announcement announcement = {0};
	const char *error = NULL;

	if (len > FILE_MAX || !is_text(bytes, len)) {
		*ret_error = "a file of at most 64 KiB of UTF-8, lines ending in \\n";
		return false;
	}
	error = split(arena, arena_strndup(arena, bytes, len), &announcement);
	for (enum language language = 0; error == NULL && language < LANGUAGE__COUNT; language++)
		error = check_part(arena, &announcement.part[language], names[language]);
	if (error != NULL) {
		*ret_error = error;
		return false;
	}
	*ret_announcement = announcement;
	return true;
}

bool
announcement_write(struct arena *arena, const struct announcement_part *part, const struct announcement_site *site,
    enum language language, struct announcement_mail *ret_mail)
{
	const struct template_value values[] = {
	    {"language", names[language]},
	    {"subject", part->subject},
	    {"why", words[WORD_WHY][language]},
	    {"stop", words[WORD_STOP][language]},
	    {"help", words[WORD_HELP][language]},
	    {"url", site->url},
	    {"support", site->support},
	    {"unsubscribe", site->unsubscribe},
	};
	const size_t count = sizeof values / sizeof *values;
	const char *fault;
	struct text text, html;
	int line;

	text_init(&text, arena, MAIL_MAX);
	text_init(&html, arena, MAIL_MAX);
	text_printf(&text, "ShotAI\n\n%s\n\n", part->subject);
	template_render(&html, (const char *)announcement_top_html, sizeof announcement_top_html, values, count);
	if (!markdown_write(part->body, &text, &html, &line, &fault))
		return false;
	template_render(&html, (const char *)announcement_foot_html, sizeof announcement_foot_html, values, count);
	text_printf(&text, "\n-- \n%s\n%s: %s\n%s: %s\n", words[WORD_WHY][language], words[WORD_STOP][language],
	    site->unsubscribe, words[WORD_HELP][language], site->support);
	ret_mail->text = text.data;
	ret_mail->html = html.data;
	return !text.overflow && !html.overflow;
}

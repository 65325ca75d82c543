#include "base/markdown.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#include <cmark-gfm.h>

#include "base/arena.h"
#include "base/text.h"

#define COLUMNS 72

static void
node_cleanup(cmark_node **node)
{
	if (*node != NULL)
		cmark_node_free(*node);
}
#define AUTO_NODE __attribute__((cleanup(node_cleanup))) cmark_node *

static void
walk_cleanup(cmark_iter **walk)
{
	cmark_iter_free(*walk);
}
#define AUTO_WALK __attribute__((cleanup(walk_cleanup))) cmark_iter *

/* What cmark's renderers return. */
static void
rendered_cleanup(char **rendered)
{
	cmark_get_default_mem_allocator()->free(*rendered);
}
#define AUTO_RENDERED __attribute__((cleanup(rendered_cleanup))) char *

static bool
leads_somewhere(const char *url)
{
	static const char *const schemes[] = {"https://", "http://", "mailto:"};

	for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
		if (strncasecmp(url, schemes[i], strlen(schemes[i])) == 0 && url[strlen(schemes[i])] != '\0')
			return true;
	return false;
}

/* What is wrong with a node, or NULL. */
static const char *
fault_of(cmark_node *node)
{
	cmark_node_type type = cmark_node_get_type(node);

	if (type == CMARK_NODE_HTML_BLOCK || type == CMARK_NODE_HTML_INLINE)
		return "HTML";
	if (type == CMARK_NODE_IMAGE)
		return "a picture";
	if (type == CMARK_NODE_LINK && !leads_somewhere(cmark_node_get_url(node)))
		return "a link that is not https, http or mailto";
	return NULL;
}

/* Inlines know no line of their own. */
static int
line_of(cmark_node *node)
{
	while (node != NULL && cmark_node_get_start_line(node) == 0)
		node = cmark_node_parent(node);
	return node != NULL ? cmark_node_get_start_line(node) : 0;
}

/* The link's label says its address already. */
static bool
shows_url(cmark_node *link)
{
	cmark_node *label = cmark_node_first_child(link);
	const char *url = cmark_node_get_url(link);

	if (label == NULL || label != cmark_node_last_child(link) || cmark_node_get_type(label) != CMARK_NODE_TEXT)
		return false;
	const char *text = cmark_node_get_literal(label);
	return strcmp(text, url) == 0 || (strncmp(url, "mailto:", 7) == 0 && strcmp(text, url + 7) == 0);
}

/* Puts the address of each link behind it. */
static void
spell_links(struct arena *arena, cmark_node *root)
{
	AUTO_WALK walk = cmark_iter_new(root);

	for (cmark_event_type event; (event = cmark_iter_next(walk)) != CMARK_EVENT_DONE;) {
		cmark_node *node = cmark_iter_get_node(walk);
		if (event != CMARK_EVENT_EXIT || cmark_node_get_type(node) != CMARK_NODE_LINK || shows_url(node))
			continue;
		cmark_node *address = cmark_node_new(CMARK_NODE_TEXT);
		cmark_node_set_literal(address, arena_printf(arena, " (%s)", cmark_node_get_url(node)));
		cmark_node_append_child(node, address);
	}
}

bool
markdown_write(const char *source, struct text *text, struct text *html, int *ret_line, const char **ret_fault)
{
	AUTO_NODE root = cmark_parse_document(source, strlen(source), CMARK_OPT_VALIDATE_UTF8);
	AUTO_WALK walk = cmark_iter_new(root);

	for (cmark_event_type event; (event = cmark_iter_next(walk)) != CMARK_EVENT_DONE;) {
		cmark_node *node = cmark_iter_get_node(walk);
		const char *fault = event == CMARK_EVENT_ENTER ? fault_of(node) : NULL;
		if (fault != NULL) {
			*ret_line = line_of(node);
			*ret_fault = fault;
			return false;
		}
	}
	AUTO_RENDERED as_html = cmark_render_html(root, CMARK_OPT_DEFAULT, NULL);
	text_add(html, as_html);
	spell_links(text->arena, root);
	AUTO_RENDERED as_text = cmark_render_plaintext(root, CMARK_OPT_DEFAULT, COLUMNS);
	text_add(text, as_text);
	return true;
}

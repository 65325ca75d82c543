#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/template.h"
#include "base/text.h"

static const struct template_value values[] = {
    {"name", "Ada"},
    {"markup", "<script>alert('x')</script> & \"quotes\""},
    {"empty", ""},
    {"absent", NULL},
    {"tag", "{{name}} {{#absent}}"},
};

static const char *
rendered(struct arena *arena, const char *template)
{
	struct text out;
	/* Not NUL-terminated, so that reading past the end shows. */
	size_t len = strlen(template);
	char *copy = arena_alloc(arena, len > 0 ? len : 1);
	memcpy(copy, template, len);
	text_init(&out, arena, 4096);
	template_render(&out, copy, len, values, sizeof values / sizeof *values);
	assert_false(out.overflow);
	return out.data;
}

static void
places_are_filled_in(void **state)
{
	(void)state;
	static const struct {
		const char *template, *expected;
	} rows[] = {
	    {"", ""},
	    {"plain", "plain"},
	    {"{ } {x} }} ", "{ } {x} }} "},
	    {"{{name}}", "Ada"},
	    {"<b>{{name}}</b>{{name}}!", "<b>Ada</b>Ada!"},
	    {"[{{empty}}|{{absent}}]", "[|]"},
	    {"{{#name}}yes{{/name}}{{^name}}no{{/name}}", "yes"},
	    {"{{#absent}}yes{{/absent}}{{^absent}}no{{/absent}}", "no"},
	    {"{{#empty}}there{{/empty}}", "there"},
	    {"a{{#absent}}b{{#name}}c{{name}}d{{/name}}e{{/absent}}f", "af"},
	    {"a{{#name}}b{{^absent}}{{name}}{{/absent}}c{{/name}}d", "abAdacd"},
	    {"a{{^absent}}b{{#absent}}c{{^absent}}d{{/absent}}{{/absent}}e{{/absent}}f", "abef"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		AUTO_ARENA arena = arena_new();
		assert_string_equal(rendered(arena, rows[i].template), rows[i].expected);
	}
}

static void
lists_are_repeated(void **state)
{
	(void)state;
	static const struct template_value people[] = {
	    {"name", "Bert"}, {"old", NULL}, {"name", "<Carla>"}, {"old", ""}};
	static const struct template_list lists[] = {
	    {"people", people, 2, 2}, {"nobody", NULL, 0, 2}, {"one", people + 2, 1, 2}};
	static const struct {
		const char *template, *expected;
	} rows[] = {
	    {"{{name}}: {{*people}}{{name}} {{/people}}{{name}}", "Ada: Bert &lt;Carla&gt; Ada"},
	    {"[{{*nobody}}{{name}}{{/nobody}}]", "[]"},
	    {"{{*people}}{{#old}}{{name}}{{/old}}{{^old}}-{{/old}}{{empty}}{{/people}}", "-&lt;Carla&gt;"},
	    {"{{#absent}}{{*people}}{{name}}{{/people}}{{/absent}}", ""},
	    {"{{*people}}{{*one}}{{name}},{{/one}}{{/people}}", "&lt;Carla&gt;,&lt;Carla&gt;,"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		AUTO_ARENA arena = arena_new();
		struct text out;
		text_init(&out, arena, 4096);
		template_render_data(&out, rows[i].template, strlen(rows[i].template),
		    &(struct template_data){values, sizeof values / sizeof *values, lists, 3});
		assert_string_equal(out.data, rows[i].expected);
	}
}

static void
every_value_is_escaped(void **state)
{
	(void)state;
	AUTO_ARENA arena = arena_new();
	const char *html = rendered(arena, "<p title=\"{{markup}}\">{{markup}}</p>");
	static const char escaped[] = "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; &quot;quotes&quot;";
	assert_string_equal(html, arena_printf(arena, "<p title=\"%s\">%s</p>", escaped, escaped));
}

static void
a_value_is_no_template(void **state)
{
	(void)state;
	AUTO_ARENA arena = arena_new();
	assert_string_equal(rendered(arena, "{{tag}}"), "{{name}} {{#absent}}");
}

static bool
aborts(const char *template)
{
	pid_t child = fork();
	if (child == 0) {
		setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
		if (freopen("/dev/null", "w", stderr) == NULL)
			_exit(2);
		AUTO_ARENA arena = arena_new();
		rendered(arena, template);
		_exit(0);
	}
	int status = 0;
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void
a_wrong_template_aborts(void **state)
{
	(void)state;
	static const char *const wrong[] = {"{{unknown}}", "{{#name}}", "{{/name}}", "{{#name}}{{/absent}}", "{{name",
	    "{{}}", "{{#name}}{{#absent}}{{/name}}{{/absent}}", "{{ name }}", "{{#absent}}{{unknown}}{{/absent}}",
	    "{{*unknown}}{{/unknown}}"};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		assert_true(aborts(wrong[i]));
	assert_false(aborts("{{name}}"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(places_are_filled_in),
	    cmocka_unit_test(lists_are_repeated),
	    cmocka_unit_test(every_value_is_escaped),
	    cmocka_unit_test(a_value_is_no_template),
	    cmocka_unit_test(a_wrong_template_aborts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

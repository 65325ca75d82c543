#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/multipart.h"

#define TYPE "multipart/form-data; boundary=XX"
#define NAMED "Content-Disposition: form-data; name=\"file\"; filename=\"a.png\"\r\n"

static bool
read_form(const char *type, const char *body, struct arena *arena, struct multipart_file *file)
{
	return multipart_read(arena, type, body, strlen(body), "file", file) == PROBLEM_NONE;
}

static void
what_clients_send_is_taken(void **state)
{
	(void)state;
	static const struct {
		const char *type, *body, *content_type, *content;
	} rows[] = {
	    {TYPE, "--XX\r\n" NAMED "Content-Type: image/png\r\n\r\nbytes\r\n--XX--\r\n", "image/png", "bytes"},
	    {TYPE, "--XX\r\n" NAMED "\r\nbytes\r\n--XX--", NULL, "bytes"},
	    {TYPE, "--XX\r\n" NAMED "\r\n\r\n--XX--\r\n", NULL, ""},
	    {TYPE, "--XX\r\n" NAMED "\r\n\r\n\r\n-\r\n--X\r\n--XX--\r\n", NULL, "\r\n\r\n-\r\n--X"},
	    {"MULTIPART/Form-Data ;charset=utf-8; BOUNDARY=\"X X\"", "--X X\r\n" NAMED "\r\nb\r\n--X X--\r\n", NULL,
		"b"},
	    {TYPE,
		"--XX\r\ncontent-type: image/webp\r\ncontent-disposition: form-data; name=file\r\n\r\nb\r\n--XX--\r\n",
		"image/webp", "b"},
	    {TYPE,
		"--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\\\"b;.png\"; "
		"filename*=utf-8''x\r\n"
		"Content-Length: 1\r\nContent-Transfer-Encoding: binary\r\n\r\nb\r\n--XX--\r\n",
		NULL, "b"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		AUTO_ARENA arena = arena_new();
		struct multipart_file file;
		assert_true(read_form(rows[i].type, rows[i].body, arena, &file));
		assert_int_equal(file.len, strlen(rows[i].content));
		assert_memory_equal(file.bytes, rows[i].content, file.len);
		if (rows[i].content_type == NULL)
			assert_null(file.content_type);
		else
			assert_string_equal(file.content_type, rows[i].content_type);
	}
}

static void
anything_else_is_refused(void **state)
{
	(void)state;
	static const struct {
		const char *type, *body;
	} rows[] = {
	    {"multipart/form-data", "--XX\r\n" NAMED "\r\nb\r\n--XX--\r\n"},
	    {"multipart/form-data; boundary=", "--\r\n" NAMED "\r\nb\r\n----\r\n"},
	    {"multipart/form-data; boundary=\"\"", "--\r\n" NAMED "\r\nb\r\n----\r\n"},
	    {"multipart/form-data; boundary=\"XX", "--XX\r\n" NAMED "\r\nb\r\n--XX--\r\n"},
	    {"multipart/form-data; boundary=XX; boundary=YY", "--XX\r\n" NAMED "\r\nb\r\n--XX--\r\n"},
	    {"multipart/form-data; boundary=\"X \"", "--X \r\n" NAMED "\r\nb\r\n--X --\r\n"},
	    {"multipart/form-data; boundary=\"X\x01\"", "--X\x01\r\n" NAMED "\r\nb\r\n--X\x01--\r\n"},
	    {"multipart/form-data; boundary="
	     "XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX",
		"--XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX\r\n" NAMED "\r\nb\r\n"
		"--XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX--"},
	    {"multipart/mixed; boundary=XX", "--XX\r\n" NAMED "\r\nb\r\n--XX--\r\n"},
	    {TYPE, ""},
	    {TYPE, "--XX--\r\n"},
	    {TYPE, "preamble\r\n--XX\r\n" NAMED "\r\nb\r\n--XX--\r\n"},
	    {TYPE, "--XX\r\n" NAMED "\r\nb\r\n--XX--\r\nepilogue"},
	    {TYPE, "--XX\r\n" NAMED "\r\nb\r\n--XX\r\n" NAMED "\r\nb\r\n--XX--\r\n"},
	    {TYPE,
		"--XX\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb\r\n--XX\r\n" NAMED "\r\nb\r\n--XX--\r\n"},
	    {TYPE, "--XX\r\n" NAMED "\r\nb\r\n--XX"},
	    {TYPE, "--XX\r\n" NAMED "\r\nb"},
	    {TYPE, "--XX\r\n" NAMED "\r\n--XX--\r\n"},
	    {TYPE, "--XX\n" NAMED "\r\nb\r\n--XX--\r\n"},
	    {TYPE, "--XX \r\n" NAMED "\r\nb\r\n--XX--\r\n"},
	    {TYPE, "--XX\r\n\r\nb\r\n--XX--\r\n"},
	    {TYPE, "--XX\r\n" NAMED NAMED "\r\nb\r\n--XX--\r\n"},
	    {TYPE, "--XX\r\n" NAMED "Content-Type: a/b\r\nContent-Type: a/b\r\n\r\nb\r\n--XX--\r\n"},
	    {TYPE, "--XX\r\n" NAMED "Content-Type: a/b\r\n folded\r\n\r\nb\r\n--XX--\r\n"},
	    {TYPE, "--XX\r\n" NAMED "Content-Transfer-Encoding: base64\r\n\r\nb\r\n--XX--\r\n"},
	    {TYPE, "--XX\r\nContent-Disposition: attachment; name=\"file\"\r\n\r\nb\r\n--XX--\r\n"},
	    {TYPE, "--XX\r\nContent-Disposition: form-data; name=\"files\"\r\n\r\nb\r\n--XX--\r\n"},
	    {TYPE, "--XX\r\nContent-Disposition: form-data; name=\"file\"; name=\"file\"\r\n\r\nb\r\n--XX--\r\n"},
	    {TYPE, "--XX\r\nContent-Disposition: form-data; name=\"file\r\n\r\nb\r\n--XX--\r\n"},
	    {TYPE, "--XX\r\nContent-Disposition: form-data; name=\"file\" x\r\n\r\nb\r\n--XX--\r\n"},
	    {TYPE, "--XX\r\nContent-Disposition: form-data; name=\"file\"\r\nA: 1\r\nB: 1\r\nC: 1\r\nD: 1\r\nE: "
		   "1\r\nF: 1\r\n"
		   "G: 1\r\nH: 1\r\n\r\nb\r\n--XX--\r\n"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		AUTO_ARENA arena = arena_new();
		struct multipart_file file;
		if (read_form(rows[i].type, rows[i].body, arena, &file))
			fail_msg("row %zu was taken: %s", i, rows[i].body);
	}
}

static void
content_may_hold_any_byte(void **state)
{
	(void)state;
	AUTO_ARENA arena = arena_new();
	struct multipart_file file;
	static const char body[] = "--XX\r\n" NAMED "\r\n\0\xff\0\r\n--XX--\r\n";
	assert_int_equal(multipart_read(arena, TYPE, body, sizeof body - 1, "file", &file), PROBLEM_NONE);
	assert_int_equal(file.len, 3);
	assert_memory_equal(file.bytes, "\0\xff\0", 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_clients_send_is_taken),
	    cmocka_unit_test(anything_else_is_refused),
	    cmocka_unit_test(content_may_hold_any_byte),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

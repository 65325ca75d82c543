#include <setjmp.h>
#include <signal.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"

static void
memory_is_zeroed_and_aligned(void **state)
{
	static const size_t sizes[] = {0, 1, 7, 8, 15, 16, 17, 100, 16384, 16385, 65535, 65536, 65537, 1 << 20};
	AUTO_ARENA arena = arena_new();

	(void)state;
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
			unsigned char *bytes = arena_alloc(arena, sizes[i]);

			assert_int_equal((uintptr_t)bytes % alignof(max_align_t), 0);
			for (size_t j = 0; j < sizes[i]; j++)
				assert_int_equal(bytes[j], 0);
			memset(bytes, 0xa5, sizes[i]);
		}
		arena_reset(arena);
	}
}

/* Each allocation keeps its own bytes while others of all sizes come between. */
static void
allocations_do_not_overlap(void **state)
{
	static const size_t sizes[] = {1 << 17, 3, 40000, 1, 64, 65536, 5000, 17, 16385, 16384, 2};
	enum { COUNT = 400 };
	AUTO_ARENA arena = arena_new();
	unsigned char *all[COUNT];

	(void)state;
	for (size_t i = 0; i < COUNT; i++) {
		size_t size = sizes[i % (sizeof sizes / sizeof *sizes)];

		all[i] = arena_alloc(arena, size);
		memset(all[i], (int)(i % 251), size);
	}
	for (size_t i = 0; i < COUNT; i++) {
		size_t size = sizes[i % (sizeof sizes / sizeof *sizes)];

		assert_int_equal(all[i][0], i % 251);
		assert_int_equal(all[i][size - 1], i % 251);
	}
}

static void
strings(void **state)
{
	AUTO_ARENA arena = arena_new();
	const char bytes[] = {'a', '\0', 'b'};
	char *copy = arena_strndup(arena, bytes, sizeof bytes);

	(void)state;
	assert_memory_equal(copy, "a\0b", 4);
	assert_string_equal(arena_strdup(arena, "text"), "text");
	assert_string_equal(arena_strdup(arena, ""), "");
	assert_null(arena_strdup(arena, NULL));
	assert_null(arena_strndup(arena, NULL, 5));
	assert_string_equal(arena_printf(arena, "%s-%d", "x", 42), "x-42");
	assert_string_equal(arena_printf(arena, "%s", ""), "");
}

/* The status of a child that does what must abort. */
static int
status_of(void (*run)(struct arena *arena))
{
	int status = 0;
	pid_t child = fork();

	if (child == 0) {
		close(STDERR_FILENO);
		signal(SIGABRT, SIG_DFL);
		run(arena_new());
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

static void
array_too_large(struct arena *arena)
{
	(void)arena_array(arena, SIZE_MAX / 2, 3);
}

static void
size_too_large(struct arena *arena)
{
	(void)arena_alloc(arena, SIZE_MAX - 4);
}

static void
overflow_aborts(void **state)
{
	(void)state;
	assert_true(WIFSIGNALED(status_of(array_too_large)));
	assert_true(WIFSIGNALED(status_of(size_too_large)));
}

#if SHOTAI_SANITIZE
static void
write_past_the_end(struct arena *arena)
{
	volatile char *bytes = arena_alloc(arena, 3);

	(void)arena_alloc(arena, 3);
	bytes[3] = 1;
}

static void
write_after_reset(struct arena *arena)
{
	volatile char *bytes = arena_alloc(arena, 3);

	arena_reset(arena);
	bytes[0] = 1;
}

static void
sanitizer_sees_an_overrun(void **state)
{
	(void)state;
	assert_int_not_equal(status_of(write_past_the_end), 0);
	assert_int_not_equal(status_of(write_after_reset), 0);
}
#endif

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_is_zeroed_and_aligned),
		cmocka_unit_test(allocations_do_not_overlap),
		cmocka_unit_test(strings),
		cmocka_unit_test(overflow_aborts),
#if SHOTAI_SANITIZE
		cmocka_unit_test(sanitizer_sees_an_overrun),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

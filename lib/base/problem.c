#include "base/problem.h"

#include <assert.h>
#include <string.h>

static const struct problem_kind kinds[] = {
#define X(name, status, code, en, nl) [PROBLEM_##name] = {status, code, {[LANGUAGE_EN] = en, [LANGUAGE_NL] = nl}},
    PROBLEM_LIST(X)
#undef X
};

const struct problem_kind *
problem_describe(enum problem problem)
{
	assert(problem > PROBLEM_NONE && problem < PROBLEM__COUNT);
	return &kinds[problem];
}

enum problem
problem_from_code(const char *code)
{
	for (enum problem problem = PROBLEM_NONE + 1; code != NULL && problem < PROBLEM__COUNT; problem++)
		if (strcmp(kinds[problem].code, code) == 0)
			return problem;
	return PROBLEM_INTERNAL;
}

#include "base/problem.h"

#include <assert.h>
#include <string.h>

static const struct problem_kind kinds[] = {
#define X(name, status, code, en, nl) [PROBLEM_##name] = {status, code, {[LANGUAGE_EN] = en, [LANGUAGE_NL] = nl}},
    PROBLEM_LIST(X)
#undef X
};

static const char *const details[PROBLEM__COUNT][LANGUAGE__COUNT] = {
#define X(name, en, nl) [PROBLEM_##name] = {[LANGUAGE_EN] = en, [LANGUAGE_NL] = nl},
    PROBLEM_DETAILS(X)
#undef X
};

const char *
problem_detail(enum problem problem, enum language language)
{
	assert(problem > PROBLEM_NONE && problem < PROBLEM__COUNT && language < LANGUAGE__COUNT);
	const char *detail = details[problem][language];
	return detail != NULL ? detail : kinds[problem].title[language];
}

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

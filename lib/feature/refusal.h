/*
 * What SQL functions refuse, in the reader's language. They know no language:
 * the details of their `errors` are the English sentences of one table, which
 * are put into the reader's words here.
 */
#ifndef SHOTAI_REFUSAL_H
#define SHOTAI_REFUSAL_H

#include "base/problem.h"
#include "feature/call.h"

/* db_call for a statement of this floor; a refusal's extras are translated. */
[[nodiscard]] enum problem refusal_call(struct call *call, const struct db_statement *statement,
    const char *const *parameters, size_t count, struct db_result **ret_rows);

#endif

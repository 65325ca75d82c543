#include "feature/metrics.h"

#include "base/text.h"

enum problem
metrics_write(struct db *db, struct arena *arena, struct text *text)
{
	static const struct db_statement metrics = {"select * from shotai.metrics()", true};
	AUTO_DB_RESULT rows = NULL;
	enum problem problem = db_call(db, arena, &metrics, NULL, 0, &rows, NULL);
	for (size_t row = 0; problem == PROBLEM_NONE && row < db_rows(rows); row++) {
		const char *name = db_text(rows, row, "name");
		text_printf(text, "# HELP shotai_%s %s\n# TYPE shotai_%s gauge\nshotai_%s %s\n", name,
		    db_text(rows, row, "help"), name, name, db_text(rows, row, "value"));
	}
	return problem;
}

/*
 * The files of sql/, as shotaictl migrate reads them: migrations and functions.
 */
#ifndef SHOTAI_SHOTAICTL_SCRIPTS_H
#define SHOTAI_SHOTAICTL_SCRIPTS_H

#include "shotaictl.h"

/* A file of sql/. */
struct script {
	const char *path;
	const char *version; /* of a migration: its 14 digits, else NULL */
	const char *name;    /* the file's name without version and suffix */
	const char *text;
};

/* Every *.sql file of folder, in order of their names. Fails with one line on stderr. */
enum exit_status scripts_read(
    struct arena *arena, const char *folder, bool versioned, struct script **ret_scripts, size_t *ret_count);
/* The folder with migrations/ and functions/: given, else ./sql, else the one beside the binary. NULL: there is none.
 */
const char *scripts_folder(struct arena *arena, const char *given);
/* Writes all functions as one migration file named after now; nothing when the newest such file holds the same. */
enum exit_status scripts_emit(struct arena *arena, const char *folder);

#endif

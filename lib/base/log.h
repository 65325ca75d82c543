/*
 * One line per event on stderr: time level program event key=value ...
 *
 * Values are quoted when they hold blanks or quotes, control characters are
 * escaped, so no input can forge a line. Nothing personal is ever logged:
 * no address, e-mail, prompt, token or SQL parameter. An id of a generation
 * or a request is fine.
 */
#ifndef SHOTAI_LOG_H
#define SHOTAI_LOG_H

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG__COUNT };

/* Once, in main: the name on every line and the least level that is written. */
void log_open(const char *program, enum log_level least);
/* The request id put on this thread's lines from now on; NULL for none. */
void log_request(const char *request_id);
/* The same with the id of a generation, for threads that work on one. */
void log_generation(const char *generation_id);
/* log_event(LOG_WARN, "db_lost", "sqlstate", code, NULL): pairs of key and value, then NULL. A NULL value is written as
 * "-". */
void log_event(enum log_level level, const char *event, ...) __attribute__((sentinel));

#endif

/*
 * What was asked of the stand-in, for tests: calls counted by prompt in memory
 * that all processes share and that outlives each of them, and the names of
 * the last call's headers and members. Prompts themselves are not kept.
 */
#ifndef SANDBOX_CALLS_H
#define SANDBOX_CALLS_H

#include <stdbool.h>
#include <stdint.h>

struct text;

/* In the parent, before its children: makes the memory, which they inherit as a descriptor. */
bool calls_create(void);
/* In a child: finds it. */
bool calls_open(void);

/* Counts a call; returns how many there were for this prompt, this one included. */
uint32_t calls_count(const char *prompt, uint32_t pictures);
/* Keeps two lists of names, cut to what fits. */
void calls_remember(const char *path, const char *headers, const char *fields);

/* {"calls","pictures"} of one prompt. */
void calls_write_one(struct text *text, const char *prompt);
/* {"items":[{"sha256_of_prompt","n","count"}],"last":{"path","headers":[],"fields":[]}} */
void calls_write_all(struct text *text);

#endif

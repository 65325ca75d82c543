/* What shotaictl can do: a row per command, in the order in which --help tells of them. */
#ifndef SHOTAICTL_COMMANDS_H
#define SHOTAICTL_COMMANDS_H

#include "shotaictl.h"

extern const struct command commands[];
extern const size_t command_count;

#endif

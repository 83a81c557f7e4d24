/* How every subcommand prints a result: a table, or JSON with --json. */
#ifndef KCSCTL_SHOW_H
#define KCSCTL_SHOW_H

#include <jansson.h>

#include "kcsctl/kcsctl.h"

/* Prints 'data' (borrowed) to stdout. Returns EXIT_OK or EXIT_FAILED. */
int kcsctl_show(const json_t *data, const struct options *options);

#endif

/* How every subcommand prints a result: a table, or JSON with --json. */
#ifndef KCSCTL_SHOW_H
#define KCSCTL_SHOW_H

#include <jansson.h>

#include "kcsctl/kcsctl.h"

/* Prints 'data' (borrowed) to stdout. Returns EXIT_OK or EXIT_FAILED. */
int kcsctl_show(const json_t *data, const struct options *options);

/* Gives the running node an order (a POST of 'body' to its admin interface) and prints what
 * came of it, or why nothing did. Returns EXIT_OK or as admin_post(). */
int kcsctl_order(const struct options *options, const char *path, const char *body);

#endif

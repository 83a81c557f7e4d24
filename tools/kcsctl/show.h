/* How every subcommand prints a result: a table, or JSON with --json. */
#ifndef KCSCTL_SHOW_H
#define KCSCTL_SHOW_H

#include <jansson.h>

#include "kcsctl/kcsctl.h"

/* Prints 'data' (borrowed) to stdout. Returns EXIT_OK or EXIT_FAILED. */
int kcsctl_show(const json_t *data, const struct options *options);

/* Asks the running node for 'path' and prints what it answers, or why it does not. Returns
 * EXIT_OK or as admin_get(). */
int kcsctl_get(const struct options *options, const char *path);

/* Appends "NAME=VALUE" to an address, escaped; nothing if the value is NULL. */
void kcsctl_add_query(char *path, size_t cap, const char *name, const char *value);

/* Gives the running node an order (a POST of 'body' to its admin interface) and prints what
 * came of it, or why nothing did. Returns EXIT_OK or as admin_post(). */
int kcsctl_order(const struct options *options, const char *path, const char *body);

#endif

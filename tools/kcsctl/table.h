/* Prints what the admin interface answers for people: a list of objects is a table whose
 * columns are the keys that occur, in order, so a new field appears by itself; lists of
 * objects inside the rows are counted there and follow as one table below; an object is a
 * list of names and values, with the lists inside it as tables below. */
#ifndef KCSCTL_TABLE_H
#define KCSCTL_TABLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* Prints 'data' (borrowed) to 'out'. 'color': headings in bold. Text from the network is
 * stripped of control characters, so a name cannot drive the terminal.
 *
 * Returns 0, or -ENOMEM with nothing more than part of the output written. */
int table_print(FILE *out, const json_t *data, bool color);

#endif

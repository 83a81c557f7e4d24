/* What kcs-loadgen can be told, of one table: the command line, its help and its manual page. */
#ifndef LOADGEN_USAGE_H
#define LOADGEN_USAGE_H

#include <getopt.h>
#include <stdio.h>

enum { USAGE_MAX_OPTIONS = 40 };

/* Fills 'out' with all options for getopt_long(), zeroes behind them. */
void usage_options(struct option out[USAGE_MAX_OPTIONS + 1]);

void usage_print_help(FILE *out);
void usage_print_manual(FILE *out); /* roff */
void usage_print_version(FILE *out);

#endif

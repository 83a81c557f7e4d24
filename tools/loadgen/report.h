/* The result of a run, for people and for programs. */
#ifndef LOADGEN_REPORT_H
#define LOADGEN_REPORT_H

struct account;
struct run;

/* Prints a table, or with --json an object, to stdout, and what failed to stderr. Returns 0
 * or -EIO. */
int report_print(const struct run *run, const struct account *all);

#endif

/* Numbers of the benchmarks: of options, of clocks, and the middle of many. */
#ifndef BENCHMARKS_NUMBERS_H
#define BENCHMARKS_NUMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* A decimal number from min to max: true, with 'out' filled; else says on stderr what is
 * wrong with option 'what'. */
bool number_parse(const char *what, const char *text, unsigned min, unsigned max,
                  unsigned *out);

/* Both sort the values, of which there is one at least. 'q' is from 0 to 1. */
double number_median(double *values, size_t n);
double number_quantile(double *values, size_t n, double q);

uint64_t number_clock_ns(clockid_t clock);

#endif

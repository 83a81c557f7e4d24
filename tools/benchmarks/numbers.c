#include "benchmarks/numbers.h"

#include <stdio.h>
#include <stdlib.h>

bool number_parse(const char *what, const char *text, unsigned min, unsigned max,
                  unsigned *out)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);

    if (text[0] < '0' || text[0] > '9' || *end != '\0' || n < min || n > max) {
        (void)fprintf(stderr, "%s: '%s' is not a number from %u to %u\n", what, text, min,
                      max);
        return false;
    }
    *out = (unsigned)n;
    return true;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

double number_quantile(double *values, size_t n, double q)
{
    size_t at = (size_t)(q * (double)n);

    qsort(values, n, sizeof(*values), by_value);
    return values[at < n ? at : n - 1];
}

double number_median(double *values, size_t n)
{
    return number_quantile(values, n, 0.5);
}

uint64_t number_clock_ns(clockid_t clock)
{
    struct timespec now;

    (void)clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* The floor of bench_idle.mjs: a program that is woken so often, and does nothing.
 *
 * usage: bench-sleeper WAKES_PER_SECOND SECONDS; prints the cores that it took. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { NS = 1000000000 };

static double seconds_of(clockid_t clock)
{
    struct timespec now;

    (void)clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / NS;
}

int main(int argc, char **argv)
{
    long wakes = argc == 3 ? strtol(argv[1], NULL, 10) : 0;
    double seconds = argc == 3 ? strtod(argv[2], NULL) : 0;
    double began;
    double cpu;

    if (wakes < 1 || wakes > NS || !(seconds > 0)) {
        (void)fprintf(stderr, "usage: bench-sleeper WAKES_PER_SECOND SECONDS\n");
        return 2;
    }
    began = seconds_of(CLOCK_MONOTONIC);
    cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
    while (seconds_of(CLOCK_MONOTONIC) - began < seconds) {
        const struct timespec moment = {.tv_sec = wakes == 1 ? 1 : 0,
                                        .tv_nsec = wakes == 1 ? 0 : NS / wakes};

        (void)nanosleep(&moment, NULL);
    }
    cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    (void)printf("%.6f\n", cpu / (seconds_of(CLOCK_MONOTONIC) - began));
    return 0;
}

#include "sys/clock.h"

#include <stdio.h>
#include <time.h>

static uint64_t read_us(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

uint64_t clock_mono_us(void)
{
    return read_us(CLOCK_MONOTONIC);
}

uint64_t clock_wall_us(void)
{
    return read_us(CLOCK_REALTIME);
}

struct timespec clock_deadline(clockid_t id, uint32_t ms)
{
    struct timespec until;

    (void)clock_gettime(id, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    return until;
}

int64_t clock_wall_s(void)
{
    return (int64_t)(clock_wall_us() / 1000000);
}

void clock_format(uint64_t wall_us, char out[CLOCK_RFC3339_LEN])
{
    /* Past the year 9999 RFC 3339 has no form: the last instant that has one stands in. */
    const uint64_t last = 253402300799u;
    uint64_t sec = wall_us / 1000000u;
    time_t t = (time_t)(sec > last ? last : sec);
    struct tm tm;

    gmtime_r(&t, &tm);
    snprintf(out, CLOCK_RFC3339_LEN, "%04u-%02u-%02uT%02u:%02u:%02u.%06uZ",
             ((unsigned)tm.tm_year + 1900u) % 10000u, ((unsigned)tm.tm_mon + 1u) % 100u,
             (unsigned)tm.tm_mday % 100u, (unsigned)tm.tm_hour % 100u,
             (unsigned)tm.tm_min % 100u, (unsigned)tm.tm_sec % 100u,
             (unsigned)(wall_us % 1000000u));
}

uint64_t clock_thread_us(void)
{
    return read_us(CLOCK_THREAD_CPUTIME_ID);
}

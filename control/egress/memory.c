#include "egress/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "egress/confine.h"

enum { LOOK_US = 1000000, MIB = 1 << 20, STACKS = 256 * MIB };

static struct {
    uint64_t most; /* 0: there is no limit */
    uint64_t looked_us;
    int statm;
} limit = {.statm = -1};

int memory_limit(unsigned mb)
{
    limit.most = (uint64_t)mb * MIB;
    if (mb == 0) {
        return 0;
    }
    limit.statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (limit.statm < 0) {
        return -errno;
    }
#ifndef CONFINE_LEAKS /* an address sanitizer has terabytes of it reserved */
    {
        /* It counts what is reserved: the stacks of threads, and 10 MiB for each stream. */
        const rlim_t hard = (rlim_t)(4 * limit.most + STACKS);

        if (setrlimit(RLIMIT_DATA, &(struct rlimit){hard, hard}) != 0) {
            return -errno;
        }
    }
#endif
    return 0;
}

bool memory_is_exceeded(uint64_t now_us, uint64_t *bytes)
{
    uint64_t size, resident, shared;
    char text[128];
    ssize_t n;

    if (limit.looked_us == 0) { /* the first look is a second away, too */
        limit.looked_us = now_us;
    }
    if (limit.most == 0 || now_us - limit.looked_us < LOOK_US) {
        return false;
    }
    limit.looked_us = now_us;
    n = pread(limit.statm, text, sizeof(text) - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    if (sscanf(text, "%" SCNu64 " %" SCNu64 " %" SCNu64, &size, &resident, &shared) != 3 ||
        resident < shared) {
        return false;
    }
    *bytes = (resident - shared) * (uint64_t)sysconf(_SC_PAGESIZE);
    return *bytes > limit.most;
}

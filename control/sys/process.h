/* What the kernel says of this process. Linux: /proc/self. Thread: any. */
#ifndef SYS_PROCESS_H
#define SYS_PROCESS_H

#include <stdint.h>

struct process_usage {
    double cpu_s;            /* user and system, of all threads */
    uint64_t resident_bytes;
    uint32_t open_files;
    uint32_t max_files;
    uint32_t threads;
};

/* Fills 'out'; what cannot be read is 0. */
void process_usage(struct process_usage *out);

#endif

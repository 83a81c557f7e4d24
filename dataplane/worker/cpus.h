/* lanes.cpus: the CPUs of lanes, which are to be theirs alone. */
#ifndef KCS_WORKER_CPUS_H
#define KCS_WORKER_CPUS_H

#include <stddef.h>
#include <stdint.h>

/* Looks whether this process may run on each of the 'n' CPUs, then takes itself, and what
 * threads it begins from then on, off them, if there are others; lanes go back to theirs.
 * Before DPDK starts, which begins threads. A CPU that is kept from all others (isolcpus)
 * may be given.
 *
 * err  filled with one line if there is one that it may not use
 *
 * Returns 0, -EINVAL then, or the errno of the system call. */
int cpus_set_aside(const uint16_t *cpus, uint32_t n, char *err, size_t err_cap);

#endif

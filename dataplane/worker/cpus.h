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

/* Looks which of the 'n' CPUs are of another NUMA node than 'node'. Those of which it is not
 * known are not counted.
 *
 * sys   where sysfs is, "/sys"
 * text  filled with one line that names them, empty if there is none
 *
 * Returns how many. */
uint32_t cpus_far_from(const uint16_t *cpus, uint32_t n, unsigned node, const char *sys,
                       char *text, size_t cap);

#endif

/* DPDK's environment and the packet pool. Private to this folder. */
#ifndef KCS_IO_EAL_H
#define KCS_IO_EAL_H

#include <rte_mempool.h>

#include "io/io.h"

/* Starts the EAL, once a process (a later call only checks). Logs nothing but to the buffer
 * behind eal_log_first(). Returns 0 or a negative errno with 'err' filled. */
int eal_start(const struct io_conf *conf, char *err, size_t err_cap);

/* Makes the packet pool, on the NUMA node of the configuration or of the first NIC.
 * One contiguous piece of memory where there are AF_XDP devices, which need it so. NULL on
 * failure, with 'err' filled. */
struct rte_mempool *eal_pool_create(const struct io_conf *conf, char *err, size_t err_cap);

/* The NUMA node + 1 of our memory, 0 if it is not known. */
unsigned eal_numa(void);

/* True if DPDK's memory lies in hugepages. */
bool eal_has_hugepages(void);

/* The first line that DPDK or libbpf logged as an error since eal_log_clear(), "" if none.
 * Start-up only. */
const char *eal_log_first(void);
void eal_log_clear(void);

#endif

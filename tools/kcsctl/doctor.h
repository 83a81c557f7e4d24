/* The parts of `kcsctl doctor`: what a machine lacks, each with the command that mends it.
 * Nothing is changed. Neighbours: doctor.c (the rest of it), doctor_devices.c. */
#ifndef KCSCTL_DOCTOR_H
#define KCSCTL_DOCTOR_H

#include <stdbool.h>

#include <jansson.h>

/* FAIL: no node runs here. WARN: something is slower or not to be had. */
enum level { LEVEL_OK, LEVEL_WARN, LEVEL_FAIL };

struct doctor {
    json_t *rows;
    bool failed;
    bool node_runs;
};

/* Adds a row; 'fix' only counts if the level is not OK. */
void doctor_note(struct doctor *doctor, const char *check, enum level level,
                 const char *found, const char *fix);

/* The number after 'key' in a /proc file of "key: number" lines, or -1. */
long long doctor_proc_number(const char *path, const char *key, int base);

/* Hugepages, for each NUMA node that there is. */
void doctor_hugepages(struct doctor *doctor);

/* Real network interfaces, for af_xdp: queues beside CPUs, NUMA node.
 *
 * sys  where sysfs is mounted */
void doctor_interfaces(struct doctor *doctor, const char *sys);

/* /dev/net/tun, for vdev:net_tap and the exception path of pci. */
void doctor_tap(struct doctor *doctor);

/* The IOMMU, vfio and what is bound to it, for pci. */
void doctor_pci(struct doctor *doctor, const char *sys, const char *dev);

#endif

/* See cpus.h. What a process was begun with does not tell where it may go: isolated CPUs
 * are not in it. So each is tried. */
#include "worker/cpus.h"

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

/* "0-3,6" */
static void put_list(const cpu_set_t *set, char *text, size_t cap)
{
    size_t at = 0;

    text[0] = '\0';
    for (int cpu = 0; cpu < CPU_SETSIZE && at < cap; cpu++) {
        int last = cpu;

        if (!CPU_ISSET((size_t)cpu, set)) {
            continue;
        }
        while (last + 1 < CPU_SETSIZE && CPU_ISSET((size_t)last + 1, set)) {
            last++;
        }
        at += (size_t)snprintf(text + at, cap - at, "%s%d", at > 0 ? "," : "", cpu);
        if (last > cpu && at < cap) {
            at += (size_t)snprintf(text + at, cap - at, "-%d", last);
        }
        cpu = last;
    }
}

static int try_cpu(uint16_t cpu)
{
    cpu_set_t one;

    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    return sched_setaffinity(0, sizeof(one), &one) == 0 ? 0 : -errno;
}

int cpus_set_aside(const uint16_t *cpus, uint32_t n, char *err, size_t err_cap)
{
    cpu_set_t ours, rest;
    char list[256];
    int e = 0;

    if (n == 0) {
        return 0;
    }
    if (sched_getaffinity(0, sizeof(ours), &ours) != 0) {
        (void)snprintf(err, err_cap, "cannot tell which CPUs may be used: %s",
                       strerror(errno));
        return -errno;
    }
    rest = ours;
    for (uint32_t i = 0; i < n && e == 0; i++) {
        e = try_cpu(cpus[i]);
        if (e != 0) {
            put_list(&ours, list, sizeof(list));
            (void)snprintf(
                err, err_cap,
                "lanes.cpus: CPU %u: %s; this process may run on %s (is it there, "
                "is it online, does the cgroup's cpuset have it?)",
                cpus[i], e == -EINVAL ? "there is none, or it is not ours" : strerror(-e),
                list);
        }
        CPU_CLR(cpus[i], &rest);
    }
    (void)sched_setaffinity(0, sizeof(ours),
                            e == 0 && CPU_COUNT(&rest) > 0 ? &rest : &ours);
    return e;
}

/* Returns the NUMA node of a CPU, or -1. */
static int node_of(const char *sys, uint16_t cpu)
{
    char path[256];
    int node = -1;
    struct dirent *it;
    DIR *dir;

    (void)snprintf(path, sizeof(path), "%s/devices/system/cpu/cpu%u", sys, cpu);
    dir = opendir(path);
    while (dir != NULL && node < 0 && (it = readdir(dir)) != NULL) {
        if (sscanf(it->d_name, "node%d", &node) != 1) {
            node = -1;
        }
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    return node;
}

uint32_t cpus_far_from(const uint16_t *cpus, uint32_t n, unsigned node, const char *sys,
                       char *text, size_t cap)
{
    char list[256];
    uint32_t n_far = 0;
    cpu_set_t far;

    CPU_ZERO(&far);
    for (uint32_t i = 0; i < n; i++) {
        int at = node_of(sys, cpus[i]);

        if (at >= 0 && (unsigned)at != node) {
            CPU_SET(cpus[i], &far);
            n_far++;
        }
    }
    text[0] = '\0';
    if (n_far > 0) {
        put_list(&far, list, sizeof(list));
        (void)snprintf(text, cap,
                       "lanes.cpus: CPU %s: of another NUMA node than the packets' memory "
                       "(node %u): each packet crosses over; 'lscpu' tells which are of it",
                       list, node);
    }
    return n_far;
}

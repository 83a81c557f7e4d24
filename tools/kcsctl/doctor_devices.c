/* What the device kinds of a dataplane need of a machine, see doctor.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kcsctl/doctor.h"

enum { NODE_MIN_MIB = 512 }; /* the defaults of conf/ need some 350 */

/* The first number of a file, or -1. */
static long long number_of(const char *path)
{
    FILE *file = fopen(path, "re");
    long long value = -1;

    if (file != NULL) {
        if (fscanf(file, "%lld", &value) != 1) {
            value = -1;
        }
        fclose(file);
    }
    return value;
}

/* Counts the entries of a directory whose names contain 'part'. */
static unsigned count_entries(const char *path, const char *part)
{
    DIR *dir = opendir(path);
    unsigned n = 0;

    for (struct dirent *it = dir != NULL ? readdir(dir) : NULL; it != NULL;
         it = readdir(dir)) {
        n += it->d_name[0] != '.' && strstr(it->d_name, part) != NULL;
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return n;
}

void doctor_hugepages(struct doctor *doctor)
{
    long long n_free = doctor_proc_number("/proc/meminfo", "HugePages_Free", 10);
    long long size_kib = doctor_proc_number("/proc/meminfo", "Hugepagesize", 10);
    long long mib = n_free > 0 && size_kib > 0 ? n_free * size_kib / 1024 : 0;
    char found[64];

    snprintf(found, sizeof(found), "%lld MiB free", mib);
    doctor_note(doctor, "hugepages",
                mib >= NODE_MIN_MIB || doctor->node_runs ? LEVEL_OK : LEVEL_WARN, found,
                "sysctl -w vm.nr_hugepages=256 (without: pci does not open, all else is "
                "somewhat slower)");
    for (unsigned node = 0; node < 64; node++) {
        char path[96], check[32];
        long long n;

        snprintf(path, sizeof(path),
                 "/sys/devices/system/node/node%u/hugepages/hugepages-2048kB/"
                 "free_hugepages",
                 node);
        n = number_of(path);
        if (n < 0 || access("/sys/devices/system/node/node1", F_OK) != 0) {
            break; /* one node: said already */
        }
        snprintf(check, sizeof(check), "hugepages node %u", node);
        snprintf(found, sizeof(found), "%lld MiB free", n * 2);
        snprintf(path, sizeof(path),
                 "echo 256 >/sys/devices/system/node/node%u/hugepages/"
                 "hugepages-2048kB/nr_hugepages",
                 node);
        doctor_note(doctor, check,
                    n * 2 >= NODE_MIN_MIB || doctor->node_runs ? LEVEL_OK : LEVEL_WARN,
                    found, path);
    }
}

static void check_interface(struct doctor *doctor, const char *sys, const char *name)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    char path[PATH_MAX], check[64], found[96], fix[160];
    unsigned n_queues;
    long long node;

    snprintf(path, sizeof(path), "%s/class/net/%s/queues", sys, name);
    n_queues = count_entries(path, "rx-");
    snprintf(path, sizeof(path), "%s/class/net/%s/device/numa_node", sys, name);
    node = number_of(path);
    snprintf(check, sizeof(check), "af_xdp:%.15s", name);
    snprintf(found, sizeof(found), "%u receive queues", n_queues);
    if (node >= 0) {
        snprintf(found + strlen(found), sizeof(found) - strlen(found), ", NUMA node %lld",
                 node);
    }
    snprintf(
        fix, sizeof(fix),
        "ethtool -L %.15s combined %ld: each queue holds 4096 packets of memory.packets, each "
        "lane 512",
        name, cpus);
    doctor_note(doctor, check,
                cpus > 0 && n_queues > (unsigned)cpus ? LEVEL_WARN : LEVEL_OK, found, fix);
}

void doctor_interfaces(struct doctor *doctor, const char *sys)
{
    char path[PATH_MAX];
    struct dirent *it;
    DIR *dir;

    snprintf(path, sizeof(path), "%s/class/net", sys);
    dir = opendir(path);
    while (dir != NULL && (it = readdir(dir)) != NULL) {
        snprintf(path, sizeof(path), "%s/class/net/%s/device", sys, it->d_name);
        if (it->d_name[0] != '.' && access(path, F_OK) == 0) {
            check_interface(doctor, sys, it->d_name);
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
}

void doctor_tap(struct doctor *doctor)
{
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    int err = errno;

    doctor_note(doctor, "tap", fd >= 0 ? LEVEL_OK : LEVEL_WARN,
                fd >= 0 ? "/dev/net/tun opens" : strerror(err),
                err == ENOENT ? "modprobe tun (vdev:net_tap and the host's tap of pci need "
                                "it)"
                              : "run as root, or let the user open /dev/net/tun");
    if (fd >= 0) {
        close(fd);
    }
}

/* Notes what is bound to drivers that DPDK can use. */
static void check_bound(struct doctor *doctor, const char *sys)
{
    static const char *const drivers[] = {"vfio-pci", "mlx5_core", "mlx4_core",
                                          "uio_pci_generic", "igb_uio"};
    char found[96] = "no device";
    unsigned n = 0;

    for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]) && n == 0; i++) {
        char path[PATH_MAX];

        snprintf(path, sizeof(path), "%s/bus/pci/drivers/%s", sys, drivers[i]);
        n = count_entries(path, ":"); /* as in PCI addresses */
        if (n > 0) {
            snprintf(found, sizeof(found), "%u bound to %s", n, drivers[i]);
        }
    }
    doctor_note(
        doctor, "pci driver", n > 0 ? LEVEL_OK : LEVEL_WARN, found,
        "modprobe vfio-pci && dpdk-devbind.py -b vfio-pci ADDRESS (the kernel loses "
        "the NIC: not the one you are logged in by; 'dpdk-devbind.py --status' lists "
        "them)");
}

void doctor_pci(struct doctor *doctor, const char *sys, const char *dev)
{
    char path[PATH_MAX], found[96];
    unsigned n_groups;
    int unsafe = 0;
    FILE *file;

    snprintf(path, sizeof(path), "%s/kernel/iommu_groups", sys);
    n_groups = count_entries(path, "");
    snprintf(path, sizeof(path), "%s/module/vfio/parameters/enable_unsafe_noiommu_mode",
             sys);
    file = fopen(path, "re");
    if (file != NULL) {
        unsafe = fgetc(file);
        fclose(file);
    }
    snprintf(found, sizeof(found), "%u groups%s", n_groups,
             unsafe == 'Y' ? ", vfio works without (unsafe)" : "");
    doctor_note(
        doctor, "pci iommu", n_groups > 0 || unsafe == 'Y' ? LEVEL_OK : LEVEL_WARN, found,
        "switch VT-d or AMD-Vi on in the firmware and add 'intel_iommu=on iommu=pt' "
        "(AMD: 'iommu=pt') to the kernel's command line; without one: 'echo 1 "
        ">/sys/module/vfio/parameters/enable_unsafe_noiommu_mode'");
    snprintf(path, sizeof(path), "%s/vfio/vfio", dev);
    doctor_note(doctor, "pci vfio", access(path, F_OK) == 0 ? LEVEL_OK : LEVEL_WARN,
                access(path, F_OK) == 0 ? path : "no /dev/vfio/vfio",
                "modprobe vfio-pci (mlx5 needs none)");
    check_bound(doctor, sys);
}

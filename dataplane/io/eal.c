/* DPDK as a library of this process: one main lcore that is not pinned, no PCI devices but
 * those that are asked for, no files, no telemetry. Lanes are plain threads that register
 * themselves, so there may be more of them than cores. */
#include "io/eal.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <linux/mempolicy.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/libbpf.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <rte_mbuf.h>

#include "io/mbuf.h"
#include "io/port.h"

enum {
    EAL_MAX_ARGS = 16 + 2 * IO_MAX_DEVICES,
    /* The AF_XDP driver leaves 256 bytes of the headroom to the kernel; a payload begins
     * after the outer headers and still has PKT_ROOM bytes. */
    EAL_DATA_ROOM = RTE_PKTMBUF_HEADROOM + 256 + 64 + PKT_ROOM,
    EAL_PRIV_LEN = RTE_ALIGN_CEIL(sizeof(struct pkt), RTE_CACHE_LINE_SIZE),
    EAL_POOL_CACHE = 256,
    EAL_ELEMENT_MAX = 64 + sizeof(struct rte_mbuf) + EAL_PRIV_LEN + EAL_DATA_ROOM + 128
};

_Static_assert(EAL_PRIV_LEN % RTE_MBUF_PRIV_ALIGN == 0, "DPDK's alignment");
_Static_assert(EAL_ELEMENT_MAX <= 4096, "an AF_XDP chunk is at most a page");
_Static_assert(PKT_ROOM >= PKT_HDR_MAX + PKT_MAX_DATAGRAM, "an egress packet fits");

/* The EAL is a singleton of the process, so is what we know of it. */
static struct {
    bool started;
    bool hugepages;
    int node; /* of our memory; SOCKET_ID_ANY: not known */
    char log[2048];
    FILE *log_stream;
} eal;

const char *eal_log_first(void)
{
    char *end;

    if (eal.log_stream == NULL) {
        return "";
    }
    fflush(eal.log_stream);
    end = strchr(eal.log, '\n');
    if (end != NULL) {
        *end = '\0';
    }
    return eal.log;
}

void eal_log_clear(void)
{
    if (eal.log_stream != NULL) {
        fflush(eal.log_stream);
        rewind(eal.log_stream);
        memset(eal.log, 0, sizeof(eal.log));
    }
}

/* libbpf knows what DPDK's driver does not say. */
static int log_libbpf(enum libbpf_print_level level, const char *format, va_list ap)
{
    return level == LIBBPF_WARN && eal.log_stream != NULL
               ? vfprintf(eal.log_stream, format, ap)
               : 0;
}

static void log_open(void)
{
    libbpf_set_print(log_libbpf);
    eal.log_stream = fmemopen(eal.log, sizeof(eal.log), "w");
    if (eal.log_stream != NULL) {
        rte_openlog_stream(eal.log_stream);
    }
}

unsigned eal_numa(void)
{
    return eal.started && eal.node >= 0 ? (unsigned)eal.node + 1 : 0;
}

bool eal_has_hugepages(void)
{
    return eal.hugepages;
}

static size_t memory_mb(const struct io_conf *conf)
{
    size_t mbufs = conf->n_mbufs != 0 ? conf->n_mbufs : IO_DEFAULT_MBUFS;
    size_t heap = conf->heap_mb != 0 ? conf->heap_mb : IO_DEFAULT_HEAP_MB;

    return (mbufs * EAL_ELEMENT_MAX >> 20) + heap + 16;
}

/* Free hugepages of the default size, in megabytes. */
static size_t hugepages_free_mb(void)
{
    FILE *file = fopen("/proc/meminfo", "re");
    char line[128];
    size_t n_free = 0, size_kb = 0;

    if (file == NULL) {
        return 0;
    }
    while (fgets(line, sizeof(line), file) != NULL) {
        (void)sscanf(line, "HugePages_Free: %zu", &n_free);
        (void)sscanf(line, "Hugepagesize: %zu", &size_kb);
    }
    fclose(file);
    return n_free * size_kb >> 10;
}

/* "0@(2,3)": lcore 0, on every CPU that this process may use. */
static int lcores_arg(char *arg, size_t cap, const cpu_set_t *cpus)
{
    size_t at = (size_t)snprintf(arg, cap, "--lcores=0@(");
    const char *comma = "";

    for (unsigned cpu = 0; cpu < CPU_SETSIZE && at < cap; cpu++) {
        if (CPU_ISSET(cpu, cpus)) {
            at += (size_t)snprintf(arg + at, cap - at, "%s%u", comma, cpu);
            comma = ",";
        }
    }
    if (at < cap) {
        at += (size_t)snprintf(arg + at, cap - at, ")");
    }
    return at < cap ? 0 : -E2BIG;
}

static int hugepages_decide(const struct io_conf *conf, char *err, size_t err_cap)
{
    size_t need = memory_mb(conf), have = hugepages_free_mb();

    eal.hugepages = conf->hugepages != IO_HUGEPAGES_NEVER && have >= need;
    if (conf->hugepages == IO_HUGEPAGES_ALWAYS && !eal.hugepages) {
        return io_fail(err, err_cap, -ENOMEM,
                       "hugepages: %zu MB are needed, %zu MB are free: 'sysctl "
                       "vm.nr_hugepages=%zu' makes enough 2 MB pages",
                       need, have, (need + 1) / 2);
    }
    return 0;
}

/* It is made all the same, and stays empty. */
static void runtime_dir_remove(void)
{
    char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s", rte_eal_get_runtime_dir());
    (void)rmdir(path);
    (void)rmdir(dirname(path)); /* /run/dpdk, if we are alone */
}

/* The NUMA node of the first device that has one, or SOCKET_ID_ANY. */
static int numa_of_devices(const struct io_conf *conf)
{
    for (unsigned i = 0; i < conf->n_devices; i++) {
        const char *name = strchr(conf->devices[i], ':');
        bool pci = strncmp(conf->devices[i], "pci:", 4) == 0;
        char path[128];
        int node = -1;
        FILE *file;

        if (name == NULL || (!pci && strncmp(conf->devices[i], "af_xdp:", 7) != 0)) {
            continue;
        }
        snprintf(path, sizeof(path), "/sys/%s/%.32s%s/numa_node",
                 pci ? "bus/pci/devices" : "class/net", name + 1, pci ? "" : "/device");
        file = fopen(path, "re");
        if (file != NULL) {
            if (fscanf(file, "%d", &node) != 1) {
                node = -1;
            }
            fclose(file);
        }
        if (node >= 0) {
            return node;
        }
    }
    return SOCKET_ID_ANY;
}

/* Has all that this process touches from now on come from that node, with hugepages or
 * without: DPDK's heap, the pool, tables, rings. Returns 0 or a negative errno. */
static int numa_prefer(unsigned node)
{
    const unsigned long mask = 1ul << node;

    /* the kernel wants one more than the bits that count */
    return syscall(SYS_set_mempolicy, MPOL_PREFERRED, &mask, 8 * sizeof(mask) + 1) == 0
               ? 0
               : -errno;
}

static int numa_decide(const struct io_conf *conf, char *err, size_t err_cap)
{
    int node = conf->numa != 0 ? (int)conf->numa - 1 : numa_of_devices(conf);
    int code = node >= 0 && node < 64 ? numa_prefer((unsigned)node) : 0;

    if (code != 0 && conf->numa != 0) {
        return io_fail(err, err_cap, code,
                       "memory.numa: node %d: %s; 'lscpu' tells which there are", node,
                       strerror(-code));
    }
    eal.node = code == 0 ? node : SOCKET_ID_ANY;
    return 0;
}

int eal_start(const struct io_conf *conf, char *err, size_t err_cap)
{
    static char lcores[4096], memory[24], prefix[48];
    char *args[EAL_MAX_ARGS];
    bool pci = false;
    int n = 0, code;
    cpu_set_t cpus;

    if (eal.started) {
        return 0;
    }
    code = hugepages_decide(conf, err, err_cap);
    if (code == 0) {
        code = numa_decide(conf, err, err_cap);
    }
    if (code != 0) {
        return code;
    }
    if (sched_getaffinity(0, sizeof(cpus), &cpus) != 0 ||
        lcores_arg(lcores, sizeof(lcores), &cpus) != 0) {
        return io_fail(err, err_cap, -E2BIG, "cannot tell which CPUs may be used");
    }
    snprintf(memory, sizeof(memory), "%zu", memory_mb(conf));
    snprintf(prefix, sizeof(prefix), "--file-prefix=kcs-%ld", (long)getpid());
    args[n++] = (char *)"kcs-dataplane";
    args[n++] = lcores;
    args[n++] = prefix;
    for (unsigned i = 0; i < conf->n_devices; i++) {
        if (strncmp(conf->devices[i], "pci:", 4) == 0) {
            args[n++] = (char *)"-a"; /* these and no others */
            args[n++] = (char *)(uintptr_t)(conf->devices[i] + 4);
            pci = true;
        }
    }
    if (!pci) {
        args[n++] = (char *)"--no-pci";
    }
    args[n++] = (char *)"--no-telemetry";
    if (!pci || !eal.hugepages) {
        args[n++] = (char *)"--iova-mode=va"; /* else as its IOMMU has it */
    }
    args[n++] = (char *)"--log-level=error";
    /* both keep no files, so a killed process leaves none */
    args[n++] = eal.hugepages ? (char *)"--in-memory" : (char *)"--no-huge";
    if (!eal.hugepages) {
        args[n++] = (char *)"--no-shconf";
    }
    args[n++] = (char *)"-m";
    args[n++] = memory;
    args[n] = NULL;
    log_open();
    if (rte_eal_init(n, args) < 0) {
        return io_fail(err, err_cap, rte_errno != 0 ? -rte_errno : -EIO,
                       "DPDK does not start: %s (%s)", rte_strerror(rte_errno),
                       eal_log_first());
    }
    runtime_dir_remove();
    sched_setaffinity(0, sizeof(cpus), &cpus);
    eal.started = true;
    return 0;
}

static bool has_af_xdp(const struct io_conf *conf)
{
    for (unsigned i = 0; i < conf->n_devices; i++) {
        if (strcmp(conf->devices[i], "auto") == 0 ||
            strcmp(conf->devices[i], "veth") == 0 ||
            strncmp(conf->devices[i], "af_xdp:", 7) == 0) {
            return true;
        }
    }
    return false;
}

/* Returns NULL, with nothing left, if the node has not enough memory in a piece. */
static struct rte_mempool *pool_on(const struct io_conf *conf, unsigned n, int node)
{
    struct rte_pktmbuf_pool_private room = {.mbuf_data_room_size = EAL_DATA_ROOM,
                                            .mbuf_priv_size = EAL_PRIV_LEN};
    unsigned size = (unsigned)sizeof(struct rte_mbuf) + EAL_PRIV_LEN + EAL_DATA_ROOM;
    struct rte_mempool *pool;

    /* Without hugepages rte_pktmbuf_pool_create() would leave a gap at the end of each
     * page, which the AF_XDP driver does not expect: it would register too short an area
     * and lose the packets past its end. Without hugepages there is no NIC either, which
     * alone needs physical contiguity. */
    pool = rte_mempool_create_empty("kcs_pkts", n, size, EAL_POOL_CACHE, sizeof(room), node,
                                    eal.hugepages ? 0 : RTE_MEMPOOL_F_NO_IOVA_CONTIG);
    if (pool == NULL) {
        return NULL;
    }
    rte_pktmbuf_pool_init(pool, &room);
    if (rte_mempool_populate_default(pool) < 0 ||
        (has_af_xdp(conf) && pool->nb_mem_chunks != 1)) {
        rte_mempool_free(pool);
        return NULL;
    }
    rte_mempool_obj_iter(pool, rte_pktmbuf_init, NULL);
    return pool;
}

struct rte_mempool *eal_pool_create(const struct io_conf *conf, char *err, size_t err_cap)
{
    unsigned n = conf->n_mbufs != 0 ? conf->n_mbufs : IO_DEFAULT_MBUFS;
    int node = eal.hugepages ? eal.node : SOCKET_ID_ANY; /* else the policy does it */
    struct rte_mempool *pool;

    eal_log_clear();
    pool = pool_on(conf, n, node);
    if (pool == NULL && node != SOCKET_ID_ANY && conf->numa == 0) {
        pool = pool_on(conf, n, SOCKET_ID_ANY);
    }
    if (pool == NULL) {
        io_fail(err, err_cap, -ENOMEM,
                "no memory for a pool of %u packets in one piece: %s", n, eal_log_first());
    }
    return pool;
}

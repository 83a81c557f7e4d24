/* What a node needs of its machine, looked at without changing anything (a veth pair is
 * tried in a network namespace that vanishes with its process). */
#include <arpa/inet.h>
#include <cpuid.h>
#include <errno.h>
#include <jansson.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/capability.h>

#include "kcsctl/admin.h"
#include "kcsctl/doctor.h"
#include "kcsctl/kcsctl.h"
#include "kcsctl/show.h"

enum {
    MEDIA_PORT = 40000, /* the defaults of conf/ */
    HTTP_PORT = 8080,
    METRICS_PORT = 9090,
    MEMLOCK_MIB = 256,
    FILES_MIN = 16384,
};

/* Notes one result; 'fix' only counts if the level is not OK. */
void doctor_note(struct doctor *doctor, const char *check, enum level level,
                 const char *found, const char *fix)
{
    static const char *const names[] = {"ok", "warn", "fail"};

    json_array_append_new(doctor->rows, json_pack("{s:s, s:s, s:s, s:s}", "check", check,
                                                  "result", names[level], "found", found,
                                                  "fix", level == LEVEL_OK ? "" : fix));
    doctor->failed = doctor->failed || level == LEVEL_FAIL;
}

long long doctor_proc_number(const char *path, const char *key, int base)
{
    FILE *file = fopen(path, "re");
    char line[256];
    long long value = -1;

    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, key, strlen(key)) == 0 && line[strlen(key)] == ':') {
            value = strtoll(line + strlen(key) + 1, NULL, base);
            break;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return value;
}

static void check_node(struct doctor *doctor, const char *socket)
{
    json_t *data = NULL;
    char err[512];

    doctor->node_runs =
        admin_get(socket, "/status", &data, err, sizeof(err)) != EXIT_UNREACHABLE;
    json_decref(data);
    doctor_note(doctor, "node", doctor->node_runs ? LEVEL_OK : LEVEL_WARN,
                doctor->node_runs ? "runs" : "does not run", "start one with tools/run");
}

static void check_cpu(struct doctor *doctor)
{
    unsigned a = 0, b = 0, c = 0, d = 0, b7 = 0;
    bool avx2, aes;

    __get_cpuid(1, &a, &b, &c, &d);
    aes = (c & bit_AES) != 0;
    avx2 = __get_cpuid_count(7, 0, &a, &b7, &c, &d) != 0 && (b7 & bit_AVX2) != 0;
    doctor_note(doctor, "cpu avx2", avx2 ? LEVEL_OK : LEVEL_FAIL, avx2 ? "yes" : "no",
                "the dataplane is built for x86-64-v3: use a CPU (or a VM type that shows "
                "one) with "
                "AVX2. A build for x86-64-v2 runs, but one killed in the midst of a packet "
                "may then "
                "take that packet twice");
    doctor_note(
        doctor, "cpu aes", aes ? LEVEL_OK : LEVEL_WARN, aes ? "yes" : "no",
        "use a CPU (or a VM type that shows one) with AES-NI: encryption is ten times "
        "slower");
}

static void check_capabilities(struct doctor *doctor)
{
    static const struct {
        const char *name;
        int cap;
        const char *fix;
    } wanted[] = {
        {"CAP_NET_ADMIN", CAP_NET_ADMIN, "devices veth, af_xdp, the tap of pci"},
        {"CAP_NET_RAW", CAP_NET_RAW, "devices veth, af_xdp"},
        {"CAP_BPF", CAP_BPF, "devices veth, af_xdp"},
        {"CAP_IPC_LOCK", CAP_IPC_LOCK, "locked memory for keys and AF_XDP"},
    };
    long long caps = doctor_proc_number("/proc/self/status", "CapEff", 16);
    char fix[128];

    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        bool has = caps >= 0 && (caps >> wanted[i].cap & 1) != 0;

        snprintf(fix, sizeof(fix), "run as root, or grant it (%s need it; udp does not)",
                 wanted[i].fix);
        doctor_note(doctor, wanted[i].name, has ? LEVEL_OK : LEVEL_WARN, has ? "yes" : "no",
                    fix);
    }
}

static void check_af_xdp(struct doctor *doctor)
{
    int fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);

    doctor_note(doctor, "af_xdp", fd >= 0 ? LEVEL_OK : LEVEL_WARN,
                fd >= 0 ? "socket opens" : strerror(errno),
                errno == EAFNOSUPPORT
                    ? "use a kernel with CONFIG_XDP_SOCKETS, or the device udp"
                    : "run as root, or use the device udp");
    if (fd >= 0) {
        close(fd);
    }
}

/* Runs in a child: makes a veth pair in a network namespace of its own. */
static void try_veth(void)
{
    if (unshare(CLONE_NEWNET) != 0) {
        _exit(2);
    }
    if (freopen("/dev/null", "we", stderr) == NULL) {
        _exit(1);
    }
    execlp("ip", "ip", "link", "add", "kcsa", "type", "veth", "peer", "name", "kcsb", NULL);
    _exit(3);
}

static void check_veth(struct doctor *doctor)
{
    static const char *const found[] = {"can be made", "cannot be made",
                                        "no right to try (CAP_SYS_ADMIN)",
                                        "'ip' is missing"};
    pid_t pid;
    int status = 0, code;

    fflush(NULL);
    pid = fork();
    if (pid == 0) {
        try_veth();
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status)) {
        status = 1 << 8;
    }
    code = WEXITSTATUS(status) <= 3 ? WEXITSTATUS(status) : 1;
    doctor_note(doctor, "veth", code == 0 ? LEVEL_OK : LEVEL_WARN, found[code],
                code == 3   ? "apt install iproute2"
                : code == 2 ? "run as root, or use the device udp"
                            : "modprobe veth, or use the device udp");
}

static void check_limits(struct doctor *doctor)
{
    bool lock_free =
        doctor_proc_number("/proc/self/status", "CapEff", 16) >> CAP_IPC_LOCK & 1;
    struct rlimit memlock = {0}, files = {0};
    char found[64];
    bool ok;

    getrlimit(RLIMIT_MEMLOCK, &memlock);
    getrlimit(RLIMIT_NOFILE, &files);
    ok = lock_free || memlock.rlim_cur >= (rlim_t)MEMLOCK_MIB << 20;
    if (lock_free || memlock.rlim_cur == RLIM_INFINITY) {
        snprintf(found, sizeof(found), "unlimited");
    } else {
        snprintf(found, sizeof(found), "%llu KiB",
                 (unsigned long long)(memlock.rlim_cur >> 10));
    }
    doctor_note(doctor, "memlock", ok ? LEVEL_OK : LEVEL_WARN, found,
                "ulimit -l unlimited (systemd: LimitMEMLOCK=infinity)");
    snprintf(found, sizeof(found), "%llu (at most %llu)",
             (unsigned long long)files.rlim_cur, (unsigned long long)files.rlim_max);
    doctor_note(doctor, "nofile", files.rlim_max >= FILES_MIN ? LEVEL_OK : LEVEL_WARN,
                found, "ulimit -n 65536 (systemd: LimitNOFILE=65536): a client is a file");
}

static void check_clock(struct doctor *doctor)
{
    struct timex timex = {0};
    int state = adjtimex(&timex);
    bool ok = state >= 0 && state != TIME_ERROR && (timex.status & STA_UNSYNC) == 0;

    doctor_note(doctor, "clock", ok ? LEVEL_OK : LEVEL_WARN,
                state < 0 ? strerror(errno)
                : ok      ? "synchronised"
                          : "not synchronised",
                "timedatectl set-ntp true, or apt install chrony: tokens end by the clock");
}

/* Binds as a listener would. Returns 0 or an errno. */
static int try_bind(int family, int type, uint16_t port)
{
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    bool six = family == AF_INET6;
    int fd = socket(family, type | SOCK_CLOEXEC, 0), on = type == SOCK_STREAM, err = 0;

    if (fd < 0) {
        return errno;
    }
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        bind(fd, six ? (const struct sockaddr *)&v6 : (const struct sockaddr *)&v4,
             six ? sizeof(v6) : sizeof(v4)) != 0) {
        err = errno;
    }
    close(fd);
    return err;
}

static void check_port(struct doctor *doctor, int type, uint16_t port, const char *of)
{
    int err = try_bind(AF_INET6, type, port); /* of both families */
    char check[32], fix[96];

    if (err == EAFNOSUPPORT) {
        err = try_bind(AF_INET, type, port);
    }
    snprintf(check, sizeof(check), "port %s/%u", type == SOCK_DGRAM ? "udp" : "tcp", port);
    snprintf(fix, sizeof(fix), "ss -lnp 'sport = :%u' tells who has it; or change %s", port,
             of);
    if (err == 0) {
        doctor_note(doctor, check, LEVEL_OK, "free", "");
    } else if (doctor->node_runs && err == EADDRINUSE) {
        doctor_note(doctor, check, LEVEL_OK, "in use while the node runs", "");
    } else {
        doctor_note(doctor, check, err == EADDRINUSE ? LEVEL_FAIL : LEVEL_WARN,
                    strerror(err), fix);
    }
}

int kcsctl_doctor(const struct command *command, const struct options *options,
                  const char *argument)
{
    struct doctor doctor = {.rows = json_array()};
    int ret;
    (void)command;
    (void)argument;

    if (doctor.rows == NULL) {
        fprintf(stderr, "kcsctl: no memory\n");
        return EXIT_FAILED;
    }
    check_node(&doctor, options->socket);
    check_cpu(&doctor);
    doctor_hugepages(&doctor);
    check_capabilities(&doctor);
    check_af_xdp(&doctor);
    check_veth(&doctor);
    doctor_interfaces(&doctor, "/sys");
    doctor_tap(&doctor);
    doctor_pci(&doctor, "/sys", "/dev");
    check_limits(&doctor);
    check_clock(&doctor);
    check_port(&doctor, SOCK_DGRAM, MEDIA_PORT, "media.port");
    check_port(&doctor, SOCK_STREAM, HTTP_PORT, "http.port");
    check_port(&doctor, SOCK_STREAM, METRICS_PORT, "admin.metrics_port");
    ret = kcsctl_show(doctor.rows, options);
    json_decref(doctor.rows);
    return doctor.failed ? EXIT_FAILED : ret;
}

#include "egress/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#else
#define ARCH 0 /* the list below was made for these two: elsewhere nothing is begun */
#endif

/* ---- system calls ---- */

enum { FILTER_MAX = 400 };

struct filter {
    struct sock_filter code[FILTER_MAX];
    unsigned short n;
};

/* What libraries ask for in passing, and our own files, memory, threads and time. All else is
 * refused with EPERM: no socket, no exec, no ptrace, no kill … */
static const int allowed[] = {
    /* what is open */
    SYS_read, SYS_write, SYS_readv, SYS_writev, SYS_pread64, SYS_pwrite64, SYS_lseek,
    SYS_close, SYS_fstat, SYS_fsync, SYS_fdatasync, SYS_ftruncate, SYS_fallocate,
    SYS_getdents64, SYS_fstatfs, SYS_fcntl, SYS_fadvise64, SYS_recvfrom, SYS_sendto,
    /* files, of which landlock leaves few */
    SYS_openat, SYS_newfstatat, SYS_statx, SYS_statfs, SYS_faccessat, SYS_faccessat2,
    SYS_readlinkat, SYS_unlinkat, SYS_renameat, SYS_renameat2, SYS_getcwd,
#ifdef SYS_open /* machines that have been there for long */
    SYS_open, SYS_stat, SYS_lstat, SYS_access, SYS_readlink, SYS_unlink, SYS_rename,
    SYS_poll, SYS_time,
#endif
    /* memory that is not code: the others are further down */
    SYS_munmap, SYS_mremap, SYS_madvise, SYS_brk,
    /* threads, signals to itself, time */
    SYS_futex, SYS_set_robust_list, SYS_rseq, SYS_exit, SYS_exit_group, SYS_sched_yield,
    SYS_sched_getaffinity, SYS_getpid, SYS_gettid, SYS_rt_sigaction, SYS_rt_sigprocmask,
    SYS_rt_sigreturn, SYS_sigaltstack, SYS_restart_syscall, SYS_ppoll, SYS_clock_gettime,
    SYS_clock_getres, SYS_clock_nanosleep, SYS_nanosleep, SYS_gettimeofday, SYS_getrandom,
    SYS_getrusage, SYS_sysinfo, SYS_uname, SYS_getuid, SYS_geteuid, SYS_getgid,
    SYS_getegid, SYS_membarrier,
#ifdef CONFINE_LEAKS
    SYS_clone, SYS_ptrace, SYS_wait4, SYS_getppid, SYS_prctl, SYS_prlimit64, SYS_tgkill,
#ifdef SYS_getdents
    SYS_getdents,
#endif
#endif
};

/* Whoever has to look names up and connect. */
static const int calling[] = {SYS_connect,    SYS_sendmsg,    SYS_sendmmsg,    SYS_recvmsg,
                              SYS_setsockopt, SYS_getsockopt, SYS_getsockname, SYS_getpeername,
                              SYS_shutdown};

static void add(struct filter *f, uint16_t code, uint32_t k, uint8_t yes, uint8_t no)
{
    f->code[f->n++] = (struct sock_filter){.code = code, .jt = yes, .jf = no, .k = k};
}

static void load(struct filter *f, size_t at)
{
    add(f, BPF_LD | BPF_W | BPF_ABS, (uint32_t)at, 0, 0);
}

static void answer(struct filter *f, uint32_t what)
{
    add(f, BPF_RET | BPF_K, what, 0, 0);
}

static void allow(struct filter *f, int call)
{
    add(f, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call, 0, 1);
    answer(f, SECCOMP_RET_ALLOW);
}

/* If of the bits 'mask' of an argument just 'value' are set. */
static void allow_if(struct filter *f, int call, unsigned arg, uint32_t mask,
                     uint32_t value)
{
    const size_t low = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 0 : 4;

    add(f, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call, 0, 5);
    load(f, offsetof(struct seccomp_data, args) + 8 * (size_t)arg + low);
    add(f, BPF_ALU | BPF_AND | BPF_K, mask, 0, 0);
    add(f, BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1);
    answer(f, SECCOMP_RET_ALLOW);
    answer(f, SECCOMP_RET_ERRNO | EPERM);
}

static void allow_families(struct filter *f)
{
    const size_t low = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 0 : 4;

    add(f, BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 8);
    load(f, offsetof(struct seccomp_data, args) + low);
    add(f, BPF_JMP | BPF_JEQ | BPF_K, AF_INET, 1, 0);
    add(f, BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 0, 4);
    load(f, offsetof(struct seccomp_data, args) + 8 + low);
    add(f, BPF_ALU | BPF_AND | BPF_K, 0xf, 0, 0); /* but for the flags */
    add(f, BPF_JMP | BPF_JGT | BPF_K, SOCK_DGRAM, 1, 0);
    answer(f, SECCOMP_RET_ALLOW);
    answer(f, SECCOMP_RET_ERRNO | EPERM);
}

static int restrict_calls(bool calls)
{
    struct filter f = {.n = 0};
    struct sock_fprog program = {.filter = f.code};

    if (ARCH == 0) {
        return -ENOSYS;
    }
    load(&f, offsetof(struct seccomp_data, arch));
    add(&f, BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0);
    answer(&f, SECCOMP_RET_KILL_PROCESS);
    load(&f, offsetof(struct seccomp_data, nr)); /* those of x32 are none of these */
    for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++) {
        allow(&f, allowed[i]);
    }
    for (size_t i = 0; calls && i < sizeof(calling) / sizeof(calling[0]); i++) {
        allow(&f, calling[i]);
    }
    if (calls) { /* no other families, and no raw sockets: those are not their types */
        allow_if(&f, SYS_ioctl, 1, UINT32_MAX, FIONREAD);
        allow_families(&f);
    }
    allow_if(&f, SYS_mmap, 2, PROT_EXEC, 0);
    allow_if(&f, SYS_mprotect, 2, PROT_EXEC, 0);
    allow_if(&f, SYS_clone, 0, CLONE_THREAD | CLONE_VM, CLONE_THREAD | CLONE_VM);
    allow_if(&f, SYS_tgkill, 0, UINT32_MAX, (uint32_t)getpid()); /* abort() */
    allow_if(&f, SYS_prctl, 0, UINT32_MAX, PR_SET_NAME);
    add(&f, BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1);
    answer(&f, SECCOMP_RET_ERRNO | ENOSYS); /* its flags cannot be seen: then by clone() */
    answer(&f, SECCOMP_RET_ERRNO | EPERM);
    program.len = f.n;
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0 ? 0 : -errno;
}

/* ---- files ---- */

enum {
    LOOK = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR,
    OWN = LOOK | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_FILE |
          LANDLOCK_ACCESS_FS_MAKE_REG,
    ALL = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1 /* what the first version knows */
};

static void let(int rules, const char *path, uint64_t access)
{
    const struct landlock_path_beneath_attr rule = {
        .allowed_access = access,
        .parent_fd = open(path, O_PATH | O_CLOEXEC)};

    if (rule.parent_fd >= 0) { /* else there is nothing to be let */
        (void)syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
        (void)close(rule.parent_fd);
    }
}

static int restrict_files(const char *directory, bool calls, const char *also)
{
    /* fonts, and what tells how they are looked for and how many CPUs there are */
    static const char *const read_only[] = {"/usr/share", "/usr/local/share", "/etc/fonts",
                                            "/var/cache/fontconfig",
                                            "/sys/devices/system/cpu", "/proc/self"};
    /* by which names are looked up */
    static const char *const names[] = {"/etc/hosts",     "/etc/host.conf", "/etc/resolv.conf",
                                        "/etc/gai.conf", "/etc/services",  "/etc/nsswitch.conf"};
    const struct landlock_ruleset_attr attr = {.handled_access_fs = ALL};
    int rules = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
    int err = 0;

    if (rules < 0) {
        return -errno;
    }
    for (size_t i = 0; i < sizeof(read_only) / sizeof(read_only[0]); i++) {
        let(rules, read_only[i], LOOK);
    }
    for (size_t i = 0; calls && i < sizeof(names) / sizeof(names[0]); i++) {
        let(rules, names[i], LANDLOCK_ACCESS_FS_READ_FILE);
    }
    if (calls) { /* by which servers are checked */
        let(rules, "/etc/ssl/certs", LOOK);
    }
    if (also != NULL && also[0] != '\0') {
        let(rules, also, LANDLOCK_ACCESS_FS_READ_FILE);
    }
    let(rules, "/dev/urandom", LANDLOCK_ACCESS_FS_READ_FILE);
    let(rules, directory, OWN);
    if (syscall(SYS_landlock_restrict_self, rules, 0) != 0) {
        err = -errno;
    }
    (void)close(rules);
    return err;
}

/* ---- rights ---- */

/* Of a control that runs as root. No other user: the files are control's. */
static int give_up_capabilities(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {{0, 0, 0}, {0, 0, 0}};

#ifdef CONFINE_LEAKS /* that checker's, as what is not dumpable can be looked at by no other */
    struct __user_cap_data_struct has[2];

    if (syscall(SYS_capget, &head, has) == 0) {
        none[0].effective = none[0].permitted =
            has[0].permitted & CAP_TO_MASK(CAP_SYS_PTRACE);
    }
#endif
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    for (unsigned long i = 0; i <= CAP_LAST_CAP; i++) {
        (void)prctl(PR_CAPBSET_DROP, i, 0, 0, 0); /* who may not has none to give up */
    }
    return syscall(SYS_capset, &head, none) == 0 ? 0 : -errno;
}

int confine(const char *directory, bool calls, const char *also)
{
    int err;

    /* of a terminal, or of all processes of a unit: control ends us in order */
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGTERM, SIG_IGN);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN);
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    /* there is speech in it, of all meetings: neither dumped nor read by a debugger */
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    (void)setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    (void)umask(umask(0077) | 0027);
    err = restrict_files(directory, calls, also);
    if (err != 0) {
        (void)fprintf(stderr, "kcs-egress: its files are not confined: %s\n",
                      strerror(-err));
    }
    err = give_up_capabilities();
    return err != 0 ? err : restrict_calls(calls);
}

/* kcs-dataplane: reads the configuration, opens the devices, runs the lanes until SIGINT or
 * SIGTERM. Everything it does is in worker/ and io/. */
#include <arpa/inet.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "dataplane_conf.h"
#include "sfu/base/path.h"
#include "sfu/conf/program.h"
#include "sfu/conf/service.h"
#include "worker/cpus.h"
#include "worker/worker.h"

enum { EXIT_BAD_CONF = 4 };

static const struct program program = {
    .name = "kcs-dataplane",
    .does = "moves the media of a KCS media node: receives, decrypts, re-encrypts and sends SRTP",
    .more = "It opens the devices of its configuration, lays out all memory and then polls, a\n"
            "thread a lane. \\fBkcs\\-control\\fR(8) attaches by a Unix socket and tells it "
            "what to\nforward. Either may be restarted while people talk.\n"
            ".PP\n"
            "It writes a few plain lines to standard error: what each device is, that it is\n"
            "ready, who attached, why it stopped. Packets are counted, never logged.\n",
    .signals = ".TP\nSIGTERM, SIGINT\nStops. Nothing of its configuration can change while it\n"
               "runs: SIGHUP is ignored.\n",
};

/* The XDP program lies beside the executable, or where a package has it. */
static void xdp_path(char *out, size_t cap)
{
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    const char *dir;

    self[n > 0 ? n : 0] = '\0';
    dir = dirname(self);
    (void)snprintf(out, cap, "%.*s/kcs-xdp.o", (int)cap - 32, dir);
    if (access(out, R_OK) != 0) {
        (void)snprintf(out, cap, "%.*s/../lib/kcs/kcs-xdp.o", (int)cap - 32, dir);
    }
}

static int parse_ip(const char *text, uint8_t ip[16])
{
    uint8_t v4[4];

    if (inet_pton(AF_INET, text, v4) == 1) {
        path_map_v4(ip, v4);
        return 0;
    }
    return inet_pton(AF_INET6, text, ip) == 1 ? 0 : -EINVAL;
}

static int map_worker(const struct dataplane_conf *from, struct worker_conf *to)
{
    *to = (struct worker_conf){
        .socket = from->socket,
        .n_lanes = from->lanes.count,
        .cpus = from->lanes.cpus,
        .n_cpus = from->lanes.n_cpus,
        .trace_every = from->lanes.trace,
        .busy = from->lanes.idle == DATAPLANE_IDLE_BUSY,
        .no_repair = !from->media.repair,
        .pacer_window_us = from->media.pacer_window_ms * UINT32_C(1000),
        .backend = from->crypto.backend == DATAPLANE_CRYPTO_LIBSRTP2 ? CRYPT_LIBSRTP
                                                                     : CRYPT_IPSEC_MB,
        .n_peers = from->limits.peers,
        .n_streams = from->limits.streams,
        .n_subs = from->limits.subscriptions,
        .ring_bytes = (size_t)from->memory.streams_mib << 20,
        .n_announce = from->media.n_announce,
    };
    for (uint32_t i = 0; i < from->media.n_announce; i++) {
        const struct dataplane_announce *a = &from->media.announce[i];

        if (parse_ip(a->local, to->announce[i].local_ip) != 0 ||
            parse_ip(a->public, to->announce[i].public_ip) != 0) {
            (void)fprintf(stderr, "media.announce: '%s' or '%s' is no IP address\n",
                          a->local, a->public);
            return -EINVAL;
        }
        to->announce[i].public_port = a->port;
    }
    return 0;
}

static void map_options(const struct dataplane_media *from,
                        struct io_options to[DATAPLANE_CONF_DEVICES])
{
    static const enum io_exception exception[] = {
        [DATAPLANE_EXCEPTION_AUTO] = IO_EXCEPTION_AUTO,
        [DATAPLANE_EXCEPTION_NONE] = IO_EXCEPTION_NONE,
        [DATAPLANE_EXCEPTION_TAP] = IO_EXCEPTION_TAP};

    for (uint32_t i = 0; i < from->n_options; i++) {
        const struct dataplane_options *o = &from->options[i];

        to[i] = (struct io_options){.device = o->device,
                                    .ipv4 = o->ipv4,
                                    .ipv6 = o->ipv6,
                                    .gateway4 = o->gateway4,
                                    .gateway6 = o->gateway6,
                                    .exception = exception[o->exception],
                                    .n_queues = o->queues,
                                    .zero_copy = o->zero_copy};
    }
}

static void map_io(const struct dataplane_conf *from, const char *xdp,
                   const struct io_options *options, struct io_conf *to)
{
    static const enum io_hugepages huge[] = {[DATAPLANE_HUGE_AUTO] = IO_HUGEPAGES_AUTO,
                                             [DATAPLANE_HUGE_ON] = IO_HUGEPAGES_ALWAYS,
                                             [DATAPLANE_HUGE_OFF] = IO_HUGEPAGES_NEVER};

    *to = (struct io_conf){
        .n_devices = from->media.n_devices,
        .options = options,
        .n_options = from->media.n_options,
        .media_port = from->media.port,
        .n_lanes = from->lanes.count,
        .n_mbufs = from->memory.packets,
        .hugepages = huge[from->memory.hugepages],
        .numa = from->memory.numa[0] == 'a' ? 0 : (unsigned)atoi(from->memory.numa) + 1,
        .veth_name = from->veth.name,
        .veth_ipv4 = from->veth.ipv4,
        .veth_ipv6 = from->veth.ipv6,
        .xdp_object = xdp,
    };
    for (uint32_t i = 0; i < from->media.n_devices; i++) {
        to->devices[i] = from->media.devices[i];
    }
}

/* Signals that stop us become readable on the descriptor that is returned. */
static int stop_signals(void)
{
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN); /* memory and devices are laid out at start */
    return signalfd(-1, &set, SFD_CLOEXEC);
}

/* It works, but slower: said once. */
static void say_far_cpus(const struct worker_conf *conf, const struct io *io)
{
    char text[512];

    if (io_numa(io) != 0 && cpus_far_from(conf->cpus, conf->n_cpus, io_numa(io) - 1, "/sys",
                                          text, sizeof(text)) > 0) {
        (void)fprintf(stderr, "%s\n", text);
    }
}

static void beat(void)
{
    service_notify("WATCHDOG=1");
}

static int run(const struct dataplane_conf *conf)
{
    char xdp[PATH_MAX];
    char err[512] = "";
    struct worker_conf worker_conf;
    struct io_options options[DATAPLANE_CONF_DEVICES];
    struct io_conf io_conf;
    struct worker *worker = NULL;
    struct io *io = NULL;
    int stop_fd = stop_signals();
    int e;

    if (map_worker(conf, &worker_conf) != 0) {
        return EXIT_BAD_CONF;
    }
    worker_conf.beat_ms = service_watchdog_ms();
    worker_conf.beat = beat;
    xdp_path(xdp, sizeof(xdp));
    map_options(&conf->media, options);
    map_io(conf, xdp, options, &io_conf);
    e = cpus_set_aside(worker_conf.cpus, worker_conf.n_cpus, err, sizeof(err));
    if (e == 0) {
        e = io_create(&io, &io_conf, err, sizeof(err));
    }
    if (e == 0) {
        (void)fprintf(stderr, "%s\n", io_choice(io));
        say_far_cpus(&worker_conf, io);
        e = worker_create(&worker, &worker_conf, io, err, sizeof(err));
    }
    if (e == 0) {
        (void)fprintf(stderr, "ready: control may attach at %s\n", conf->socket);
        service_notify("READY=1");
        e = worker_run(worker, stop_fd);
        service_notify("STOPPING=1");
        (void)snprintf(err, sizeof(err), "stopped: %s", strerror(-e));
    }
    if (e != 0) {
        (void)fprintf(stderr, "kcs-dataplane: %s\n", err);
    }
    worker_destroy(worker);
    io_destroy(io);
    if (stop_fd >= 0) {
        (void)close(stop_fd);
    }
    return e == 0 ? EXIT_SUCCESS : e == -EINVAL ? EXIT_BAD_CONF : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    static struct dataplane_conf conf;
    struct program_asked asked;
    char err[512];
    int status = program_read(&program, argc, argv, &asked);

    if (status != PROGRAM_GO_ON) {
        return status;
    }
    if (asked.describe) {
        dataplane_conf_describe(stdout);
        return EXIT_SUCCESS;
    }
    if (asked.check) {
        return dataplane_conf_check(asked.config, stdout);
    }
    /* Keys lie in memory: no core dump, no ptrace by others. */
    (void)prctl(PR_SET_DUMPABLE, 0);
    if (dataplane_conf_load(asked.config, &conf, err, sizeof(err)) != 0) {
        (void)fprintf(stderr, "kcs-dataplane: %s\n", err);
        return EXIT_BAD_CONF;
    }
    return run(&conf);
}

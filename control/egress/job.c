/* kcs-egress: what becomes of the streams of one meeting: files, or a live stream. Started
 * and watched by kcs-control (control/recording), a process for each job, so that nothing
 * that comes over the network and breaks a parser, a decoder or a muxer breaks more than
 * this; and whoever takes it over can do little (confine.h).
 *
 *     kcs-egress DIRECTORY ZERO_US [MODE PART MEMORY [HEIGHT:BPS …|private|EXTENSION]]
 *
 * ZERO_US is when the job began (CLOCK_MONOTONIC), MODE one of mode.h (tracks), PART the
 * number of the process within the job (1), MEMORY how many MiB it may take (0: any number;
 * memory.h); a live stream is encoded at each HEIGHT, the
 * largest first, with BPS bits a second at most; 'private': one that is pushed may go to
 * any address. EXTENSION: of files that are joined. Of one that
 * is pushed another word may follow: a file of certificates, by which its server is
 * checked. Descriptor 3 is a socket (SOCK_SEQPACKET) on which lines are spoken, one a
 * message; descriptor 4 the stream rings (base/tap.h), which can only be read.
 *
 * From control:  add NAME HANDLE CODEC HZ PUBLISHER [PERSON SOURCE] · remove NAME · stop ·
 * leave: as stop, but another process goes on in the next part; and the words of a mode:
 * track/tracks.c, compose/composite.c
 * To control:    key NAME · wrote NAME FILE START_US LENGTH_US BYTES FRAMES LOST, each
 * second and once more when it ends, with 'done' in front if that went well · none NAME: it
 * has ended and there is no file · broken NAME REASON: nothing more of it is written, the
 * others go on · failed NAME REASON: nothing can be written · live N BYTES: it can be
 * fetched, or is sent to a server · away REASON: that cannot be reached, and is tried again
 * · heavy BYTES: it has more memory than it may (0: it was given none), and leaves · end
 *
 * If control goes away the files are ended as if it had said stop. */
#include "egress/job.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libavutil/log.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "egress/confine.h"
#include "egress/memory.h"
#include "egress/mode.h"

enum word { WORD_NONE, WORD_STOP, WORD_LEAVE };

enum {
    SOCKET = 3,
    STREAMS = 4,
    NICE = 5 /* who moves media and who signals go first: a picture may be late */
};

static const struct mode *const modes[] = {&mode_tracks, &mode_mp4,  &mode_composite,
                                           &mode_sound,  &mode_live, &mode_push,
                                           &mode_join};

uint64_t mode_now_us(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

void mode_say(const char *format, ...)
{
    char line[MODE_LINE];
    va_list args;
    int len;

    va_start(args, format);
    len = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    if (len > 0) {
        size_t n = (size_t)len < sizeof(line) ? (size_t)len : sizeof(line) - 1;

        (void)send(SOCKET, line, n, MSG_NOSIGNAL);
    }
}

bool mode_parse_add(const char *line, struct mode_stream *out)
{
    unsigned codec;
    int n;

    *out = (struct mode_stream){.hz = 0};
    n = sscanf(line, "add %63s %" SCNu64 " %u %" SCNu32 " %" SCNu64 " %31s %31s", out->name,
               &out->handle, &codec, &out->hz, &out->publisher, out->person, out->source);
    if ((n != 5 && n != 7) || codec >= N_ABI_CODECS) {
        return false;
    }
    out->codec = (enum abi_codec)codec;
    return true;
}

_Noreturn void mode_no_memory(void)
{
    mode_say("heavy 0");
    _exit(1); /* to end anything would take some, too */
}

/* Returns whether control wants an end; it does if it is gone. */
static enum word hear(const struct mode *mode)
{
    char line[MODE_LINE];
    ssize_t n;

    while ((n = recv(SOCKET, line, sizeof(line) - 1, MSG_DONTWAIT)) > 0) {
        line[n] = '\0';
        if (strcmp(line, "stop") == 0) {
            return WORD_STOP;
        }
        if (strcmp(line, "leave") == 0) {
            return WORD_LEAVE;
        }
        if (mode->on_line(line) != 0) {
            line[strcspn(line, " ")] = '\0'; /* there are secrets in some */
            (void)fprintf(stderr, "kcs-egress: not understood: %s\n", line);
        }
    }
    return n == 0 || (errno != EAGAIN && errno != EINTR) ? WORD_STOP : WORD_NONE;
}

static int map_streams(struct feed_rings *rings)
{
    const int need = F_SEAL_SHRINK | F_SEAL_GROW; /* what shrinks kills its reader */
    int seals = fcntl(STREAMS, F_GET_SEALS);
    struct stat st;
    void *mem;

    if (seals == -1 || fstat(STREAMS, &st) != 0 || st.st_size <= 0) {
        return -EBADF;
    }
    if ((seals & need) != need) {
        return -EPERM;
    }
    mem = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, STREAMS, 0);
    if (mem == MAP_FAILED) {
        return -errno;
    }
    (void)madvise(mem, (size_t)st.st_size, MADV_DONTDUMP);
    rings->mem = mem;
    rings->len = (size_t)st.st_size;
    return tap_valid(mem, rings->len, &rings->n_taps) ? 0 : -EPROTO;
}

static const struct mode *mode_of(const char *name)
{
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        if (strcmp(modes[i]->name, name) == 0) {
            return modes[i];
        }
    }
    return NULL;
}

static void run(const struct mode *mode)
{
    struct pollfd pfd = {.fd = SOCKET, .events = POLLIN};
    unsigned wait_ms = 0;
    enum word word;
    uint64_t bytes;

    do {
        (void)poll(&pfd, 1, (int)wait_ms);
        word = hear(mode);
        if (word == WORD_NONE) {
            wait_ms = mode->turn(mode_now_us());
            if (memory_is_exceeded(mode_now_us(), &bytes)) {
                mode_say("heavy %" PRIu64, bytes);
                word = WORD_LEAVE;
            }
        }
    } while (word == WORD_NONE);
    mode->end(mode_now_us(), word == WORD_STOP);
}

int job_main(int argc, char **argv)
{
    static struct mode_conf conf;
    const struct mode *mode = argc == 3   ? &mode_tracks
                              : argc >= 6 ? mode_of(argv[3])
                                          : NULL;
    int err;

    if (mode == NULL) {
        (void)fprintf(stderr, "kcs-egress is started by kcs-control, which hands it the "
                              "streams; see docs/operations.md\n");
        return 2;
    }
    (void)setpriority(PRIO_PROCESS, 0, NICE);
    if (mode != &mode_push && chdir(argv[1]) != 0) {
        mode_say("failed %s.1 %s: %s", mode->name, argv[1], strerror(errno));
        return 1;
    }
    err = memory_limit(argc >= 6 ? (unsigned)strtoul(argv[5], NULL, 10) : 0);
    if (err == 0) {
        err = confine(mode == &mode_push ? argv[1] : ".", mode == &mode_push,
                      argc > 7 && mode == &mode_push ? argv[7] : NULL);
    }
    if (err != 0) {
        (void)fprintf(stderr, "kcs-egress: cannot be confined: %s\n", strerror(-err));
        return 1;
    }
    av_log_set_level(mode == &mode_tracks || mode == &mode_mp4 ? AV_LOG_ERROR
                                                               : AV_LOG_FATAL);
    conf.directory = "."; /* what pushes has none */
    conf.zero_us = strtoull(argv[2], NULL, 10);
    conf.part = argc >= 6 ? (unsigned)strtoul(argv[4], NULL, 10) : 1;
    conf.words = argv + 6;
    conf.n_words = argc > 6 ? argc - 6 : 0;
    err = map_streams(&conf.rings);
    if (err != 0) {
        (void)fprintf(stderr, "kcs-egress: the stream rings cannot be read: %s\n",
                      strerror(-err));
        return 1;
    }
    err = mode->begin(&conf);
    if (err == -ENOMEM) {
        mode_no_memory();
    }
    if (err != 0) {
        (void)fprintf(stderr, "kcs-egress: cannot begin: %s\n", strerror(-err));
        mode_say("failed %s.%u %s", mode->name, conf.part, strerror(-err));
        return 1;
    }
    run(mode);
    mode_say("end");
    return 0;
}

/* kcs-egress: records the streams of one meeting, each to a file of its own. Started and
 * watched by kcs-control (control/recording), a process for each job, so that nothing that
 * comes over the network and breaks a parser or a muxer breaks more than this.
 *
 *     kcs-egress DIRECTORY ZERO_US
 *
 * ZERO_US is when the recording began (CLOCK_MONOTONIC). Descriptor 3 is a socket
 * (SOCK_SEQPACKET) on which lines are spoken, one a message; descriptor 4 the stream rings
 * (base/tap.h), which can only be read.
 *
 * From control:  add NAME HANDLE CODEC HZ PUBLISHER · remove NAME · stop
 * To control:    key NAME · wrote NAME FILE START_US LENGTH_US BYTES FRAMES LOST, each
 * second and once more when it ends, with 'done' in front if that went well · none NAME: it
 * has ended and there is no file · broken NAME REASON: nothing more of it is written, the
 * others go on · failed NAME REASON: nothing can be written · end
 *
 * If control goes away the files are ended as if it had said stop. */
#include "egress/job.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libavutil/log.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#include "egress/track.h"

enum { SOCKET = 3, STREAMS = 4, MAX_TRACKS = 256, LINE = 512, TURN_MS = 20 };
enum { TOLD_US = 1000000 };

struct publisher {
    uint64_t id;
    unsigned n; /* tracks that are of it; 0: the place is free */
    struct timeline_clock clock;
};

struct entry {
    struct track *track;
    struct publisher *publisher;
    char name[TRACK_NAME + 1];
};

struct job {
    const char *directory;
    uint64_t zero_us;
    const void *streams;
    size_t streams_len;
    uint32_t n_taps;
    struct entry entries[MAX_TRACKS];
    unsigned n;
    struct publisher publishers[MAX_TRACKS];
    uint64_t told_us;
    bool stop;
};

static uint64_t now_us(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* Waits for control if it must: it reads what we say, or is gone. */
static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *format, ...)
{
    char line[LINE];
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

static void tell(const struct track *track)
{
    struct track_state s;

    track_state(track, &s);
    if (s.has_file) {
        const char *word = s.whole ? "done" : "wrote";

        say("%s %s %s.%s %" PRId64 " %" PRId64 " %" PRIu64 " %" PRIu64 " %" PRIu64, word,
            s.name, s.name, s.extension, s.start_us, s.length_us, s.bytes, s.frames,
            s.lost);
    } else if (s.whole) {
        say("none %s", s.name);
    }
}

/* There is a place for one: no more than there are tracks. */
static struct publisher *publisher_of(struct job *job, uint64_t id)
{
    struct publisher *unused = NULL;

    for (unsigned i = 0; i < MAX_TRACKS; i++) {
        struct publisher *publisher = &job->publishers[i];

        if (publisher->n > 0 && publisher->id == id) {
            return publisher;
        }
        if (publisher->n == 0 && unused == NULL) {
            unused = publisher;
        }
    }
    *unused = (struct publisher){.id = id};
    return unused;
}

static struct entry *find(struct job *job, const char *name)
{
    for (unsigned i = 0; i < job->n; i++) {
        if (strcmp(job->entries[i].name, name) == 0) {
            return &job->entries[i];
        }
    }
    return NULL;
}

static int add(struct job *job, const char *line)
{
    char name[TRACK_NAME + 1];
    uint64_t handle, publisher;
    unsigned codec;
    uint32_t hz;
    struct track_conf conf = {.name = name,
                              .directory = job->directory,
                              .streams = job->streams,
                              .streams_len = job->streams_len,
                              .n_taps = job->n_taps,
                              .zero_us = job->zero_us};
    int err = -EMFILE;

    if (sscanf(line, "add %63s %" SCNu64 " %u %" SCNu32 " %" SCNu64, name, &handle, &codec,
               &hz, &publisher) != 5 ||
        codec >= N_ABI_CODECS || find(job, name) != NULL) {
        return -EINVAL;
    }
    conf.handle = handle;
    conf.codec = (enum abi_codec)codec;
    conf.hz = hz;
    if (job->n < MAX_TRACKS) {
        struct entry *entry = &job->entries[job->n];

        entry->publisher = publisher_of(job, publisher);
        conf.clock = &entry->publisher->clock;
        err = track_open(&entry->track, &conf);
        if (err == 0) {
            (void)snprintf(entry->name, sizeof(entry->name), "%s", name);
            entry->publisher->n++;
            job->n++;
        }
    }
    if (err != 0) {
        say("broken %s %s", name, strerror(-err));
    }
    return 0;
}

static void finish(struct job *job, struct entry *entry)
{
    track_end(entry->track, now_us());
    tell(entry->track);
    track_close(entry->track);
    entry->publisher->n--;
    *entry = job->entries[--job->n];
}

static int on_line(struct job *job, const char *line)
{
    char name[TRACK_NAME + 1];

    if (strncmp(line, "add ", 4) == 0) {
        return add(job, line);
    }
    if (sscanf(line, "remove %63s", name) == 1) {
        struct entry *entry = find(job, name);

        if (entry != NULL) {
            finish(job, entry);
        }
        return 0;
    }
    job->stop = strcmp(line, "stop") == 0;
    return job->stop ? 0 : -EINVAL;
}

static void hear(struct job *job)
{
    char line[LINE];
    ssize_t n;

    while (!job->stop && (n = recv(SOCKET, line, sizeof(line) - 1, MSG_DONTWAIT)) != -1) {
        line[n] = '\0';
        if (n == 0) {
            job->stop = true; /* control is gone */
        } else if (on_line(job, line) != 0) {
            (void)fprintf(stderr, "kcs-egress: not understood: %s\n", line);
        }
    }
    job->stop = job->stop || (errno != EAGAIN && errno != EINTR);
}

static void run_tracks(struct job *job)
{
    uint64_t now = now_us();
    bool told = now - job->told_us >= TOLD_US;

    for (unsigned i = job->n; i-- > 0;) { /* one that ends has the last in its place */
        struct entry *entry = &job->entries[i];
        enum track_news news = track_run(entry->track, now);

        if (news == TRACK_BROKEN || news == TRACK_FAILED) {
            say("%s %s %s", news == TRACK_FAILED ? "failed" : "broken", entry->name,
                track_reason(entry->track));
            finish(job, entry);
            continue;
        }
        if (news == TRACK_WANTS_KEY) {
            say("key %s", entry->name);
        }
        if (told) {
            tell(entry->track);
        }
    }
    job->told_us = told ? now : job->told_us;
}

static int map_streams(struct job *job)
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
    job->streams = mem;
    job->streams_len = (size_t)st.st_size;
    return tap_valid(mem, job->streams_len, &job->n_taps) ? 0 : -EPROTO;
}

int job_main(int argc, char **argv)
{
    static struct job job;
    struct pollfd pfd = {.fd = SOCKET, .events = POLLIN};
    int err;

    if (argc != 3) {
        (void)fprintf(stderr, "kcs-egress is started by kcs-control, which hands it the "
                              "streams; see docs/operations.md\n");
        return 2;
    }
    /* of a terminal, or of all processes of a unit: control ends us in order */
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGTERM, SIG_IGN);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    /* there is speech in it, of all meetings: neither dumped nor read by a debugger */
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    (void)setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    (void)umask(umask(0077) | 0027);
    av_log_set_level(AV_LOG_ERROR);
    job.directory = argv[1];
    job.zero_us = strtoull(argv[2], NULL, 10);
    err = map_streams(&job);
    if (err != 0) {
        (void)fprintf(stderr, "kcs-egress: the stream rings cannot be read: %s\n",
                      strerror(-err));
        return 1;
    }
    while (!job.stop) {
        (void)poll(&pfd, 1, TURN_MS);
        hear(&job);
        run_tracks(&job);
    }
    while (job.n > 0) {
        finish(&job, &job.entries[0]);
    }
    say("end");
    return 0;
}

/* The whole program: a process that is told lines, and reads rings that the test writes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "egress/job.h"
#include "sfu/abi/media.h"
#include "sfu/base/handle.h"
#include "sfu/base/tap.h"

enum { TAPS = 2, SLOTS = 256, BYTES = 64 * 1024, RING = SLOTS * 64 + BYTES };
enum { MANY = 600 }; /* more publishers than there are places for */

struct world {
    char directory[32];
    uint8_t *mem;
    size_t len;
    int fd, sock;
    pid_t pid;
    uint64_t handles[TAPS], seq;
    uint32_t bytes, ts;
};

static uint64_t now_us(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void make_streams(struct world *w, int seals)
{
    uint64_t at = tap_blocks_at(TAPS);

    w->len = (size_t)at + (size_t)TAPS * RING;
    w->fd = memfd_create("streams", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_true(w->fd >= 0);
    assert_int_equal(ftruncate(w->fd, (off_t)w->len), 0);
    assert_int_equal(fcntl(w->fd, F_ADD_SEALS, seals), 0);
    w->mem = mmap(NULL, w->len, PROT_READ | PROT_WRITE, MAP_SHARED, w->fd, 0);
    assert_true(w->mem != MAP_FAILED);
    *(struct tap_header *)(void *)w->mem =
        (struct tap_header){.magic = TAP_MAGIC,
                            .version = TAP_VERSION,
                            .tap_size = sizeof(struct tap),
                            .slot_size = 64,
                            .n_taps = TAPS,
                            .blocks_at = at,
                            .bytes = w->len};
    for (uint32_t i = 0; i < TAPS; i++) {
        w->handles[i] = handle_make(i, 1);
        tap_open(tap_first(w->mem) + i, w->handles[i], at + (uint64_t)i * RING, SLOTS,
                 at + (uint64_t)i * RING + SLOTS * sizeof(struct tap_slot), BYTES);
    }
}

/* 'file_max' bytes a file may have, 0: any number; 'memory' MiB, NULL: as many as it takes.
 */
static void start_with(struct world *w, int seals, rlim_t file_max, char *memory)
{
    int socks[2];

    memset(w, 0, sizeof(*w));
    (void)snprintf(w->directory, sizeof(w->directory), "/tmp/kcs-job.XXXXXX");
    assert_non_null(mkdtemp(w->directory));
    make_streams(w, seals);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, socks), 0);
    w->pid = fork();
    assert_true(w->pid >= 0);
    if (w->pid == 0) {
        char program[] = "kcs-egress", zero[] = "1";
        char mode[] = "tracks", part[] = "1";
        char *argv[] = {program, w->directory, zero, mode, part, memory, NULL};
        int sock = fcntl(socks[1], F_DUPFD, 100), streams = fcntl(w->fd, F_DUPFD, 100);

        (void)signal(SIGXFSZ, SIG_IGN);
        if (file_max != 0) {
            (void)setrlimit(RLIMIT_FSIZE, &(struct rlimit){file_max, file_max});
        }
        (void)dup2(sock, 3);
        (void)dup2(streams, 4);
        for (int fd = 5; fd < 200; fd++) {
            (void)close(fd);
        }
        _exit(job_main(memory != NULL ? 6 : 3, argv));
    }
    (void)close(socks[1]);
    w->sock = socks[0];
}

static void start(struct world *w, int seals, rlim_t file_max)
{
    start_with(w, seals, file_max, NULL);
}

static void finish(struct world *w, int wanted)
{
    char command[64];
    int status;

    assert_int_equal(waitpid(w->pid, &status, 0), w->pid);
    assert_int_equal(WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status), wanted);
    (void)close(w->sock);
    (void)close(w->fd);
    (void)munmap(w->mem, w->len);
    (void)snprintf(command, sizeof(command), "rm -r %s", w->directory);
    assert_int_equal(system(command), 0);
}

static void tell(const struct world *w, const char *line)
{
    assert_true(send(w->sock, line, strlen(line), MSG_NOSIGNAL) > 0);
}

static void add(const struct world *w, const char *name, unsigned tap, enum abi_codec codec,
                uint64_t publisher)
{
    char line[128];

    (void)snprintf(line, sizeof(line), "add %s %" PRIu64 " %u %u %" PRIu64, name,
                   w->handles[tap], (unsigned)codec, 90000u, publisher);
    tell(w, line);
}

/* Reads on until a line that begins so, which is left in 'line'; no other may begin with
 * 'never'. */
static void expect(const struct world *w, const char *begin, const char *never,
                   char line[512])
{
    const struct timeval wait = {.tv_sec = 30};
    ssize_t n;

    assert_int_equal(setsockopt(w->sock, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)), 0);
    do {
        do { /* what it has not read it tells of before its last words */
            n = recv(w->sock, line, 511, 0);
        } while (n < 0 && errno == ECONNRESET);
        if (n <= 0) {
            fail_msg("never said: %s", begin);
        }
        line[n] = '\0';
        if (strncmp(line, begin, strlen(begin)) != 0 &&
            strncmp(line, never, strlen(never)) == 0) {
            fail_msg("said: %s", line);
        }
    } while (strncmp(line, begin, strlen(begin)) != 0);
}

/* Whether it has said a line that begins so, which is left in 'line'. */
static bool has_said(const struct world *w, const char *begin, char line[512])
{
    ssize_t n;

    while ((n = recv(w->sock, line, 511, MSG_DONTWAIT)) > 0) {
        line[n] = '\0';
        if (strncmp(line, begin, strlen(begin)) == 0) {
            return true;
        }
    }
    return false;
}

static void write_packet(struct world *w, unsigned tap_no, const uint8_t *p, size_t len)
{
    struct tap *tap = tap_first(w->mem) + tap_no;
    uint64_t pos = atomic_load(&tap->head);
    const struct tap_slot slot = {.pos = pos,
                                  .seq = w->seq++,
                                  .arrival_us = now_us(),
                                  .ts = w->ts += 3000,
                                  .offset = w->bytes,
                                  .len = (uint16_t)len,
                                  .flags = TAP_MARKER};

    memcpy(w->mem + tap->bytes_at + w->bytes, p, len);
    memcpy(w->mem + tap->slots_at + (pos & (SLOTS - 1)) * sizeof(slot), &slot,
           sizeof(slot));
    w->bytes = (w->bytes + 64) % BYTES;
    if (pos >= SLOTS / 2) {
        atomic_store(&tap->tail, pos - SLOTS / 2);
    }
    atomic_store(&tap->head, pos + 1);
}

/* A key frame of VP8, and of H264 with sets of which nobody makes anything. */
static const uint8_t VP8[] = {0x10, 0x10, 2, 0, 0x9d, 1, 0x2a, 0x40, 1, 0xb4, 0};
static const uint8_t H264[] = {0x78, 0, 2, 0x67, 0xff, 0, 2, 0x68, 0xff, 0, 2, 0x65, 0xff};

static off_t size_of(const struct world *w, const char *name)
{
    char path[96];
    struct stat st;

    (void)snprintf(path, sizeof(path), "%s/%s", w->directory, name);
    return stat(path, &st) == 0 ? st.st_size : -1;
}

enum { SEALS = F_SEAL_SHRINK | F_SEAL_GROW };

static void what_makes_no_sense_breaks_its_own_track_only(void **state)
{
    struct world w;
    char line[512];
    uint64_t bytes, frames;
    (void)state;

    start(&w, SEALS, 0);
    add(&w, "good.1", 0, ABI_CODEC_VP8, 1);
    add(&w, "bad.1", 1, ABI_CODEC_H264, 2);
    expect(&w, "key bad.1", "broken", line);
    write_packet(&w, 0, VP8, sizeof(VP8));
    write_packet(&w, 1, H264, sizeof(H264));
    expect(&w, "broken bad.1 the first frame", "failed", line);
    write_packet(&w, 0, VP8, sizeof(VP8));
    tell(&w, "stop");
    expect(&w, "done good.1 good.1.webm ", "failed", line);
    assert_int_equal(sscanf(line, "done good.1 good.1.webm %*d %*d %" SCNu64 " %" SCNu64,
                            &bytes, &frames),
                     2);
    assert_int_equal(frames, 2);
    assert_int_equal(bytes, size_of(&w, "good.1.webm")); /* its end included */
    expect(&w, "end", "done", line);
    assert_int_equal(size_of(&w, "bad.1.mp4"), -1);
    finish(&w, 0);
}

/* A file that cannot even be begun is not left behind. */
static void a_file_that_was_not_begun_is_taken_away(void **state)
{
    struct world w;
    char line[512];
    (void)state;

    start(&w, SEALS, 1);
    add(&w, "big.1", 0, ABI_CODEC_VP8, 1);
    expect(&w, "key", "broken", line);
    write_packet(&w, 0, VP8, sizeof(VP8));
    expect(&w, "broken big.1 ", "failed", line);
    tell(&w, "stop");
    expect(&w, "end", "done", line);
    assert_int_equal(size_of(&w, "big.1.webm"), -1);
    finish(&w, 0);
}

static void a_file_that_broke_off_is_not_told_to_be_done(void **state)
{
    struct world w;
    char line[512];
    (void)state;

    start(&w, SEALS, 700); /* its header and a few frames */
    add(&w, "big.1", 0, ABI_CODEC_VP8, 1);
    expect(&w, "key", "broken", line);
    for (unsigned i = 0; i < 200; i++) {
        write_packet(&w, 0, VP8, sizeof(VP8));
    }
    expect(&w, "broken big.1 ", "failed", line);
    expect(&w, "wrote big.1 big.1.webm ", "done", line);
    tell(&w, "stop");
    expect(&w, "end", "done", line);
    finish(&w, 0);
}

/* The directory is gone: that is of all tracks. */
static void what_cannot_be_opened_fails_all(void **state)
{
    struct world w;
    char line[512];
    (void)state;

    start(&w, SEALS, 0);
    add(&w, "one.1", 0, ABI_CODEC_VP8, 1);
    expect(&w, "key", "failed", line);
    assert_int_equal(rmdir(w.directory), 0);
    write_packet(&w, 0, VP8, sizeof(VP8));
    expect(&w, "failed one.1 ", "broken", line);
    tell(&w, "stop");
    expect(&w, "end", "done", line);
    assert_int_equal(mkdir(w.directory, 0700), 0); /* for finish() */
    finish(&w, 0);
}

static void publishers_come_and_go_for_ever(void **state)
{
    struct world w;
    char line[512];
    (void)state;

    start(&w, SEALS, 0);
    for (unsigned i = 0; i < MANY; i++) {
        add(&w, "one.1", 0, ABI_CODEC_VP8, i + 1);
        tell(&w, "remove one.1");
        expect(&w, "none one.1", "failed", line);
    }
    tell(&w, "add nothing.1 4711 1 90000 1"); /* no such stream */
    expect(&w, "broken nothing.1 ", "failed", line);
    tell(&w, "stop");
    expect(&w, "end", "failed", line);
    finish(&w, 0);
}

/* Of its own, in MiB. */
static unsigned memory_of(const struct world *w)
{
    unsigned long long resident, shared;
    char path[64];
    FILE *file;

    (void)snprintf(path, sizeof(path), "/proc/%d/statm", (int)w->pid);
    file = fopen(path, "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%*u %llu %llu", &resident, &shared), 2);
    (void)fclose(file);
    return (unsigned)((resident - shared) * (unsigned long long)sysconf(_SC_PAGESIZE) >>
                      20);
}

static void streams_that_take_more_than_they_may_end_it_in_order(void **state)
{
    enum { ROOM_MB = 16, STREAMS = 20 };
    uint64_t bytes = 0, until;
    unsigned before;
    struct world w;
    char line[512], name[16], memory[16];
    (void)state;

    start(&w, SEALS, 0);
    add(&w, "first.1", 0, ABI_CODEC_VP8, 1);
    expect(&w, "key first.1", "broken", line);
    before = memory_of(&w);
    tell(&w, "stop");
    expect(&w, "end", "heavy", line);
    finish(&w, 0);

    (void)snprintf(memory, sizeof(memory), "%u", before + ROOM_MB);
    start_with(&w, SEALS, 0, memory);
    add(&w, "first.1", 0, ABI_CODEC_VP8, 1);
    expect(&w, "key first.1", "heavy", line);
    write_packet(&w, 0, VP8, sizeof(VP8));
    for (until = now_us() + 2500000; now_us() < until;) {
        write_packet(&w, 0, VP8, sizeof(VP8));
        expect(&w, "wrote first.1", "heavy", line); /* within its limit it goes on */
    }
    for (unsigned i = 0; i < STREAMS; i++) {
        (void)snprintf(name, sizeof(name), "s%u.1", i);
        add(&w, name, 0, ABI_CODEC_VP8, i + 2);
    }
    /* each of them keeps what comes for a while, but is not sure to have read it in time */
    for (until = now_us() + 60000000; !has_said(&w, "heavy ", line);) {
        assert_true(now_us() < until);
        for (unsigned i = 0; i < 20; i++) {
            write_packet(&w, 0, VP8, sizeof(VP8));
        }
        (void)usleep(20000);
    }
    assert_int_equal(sscanf(line, "heavy %" SCNu64, &bytes), 1);
    assert_true(bytes >> 20 >= before + ROOM_MB);
    expect(&w, "done first.1 first.1.webm ", "wrote first.1", line);
    expect(&w, "end", "heavy", line);
    finish(&w, 0);
}

/* Whoever wrote it could take it away below the reader. */
static void a_memory_that_may_shrink_is_refused(void **state)
{
    struct world w;
    (void)state;

    start(&w, F_SEAL_GROW, 0);
    finish(&w, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_makes_no_sense_breaks_its_own_track_only),
        cmocka_unit_test(a_file_that_was_not_begun_is_taken_away),
        cmocka_unit_test(a_file_that_broke_off_is_not_told_to_be_done),
        cmocka_unit_test(what_cannot_be_opened_fails_all),
        cmocka_unit_test(a_memory_that_may_shrink_is_refused),
        cmocka_unit_test(publishers_come_and_go_for_ever),
        cmocka_unit_test(streams_that_take_more_than_they_may_end_it_in_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

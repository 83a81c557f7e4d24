/* The contract's shared memory with both sides running: ring, doorbell flag, seqlock, and a
 * writer of the vault that is killed. Built with TSan too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sfu/abi/abi.h"

enum { MESSAGES = 200000, SLOTS = 64 };

struct shared {
    _Alignas(64) uint8_t mem[sizeof(struct ring) + SLOTS * sizeof(struct abi_evt)];
    struct abi_lane lane;
    int doorbell;
};

static void *write_ring(void *arg)
{
    struct shared *s = arg;
    struct ring_view v = ring_view_of(s->mem, SLOTS, sizeof(struct abi_evt));

    for (uint64_t i = 0; i < MESSAGES; i++) {
        struct abi_evt *evt;

        while ((evt = ring_reserve(&v)) == NULL) {
            (void)sched_yield();
        }
        *evt = (struct abi_evt){.cookie = i, .handle = ~i, .arg = (uint32_t)i};
        ring_commit(&v);
        atomic_thread_fence(memory_order_seq_cst);
        if (abi_take_sleeper(&s->lane.ctl_sleeping)) {
            (void)eventfd_write(s->doorbell, 1);
        }
        if (i % 5000 == 0) {
            (void)usleep(200); /* lets the reader fall asleep */
        }
    }
    return NULL;
}

static void a_reader_that_sleeps_misses_nothing(void **state)
{
    static struct shared s;
    struct ring_view v;
    pthread_t writer;
    uint64_t next = 0;
    eventfd_t rings;
    unsigned sleeps = 0;
    (void)state;

    ring_init(s.mem, SLOTS, sizeof(struct abi_evt));
    v = ring_view_of(s.mem, SLOTS, sizeof(struct abi_evt));
    s.doorbell = eventfd(0, EFD_CLOEXEC);
    assert_true(s.doorbell >= 0);
    assert_int_equal(pthread_create(&writer, NULL, write_ring, &s), 0);
    while (next < MESSAGES) {
        const struct abi_evt *evt = ring_peek(&v);

        if (evt != NULL) {
            assert_int_equal(evt->cookie, next);
            assert_int_equal(evt->handle, ~next);
            assert_int_equal(evt->arg, (uint32_t)next);
            ring_release(&v);
            next++;
            continue;
        }
        atomic_store_explicit(&s.lane.ctl_sleeping, 1, memory_order_relaxed);
        atomic_thread_fence(memory_order_seq_cst);
        if (ring_empty(&v)) { /* a lost wake-up would block here for ever */
            assert_int_equal(eventfd_read(s.doorbell, &rings), 0);
            sleeps++;
        }
        atomic_store_explicit(&s.lane.ctl_sleeping, 0, memory_order_relaxed);
    }
    assert_int_equal(pthread_join(writer, NULL), 0);
    assert_true(sleeps > 0);
    (void)close(s.doorbell);
}

struct counted {
    struct abi_lane_stats stats;
    _Atomic int stop;
};

static void *write_stats(void *arg)
{
    struct counted *c = arg;
    struct abi_lane_counts counts;
    uint64_t n = 0;

    while (atomic_load(&c->stop) == 0) {
        uint64_t *word = (uint64_t *)&counts;

        n++;
        for (size_t i = 0; i < sizeof(counts) / sizeof(*word); i++) {
            word[i] = n;
        }
        abi_lane_stats_write(&c->stats, &counts, n);
        if (n % 64 == 0) {
            (void)sched_yield();
        }
    }
    return NULL;
}

static void a_reading_of_the_counters_is_of_one_moment(void **state)
{
    static struct counted c;
    struct abi_lane_counts out;
    pthread_t writer;
    unsigned good = 0;
    (void)state;

    assert_int_equal(pthread_create(&writer, NULL, write_stats, &c), 0);
    for (int i = 0; i < 2000000 && good < 5000; i++) {
        const uint64_t *word = (const uint64_t *)&out;

        if (abi_lane_stats_read(&c.stats, 8, &out) != 0) {
            continue;
        }
        good++;
        for (size_t k = 1; k < sizeof(out) / sizeof(*word); k++) {
            assert_int_equal(word[k], word[0]);
        }
    }
    atomic_store(&c.stop, 1);
    assert_int_equal(pthread_join(writer, NULL), 0);
    assert_true(good >= 1000);
}

static void a_writer_that_died_in_the_seqlock_is_told(void **state)
{
    struct abi_lane_stats *stats = aligned_alloc(64, sizeof(*stats));
    struct abi_lane_counts out;
    (void)state;

    assert_non_null(stats);
    memset(stats, 0, sizeof(*stats));
    assert_int_equal(abi_lane_stats_read(stats, 4, &out), 0);
    atomic_store(&stats->seq, 7);
    assert_int_equal(abi_lane_stats_read(stats, 4, &out), -1);
    free(stats);
}

static void a_killed_writer_leaves_a_whole_conf(void **state)
{
    struct vault_peer *rec =
        mmap(NULL, sizeof(*rec), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    unsigned seed = 1;
    (void)state;

    assert_ptr_not_equal(rec, MAP_FAILED);
    for (int round = 0; round < 60; round++) {
        struct vault_peer_conf out;
        pid_t child = fork();
        int status;

        assert_true(child >= 0);
        if (child == 0) {
            for (uint32_t n = 1;; n++) {
                struct vault_peer_conf conf;

                memset(&conf, (int)(1 + n % 250), sizeof(conf));
                vault_peer_write(rec, &conf);
            }
        }
        while (atomic_load(&rec->commit) == 0) {
            (void)usleep(100);
        }
        (void)usleep(200 + (unsigned)rand_r(&seed) % 800);
        (void)kill(child, SIGKILL);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(vault_peer_read(rec, &out), 0);
        for (size_t i = 1; i < sizeof(out); i++) {
            assert_int_equal(((uint8_t *)&out)[i], ((uint8_t *)&out)[0]);
        }
    }
    (void)munmap(rec, sizeof(*rec));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reader_that_sleeps_misses_nothing),
        cmocka_unit_test(a_reading_of_the_counters_is_of_one_moment),
        cmocka_unit_test(a_writer_that_died_in_the_seqlock_is_told),
        cmocka_unit_test(a_killed_writer_leaves_a_whole_conf),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

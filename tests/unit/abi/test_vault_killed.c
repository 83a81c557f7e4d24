/* A writer of the vault that is killed at any instruction leaves the old or the new record:
 * a child writes while this process steps it, instruction by instruction, and reads the
 * shared record after each, as whoever survives would find it. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "sfu/abi/vault.h"

enum { LEAST_STEPS = 20, MOST_STEPS = 2000000 };

/* What a reader may find, and how often it did. */
struct seen {
    unsigned steps, old, new;
};

/* The record in memory that both processes share. */
static void *share(size_t bytes)
{
    void *mem =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    assert_true(mem != MAP_FAILED);
    return mem;
}

/* Runs 'write' on 'rec' in a child and calls 'look' after each of its instructions. */
static void step_through(void (*write)(void *rec, const void *conf), void *rec,
                         const void *conf, void (*look)(const void *rec, struct seen *seen),
                         struct seen *seen)
{
    pid_t child = fork();
    int status;

    assert_true(child >= 0);
    if (child == 0) {
        (void)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        (void)raise(SIGSTOP);
        write(rec, conf);
        (void)raise(SIGSTOP);
        _exit(0);
    }
    *seen = (struct seen){.steps = 0};
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
    for (;;) {
        look(rec, seen);
        assert_int_equal(ptrace(PTRACE_SINGLESTEP, child, NULL, NULL), 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSTOPPED(status));
        if (WSTOPSIG(status) == SIGSTOP) {
            break; /* it has written */
        }
        assert_int_equal(WSTOPSIG(status), SIGTRAP);
        assert_true(++seen->steps < MOST_STEPS);
    }
    look(rec, seen);
    (void)kill(child, SIGKILL);
    assert_int_equal(waitpid(child, &status, 0), child);
}

/* ---- the three kinds ---- */

#define KIND(name)                                                                         \
    static struct vault_##name##_conf name##_old, name##_new;                              \
    static struct vault_##name##_live name##_live;                                         \
                                                                                           \
    static void name##_write(void *rec, const void *conf)                                  \
    {                                                                                      \
        vault_##name##_write(rec, conf);                                                   \
    }                                                                                      \
    static void name##_wipe(void *rec, const void *conf)                                   \
    {                                                                                      \
        (void)conf;                                                                        \
        vault_##name##_wipe(rec, &name##_live);                                            \
    }                                                                                      \
    static void name##_look(const void *rec, struct seen *seen)                            \
    {                                                                                      \
        struct vault_##name##_conf out;                                                    \
        int err = vault_##name##_read(rec, &out);                                          \
                                                                                           \
        if (err == 0 && memcmp(&out, &name##_old, sizeof(out)) == 0) {                     \
            assert_int_equal(seen->new, 0); /* never back */                               \
            seen->old++;                                                                   \
        } else {                                                                           \
            bool freed = name##_new.handle == 0;                                           \
                                                                                           \
            assert_int_equal(err, freed ? -ENOENT : 0);                                    \
            assert_true(freed || memcmp(&out, &name##_new, sizeof(out)) == 0);             \
            seen->new ++;                                                                  \
        }                                                                                  \
    }                                                                                      \
    static void name##_is_old_or_new(unsigned writes)                                      \
    {                                                                                      \
        struct vault_##name *rec = share(sizeof(*rec));                                    \
        struct seen seen;                                                                  \
                                                                                           \
        memset(&name##_old, 0x55, sizeof(name##_old));                                     \
        memset(&name##_new, 0xaa, sizeof(name##_new));                                     \
        for (unsigned i = 0; i < writes; i++) {                                            \
            vault_##name##_write(rec, &name##_old);                                        \
        }                                                                                  \
        step_through(name##_write, rec, &name##_new, name##_look, &seen);                  \
        assert_true(seen.steps >= LEAST_STEPS && seen.old > 1 && seen.new > 1);            \
        vault_##name##_write(rec, &name##_old);                                            \
        memset(&name##_new, 0, sizeof(name##_new));                                        \
        step_through(name##_wipe, rec, NULL, name##_look, &seen);                          \
        assert_true(seen.steps >= LEAST_STEPS && seen.old > 1 && seen.new > 1);            \
        (void)munmap(rec, sizeof(*rec));                                                   \
    }

KIND(peer)
KIND(stream)
KIND(sub)

/* From both copies, for each is current every other time. */
static void a_peer_is_old_or_new_at_every_instruction(void **state)
{
    (void)state;
    peer_is_old_or_new(1);
    peer_is_old_or_new(2);
}

static void a_stream_is_old_or_new_at_every_instruction(void **state)
{
    (void)state;
    stream_is_old_or_new(1);
    stream_is_old_or_new(2);
}

static void a_subscription_is_old_or_new_at_every_instruction(void **state)
{
    (void)state;
    sub_is_old_or_new(1);
    sub_is_old_or_new(2);
}

/* A record that never was one appears whole or not at all. */
static void a_first_write_appears_at_once(void **state)
{
    struct vault_peer *rec = share(sizeof(*rec));
    struct vault_peer_conf out;
    pid_t child;
    int status;
    bool was_there = false;
    (void)state;

    memset(&peer_new, 0xaa, sizeof(peer_new));
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        (void)raise(SIGSTOP);
        vault_peer_write(rec, &peer_new);
        (void)raise(SIGSTOP);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    do {
        int err = vault_peer_read(rec, &out);

        assert_true(err == -ENOENT ? !was_there : err == 0);
        was_there = err == 0;
        assert_true(!was_there || memcmp(&out, &peer_new, sizeof(out)) == 0);
        assert_int_equal(ptrace(PTRACE_SINGLESTEP, child, NULL, NULL), 0);
        assert_int_equal(waitpid(child, &status, 0), child);
    } while (WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP);
    assert_int_equal(vault_peer_read(rec, &out), 0);
    (void)kill(child, SIGKILL);
    assert_int_equal(waitpid(child, &status, 0), child);
    (void)munmap(rec, sizeof(*rec));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_peer_is_old_or_new_at_every_instruction),
        cmocka_unit_test(a_stream_is_old_or_new_at_every_instruction),
        cmocka_unit_test(a_subscription_is_old_or_new_at_every_instruction),
        cmocka_unit_test(a_first_write_appears_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

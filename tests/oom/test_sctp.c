/* Two ends of a data channel, set up and used, while the n-th allocation fails, of our own
 * or of usrsctp's: an association may fail or end, a message may be missing; nothing
 * crashes or leaks, what comes is whole, and the next association works.
 *
 * Of usrsctp (0.9.5) those allocations fail that it copes without: of chunks and messages,
 * and chains of buffers. It reads or writes through NULL if it gets no memory for a buffer
 * within a chain, for an address (usrsctp_bind, usrsctp_connect) or for the streams that an
 * INIT has asked for; it uses an association after it was freed if it gets none while it
 * makes it; it leaks if it gets none for a socket's hash table, or to tell its sockets of
 * addresses, and looks at none that it makes once a process. Nothing on this side of it can
 * mend that. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "oom/alloc.h"
#include "sctp/dsctp.h"

enum {
    LIVES = 200,
    IN_FLIGHT = 512,
    MESSAGES = 20,
    LARGE = 100000,
    TICKS = 60,
    REST = 500
};

struct end {
    struct dsctp_assoc *assoc;
    struct end *peer;
    unsigned n_got, n_resets;
    bool down;
};

static struct {
    struct dsctp *sctp;
    struct end a, b;
    unsigned n;
    struct {
        struct end *to;
        size_t len;
        uint8_t data[DSCTP_MAX_PACKET];
    } flight[IN_FLIGHT];
} net;

/* usrsctp's: a chain of buffers for 'len' bytes. */
struct mbuf;
struct mbuf *__real_m_getm2(struct mbuf *m, int len, int how, short type, int flags,
                            int all);
struct mbuf *__wrap_m_getm2(struct mbuf *m, int len, int how, short type, int flags,
                            int all);

struct mbuf *__wrap_m_getm2(struct mbuf *m, int len, int how, short type, int flags,
                            int all)
{
    void *has = oom_sctp_malloc(1); /* to be counted as an allocation */

    free(has);
    return has != NULL ? __real_m_getm2(m, len, how, type, flags, all) : NULL;
}

static void on_send(void *user, const void *data, size_t len)
{
    struct end *end = user;

    if (net.n < IN_FLIGHT) {
        net.flight[net.n].to = end->peer;
        net.flight[net.n].len = len;
        memcpy(net.flight[net.n++].data, data, len);
    }
}

/* Each message is of one letter, which its length says. */
static void on_message(void *user, uint16_t stream, uint32_t ppid, const void *data,
                       size_t len)
{
    struct end *end = user;
    const uint8_t *text = data;

    assert_int_equal(ppid, DSCTP_PPID_STRING);
    assert_true(stream == 1 || stream == 2);
    assert_true(len == LARGE || (len >= 1 && len <= MESSAGES));
    for (size_t i = 0; i < len; i++) {
        assert_int_equal(text[i], (uint8_t)len);
    }
    end->n_got++;
}

static void on_reset(void *user, uint16_t stream)
{
    struct end *end = user;

    assert_int_equal(stream, 1);
    end->n_resets++;
}

static void on_down(void *user, const char *reason)
{
    struct end *end = user;

    (void)reason;
    end->down = true;
}

static const struct dsctp_ops ops = {
    .on_send = on_send, .on_message = on_message, .on_reset = on_reset, .on_down = on_down};

static void run(unsigned ticks)
{
    for (unsigned i = 0; i < ticks; i++) {
        for (unsigned k = 0; k < net.n; k++) { /* those that are sent meanwhile, too */
            struct end *to = net.flight[k].to;

            if (to->assoc != NULL) {
                dsctp_input(to->assoc, net.flight[k].data, net.flight[k].len);
            }
        }
        net.n = 0;
        dsctp_tick(net.sctp, DSCTP_TICK_MS);
    }
}

static void say(struct end *end, uint16_t stream, size_t len)
{
    const struct dsctp_channel channel = {.stream = stream};
    static uint8_t text[LARGE];

    memset(text, (uint8_t)len, len);
    (void)dsctp_send(end->assoc, &channel, DSCTP_PPID_STRING, text, len);
}

static void talk(void)
{
    for (size_t i = 1; i <= MESSAGES; i++) {
        say(&net.a, 1, i);
        say(&net.b, 2, i);
        run(1);
    }
    say(&net.a, 1, LARGE);
    run(TICKS);
    dsctp_reset(net.a.assoc, 1);
    run(TICKS);
}

static void life(void)
{
    net.n = 0;
    net.a = (struct end){.peer = &net.b};
    net.b = (struct end){.peer = &net.a};
    if (dsctp_open(&net.a.assoc, net.sctp, &ops, &net.a) == 0 &&
        dsctp_open(&net.b.assoc, net.sctp, &ops, &net.b) == 0) {
        talk();
    }
    dsctp_close(net.a.assoc);
    dsctp_close(net.b.assoc);
    net.a.assoc = net.b.assoc = NULL;
    net.n = 0;
    /* Two seconds later it looks at addresses that came and went, and frees what else is
     * left. */
    oom_pause();
    run(REST);
    oom_go_on();
}

static bool worked(void)
{
    return net.a.n_got == MESSAGES && net.b.n_got == MESSAGES + 1 && net.b.n_resets == 1;
}

static void without_failures_all_arrives(void **state)
{
    (void)state;
    life();
    assert_true(worked());
}

static void whichever(enum oom_of of)
{
    assert_true(oom_every(of, life, LIVES) > 0);
    life();
    assert_true(worked());
}

static void whichever_of_our_allocations_fails_nothing_crashes_or_leaks(void **state)
{
    (void)state;
    whichever(OOM_OURS);
}

static void whichever_of_usrsctps_fails_nothing_crashes_or_leaks(void **state)
{
    (void)state;
    whichever(OOM_SCTP);
}

static int begin(void **state)
{
    (void)state;
    return dsctp_create(&net.sctp);
}

static int end(void **state)
{
    (void)state;
    dsctp_destroy(net.sctp);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_failures_all_arrives),
        cmocka_unit_test(whichever_of_our_allocations_fails_nothing_crashes_or_leaks),
        cmocka_unit_test(whichever_of_usrsctps_fails_nothing_crashes_or_leaks),
    };

    oom_hook();
    return cmocka_run_group_tests(tests, begin, end);
}

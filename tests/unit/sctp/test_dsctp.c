/* Two associations that talk over a bad network in virtual time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "sctp/dsctp.h"
#include "sctp/dsctp_packet.h"
#include "sfu/base/bytes.h"

enum { IN_FLIGHT = 16384, MAX_GOT = 20000 };

/* The library asks the system's clock how old packets are: that goes with its timers here,
 * or they would be too young to be sent again where virtual time is faster. */
static uint64_t clock_us;

int gettimeofday(struct timeval *restrict out, void *restrict zone)
{
    (void)zone;
    out->tv_sec = (time_t)(clock_us / 1000000);
    out->tv_usec = (suseconds_t)(clock_us % 1000000);
    return 0;
}

struct end;

struct packet {
    struct end *to;
    uint64_t at_ms;
    size_t len;
    uint8_t data[DSCTP_MAX_PACKET];
};

struct got {
    uint16_t stream;
    uint32_t ppid;
    size_t len;
    uint8_t *data;
};

struct end {
    struct net *net;
    struct dsctp_assoc *assoc;
    struct end *peer;
    struct got got[MAX_GOT];
    unsigned n_got, n_resets, n_down;
    uint16_t last_reset;
    const char *reason;
    bool close_on_message; /* itself */
};

struct net {
    struct dsctp *sctp;
    struct end a, b;
    uint64_t now_ms;
    unsigned loss, reorder; /* of 1,000 */
    unsigned duplicate;
    bool cut;
    uint32_t seed;
    unsigned n_lost;
    unsigned n_flight;
    struct packet *flight;
};

static unsigned roll(struct net *net)
{
    net->seed = net->seed * 1664525u + 1013904223u;
    return net->seed >> 16;
}

static void put(struct net *net, struct end *to, const void *data, size_t len,
                uint64_t delay_ms)
{
    struct packet *p;

    assert_true(len <= DSCTP_MAX_PACKET);
    assert_true(net->n_flight < IN_FLIGHT);
    p = &net->flight[net->n_flight++];
    p->to = to;
    p->at_ms = net->now_ms + delay_ms;
    p->len = len;
    memcpy(p->data, data, len);
}

static void on_send(void *user, const void *data, size_t len)
{
    struct end *end = user;
    struct net *net = end->net;

    if (net->cut || roll(net) % 1000 < net->loss) {
        net->n_lost++;
        return;
    }
    put(net, end->peer, data, len, roll(net) % 1000 < net->reorder ? 25 : 5);
    if (roll(net) % 1000 < net->duplicate) {
        put(net, end->peer, data, len, 15);
    }
}

static void on_message(void *user, uint16_t stream, uint32_t ppid, const void *data,
                       size_t len)
{
    struct end *end = user;
    struct got *got = &end->got[end->n_got++];

    assert_true(end->n_got < MAX_GOT);
    *got = (struct got){.stream = stream, .ppid = ppid, .len = len, .data = malloc(len)};
    assert_non_null(got->data);
    memcpy(got->data, data, len);
    if (end->close_on_message) {
        dsctp_close(end->assoc);
        end->assoc = NULL;
    }
}

static void on_reset(void *user, uint16_t stream)
{
    struct end *end = user;

    end->n_resets++;
    end->last_reset = stream;
}

static void on_down(void *user, const char *reason)
{
    struct end *end = user;

    end->n_down++;
    end->reason = reason;
}

static const struct dsctp_ops ops = {
    .on_send = on_send, .on_message = on_message, .on_reset = on_reset, .on_down = on_down};

static void step(struct net *net)
{
    unsigned left = 0;

    clock_us += DSCTP_TICK_MS * 1000;
    net->now_ms += DSCTP_TICK_MS;
    for (unsigned i = 0; i < net->n_flight; i++) { /* those that are sent meanwhile, too */
        struct packet p = net->flight[i];

        if (p.at_ms > net->now_ms) {
            net->flight[left++] = p;
        } else if (p.to->assoc != NULL) {
            dsctp_input(p.to->assoc, p.data, p.len);
        }
    }
    net->n_flight = left;
    dsctp_tick(net->sctp, DSCTP_TICK_MS);
}

static void run(struct net *net, unsigned ms)
{
    for (uint64_t until = net->now_ms + ms; net->now_ms < until;) {
        step(net);
    }
}

static void run_until(struct net *net, const unsigned *n, unsigned wanted)
{
    for (unsigned i = 0; *n < wanted; i++) {
        assert_true(i < 30000); /* five minutes */
        step(net);
    }
}

static void start(struct net *net)
{
    memset(net, 0, sizeof(*net));
    net->flight = calloc(IN_FLIGHT, sizeof(*net->flight));
    assert_non_null(net->flight);
    net->seed = 7;
    assert_int_equal(dsctp_create(&net->sctp), 0);
    net->a = (struct end){.net = net, .peer = &net->b};
    net->b = (struct end){.net = net, .peer = &net->a};
    assert_int_equal(dsctp_open(&net->a.assoc, net->sctp, &ops, &net->a), 0);
    assert_int_equal(dsctp_open(&net->b.assoc, net->sctp, &ops, &net->b), 0);
}

static void finish(struct net *net)
{
    struct dsctp_counts counts;

    dsctp_close(net->a.assoc);
    dsctp_close(net->b.assoc);
    dsctp_counts(net->sctp, &counts);
    assert_int_equal(counts.open, 0);
    dsctp_destroy(net->sctp);
    for (struct end *end = &net->a; end != NULL; end = end == &net->a ? &net->b : NULL) {
        for (unsigned i = 0; i < end->n_got; i++) {
            free(end->got[i].data);
        }
    }
    free(net->flight);
}

/* A message that says which it is. */
static size_t fill(uint8_t *out, uint32_t number, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        out[i] = (uint8_t)(number * 31 + i);
    }
    if (len >= 4) {
        store_be32(out, number);
    }
    return len;
}

static void assert_message(const struct got *got, uint32_t number, size_t len)
{
    uint8_t *want = malloc(len);

    assert_non_null(want);
    (void)fill(want, number, len);
    assert_int_equal(got->len, len);
    assert_memory_equal(got->data, want, len);
    free(want);
}

static void messages_of_every_kind_arrive_as_they_were(void **state)
{
    static const uint32_t ppids[] = {DSCTP_PPID_STRING, DSCTP_PPID_BINARY,
                                     DSCTP_PPID_STRING_EMPTY, DSCTP_PPID_BINARY_EMPTY};
    static const size_t lens[] = {1, 5, 1100, 65535, 65536, DSCTP_MAX_MESSAGE};
    uint8_t *buf = malloc(DSCTP_MAX_MESSAGE + 1);
    struct dsctp_counts counts;
    unsigned n = 0;
    static struct net net;
    (void)state;

    assert_non_null(buf);
    start(&net);
    for (size_t i = 0; i < 4; i++) {
        const struct dsctp_channel channel = {.stream = (uint16_t)(i * 341)};

        for (size_t k = 0; k < sizeof(lens) / sizeof(lens[0]); k++) {
            (void)fill(buf, n, lens[k]);
            assert_int_equal(dsctp_send(net.a.assoc, &channel, ppids[i], buf, lens[k]), 0);
            run_until(&net, &net.b.n_got, ++n);
            assert_message(&net.b.got[n - 1], n - 1, lens[k]);
            assert_int_equal(net.b.got[n - 1].ppid, ppids[i]);
            assert_int_equal(net.b.got[n - 1].stream, channel.stream);
        }
    }
    assert_int_equal(net.a.n_got, 0);
    assert_int_equal(
        dsctp_send(net.b.assoc, &(struct dsctp_channel){0}, DSCTP_PPID_STRING, "back", 4),
        0);
    run_until(&net, &net.a.n_got, 1);

    assert_int_equal(dsctp_send(net.a.assoc, &(struct dsctp_channel){0}, DSCTP_PPID_BINARY,
                                buf, DSCTP_MAX_MESSAGE + 1),
                     -EMSGSIZE);
    assert_int_equal(
        dsctp_send(net.a.assoc, &(struct dsctp_channel){0}, DSCTP_PPID_BINARY, buf, 0),
        -EMSGSIZE);
    assert_int_equal(dsctp_send(net.a.assoc,
                                &(struct dsctp_channel){.stream = DSCTP_STREAMS},
                                DSCTP_PPID_BINARY, buf, 1),
                     -EINVAL);

    /* what is no message of a channel */
    assert_int_equal(
        dsctp_send(net.a.assoc, &(struct dsctp_channel){0}, DSCTP_PPID_DCEP, buf, 12), 0);
    assert_int_equal(dsctp_send(net.a.assoc, &(struct dsctp_channel){0}, 99, buf, 12), 0);
    run(&net, 500);
    assert_int_equal(net.b.n_got, n);
    dsctp_counts(net.sctp, &counts);
    assert_int_equal(counts.ignored, 2);
    assert_int_equal(counts.messages, n + 1);
    assert_int_equal(counts.open, 2);
    assert_int_equal(net.a.n_down + net.b.n_down, 0);
    free(buf);
    finish(&net);
}

static void a_bad_network_loses_and_reorders_nothing_of_an_ordered_channel(void **state)
{
    const struct dsctp_channel channel = {.stream = 3};
    uint8_t buf[3000];
    static struct net net;
    (void)state;

    start(&net);
    net.loss = 30;
    net.reorder = 100;
    net.duplicate = 20;
    for (uint32_t i = 0; i < 400; i++) {
        const size_t len = 4 + i * 3 % 2900;

        assert_int_equal(
            dsctp_send(net.a.assoc, &channel, DSCTP_PPID_BINARY, buf, fill(buf, i, len)),
            0);
    }
    run_until(&net, &net.b.n_got, 400);
    for (uint32_t i = 0; i < 400; i++) {
        assert_message(&net.b.got[i], i, 4 + i * 3 % 2900);
    }
    assert_true(net.n_lost > 10);
    run(&net, 2000);
    assert_int_equal(net.b.n_got, 400); /* none twice */
    finish(&net);
}

static void an_unordered_channel_brings_all_in_any_order(void **state)
{
    const struct dsctp_channel channel = {.stream = 4, .unordered = true};
    bool seen[300] = {false};
    unsigned overtaken = 0;
    uint32_t highest = 0;
    uint8_t buf[600];
    static struct net net;
    (void)state;

    start(&net);
    run(&net, 100);
    net.loss = 50;
    for (uint32_t i = 0; i < 300; i++) {
        assert_int_equal(
            dsctp_send(net.a.assoc, &channel, DSCTP_PPID_STRING, buf, fill(buf, i, 600)),
            0);
    }
    run_until(&net, &net.b.n_got, 300);
    for (unsigned i = 0; i < 300; i++) {
        uint32_t number = load_be32(net.b.got[i].data);

        assert_true(number < 300 && !seen[number]);
        seen[number] = true;
        overtaken += number < highest;
        highest = number > highest ? number : highest;
    }
    assert_true(overtaken > 0);
    finish(&net);
}

/* RFC 3758: what was sent as often as it may be, or is too old, is given up; what follows
 * is not held up by it. */
static void an_unreliable_channel_gives_up(uint8_t reliability, uint32_t limit)
{
    const struct dsctp_channel channel = {
        .stream = 5, .reliability = reliability, .limit = limit};
    uint32_t last = 0;
    uint8_t buf[200];
    static struct net net;

    start(&net);
    run(&net, 100);
    net.loss = 200;
    for (uint32_t i = 0; i < 400; i++) {
        assert_int_equal(
            dsctp_send(net.a.assoc, &channel, DSCTP_PPID_BINARY, buf, fill(buf, i, 200)),
            0);
        run(&net, 10);
    }
    net.loss = 0;
    run(&net, 3000); /* what was missed is given up */
    assert_int_equal(
        dsctp_send(net.a.assoc, &channel, DSCTP_PPID_BINARY, buf, fill(buf, 400, 200)), 0);
    run(&net, 3000);
    assert_in_range(net.b.n_got, 200, 390);
    for (unsigned i = 0; i < net.b.n_got; i++) {
        uint32_t number = load_be32(net.b.got[i].data);

        assert_true(i == 0 || number > last); /* those that arrive are in order */
        last = number;
        assert_message(&net.b.got[i], number, 200);
    }
    assert_int_equal(last, 400);
    finish(&net);
}

static void no_retransmission_means_none(void **state)
{
    (void)state;
    an_unreliable_channel_gives_up(DSCTP_RETRANSMITS, 0);
}

static void what_is_too_old_is_not_sent_again(void **state)
{
    (void)state;
    an_unreliable_channel_gives_up(DSCTP_LIFETIME, 30);
}

/* The peer reads nothing any more. */
static void what_waits_for_one_peer_is_bounded(void **state)
{
    const struct dsctp_channel channel = {.stream = 1};
    static uint8_t buf[65536];
    size_t waiting = 0;
    static struct net net;
    int err = 0;
    (void)state;

    start(&net);
    run(&net, 100);
    net.cut = true;
    while ((err = dsctp_send(net.a.assoc, &channel, DSCTP_PPID_BINARY, buf, sizeof(buf))) ==
           0) {
        waiting += sizeof(buf);
        assert_true(waiting <= DSCTP_QUEUE_BYTES);
    }
    assert_int_equal(err, -EAGAIN);
    assert_true(waiting > DSCTP_QUEUE_BYTES / 2);
    err = 0; /* small ones cost more than their bytes */
    for (unsigned i = 0; i < 2 * DSCTP_QUEUE_MESSAGES && err == 0; i++) {
        err = dsctp_send(net.b.assoc, &channel, DSCTP_PPID_BINARY, buf, 1);
    }
    assert_int_equal(err, -EAGAIN);
    net.cut = false; /* and it goes on, whole and in order */
    run_until(&net, &net.b.n_got, (unsigned)(waiting / sizeof(buf)));
    assert_int_equal(dsctp_send(net.a.assoc, &channel, DSCTP_PPID_BINARY, buf, 1), 0);
    finish(&net);
}

static void a_closed_channel_is_told_to_the_peer_and_can_be_used_again(void **state)
{
    const struct dsctp_channel channel = {.stream = 6};
    static struct net net;
    (void)state;

    start(&net);
    assert_int_equal(dsctp_send(net.a.assoc, &channel, DSCTP_PPID_STRING, "one", 3), 0);
    run_until(&net, &net.b.n_got, 1);
    assert_int_equal(dsctp_send(net.a.assoc, &channel, DSCTP_PPID_STRING, "two", 3), 0);
    dsctp_reset(net.a.assoc, 6);
    dsctp_reset(net.a.assoc, 7); /* while the other is under way */
    dsctp_reset(net.a.assoc, 900);
    run_until(&net, &net.b.n_resets, 3);
    assert_int_equal(net.b.n_got, 2);
    dsctp_reset(net.b.assoc, 6); /* as RFC 8831, 6.7 wants it */
    run_until(&net, &net.a.n_resets, 1);
    assert_int_equal(net.a.last_reset, 6);
    assert_int_equal(dsctp_send(net.a.assoc, &channel, DSCTP_PPID_STRING, "again", 5), 0);
    run_until(&net, &net.b.n_got, 3);
    dsctp_reset(net.a.assoc, DSCTP_STREAMS); /* there is none */
    finish(&net);
}

static void a_peer_that_is_gone_ends_the_association(void **state)
{
    static struct net net;
    (void)state;

    start(&net);
    run(&net, 200);
    dsctp_close(net.b.assoc); /* aborts */
    net.b.assoc = NULL;
    run_until(&net, &net.a.n_down, 1);
    assert_string_equal(net.a.reason, "sctp_closed");
    assert_int_equal(
        dsctp_send(net.a.assoc, &(struct dsctp_channel){0}, DSCTP_PPID_STRING, "x", 1),
        -ENOTCONN);
    run(&net, 1000);
    assert_int_equal(net.a.n_down, 1);
    finish(&net);
}

static void a_peer_that_never_answers_is_given_up(void **state)
{
    static struct net net;
    (void)state;

    start(&net);
    net.cut = true;
    run_until(&net, &net.a.n_down, 1);
    assert_string_equal(net.a.reason, "sctp_failed");
    finish(&net);
}

static void a_callback_may_close_its_association(void **state)
{
    const struct dsctp_channel channel = {.stream = 0};
    static struct net net;
    (void)state;

    start(&net);
    net.b.close_on_message = true;
    for (int i = 0; i < 10; i++) {
        assert_int_equal(dsctp_send(net.a.assoc, &channel, DSCTP_PPID_STRING, "x", 1), 0);
    }
    run(&net, 2000);
    assert_int_equal(net.b.n_got, 1);
    assert_int_equal(net.a.n_down, 1);
    finish(&net);
}

/* Bytes that nobody sane sends cost nobody but their sender. */
static void nonsense_is_counted_and_disturbs_no_other(void **state)
{
    const struct dsctp_channel channel = {.stream = 1};
    struct dsctp_assoc *bad;
    struct end lonely = {.n_got = 0};
    struct dsctp_counts counts;
    uint8_t buf[DSCTP_MAX_PACKET];
    static struct net net;
    (void)state;

    start(&net);
    run(&net, 100);
    lonely.net = &net;
    lonely.peer = &lonely;
    net.cut = true; /* what the third one says is lost */
    assert_int_equal(dsctp_open(&bad, net.sctp, &ops, &lonely), 0);
    for (uint32_t i = 0; i < 20000; i++) {
        size_t len = roll(&net) % sizeof(buf);

        for (size_t k = 0; k < len; k++) {
            buf[k] = (uint8_t)roll(&net);
        }
        if (len >= 16 && i % 2 == 0) { /* sound at first sight */
            store_be16(buf, DSCTP_PORT);
            store_be16(buf + 2, DSCTP_PORT);
            store_be16(buf + 14, (uint16_t)(len - 12));
            buf[12] = (uint8_t)(roll(&net) % 15);
        }
        dsctp_input(bad, buf, len);
    }
    net.cut = false;
    dsctp_counts(net.sctp, &counts);
    assert_true(counts.bad > 9000);
    dsctp_close(bad);
    for (uint32_t i = 0; i < 50; i++) {
        assert_int_equal(
            dsctp_send(net.a.assoc, &channel, DSCTP_PPID_BINARY, buf, fill(buf, i, 999)),
            0);
    }
    run_until(&net, &net.b.n_got, 50);
    assert_int_equal(net.b.n_down, 0);
    finish(&net);
}

static void only_packets_of_webrtc_are_looked_at(void **state)
{
    /* INIT of 20 bytes, with four streams each way */
    uint8_t init[32] = {0x13, 0x88, 0x13, 0x88, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 20};
    uint8_t buf[40] = {0};
    (void)state;

    assert_true(dsctp_packet_sane(init, sizeof(init), 5000));
    assert_false(dsctp_packet_sane(init, sizeof(init) - 1, 5000));
    assert_false(dsctp_packet_sane(init, sizeof(init), 5001));
    assert_false(dsctp_packet_sane(init, 12, 5000));
    memcpy(buf, init, sizeof(init)); /* not alone */
    buf[32] = 11;
    buf[35] = 4;
    assert_false(dsctp_packet_sane(buf, 36, 5000));
    init[15] = 32 - 12; /* a parameter without a length: the library would never return */
    memcpy(buf, init, sizeof(init));
    memset(buf + 32, 0, 8);
    buf[15] = 28;
    buf[32] = 0x80;
    assert_false(dsctp_packet_sane(buf, 40, 5000));
    buf[35] = 3; /* shorter than its header */
    assert_false(dsctp_packet_sane(buf, 40, 5000));
    buf[35] = 9; /* longer than the chunk */
    assert_false(dsctp_packet_sane(buf, 40, 5000));
    buf[35] = 8;
    assert_true(dsctp_packet_sane(buf, 40, 5000));
    buf[35] = 4;
    buf[39] = 4;
    assert_true(dsctp_packet_sane(buf, 40, 5000));
    init[12] = 0xc1; /* ASCONF */
    assert_false(dsctp_packet_sane(init, sizeof(init), 5000));
    init[12] = 0x0f; /* AUTH */
    assert_false(dsctp_packet_sane(init, sizeof(init), 5000));
    init[12] = 10; /* COOKIE ECHO of 17 bytes and its padding */
    init[15] = 17;
    assert_true(dsctp_packet_sane(init, sizeof(init), 5000));
    init[15] = 3;
    assert_false(dsctp_packet_sane(init, sizeof(init), 5000));
    init[12] = 1;
    init[15] = 21;
    assert_false(dsctp_packet_sane(init, sizeof(init), 5000));
}

static void the_stack_can_be_made_anew(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct dsctp *one, *two;
        static struct net net;

        assert_int_equal(dsctp_create(&one), 0);
        assert_int_equal(dsctp_create(&two), 0);
        start(&net);
        run(&net, 50);
        finish(&net);
        dsctp_destroy(one);
        dsctp_destroy(two);
    }
    dsctp_destroy(NULL);
    dsctp_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_of_every_kind_arrive_as_they_were),
        cmocka_unit_test(a_bad_network_loses_and_reorders_nothing_of_an_ordered_channel),
        cmocka_unit_test(an_unordered_channel_brings_all_in_any_order),
        cmocka_unit_test(no_retransmission_means_none),
        cmocka_unit_test(what_is_too_old_is_not_sent_again),
        cmocka_unit_test(what_waits_for_one_peer_is_bounded),
        cmocka_unit_test(a_closed_channel_is_told_to_the_peer_and_can_be_used_again),
        cmocka_unit_test(a_peer_that_is_gone_ends_the_association),
        cmocka_unit_test(a_peer_that_never_answers_is_given_up),
        cmocka_unit_test(a_callback_may_close_its_association),
        cmocka_unit_test(nonsense_is_counted_and_disturbs_no_other),
        cmocka_unit_test(only_packets_of_webrtc_are_looked_at),
        cmocka_unit_test(the_stack_can_be_made_anew),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

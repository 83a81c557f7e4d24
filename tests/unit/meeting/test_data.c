/* Data producers and consumers: who is told what, and every refusal. What flows between
 * them is in tests/unit/sctp and tests/e2e. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "meeting/priv.h"
#include "unit/meeting/world.h"

static const struct dsctp_channel channel = {.stream = 7};

static struct data_producer *data_produce(struct world *w, struct transport *t,
                                          uint16_t stream)
{
    struct dsctp_channel c = channel;
    struct meeting_error err;
    struct data_producer *dp;

    c.stream = stream;
    dp = meeting_data_produce(w->meeting, t->owner, t->id, &c, "chat", "", &err);
    assert_non_null(dp);
    return dp;
}

static struct data_consumer *data_consume(struct world *w, struct transport *t,
                                          const struct data_producer *dp)
{
    struct meeting_error err;
    struct data_consumer *dc =
        meeting_data_consume(w->meeting, t->owner, t->id, dp->id, &err);

    assert_non_null(dc);
    return dc;
}

static unsigned n_told(const struct world *w, enum meeting_event_kind kind)
{
    unsigned n = 0;

    for (unsigned i = 0; i < w->n_told; i++) {
        n += w->told[i].kind == kind;
    }
    return n;
}

static void a_channel_is_told_consumed_and_closed(void **state)
{
    struct meeting_error err;
    struct data_producer *dp;
    struct data_consumer *dc;
    struct pair p;
    struct world w;
    (void)state;

    world_start(&w);
    p = make_pair(&w);
    w.n_told = 0;
    dp = data_produce(&w, p.send, 7);
    assert_int_equal(n_told(&w, MEETING_NEW_DATA), 1);
    assert_string_equal(dp->label, "chat");
    dc = data_consume(&w, p.recv, dp);
    assert_ptr_equal(dp->consumers, dc);
    assert_string_not_equal(dc->id, dp->id);
    assert_int_not_equal(data_consume(&w, p.recv, dp)->channel.stream, dc->channel.stream);

    w.n_told = 0;
    assert_int_equal(meeting_data_close(p.b, dp->id, &err), -1); /* another's */
    assert_string_equal(err.code, "not_found");
    assert_int_equal(meeting_data_close(p.a, dc->id, &err), -1);
    assert_int_equal(meeting_data_close(p.b, dc->id, &err), 0);
    assert_int_equal(w.n_told, 0); /* it asked for it */
    assert_int_equal(meeting_data_close(p.a, dp->id, &err), 0);
    assert_int_equal(n_told(&w, MEETING_DATA_CONSUMER_CLOSED), 1); /* the other one */
    assert_string_equal(w.told[0].reason, "producer_closed");
    assert_int_equal(n_told(&w, MEETING_DATA_CLOSED), 1);
    assert_null(p.recv->data_consumers);
    assert_null(p.send->data_producers);
    part(&w, &p);
    world_finish(&w);
}

static void what_cannot_be_is_refused(void **state)
{
    struct dsctp_channel c = channel;
    struct meeting_error err;
    struct data_producer *dp;
    struct pair p;
    struct world w;
    (void)state;

    world_start(&w);
    p = make_pair(&w);
    dp = data_produce(&w, p.send, 7);
    assert_null(meeting_data_produce(w.meeting, p.a, p.send->id, &c, "", "", &err));
    assert_string_equal(err.code, "invalid"); /* that stream is in use */
    assert_null(meeting_data_produce(w.meeting, p.b, p.recv->id, &c, "", "", &err));
    assert_string_equal(err.code, "wrong_direction");
    assert_null(meeting_data_produce(w.meeting, p.b, p.send->id, &c, "", "", &err));
    assert_string_equal(err.code, "not_found");
    assert_null(meeting_data_consume(w.meeting, p.a, p.send->id, dp->id, &err));
    assert_string_equal(err.code, "wrong_direction");
    assert_null(meeting_data_consume(w.meeting, p.b, p.recv->id, "nobody", &err));
    assert_string_equal(err.code, "not_found");
    p.a->who.role = AUTH_GUEST;
    c.stream = 8;
    assert_null(meeting_data_produce(w.meeting, p.a, p.send->id, &c, "", "", &err));
    assert_string_equal(err.code, "forbidden");
    p.a->who.role = AUTH_HOST;
    for (uint16_t i = 8; p.send->n_data_producers < 32; i++) {
        (void)data_produce(&w, p.send, i);
    }
    c.stream = 900;
    assert_null(meeting_data_produce(w.meeting, p.a, p.send->id, &c, "", "", &err));
    assert_string_equal(err.code, "too_many");
    for (unsigned i = 0; i < 512; i++) {
        (void)data_consume(&w, p.recv, dp);
    }
    assert_null(meeting_data_consume(w.meeting, p.b, p.recv->id, dp->id, &err));
    assert_string_equal(err.code, "too_many");
    part(&w, &p);
    world_finish(&w);
}

/* As the session says it: the association ends, the transport goes on. */
static void when_the_association_ends_so_do_its_channels(void **state)
{
    struct data_producer *dp;
    struct meeting_error err;
    struct pair p;
    struct world w;
    (void)state;

    world_start(&w);
    p = make_pair(&w);
    dp = data_produce(&w, p.send, 7);
    (void)data_consume(&w, p.recv, dp);
    meeting_on_data(p.send, 99, DSCTP_PPID_STRING, "x", 1); /* nobody's */
    meeting_on_data(p.send, 7, DSCTP_PPID_STRING, "x", 1);  /* it is not open yet */
    assert_non_null(p.recv->data_consumers);
    w.n_told = 0;
    meeting_on_data_reset(p.recv, 500); /* nobody's */
    meeting_on_data_down(p.recv, "sctp_closed");
    assert_int_equal(n_told(&w, MEETING_DATA_CONSUMER_CLOSED), 1);
    assert_string_equal(w.told[0].reason, "sctp_closed");
    assert_null(dp->consumers);
    (void)data_consume(&w, p.recv, dp);
    w.n_told = 0;
    meeting_on_data_reset(p.send, 7); /* the client has closed its channel */
    assert_int_equal(n_told(&w, MEETING_DATA_CLOSED), 2); /* itself and the others */
    assert_int_equal(n_told(&w, MEETING_DATA_CONSUMER_CLOSED), 1);
    assert_null(p.send->data_producers);
    assert_int_equal(p.a->n_transports, 1);

    (void)data_consume(&w, p.recv, data_produce(&w, p.send, 7)); /* anew */
    w.n_told = 0;
    assert_int_equal(meeting_transport_close(w.meeting, p.a, p.send->id, &err), 0);
    assert_int_equal(n_told(&w, MEETING_DATA_CONSUMER_CLOSED), 1);
    part(&w, &p);
    world_finish(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_channel_is_told_consumed_and_closed),
        cmocka_unit_test(what_cannot_be_is_refused),
        cmocka_unit_test(when_the_association_ends_so_do_its_channels),
    };

    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Who wants to come in when many do, through real sockets: waits for his turn, or is told
 * when to come again; nothing is done for whom there is no place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "meeting/priv.h"
#include "unit/signal/user.h"

#define JOIN "{\"meeting_id\":\"m\",\"display_name\":\"N\"}"

/* Work for so long has been let in already. */
static void busy_for(struct site *s, uint64_t ms)
{
    s->w.meeting->gate.free_us = clock_mono_us() + GATE_BURST_US + ms * 1000;
}

static struct meeting_arrivals arrivals(const struct site *s)
{
    struct meeting_arrivals n;

    meeting_arrivals(s->w.meeting, &n);
    return n;
}

static struct user *connected(struct site *s, const char *sub)
{
    struct user *u = user_open(s, false);

    user_connect(s, u, sub, "presenter");
    return u;
}

static void expect_joined(struct site *s, struct user *u, uint64_t id)
{
    json_t *answer = user_ack(s, u, id);

    assert_true(json_is_true(json_object_get(answer, "ok")));
    json_decref(answer);
}

/* The code; *retry_ms is 0 if it is not said. */
static void expect_refused(struct site *s, struct user *u, uint64_t id, const char *code,
                           json_int_t *retry_ms)
{
    json_t *answer = user_ack(s, u, id);
    const json_t *error = json_object_get(answer, "error");

    assert_string_equal(text_of(error, "code"), code);
    *retry_ms = json_integer_value(json_object_get(error, "retry_after_ms"));
    json_decref(answer);
}

static void those_who_come_too_fast_wait_and_one_too_many_is_told_when(void **state)
{
    struct user *a, *b, *c;
    uint64_t id_a, id_b, begun_ms;
    json_int_t retry_ms;
    struct site s;
    (void)state;

    world_gate = (struct gate_conf){.most = 2, .wait_ms = 4000};
    site_start(&s);
    a = connected(&s, "a");
    b = connected(&s, "b");
    c = connected(&s, "c");
    busy_for(&s, 300);
    begun_ms = now_ms();
    id_a = user_emit(&s, a, "room:join", JOIN);
    AWAIT(&s, arrivals(&s).waiting == 1);
    id_b = user_emit(&s, b, "room:join", JOIN);
    AWAIT(&s, arrivals(&s).waiting == 2);
    expect_refused(&s, c, user_emit(&s, c, "room:join", JOIN), "overloaded", &retry_ms);
    assert_in_range(retry_ms, GATE_RETRY_MIN_MS, GATE_RETRY_MAX_MS);
    assert_true(now_ms() - begun_ms < 250);
    /* what the one asks again does not take a second place */
    expect_refused(&s, a, user_emit(&s, a, "room:join", JOIN), "already_joined", &retry_ms);
    assert_int_equal(meeting_n_participants(s.w.meeting), 0);
    expect_joined(&s, a, id_a);
    assert_true(now_ms() - begun_ms >= 290);
    expect_joined(&s, b, id_b);
    expect_joined(&s, c, user_emit(&s, c, "room:join", JOIN));
    assert_int_equal(arrivals(&s).waited, 2);
    assert_int_equal(arrivals(&s).refused, 1);
    assert_int_equal(arrivals(&s).at_once, 1);
    assert_int_equal(world_n_open(&s.w), 0);
    site_finish(&s);
}

static void who_goes_while_he_waits_is_no_longer_waited_for(void **state)
{
    struct user *a, *b;
    struct site s;
    uint64_t id;
    (void)state;

    world_gate = (struct gate_conf){.most = 1, .wait_ms = 4000};
    site_start(&s);
    a = connected(&s, "a");
    b = connected(&s, "b");
    busy_for(&s, 300);
    (void)user_emit(&s, a, "room:join", JOIN);
    AWAIT(&s, arrivals(&s).waiting == 1);
    user_vanish(a);
    AWAIT(&s, arrivals(&s).waiting == 0);
    id = user_emit(&s, b, "room:join", JOIN); /* there is room for one */
    expect_joined(&s, b, id);
    assert_int_equal(arrivals(&s).departed, 1);
    assert_int_equal(meeting_n_participants(s.w.meeting), 1);
    site_finish(&s);
}

static void who_has_waited_too_long_is_told_when_to_come_again(void **state)
{
    json_int_t retry_ms;
    struct user *a;
    struct site s;
    (void)state;

    world_gate = (struct gate_conf){.most = 1, .wait_ms = 100};
    site_start(&s);
    a = connected(&s, "a");
    busy_for(&s, 5000);
    expect_refused(&s, a, user_emit(&s, a, "room:join", JOIN), "overloaded", &retry_ms);
    assert_true(retry_ms >= GATE_RETRY_MIN_MS);
    assert_int_equal(arrivals(&s).too_late, 1);
    busy_for(&s, 0);
    s.w.meeting->gate.free_us = 0;
    expect_joined(&s, a, user_emit(&s, a, "room:join", JOIN));
    site_finish(&s);
}

/* Nobody waits for what there will be no place in: a full room, a full node. */
static void more_than_there_are_places_are_refused_at_once(void **state)
{
    struct user *u[4];
    json_int_t retry_ms;
    struct site s;
    uint64_t id;
    (void)state;

    world_gate = (struct gate_conf){.most = 16, .wait_ms = 4000};
    site_start(&s);
    for (int i = 0; i < 3; i++) {
        char name[2] = {(char)('a' + i), '\0'};

        u[i] = user_join(&s, false, name);
    }
    u[3] = connected(&s, "d");
    busy_for(&s, 5000);
    expect_refused(&s, u[3], user_emit(&s, u[3], "room:join", JOIN), "room_full", &retry_ms);
    assert_int_equal(retry_ms, 0);
    assert_int_equal(arrivals(&s).room_full, 1);
    user_vanish(u[2]);
    AWAIT(&s, meeting_n_participants(s.w.meeting) == 2);
    s.w.meeting->conf.max_people = 2;
    expect_refused(&s, u[3], user_emit(&s, u[3], "room:join", JOIN), "node_full", &retry_ms);
    assert_int_equal(retry_ms, 0);
    assert_int_equal(arrivals(&s).node_full, 1);
    assert_int_equal(arrivals(&s).waiting, 0);
    /* one who waits for his turn finds the place taken */
    s.w.meeting->conf.max_people = 3;
    busy_for(&s, 100);
    id = user_emit(&s, u[3], "room:join", JOIN);
    AWAIT(&s, arrivals(&s).waiting == 1);
    s.w.meeting->conf.max_people = 2;
    expect_refused(&s, u[3], id, "node_full", &retry_ms);
    assert_int_equal(world_n_open(&s.w), 0);
    site_finish(&s);
}

/* The service may end while somebody waits. */
static void nobody_is_waited_for_when_all_ends(void **state)
{
    struct user *a;
    struct site s;
    (void)state;

    world_gate = (struct gate_conf){.most = 16, .wait_ms = 4000};
    site_start(&s);
    a = connected(&s, "a");
    busy_for(&s, 5000);
    (void)user_emit(&s, a, "room:join", JOIN);
    AWAIT(&s, arrivals(&s).waiting == 1);
    site_finish(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(those_who_come_too_fast_wait_and_one_too_many_is_told_when),
        cmocka_unit_test(who_goes_while_he_waits_is_no_longer_waited_for),
        cmocka_unit_test(who_has_waited_too_long_is_told_when_to_come_again),
        cmocka_unit_test(more_than_there_are_places_are_refused_at_once),
        cmocka_unit_test(nobody_is_waited_for_when_all_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

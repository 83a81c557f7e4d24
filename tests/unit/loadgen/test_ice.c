/* The checking side of ICE against the answering side that control has. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "loadgen/ice.h"
#include "proto/ice_lite.h"
#include "sfu/base/path.h"

enum { START_US = 1000000 };

struct pair {
    struct ice ice;
    struct ice_lite lite;
    struct path path;
    uint64_t now_us;
};

static void open_pair(struct pair *p)
{
    static const uint8_t ip[4] = {127, 0, 0, 1};

    memset(p, 0, sizeof(*p));
    p->now_us = START_US;
    p->path.family = 4;
    p->path.remote_port = 1234;
    path_map_v4(p->path.remote_ip, ip);
    assert_int_equal(ice_lite_init(&p->lite, "servr", "apasswordoftheserver2424"), 0);
    assert_int_equal(
        ice_init(&p->ice, "ours", "servr", "apasswordoftheserver2424", 42, p->now_us), 0);
}

/* Takes the check that is due and has it answered; returns the answer's length. */
static size_t check(struct pair *p, uint8_t answer[ICE_MAX_RESPONSE])
{
    uint8_t request[ICE_CHECK_MAX];
    size_t len = ice_take(&p->ice, p->now_us, request);
    struct ice_result result;

    assert_true(len > 0);
    result = ice_lite_on_check(&p->lite, request, len, &p->path, p->now_us, answer);
    assert_int_equal(result.verdict, ICE_ACCEPTED);
    return result.response_len;
}

static void check_is_accepted_and_nominates(void **state)
{
    uint8_t answer[ICE_MAX_RESPONSE];
    struct pair p;
    size_t len;
    (void)state;

    open_pair(&p);
    len = check(&p, answer);
    assert_int_equal(p.lite.n_paths, 1);
    assert_int_equal(p.lite.selected, 0);
    p.now_us += 700;
    assert_int_equal(ice_on_answer(&p.ice, answer, len, p.now_us), 0);
    assert_int_equal(p.ice.state, ICE_CONNECTED);
    assert_int_equal(p.ice.rtt_us, 700);
    assert_int_equal(ice_on_answer(&p.ice, answer, len, p.now_us), -ENOENT); /* again */
}

static void answer_that_is_not_signed_by_the_server_is_no_answer(void **state)
{
    uint8_t answer[ICE_MAX_RESPONSE];
    struct pair p;
    size_t len;
    (void)state;

    open_pair(&p);
    len = check(&p, answer);
    p.ice.pwd[0] ^= 1;
    assert_int_equal(ice_on_answer(&p.ice, answer, len, p.now_us), -EBADMSG);
    assert_int_equal(p.ice.state, ICE_CHECKING);
    p.ice.pwd[0] ^= 1;
    for (size_t i = 0; i < len - 8; i++) { /* all that is signed */
        answer[i] ^= 1;
        assert_int_not_equal(ice_on_answer(&p.ice, answer, len, p.now_us), 0);
        answer[i] ^= 1;
    }
    assert_int_equal(ice_on_answer(&p.ice, answer, len, p.now_us), 0);
}

static void unanswered_checks_are_repeated_slower_and_given_up(void **state)
{
    uint8_t request[ICE_CHECK_MAX];
    struct pair p;
    unsigned n = 0;
    (void)state;

    open_pair(&p);
    while (p.ice.state == ICE_CHECKING) {
        p.now_us = ice_deadline(&p.ice);
        n += ice_take(&p.ice, p.now_us, request) > 0;
        assert_true(n < 100);
    }
    assert_int_equal(p.ice.state, ICE_FAILED);
    assert_true(n >= 8 && n <= 20);
    assert_true(p.now_us - START_US > ICE_GIVE_UP_US);
    assert_int_equal(ice_deadline(&p.ice), UINT64_MAX);
}

static void consent_is_asked_for_each_five_seconds_and_expires(void **state)
{
    uint8_t answer[ICE_MAX_RESPONSE];
    uint8_t request[ICE_CHECK_MAX];
    struct pair p;
    size_t len;
    (void)state;

    open_pair(&p);
    for (int i = 0; i < 50; i++) {
        len = check(&p, answer);
        assert_int_equal(ice_on_answer(&p.ice, answer, len, p.now_us), 0);
        assert_int_equal(ice_take(&p.ice, p.now_us, request), 0);
        assert_in_range(ice_deadline(&p.ice) - p.now_us, 4000000, 6000000);
        p.now_us = ice_deadline(&p.ice);
    }
    while (p.ice.state == ICE_CONNECTED && p.now_us < START_US + UINT64_C(600000000)) {
        (void)ice_take(&p.ice, p.now_us, request);
        p.now_us = p.ice.state == ICE_CONNECTED ? ice_deadline(&p.ice) : p.now_us;
    }
    assert_int_equal(p.ice.state, ICE_FAILED);
    assert_in_range(p.now_us - p.ice.answered_us, ICE_EXPIRE_US, ICE_EXPIRE_US + 1000000);
}

/* Each answer is 2.7 s under way, longer than it takes to ask again. */
static void answer_that_comes_after_the_next_check_is_one(void **state)
{
    uint8_t answer[ICE_MAX_RESPONSE];
    uint8_t request[ICE_CHECK_MAX];
    struct pair p;
    unsigned n = 0;
    (void)state;

    open_pair(&p);
    while (p.now_us < START_US + UINT64_C(120000000)) {
        size_t len = check(&p, answer);
        uint64_t until_us = p.now_us + 2700000;

        for (; ice_deadline(&p.ice) < until_us; n++) {
            p.now_us = ice_deadline(&p.ice);
            assert_true(ice_take(&p.ice, p.now_us, request) > 0);
        }
        p.now_us = until_us;
        assert_int_equal(ice_on_answer(&p.ice, answer, len, p.now_us), 0);
        assert_int_equal(p.ice.state, ICE_CONNECTED);
        assert_int_equal(p.ice.rtt_us, 2700000);
        p.now_us = ice_deadline(&p.ice);
    }
    assert_true(n > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_is_accepted_and_nominates),
        cmocka_unit_test(answer_that_is_not_signed_by_the_server_is_no_answer),
        cmocka_unit_test(unanswered_checks_are_repeated_slower_and_given_up),
        cmocka_unit_test(consent_is_asked_for_each_five_seconds_and_expires),
        cmocka_unit_test(answer_that_comes_after_the_next_check_is_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

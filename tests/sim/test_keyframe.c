/* Key frame requests over the virtual network: subscribers wish at random, requests and key
 * frames are lost, and still everyone is served, with at most one request a second. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "core/keyframe.h"
#include "sim/shapes.h"

enum { SEC = 1000000, TRIES = 5, END_S = 120, MAX_EVENTS = 2048 };
enum { ENCODE_US = 33000, WAY_MAX_US = 100000 };

struct run {
    uint64_t seed;
    struct keyframe kf;
    struct vnet there, back; /* requests; key frames */
    uint64_t wishes_us[MAX_EVENTS], requests_us[MAX_EVENTS], served_us[MAX_EVENTS];
    size_t n_wishes, n_requests, n_served;
    bool answered[MAX_EVENTS]; /* by request: its key frame will come */
};

#define CHECK(run, cond)                                                                   \
    do {                                                                                   \
        if (!(cond)) {                                                                     \
            fail_msg("seed %u: %s", (unsigned)(run)->seed, #cond);                         \
        }                                                                                  \
    } while (0)

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Wishes come in flocks with pauses long enough for all tries. */
static uint64_t next_wish(uint64_t *random, uint64_t now_us)
{
    return now_us + 1 +
           (vnet_dice(random, 6) > 0 ? vnet_dice(random, SEC / 2)
                                     : vnet_dice(random, 2 * TRIES * SEC));
}

static void step(struct run *r, uint64_t now_us)
{
    struct vnet_pkt pkt;

    if (vnet_next_us(&r->back) <= now_us) {
        (void)vnet_take(&r->back, &pkt);
        keyframe_on_keyframe(&r->kf);
        r->served_us[r->n_served++] = now_us;
    } else if (vnet_next_us(&r->there) <= now_us) {
        (void)vnet_take(&r->there, &pkt);
        r->answered[pkt.id] = vnet_send(&r->back, now_us + ENCODE_US, pkt.id, 1200);
    } else if (keyframe_take_request(&r->kf, now_us)) {
        (void)vnet_send(&r->there, now_us, r->n_requests, 64);
        r->requests_us[r->n_requests++] = now_us;
    }
    assert_true(r->n_wishes < MAX_EVENTS && r->n_requests < MAX_EVENTS &&
                r->n_served < MAX_EVENTS);
}

static void simulate(struct run *r, uint64_t seed, uint32_t loss)
{
    const struct keyframe_conf conf = {.interval_us = SEC, .max_tries = TRIES};
    /* there and back take at most WAY_MAX_US each */
    const struct vnet_conf net = {
        .delay_us = 30000, .jitter_us = WAY_MAX_US - 30000, .loss = loss};
    uint64_t random = seed + 1, now_us = 0;
    uint64_t wish_us = next_wish(&random, 0);

    memset(r, 0, sizeof(*r));
    r->seed = seed;
    keyframe_init(&r->kf, &conf);
    vnet_init(&r->there, &net, 2 * seed);
    vnet_init(&r->back, &net, 2 * seed + 1);
    while (now_us < UINT64_MAX) {
        uint64_t net_us = least(vnet_next_us(&r->back), vnet_next_us(&r->there));

        now_us = least(wish_us, least(net_us, keyframe_deadline(&r->kf)));
        if (now_us == wish_us && now_us < UINT64_MAX) {
            keyframe_on_request(&r->kf, now_us);
            r->wishes_us[r->n_wishes++] = now_us;
            wish_us =
                now_us < (uint64_t)END_S * SEC ? next_wish(&random, now_us) : UINT64_MAX;
        } else if (now_us < UINT64_MAX) {
            step(r, now_us);
        }
    }
}

static void never_more_than_one_request_a_second(const struct run *r)
{
    for (size_t i = 1; i < r->n_requests; i++) {
        CHECK(r, r->requests_us[i] - r->requests_us[i - 1] >= SEC);
    }
}

/* Whether all tries of a wish from 'w' on were in vain, and no later wish came in time to
 * renew them; only the requests before 'end' were in vain. */
static bool was_given_up(const struct run *r, size_t w, size_t end)
{
    for (size_t q = 0; w < r->n_wishes; w++) {
        while (q < r->n_requests && r->requests_us[q] < r->wishes_us[w]) {
            q++;
        }
        if (q + TRIES > end) {
            return false;
        }
        if (w + 1 == r->n_wishes || r->wishes_us[w + 1] > r->requests_us[q + TRIES - 1]) {
            return true;
        }
    }
    return false;
}

/* Each wish: a key frame within the wait for the limit, a second for every request that was
 * in vain, and the way there and back. It may only go without if all its tries were lost,
 * and then no wish came after it that would have renewed them. */
static unsigned every_wish_is_served(const struct run *r)
{
    unsigned n_without = 0;

    for (size_t w = 0, s = 0, q = 0; w < r->n_wishes; w++) {
        uint64_t bound_us = r->wishes_us[w] + SEC + 2 * WAY_MAX_US + ENCODE_US;
        unsigned n_vain = 0;

        while (s < r->n_served && r->served_us[s] < r->wishes_us[w]) {
            s++;
        }
        while (q < r->n_requests && r->requests_us[q] < r->wishes_us[w]) {
            q++;
        }
        for (size_t i = q; i < r->n_requests && !r->answered[i]; i++) {
            n_vain++;
            bound_us += SEC;
        }
        if (s < r->n_served && r->served_us[s] <= bound_us) {
            continue;
        }
        CHECK(r, was_given_up(r, w, q + n_vain));
        n_without++;
    }
    return n_without;
}

static void sender_is_spared_and_subscribers_are_served(void **state)
{
    static const uint32_t losses[] = {0, 50000, 200000, 400000};
    static struct run run;
    unsigned n_without[4] = {0}, n_requests = 0;
    (void)state;

    for (size_t i = 0; i < 4; i++) {
        for (uint64_t seed = 0; seed < 4 * SIM_SEEDS; seed++) {
            simulate(&run, seed, losses[i]);
            never_more_than_one_request_a_second(&run);
            n_without[i] += every_wish_is_served(&run);
            n_requests += (unsigned)run.n_requests;
        }
    }
    assert_true(n_requests > 10000);
    assert_int_equal(n_without[0], 0);
    assert_int_equal(n_without[1], 0); /* five in a row: a chance of 1 in 100,000 */
    assert_true(n_without[3] > 0);     /* the exception was seen, too */
}

/* A sender that does not answer is asked TRIES times after the last wish, then left alone.
 */
static void deaf_sender_is_left_alone(void **state)
{
    static struct run run;
    (void)state;

    for (uint64_t seed = 0; seed < SIM_SEEDS; seed++) {
        uint64_t last_us;
        size_t n_after = 0;

        simulate(&run, seed, VNET_ALWAYS);
        never_more_than_one_request_a_second(&run);
        assert_int_equal(run.n_served, 0);
        last_us = run.wishes_us[run.n_wishes - 1];
        for (size_t i = 0; i < run.n_requests; i++) {
            n_after += run.requests_us[i] >= last_us;
        }
        assert_int_equal(n_after, TRIES);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sender_is_spared_and_subscribers_are_served),
        cmocka_unit_test(deaf_sender_is_left_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The estimator, allocation and pacer behind a bottleneck, in virtual time. The bounds are
 * those of the worst of the seeds with room to spare; tools/bench bwe draws the same runs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "support/bwe_world.h"

enum { SEEDS = 8, ALONE_SEEDS = 30, MAX_QUEUE_P95_MS = 200 };

static struct world_trace trace;

#define CHECK(s, seed, cond)                                                               \
    do {                                                                                   \
        if (!(cond)) {                                                                     \
            fail_msg("%s, seed %u: %s", (s)->name, (unsigned)(seed), #cond);               \
        }                                                                                  \
    } while (0)

static const struct world_scenario *scenario(const char *name)
{
    for (size_t i = 0; i < world_n_scenarios; i++) {
        if (strcmp(world_scenarios[i].name, name) == 0) {
            return &world_scenarios[i];
        }
    }
    fail_msg("no scenario %s", name);
    return NULL;
}

/* Media that takes what it is given: each phase converges, fills the link, and leaves its
 * queue short. */
static void fills(const char *name, int32_t within_ms, float utilisation)
{
    const struct world_scenario *s = scenario(name);

    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        world_run(s, seed, &trace);
        for (size_t i = 0; i < trace.n_phases; i++) {
            const struct world_phase *p = &trace.phases[i];

            CHECK(s, seed, p->converged_ms >= 0 && p->converged_ms <= within_ms);
            CHECK(s, seed, p->utilisation >= utilisation);
            CHECK(s, seed, p->queue_p95_ms < MAX_QUEUE_P95_MS);
        }
    }
}

static void steady_link_is_filled(void **state)
{
    (void)state;
    fills("steady", 3000, 0.85f);
}

/* Audio that no feedback tells of is not taken from the link twice: once by what arrives,
 * once by the allocation. */
static void audio_without_numbers_counts(void **state)
{
    (void)state;
    fills("audio", 4000, 0.92f);
}

/* Audio that no feedback tells of fills the link: no large packet gets into its queue, so
 * that feedback stops. Video is held all the same, soon, not begun again meanwhile, and
 * goes on when there is room. */
static void audio_that_fills_the_link_holds_video(void **state)
{
    static const uint32_t bare_bps[] = {70000, 77000, 86000, 96000};
    (void)state;

    for (uint64_t i = 0; i < 4 * ALONE_SEEDS; i++) {
        struct world_scenario s = *scenario("audio-alone");
        const uint64_t seed = 1 + i / 4;
        const size_t first = s.steps[1].at_ms / 100, end = s.steps[2].at_ms / 100;

        s.bare_bps = bare_bps[i % 4];
        world_run(&s, seed, &trace);
        for (size_t at = first + 1; at < end; at++) {
            CHECK(&s, seed, trace.samples[at].level <= trace.samples[at - 1].level);
            CHECK(&s, seed, at < first + 30 || trace.samples[at].level < 0);
        }
        CHECK(&s, seed, trace.samples[end + 150].level == WORLD_LAYERS - 1);
    }
}

static void step_down_is_followed(void **state)
{
    (void)state;
    fills("step-down", 10000, 0.85f);
}

static void step_up_is_found(void **state)
{
    (void)state;
    fills("step-up", 8000, 0.85f);
}

static void random_loss_is_borne(void **state)
{
    (void)state;
    fills("loss2", 4000, 0.85f);
    fills("loss10", 12000, 0.6f);
}

static void jitter_is_borne(void **state)
{
    (void)state;
    fills("jitter", 12000, 0.6f);
}

static void long_round_trip_is_borne(void **state)
{
    (void)state;
    fills("rtt300", 6000, 0.8f);
}

/* A TCP flow in the same queue neither starves us nor is starved. */
static void tcp_is_a_neighbour(void **state)
{
    const struct world_scenario *s = scenario("tcp");
    (void)state;

    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        double ours = 0, theirs = 0;

        world_run(s, seed, &trace);
        for (size_t i = 250; i < 450; i++) {
            ours += (double)trace.samples[i].arrived_bps;
            theirs += (double)trace.samples[i].tcp_bps;
        }
        CHECK(s, seed, ours > 0.1 * (ours + theirs));
        CHECK(s, seed, theirs > 0.1 * (ours + theirs));
        CHECK(s, seed, trace.phases[0].utilisation > 0.8f);
    }
}

/* Down within 3 s, up within 10 s, and the queue is short after that. */
static void layers_follow_the_link(void **state)
{
    static const char *const names[] = {"layers", "layers-loss"};
    (void)state;

    for (size_t n = 0; n < 2; n++) {
        const struct world_scenario *s = scenario(names[n]);

        for (uint64_t seed = 1; seed <= SEEDS; seed++) {
            world_run(s, seed, &trace);
            CHECK(s, seed, trace.phases[0].converged_ms >= 0);
            CHECK(s, seed, trace.phases[0].converged_ms <= 10000);
            CHECK(s, seed, trace.phases[1].converged_ms >= 0);
            CHECK(s, seed, trace.phases[1].converged_ms <= 3000);
            CHECK(s, seed, trace.phases[2].converged_ms >= 0);
            CHECK(s, seed, trace.phases[2].converged_ms <= 10000);
            for (size_t i = 0; i < 3; i++) {
                CHECK(s, seed, trace.phases[i].queue_p95_ms < MAX_QUEUE_P95_MS);
            }
            CHECK(s, seed, trace.switches <= 12);
        }
    }
}

/* How long after a step of the capacity the layer is first below, or above, the one before;
 * -1 never. */
static int32_t moves_ms(const struct world_phase *p, bool down)
{
    const size_t first = p->begin_ms / 100;

    for (size_t i = first; i < p->end_ms / 100; i++) {
        const int off = trace.samples[i].level - trace.samples[first - 1].level;

        if (down ? off < 0 : off > 0) {
            return (int32_t)(i - first) * 100;
        }
    }
    return -1;
}

/* Probes that a receiver has read all at once say nothing: they are made again, and longer,
 * until one does. */
static void layers_follow_though_an_end_stalls(void **state)
{
    static const char *const names[] = {"layers-stalls", "layers-stalls-tx"};
    (void)state;

    for (uint64_t i = 0; i < 2 * SEEDS; i++) {
        const struct world_scenario *s = scenario(names[i / SEEDS]);
        const uint64_t seed = 1 + i % SEEDS;
        int32_t down_ms, up_ms;

        world_run(s, seed, &trace);
        down_ms = moves_ms(&trace.phases[1], true);
        up_ms = moves_ms(&trace.phases[2], false);
        CHECK(s, seed, down_ms >= 0 && down_ms <= 3000);
        CHECK(s, seed, up_ms >= 0 && up_ms <= 10000);
        CHECK(s, seed, trace.phases[1].queue_p95_ms < MAX_QUEUE_P95_MS);
        CHECK(s, seed, trace.phases[2].queue_p95_ms < MAX_QUEUE_P95_MS);
    }
}

/* A publisher whose processor is busy makes less for a moment. That is no reason to believe
 * that its layers cost less: the larger one is not tried and found too large again and
 * again.
 */
static void a_busy_publisher_fools_nobody(void **state)
{
    const struct world_scenario *s = scenario("layers-busy");
    (void)state;

    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        world_run(s, seed, &trace);
        CHECK(s, seed, moves_ms(&trace.phases[1], true) >= 0);
        CHECK(s, seed, moves_ms(&trace.phases[1], true) <= 3000);
        CHECK(s, seed, moves_ms(&trace.phases[2], false) >= 0);
        CHECK(s, seed, moves_ms(&trace.phases[2], false) <= 10000);
        CHECK(s, seed, trace.phases[1].queue_p95_ms < 100);
        CHECK(s, seed, trace.switches <= 7);
    }
}

/* In how many of a hundred samples the queue was too long. */
static float queued(uint32_t from_ms, uint32_t to_ms)
{
    float n = 0;

    for (size_t i = from_ms / 100; i < to_ms / 100; i++) {
        n += trace.samples[i].queue_ms >= MAX_QUEUE_P95_MS;
    }
    return n * 10000 / (float)(to_ms - from_ms);
}

/* The layer below begins with a key frame that takes its time: what is too much for the
 * link does not fill its queue meanwhile. */
static void late_key_frames_fill_no_queue(void **state)
{
    const struct world_scenario *s = scenario("layers-late");
    (void)state;

    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        world_run(s, seed, &trace);
        CHECK(s, seed, queued(s->busy_ms + s->busy_in_ms, s->steps[2].at_ms) < 3);
        CHECK(s, seed, trace.samples[trace.n - 1].level == WORLD_LAYERS - 1);
        CHECK(s, seed, trace.n_withheld < 45); /* frames: of half a minute */
    }
}

/* Ends whose processor is busy elsewhere for 5 to 50 ms at a time are no congestion: a link
 * that is full stays full, and on a free one nothing is withheld. */
static void stalls_are_no_congestion(void **state)
{
    static const char *const names[] = {"stalls-rx", "stalls-tx", "stalls-both"};
    (void)state;

    fills("stalls", 8000, 0.9f);
    for (size_t n = 0; n < 3; n++) {
        const struct world_scenario *s = scenario(names[n]);

        for (uint64_t seed = 1; seed <= SEEDS; seed++) {
            world_run(s, seed, &trace);
            CHECK(s, seed, trace.n_frames > 1700);
            CHECK(s, seed, trace.n_withheld == 0);
        }
    }
}

/* The same key frames with the pacer and without: it keeps the queue that audio waits in
 * short. */
static void key_frames_are_spread(void **state)
{
    const struct world_scenario *s = scenario("keys");
    (void)state;

    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct world_phase unpaced;
        float unpaced_audio_ms;

        world_run(scenario("keys-unpaced"), seed, &trace);
        unpaced = trace.phases[0];
        unpaced_audio_ms = trace.audio_p95_ms;
        world_run(s, seed, &trace);
        CHECK(s, seed, trace.phases[0].queue_p95_ms < 0.8f * unpaced.queue_p95_ms);
        CHECK(s, seed, trace.phases[0].queue_p50_ms < 0.6f * unpaced.queue_p50_ms);
        CHECK(s, seed, trace.audio_p95_ms < 0.9f * unpaced_audio_ms);
        CHECK(s, seed, trace.phases[0].utilisation > unpaced.utilisation - 0.02f);
    }
}

static float withheld(uint32_t from_ms, uint32_t to_ms)
{
    float n = 0;

    for (size_t i = from_ms / 100; i < to_ms / 100; i++) {
        n += trace.samples[i].level < 0;
    }
    return n * 100 / (float)(to_ms - from_ms);
}

/* Video that a link did not carry comes back when it does, and stays, though no probe can
 * be padded; it is tried ever less often while it does not. */
static void what_no_probe_shows_is_tried(void **state)
{
    static const char *const names[] = {"unpadded", "remb", "remb-layers"};
    (void)state;

    for (uint64_t i = 0; i < 3 * SEEDS; i++) {
        const struct world_scenario *s = scenario(names[i / SEEDS]);
        const uint64_t seed = 1 + i % SEEDS;
        const int8_t top = s->layered ? 2 : 0;
        size_t back;

        world_run(s, seed, &trace);
        for (back = trace.n; back > 750 && trace.samples[back - 1].level == top; back--) {
        }
        CHECK(s, seed, withheld(5000, 30000) <= 0);
        CHECK(s, seed, withheld(33000, 75000) > 0.75f);
        CHECK(s, seed, trace.n_trials >= 2 && trace.n_trials <= 8);
        /* the longest rest, and for each layer a shorter one */
        CHECK(s, seed, back <= 750 + 450);
    }
}

/* The same seed gives the same run, so that a failure can be looked at. */
static void runs_can_be_repeated(void **state)
{
    static struct world_trace again;
    (void)state;

    world_run(scenario("layers-loss"), 3, &trace);
    world_run(scenario("layers-loss"), 3, &again);
    assert_memory_equal(&trace, &again, sizeof(trace));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steady_link_is_filled),
        cmocka_unit_test(audio_without_numbers_counts),
        cmocka_unit_test(audio_that_fills_the_link_holds_video),
        cmocka_unit_test(step_down_is_followed),
        cmocka_unit_test(step_up_is_found),
        cmocka_unit_test(random_loss_is_borne),
        cmocka_unit_test(jitter_is_borne),
        cmocka_unit_test(long_round_trip_is_borne),
        cmocka_unit_test(tcp_is_a_neighbour),
        cmocka_unit_test(layers_follow_the_link),
        cmocka_unit_test(layers_follow_though_an_end_stalls),
        cmocka_unit_test(a_busy_publisher_fools_nobody),
        cmocka_unit_test(late_key_frames_fill_no_queue),
        cmocka_unit_test(stalls_are_no_congestion),
        cmocka_unit_test(key_frames_are_spread),
        cmocka_unit_test(what_no_probe_shows_is_tried),
        cmocka_unit_test(runs_can_be_repeated),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

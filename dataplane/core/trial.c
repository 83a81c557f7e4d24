#include "core/trial.h"

enum {
    STAYED_US = 10000000 /* what goes down sooner was not won */
};

static const uint64_t FALL = 90, GROWTH = 101; /* percent */

static void note_failure(struct trial *trial)
{
    if (trial->n_failed < TRIAL_DOUBLED) {
        trial->n_failed++;
    }
}

/* Whether the last one was won after all is known by now. */
static void settle(struct trial *trial, uint64_t fell_us, uint64_t now_us)
{
    if (trial->won_us == 0) {
        return;
    }
    if (fell_us > trial->won_us) {
        note_failure(trial);
        trial->won_us = 0;
    } else if (now_us - trial->won_us > STAYED_US) {
        trial->n_failed = 0;
        trial->won_us = 0;
    }
}

static enum trial_step rest(struct trial *trial, const struct trial_view *view,
                            uint64_t now_us)
{
    uint64_t rest_us;

    settle(trial, view->fell_us, now_us);
    if (trial->ended_us == 0) {
        trial->ended_us = now_us;
    }
    rest_us = (uint64_t)TRIAL_REST_US << trial->n_failed;
    if (!view->more || now_us - trial->ended_us < rest_us ||
        now_us - view->fell_us < rest_us) {
        return TRIAL_NONE;
    }
    trial->on = true;
    trial->since_us = trial->grew_us = now_us;
    trial->grown_bps = view->told_bps;
    return TRIAL_BEGINS;
}

static enum trial_step end(struct trial *trial, bool won, uint64_t now_us)
{
    trial->on = false;
    trial->ended_us = now_us;
    if (won) {
        trial->won_us = now_us;
    } else {
        note_failure(trial);
    }
    return TRIAL_NONE;
}

/* Whether what is tried has shown itself not to get through. */
static bool has_failed(struct trial *trial, const struct trial_view *view, uint64_t now_us)
{
    if (view->told_bps * 100 > trial->grown_bps * GROWTH) {
        trial->grown_bps = view->told_bps;
        trial->grew_us = now_us;
    }
    if (view->fell_us > trial->since_us + TRIAL_DEAF_US) {
        return true;
    }
    return view->remb && !view->silent &&
           (view->told_bps * 100 < trial->grown_bps * FALL ||
            now_us - trial->grew_us >= TRIAL_GREW_US);
}

enum trial_step trial_tick(struct trial *trial, const struct trial_view *view,
                           uint64_t now_us)
{
    if (!trial->on) {
        return rest(trial, view, now_us);
    }
    if (view->estimate_bps >= view->spent_bps) {
        return end(trial, true, now_us);
    }
    if (has_failed(trial, view, now_us)) {
        return end(trial, false, now_us);
    }
    if (now_us - trial->since_us < TRIAL_SHOW_US) {
        return TRIAL_LASTS;
    }
    (void)end(trial, view->remb || view->calm || view->told_bps >= view->spent_bps, now_us);
    return trial->won_us == now_us ? TRIAL_SHOWN : TRIAL_NONE;
}

#include "core/keyframe.h"

#include <string.h>

void keyframe_init(struct keyframe *kf, const struct keyframe_conf *conf)
{
    memset(kf, 0, sizeof(*kf));
    kf->deadline_us = UINT64_MAX;
    kf->interval_us = conf->interval_us;
    kf->max_tries = conf->max_tries;
}

void keyframe_on_request(struct keyframe *kf, uint64_t now_us)
{
    uint64_t allowed_us = kf->has_sent ? kf->sent_at_us + kf->interval_us : 0;

    kf->n_tries = 0;
    if (kf->deadline_us == UINT64_MAX) {
        kf->deadline_us = allowed_us > now_us ? allowed_us : now_us;
    }
}

void keyframe_on_keyframe(struct keyframe *kf)
{
    kf->deadline_us = UINT64_MAX;
}

uint64_t keyframe_deadline(const struct keyframe *kf)
{
    return kf->deadline_us;
}

/* The place of 'who': its own, or that of the one who has most of its share left. */
static struct keyframe_asker *place_of(struct keyframe_askers *askers, uint64_t who)
{
    struct keyframe_asker *least = &askers->of[0];

    for (unsigned i = 0; i < KEYFRAME_ASKERS; i++) {
        struct keyframe_asker *asker = &askers->of[i];

        if (asker->who == who) {
            return asker;
        }
        least = asker->spent_us < least->spent_us ? asker : least;
    }
    *least = (struct keyframe_asker){.who = who};
    return least;
}

bool keyframe_askers_take(struct keyframe_askers *askers, const struct keyframe_wish *wish,
                          uint64_t now_us)
{
    const uint64_t whole_us = (uint64_t)KEYFRAME_SHARE * wish->period_us;
    struct keyframe_asker *asker;

    if (askers->stream != wish->stream) {
        memset(askers, 0, sizeof(*askers));
        askers->stream = wish->stream;
    }
    asker = place_of(askers, wish->who);
    if (asker->granted_us != 0 && asker->last == wish->last &&
        now_us - asker->granted_us < KEYFRAME_MERGED_US) {
        return true;
    }
    if (asker->spent_us < now_us) {
        asker->spent_us = now_us;
    }
    if (asker->spent_us + wish->period_us > now_us + whole_us) {
        return false;
    }
    asker->spent_us += wish->period_us;
    asker->granted_us = now_us;
    asker->last = wish->last;
    return true;
}

bool keyframe_take_request(struct keyframe *kf, uint64_t now_us)
{
    if (kf->deadline_us > now_us || kf->deadline_us == UINT64_MAX) {
        return false;
    }
    kf->has_sent = true;
    kf->sent_at_us = now_us;
    kf->n_tries++;
    kf->deadline_us = kf->n_tries < kf->max_tries ? now_us + kf->interval_us : UINT64_MAX;
    return true;
}

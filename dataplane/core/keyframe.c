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

bool keyframe_share_take(struct keyframe_share *share, uint32_t period_us, uint64_t now_us)
{
    const uint64_t whole_us = (uint64_t)KEYFRAME_SHARE * period_us;

    if (share->granted_us != 0 && now_us - share->granted_us < KEYFRAME_MERGED_US) {
        return true;
    }
    if (share->spent_us < now_us) {
        share->spent_us = now_us;
    }
    if (share->spent_us + period_us > now_us + whole_us) {
        return false;
    }
    share->spent_us += period_us;
    share->granted_us = now_us;
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

#include "app/drain.h"

#include <errno.h>
#include <stdlib.h>

#include "meeting/meeting.h"
#include "signal/signal.h"
#include "sys/clock.h"
#include "sys/log.h"
#include "sys/loop.h"

enum { LOOK_MS = 250 };

struct drain {
    struct drain_conf conf;
    struct loop_timer *look;
    uint64_t until_us; /* monotonic; 0: it is in service */
};

static void on_look(void *arg)
{
    struct drain *drain = arg;
    bool empty = meeting_is_empty(drain->conf.meeting);

    if (empty || clock_mono_us() >= drain->until_us) {
        loop_timer_stop(drain->look);
        log_info("drained", LOG_STR("reason", empty ? "empty" : "deadline"),
                 LOG_U64("participants", meeting_n_participants(drain->conf.meeting)));
        drain->conf.over(drain->conf.user);
    }
}

int drain_create(struct drain **out, const struct drain_conf *conf)
{
    struct drain *drain = calloc(1, sizeof(*drain));

    if (drain == NULL) {
        return -ENOMEM;
    }
    drain->conf = *conf;
    if (loop_timer_create(conf->loop, &drain->look, on_look, drain) != 0) {
        free(drain);
        return -ENOMEM;
    }
    *out = drain;
    return 0;
}

void drain_destroy(struct drain *drain)
{
    if (drain != NULL) {
        loop_timer_destroy(drain->look);
        free(drain);
    }
}

void drain_begin(struct drain *drain, uint32_t seconds)
{
    drain->until_us = clock_mono_us() + seconds * UINT64_C(1000000);
    log_info("draining", LOG_U64("seconds", seconds),
             LOG_U64("participants", meeting_n_participants(drain->conf.meeting)));
    meeting_drain(drain->conf.meeting, true);
    signal_draining(drain->conf.signal, drain->until_us);
    loop_timer_start(drain->look, LOOK_MS, LOOK_MS); /* whoever asked for it is answered */
}

void drain_cancel(struct drain *drain)
{
    if (drain->until_us == 0) {
        return;
    }
    drain->until_us = 0;
    loop_timer_stop(drain->look);
    log_info("in_service_again");
    meeting_drain(drain->conf.meeting, false);
    signal_draining(drain->conf.signal, 0);
}

bool drain_is_on(const struct drain *drain, uint32_t *left_s)
{
    uint64_t now_us = clock_mono_us();

    if (left_s != NULL) {
        *left_s = drain->until_us > now_us
                      ? (uint32_t)((drain->until_us - now_us + 999999) / 1000000)
                      : 0;
    }
    return drain->until_us != 0;
}

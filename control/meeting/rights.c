/* What a person may do, by role and by the settings of the room, how often, and what he may
 * hear of; see host.h. */
#include "meeting/priv.h"
#include "sys/clock.h"

bool meeting_may(const struct participant *p, enum auth_permission permission)
{
    return auth_may(p->who.role, &p->room->policy, permission);
}

bool meeting_has(const struct room *room, uint32_t bit)
{
    return (room->flags & bit) != 0;
}

unsigned meeting_rank(enum auth_role role)
{
    return (unsigned)role;
}

int meeting_need_host(struct participant *by, struct meeting_error *err)
{
    if (!meeting_may(by, AUTH_MODERATE)) {
        return meeting_fail(err, "forbidden", "only hosts may do that");
    }
    return meeting_spend(by, MEETING_RATE_HOST, err);
}

int meeting_spend(struct participant *p, enum meeting_rate rate, struct meeting_error *err)
{
    static const struct rate_conf confs[N_MEETING_RATES] = {
        [MEETING_RATE_HOST] = {.per_s = 10, .burst = 50},
        [MEETING_RATE_LIST] = {.per_s = 5, .burst = 20},
        [MEETING_RATE_CHAT] = {.per_s = 5, .burst = 20},
        [MEETING_RATE_CROWD_CHAT] = {.per_s = 2, .burst = 1},
        [MEETING_RATE_READ] = {.per_s = 1, .burst = 2},
        [MEETING_RATE_TYPING] = {.per_s = 1, .burst = 2},
        [MEETING_RATE_REACT] = {.per_s = 5, .burst = 10},
        [MEETING_RATE_BOARD] = {.per_s = 20, .burst = 40},
        [MEETING_RATE_CAPTION] = {.per_s = 10, .burst = 20},
        [MEETING_RATE_SEND] = {.per_s = 1, .burst = 3},
    };
    uint32_t wait_ms = rate_take(&p->rates[rate], &confs[rate], clock_mono_us());

    if (wait_ms == 0) {
        return 0;
    }
    (void)meeting_fail(err, "rate_limited", "too often; wait %u ms", wait_ms);
    err->retry_after_ms = wait_ms;
    return -1;
}

int meeting_ask(struct participant *p, enum meeting_rate rate, struct meeting_error *err)
{
    return meeting_spend(p, rate, err);
}

bool meeting_sees(const struct participant *p, const struct fact_audience *audience)
{
    switch (audience->reach) {
    case FACT_ALL:
        return true;
    case FACT_GROUP:
        return p->group == audience->group;
    case FACT_HOSTS:
    case FACT_OTHERS:
        return meeting_may(p, AUTH_MODERATE) == (audience->reach == FACT_HOSTS);
    case FACT_PEOPLE:
        return strcmp(p->who.user_id, audience->from) == 0 ||
               strcmp(p->who.user_id, audience->to) == 0;
    }
    return false;
}

void meeting_set_flags(struct room *room, uint32_t flags)
{
    room->flags = flags;
    room->policy = (struct auth_policy){
        .allow_attendee_media = (flags & MEETING_BIT(ATTENDEE_MEDIA)) != 0,
        .allow_guest_chat = (flags & MEETING_BIT(GUEST_CHAT)) != 0,
    };
}

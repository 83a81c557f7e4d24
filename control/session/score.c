#include "session/score.h"

#include <stddef.h>

enum {
    RTT_POOR_US = 300000, /* conversation begins to suffer (ITU-T G.114: 150 ms a way) */
    RTT_BAD_US = 600000
};

/* Of 'packets' and 'lost', in a second. A picture breaks at few percent: the eighth power
 * makes 9 of 1 %, 7 of 5 % and 4 of 10 %. What was repaired weighs a quarter. */
static uint8_t of_loss(uint64_t packets, uint64_t lost, uint64_t repaired)
{
    uint64_t mended = repaired < lost ? repaired : lost;
    double all = (double)packets + (double)(lost - mended);
    double good = all > 0 ? 1.0 - ((double)(lost - mended) + (double)mended / 4) / all : 0;
    double power = good > 0 ? good * good : 0;

    power *= power;
    power *= power;
    return (uint8_t)(power * SCORE_MAX + 0.5);
}

static uint64_t grown(uint64_t now, uint64_t last)
{
    return now > last ? now - last : 0;
}

static struct score_detail detail_of(const struct score_counters *last,
                                     const struct score_counters *now)
{
    const uint64_t packets = grown(now->packets, last->packets);
    const uint64_t lost = grown(now->lost, last->lost);
    const uint64_t bits = grown(now->bytes, last->bytes) * 8;

    return (struct score_detail){
        .bps = bits < UINT32_MAX ? (uint32_t)bits : UINT32_MAX,
        .loss = lost == 0 ? 0 : (float)lost / (float)(packets + lost),
        .freeze = now->video && (now->held || packets == 0 ||
                                 lost > grown(now->repaired, last->repaired)),
    };
}

bool score_update(struct score *score, const struct score_counters *now)
{
    uint64_t packets = grown(now->packets, score->last.packets);
    uint64_t lost = grown(now->lost, score->last.lost);
    uint64_t repaired = grown(now->repaired, score->last.repaired);
    bool first = !score->started || now->packets < score->last.packets;
    uint8_t value, minus;

    if (!score->started) {
        score->value = SCORE_MAX;
    }
    score->detail = detail_of(&score->last, now);
    if (first || now->paused) {
        score->detail = (struct score_detail){.bps = 0};
    }
    score->freezes += score->detail.freeze ? 1 : 0;
    score->last = *now;
    score->started = true;
    if (first || now->paused) {
        score->n_bad = 0;
        return false;
    }
    value = now->held ? 0 : of_loss(packets, lost, repaired);
    minus = now->rtt_us > RTT_BAD_US ? 4 : now->rtt_us > RTT_POOR_US ? 2 : 0;
    score->silent = now->held || (packets == 0 && lost == 0);
    score->rtt_bad = minus > 0 && value >= SCORE_BAD;
    value = value > minus ? (uint8_t)(value - minus) : 0;
    if (value >= SCORE_BAD) {
        score->n_bad = 0;
    } else if (++score->n_bad > SCORE_WARN_AFTER + SCORE_WARN_EVERY) {
        score->n_bad = SCORE_WARN_AFTER + 1;
    }
    if (value == score->value) {
        return false;
    }
    score->value = value;
    return true;
}

const char *score_warning(const struct score *score)
{
    if (score->n_bad != SCORE_WARN_AFTER &&
        score->n_bad != SCORE_WARN_AFTER + SCORE_WARN_EVERY) {
        return NULL;
    }
    return score->silent ? "no_media" : score->rtt_bad ? "high_rtt" : "packet_loss";
}

#include "loadgen/arrivals.h"

#include "sfu/base/seq.h"
#include "sfu/wire/rtcp_twcc.h"

void arrivals_add(struct arrivals *arrivals, uint16_t seq, uint64_t now_us)
{
    uint64_t last = arrivals->n > 0 ? arrivals->seqs[arrivals->n - 1] : arrivals->next;
    uint64_t number = last == 0 ? (UINT64_C(1) << 32) + seq : seq16_extend(last, seq);

    if (arrivals->n == ARRIVALS_MAX || number < last ||
        (arrivals->n > 0 && number == last)) {
        return;
    }
    arrivals->seqs[arrivals->n] = number;
    arrivals->at_us[arrivals->n] = now_us;
    arrivals->n++;
}

size_t arrivals_take(struct arrivals *arrivals, uint32_t sender_ssrc, uint32_t media_ssrc,
                     uint8_t *out, size_t cap)
{
    struct twcc_fb_writer w;
    uint64_t seq;
    int64_t tick;
    int err = 0;

    if (arrivals->n == 0) {
        return 0;
    }
    seq = arrivals->next != 0 ? arrivals->next : arrivals->seqs[0];
    tick = (int64_t)(arrivals->at_us[0] / TWCC_TICK_US / TWCC_REF_TICKS) * TWCC_REF_TICKS;
    twcc_fb_begin(&w, out, cap, sender_ssrc, media_ssrc, (uint16_t)seq,
                  (uint32_t)(tick / TWCC_REF_TICKS), arrivals->n_messages++);
    for (uint32_t i = 0; i < arrivals->n && err == 0; i++) {
        int64_t at = (int64_t)(arrivals->at_us[i] / TWCC_TICK_US);

        for (; seq < arrivals->seqs[i] && err == 0; seq++) {
            err = twcc_fb_put(&w, false, 0);
        }
        if (err == 0) {
            err = twcc_fb_put(&w, true, (int32_t)(at - tick));
            tick = at;
            seq++;
        }
    }
    arrivals->next = arrivals->seqs[arrivals->n - 1] + 1; /* what did not fit is given up */
    arrivals->n = 0;
    return twcc_fb_finish(&w);
}

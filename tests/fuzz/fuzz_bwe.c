/* A subscriber that says anything at any time: feedback, REMB, silence. The estimate stays
 * within its bounds, is a number, and its probes ask for no more than their rate.
 *
 * The input is a list of steps, each a byte and what it takes: packets sent, time passed, a
 * feedback packet, a REMB. */
#include "fuzz.h"

#include <string.h>

#include "core/bwe.h"
#include "sfu/wire/rtcp_fb.h"
#include "sfu/wire/rtcp_twcc.h"

enum { STEPS = 512, MAX_FB = 512, MAX_PADDING = 2 * 1024 * 1024 };

static const struct bwe_conf CONF = {
    .start_bps = 600000, .min_bps = 50000, .max_bps = 100000000};

struct input {
    const uint8_t *data;
    size_t len;
};

static uint32_t take(struct input *in, size_t n)
{
    uint32_t value = 0;

    for (; n > 0 && in->len > 0; n--, in->data++, in->len--) {
        value = value << 8 | *in->data;
    }
    return value;
}

/* The next bytes as the body of a feedback packet, behind a right header. */
static void feed(struct bwe *bwe, struct input *in, uint64_t next, uint64_t now_us)
{
    uint8_t buf[12 + MAX_FB];
    size_t len = take(in, 1) * 2;
    struct rtcp_iter it;
    struct rtcp_pkt pkt = {0};
    struct rtcp_fb msg = {0};
    struct twcc_fb fb = {0};

    len = (len < in->len ? len : in->len) / 4 * 4;
    memset(buf, 0, 12);
    buf[0] = 0x80 | RTCP_RTPFB_TWCC;
    buf[1] = RTCP_RTPFB;
    buf[3] = (uint8_t)((12 + len) / 4 - 1);
    if (len > 0) {
        memcpy(buf + 12, in->data, len);
    }
    in->data += len;
    in->len -= len;
    it = rtcp_iter_of(buf, 12 + len);
    if (rtcp_next(&it, &pkt) == 1 && rtcp_fb_parse(&pkt, &msg) == 0 &&
        twcc_fb_parse(&msg, &fb) == 0) {
        (void)bwe_on_feedback(bwe, &fb, next, now_us);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {.data = data, .len = size};
    uint64_t now_us = 1000000, next = 60000, tx_bytes = 0, padding = 0;
    struct bwe bwe;

    bwe_init(&bwe, &CONF);
    bwe_want(&bwe, 5000000);
    for (unsigned i = 0; i < STEPS && in.len > 0; i++) {
        const uint32_t step = take(&in, 1);

        switch (step % 5) {
        case 0:
            for (uint32_t n = step / 5; n > 0; n--) {
                bwe_note_sent(&bwe, next++, 1200, now_us);
                tx_bytes += 1200;
            }
            break;
        case 1:
            now_us += take(&in, 1 + step / 5 % 3);
            break;
        case 2:
            feed(&bwe, &in, next, now_us);
            break;
        case 3:
            (void)bwe_on_remb(&bwe, (uint64_t)take(&in, 4) << step / 5 % 33, now_us);
            break;
        default:
            (void)bwe_tick(&bwe, tx_bytes, next, now_us);
            padding = bwe_take_padding(&bwe, tx_bytes, next, now_us);
            FUZZ_CHECK(padding <= MAX_PADDING);
            break;
        }
        FUZZ_CHECK(bwe.target_bps >= (float)CONF.min_bps);
        FUZZ_CHECK(bwe.target_bps <= (float)CONF.max_bps);
        FUZZ_CHECK(bwe.loss.share >= 0 && bwe.loss.share <= 1);
        FUZZ_CHECK(bwe_queue_us(&bwe) <= 60000000);
        (void)bwe_is_calm(&bwe, now_us);
    }
    return 0;
}

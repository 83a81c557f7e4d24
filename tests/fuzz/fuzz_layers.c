/* Payload and dependency descriptors: any bytes are read and rewritten in memory of exactly
 * their length, and whatever they say goes through a switcher: no number goes out twice,
 * and what was written reads back as it was meant. */
#include "fuzz.h"

#include <string.h>

#include "core/layer_write.h"
#include "core/switcher.h"

enum { PACKETS = 64, MAX_LEN = 300, WINDOW = 4096 };

struct world {
    struct layer_state state;
    struct switcher sw;
    enum codec_kind codec;
    uint64_t used[WINDOW];
    uint32_t n_used;
    uint64_t seq;
};

/* What was written is there, and nothing else has changed. */
static void check_written(struct world *w, const uint8_t *payload, size_t len,
                          const struct layer_info *was, const struct layer_numbers *numbers)
{
    struct layer_state state = w->state;
    struct layer_info now;
    uint8_t *copy = fuzz_tight(payload, len);

    FUZZ_CHECK(layer_write(w->codec, copy, len, numbers) == 0);
    FUZZ_CHECK(layer_parse(&state, w->codec, copy, len, NULL, 0, &now) == 0);
    FUZZ_CHECK(now.bits == was->bits && now.flags == was->flags &&
               now.present == was->present && now.sync == was->sync);
    if (w->codec == CODEC_VP8 || w->codec == CODEC_VP9) {
        FUZZ_CHECK(now.picture == (numbers->picture & ((1u << now.bits) - 1)));
        FUZZ_CHECK((now.flags & LAYER_TL0) == 0 || now.tl0 == numbers->tl0);
        FUZZ_CHECK((now.flags & LAYER_KEYIDX) == 0 ||
                   now.keyidx == (numbers->keyidx & 0x1f));
    }
    free(copy);
}

/* In room of any size: what does not fit is not begun. */
static void check_dd(const uint8_t *dd, size_t len, uint16_t frame, uint16_t mask,
                     size_t cap)
{
    uint8_t *out = fuzz_tight(NULL, 0);
    struct layer_dd state = {.known = false};
    struct layer_dd_info info;
    size_t n;

    free(out);
    out = malloc(cap > 0 ? cap : 1);
    FUZZ_CHECK(out != NULL);
    n = layer_dd_write(dd, len, frame, mask, out, cap);
    FUZZ_CHECK(n <= cap);
    if (n > 0 && layer_dd_parse(&state, dd, len, &info) == 0) {
        FUZZ_CHECK(layer_dd_parse(&state, out, n, &info) == 0);
        FUZZ_CHECK(info.frame == frame);
    }
    free(out);
}

/* What was sent is found by its number, and would be sent again as it was. */
static void check_again(const struct switcher *sw, const struct switcher_in *in,
                        const struct switcher_out *out)
{
    struct switcher_out again;
    uint64_t index, seq;

    FUZZ_CHECK(switcher_find(sw, (uint16_t)out->index, &index, &seq));
    FUZZ_CHECK(index == out->index && seq == in->seq);
    FUZZ_CHECK(switcher_again(sw, in, &again));
    FUZZ_CHECK(again.index == out->index && again.ts == out->ts &&
               again.picture == out->picture && again.tl0 == out->tl0 &&
               again.keyidx == out->keyidx && again.marker == out->marker);
}

static void forward(struct world *w, const struct switcher_in *in)
{
    struct switcher_out out;

    if (!switcher_packet(&w->sw, in, &out)) {
        return;
    }
    for (uint32_t i = 0; i < w->n_used; i++) {
        FUZZ_CHECK(w->used[i] != out.index);
    }
    if (w->n_used < WINDOW) {
        w->used[w->n_used++] = out.index;
    }
    FUZZ_CHECK(out.spatial == SWITCHER_NO_LAYER || out.spatial < LAYER_MAX);
    check_again(&w->sw, in, &out);
}

static void packet(struct world *w, struct rbytes *in)
{
    size_t len;
    size_t dd_len;
    const uint8_t *payload = fuzz_block(in, MAX_LEN, &len);
    const uint8_t *dd = fuzz_block(in, LAYER_DD_MAX, &dd_len);
    uint8_t op = rbytes_u8(in);
    const struct layer_numbers numbers = {
        .picture = rbytes_be16(in), .tl0 = rbytes_u8(in), .keyidx = rbytes_u8(in)};
    uint8_t *tight = fuzz_tight(payload, len);
    uint8_t *tight_dd = fuzz_tight(dd, dd_len);
    struct switcher_in packet = {.marker = (op & 1) != 0};
    int err = layer_parse(&w->state, w->codec, tight, len, dd_len > 0 ? tight_dd : NULL,
                          dd_len, &packet.layer);

    FUZZ_CHECK(packet.layer.spatial < LAYER_MAX && packet.layer.temporal < LAYER_MAX);
    if (err == 0 && dd_len == 0) {
        check_written(w, tight, len, &packet.layer, &numbers);
    }
    check_dd(tight_dd, dd_len, numbers.picture, (uint16_t)(numbers.tl0 * 257u), op);
    w->seq += (uint64_t)(int64_t)(int8_t)numbers.keyidx;
    packet.seq = w->seq;
    packet.ts = numbers.picture / 4;
    switch (op >> 5) {
    case 0:
        switcher_begin(&w->sw, &packet, packet.ts + op);
        break;
    case 1:
        switcher_want(&w->sw, op & 7, op >> 3 & 3);
        break;
    case 2:
        switcher_stop(&w->sw);
        break;
    default:
        break;
    }
    if (err == 0) {
        forward(w, &packet);
    }
    free(tight);
    free(tight_dd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct world w;
    const struct switcher_last last = {.ts = 1};
    struct rbytes in = fuzz_in(data, size);

    memset(&w, 0, sizeof(w));
    w.codec = (enum codec_kind)(rbytes_u8(&in) % N_CODECS);
    w.seq = 1u << 20;
    switcher_init(&w.sw, 1 + rbytes_u8(&in), &last);
    for (unsigned i = 0; i < PACKETS && fuzz_more(&in); i++) {
        packet(&w, &in);
    }
    return 0;
}

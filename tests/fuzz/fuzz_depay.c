/* The payloads of one stream, as each codec: what comes out is what was put in, and no
 * more; nothing comes out of a video stream before a key frame, nor after a loss. */
#include <stdlib.h>

#include "fuzz.h"

#include "egress/depay/depay.h"

/* Of each packet: what precedes its payload. */
enum { LOST = 1, MARKER = 2, NEXT_TS = 4 };

static void check(const struct depay *depay, const struct depay_frame *frame, size_t given,
                  bool *whole)
{
    FUZZ_CHECK(frame->len > 0);
    /* H264 gets start codes, AV1 sizes, each at most twice as many bytes as there were OBUs
     */
    FUZZ_CHECK(frame->len <= 6 * given + 8);
    FUZZ_CHECK(*whole || frame->key || depay->codec == ABI_CODEC_OPUS);
    *whole = true;
    for (size_t i = 0; i < frame->len; i++) {
        static volatile uint8_t sink;

        sink = frame->data[i];
        (void)sink;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct depay_buffers buffers;
    struct rbytes in = fuzz_in(data, size);
    struct depay depay;
    struct depay_frame frame;
    enum abi_codec codec = (enum abi_codec)(ABI_CODEC_OPUS + rbytes_u8(&in) % 5);
    uint8_t sets[2 * DEPAY_SETS];
    bool whole = false;
    size_t given = 0;
    uint32_t ts = 0;

    depay_init(&depay, codec, &buffers);
    while (fuzz_more(&in)) {
        uint8_t how = rbytes_u8(&in);
        size_t len;
        const uint8_t *from = fuzz_block(&in, 1500, &len);
        uint8_t *payload = fuzz_tight(from, len);
        bool lost = (how & LOST) != 0;

        ts += (how & NEXT_TS) != 0 ? 3000 : 0;
        if (depay_ends(&depay, ts, lost, &frame)) {
            check(&depay, &frame, given, &whole);
            given = 0;
        }
        whole = whole && !lost;
        given += len;
        if (depay_put(&depay, payload, len, ts, (how & MARKER) != 0, lost, &frame)) {
            check(&depay, &frame, given, &whole);
            given = 0;
        }
        whole = whole && (!depay.need_key || codec == ABI_CODEC_OPUS);
        (void)depay_wants_key(&depay);
        FUZZ_CHECK(depay_extradata(&depay, sets, sizeof(sets)) <= sizeof(sets));
        free(payload);
    }
    return 0;
}

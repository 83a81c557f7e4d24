/* The frames of a WebSocket: the same bytes in one piece and in pieces tell the same, keep
 * the promises of net/ws_frame.h, and what was told can be written again. */
#include "fuzz.h"

#include "net/ws_frame.h"
#include "sys/utf8.h"

/* The first byte: how large the pieces are, and whether compression was agreed on. */
enum { MESSAGE_MAX = 5000, OUT_MAX = 1 << 18 };

/* What was told, one after the other, to compare. */
struct story {
    struct ws_in in;
    bool broken;
    size_t n;
    uint8_t text[OUT_MAX];
};

static void put(struct story *story, const void *data, size_t len)
{
    if (len > 0 && len <= sizeof(story->text) - story->n) {
        memcpy(story->text + story->n, data, len);
        story->n += len;
    }
}

static void note(struct story *story, enum ws_in_what what, const struct ws_in_event *event)
{
    const uint8_t head[] = {(uint8_t)what};

    FUZZ_CHECK(!story->broken); /* nothing is told after that */
    put(story, head, sizeof(head));
    switch (what) {
    case WS_IN_MESSAGE:
        FUZZ_CHECK(event->data != NULL && event->len <= MESSAGE_MAX);
        FUZZ_CHECK(event->binary || utf8_valid(event->data, event->len));
        put(story, &event->binary, 1);
        put(story, event->data, event->len);
        break;
    case WS_IN_PING:
        FUZZ_CHECK(event->data != NULL && event->len <= WS_CONTROL_MAX);
        put(story, event->data, event->len);
        break;
    case WS_IN_BROKEN:
        FUZZ_CHECK(event->reason != NULL && strlen(event->reason) <= WS_REASON_MAX);
        story->broken = true;
        /* fallthrough */
    default:
        FUZZ_CHECK(event->code >= 1000 && event->code < 5000);
        put(story, &event->code, sizeof(event->code));
        break;
    }
}

static void feed(struct story *story, const uint8_t *bytes, size_t len)
{
    uint8_t *copy = malloc(len > 0 ? len : 1); /* its end is watched */
    uint8_t *data = copy;
    struct ws_in_event event = {0};
    enum ws_in_what what;

    FUZZ_CHECK(copy != NULL);
    memcpy(copy, bytes, len);
    while ((what = ws_in_next(&story->in, &data, &len, &event)) != WS_IN_NOTHING) {
        FUZZ_CHECK(data >= copy);
        note(story, what, &event);
    }
    FUZZ_CHECK(len == 0);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct story whole;
    static struct story parts;
    size_t step = size > 0 ? 1u + data[0] % 16u : 1;

    if (size == 0 || size > 65536) {
        return 0;
    }
    whole.n = parts.n = 0;
    whole.broken = parts.broken = false;
    ws_in_init(&whole.in, MESSAGE_MAX, (data[0] & 0x80) != 0);
    ws_in_init(&parts.in, MESSAGE_MAX, (data[0] & 0x80) != 0);
    data++;
    size--;
    feed(&whole, data, size);
    for (size_t at = 0; at < size; at += step) {
        feed(&parts, data + at, step < size - at ? step : size - at);
    }
    FUZZ_CHECK(whole.n == parts.n && memcmp(whole.text, parts.text, whole.n) == 0);
    ws_in_fini(&whole.in);
    ws_in_fini(&parts.in);
    return 0;
}

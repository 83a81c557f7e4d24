/* Who is decoded and shown: rings that the test writes, with pictures of VP8 in them, each
 * publisher's of a brightness of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <libavcodec/avcodec.h>
#include <libavutil/frame.h>
#include <libavutil/log.h>
#include <libavutil/opt.h>

#include "egress/compose/cast.h"
#include "sfu/base/handle.h"

enum {
    MANY = 30,
    SLOTS = 128,
    BYTES = 64 * 1024,
    RING = SLOTS * 64 + BYTES,
    W = 64,
    H = 48,
    STEP_US = 50000,
    FPS = 1000000 / STEP_US
};

struct publisher {
    AVCodecContext *encoder;
    AVFrame *frame;
    AVPacket *packet;
    uint64_t handle, seq, keys; /* how often it was asked for one */
    uint32_t bytes;
    uint64_t key_at_us; /* when it sends one; 0: nobody wants one */
    bool silent, seen;
};

static struct world {
    uint8_t *mem;
    size_t len;
    struct publisher all[MANY];
    unsigned n;
    uint64_t key_takes_us;
    struct mode_conf conf;
    struct cast cast;
    struct mixer mixer;
} *w;

static uint64_t now_us;

/* ---- the process around it ---- */

uint64_t __wrap_mode_now_us(void);
void __wrap_mode_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

uint64_t __wrap_mode_now_us(void)
{
    return now_us;
}

void __wrap_mode_say(const char *format, ...)
{
    char line[MODE_LINE];
    unsigned who;
    va_list args;

    va_start(args, format);
    (void)vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    if (sscanf(line, "key t%u.1", &who) == 1) {
        w->all[who].keys++;
        w->all[who].key_at_us = now_us + w->key_takes_us;
    } else if (sscanf(line, "seen t%u.1", &who) == 1) {
        assert_false(w->all[who].seen);
        w->all[who].seen = true;
    } else {
        fail_msg("it said: %s", line);
    }
}

/* ---- publishers ---- */

static int luma_of(unsigned who)
{
    return 30 + (int)who * 6;
}

static void open_encoder(unsigned who)
{
    struct publisher *p = &w->all[who];
    AVCodecContext *c =
        avcodec_alloc_context3(avcodec_find_encoder_by_name("libvpx"));

    assert_non_null(c);
    c->width = W;
    c->height = H;
    c->time_base = (AVRational){1, FPS};
    c->pix_fmt = AV_PIX_FMT_YUV420P;
    c->bit_rate = 200000;
    c->gop_size = 100000;
    c->thread_count = 1;
    assert_int_equal(av_opt_set(c->priv_data, "deadline", "realtime", 0), 0);
    assert_int_equal(av_opt_set_int(c->priv_data, "lag-in-frames", 0, 0), 0);
    assert_int_equal(avcodec_open2(c, c->codec, NULL), 0);
    p->encoder = c;
    p->frame = av_frame_alloc();
    p->packet = av_packet_alloc();
    p->frame->width = W;
    p->frame->height = H;
    p->frame->format = AV_PIX_FMT_YUV420P;
    assert_int_equal(av_frame_get_buffer(p->frame, 0), 0);
    for (int y = 0; y < H; y++) {
        memset(p->frame->data[0] + y * p->frame->linesize[0], luma_of(who), W);
        memset(p->frame->data[1 + y % 2] + y / 2 * p->frame->linesize[1], 128, W / 2);
    }
}

static void write_packet(struct publisher *p, const uint8_t *data, size_t len)
{
    struct tap *tap = tap_first(w->mem) + handle_index(p->handle);
    uint64_t pos = atomic_load(&tap->head);
    struct tap_slot slot = {.pos = pos,
                            .seq = p->seq++,
                            .arrival_us = now_us,
                            .ts = (uint32_t)(now_us / 100 * 9),
                            .offset = p->bytes,
                            .len = (uint16_t)(len + 1),
                            .flags = TAP_MARKER};

    assert_true(len + 1 < ORDER_PACKET);
    if (p->bytes + slot.len > BYTES) {
        p->bytes = slot.offset = 0;
    }
    w->mem[tap->bytes_at + p->bytes] = 0x10; /* RFC 7741: a partition begins */
    memcpy(w->mem + tap->bytes_at + p->bytes + 1, data, len);
    p->bytes += slot.len;
    memcpy(w->mem + tap->slots_at + (pos % SLOTS) * sizeof(slot), &slot, sizeof(slot));
    atomic_store(&tap->head, pos + 1);
    atomic_store(&tap->tail, pos + 1 > SLOTS / 2 ? pos + 1 - SLOTS / 2 : 0);
}

static void send_picture(struct publisher *p)
{
    bool key = p->key_at_us != 0 && p->key_at_us <= now_us;

    p->frame->pts = (int64_t)(now_us / STEP_US);
    p->frame->pict_type = key ? AV_PICTURE_TYPE_I : AV_PICTURE_TYPE_NONE;
    p->key_at_us = key ? 0 : p->key_at_us;
    assert_int_equal(avcodec_send_frame(p->encoder, p->frame), 0);
    while (avcodec_receive_packet(p->encoder, p->packet) == 0) {
        write_packet(p, p->packet->data, (size_t)p->packet->size);
        av_packet_unref(p->packet);
    }
}

/* ---- time ---- */

static void step(void)
{
    now_us += STEP_US;
    for (unsigned i = 0; i < w->n; i++) {
        if (!w->all[i].silent) {
            send_picture(&w->all[i]);
        }
    }
    cast_run(&w->cast, now_us, &w->mixer);
    cast_advance(&w->cast, (int64_t)(now_us - w->conf.zero_us) - CAST_DELAY_US);
}

static void run(unsigned ms)
{
    for (unsigned i = 0; i < ms * 1000 / STEP_US; i++) {
        step();
    }
}

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *format, ...)
{
    char line[MODE_LINE];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    assert_int_equal(cast_on_line(&w->cast, line), 0);
}

static void join(unsigned who)
{
    say("person p%u %u Person %u", who, who + 1, who);
    say("add t%u.1 %llu %u 90000 %u p%u camera", who,
        (unsigned long long)w->all[who].handle, ABI_CODEC_VP8, who + 1, who);
}

static int setup_of(unsigned n)
{
    uint64_t at = tap_blocks_at(MANY);

    av_log_set_level(AV_LOG_FATAL);
    now_us = 1000 * (uint64_t)STEP_US;
    w = calloc(1, sizeof(*w));
    assert_non_null(w);
    w->n = n;
    w->len = (size_t)at + (size_t)MANY * RING;
    w->mem = aligned_alloc(4096, w->len);
    assert_non_null(w->mem);
    memset(w->mem, 0, w->len);
    for (unsigned i = 0; i < MANY; i++) {
        uint64_t ring = at + (uint64_t)i * RING;

        w->all[i].handle = handle_make(i, 1);
        tap_open(tap_first(w->mem) + i, w->all[i].handle, ring, SLOTS,
                 ring + SLOTS * sizeof(struct tap_slot), BYTES);
        if (i < n) {
            open_encoder(i);
        }
    }
    w->conf = (struct mode_conf){.rings = {w->mem, w->len, MANY}, .zero_us = now_us};
    cast_init(&w->cast, &w->conf, true);
    mixer_init(&w->mixer, 0);
    say("layout grid");
    return 0;
}

static void teardown(void)
{
    cast_fini(&w->cast);
    for (unsigned i = 0; i < MANY; i++) {
        avcodec_free_context(&w->all[i].encoder);
        av_frame_free(&w->all[i].frame);
        av_packet_free(&w->all[i].packet);
    }
    free(w->mem);
    free(w);
}

/* ---- what is seen ---- */

static size_t cells(struct scene_cell out[SCENE_CELLS])
{
    return scene_cells(&w->cast.scenes[CAST_NOW], 1280, 720, out);
}

/* Whether there is a cell of that person; 'luma' of what is in it, -1: a face. */
static bool has_cell(unsigned who, int *luma)
{
    struct scene_cell all[SCENE_CELLS];
    size_t n = cells(all);
    char id[8];

    (void)snprintf(id, sizeof(id), "p%u", who);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(all[i].person->id, id) == 0) {
            const struct cast_entry *entry = cast_picture(&w->cast, &all[i]);

            *luma = entry != NULL ? source_picture(entry->source)->data[0][W / 2] : -1;
            return true;
        }
    }
    return false;
}

static void assert_shown(unsigned who)
{
    int luma = -2;

    assert_true(has_cell(who, &luma));
    assert_in_range(luma, luma_of(who) - 2, luma_of(who) + 2);
}

static void assert_face(unsigned who)
{
    int luma = -2;

    assert_true(has_cell(who, &luma));
    assert_int_equal(luma, -1);
}

static bool is_shown(unsigned who)
{
    int luma;

    return has_cell(who, &luma);
}

/* ---- tests ---- */

static void of_many_cameras_those_in_view_are_decoded(void **state)
{
    uint64_t decoded;
    int luma;
    (void)state;

    setup_of(MANY);
    for (unsigned i = 0; i < MANY; i++) {
        join(i);
    }
    run(3000);
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_equal(w->all[i].keys, i < SCENE_CELLS ? 1 : 0);
        assert_true(w->all[i].seen); /* or control would take a lower encoding */
        if (i < SCENE_CELLS) {
            assert_shown(i);
        } else {
            assert_false(has_cell(i, &luma));
        }
    }
    decoded = cast_decoded(&w->cast);
    run(2000);
    assert_int_equal(cast_decoded(&w->cast) - decoded, SCENE_CELLS * 2 * FPS);
    teardown();
}

static void who_comes_into_view_has_been_asked_for_a_key_frame_before(void **state)
{
    unsigned gone = SCENE_CELLS;
    uint64_t decoded;
    (void)state;

    setup_of(MANY);
    for (unsigned i = 0; i < MANY; i++) {
        join(i);
    }
    run(3000);
    w->key_takes_us = 400000;
    say("speaker p20");
    step();
    assert_int_equal(w->all[20].keys, 1);
    run(CAST_DELAY_US / 1000 - 100);
    assert_false(is_shown(20)); /* the picture is as late as it is */
    run(100);
    assert_face(20); /* its key frame is from a time that is not shown yet */
    run(400);
    assert_shown(20);
    for (unsigned i = 0; i < SCENE_CELLS; i++) {
        gone = is_shown(i) ? gone : i;
    }
    assert_true(gone < SCENE_CELLS);
    decoded = cast_decoded(&w->cast);
    run(1000);
    assert_int_equal(cast_decoded(&w->cast) - decoded, SCENE_CELLS * FPS);

    /* of what came meanwhile nothing can be decoded: another key frame */
    assert_int_equal(w->all[gone].keys, 1);
    say("speaker p%u", gone);
    run(CAST_DELAY_US / 1000);
    assert_int_equal(w->all[gone].keys, 2);
    assert_face(gone);
    run(500);
    assert_shown(gone);
    assert_shown(20);
    teardown();
}

static void what_is_paused_is_not_decoded(void **state)
{
    uint64_t decoded;
    (void)state;

    setup_of(2);
    join(0);
    join(1);
    run(2000);
    assert_shown(0);
    say("pause t0.1 1");
    run(600);
    assert_shown(0);
    run(400);
    assert_face(0);
    assert_shown(1);
    decoded = cast_decoded(&w->cast);
    run(2000); /* as of one in a breakout room, who goes on sending */
    assert_int_equal(cast_decoded(&w->cast) - decoded, 2 * FPS);
    assert_int_equal(w->all[0].keys, 1);
    say("pause t0.1 0");
    step();
    assert_int_equal(w->all[0].keys, 2);
    run(600);
    assert_face(0);
    run(400);
    assert_shown(0);
    teardown();
}

static void of_whom_nothing_comes_nothing_is_told(void **state)
{
    (void)state;

    setup_of(12);
    for (unsigned i = 0; i < 12; i++) {
        w->all[i].silent = i == 3 || i == 10;
        join(i);
    }
    run(3000);
    for (unsigned i = 0; i < 12; i++) {
        assert_int_equal(w->all[i].seen, i != 3 && i != 10);
    }
    assert_face(3);
    assert_true(w->all[3].keys >= 2); /* asked again and again */
    assert_int_equal(w->all[10].keys, 0);
    teardown();
}

/* More people than places for them were there before. */
static void two_who_come_at_once_are_two(void **state)
{
    (void)state;

    setup_of(2);
    for (unsigned i = 0; i < SCENE_PEOPLE; i++) {
        say("person before%u %u Long gone", i, i + 1);
    }
    run(1000);
    join(0);
    join(1);
    run(2000);
    assert_shown(0);
    assert_shown(1);
    say("remove t0.1");
    run(1000);
    assert_false(is_shown(0));
    assert_shown(1);
    teardown();
}

static void what_makes_no_sense_is_refused_and_changes_nothing(void **state)
{
    static const char *const bad[] = {"",           "layout round", "add",
                                      "add t0.1 x", "dance",   "pause t0.1",
                                      "person p9"};
    (void)state;

    setup_of(1);
    join(0);
    run(2000);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_true(cast_on_line(&w->cast, bad[i]) < 0);
    }
    say("pause t9.1 1"); /* of nobody who is there */
    say("remove t9.1");
    run(1000);
    assert_shown(0);
    teardown();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_many_cameras_those_in_view_are_decoded),
        cmocka_unit_test(who_comes_into_view_has_been_asked_for_a_key_frame_before),
        cmocka_unit_test(what_is_paused_is_not_decoded),
        cmocka_unit_test(of_whom_nothing_comes_nothing_is_told),
        cmocka_unit_test(two_who_come_at_once_are_two),
        cmocka_unit_test(what_makes_no_sense_is_refused_and_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

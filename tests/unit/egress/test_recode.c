/* Pictures of VP8 that libvpx has made, as H264 that libavcodec decodes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <libavcodec/avcodec.h>
#include <libavutil/log.h>

#include "egress/out/recode.h"

enum { HZ = 90000, STEP = HZ / 30, N = 40, LUMA = 40 };

struct world {
    AVCodecContext *vp8, *h264;
    AVFrame *frame, *seen;
    AVPacket *packet;
    struct recode *recode;
};

static void open_vp8(struct world *w, int width, int height)
{
    AVCodecContext *c = avcodec_alloc_context3(avcodec_find_encoder_by_name("libvpx"));

    assert_non_null(c);
    avcodec_free_context(&w->vp8);
    w->vp8 = c;
    c->width = w->frame->width = width;
    c->height = w->frame->height = height;
    c->pix_fmt = AV_PIX_FMT_YUV420P;
    c->time_base = (AVRational){1, 30};
    c->bit_rate = 500000;
    c->gop_size = 1000;
    c->thread_count = 1;
    {
        AVDictionary *options = NULL;

        (void)av_dict_set(&options, "deadline", "realtime", 0);
        (void)av_dict_set(&options, "lag-in-frames", "0", 0);
        assert_int_equal(avcodec_open2(c, c->codec, &options), 0);
        av_dict_free(&options);
    }
    av_buffer_unref(&w->frame->buf[0]);
    w->frame->format = AV_PIX_FMT_YUV420P;
    assert_int_equal(av_frame_get_buffer(w->frame, 0), 0);
}

static void setup(struct world *w)
{
    av_log_set_level(AV_LOG_FATAL);
    memset(w, 0, sizeof(*w));
    w->frame = av_frame_alloc();
    w->seen = av_frame_alloc();
    w->packet = av_packet_alloc();
    open_vp8(w, 320, 180);
    assert_int_equal(recode_create(&w->recode, HZ), 0);
}

static void teardown(struct world *w)
{
    recode_destroy(w->recode);
    avcodec_free_context(&w->vp8);
    avcodec_free_context(&w->h264);
    av_frame_free(&w->frame);
    av_frame_free(&w->seen);
    av_packet_free(&w->packet);
}

/* The i-th picture is as bright as that; left in w->packet. */
static void shoot(struct world *w, int i)
{
    assert_int_equal(av_frame_make_writable(w->frame), 0);
    for (int p = 0; p < 3; p++) {
        memset(w->frame->data[p], p == 0 ? LUMA + 4 * i : 128,
               (size_t)w->frame->linesize[p] *
                   (size_t)(w->frame->height / (p == 0 ? 1 : 2)));
    }
    w->frame->pts = i;
    assert_int_equal(avcodec_send_frame(w->vp8, w->frame), 0);
    av_packet_unref(w->packet);
    assert_int_equal(avcodec_receive_packet(w->vp8, w->packet), 0);
}

static int put(struct world *w, int64_t ticks, struct recode_picture *out)
{
    return recode_put(w->recode, w->packet->data, (size_t)w->packet->size,
                      (w->packet->flags & AV_PKT_FLAG_KEY) != 0, ticks, out);
}

/* Decodes it; its brightness in the middle. */
static int see(struct world *w, const struct recode_picture *picture)
{
    AVPacket *packet = av_packet_alloc();
    int luma;

    if (w->h264 == NULL) {
        const uint8_t *sets;
        uint16_t width, height;
        size_t len;

        w->h264 = avcodec_alloc_context3(avcodec_find_decoder(AV_CODEC_ID_H264));
        w->h264->thread_count = 1;
        w->h264->flags |= AV_CODEC_FLAG_LOW_DELAY;
        sets = recode_extradata(w->recode, &len, &width, &height);
        w->h264->extradata = av_mallocz(len + AV_INPUT_BUFFER_PADDING_SIZE);
        memcpy(w->h264->extradata, sets, len);
        w->h264->extradata_size = (int)len;
        assert_int_equal(avcodec_open2(w->h264, w->h264->codec, NULL), 0);
        assert_int_equal(width, 320);
        assert_int_equal(height, 180);
        assert_true(picture->key);
    }
    assert_int_equal(av_new_packet(packet, (int)picture->len), 0);
    memcpy(packet->data, picture->data, picture->len);
    assert_int_equal(avcodec_send_packet(w->h264, packet), 0);
    av_packet_free(&packet);
    av_frame_unref(w->seen);
    assert_int_equal(avcodec_receive_frame(w->h264, w->seen), 0);
    assert_int_equal(w->seen->width, 320);
    assert_int_equal(w->seen->height, 180);
    luma = w->seen->data[0][90 * w->seen->linesize[0] + 160];
    return luma;
}

static void assert_luma(int luma, int i)
{
    assert_in_range(luma, LUMA + 4 * i - 2, LUMA + 4 * i + 2);
}

static void each_picture_is_there_once_in_order_and_at_its_time(void **state)
{
    struct recode_picture picture;
    struct world w;
    (void)state;

    setup(&w);
    for (int i = 0; i < N; i++) {
        shoot(&w, i);
        assert_int_equal(put(&w, (int64_t)i * STEP + (i == 7 ? 1234 : 0), &picture), 1);
        assert_int_equal(picture.ticks, i * STEP + (i == 7 ? 1234 : 0));
        assert_luma(see(&w, &picture), i);
    }
    shoot(&w, 0);
    assert_int_equal(put(&w, 0, &picture), 1); /* its clock went back */
    assert_int_equal(picture.ticks, (N - 1) * STEP + 1);
    teardown(&w);
}

/* A tall one stands in the middle, with black beside it. */
static void one_of_another_shape_keeps_it(void **state)
{
    struct recode_picture picture;
    const uint8_t *line;
    struct world w;
    (void)state;

    setup(&w);
    shoot(&w, 1);
    assert_int_equal(put(&w, 0, &picture), 1);
    assert_luma(see(&w, &picture), 1);
    open_vp8(&w, 90, 180);
    shoot(&w, 20);
    assert_int_equal(put(&w, STEP, &picture), 1);
    assert_true(picture.key);
    assert_luma(see(&w, &picture), 20);
    line = w.seen->data[0] + 90 * w.seen->linesize[0];
    assert_in_range(line[20], 14, 18);
    assert_in_range(line[300], 14, 18);
    assert_in_range(line[130], LUMA + 78, LUMA + 82);
    open_vp8(&w, 641, 361); /* odd, and larger */
    shoot(&w, 30);
    assert_int_equal(put(&w, 2 * STEP, &picture), 1);
    assert_luma(see(&w, &picture), 30);
    teardown(&w);
}

static void what_makes_no_sense_is_left_out_until_a_key_frame(void **state)
{
    static const uint8_t garbage[64] = {0x31, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    struct recode_picture picture;
    struct world w;
    (void)state;

    setup(&w);
    assert_int_equal(recode_put(w.recode, garbage, sizeof(garbage), false, 0, &picture),
                     -EBADMSG);
    shoot(&w, 0);
    assert_int_equal(put(&w, 0, &picture), 1);
    assert_luma(see(&w, &picture), 0);
    assert_int_equal(recode_put(w.recode, garbage, 3, true, STEP, &picture), -EBADMSG);
    open_vp8(&w, 320, 180);
    shoot(&w, 9);
    assert_int_equal(put(&w, 2 * STEP, &picture), 1);
    assert_true(picture.key);
    assert_luma(see(&w, &picture), 9);
    teardown(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_picture_is_there_once_in_order_and_at_its_time),
        cmocka_unit_test(one_of_another_shape_keeps_it),
        cmocka_unit_test(what_makes_no_sense_is_left_out_until_a_key_frame),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

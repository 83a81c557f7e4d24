/* What waits to be sent: in order, bounded, and complete pictures after a gap. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <libavcodec/avcodec.h>
#include <pthread.h>
#include <time.h>

#include "egress/out/packet_queue.h"

static void put(struct packet_queue *queue, enum encoder_kind kind, int64_t pts, bool key)
{
    AVPacket *packet = av_packet_alloc();

    assert_non_null(packet);
    assert_int_equal(av_new_packet(packet, 16), 0);
    packet->pts = pts;
    packet->flags = key ? AV_PKT_FLAG_KEY : 0;
    packet_queue_put(queue, kind, packet);
    av_packet_free(&packet);
}

/* The time of the next; it has to be of that kind. */
static int64_t take(struct packet_queue *queue, enum encoder_kind expected)
{
    enum encoder_kind kind;
    AVPacket *packet = packet_queue_take(queue, &kind);
    int64_t pts;

    assert_non_null(packet);
    assert_int_equal(kind, expected);
    pts = packet->pts;
    av_packet_free(&packet);
    return pts;
}

static uint64_t now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void packets_come_out_in_order_and_then_there_is_an_end(void **state)
{
    struct packet_queue *queue;
    enum encoder_kind kind;
    (void)state;

    assert_int_equal(packet_queue_create(&queue), 0);
    for (int round = 0; round < 3 * PACKET_QUEUE; round += 2) { /* around the end of it */
        put(queue, ENCODER_VIDEO, round, false);
        put(queue, ENCODER_AUDIO, round + 1, true);
        assert_int_equal(take(queue, ENCODER_VIDEO), round);
        assert_int_equal(take(queue, ENCODER_AUDIO), round + 1);
    }
    put(queue, ENCODER_VIDEO, 1, true);
    packet_queue_close(queue);
    put(queue, ENCODER_VIDEO, 2, true); /* too late */
    assert_int_equal(take(queue, ENCODER_VIDEO), 1);
    assert_null(packet_queue_take(queue, &kind));
    assert_int_equal(packet_queue_left_out(queue), 1);
    packet_queue_destroy(queue);
}

static void a_full_one_begins_anew_at_a_picture_that_leans_on_no_other(void **state)
{
    struct packet_queue *queue;
    (void)state;

    assert_int_equal(packet_queue_create(&queue), 0);
    for (int i = 0; i < PACKET_QUEUE; i++) {
        put(queue, ENCODER_VIDEO, i, i == 0);
    }
    assert_int_equal(packet_queue_left_out(queue), 0);
    put(queue, ENCODER_VIDEO, 1000, false); /* one more than there is room for */
    put(queue, ENCODER_AUDIO, 1001, true);
    put(queue, ENCODER_VIDEO, 1002, false);
    assert_int_equal(packet_queue_left_out(queue), PACKET_QUEUE + 3);
    put(queue, ENCODER_VIDEO, 1003, true);
    put(queue, ENCODER_AUDIO, 1004, true);
    put(queue, ENCODER_VIDEO, 1005, false);
    assert_int_equal(take(queue, ENCODER_VIDEO), 1003);
    assert_int_equal(take(queue, ENCODER_AUDIO), 1004);
    packet_queue_clear(queue);
    assert_int_equal(packet_queue_left_out(queue), PACKET_QUEUE + 4);
    packet_queue_destroy(queue); /* NULL too */
    packet_queue_destroy(NULL);
}

static void *close_soon(void *arg)
{
    const struct timespec soon = {.tv_nsec = 50000000};

    (void)nanosleep(&soon, NULL);
    packet_queue_close(arg);
    return NULL;
}

static void who_pauses_or_waits_is_woken_by_the_end(void **state)
{
    enum encoder_kind kind;
    (void)state;

    for (int takes = 0; takes <= 1; takes++) {
        struct packet_queue *queue;
        uint64_t before_ms = now_ms();
        pthread_t thread;

        assert_int_equal(packet_queue_create(&queue), 0);
        put(queue, ENCODER_VIDEO, 1, true); /* which wakes nobody who pauses */
        if (takes == 0) {
            packet_queue_pause(queue, 20);
            assert_true(now_ms() - before_ms >= 20);
        } else {
            assert_int_equal(take(queue, ENCODER_VIDEO), 1);
        }
        assert_int_equal(pthread_create(&thread, NULL, close_soon, queue), 0);
        if (takes == 0) {
            packet_queue_pause(queue, 600000);
        } else {
            assert_null(packet_queue_take(queue, &kind));
        }
        assert_int_equal(pthread_join(thread, NULL), 0);
        packet_queue_destroy(queue);
    }
}

static void *put_many(void *arg)
{
    for (int i = 0; i < 100000; i++) {
        put(arg, ENCODER_VIDEO, i, i % 30 == 0);
    }
    packet_queue_close(arg);
    return NULL;
}

/* Whatever the threads' fortunes: none comes twice or out of order, after each gap is a
 * picture that leans on no other, and the sum is right. */
static void two_threads_lose_none_that_is_not_counted(void **state)
{
    struct packet_queue *queue;
    enum encoder_kind kind;
    AVPacket *packet;
    uint64_t taken = 0;
    int64_t last = -1;
    pthread_t thread;
    (void)state;

    assert_int_equal(packet_queue_create(&queue), 0);
    assert_int_equal(pthread_create(&thread, NULL, put_many, queue), 0);
    while ((packet = packet_queue_take(queue, &kind)) != NULL) {
        assert_true(packet->pts == last + 1 ||
                    (packet->pts > last && (packet->flags & AV_PKT_FLAG_KEY) != 0));
        last = packet->pts;
        taken++;
        av_packet_free(&packet);
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(taken + packet_queue_left_out(queue), 100000);
    assert_true(taken > 0);
    packet_queue_destroy(queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packets_come_out_in_order_and_then_there_is_an_end),
        cmocka_unit_test(a_full_one_begins_anew_at_a_picture_that_leans_on_no_other),
        cmocka_unit_test(who_pauses_or_waits_is_woken_by_the_end),
        cmocka_unit_test(two_threads_lose_none_that_is_not_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

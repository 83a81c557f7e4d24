/* control/proto/socketio: the packets of the protocol's own examples, malformed ones, and
 * the reassembly of attachments. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "proto/socketio.h"

static struct sio_packet parse(const char *text)
{
    struct sio_packet packet;

    assert_int_equal(sio_packet_parse(text, strlen(text), &packet), 0);
    return packet;
}

static void what_is_parsed_is_written_the_same(void **state)
{
    static const char *const texts[] = {
        "0",
        "0{\"token\":\"123\"}",
        "0/custom,",
        "0/meeting,{\"token\":\"abc\"}",
        "0/meeting,{\"sid\":\"oSO0OpakMV_3jnilAAAA\"}",
        "1",
        "1/admin,",
        "2[\"foo\"]",
        "2/admin,[\"bar\"]",
        "212[\"foo\"]",
        "2/admin,9007199254740991[\"message\",1,\"2\",{\"3\":[true]}]",
        "3/admin,13[]",
        "30[\"\\u001E\\\"\\\\ \xc3\xa9\"]",
        "4{\"message\":\"Not authorized\"}",
        "4/random,{\"message\":\"Invalid namespace\"}",
        "4\"text\"",
        "51-[\"baz\",{\"_placeholder\":true,\"num\":0}]",
        ("52-/admin,7[\"baz\",{\"_placeholder\":true,\"num\":1},[{\"_placeholder\":true,"
         "\"num\":0}]]"),
        "61-/admin,15[\"bar\",{\"_placeholder\":true,\"num\":0}]",
        "50-[\"none\"]",
        "2[5,-1.5,null,false]",
    };
    (void)state;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct sio_packet packet = parse(texts[i]);
        struct eio_msg *msg;

        assert_int_equal(sio_packet_write(&packet, &msg), 0);
        assert_false(msg->binary);
        assert_int_equal(msg->len, strlen(texts[i]) + 1);
        assert_int_equal(eio_msg_packet(msg)[0], '4');
        assert_memory_equal(eio_msg_packet(msg) + 1, texts[i], strlen(texts[i]));
        eio_msg_unref(msg);
        sio_packet_fini(&packet);
    }
}

static void fields_land_where_they_belong(void **state)
{
    struct sio_packet packet = parse("2/admin,456[\"project:delete\",123]");
    (void)state;

    assert_int_equal(packet.type, SIO_EVENT);
    assert_string_equal(packet.nsp, "/admin");
    assert_true(packet.has_id);
    assert_int_equal(packet.id, 456);
    assert_int_equal(json_integer_value(json_array_get(packet.data, 1)), 123);
    sio_packet_fini(&packet);

    packet = parse("0/custom"); /* without a comma too */
    assert_string_equal(packet.nsp, "/custom");
    assert_false(packet.has_id);
    assert_null(packet.data);
    sio_packet_fini(&packet);
}

static void malformed_packets_are_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "abc",
        "7",
        "-1",
        "2",
        "2{}",
        "2[]",
        "2[null]",
        "2[{}]",
        "2[\"a\"",
        "2[\"a\"]]",
        "2[\"a\"]x",
        "2abc[\"message\"]",
        "2\"a\"",
        "29007199254740992[\"a\"]",
        "299999999999999999999999[\"a\"]",
        "2[\"connect\"]",
        "2[\"disconnecting\"]",
        "2[\"removeListener\"]",
        "2[\"\\u0000\"]",
        "2[\"\xff\"]",
        "3[1]",
        "31",
        "31{}",
        "0[]",
        "0\"x\"",
        "1{}",
        "4",
        "45",
        "5[\"a\"]",
        "51[\"a\"]",
        "5-[\"a\"]",
        "517-[\"a\"]",
        "51-",
        "51-[\"a\",{\"_placeholder\":true,\"num\":1}]",
        "51-[\"a\",{\"_placeholder\":true,\"num\":-1}]",
        "51-[\"a\",{\"_placeholder\":true,\"num\":\"0\"}]",
        "51-[\"a\",{\"_placeholder\":true}]",
        "50-[\"a\",[{\"_placeholder\":true,\"num\":0}]]",
    };
    struct sio_packet packet;
    (void)state;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (sio_packet_parse(bad[i], strlen(bad[i]), &packet) != -EBADMSG) {
            fail_msg("taken: %s", bad[i]);
        }
    }
    assert_int_equal(sio_packet_parse("0/a\0b,", 6, &packet), -EBADMSG);
}

/* As JSON.stringify() writes a text that was cut within a character: who sent it is told. */
static void half_of_a_character_is_a_fault_of_the_payload(void **state)
{
    static const char *const halves[] = {"\\ud83d", "\\uDE00", "x\\ud83dy", "\\ude00\\ud83d",
                                         "\\\\\\ud83d"};
    struct sio_packet packet;
    char text[128];
    (void)state;

    for (size_t i = 0; i < sizeof(halves) / sizeof(halves[0]); i++) {
        int len = snprintf(text, sizeof(text), "2/meeting,7[\"chat:send\",{\"message\":\"%s\"}]",
                           halves[i]);

        assert_int_equal(sio_packet_parse(text, (size_t)len, &packet), 0);
        assert_non_null(packet.fault);
        assert_int_equal(packet.id, 7);
        assert_string_equal(json_string_value(json_array_get(packet.data, 0)), "chat:send");
        sio_packet_fini(&packet);
    }
    (void)snprintf(text, sizeof(text), "2[\"a\",\"\\ud83d\\ude00 \\\\ud83d\"]");
    assert_int_equal(sio_packet_parse(text, strlen(text), &packet), 0);
    assert_null(packet.fault); /* a whole one, and a backslash before letters */
    sio_packet_fini(&packet);
    (void)snprintf(text, sizeof(text), "2[\"a\",\"\\ud83d\" x]");
    assert_int_equal(sio_packet_parse(text, strlen(text), &packet), -EBADMSG);
}

static void depth_and_namespace_have_a_cap(void **state)
{
    char text[256];
    struct sio_packet packet;
    (void)state;

    for (int depth = SIO_MAX_DEPTH; depth <= SIO_MAX_DEPTH + 1; depth++) {
        char open[64];
        char close[64];

        memset(open, '[', sizeof(open));
        memset(close, ']', sizeof(close));
        snprintf(text, sizeof(text), "2[\"[[[[[[\\\"[[\",%.*s%.*s]", depth - 1, open,
                 depth - 1, close);
        if (depth == SIO_MAX_DEPTH) {
            packet = parse(text);
            sio_packet_fini(&packet);
        } else {
            assert_int_equal(sio_packet_parse(text, strlen(text), &packet), -EBADMSG);
        }
    }
    snprintf(text, sizeof(text), "0/%062d,", 0);
    packet = parse(text);
    assert_int_equal(strlen(packet.nsp), SIO_NSP_MAX);
    sio_packet_fini(&packet);
    snprintf(text, sizeof(text), "0/%063d,", 0);
    assert_int_equal(sio_packet_parse(text, strlen(text), &packet), -EBADMSG);
}

static void packets_of_a_wrong_shape_are_not_written(void **state)
{
    struct sio_packet packet = {.type = SIO_EVENT, .nsp = "/"};
    struct eio_msg *msg = NULL;
    (void)state;

    assert_int_equal(sio_packet_write(&packet, &msg), -EINVAL);
    packet.data = json_pack("[s]", "a");
    strcpy(packet.nsp, "no-slash");
    assert_int_equal(sio_packet_write(&packet, &msg), -EINVAL);
    strcpy(packet.nsp, "/a,b");
    assert_int_equal(sio_packet_write(&packet, &msg), -EINVAL);
    strcpy(packet.nsp, "/");
    packet.type = SIO_ACK;
    assert_int_equal(sio_packet_write(&packet, &msg), -EINVAL);
    packet.has_id = true;
    packet.id = UINT64_C(1) << 53;
    assert_int_equal(sio_packet_write(&packet, &msg), -EINVAL);
    assert_null(msg);
    json_decref(packet.data);
}

static void an_event_is_written_in_one_call(void **state)
{
    json_t *data = json_pack("{s:i}", "n", 1);
    struct eio_msg *msg;
    (void)state;

    assert_int_equal(sio_event_write("/meeting", "new-producer", data, &msg), 0);
    assert_int_equal(msg->len, strlen("42/meeting,[\"new-producer\",{\"n\":1}]"));
    assert_memory_equal(eio_msg_packet(msg), "42/meeting,[\"new-producer\",{\"n\":1}]",
                        msg->len);
    eio_msg_unref(msg);
    assert_int_equal(sio_event_write("/", "pong", NULL, &msg), 0);
    assert_memory_equal(eio_msg_packet(msg), "42[\"pong\"]", msg->len);
    eio_msg_unref(msg);
    assert_int_equal(sio_event_write("/", "connect", NULL, &msg), -EINVAL);
    assert_int_equal(data->refcount, 1);
    json_decref(data);
}

/* ---- decoder ---- */

static int feed_text(struct sio_decoder *dec, const char *text, struct sio_packet *out)
{
    return sio_decoder_feed_text(dec, text, strlen(text), out);
}

static void attachments_are_collected(void **state)
{
    struct sio_decoder dec;
    struct sio_packet packet;
    json_t *placeholder = sio_placeholder(1);
    (void)state;

    sio_decoder_init(&dec, 100);
    assert_int_equal(feed_text(&dec, "2[\"plain\"]", &packet), 0);
    sio_packet_fini(&packet);

    for (int round = 0; round < 2; round++) {
        assert_int_equal(feed_text(&dec,
                                   "52-789[\"m\",{\"_placeholder\":true,\"num\":1},"
                                   "{\"_placeholder\":true,\"num\":0}]",
                                   &packet),
                         -EAGAIN);
        assert_int_equal(
            sio_decoder_feed_binary(&dec, (const uint8_t *)"\1\2\3", 3, &packet), -EAGAIN);
        assert_int_equal(sio_decoder_feed_binary(&dec, NULL, 0, &packet), 0);
        assert_int_equal(packet.type, SIO_BINARY_EVENT);
        assert_int_equal(packet.id, 789);
        assert_int_equal(packet.n_attachments, 2);
        assert_int_equal(packet.attachments[0].len, 3);
        assert_memory_equal(packet.attachments[0].data, "\1\2\3", 3);
        assert_int_equal(packet.attachments[1].len, 0);
        assert_true(json_equal(json_array_get(packet.data, 1), placeholder));
        assert_int_equal(sio_placeholder_num(json_array_get(packet.data, 1)), 1);
        assert_int_equal(sio_placeholder_num(json_array_get(packet.data, 0)), -1);
        sio_packet_fini(&packet);
    }
    json_decref(placeholder);
    sio_decoder_fini(&dec);
}

static void attachments_out_of_order_are_refused(void **state)
{
    static const char *const event = "51-[\"m\",{\"_placeholder\":true,\"num\":0}]";
    struct sio_decoder dec;
    struct sio_packet packet;
    (void)state;

    sio_decoder_init(&dec, 4);
    assert_int_equal(sio_decoder_feed_binary(&dec, (const uint8_t *)"x", 1, &packet),
                     -EBADMSG);
    assert_int_equal(feed_text(&dec, event, &packet), -EAGAIN);
    assert_int_equal(feed_text(&dec, "2[\"m\"]", &packet), -EBADMSG);
    assert_int_equal(sio_decoder_feed_binary(&dec, (const uint8_t *)"x", 1, &packet),
                     -EBADMSG);
    assert_int_equal(feed_text(&dec, event, &packet), -EAGAIN);
    assert_int_equal(sio_decoder_feed_binary(&dec, (const uint8_t *)"12345", 5, &packet),
                     -ENOSPC);
    assert_int_equal(feed_text(&dec, event, &packet), -EAGAIN); /* given up half way */
    sio_decoder_fini(&dec);
}

static void a_placeholder_in_a_plain_event_is_only_data(void **state)
{
    struct sio_packet packet = parse("2[\"m\",{\"_placeholder\":true,\"num\":99}]");
    (void)state;

    assert_int_equal(packet.n_attachments, 0);
    sio_packet_fini(&packet);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_parsed_is_written_the_same),
        cmocka_unit_test(fields_land_where_they_belong),
        cmocka_unit_test(malformed_packets_are_refused),
        cmocka_unit_test(half_of_a_character_is_a_fault_of_the_payload),
        cmocka_unit_test(depth_and_namespace_have_a_cap),
        cmocka_unit_test(packets_of_a_wrong_shape_are_not_written),
        cmocka_unit_test(an_event_is_written_in_one_call),
        cmocka_unit_test(attachments_are_collected),
        cmocka_unit_test(attachments_out_of_order_are_refused),
        cmocka_unit_test(a_placeholder_in_a_plain_event_is_only_data),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

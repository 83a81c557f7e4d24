/* The client side of a WebSocket. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "loadgen/ws.h"

/* The sample of RFC 6455, section 1.3. */
static const uint8_t key[WS_KEY_LEN] = "the sample nonce";
static const char good[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                           "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

static void upgrade_is_asked_for_and_proved(void **state)
{
    char request[512];
    unsigned status;
    int n = ws_request_write("[::1]:80", "/p?q=1", key, request, sizeof(request));
    (void)state;

    assert_true(n > 0);
    assert_int_equal(strlen(request), n);
    assert_non_null(strstr(request, "GET /p?q=1 HTTP/1.1\r\nHost: [::1]:80\r\n"));
    assert_non_null(strstr(request, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"));
    assert_int_equal(ws_request_write("h", "/", key, request, 40), -ENOSPC);
    assert_int_equal(ws_response_parse(good, sizeof(good) - 1, key, &status),
                     sizeof(good) - 1);
    assert_int_equal(status, 101);
}

static void every_beginning_of_an_answer_waits_for_the_rest(void **state)
{
    unsigned status;
    (void)state;

    for (size_t len = 0; len < sizeof(good) - 1; len++) {
        char *part = malloc(len + 1);

        memcpy(part, good, len);
        assert_int_equal(ws_response_parse(part, len, key, &status), -EAGAIN);
        free(part);
    }
}

static void refusal_and_a_wrong_proof_are_told_apart(void **state)
{
    static const char refused[] = "HTTP/1.1 503 Full\r\nContent-Length: 0\r\n\r\n";
    static const char foreign[] = "SSH-2.0-something\r\n\r\n";
    char wrong[sizeof(good)];
    unsigned status;
    (void)state;

    assert_int_equal(ws_response_parse(refused, sizeof(refused) - 1, key, &status), -EPERM);
    assert_int_equal(status, 503);
    assert_int_equal(ws_response_parse(foreign, sizeof(foreign) - 1, key, &status),
                     -EBADMSG);
    memcpy(wrong, good, sizeof(good));
    wrong[sizeof(good) - 8] ^= 1;
    assert_int_equal(ws_response_parse(wrong, sizeof(wrong) - 1, key, &status), -EBADMSG);
}

/* What we write, unmasked and without the mask bit, is what a server would send. */
static size_t as_from_server(enum ws_opcode opcode, size_t len, uint8_t *out)
{
    static const uint8_t no_mask[WS_MASK_LEN];
    uint8_t head[WS_HEAD_MAX];
    size_t n = ws_head_write(opcode, no_mask, len, head);

    head[1] &= 0x7f;
    memcpy(out, head, n - WS_MASK_LEN);
    memset(out + n - WS_MASK_LEN, 'x', len);
    return n - WS_MASK_LEN + len;
}

static void frames_of_all_lengths_are_read_when_they_are_whole(void **state)
{
    static const size_t lens[] = {0, 1, 125, 126, 127, 65535, 65536, 70000};
    uint8_t *data = malloc(70100);
    (void)state;

    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        size_t n = as_from_server(WS_TEXT, lens[i], data);
        struct ws_frame frame;

        assert_int_equal(ws_frame_parse(data, n, &frame), n);
        assert_int_equal(frame.len, lens[i]);
        assert_true(frame.final);
        assert_int_equal(frame.opcode, WS_TEXT);
        assert_int_equal(ws_frame_parse(data, n - 1, &frame), 0);
        assert_int_equal(ws_frame_parse(data, 1, &frame), 0);
    }
    free(data);
}

static void malformed_frames_are_refused(void **state)
{
    static const uint8_t bad[][10] = {
        {0x81, 0x80}, /* masked */
        {0xc1, 0x00}, /* a reserved bit */
        {0x83, 0x00}, /* opcodes that are none */
        {0x8b, 0x00},
        {0x09, 0x00},                            /* a ping in parts */
        {0x89, 0x7e},                            /* a ping too long */
        {0x81, 0x7f, 0, 0, 0, 0, 0xff, 0, 0, 0}, /* more than we take */
        {0x81, 0x7f, 0xff, 0, 0, 0, 0, 0, 0, 0},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct ws_frame frame;

        assert_int_equal(ws_frame_parse(bad[i], sizeof(bad[i]), &frame), -EBADMSG);
    }
}

static void mask_comes_off_again(void **state)
{
    static const uint8_t mask[WS_MASK_LEN] = {0x37, 0xfa, 0x21, 0x3d};
    uint8_t data[] = "Hello";
    (void)state;

    ws_mask(mask, data, 5);
    assert_memory_equal(data, "\x7f\x9f\x4d\x51\x58", 5); /* RFC 6455, 5.7 */
    ws_mask(mask, data, 5);
    assert_memory_equal(data, "Hello", 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(upgrade_is_asked_for_and_proved),
        cmocka_unit_test(every_beginning_of_an_answer_waits_for_the_rest),
        cmocka_unit_test(refusal_and_a_wrong_proof_are_told_apart),
        cmocka_unit_test(frames_of_all_lengths_are_read_when_they_are_whole),
        cmocka_unit_test(malformed_frames_are_refused),
        cmocka_unit_test(mask_comes_off_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

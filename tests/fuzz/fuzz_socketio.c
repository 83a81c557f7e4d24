/* Socket.IO packets: any text; what was understood, written and parsed again; and a series
 * of texts and attachments through the decoder. */
#include "fuzz.h"

#include <errno.h>

#include "proto/socketio.h"

static void check_same(const struct sio_packet *a, const struct sio_packet *b)
{
    FUZZ_CHECK(a->type == b->type && a->has_id == b->has_id && a->id == b->id);
    FUZZ_CHECK(strcmp(a->nsp, b->nsp) == 0 && a->n_attachments == b->n_attachments);
    FUZZ_CHECK((a->data == NULL) == (b->data == NULL));
    FUZZ_CHECK(a->data == NULL || json_equal(a->data, b->data));
}

static void text_reads_back(const char *text, size_t len)
{
    struct sio_packet packet, again;
    struct eio_msg *msg;

    if (sio_packet_parse(text, len, &packet) != 0) {
        return;
    }
    FUZZ_CHECK(packet.nsp[0] == '/' && strlen(packet.nsp) <= SIO_NSP_MAX);
    FUZZ_CHECK(packet.n_attachments <= SIO_MAX_ATTACHMENTS);
    FUZZ_CHECK(sio_packet_write(&packet, &msg) == 0);
    FUZZ_CHECK(!msg->binary && eio_msg_packet(msg)[0] == EIO_MESSAGE);
    FUZZ_CHECK(
        sio_packet_parse((const char *)eio_msg_packet(msg) + 1, msg->len - 1, &again) == 0);
    check_same(&packet, &again);
    eio_msg_unref(msg);
    sio_packet_fini(&packet);
    sio_packet_fini(&again);
}

static void decode(struct rbytes in)
{
    struct sio_decoder dec;

    sio_decoder_init(&dec, 4096);
    while (fuzz_more(&in)) {
        bool binary = rbytes_u8(&in) % 2 != 0;
        struct sio_packet packet = {.data = NULL};
        size_t len;
        const uint8_t *p = fuzz_block(&in, SIZE_MAX, &len);
        uint8_t *tight = fuzz_tight(p, len);
        int e = binary ? sio_decoder_feed_binary(&dec, tight, len, &packet)
                       : sio_decoder_feed_text(&dec, (const char *)tight, len, &packet);

        free(tight);
        FUZZ_CHECK(e == 0 || e == -EAGAIN || e == -EBADMSG || e == -ENOSPC || e == -ENOMEM);
        FUZZ_CHECK((e == -EAGAIN) == dec.waiting);
        if (e == 0) {
            for (size_t i = 0; i < packet.n_attachments; i++) {
                FUZZ_CHECK(packet.attachments[i].data != NULL);
            }
            sio_packet_fini(&packet);
        }
    }
    sio_decoder_fini(&dec);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0 && data[0] == 0xff) {
        decode(fuzz_in(data + 1, size - 1));
    } else {
        text_reads_back((const char *)data, size);
    }
    return 0;
}

#include "dtls/dtls_record.h"

#include "sfu/base/bytes.h"

enum {
    HEADER_LEN = 13,
    CLIENT_HELLO = 1,
    CT_CHANGE_CIPHER_SPEC = 20,
    CT_ALERT = 21,
    CT_HANDSHAKE = 22,
    CT_APPLICATION = 23,
    VERSION_DTLS10 = 0xfeff, /* stands in the first ClientHello, for old servers */
    VERSION_DTLS12 = 0xfefd,
    MAX_MESSAGE = 65536 /* a chain of certificates; nothing sane is longer */
};

static bool handshake_type_sane(uint8_t type, bool from_client)
{
    switch (type) {
    case 11: /* certificate */
        return true;
    case CLIENT_HELLO:
    case 15: /* certificate_verify */
    case 16: /* client_key_exchange */
        return from_client;
    case 2:  /* server_hello */
    case 3:  /* hello_verify_request */
    case 4:  /* new_session_ticket */
    case 12: /* server_key_exchange */
    case 13: /* certificate_request */
    case 14: /* server_hello_done */
    case 22: /* certificate_status */
        return !from_client;
    default:
        return false;
    }
}

static bool handshake_sane(struct rbytes body, bool from_client)
{
    while (rbytes_left(&body) > 0) {
        uint8_t type = rbytes_u8(&body);
        uint32_t len = rbytes_be24(&body);
        uint32_t at, n;

        (void)rbytes_be16(&body); /* message number */
        at = rbytes_be24(&body);
        n = rbytes_be24(&body);
        (void)rbytes_take(&body, n);
        if (body.bad || !handshake_type_sane(type, from_client) || len > MAX_MESSAGE ||
            at > len || n > len - at || (n == 0 && len != 0)) {
            return false;
        }
    }
    return true;
}

bool dtls_record_sane(const uint8_t *data, size_t len, bool from_client)
{
    struct rbytes r = rbytes_of(data, len);

    if (len == 0) {
        return false;
    }
    while (rbytes_left(&r) > 0) {
        uint8_t type = rbytes_u8(&r);
        uint16_t version = rbytes_be16(&r);
        uint16_t epoch = rbytes_be16(&r);
        const uint8_t *body;
        uint16_t n;

        (void)rbytes_take(&r, 6); /* sequence number */
        n = rbytes_be16(&r);
        body = rbytes_take(&r, n);
        if (body == NULL || n == 0 || type < CT_CHANGE_CIPHER_SPEC ||
            type > CT_APPLICATION ||
            (version != VERSION_DTLS10 && version != VERSION_DTLS12)) {
            return false;
        }
        if (epoch != 0) {
            continue; /* encrypted: the record layer authenticates it */
        }
        if (type == CT_CHANGE_CIPHER_SPEC
                ? n != 1 || body[0] != 1
                : type != CT_HANDSHAKE ||
                      !handshake_sane(rbytes_of(body, n), from_client)) {
            return false;
        }
    }
    return true;
}

bool dtls_record_part_of_hello(const uint8_t *data, size_t len)
{
    struct rbytes r = rbytes_of(data, len);
    const uint8_t *header = rbytes_take(&r, HEADER_LEN);
    const uint8_t type = rbytes_u8(&r);
    const uint32_t whole = rbytes_be24(&r);

    (void)rbytes_take(&r, 5); /* message number, where the fragment begins */
    return rbytes_be24(&r) < whole && !r.bad && header[0] == CT_HANDSHAKE &&
           load_be16(header + 3) == 0 && type == CLIENT_HELLO;
}

#include "net/hello.h"

#include <stdbool.h>
#include <string.h>

#include "sfu/base/bytes.h"

enum {
    RECORD_HEAD = 5,
    RECORD_HANDSHAKE = 22,
    CLIENT_HELLO = 1,
    RANDOM = 32,
    EXTENSION_ALPN = 16,
};

static struct rbytes vector(struct rbytes *r, size_t len)
{
    const uint8_t *p = rbytes_take(r, len);

    return p != NULL ? rbytes_of(p, len) : rbytes_of("", 0);
}

static bool lists_h2(struct rbytes r)
{
    struct rbytes list = vector(&r, rbytes_be16(&r));

    while (rbytes_left(&list) > 0 && !list.bad) {
        uint8_t len = rbytes_u8(&list);
        const uint8_t *name = rbytes_take(&list, len);

        if (name != NULL && len == 2 && memcmp(name, "h2", 2) == 0) {
            return true;
        }
    }
    return false;
}

/* 'r': the body of a ClientHello. */
static bool offers_h2(struct rbytes r)
{
    struct rbytes extensions;

    (void)rbytes_take(&r, 2 + RANDOM);
    (void)rbytes_take(&r, rbytes_u8(&r));   /* session */
    (void)rbytes_take(&r, rbytes_be16(&r)); /* cipher suites */
    (void)rbytes_take(&r, rbytes_u8(&r));   /* compression */
    extensions = vector(&r, rbytes_be16(&r));
    while (rbytes_left(&extensions) > 0 && !extensions.bad) {
        uint16_t type = rbytes_be16(&extensions);
        struct rbytes body = vector(&extensions, rbytes_be16(&extensions));

        if (type == EXTENSION_ALPN) {
            return lists_h2(body);
        }
    }
    return false;
}

enum hello hello_read(const uint8_t *data, size_t len, size_t *need)
{
    struct rbytes r = rbytes_of(data, len);
    size_t record;
    size_t body;

    *need = RECORD_HEAD;
    if (len > 0 && data[0] != RECORD_HANDSHAKE) {
        return HELLO_OTHER;
    }
    if (len < RECORD_HEAD) {
        return HELLO_MORE;
    }
    (void)rbytes_take(&r, 3);
    record = rbytes_be16(&r);
    if (record > HELLO_MAX - RECORD_HEAD) {
        return HELLO_OTHER;
    }
    if (rbytes_left(&r) < record) {
        *need = RECORD_HEAD + record;
        return HELLO_MORE;
    }
    r = vector(&r, record);
    if (rbytes_u8(&r) != CLIENT_HELLO) {
        return HELLO_OTHER;
    }
    body = rbytes_be24(&r);
    r = vector(&r, body); /* empty if it goes on in another record */
    return offers_h2(r) ? HELLO_H2 : HELLO_OTHER;
}

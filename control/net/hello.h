/* What a TLS client offers with its first words. Pure. */
#ifndef NET_HELLO_H
#define NET_HELLO_H

#include <stddef.h>
#include <stdint.h>

enum { HELLO_MAX = 5 + 16384 }; /* one record; a longer hello is none that is read here */

enum hello {
    HELLO_MORE, /* it is not whole yet */
    HELLO_H2,   /* HTTP/2 is among its ALPN protocols (RFC 7301) */
    HELLO_OTHER /* it is not, or this is no ClientHello that fits one record */
};

/* Reads the 'len' bytes that a connection has begun with (RFC 8446, section 4.1.2; RFC
 * 5246, section 7.4.1.2). For HELLO_MORE, 'need' is filled: how many there must be, at most
 * HELLO_MAX, before it is worth asking again. */
enum hello hello_read(const uint8_t *data, size_t len, size_t *need);

#endif

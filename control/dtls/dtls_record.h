/* Looks at a datagram before OpenSSL does: what cannot be part of this handshake is thrown
 * away here, because to OpenSSL much of it is a fatal error that would end the session.
 *
 * Pure. RFC 6347, section 4.1 (records; invalid ones are silently discarded) and 4.2.2. */
#ifndef KCS_DTLS_DTLS_RECORD_H
#define KCS_DTLS_DTLS_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* True if 'data' is a whole number of well-formed records, none of them a plaintext alert
 * (anybody can forge those) or a plaintext handshake message that the peer of a server
 * ('from_client') or of a client never sends. */
bool dtls_record_sane(const uint8_t *data, size_t len, bool from_client);

/* Of a sane datagram: true if it begins with a part of a ClientHello, another of which is
 * still to come (RFC 6347, section 4.2.3). */
bool dtls_record_part_of_hello(const uint8_t *data, size_t len);

#endif

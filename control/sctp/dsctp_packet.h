/* Looks at an SCTP packet before the stack does: only what WebRTC uses of the protocol gets
 * in (RFC 8831, 5), so that a peer reaches little of a large library.
 *
 * Pure. RFC 9260, section 3; RFC 3758, 6525, 8260. */
#ifndef KCS_SCTP_DSCTP_PACKET_H
#define KCS_SCTP_DSCTP_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* True if 'data' is one packet from 'port' to 'port' whose chunks fill it, each of a kind
 * that WebRTC has and long enough for its fixed part, its parameters whole, and INIT alone
 * in its packet. */
bool dsctp_packet_sane(const uint8_t *data, size_t len, uint16_t port);

#endif

#include "sctp/dsctp_packet.h"

#include "sfu/base/bytes.h"

enum {
    COMMON_HEADER = 12,
    CHUNK_HEADER = 4,
    MAX_CHUNKS = 64, /* a packet of 1,200 bytes with more is no sender's we know */
    INIT = 1
};

/* The least length of a chunk with its header; 0: not for us. */
static size_t chunk_min(uint8_t type)
{
    switch (type) {
    case 0: /* DATA: of one byte at least */
        return 17;
    case 1: /* INIT */
    case 2: /* INIT ACK */
        return 20;
    case 3: /* SACK */
        return 16;
    case 7: /* SHUTDOWN */
        return 8;
    case 4:   /* HEARTBEAT */
    case 5:   /* HEARTBEAT ACK */
    case 6:   /* ABORT */
    case 8:   /* SHUTDOWN ACK */
    case 9:   /* ERROR */
    case 10:  /* COOKIE ECHO */
    case 11:  /* COOKIE ACK */
    case 14:  /* SHUTDOWN COMPLETE */
    case 130: /* RE-CONFIG */
    case 132: /* PAD */
        return CHUNK_HEADER;
    case 192: /* FORWARD TSN */
        return 8;
    default:
        return 0;
    }
}

/* Where the parameters, or causes, of a chunk begin; 0 if it has none. */
static size_t params_at(uint8_t type)
{
    switch (type) {
    case 1: /* INIT */
    case 2: /* INIT ACK */
        return 20;
    case 4:   /* HEARTBEAT */
    case 5:   /* HEARTBEAT ACK */
    case 6:   /* ABORT */
    case 9:   /* ERROR */
    case 130: /* RE-CONFIG */
        return CHUNK_HEADER;
    default:
        return 0;
    }
}

/* Each has a length, which counts its own header (RFC 9260, 3.2.1). The library takes the
 * next one to be as many bytes ahead, and never ends where there are none. */
static bool params_sane(const uint8_t *chunk, size_t len)
{
    size_t at = params_at(chunk[0]);

    while (at != 0 && at < len) {
        size_t n = len - at >= CHUNK_HEADER ? load_be16(chunk + at + 2) : 0;

        if (n < CHUNK_HEADER || n > len - at) {
            return false;
        }
        at += (n + 3) & ~(size_t)3;
    }
    return true;
}

bool dsctp_packet_sane(const uint8_t *data, size_t len, uint16_t port)
{
    size_t at = COMMON_HEADER;
    unsigned n = 0;
    bool init = false;

    if (len < COMMON_HEADER + CHUNK_HEADER || load_be16(data) != port ||
        load_be16(data + 2) != port) {
        return false;
    }
    while (at < len) {
        size_t chunk;

        if (len - at < CHUNK_HEADER || ++n > MAX_CHUNKS || init) {
            return false;
        }
        chunk = load_be16(data + at + 2);
        if (chunk_min(data[at]) == 0 || chunk < chunk_min(data[at]) || chunk > len - at ||
            !params_sane(data + at, chunk)) {
            return false;
        }
        init = data[at] == INIT || data[at] == 2;
        if (init && n > 1) {
            return false;
        }
        at += (chunk + 3) & ~(size_t)3;
    }
    /* the padding of the last chunk must be there, too */
    return at == len;
}

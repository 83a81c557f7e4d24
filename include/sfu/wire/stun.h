/* STUN messages as ICE uses them: parse, and write answers (and requests, for a test peer).
 * The HMAC is the caller's: it is told what to sign, this file has no cryptography.
 *
 * Pure, header-only. RFC 8489; attributes of RFC 8445, section 16.1; NOMINATION as
 * libwebrtc does renomination (draft-thatcher-ice-renomination). Addresses are as in
 * base/path.h. */
#ifndef SFU_WIRE_STUN_H
#define SFU_WIRE_STUN_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "sfu/base/bytes.h"
#include "sfu/base/path.h"

enum stun_type {
    STUN_BINDING_REQUEST = 0x0001,
    STUN_BINDING_INDICATION = 0x0011,
    STUN_BINDING_SUCCESS = 0x0101,
    STUN_BINDING_ERROR = 0x0111
};

enum stun_attr {
    STUN_USERNAME = 0x0006,
    STUN_MESSAGE_INTEGRITY = 0x0008,
    STUN_ERROR_CODE = 0x0009,
    STUN_UNKNOWN_ATTRIBUTES = 0x000a,
    STUN_XOR_MAPPED_ADDRESS = 0x0020,
    STUN_PRIORITY = 0x0024,
    STUN_USE_CANDIDATE = 0x0025,
    STUN_SOFTWARE = 0x8022,
    STUN_FINGERPRINT = 0x8028,
    STUN_ICE_CONTROLLED = 0x8029,
    STUN_ICE_CONTROLLING = 0x802a,
    STUN_NOMINATION = 0xc001
};

enum { STUN_MAGIC = 0x2112a442, STUN_FINGERPRINT_XOR = 0x5354554e };

enum {
    STUN_HEADER_LEN = 20,
    STUN_TXID_LEN = 12,
    STUN_MAC_LEN = 20,
    STUN_MAX_LEN = 1500, /* longer is no connectivity check */
    STUN_MAX_ATTRS = 32,
    STUN_MAX_USERNAME = 513
};

/* The first attribute of each type counts; those behind MESSAGE-INTEGRITY do not, except
 * FINGERPRINT. Pointers are borrowed from the message. */
struct stun_msg {
    const uint8_t *data;     /* the whole message */
    const uint8_t *txid;     /* STUN_TXID_LEN bytes */
    const uint8_t *username; /* not terminated; NULL if absent */
    const uint8_t *mac;      /* value of MESSAGE-INTEGRITY; NULL if absent */
    uint64_t tie_breaker;    /* of ICE-CONTROLLED or ICE-CONTROLLING */
    uint32_t priority;       /* 0 if absent */
    uint32_t nomination;     /* valid with has_nomination */
    uint16_t len;            /* of 'data' */
    uint16_t type;           /* enum stun_type, or another method */
    uint16_t username_len;
    uint16_t mac_off;      /* offset of the MESSAGE-INTEGRITY attribute in 'data' */
    uint16_t error_code;   /* 300..699, 0 if absent */
    uint16_t unknown_attr; /* the first comprehension-required type not known, 0 if none */
    uint16_t mapped_port;
    uint8_t mapped_ip[16]; /* XOR-MAPPED-ADDRESS, in the form of struct path */
    uint8_t mapped_family; /* 4 or 6; 0 if absent */
    bool use_candidate;
    bool ice_controlled;
    bool ice_controlling;
    bool has_nomination;
    bool has_fingerprint; /* present, and checked by the parser */
};

/* CRC-32 of ISO 3309 (that of Ethernet and zip), four bits a step. */
static inline uint32_t stun_crc32(const uint8_t *data, size_t len)
{
    static const uint32_t table[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac,
                                       0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
                                       0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
                                       0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < len; i++) {
        crc ^= data[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}

/* XORs an address of 4 or 16 bytes with the magic cookie and transaction id (14.2). */
static inline void stun_xor_ip(uint8_t *ip, size_t len, const uint8_t *txid)
{
    uint8_t mask[16];

    store_be32(mask, STUN_MAGIC);
    memcpy(mask + 4, txid, STUN_TXID_LEN);
    for (size_t i = 0; i < len; i++) {
        ip[i] ^= mask[i];
    }
}

static inline int stun_parse_mapped(struct stun_msg *m, const uint8_t *v, uint16_t len)
{
    uint8_t v4[4];

    if (len == 8 && v[1] == 1) {
        memcpy(v4, v + 4, 4);
        stun_xor_ip(v4, 4, m->txid);
        path_map_v4(m->mapped_ip, v4);
        m->mapped_family = 4;
    } else if (len == 20 && v[1] == 2) {
        memcpy(m->mapped_ip, v + 4, 16);
        stun_xor_ip(m->mapped_ip, 16, m->txid);
        m->mapped_family = 6;
    } else {
        return -EBADMSG;
    }
    m->mapped_port = (uint16_t)(load_be16(v + 2) ^ (STUN_MAGIC >> 16));
    return 0;
}

/* Takes one attribute in front of MESSAGE-INTEGRITY. A known one of the wrong length makes
 * the message malformed. */
static inline int stun_parse_attr(struct stun_msg *m, uint16_t type, const uint8_t *v,
                                  uint16_t len)
{
    switch (type) {
    case STUN_USERNAME:
        if (len > STUN_MAX_USERNAME) {
            return -EBADMSG;
        }
        if (m->username == NULL) {
            m->username = v;
            m->username_len = len;
        }
        return 0;
    case STUN_PRIORITY:
        if (m->priority == 0 && len == 4) {
            m->priority = load_be32(v);
        }
        return len == 4 ? 0 : -EBADMSG;
    case STUN_USE_CANDIDATE:
        m->use_candidate = true;
        return len == 0 ? 0 : -EBADMSG;
    case STUN_ICE_CONTROLLED:
    case STUN_ICE_CONTROLLING:
        if (len != 8) {
            return -EBADMSG;
        }
        if (!m->ice_controlled && !m->ice_controlling) {
            m->ice_controlled = type == STUN_ICE_CONTROLLED;
            m->ice_controlling = type == STUN_ICE_CONTROLLING;
            m->tie_breaker = load_be64(v);
        }
        return 0;
    case STUN_NOMINATION:
        if (!m->has_nomination && len == 4) {
            m->has_nomination = true;
            m->nomination = load_be32(v);
        }
        return len == 4 ? 0 : -EBADMSG;
    case STUN_XOR_MAPPED_ADDRESS:
        return m->mapped_family == 0 ? stun_parse_mapped(m, v, len) : 0;
    case STUN_ERROR_CODE:
        if (len < 4 || (v[2] & 7) < 3 || (v[2] & 7) > 6 || v[3] > 99) {
            return -EBADMSG;
        }
        if (m->error_code == 0) {
            m->error_code = (uint16_t)((v[2] & 7) * 100 + v[3]);
        }
        return 0;
    default:
        if (type < 0x8000 && type != STUN_UNKNOWN_ATTRIBUTES && m->unknown_attr == 0) {
            m->unknown_attr = type;
        }
        return 0;
    }
}

/* Parses one message that is exactly the 'len' bytes of 'data' (borrowed by 'out'). The
 * fingerprint is checked if there is one; the integrity is not: see stun_mac_ok().
 *
 * Returns 0, or -EBADMSG: no STUN, attributes that do not add up, a known attribute with a
 * wrong length, a wrong fingerprint or something behind it. */
static inline int stun_parse(const uint8_t *data, size_t len, struct stun_msg *out)
{
    struct rbytes r = rbytes_of(data, len);
    const uint8_t *head = rbytes_take(&r, STUN_HEADER_LEN);
    unsigned n_attrs = 0;

    if (head == NULL || len > STUN_MAX_LEN || len % 4 != 0 || (head[0] & 0xc0) != 0 ||
        load_be32(head + 4) != STUN_MAGIC || load_be16(head + 2) != len - STUN_HEADER_LEN) {
        return -EBADMSG;
    }
    *out = (struct stun_msg){
        .data = data, .txid = head + 8, .len = (uint16_t)len, .type = load_be16(head)};
    while (rbytes_left(&r) > 0) {
        size_t off = len - rbytes_left(&r);
        uint16_t type = rbytes_be16(&r);
        uint16_t n = rbytes_be16(&r);
        const uint8_t *v = rbytes_take(&r, n);

        (void)rbytes_take(&r, (4 - n % 4u) % 4);
        if (r.bad || out->has_fingerprint || n_attrs++ >= STUN_MAX_ATTRS) {
            return -EBADMSG;
        }
        if (type == STUN_FINGERPRINT) {
            if (n != 4 || load_be32(v) != (stun_crc32(data, off) ^ STUN_FINGERPRINT_XOR)) {
                return -EBADMSG;
            }
            out->has_fingerprint = true;
        } else if (out->mac != NULL) {
            continue; /* not covered by the integrity: ignored (RFC 8489, 14.5) */
        } else if (type == STUN_MESSAGE_INTEGRITY) {
            if (n != STUN_MAC_LEN) {
                return -EBADMSG;
            }
            out->mac = v;
            out->mac_off = (uint16_t)off;
        } else if (stun_parse_attr(out, type, v, n) != 0) {
            return -EBADMSG;
        }
    }
    return 0;
}

/* ---- integrity of a parsed message ---- */

/* How many bytes the HMAC covers: the message up to its MESSAGE-INTEGRITY attribute. 0 if
 * it has none. */
static inline size_t stun_mac_input_len(const struct stun_msg *m)
{
    return m->mac != NULL ? m->mac_off : 0;
}

/* Copies the HMAC's input to 'buf', with the length in the header patched as if
 * MESSAGE-INTEGRITY were the last attribute (RFC 8489, 14.5). Returns its length, 0 if the
 * message has no integrity or 'cap' is too small. */
static inline size_t stun_mac_input(const struct stun_msg *m, uint8_t *buf, size_t cap)
{
    size_t len = stun_mac_input_len(m);

    if (len == 0 || len > cap) {
        return 0;
    }
    memcpy(buf, m->data, len);
    store_be16(buf + 2, (uint16_t)(len + 4 + STUN_MAC_LEN - STUN_HEADER_LEN));
    return len;
}

/* Whether the message carries the HMAC-SHA1 that 'hmac_sha1' computes with the caller's key
 * (in 'ctx'). Constant-time comparison; false without MESSAGE-INTEGRITY. */
static inline bool stun_mac_ok(const struct stun_msg *m,
                               void (*hmac_sha1)(void *ctx, const uint8_t *data, size_t len,
                                                 uint8_t out[STUN_MAC_LEN]),
                               void *ctx)
{
    uint8_t input[STUN_MAX_LEN];
    uint8_t mac[STUN_MAC_LEN];
    size_t len = stun_mac_input(m, input, sizeof(input));
    uint8_t diff = 0;

    if (len == 0) {
        return false;
    }
    hmac_sha1(ctx, input, len, mac);
    for (size_t i = 0; i < STUN_MAC_LEN; i++) {
        diff |= mac[i] ^ m->mac[i];
    }
    return diff == 0;
}

/* ---- writing: begin, attributes, integrity, finish ---- */

struct stun_writer {
    struct wbytes w;
    const uint8_t *txid; /* where it stands in the message being written */
};

/* Starts a message of 'type' in 'buf' (borrowed until finish); 'txid' is copied. */
static inline void stun_write_begin(struct stun_writer *x, uint8_t *buf, size_t cap,
                                    uint16_t type, const uint8_t txid[STUN_TXID_LEN])
{
    x->w = wbytes_of(buf, cap < STUN_MAX_LEN ? cap : STUN_MAX_LEN);
    wbytes_be16(&x->w, type);
    wbytes_be16(&x->w, 0); /* length, known later */
    wbytes_be32(&x->w, STUN_MAGIC);
    wbytes_put(&x->w, txid, STUN_TXID_LEN);
    x->txid = buf + 8;
}

/* Appends an attribute; 'data' may be NULL if 'len' is 0. */
static inline void stun_write_attr(struct stun_writer *x, uint16_t type, const void *data,
                                   uint16_t len)
{
    wbytes_be16(&x->w, type);
    wbytes_be16(&x->w, len);
    wbytes_put(&x->w, data, len);
    wbytes_zero(&x->w, (4 - len % 4u) % 4);
}

static inline void stun_write_u32(struct stun_writer *x, uint16_t type, uint32_t v)
{
    uint8_t b[4];

    store_be32(b, v);
    stun_write_attr(x, type, b, sizeof(b));
}

static inline void stun_write_u64(struct stun_writer *x, uint16_t type, uint64_t v)
{
    uint8_t b[8];

    store_be64(b, v);
    stun_write_attr(x, type, b, sizeof(b));
}

/* Appends XOR-MAPPED-ADDRESS: 'ip' in the form of struct path, 'family' 4 or 6, 'port' in
 * host order. */
static inline void stun_write_mapped(struct stun_writer *x, const uint8_t ip[16],
                                     uint8_t family, uint16_t port)
{
    uint8_t v[20];
    uint16_t ip_len = family == 4 ? 4 : 16;

    if (x->w.bad) {
        return; /* the transaction id may not have been written */
    }
    v[0] = 0;
    v[1] = family == 4 ? 1 : 2;
    store_be16(v + 2, (uint16_t)(port ^ (STUN_MAGIC >> 16)));
    memcpy(v + 4, family == 4 ? ip + 12 : ip, ip_len);
    stun_xor_ip(v + 4, ip_len, x->txid);
    stun_write_attr(x, STUN_XOR_MAPPED_ADDRESS, v, (uint16_t)(4 + ip_len));
}

/* Appends ERROR-CODE with 'code' (300..699) and its standard phrase: 400, 401, 420 and 487
 * have one. */
static inline void stun_write_error(struct stun_writer *x, uint16_t code)
{
    const char *reason = code == 400   ? "Bad Request"
                         : code == 401 ? "Unauthenticated"
                         : code == 420 ? "Unknown Attribute"
                         : code == 487 ? "Role Conflict"
                                       : "";
    size_t len = strlen(reason);
    uint8_t v[32] = {0};

    v[2] = (uint8_t)(code / 100);
    v[3] = (uint8_t)(code % 100);
    memcpy(v + 4, reason, len);
    stun_write_attr(x, STUN_ERROR_CODE, v, (uint16_t)(4 + len));
}

/* Sets the header's length as if 'more' bytes followed. */
static inline void stun_write_len(struct stun_writer *x, size_t more)
{
    if (!x->w.bad) {
        store_be16(x->w.start + 2, (uint16_t)(wbytes_len(&x->w) + more - STUN_HEADER_LEN));
    }
}

/* Appends MESSAGE-INTEGRITY over what was written so far, by a callback that has the key in
 * 'ctx'. Not called if the message is already too long. */
static inline void stun_write_integrity(struct stun_writer *x,
                                        void (*hmac_sha1)(void *ctx, const uint8_t *data,
                                                          size_t len,
                                                          uint8_t out[STUN_MAC_LEN]),
                                        void *ctx)
{
    uint8_t mac[STUN_MAC_LEN];

    stun_write_len(x, 4 + STUN_MAC_LEN);
    if (!x->w.bad) {
        hmac_sha1(ctx, x->w.start, wbytes_len(&x->w), mac);
        stun_write_attr(x, STUN_MESSAGE_INTEGRITY, mac, STUN_MAC_LEN);
    }
}

/* Appends FINGERPRINT and ends the message. Returns its length, or -ENOSPC if it did not
 * fit in the 'cap' given at begin. */
static inline int stun_write_finish(struct stun_writer *x)
{
    stun_write_len(x, 8);
    if (!x->w.bad) {
        stun_write_u32(x, STUN_FINGERPRINT,
                       stun_crc32(x->w.start, wbytes_len(&x->w)) ^ STUN_FINGERPRINT_XOR);
    }
    return x->w.bad ? -ENOSPC : (int)wbytes_len(&x->w);
}

#endif

/* Bounds-checked access to wire bytes. Every parser and writer of this project goes
 * through here: a read past the end latches 'bad' and yields zeros, so a parser checks
 * once at its end instead of at every field.
 *
 * Pure, header-only. Network order on the wire, host order in the API. */
#ifndef SFU_BASE_BYTES_H
#define SFU_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A read cursor over borrowed bytes. */
struct rbytes {
    const uint8_t *p;
    const uint8_t *end;
    bool bad; /* a read went past 'end'; sticky */
};

/* A write cursor over borrowed memory. */
struct wbytes {
    uint8_t *start;
    uint8_t *p;
    uint8_t *end;
    bool bad; /* a write did not fit; sticky, nothing past 'end' was touched */
};

static inline struct rbytes rbytes_of(const void *data, size_t len)
{
    const uint8_t *p = (const uint8_t *)data;

    return (struct rbytes){.p = p, .end = p + len, .bad = false};
}

static inline size_t rbytes_left(const struct rbytes *r)
{
    return (size_t)(r->end - r->p);
}

/* Returns 'len' borrowed bytes and moves past them, or NULL (and latches 'bad'). */
static inline const uint8_t *rbytes_take(struct rbytes *r, size_t len)
{
    const uint8_t *p = r->p;

    if (r->bad || len > rbytes_left(r)) {
        r->bad = true;
        return NULL;
    }
    r->p += len;
    return p;
}

static inline uint16_t load_be16(const uint8_t *p)
{
    return (uint16_t)((unsigned)p[0] << 8 | p[1]);
}

static inline uint32_t load_be24(const uint8_t *p)
{
    return (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
}

static inline uint32_t load_be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | load_be24(p + 1);
}

static inline uint64_t load_be64(const uint8_t *p)
{
    return (uint64_t)load_be32(p) << 32 | load_be32(p + 4);
}

static inline void store_be16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static inline void store_be24(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 16);
    p[1] = (uint8_t)(v >> 8);
    p[2] = (uint8_t)v;
}

static inline void store_be32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24);
    store_be24(p + 1, v & 0xffffffu);
}

static inline void store_be64(uint8_t *p, uint64_t v)
{
    store_be32(p, (uint32_t)(v >> 32));
    store_be32(p + 4, (uint32_t)v);
}

static inline uint8_t rbytes_u8(struct rbytes *r)
{
    const uint8_t *p = rbytes_take(r, 1);

    return p != NULL ? p[0] : 0;
}

static inline uint16_t rbytes_be16(struct rbytes *r)
{
    const uint8_t *p = rbytes_take(r, 2);

    return p != NULL ? load_be16(p) : 0;
}

static inline uint32_t rbytes_be24(struct rbytes *r)
{
    const uint8_t *p = rbytes_take(r, 3);

    return p != NULL ? load_be24(p) : 0;
}

static inline uint32_t rbytes_be32(struct rbytes *r)
{
    const uint8_t *p = rbytes_take(r, 4);

    return p != NULL ? load_be32(p) : 0;
}

static inline uint64_t rbytes_be64(struct rbytes *r)
{
    const uint8_t *p = rbytes_take(r, 8);

    return p != NULL ? load_be64(p) : 0;
}

static inline struct wbytes wbytes_of(void *data, size_t cap)
{
    uint8_t *p = (uint8_t *)data;

    return (struct wbytes){.start = p, .p = p, .end = p + cap, .bad = false};
}

static inline size_t wbytes_len(const struct wbytes *w)
{
    return (size_t)(w->p - w->start);
}

static inline size_t wbytes_left(const struct wbytes *w)
{
    return (size_t)(w->end - w->p);
}

/* Reserves 'len' bytes to fill, or NULL (and latches 'bad'). */
static inline uint8_t *wbytes_reserve(struct wbytes *w, size_t len)
{
    uint8_t *p = w->p;

    if (w->bad || len > wbytes_left(w)) {
        w->bad = true;
        return NULL;
    }
    w->p += len;
    return p;
}

static inline void wbytes_put(struct wbytes *w, const void *data, size_t len)
{
    uint8_t *p = wbytes_reserve(w, len);

    if (p != NULL && len > 0) {
        memcpy(p, data, len);
    }
}

static inline void wbytes_zero(struct wbytes *w, size_t len)
{
    uint8_t *p = wbytes_reserve(w, len);

    if (p != NULL && len > 0) {
        memset(p, 0, len);
    }
}

static inline void wbytes_u8(struct wbytes *w, uint8_t v)
{
    wbytes_put(w, &v, 1);
}

static inline void wbytes_be16(struct wbytes *w, uint16_t v)
{
    uint8_t *p = wbytes_reserve(w, 2);

    if (p != NULL) {
        store_be16(p, v);
    }
}

static inline void wbytes_be24(struct wbytes *w, uint32_t v)
{
    uint8_t *p = wbytes_reserve(w, 3);

    if (p != NULL) {
        store_be24(p, v);
    }
}

static inline void wbytes_be32(struct wbytes *w, uint32_t v)
{
    uint8_t *p = wbytes_reserve(w, 4);

    if (p != NULL) {
        store_be32(p, v);
    }
}

static inline void wbytes_be64(struct wbytes *w, uint64_t v)
{
    uint8_t *p = wbytes_reserve(w, 8);

    if (p != NULL) {
        store_be64(p, v);
    }
}

/* A text of at most 255 characters, as a length byte and its characters. */
static inline void wbytes_text(struct wbytes *w, const char *text)
{
    size_t len = strlen(text);

    if (len > UINT8_MAX) {
        w->bad = true;
        return;
    }
    wbytes_u8(w, (uint8_t)len);
    wbytes_put(w, text, len);
}

/* Reads one of less than 'cap' bytes into 'out', all of which is written; a longer one
 * latches 'bad'. */
static inline void rbytes_text(struct rbytes *r, char *out, size_t cap)
{
    size_t len = rbytes_u8(r);
    const uint8_t *p = rbytes_take(r, len);

    memset(out, 0, cap);
    if (p == NULL || len >= cap) {
        r->bad = true;
        return;
    }
    memcpy(out, p, len);
}

#endif

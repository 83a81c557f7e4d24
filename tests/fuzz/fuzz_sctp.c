/* The entry of SCTP: two associations over a network that the input is master of. It sends
 * messages, loses, doubles and spoils packets (with a checksum that is right again, so that
 * they are looked at), and makes up whole ones. Whatever it does, a message that arrives on
 * an association that nobody spoiled is one that was sent. */
#include "fuzz.h"

#include <string.h>

#include "sctp/dsctp.h"
#include "sctp/dsctp_packet.h"

enum { IN_FLIGHT = 64, STEPS = 400 };

struct end {
    struct world *world;
    struct dsctp_assoc *assoc;
    int peer;
    int down;
};

struct packet {
    int to;
    size_t len;
    uint8_t data[DSCTP_MAX_PACKET];
};

struct world {
    struct dsctp *dsctp;
    struct end ends[2];
    struct packet flight[IN_FLIGHT];
    unsigned n;
    int spoiled;
    uint32_t tags[2]; /* of the last packet to each end */
};

static uint32_t crc32c(const uint8_t *data, size_t len)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < len; i++) {
        crc ^= data[i];
        for (int k = 0; k < 8; k++) {
            crc = (crc >> 1) ^ (0x82f63b78u & (0u - (crc & 1)));
        }
    }
    return ~crc;
}

/* RFC 9260, 6.8 and appendix A: least significant byte first. */
static void seal(uint8_t *packet, size_t len)
{
    uint32_t crc;

    memset(packet + 8, 0, 4);
    crc = crc32c(packet, len);
    for (int i = 0; i < 4; i++) {
        packet[8 + i] = (uint8_t)(crc >> 8 * i);
    }
}

static void on_send(void *user, const void *data, size_t len)
{
    struct end *end = user;
    struct world *w = end->world;

    FUZZ_CHECK(len <= DSCTP_MAX_PACKET);
    FUZZ_CHECK(w->spoiled || dsctp_packet_sane(data, len, DSCTP_PORT));
    if (w->n < IN_FLIGHT) {
        struct packet *p = &w->flight[w->n++];

        p->to = end->peer;
        p->len = len;
        memcpy(p->data, data, len);
        w->tags[end->peer] = load_be32(p->data + 4);
    }
}

static void on_message(void *user, uint16_t stream, uint32_t ppid, const void *data,
                       size_t len)
{
    const struct end *end = user;
    const uint8_t *bytes = data;

    FUZZ_CHECK(len > 0 && len <= DSCTP_MAX_MESSAGE);
    FUZZ_CHECK(ppid == DSCTP_PPID_STRING || ppid == DSCTP_PPID_BINARY ||
               ppid == DSCTP_PPID_STRING_EMPTY || ppid == DSCTP_PPID_BINARY_EMPTY);
    if (!end->world->spoiled) {
        FUZZ_CHECK(stream < DSCTP_STREAMS);
        for (size_t i = 0; i < len; i++) {
            FUZZ_CHECK(bytes[i] == (uint8_t)(len + i));
        }
    }
}

static void on_reset(void *user, uint16_t stream)
{
    (void)user;
    (void)stream;
}

static void on_down(void *user, const char *reason)
{
    struct end *end = user;

    FUZZ_CHECK(reason != NULL && !end->down);
    end->down = 1;
}

static const struct dsctp_ops ops = {
    .on_send = on_send, .on_message = on_message, .on_reset = on_reset, .on_down = on_down};

static void deliver(struct world *w, unsigned i, int keep)
{
    struct packet p = w->flight[i];

    if (!keep) {
        w->flight[i] = w->flight[--w->n];
    }
    if (w->ends[p.to].assoc != NULL) {
        dsctp_input(w->ends[p.to].assoc, p.data, p.len);
    }
}

static void send_one(struct world *w, struct rbytes *in, struct end *end)
{
    static uint8_t data[40000];
    uint8_t how = rbytes_u8(in);
    size_t len = 1 + rbytes_be16(in) % sizeof(data);
    const struct dsctp_channel channel = {.stream = rbytes_be16(in),
                                          .unordered = (how & 1) != 0,
                                          .reliability = (uint8_t)(how >> 1) % 3,
                                          .limit = how >> 4};

    for (size_t i = 0; i < len; i++) {
        data[i] = (uint8_t)(len + i);
    }
    if (end->assoc != NULL) {
        (void)dsctp_send(end->assoc, &channel,
                         (how & 8) != 0 ? DSCTP_PPID_BINARY : DSCTP_PPID_STRING, data, len);
    }
    (void)w;
}

static void spoil(struct world *w, struct rbytes *in)
{
    struct packet *p = &w->flight[w->n - 1];

    for (uint8_t n = rbytes_u8(in) % 8; n > 0; n--) {
        size_t at = rbytes_be16(in) % p->len;

        p->data[at] ^= rbytes_u8(in);
    }
    seal(p->data, p->len);
    w->spoiled = 1;
}

/* A packet of the input's chunks, with the true tag. */
static void make_up(struct world *w, struct rbytes *in, struct end *end)
{
    uint8_t packet[DSCTP_MAX_PACKET + 4] = {0};
    uint8_t how = rbytes_u8(in);
    size_t n;
    const uint8_t *chunks = fuzz_block(in, DSCTP_MAX_PACKET - 12, &n);

    store_be16(packet, DSCTP_PORT);
    store_be16(packet + 2, DSCTP_PORT);
    store_be32(packet + 4, (how & 1) != 0 ? 0 : w->tags[end - w->ends]);
    memcpy(packet + 12, chunks, n);
    if ((how & 2) != 0 && n >= 4) { /* one chunk, of the length that there is */
        store_be16(packet + 14, (uint16_t)n);
        n = (n + 3) & ~(size_t)3;
    }
    seal(packet, 12 + n);
    w->spoiled = 1;
    if (end->assoc != NULL) {
        dsctp_input(end->assoc, packet, 12 + n);
    }
}

static void step(struct world *w, struct rbytes *in)
{
    uint8_t op = rbytes_u8(in);
    struct end *end = &w->ends[op >> 7];

    switch (op & 7) {
    case 0:
        for (unsigned n = w->n; n > 0 && w->n > 0; n--) {
            deliver(w, 0, 0);
        }
        break;
    case 1:
        if (w->n > 0) {
            deliver(w, rbytes_u8(in) % w->n, op & 8);
        }
        break;
    case 2:
        w->n -= w->n > 0;
        break;
    case 3:
        send_one(w, in, end);
        break;
    case 4:
        if (w->n > 0) {
            spoil(w, in);
        }
        break;
    case 5:
        make_up(w, in, end);
        break;
    case 6:
        dsctp_tick(w->dsctp, rbytes_u8(in) * 10u);
        break;
    default:
        if ((op & 8) != 0) {
            dsctp_close(end->assoc);
            end->assoc = NULL;
        } else if (end->assoc != NULL) {
            dsctp_reset(end->assoc, rbytes_be16(in));
        }
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rbytes in = fuzz_in(data, size);
    static struct world w;
    struct dsctp_counts counts;

    memset(&w, 0, sizeof(w));
    FUZZ_CHECK(dsctp_create(&w.dsctp) == 0);
    for (int i = 0; i < 2; i++) {
        w.ends[i] = (struct end){.world = &w, .peer = 1 - i};
        FUZZ_CHECK(dsctp_open(&w.ends[i].assoc, w.dsctp, &ops, &w.ends[i]) == 0);
    }
    for (int i = 0; i < STEPS && fuzz_more(&in); i++) {
        step(&w, &in);
    }
    for (int i = 0; i < 2; i++) {
        dsctp_close(w.ends[i].assoc);
    }
    dsctp_counts(w.dsctp, &counts);
    FUZZ_CHECK(counts.open == 0);
    dsctp_destroy(w.dsctp);
    return 0;
}

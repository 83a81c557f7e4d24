/* The receiving side of transport-wide congestion control: notes the arrival of every
 * packet of one transport and makes the feedback by which its sender estimates the path.
 * Fed by stage/ingest; its answers are sent by rtcp/.
 *
 * Pure: no clock, no allocation, no I/O; the window is fixed.
 * draft-holmer-rmcat-transport-wide-cc-extensions-01. */
#ifndef CORE_TWCC_H
#define CORE_TWCC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TWCC_WINDOW = 2048,     /* packets that can be remembered; a power of two */
    TWCC_MAX_PACKET = 1200, /* bytes of one feedback packet */
    TWCC_COST = 68,         /* bytes of a usual one with all its headers */
    TWCC_SHARE = 20         /* one part in so many of what comes goes back as feedback */
};

struct twcc_conf {
    uint32_t
        interval_us; /* from the first unreported packet to its feedback, at least: 50000 */
    uint32_t most_us; /* and at most, when little comes: 250000; 0: always interval_us */
    uint16_t max_packets; /* unreported packets that are reported at once: 1..2048; 256 */
};

struct twcc {
    uint64_t end;         /* one past the highest number, extended */
    uint64_t first;       /* the next to report; nothing to report if it equals 'end' */
    uint64_t deadline_us; /* UINT64_MAX if nothing to report */
    uint32_t interval_us; /* the present one */
    uint32_t least_us, most_us;
    uint32_t bytes;    /* since 'rated_us' */
    uint64_t rated_us; /* when the interval was chosen last */
    uint16_t max_packets;
    uint16_t n_new;    /* arrivals since the last complete report */
    uint16_t next_old; /* what must come next to believe a jump back */
    uint8_t fb_count;
    bool started;
    bool has_old;
    /* ---- by number, modulo the window ---- */
    uint64_t received[TWCC_WINDOW / 64];
    uint32_t arrival[TWCC_WINDOW]; /* in 250 us; 2^32 of them are 2^24 reference units */
};

void twcc_init(struct twcc *twcc, const struct twcc_conf *conf); /* conf: borrowed */

/* Notes the arrival of transport-wide number 'seq'. A late packet, also one whose loss was
 * reported, is in the next feedback.
 *
 * Returns 0, -EALREADY for a duplicate (the first arrival counts), or -ERANGE if it is
 * older than the window; two such in sequence are a restart of the sender, which is
 * followed. */
int twcc_on_packet(struct twcc *twcc, uint16_t seq, uint64_t now_us);

/* Notes the length of a packet that arrived: the interval follows what comes, so that
 * feedback costs a twentieth of it, within the bounds of the configuration. */
static inline void twcc_note_bytes(struct twcc *twcc, uint32_t len)
{
    twcc->bytes += len;
}

/* When twcc_take_feedback() can next yield something; UINT64_MAX if never. */
uint64_t twcc_deadline(const struct twcc *twcc);

/* Writes one RTCP packet of feedback to 'buf' if one is due at 'now_us', and counts it as
 * sent. Call again until 0: a report that is too long, or that spans too much time, is
 * split.
 *
 * buf  borrowed; 'cap' at least 64, of which at most TWCC_MAX_PACKET bytes are used
 *
 * Returns the length, a multiple of 4, or 0.  Cost: O(numbers reported), at most a window.
 */
size_t twcc_take_feedback(struct twcc *twcc, uint64_t now_us, uint32_t sender_ssrc,
                          uint32_t media_ssrc, uint8_t *buf, size_t cap);

#endif

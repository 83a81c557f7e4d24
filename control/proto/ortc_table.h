/* The router's fixed lists of codecs and header extensions, and what is looked up in them.
 * Private to ortc.
 *
 * Pure. */
#ifndef PROTO_ORTC_TABLE_H
#define PROTO_ORTC_TABLE_H

#include "proto/ortc.h"

struct ortc_entry {
    enum ortc_codec codec;
    uint8_t rtx_pt;       /* or ORTC_NO_PT */
    struct rtp_codec rtp; /* without feedback: it follows from the kind */
};

extern const struct ortc_entry ortc_entries[ORTC_N_ENTRIES];

/* The entry that 'codec' is, or -1. Profiles count, levels may differ: the sender chooses
 * one that the receiver allows. */
int ortc_find_entry(const struct rtp_codec *codec);

/* Feedback: what an entry has, what a codec lists of it, and a codec's list made of bits.
 */
uint8_t ortc_entry_feedback(int entry);
uint8_t ortc_feedback_of_codec(const struct rtp_codec *codec);
void ortc_feedback_to_codec(uint8_t bits, struct rtp_codec *out);

/* Fills in the RTX codec 'pt' for the codec 'apt' (RFC 4588, section 8.1). */
void ortc_rtx_codec(enum rtp_kind kind, uint8_t pt, uint8_t apt, struct rtp_codec *out);

enum { ORTC_RECV = 1, ORTC_SEND = 2 };

/* Which ways the router uses an extension with 'kind': bits above, 0 for not at all. */
uint8_t ortc_ext_use(size_t ext, enum rtp_kind kind);
const char *ortc_ext_uri(size_t ext);

/* The router's id of 'uri' if it is used with 'kind', else 0. */
uint8_t ortc_ext_by_uri(const char *uri, enum rtp_kind kind);

#endif

/* What the fake dataplane has open, and which answer a command deserves by it. */
#ifndef SUPPORT_FAKE_BOOK_H
#define SUPPORT_FAKE_BOOK_H

#include "sfu/abi/abi.h"

enum { FAKE_BOOK_MAX = 4096 }; /* objects of a kind */

/* By slot: the handle that is open there, and to whom it belongs. */
struct fake_book {
    const struct vault *vault; /* borrowed */
    uint64_t peers[FAKE_BOOK_MAX], streams[FAKE_BOOK_MAX], subs[FAKE_BOOK_MAX];
    uint64_t stream_peer[FAKE_BOOK_MAX], sub_peer[FAKE_BOOK_MAX], sub_stream[FAKE_BOOK_MAX];
    unsigned n_open[3]; /* peers, streams, subs */
};

/* Does what 'cmd' says; returns the status of its answer. */
int fake_book_do(struct fake_book *book, const struct abi_cmd *cmd);

#endif

/* The dataplane without threads (support/rig.h) for targets: one for the process, emptied
 * after each input, when everything must have come back. A target defines FUZZ_DEVICE before,
 * as for rig_start(), unless it makes a rig of its own. */
#ifndef TESTS_FUZZ_RIG_TARGET_H
#define TESTS_FUZZ_RIG_TARGET_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>

#include "fuzz.h"

#include <cmocka.h>

#include "support/call.h"

enum { FUZZ_RIG_SLOTS = 8 }; /* of each kind that targets use */

/* Closes everything; all must have come back. */
static inline void fuzz_rig_empty(struct rig *rig)
{
    uint64_t n_free;
    uint64_t n_total;

    rig_check(rig);
    command_close_all(&rig->lane);
    FUZZ_CHECK(!lane_has_grown(&rig->lane) && rig->lane.paced.busy == 0);
    FUZZ_CHECK(rig->tables.n_open == 0 && rig->tables.n_open_streams == 0 &&
               rig->tables.n_open_subs == 0 && rig->tables.store.used == 0);
    lane_buffers(&rig->lane, &n_free, &n_total);
    FUZZ_CHECK(n_free == n_total);
    shared_reset_rings(&rig->shared);
    shared_wipe(&rig->shared);
    for (unsigned i = 0; i < FUZZ_RIG_SLOTS; i++) { /* commit words may be spoilt too */
        memset(&rig->shared.vault.peers[i], 0, sizeof(rig->shared.vault.peers[i]));
        memset(&rig->shared.vault.streams[i], 0, sizeof(rig->shared.vault.streams[i]));
        memset(&rig->shared.vault.subs[i], 0, sizeof(rig->shared.vault.subs[i]));
    }
    rig->n_frames = 0;
    rig->n_punted = 0;
    rig->punt_full = false;
    port_mem_limit(rig->io, 0, 0, UINT64_MAX);
}

/* libFuzzer bounds the time of an input, and to start DPDK is not the first one's: on a busy
 * machine it has taken longer. What replays a corpus does not call this. */
int LLVMFuzzerInitialize(int *argc, char ***argv);

#ifdef FUZZ_DEVICE
static inline struct rig *fuzz_rig(void)
{
    static struct rig *rig;
    static struct far idle;

    if (rig == NULL) {
        (void)setenv("CMOCKA_TEST_ABORT", "1", 1); /* the rig's own checks crash too */
        rig = rig_start(FUZZ_DEVICE);
        /* NSS below libsrtp2 unloads itself, slowly, with the last session */
        far_open(&idle, rig, RIG_PEERS - 1, FAR_GCM, 4);
        fuzz_rig_empty(rig);
    }
    return rig;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    (void)fuzz_rig();
    return 0;
}
#endif

#endif

/* A memory of stream rings that anybody may have written: a reader stays within it, and
 * does not stand still where it was told to go on. */
#include <stdlib.h>

#include "fuzz.h"

#include "sfu/base/tap.h"

enum { BLOCKS = 8192, TURNS = 64, HANDLE = 1 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const size_t len = (size_t)tap_blocks_at(1) + BLOCKS;
    uint8_t *mem = aligned_alloc(64, len);
    struct tap *tap = tap_first(mem);
    uint8_t payload[1536];
    struct tap_slot slot;
    uint64_t pos = 0, ntp;
    uint32_t ts, n_taps;

    FUZZ_CHECK(mem != NULL);
    memset(mem, 0, len);
    *(struct tap_header *)(void *)mem =
        (struct tap_header){.magic = TAP_MAGIC,
                            .version = TAP_VERSION,
                            .tap_size = sizeof(struct tap),
                            .slot_size = sizeof(struct tap_slot),
                            .n_taps = 1,
                            .blocks_at = tap_blocks_at(1),
                            .bytes = len};
    FUZZ_CHECK(tap_valid(mem, len, &n_taps) && n_taps == 1);
    memcpy((void *)tap, data, size < sizeof(*tap) ? size : sizeof(*tap));
    if (size > sizeof(*tap)) {
        size_t rest = size - sizeof(*tap);

        memcpy(mem + tap_blocks_at(1), data + sizeof(*tap), rest < BLOCKS ? rest : BLOCKS);
    }
    atomic_store(&tap->handle, HANDLE);
    for (unsigned i = 0; i < TURNS; i++) {
        uint64_t next = pos;
        enum tap_got got =
            tap_read(mem, len, tap, HANDLE, pos, &slot, payload, sizeof(payload), &next);

        if (got == TAP_EMPTY || got == TAP_GONE) {
            break;
        }
        FUZZ_CHECK(next > pos || pos == UINT64_MAX ||
                   (got == TAP_LOST && next == atomic_load(&tap->head)));
        FUZZ_CHECK(got != TAP_GOT || (slot.pos == pos && slot.len <= sizeof(payload)));
        pos = next;
    }
    (void)tap_clock_read(tap, &ntp, &ts);
    free(mem);
    return 0;
}

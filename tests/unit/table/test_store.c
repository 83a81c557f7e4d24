/* store: the budget of ring memory, and that blocks come back. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "table/store.h"

enum {
    AUDIO = STORE_AUDIO_SLOTS * 64 + STORE_AUDIO_ARENA,
    VIDEO = STORE_VIDEO_SLOTS * 64 + STORE_VIDEO_ARENA,
    BUDGET = 2 * VIDEO + 3 * AUDIO
};

static void the_budget_is_exact_and_comes_back(void **state)
{
    uint8_t *mem = aligned_alloc(64, BUDGET);
    struct stream_ring rings[5];
    struct stream_ring more;
    _Atomic uint32_t next[BUDGET / STORE_UNIT] = {0};
    struct ring_store store;
    (void)state;

    assert_non_null(mem);
    ring_store_init(&store, mem, BUDGET, next);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(ring_store_take(&store, i < 2, &rings[i]), 0);
        assert_int_equal(stream_ring_head(&rings[i]), 0);
        /* written from end to end: blocks do not overlap, or the sanitizer says so */
        memset(rings[i].slots, (int)i, (rings[i].slot_mask + 1) * sizeof(*rings[i].slots));
        memset(rings[i].arena, (int)i, rings[i].arena_size);
    }
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(rings[i].arena[0], i);
        assert_int_equal(rings[i].arena[rings[i].arena_size - 1], i);
        assert_int_equal(((uint8_t *)rings[i].slots)[0], i);
    }
    assert_int_equal(store.used, BUDGET);
    assert_int_equal(ring_store_take(&store, false, &more), -ENOSPC);
    assert_int_equal(ring_store_take(&store, true, &more), -ENOSPC);
    ring_store_give(&store, true, &rings[0]);
    assert_null(rings[0].slots);
    assert_int_equal(ring_store_take(&store, false, &more), -ENOSPC); /* sizes do not mix */
    assert_int_equal(ring_store_take(&store, true, &more), 0);
    ring_store_give(&store, true, &more);
    ring_store_give(&store, true, &rings[1]);
    for (unsigned i = 2; i < 5; i++) {
        ring_store_give(&store, false, &rings[i]);
    }
    assert_int_equal(store.used, 0);
    free(mem);
}

static void a_block_that_comes_back_is_an_empty_ring(void **state)
{
    uint8_t *mem = aligned_alloc(64, AUDIO);
    const struct ring_slot meta = {.seq = 9};
    struct stream_ring ring;
    _Atomic uint32_t next[BUDGET / STORE_UNIT] = {0};
    struct ring_store store;
    (void)state;

    assert_non_null(mem);
    ring_store_init(&store, mem, AUDIO, next);
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(ring_store_take(&store, false, &ring), 0);
        assert_null(stream_ring_at(&ring, 0));
        assert_int_equal(stream_ring_write(&ring, &meta, NULL, 0, mem, 1), 0);
        ring_store_give(&store, false, &ring);
    }
    free(mem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_budget_is_exact_and_comes_back),
        cmocka_unit_test(a_block_that_comes_back_is_an_empty_ring),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* sublist: dense chunks, removal by moving the last, iterations that go on. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "table/sub.h"

enum { N_SUBS = 500, N_CHUNKS = N_SUBS / SUBLIST_CHUNK + 1 };

struct fixture {
    struct sublist_chunk chunks[N_CHUNKS];
    struct sub subs[N_SUBS];
    struct sublist_pool pool;
    struct sublist list;
};

static struct fixture *setup(void)
{
    struct fixture *f = aligned_alloc(64, sizeof(*f));

    assert_non_null(f);
    memset(f, 0, sizeof(*f));
    sublist_pool_init(&f->pool, f->chunks, N_CHUNKS);
    return f;
}

static void add(struct fixture *f, uint32_t i)
{
    assert_int_equal(sublist_add(&f->list, &f->pool, &f->subs[i], &f->subs[i].at), 0);
}

static void drop(struct fixture *f, uint32_t i)
{
    struct sublist_at at = f->subs[i].at;
    struct sub *moved = sublist_remove(&f->list, &f->pool, at);

    if (moved != NULL) {
        moved->at = at;
    }
}

static uint32_t n_free(const struct fixture *f)
{
    uint32_t n = (uint32_t)f->pool.n_fresh;

    for (const struct sublist_chunk *c = f->pool.free; c != NULL; c = c->next) {
        n++;
    }
    return n;
}

static void what_is_added_is_visited_once_in_order(void **state)
{
    struct fixture *f = setup();
    struct sublist_iter it;
    (void)state;

    it = sublist_start(&f->list);
    assert_null(sublist_next(&it));
    for (uint32_t i = 0; i < N_SUBS; i++) {
        add(f, i);
    }
    it = sublist_start(&f->list);
    for (uint32_t i = 0; i < N_SUBS; i++) {
        assert_ptr_equal(sublist_next(&it), &f->subs[i]);
    }
    assert_null(sublist_next(&it));
    free(f);
}

/* From every place, and of every length: what sublist_next() would have. */
static void a_peek_has_what_an_iteration_meets(void **state)
{
    struct fixture *f = setup();
    const struct sub *seen[N_SUBS + 1];
    (void)state;

    assert_int_equal(sublist_peek(sublist_start(&f->list), SUBLIST_ALL, seen, 1), 0);
    for (uint32_t i = 0; i < N_SUBS; i++) {
        add(f, i);
    }
    for (uint32_t n = 0; n <= N_SUBS + 1; n++) {
        struct sublist_iter it = sublist_start(&f->list);

        for (uint32_t at = 0; at <= N_SUBS; at++) {
            const uint32_t left = N_SUBS - at;
            const uint32_t got = sublist_peek(it, SUBLIST_ALL, seen, n);

            assert_int_equal(got, left < n ? left : n);
            for (uint32_t i = 0; i < got; i++) {
                assert_ptr_equal(seen[i], &f->subs[at + i]);
            }
            (void)sublist_next(&it);
        }
    }
    free(f);
}

/* What each has said it needs; bit 16: it is asked for everything. */
static bool is_wanted(uint32_t said, uint16_t targets)
{
    return (said >> SUBLIST_TARGETS & 1) != 0 || (said & targets) != 0;
}

static uint16_t some_targets(unsigned *seed)
{
    const uint32_t few = (uint32_t)rand_r(seed) & (uint32_t)rand_r(seed);
    const uint32_t kind = (uint32_t)rand_r(seed) % 4;

    return kind == 0 ? SUBLIST_ALL : kind == 1 ? 0 : (uint16_t)few;
}

/* Who comes anew, or to another place, is asked for everything. */
static void who_needs_nothing_of_it_is_not_met(void **state)
{
    struct fixture *f = setup();
    uint32_t said[N_SUBS] = {0};
    unsigned seed = 5;
    (void)state;

    for (unsigned round = 0; round < 20000; round++) {
        const uint32_t i = (uint32_t)rand_r(&seed) % N_SUBS;
        const uint16_t targets = some_targets(&seed);
        const struct sub *seen[N_SUBS + 1];
        struct sublist_at at = f->subs[i].at;
        uint32_t got, n = 0;

        if (said[i] == 0 && at.chunk == NULL) {
            add(f, i);
            said[i] = 1u << SUBLIST_TARGETS;
        } else if (rand_r(&seed) % 8 == 0) {
            struct sub *moved = sublist_remove(&f->list, &f->pool, at);

            if (moved != NULL) {
                moved->at = at;
                said[moved - f->subs] |= 1u << SUBLIST_TARGETS;
            }
            f->subs[i].at = (struct sublist_at){.chunk = NULL};
            said[i] = 0;
        } else if (rand_r(&seed) % 4 == 0) {
            sublist_ask(at);
            said[i] |= 1u << SUBLIST_TARGETS;
        } else {
            said[i] = some_targets(&seed);
            sublist_needs(at, (uint16_t)said[i]);
            assert_int_equal(sublist_is(at, LAYER_BIT(1, 2)),
                             (said[i] & LAYER_BIT(1, 2)) != 0);
        }
        if (round % 20 != 0) {
            continue;
        }
        got = sublist_peek(sublist_start(&f->list), targets, seen, N_SUBS + 1);
        for (struct sublist_iter it = sublist_start(&f->list); it.chunk != NULL;) {
            const struct sub *sub = sublist_next(&it);

            if (sub != NULL && is_wanted(said[sub - f->subs], targets)) {
                assert_true(n < got);
                assert_ptr_equal(seen[n++], sub);
            } else if (sub == NULL) {
                break;
            }
        }
        assert_int_equal(n, got);
        if (got > 1) { /* fewer of them, and from the midst of a chunk */
            struct sublist_iter it = {.chunk = seen[0]->at.chunk, .i = seen[0]->at.i + 1};
            const struct sub *some[N_SUBS];

            assert_int_equal(sublist_peek(it, targets, some, (got - 1) / 2), (got - 1) / 2);
            assert_memory_equal(some, &seen[1], (got - 1) / 2 * sizeof(some[0]));
        }
    }
    sublist_ask((struct sublist_at){.chunk = NULL}); /* of one that stands nowhere */
    free(f);
}

static void random_changes_keep_the_list_dense(void **state)
{
    struct fixture *f = setup();
    bool in[N_SUBS] = {false};
    unsigned seed = 3;
    (void)state;

    for (unsigned round = 0; round < 20000; round++) {
        uint32_t i = (uint32_t)rand_r(&seed) % N_SUBS;
        struct sublist_iter it;
        uint32_t n = 0;
        const struct sub *sub;

        if (in[i]) {
            drop(f, i);
        } else {
            add(f, i);
        }
        in[i] = !in[i];
        if (round % 50 != 0) {
            continue;
        }
        it = sublist_start(&f->list);
        while ((sub = sublist_next(&it)) != NULL) {
            assert_true(in[sub - f->subs]);
            assert_ptr_equal(sub->at.chunk->subs[sub->at.i], sub);
            n++;
        }
        assert_int_equal(n, f->list.n);
        assert_int_equal(n_free(f), N_CHUNKS - (n + SUBLIST_CHUNK - 1) / SUBLIST_CHUNK);
    }
    for (uint32_t i = 0; i < N_SUBS; i++) {
        if (in[i]) {
            drop(f, i);
        }
    }
    assert_int_equal(n_free(f), N_CHUNKS);
    assert_null(f->list.first);
    free(f);
}

static void an_iteration_meets_what_is_added_behind_it(void **state)
{
    struct fixture *f = setup();
    struct sublist_iter it;
    (void)state;

    for (uint32_t i = 0; i < SUBLIST_CHUNK; i++) {
        add(f, i);
    }
    it = sublist_start(&f->list);
    for (uint32_t i = 0; i < SUBLIST_CHUNK; i++) {
        (void)sublist_next(&it);
    }
    add(f, SUBLIST_CHUNK); /* a chunk of its own */
    assert_ptr_equal(sublist_next(&it), &f->subs[SUBLIST_CHUNK]);
    assert_null(sublist_next(&it));
    free(f);
}

static void an_empty_pool_refuses(void **state)
{
    struct fixture *f = setup();
    struct sublist_at at;
    (void)state;

    f->pool = (struct sublist_pool){.free = NULL};
    assert_int_equal(sublist_add(&f->list, &f->pool, &f->subs[0], &at), -ENOSPC);
    assert_int_equal(f->list.n, 0);
    free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_added_is_visited_once_in_order),
        cmocka_unit_test(a_peek_has_what_an_iteration_meets),
        cmocka_unit_test(who_needs_nothing_of_it_is_not_met),
        cmocka_unit_test(random_changes_keep_the_list_dense),
        cmocka_unit_test(an_iteration_meets_what_is_added_behind_it),
        cmocka_unit_test(an_empty_pool_refuses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

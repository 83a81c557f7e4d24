/* tables: slots by handle, paths and feedback by hash, all of fixed capacity. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sfu/base/handle.h"
#include "support/far.h"

static struct peer *open_peer(struct rig *rig, uint32_t i)
{
    int err = 1;
    struct peer *peer = tables_peer_open(&rig->tables, rig_handle(rig, i), &err);

    assert_non_null(peer);
    assert_int_equal(err, 0);
    return peer;
}

static struct peer *find(struct rig *rig, const struct path *path)
{
    struct peer *out;

    tables_find_paths(&rig->tables, &path, 1, &out);
    return out;
}

static void every_path_of_every_peer_is_found(void **state)
{
    struct rig *rig = rig_start("mem");
    struct path paths[RIG_PEERS][PEER_PATHS];
    struct peer *peers[RIG_PEERS];
    (void)state;

    for (uint32_t i = 0; i < RIG_PEERS; i++) {
        peers[i] = open_peer(rig, i);
        for (uint32_t k = 0; k < PEER_PATHS; k++) {
            paths[i][k] = far_path(i, k, k % 2 == 0 ? 4 : 6);
        }
        assert_int_equal(
            tables_peer_set_paths(&rig->tables, peers[i], paths[i], PEER_PATHS, 1), 0);
    }
    for (uint32_t i = 0; i < RIG_PEERS; i++) {
        assert_ptr_equal(peers[i]->to, &peers[i]->rest->paths[1]);
        for (uint32_t k = 0; k < PEER_PATHS; k++) {
            struct path near = paths[i][k];

            assert_ptr_equal(find(rig, &near), peers[i]);
            near.remote_mac[0] ^= 1; /* not part of it */
            assert_ptr_equal(find(rig, &near), peers[i]);
            near.remote_port ^= 0x8000;
            assert_null(find(rig, &near));
            near = paths[i][k];
            near.device = 3;
            assert_null(find(rig, &near));
        }
    }
    assert_int_equal(
        tables_peer_set_paths(&rig->tables, peers[0], paths[0], PEER_PATHS + 1, 0),
        -EINVAL);
    assert_ptr_equal(find(rig, &paths[0][0]), peers[0]);
    assert_int_equal(tables_peer_close(&rig->tables, peers[0]), 0);
    assert_null(find(rig, &paths[0][0]));
    assert_ptr_equal(find(rig, &paths[1][0]), peers[1]);
    for (uint32_t i = 1; i < RIG_PEERS; i++) {
        assert_int_equal(tables_peer_close(&rig->tables, peers[i]), 0);
    }
    rig_stop(rig);
}

static void a_burst_of_paths_is_looked_up_at_once(void **state)
{
    struct rig *rig = rig_start("mem");
    struct path paths[PKT_BURST];
    const struct path *ptrs[PKT_BURST];
    struct peer *out[PKT_BURST];
    struct peer *peer = open_peer(rig, 3);
    (void)state;

    for (uint32_t i = 0; i < PKT_BURST; i++) {
        paths[i] = far_path(3, i % 5, 4);
        ptrs[i] = &paths[i];
    }
    assert_int_equal(tables_peer_set_paths(&rig->tables, peer, paths, 2, 0), 0);
    tables_find_paths(&rig->tables, ptrs, PKT_BURST, out);
    for (uint32_t i = 0; i < PKT_BURST; i++) {
        assert_ptr_equal(out[i], i % 5 < 2 ? peer : NULL);
    }
    tables_find_paths(&rig->tables, ptrs, 0, out);
    assert_int_equal(tables_peer_close(&rig->tables, peer), 0);
    rig_stop(rig);
}

static void slots_are_checked(void **state)
{
    struct rig *rig = rig_start("mem");
    struct peer *peer = open_peer(rig, 3);
    uint64_t handle = peer->handle;
    int err;
    (void)state;

    assert_null(tables_peer_open(&rig->tables, handle, &err));
    assert_int_equal(err, -EEXIST);
    assert_null(tables_peer_open(&rig->tables, handle_make(RIG_PEERS, 1), &err));
    assert_int_equal(err, -EINVAL);
    assert_null(tables_peer_open(&rig->tables, handle_make(4, 0), &err));
    assert_int_equal(err, -EINVAL);
    assert_ptr_equal(tables_peer(&rig->tables, handle), peer);
    assert_null(tables_peer(&rig->tables, 0));
    assert_null(tables_peer(&rig->tables, handle_make(3, handle_gen(handle) + 1)));
    assert_null(tables_peer(&rig->tables, handle_make(RIG_PEERS, 1)));
    assert_null(tables_stream(&rig->tables, handle));
    assert_null(tables_sub(&rig->tables, handle_make(RIG_SUBS, 1)));
    assert_int_equal(tables_peer_close(&rig->tables, peer), 0);
    assert_null(tables_peer(&rig->tables, handle));
    rig_stop(rig);
}

/* The list of open peers stays dense whatever is closed. */
static void open_peers_are_listed_once(void **state)
{
    struct rig *rig = rig_start("mem");
    struct peer *open[RIG_PEERS] = {NULL};
    uint32_t n = 0;
    unsigned seed = 9;
    (void)state;

    for (unsigned round = 0; round < 5000; round++) {
        uint32_t i = (uint32_t)rand_r(&seed) % RIG_PEERS;

        if (open[i] != NULL) {
            assert_int_equal(tables_peer_close(&rig->tables, open[i]), 0);
            open[i] = NULL;
            n--;
        } else {
            open[i] = open_peer(rig, i);
            n++;
        }
        assert_int_equal(rig->tables.n_open, n);
        for (uint32_t k = 0; k < n; k++) {
            uint32_t index = rig->tables.open[k].index;

            assert_non_null(open[index]);
            assert_int_equal(open[index]->rest->open_slot, k);
        }
    }
    command_close_all(&rig->lane);
    rig_stop(rig);
}

static void feedback_is_found_by_peer_and_ssrc(void **state)
{
    struct rig *rig = rig_start("mem");
    struct peer *a = open_peer(rig, 0);
    struct peer *b = open_peer(rig, 1);
    struct stream *stream;
    struct sub *subs[RIG_SUBS];
    int err;
    (void)state;

    stream = tables_stream_open(&rig->tables, rig_handle(rig, 0), a, &err);
    assert_non_null(stream);
    assert_null(tables_sub_open(&rig->tables, rig_handle(rig, 0), stream, a, stream->handle,
                                100, 0, &err));
    assert_int_equal(err, -ENOENT); /* not complete yet */
    tables_stream_ready(stream);
    for (uint32_t i = 0; i < RIG_SUBS; i++) { /* every slot; pairs share their SSRC */
        subs[i] =
            tables_sub_open(&rig->tables, rig_handle(rig, i), stream, i % 2 == 0 ? a : b,
                            stream->handle, 100 + i / 2, 10000 + i / 2, &err);
        assert_non_null(subs[i]);
    }
    for (uint32_t i = 0; i < RIG_SUBS; i++) {
        assert_ptr_equal(
            tables_find_feedback(&rig->tables, i % 2 == 0 ? a : b, 100 + i / 2), subs[i]);
        assert_ptr_equal(
            tables_find_feedback(&rig->tables, i % 2 == 0 ? a : b, 10000 + i / 2), subs[i]);
    }
    assert_null(tables_find_feedback(&rig->tables, a, 99));
    assert_int_equal(tables_stream_close(&rig->tables, stream), -EBUSY);
    assert_int_equal(tables_peer_close(&rig->tables, b), -EBUSY);
    tables_sub_close(&rig->tables, subs[0]);
    assert_null(tables_find_feedback(&rig->tables, a, 100));
    assert_null(tables_find_feedback(&rig->tables, a, 10000));
    assert_ptr_equal(tables_find_feedback(&rig->tables, b, 100), subs[1]);
    assert_null(tables_sub_open(&rig->tables, rig_handle(rig, 0), stream, b, stream->handle,
                                100, 0, &err));
    assert_int_equal(err, -EEXIST);
    /* nor may it be sent again under what is in use, in either role */
    assert_null(tables_sub_open(&rig->tables, rig_handle(rig, 0), stream, b, stream->handle,
                                99, 10000, &err));
    assert_int_equal(err, -EEXIST);
    assert_null(tables_sub_open(&rig->tables, rig_handle(rig, 0), stream, b, stream->handle,
                                99, 100, &err));
    assert_int_equal(err, -EEXIST);
    for (uint32_t i = 1; i < RIG_SUBS; i++) {
        tables_sub_close(&rig->tables, subs[i]);
    }
    assert_int_equal(tables_stream_close(&rig->tables, stream), 0);
    assert_int_equal(tables_peer_close(&rig->tables, a), 0);
    assert_int_equal(tables_peer_close(&rig->tables, b), 0);
    rig_stop(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_path_of_every_peer_is_found),
        cmocka_unit_test(a_burst_of_paths_is_looked_up_at_once),
        cmocka_unit_test(slots_are_checked),
        cmocka_unit_test(open_peers_are_listed_once),
        cmocka_unit_test(feedback_is_found_by_peer_and_ssrc),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

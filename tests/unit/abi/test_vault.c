#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdlib.h>

#include "sfu/abi/vault.h"

static struct vault_peer *new_peer(void)
{
    struct vault_peer *rec = aligned_alloc(64, sizeof(*rec));

    assert_non_null(rec);
    memset(rec, 0, sizeof(*rec));
    return rec;
}

static bool holds(const void *mem, size_t n, uint8_t byte)
{
    const uint8_t *p = mem;

    for (size_t i = 0; i < n; i++) {
        if (p[i] == byte) {
            return true;
        }
    }
    return false;
}

static void a_record_never_written_is_unknown(void **state)
{
    struct vault_peer *rec = new_peer();
    struct vault_peer_conf out;
    (void)state;

    assert_int_equal(vault_peer_read(rec, &out), -ENOENT);
    free(rec);
}

static void the_last_commit_is_what_is_read(void **state)
{
    struct vault_peer *rec = new_peer();
    struct vault_peer_conf conf = {.handle = 7};
    struct vault_peer_conf out;
    (void)state;

    for (uint8_t i = 1; i < 9; i++) {
        memset(conf.rx_key, i, sizeof(conf.rx_key));
        vault_peer_write(rec, &conf);
        assert_int_equal(vault_peer_read(rec, &out), 0);
        assert_memory_equal(&out, &conf, sizeof(conf));
    }
    free(rec);
}

static void a_writer_that_dies_before_its_commit_leaves_the_old_conf(void **state)
{
    struct vault_peer *rec = new_peer();
    struct vault_peer_conf conf = {.handle = 7, .profile = 1};
    struct vault_peer_conf out;
    (void)state;

    vault_peer_write(rec, &conf);
    /* what vault_peer_write() has done when it is killed just before its last store */
    memset(&rec->conf[(rec->commit + 1) & 1], 0xee, sizeof(rec->conf[0]) / 2);
    assert_int_equal(vault_peer_read(rec, &out), 0);
    assert_memory_equal(&out, &conf, sizeof(conf));
    free(rec);
}

static void a_wiped_record_is_unknown_and_holds_nothing(void **state)
{
    struct vault_peer *rec = new_peer();
    struct vault_peer_conf conf = {.handle = 7};
    struct vault_peer_conf out;
    (void)state;

    memset(conf.rx_key, 0xab, sizeof(conf.rx_key));
    memset(conf.tx_salt, 0xab, sizeof(conf.tx_salt));
    vault_peer_write(rec, &conf);
    vault_peer_write(rec, &conf); /* both copies hold keys now */
    memset(&rec->live, 0xab, sizeof(rec->live));
    assert_true(holds(rec->conf, sizeof(rec->conf), 0xab));
    vault_peer_wipe(rec, &rec->live);
    assert_int_equal(vault_peer_read(rec, &out), -ENOENT);
    assert_false(holds(rec->conf, sizeof(rec->conf), 0xab));
    assert_false(holds(&rec->live, sizeof(rec->live), 0xab));

    vault_peer_write(rec, &conf); /* and it can be used again */
    assert_int_equal(vault_peer_read(rec, &out), 0);
    free(rec);
}

static void streams_and_subscriptions_follow_the_same_rules(void **state)
{
    struct vault_stream *stream = aligned_alloc(64, sizeof(*stream));
    struct vault_sub *sub = aligned_alloc(64, sizeof(*sub));
    struct vault_stream_conf stream_conf = {.handle = 3, .peer = 1, .pt = 96};
    struct vault_sub_conf sub_conf = {.handle = 4, .stream = 3, .ssrc = 99};
    struct vault_stream_conf stream_out;
    struct vault_sub_conf sub_out;
    struct vault_sub_live live = {.next_index = 7};
    (void)state;

    assert_non_null(stream);
    assert_non_null(sub);
    memset(stream, 0, sizeof(*stream));
    memset(sub, 0, sizeof(*sub));
    vault_stream_write(stream, &stream_conf);
    vault_sub_write(sub, &sub_conf);
    assert_int_equal(vault_stream_read(stream, &stream_out), 0);
    assert_int_equal(vault_sub_read(sub, &sub_out), 0);
    assert_int_equal(stream_out.pt, 96);
    assert_int_equal(sub_out.ssrc, 99);
    vault_stream_wipe(stream, &stream->live);
    vault_sub_wipe(sub, &live);
    assert_int_equal(live.next_index, 0);
    assert_int_equal(vault_stream_read(stream, &stream_out), -ENOENT);
    assert_int_equal(vault_sub_read(sub, &sub_out), -ENOENT);
    free(stream);
    free(sub);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_never_written_is_unknown),
        cmocka_unit_test(the_last_commit_is_what_is_read),
        cmocka_unit_test(a_writer_that_dies_before_its_commit_leaves_the_old_conf),
        cmocka_unit_test(a_wiped_record_is_unknown_and_holds_nothing),
        cmocka_unit_test(streams_and_subscriptions_follow_the_same_rules),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

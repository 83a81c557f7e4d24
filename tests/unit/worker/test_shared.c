/* shared: the memory that both processes see, and that nothing of a peer stays in it. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "worker/shared.h"

static void its_memories_are_sealed_and_say_what_they_are(void **state)
{
    struct shared s;
    struct stat st;
    uint32_t n_taps;
    (void)state;

    assert_int_equal(shared_init(&s, 2, 10, 20, 30, 0), 0);
    assert_int_equal(s.shm->magic, ABI_MAGIC);
    assert_int_equal(s.shm->version, ABI_VERSION);
    assert_int_equal(s.shm->n_lanes, 2);
    assert_int_equal(s.shm->n_peers, 10);
    assert_int_equal(s.shm->n_streams, 20);
    assert_int_equal(s.shm->n_subs, 30);
    assert_int_equal(s.vault.header->magic, VAULT_MAGIC);
    assert_int_equal(s.vault.header->bytes, vault_layout(10, 20, 30).bytes);
    for (unsigned i = 0; i < 3; i++) {
        int fd = i == 0 ? s.shm_fd : i == 1 ? s.vault_fd : s.streams_fd;
        int seals = fcntl(fd, F_GET_SEALS);

        assert_int_equal(fstat(fd, &st), 0);
        assert_int_equal(st.st_size, i == 0   ? s.shm->bytes
                                     : i == 1 ? s.vault_bytes
                                              : s.streams_bytes);
        assert_int_equal(seals & (F_SEAL_SHRINK | F_SEAL_GROW),
                         F_SEAL_SHRINK | F_SEAL_GROW);
        assert_int_equal(ftruncate(fd, st.st_size + 4096), -1);
    }
    assert_true(tap_valid(s.streams, s.streams_bytes, &n_taps));
    assert_true(mmap(NULL, s.streams_bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
                     s.streams_fd, 0) == MAP_FAILED);
    for (uint32_t i = 0; i < 2; i++) {
        uint8_t *base = (uint8_t *)s.shm;

        assert_true(
            ring_valid(base + s.layout.cmd[i], ABI_CMD_SLOTS, sizeof(struct abi_cmd)));
        assert_true(
            ring_valid(base + s.layout.evt[i], ABI_EVT_SLOTS, sizeof(struct abi_evt)));
        assert_true(s.lanes[i].doorbell >= 0);
    }
    shared_fini(&s, false);
}

static void new_rings_and_a_wiped_vault_hold_nothing_of_the_old_control(void **state)
{
    static const struct vault_peer_conf zero;
    struct vault_peer_conf conf = {.handle = 1, .rx_key = "0123456789abcdef"};
    struct shared s;
    (void)state;

    assert_int_equal(shared_init(&s, 1, 4, 4, 4, 0), 0);
    vault_peer_write(&s.vault.peers[2], &conf);
    conf.rx_key[0] = 'x';
    vault_peer_write(&s.vault.peers[2], &conf);
    s.vault.peers[2].live.rtcp_next_index = 7;
    ring_commit(&s.lanes[0].cmd);
    ring_commit(&s.lanes[0].punt_out);
    for (uint32_t kind = ABI_EVT_ANSWER; kind <= ABI_EVT_BYE; kind++) {
        struct abi_evt *evt = ring_reserve(&s.lanes[0].evt);

        evt->kind = kind;
        ring_commit(&s.lanes[0].evt);
    }
    assert_int_equal(shared_unanswered(&s), 2); /* a command, an answer; no news */
    ring_release(&s.lanes[0].evt);
    assert_int_equal(shared_unanswered(&s), 1);
    s.lanes[0].cmd.ring->tail = 77; /* what no reader writes */
    assert_int_equal(shared_unanswered(&s), 0);
    shared_reset_rings(&s);
    assert_int_equal(shared_unanswered(&s), 0);
    shared_wipe(&s);
    assert_true(ring_empty(&s.lanes[0].cmd));
    assert_true(ring_empty(&s.lanes[0].punt_out));
    assert_memory_equal(&s.vault.peers[2].conf[0], &zero, sizeof(zero));
    assert_memory_equal(&s.vault.peers[2].conf[1], &zero, sizeof(zero));
    assert_int_equal(s.vault.peers[2].live.rtcp_next_index, 0);
    assert_int_equal(vault_peer_read(&s.vault.peers[2], &conf), -ENOENT);
    shared_fini(&s, false);
}

/* Keys are wiped in the memory itself, which another process may still have mapped. */
static void the_end_wipes_the_vault(void **state)
{
    const struct vault_peer_conf conf = {.handle = 1, .tx_key = "secret-secret-16"};
    struct shared s;
    uint8_t *seen;
    size_t bytes;
    (void)state;

    assert_int_equal(shared_init(&s, 1, 4, 4, 4, 0), 0);
    vault_peer_write(&s.vault.peers[0], &conf);
    /* and of a control that was killed before it committed */
    memcpy(&s.vault.peers[3].conf[1], &conf, sizeof(conf));
    bytes = s.vault_bytes;
    seen = mmap(NULL, bytes, PROT_READ, MAP_SHARED, s.vault_fd, 0);
    assert_true(seen != MAP_FAILED);
    assert_non_null(memmem(seen, bytes, conf.tx_key, 16));
    shared_fini(&s, false);
    assert_null(memmem(seen, bytes, conf.tx_key, 16));
    assert_int_equal(munmap(seen, bytes), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_memories_are_sealed_and_say_what_they_are),
        cmocka_unit_test(new_rings_and_a_wiped_vault_hold_nothing_of_the_old_control),
        cmocka_unit_test(the_end_wipes_the_vault),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

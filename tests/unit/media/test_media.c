/* Attaching to the dataplane, and being left by it. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "media/media_cmds.h"
#include "unit/media/rig.h"

static void it_attaches_and_tells_what_the_dataplane_offers(void **state)
{
    struct fixture f;
    const struct abi_shm *info;
    struct media_status status;
    (void)state;

    start_all(&f);
    info = media_info(f.media);
    assert_non_null(info);
    assert_string_equal(info->backend, "fake");
    assert_int_equal(info->n_devices, 1);
    assert_int_equal(info->devices[0].n_addrs, 2);
    assert_int_equal(info->devices[0].addrs[0].public_port, 7100);
    assert_string_equal(info->drop_names[1], "auth");
    media_status(f.media, &status);
    assert_true(status.attached);
    assert_int_equal(status.err, 0);
    finish(&f);
}

static void without_a_dataplane_it_waits_and_refuses_commands(void **state)
{
    const struct vault_peer_conf conf = {.handle = 0};
    struct abi_lane_counts counts;
    struct media_status status;
    struct path path = {.family = 4};
    struct fixture f;
    uint64_t handle;
    (void)state;

    start(&f);
    start_control(&f);
    settle(&f, 50);
    media_status(f.media, &status);
    assert_false(status.attached);
    assert_int_equal(status.err, -ENOENT);
    assert_null(media_info(f.media));
    assert_int_equal(media_peer_open(f.media, &conf, NULL, NULL, &handle), -ENOTCONN);
    assert_int_equal(media_close(f.media, MEDIA_PEER, 1, NULL, NULL), -ENOTCONN);
    assert_int_equal(media_send(f.media, HANDLE_NONE, &path, ABI_DATAGRAM_STUN, "x", 1), -ENOTCONN);
    assert_int_equal(media_ping(f.media, 0, NULL, NULL), -ENOTCONN);
    assert_int_equal(media_lane_counts(f.media, 0, &counts), -ENOTCONN);
    start_dp(&f, (struct fake_dp_conf){.flaw = FAKE_DP_FINE});
    WAIT(&f, f.n_attached == 1); /* and comes when the dataplane does */
    finish(&f);
}

static void a_dataplane_that_breaks_the_contract_is_refused(void **state)
{
    (void)state;
    for (enum fake_dp_flaw flaw = FAKE_DP_BUSY; flaw < N_FAKE_DP_FLAWS; flaw++) {
        struct media_status status;
        struct fixture f;

        start(&f);
        start_dp(&f, (struct fake_dp_conf){.flaw = flaw});
        start_control(&f);
        for (uint64_t until = now_ms() + 5000; now_ms() < until;) {
            loop_turn(f.loop);
            media_status(f.media, &status);
            if (status.reason[0] != '\0') {
                break;
            }
        }
        assert_false(status.attached);
        assert_int_equal(status.err, flaw == FAKE_DP_BUSY ? -EBUSY : -EPROTO);
        assert_int_not_equal(strlen(status.reason), 0);
        settle(&f, 60); /* a second attempt fares no better */
        assert_int_equal(f.n_attached, 0);
        assert_int_equal(f.n_detached, 0);
        finish(&f);
    }
}

static void a_second_control_is_told_the_dataplanes_reason(void **state)
{
    struct media_status status;
    struct fixture f;
    (void)state;

    start(&f);
    start_dp(&f, (struct fake_dp_conf){.flaw = FAKE_DP_BUSY});
    start_control(&f);
    do {
        settle(&f, 5);
        media_status(f.media, &status);
    } while (status.err == -ENOTCONN);
    assert_int_equal(status.err, -EBUSY);
    assert_string_equal(status.reason, "another control is attached");
    finish(&f);
}

static void a_socket_that_never_answers_does_not_hold_it_up(void **state)
{
    struct media_status status;
    struct fixture f;
    (void)state;

    start(&f);
    start_dp(&f, (struct fake_dp_conf){.flaw = FAKE_DP_MUTE});
    start_control(&f);
    settle(&f, 50);
    fake_dp_kill(f.dp);
    start_dp(&f, (struct fake_dp_conf){.flaw = FAKE_DP_FINE});
    WAIT(&f, f.n_attached == 1);
    media_status(f.media, &status);
    assert_true(status.attached);
    finish(&f);
}

static void a_socket_path_that_is_too_long_is_refused(void **state)
{
    char name[200];
    struct media_conf conf = {.socket = name};
    struct media *media;
    (void)state;

    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    assert_int_equal(media_create(&media, &conf), -ENAMETOOLONG);
}

/* ---- the other side goes away ---- */

static void when_the_dataplane_dies_every_callback_comes_and_handles_are_stale(void **state)
{
    const struct vault_peer_conf conf = {.handle = 0};
    struct answer answers[3] = {{.n = 0}};
    struct fixture f;
    uint64_t peer, other, again;
    (void)state;

    start_all(&f);
    peer = open_peer(&f);
    fake_dp_hold(f.dp, true);
    assert_int_equal(media_peer_open(f.media, &conf, on_answer, &answers[0], &other), 0);
    assert_int_equal(
        media_peer_set_paths(f.media, peer, NULL, 0, 0, on_answer, &answers[1]), 0);
    assert_int_equal(media_close(f.media, MEDIA_PEER, peer, on_answer, &answers[2]), 0);
    fake_dp_kill(f.dp);
    f.dp = NULL;
    WAIT(&f, f.n_detached == 1);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(answers[i].n, 1);
        assert_int_equal(answers[i].status, -ECONNRESET);
    }
    assert_int_equal(media_close(f.media, MEDIA_PEER, other, NULL, NULL), -ENOTCONN);

    start_dp(&f, (struct fake_dp_conf){.flaw = FAKE_DP_FINE});
    WAIT(&f, f.n_attached == 2);
    for (int i = 0; i < 8; i++) {
        again = open_peer(&f);
        assert_int_not_equal(again, peer);
        assert_int_not_equal(again, other);
    }
    assert_int_equal(media_close(f.media, MEDIA_PEER, peer, NULL, NULL), -ESTALE);
    assert_int_equal(media_close(f.media, MEDIA_PEER, other, NULL, NULL), -ESTALE);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(answers[i].n, 1);
    }
    finish(&f);
}

static void what_an_earlier_control_left_open_is_closed(void **state)
{
    uint64_t peer, stream, before;
    struct vault_peer_conf out;
    struct fixture f;
    (void)state;

    start_all(&f);
    before = open_peer(&f);
    peer = open_peer(&f);
    stream = open_stream(&f, peer);
    (void)open_sub(&f, before, stream);
    media_destroy(f.media); /* as if killed: it closes nothing */
    f.n_attached = 0;
    start_control(&f);
    WAIT(&f, f.n_attached == 1);
    WAIT(&f, fake_dp_n_open(f.dp, 'p') == 0);
    assert_int_equal(fake_dp_n_open(f.dp, 's'), 0);
    assert_int_equal(fake_dp_n_open(f.dp, 'u'), 0);
    settle(&f, 20);
    assert_int_equal(vault_peer_read(&fake_dp_vault(f.dp)->peers[handle_index(peer)], &out),
                     -ENOENT);
    for (int i = 0; i < 8; i++) {
        uint64_t handle = open_peer(&f);

        assert_int_not_equal(handle, peer);
        assert_int_not_equal(handle, before);
    }
    finish(&f);
}

static void leftovers_are_found_wherever_they_lie_in_a_large_vault(void **state)
{
    enum { N = 600 };
    uint64_t last = HANDLE_NONE;
    struct fixture f;
    (void)state;

    start(&f);
    start_dp(&f, (struct fake_dp_conf){.n_peers = N, .n_streams = 4000, .n_subs = 4000});
    start_control(&f);
    WAIT(&f, f.n_attached == 1);
    for (int i = 0; i < N; i++) { /* all but the last few are closed again */
        const struct vault_peer_conf conf = {.handle = 0};

        assert_int_equal(media_peer_open(f.media, &conf, NULL, NULL, &last), 0);
        if (i % 50 != 49) {
            assert_int_equal(media_close(f.media, MEDIA_PEER, last, NULL, NULL), 0);
        }
    }
    (void)open_stream(&f, last);
    assert_int_equal(fake_dp_n_open(f.dp, 'p'), N / 50);
    media_destroy(f.media);
    f.n_attached = 0;
    start_control(&f);
    WAIT(&f, f.n_attached == 1);
    WAIT(&f, fake_dp_n_open(f.dp, 'p') == 0 && fake_dp_n_open(f.dp, 's') == 0);
    finish(&f);
}

static void after_a_hang_up_it_attaches_again(void **state)
{
    struct fixture f;
    (void)state;

    start_all(&f);
    (void)open_peer(&f);
    for (unsigned i = 1; i <= 3; i++) {
        fake_dp_hang_up(f.dp);
        WAIT(&f, f.n_detached == i && f.n_attached == i + 1);
        (void)open_peer(&f);
    }
    finish(&f);
}

static void destroying_answers_what_is_due(void **state)
{
    const struct vault_peer_conf conf = {.handle = 0};
    struct answer answer = {.n = 0};
    struct fixture f;
    uint64_t peer;
    (void)state;

    start_all(&f);
    fake_dp_hold(f.dp, true);
    assert_int_equal(media_peer_open(f.media, &conf, on_answer, &answer, &peer), 0);
    media_destroy(f.media);
    f.media = NULL;
    assert_int_equal(answer.n, 1);
    assert_int_equal(answer.status, -ECONNRESET);
    finish(&f);
}

/* ---- keys ---- */

static const char KEY[] = "a key that is 32 bytes in length";

static void open_peer_with_key(struct fixture *f)
{
    struct vault_peer_conf conf = {.ufrag_len = 4};
    struct answer answer = {.n = 0};
    uint64_t handle;

    memcpy(conf.tx_key, KEY, sizeof(conf.tx_key));
    assert_int_equal(media_peer_open(f->media, &conf, on_answer, &answer, &handle), 0);
    WAIT(f, answer.n == 1);
}

/* Whether anything stands in the memory of the vault, and the key. Closes 'fd'. */
static void look_into(int fd, bool *anything, bool *key)
{
    struct stat st;
    uint8_t *mem;

    assert_int_equal(fstat(fd, &st), 0);
    mem = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    assert_true(mem != MAP_FAILED);
    *anything = false;
    for (off_t i = 0; i < st.st_size && !*anything; i++) {
        *anything = mem[i] != 0;
    }
    *key = memory_holds(mem, (size_t)st.st_size, KEY);
    (void)munmap(mem, (size_t)st.st_size);
    (void)close(fd);
}

static void the_last_to_end_leaves_nothing_in_the_vault(void **state)
{
    bool anything, key;
    (void)state;

    for (unsigned noticed = 0; noticed < 2; noticed++) {
        struct fixture f;
        int fd;

        start_all(&f);
        open_peer_with_key(&f);
        fd = fake_dp_vault_fd(f.dp);
        fake_dp_kill(f.dp);
        f.dp = NULL;
        settle(&f, noticed * 10);
        finish(&f);
        look_into(fd, &anything, &key);
        assert_false(anything);
    }
}

static void who_leaves_a_dataplane_behind_leaves_it_the_vault(void **state)
{
    struct fixture f;
    bool anything, key;
    (void)state;

    start_all(&f);
    open_peer_with_key(&f);
    media_destroy(f.media);
    f.media = NULL;
    look_into(fake_dp_vault_fd(f.dp), &anything, &key);
    assert_true(key);
    finish(&f);
}

/* Finds the vault among the files of another process. */
static int vault_of(pid_t pid)
{
    char path[64], name[64];

    for (unsigned i = 0; i < 64; i++) {
        ssize_t n;

        (void)snprintf(path, sizeof(path), "/proc/%d/fd/%u", pid, i);
        n = readlink(path, name, sizeof(name) - 1);
        if (n > 0) {
            name[n] = '\0';
            if (strncmp(name, "/memfd:vault", 12) == 0) {
                return open(path, O_RDWR | O_CLOEXEC);
            }
        }
    }
    return -1;
}

static void a_vault_that_nobody_came_for_is_wiped(void **state)
{
    struct fixture f;
    bool anything, key;
    pid_t pid;
    int fd;
    (void)state;

    start(&f);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        start_dp(&f, (struct fake_dp_conf){.flaw = FAKE_DP_FINE});
        (void)pause();
        _exit(0);
    }
    start_control(&f);
    WAIT(&f, f.n_attached == 1);
    open_peer_with_key(&f);
    fd = vault_of(pid);
    assert_true(fd >= 0);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    WAIT(&f, f.n_detached == 1);
    look_into(fd, &anything, &key);
    assert_false(anything);
    (void)unlink(f.socket);
    finish(&f);
}

/* What is written to it is found when it wakes up, and one ring does that. */
static void a_lane_that_sleeps_is_rung_once(void **state)
{
    struct abi_lane lane = {.dp_sleeping = 0};
    const struct media_rings rings = {.lane = &lane,
                                      .doorbell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
    eventfd_t rung;
    (void)state;

    assert_true(rings.doorbell >= 0);
    media_wake(&rings);
    assert_int_equal(eventfd_read(rings.doorbell, &rung), -1);
    for (int i = 0; i < 2; i++) {
        atomic_store(&lane.dp_sleeping, 1);
        media_wake(&rings);
        media_wake(&rings);
        assert_int_equal(eventfd_read(rings.doorbell, &rung), 0);
        assert_int_equal(rung, 1);
    }
    (void)close(rings.doorbell);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lane_that_sleeps_is_rung_once),
        cmocka_unit_test(it_attaches_and_tells_what_the_dataplane_offers),
        cmocka_unit_test(without_a_dataplane_it_waits_and_refuses_commands),
        cmocka_unit_test(a_dataplane_that_breaks_the_contract_is_refused),
        cmocka_unit_test(a_second_control_is_told_the_dataplanes_reason),
        cmocka_unit_test(a_socket_that_never_answers_does_not_hold_it_up),
        cmocka_unit_test(a_socket_path_that_is_too_long_is_refused),
        cmocka_unit_test(
            when_the_dataplane_dies_every_callback_comes_and_handles_are_stale),
        cmocka_unit_test(what_an_earlier_control_left_open_is_closed),
        cmocka_unit_test(leftovers_are_found_wherever_they_lie_in_a_large_vault),
        cmocka_unit_test(after_a_hang_up_it_attaches_again),
        cmocka_unit_test(destroying_answers_what_is_due),
        cmocka_unit_test(the_last_to_end_leaves_nothing_in_the_vault),
        cmocka_unit_test(who_leaves_a_dataplane_behind_leaves_it_the_vault),
        cmocka_unit_test(a_vault_that_nobody_came_for_is_wiped),
    };

    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Our own AES-GCM against ipsec-mb's: all lengths of payload and header that packets have and
 * some up to the longest, both lengths of key, many keys, memory that ends where it may be
 * read or written no further. Where the CPU does not run it there is nothing to test, and the
 * test says so. */
#include "crypt/imb.h"
#include "sfu/base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

/* As long as an op's len and hdr_len can be. */
enum { LONGEST = 65535, TAG = 16, PAGE = 4096, PAGES = 33, SAME_KEY = 64 };
_Static_assert(2 * LONGEST + TAG + 1 <= PAGES * PAGE, "a packet fits");

static IMB_MGR *mgr;
static struct gcm_key_data theirs[2]; /* of 128 and of 256 bits */
static struct gcm_vaes_key *ours[2];
static uint8_t *src_pages, *dst_pages; /* PAGES of each, between others that are not there */
static uint8_t *key_pages[2];          /* likewise, one of each */
static unsigned n_checks;

static void fill(uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        p[i] = (uint8_t)(rand() >> 7);
    }
}

static uint8_t *guarded(size_t pages)
{
    uint8_t *map =
        mmap(NULL, (pages + 2) * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    assert_ptr_not_equal(map, MAP_FAILED);
    assert_int_equal(mprotect(map + PAGE, pages * PAGE, PROT_READ | PROT_WRITE), 0);
    return map + PAGE;
}

static void unmap(uint8_t *pages, size_t n)
{
    (void)munmap(pages - PAGE, (n + 2) * PAGE);
}

/* New keys, that begin (or end) where their memory does, and cannot be written any more. The
 * powers of one hash key may hide an error that those of another show. */
static void rekey(void)
{
    uint8_t key[32], unused[240] __attribute__((aligned(16)));

    fill(key, sizeof(key));
    IMB_AES128_GCM_PRE(mgr, key, &theirs[0]);
    IMB_AES256_GCM_PRE(mgr, key, &theirs[1]);
    for (unsigned wide = 0; wide < 2; wide++) {
        const bool at_end = rand() % 2 != 0;

        assert_int_equal(mprotect(key_pages[wide], PAGE, PROT_READ | PROT_WRITE), 0);
        memset(key_pages[wide], 0xa5, PAGE);
        ours[wide] = (struct gcm_vaes_key *)(key_pages[wide] +
                                             (at_end ? PAGE - sizeof(*ours[wide]) : 0));
        if (wide != 0) {
            IMB_AES_KEYEXP_256(mgr, key, ours[wide]->rounds, unused);
        } else {
            IMB_AES_KEYEXP_128(mgr, key, ours[wide]->rounds, unused);
        }
        gcm_vaes_expand(ours[wide], wide != 0);
        assert_int_equal(mprotect(key_pages[wide], PAGE, PROT_READ), 0);
    }
}

static int open_all(void **state)
{
    (void)state;

    srand(38);
    src_pages = guarded(PAGES);
    dst_pages = guarded(PAGES);
    key_pages[0] = guarded(1);
    key_pages[1] = guarded(1);
    fill(src_pages, PAGES * PAGE);
    return mprotect(src_pages, PAGES * PAGE, PROT_READ);
}

static int close_all(void **state)
{
    (void)state;
    unmap(src_pages, PAGES);
    unmap(dst_pages, PAGES);
    unmap(key_pages[0], 1);
    unmap(key_pages[1], 1);
    return 0;
}

/* A packet that begins (or ends) where its memory does, with a random header and IV, is what
 * ipsec-mb makes of it, and nothing beside it is written. */
static void check_with(bool wide, size_t len, size_t hdr_len, bool at_end)
{
    static uint8_t expected[2 * LONGEST + TAG];
    const size_t all = hdr_len + len + TAG;
    const uint8_t *src = src_pages + (at_end ? PAGES * PAGE - len : 0);
    uint8_t *pkt = dst_pages + (at_end ? PAGES * PAGE - all : 0);
    struct gcm_context_data scratch;
    uint8_t iv[16] = {0};
    uint64_t words[2];

    fill(iv, 12);
    words[0] = load_be64(iv);
    words[1] = load_be64(iv + 8);
    fill(pkt, hdr_len);
    memset(pkt + hdr_len, 0x5a, len + TAG);
    pkt[at_end ? -1 : (ptrdiff_t)all] = 0x5a;
    memcpy(expected, pkt, hdr_len);
    if (wide) {
        IMB_AES256_GCM_ENC(mgr, &theirs[1], &scratch, expected + hdr_len, src, len, iv,
                           expected, hdr_len, expected + hdr_len + len, TAG);
    } else {
        IMB_AES128_GCM_ENC(mgr, &theirs[0], &scratch, expected + hdr_len, src, len, iv,
                           expected, hdr_len, expected + hdr_len + len, TAG);
    }
    gcm_vaes_seal(ours[wide], wide, words, pkt + hdr_len, src, len, hdr_len);
    if (memcmp(pkt, expected, all) != 0) {
        fail_msg("%zu bytes behind a header of %zu differ", len, hdr_len);
    }
    assert_int_equal(pkt[at_end ? -1 : (ptrdiff_t)all], 0x5a);
}

/* With both lengths of key. */
static void check(size_t len, size_t hdr_len, bool at_end)
{
    if (n_checks++ % SAME_KEY == 0) {
        rekey();
    }
    check_with(false, len, hdr_len, at_end);
    check_with(true, len, hdr_len, at_end);
}

static void any_payload_behind_usual_headers(void **state)
{
    static const size_t headers[] = {12, 13, 16, 20, 28, 31, 32, 33};
    (void)state;

    for (size_t len = 0; len <= 1500; len++) {
        const size_t hdr = headers[len % (sizeof(headers) / sizeof(headers[0]))];

        check(len, hdr, false);
        check(len, hdr, true);
        check(len, 28, len % 2 == 0);
    }
}

static void any_header(void **state)
{
    (void)state;
    for (size_t hdr = 0; hdr <= 1100; hdr++) {
        check((size_t)rand() % 64, hdr, hdr % 2 == 0);
        check((size_t)rand() % 700, hdr, hdr % 2 != 0);
    }
}

/* Where windows of the hash begin and end: payloads of a few blocks and both sides of one. */
static void blocks_more_and_less(void **state)
{
    (void)state;
    for (size_t blocks = 0; blocks <= 60; blocks++) {
        for (size_t hdr = 12; hdr <= 140; hdr += 8) {
            check(blocks * 16, hdr, false);
            check(blocks * 16 + 1, hdr, true);
            check(blocks * 16 + 15, hdr, false);
        }
    }
}

/* The block counter passes 2^8 and 2^12 (in the last 31 bytes of the longest payload), and the
 * length of the header in bits 2^16. */
static void the_longest_packets(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 64; i++) {
        check(LONGEST - i, 12 + 4 * i, i % 2 == 0);
        check((size_t)rand() % (LONGEST + 1), (size_t)rand() % (LONGEST + 1), i % 2 == 0);
        check((size_t)rand() % 700, LONGEST - i, i % 2 != 0);
        check((size_t)rand() % 700, 8192 - 32 + i, i % 2 == 0);
        check((size_t)(3800 + 16 * i), 28, i % 2 != 0);
    }
    check(LONGEST, LONGEST, false);
    check(LONGEST, LONGEST, true);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_payload_behind_usual_headers),
        cmocka_unit_test(any_header),
        cmocka_unit_test(blocks_more_and_less),
        cmocka_unit_test(the_longest_packets),
    };

    int failed = 0;

    mgr = alloc_mb_mgr(0);
    init_mb_mgr_auto(mgr, NULL);
    if (imb_has_vaes(mgr)) {
        failed = cmocka_run_group_tests(tests, open_all, close_all);
    } else {
        print_message("this CPU has no VAES and VPCLMULQDQ: skipped\n");
    }
    free_mb_mgr(mgr);
    return failed;
}

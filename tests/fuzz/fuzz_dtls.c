/* A DTLS connection and the datagrams of its path: any bytes, or those of a true handshake
 * with an OpenSSL peer, of which the input loses, repeats, changes, cuts, holds back or
 * replaces some, or has come from another address. It must never crash, send more than one
 * MTU at once, give out keys that are not the peer's, or send more than 1.5 times what came
 * from an address that has not proven to be the peer's. */
#include "fuzz.h"

#include "dtls/dtls_cert.h"
#include "dtls/dtls_conn.h"
#include "dtls/dtls_heap.h"
#include "dtls/dtls_record.h"
#include "support/dtls_peer.h"

enum { MAX_TURNS = 40, QUEUE = 64, ADDRESSES = 8, MANY = 100000 };

struct datagram {
    size_t len;
    uint8_t data[DTLS_MAX_DATAGRAM];
};

/* What the mailbox asked to be run later. */
static void (*posted)(void *arg);
static void *posted_arg;

static struct world {
    struct rbytes in;
    struct dtls_shared shared;
    struct dtls_conn conn;
    struct dtls_peer *peer; /* NULL: only the input talks */
    unsigned n_done, n_parted;
    struct datagram sent[QUEUE]; /* by our side, on their way */
    size_t n_sent;
    struct datagram held; /* held back; len 0: none */
    bool wanders;         /* what comes may be from any address */
    uint64_t may_go[ADDRESSES], gone[ADDRESSES];
} w;

static struct path path_at(unsigned i)
{
    return (struct path){.family = 4, .remote_port = (uint16_t)(5000 + i)};
}

static void check_amount(const struct dtls_mail *mail)
{
    unsigned i = mail->to.remote_port - 5000u;
    bool proven = false;

    FUZZ_CHECK(i < ADDRESSES);
    for (unsigned k = 0; k < w.conn.addresses.n; k++) {
        const struct dtls_address *address = &w.conn.addresses.at[k];

        proven = proven || (address->proven && address->path.remote_port == 5000 + i);
    }
    w.gone[i] += mail->len;
    FUZZ_CHECK(proven || w.n_done > 0 || w.conn.phase != DTLS_PHASE_SHAKING ||
               w.gone[i] <= w.may_go[i]);
}

static int post(void *loop, void (*fn)(void *arg), void *arg)
{
    (void)loop;
    FUZZ_CHECK(posted == NULL);
    posted = fn;
    posted_arg = arg;
    return 0;
}

static void read_mail(struct dtls_mail *mail)
{
    switch (mail->kind) {
    case DTLS_MAIL_SEND:
        FUZZ_CHECK(mail->len <= DTLS_MTU);
        check_amount(mail);
        if (w.n_sent < QUEUE) {
            w.sent[w.n_sent].len = mail->len;
            memcpy(w.sent[w.n_sent++].data, mail->data, mail->len);
        }
        free(mail);
        break;
    case DTLS_MAIL_DATA: /* authentic, so after the keys */
        FUZZ_CHECK(w.n_done == 1 && mail->len > 0 && mail->len <= DTLS_MAX_DATAGRAM);
        free(mail);
        break;
    case DTLS_MAIL_DONE:
        FUZZ_CHECK(++w.n_done == 1);
        break;
    case DTLS_MAIL_PARTED: /* likewise */
        FUZZ_CHECK(w.n_done == 1 && w.peer != NULL && ++w.n_parted == 1);
        break;
    case DTLS_MAIL_CLOSED:
        abort(); /* nobody closes here */
        break;
    }
}

static void run_posted(void)
{
    void (*fn)(void *arg) = posted;

    posted = NULL;
    if (fn != NULL) {
        fn(posted_arg);
    }
}

/* ---- the network ---- */

/* Changes a datagram as the input says. Returns how often it is delivered. */
static unsigned mangle(struct datagram *d)
{
    struct datagram other;
    const uint8_t *bytes;

    switch (rbytes_u8(&w.in) % 16) {
    case 1:
        return 0;
    case 2:
        return 2;
    case 3:
        d->len = rbytes_be16(&w.in) % (d->len + 1);
        return 1;
    case 4:
        for (uint8_t n = rbytes_u8(&w.in) % 8; n > 0 && d->len > 0; n--) {
            size_t at = rbytes_be16(&w.in) % d->len;

            d->data[at] ^= rbytes_u8(&w.in);
        }
        return 1;
    case 5: /* swapped with the next that comes here */
        other = w.held;
        w.held = *d;
        *d = other;
        return d->len > 0 ? 1 : 0;
    case 6:
        bytes = fuzz_block(&w.in, DTLS_MAX_DATAGRAM, &d->len);
        memcpy(d->data, bytes, d->len);
        return 1;
    default:
        return 1;
    }
}

static void to_conn(const struct datagram *d, uint64_t now_us)
{
    uint8_t *tight = fuzz_tight(d->data, d->len);
    unsigned i = w.wanders ? rbytes_u8(&w.in) % ADDRESSES : 0;
    const struct path path = path_at(i);

    if (d->len > 0) {
        w.may_go[i] += d->len + d->len / 2;
        dtls_conn_on_datagram(&w.conn, &path, tight, d->len, now_us);
    }
    free(tight);
    run_posted();
}

static void deliver_to_conn(uint64_t now_us)
{
    size_t n = w.peer->n_out;

    for (size_t i = 0; i < n; i++) {
        struct datagram d = {.len = w.peer->out[i].len};

        memcpy(d.data, w.peer->out[i].data, d.len);
        for (unsigned times = mangle(&d); times > 0; times--) {
            to_conn(&d, now_us);
        }
    }
    w.peer->n_out = 0;
}

static void deliver_to_peer(void)
{
    for (size_t i = 0; i < w.n_sent; i++) {
        struct datagram d = w.sent[i];

        for (unsigned times = mangle(&d); times > 0; times--) {
            dtls_peer_step(w.peer, d.data, d.len);
        }
    }
    w.n_sent = 0;
}

static void shake(uint8_t how)
{
    uint64_t now_us = 1;

    for (unsigned i = 0; i < MAX_TURNS; i++) {
        dtls_peer_step(w.peer, NULL, 0);
        if (w.peer->n_out == 0 && w.n_sent == 0) {
            now_us += 1000000; /* both wait */
            if (now_us >= w.conn.deadline_us) {
                dtls_conn_on_time(&w.conn, now_us);
            }
            run_posted();
            if ((how & 8) != 0 && w.peer->done && now_us > 2000000) {
                dtls_peer_part(w.peer);
            }
            if (!fuzz_more(&w.in) && w.n_sent == 0) {
                break;
            }
        }
        deliver_to_conn(now_us);
        deliver_to_peer();
    }
}

static void check_keys(void)
{
    const struct dtls_keys *keys = &w.conn.keys;
    struct dtls_peer_keys theirs = {.key_len = 0};
    unsigned profile;

    if (w.n_done == 0 || w.conn.err != 0) {
        return;
    }
    FUZZ_CHECK(w.peer != NULL); /* nobody else can have finished it */
    profile = dtls_peer_keys(w.peer, &theirs);
    if (w.peer->done) {
        FUZZ_CHECK(profile == keys->profile && theirs.key_len == keys->key_len &&
                   theirs.salt_len == keys->salt_len);
        FUZZ_CHECK(memcmp(theirs.tx_key, keys->rx_key, theirs.key_len) == 0 &&
                   memcmp(theirs.rx_key, keys->tx_key, theirs.key_len) == 0);
        FUZZ_CHECK(memcmp(theirs.tx_salt, keys->rx_salt, theirs.salt_len) == 0 &&
                   memcmp(theirs.rx_salt, keys->tx_salt, theirs.salt_len) == 0);
    }
}

/* ---- what lives as long as the process ---- */

static SSL_CTX *ctx;
static BIO_METHOD *method;
static void on_data(void *user, const void *data, size_t len)
{
    (void)user; /* read_mail() looks at it */
    (void)data;
    (void)len;
}

static struct dtls_cert cert;
static struct dtls_peer peers[2]; /* a client, a server */
static const struct dtls_peer_conf peer_confs[2] = {
    {.profiles = "SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_128_GCM"},
    {.profiles = "SRTP_AEAD_AES_128_GCM", .server = true}};

static void begin(void)
{
    if (ctx != NULL) {
        return;
    }
    method = dtls_bio_method_new();
    FUZZ_CHECK(method != NULL && dtls_cert_init(&cert) == 0);
    ctx = dtls_cert_context(&cert);
    FUZZ_CHECK(ctx != NULL);
    dtls_conn_context(ctx);
    dtls_peer_init(&peers[0], &peer_confs[0]);
    dtls_peer_init(&peers[1], &peer_confs[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dtls_conf conf = {.post = post};
    char fingerprint[200];
    uint8_t how;

    begin();
    (void)dtls_record_sane(data, size, true);
    memset(&w, 0, sizeof(w));
    w.in = fuzz_in(data, size);
    how = rbytes_u8(&w.in);
    w.shared = (struct dtls_shared){.handshake_us = 20000000,
                                    .bio_method = method,
                                    .on_data = on_data,
                                    .box = dtls_mailbox_create(&conf, read_mail)};
    FUZZ_CHECK(w.shared.box != NULL);
    w.conn = (struct dtls_conn){.shared = &w.shared,
                                .role = (how & 1) != 0 ? DTLS_CLIENT : DTLS_SERVER,
                                .n_fps = 1,
                                .keep = (how & 4) != 0,
                                .deadline_us = UINT64_MAX,
                                .heap_index = DTLS_HEAP_NONE};
    w.conn.done = (struct dtls_mail){.conn = &w.conn, .kind = DTLS_MAIL_DONE};
    w.conn.parting_mail = (struct dtls_mail){.conn = &w.conn, .kind = DTLS_MAIL_PARTED};
    dtls_peer_fingerprint(&peers[how & 1], "sha-256", fingerprint);
    FUZZ_CHECK(dtls_fp_parse("sha-256", fingerprint, &w.conn.fps[0]) == 0);
    w.wanders = (how & 16) != 0;
    dtls_conn_start(&w.conn, ctx, 1);
    if ((how & 1) != 0) {
        const struct path path = path_at(0);
        uint32_t n = (how & 32) != 0 ? rbytes_u8(&w.in) : MANY;

        w.may_go[0] = n;
        dtls_conn_on_grant(&w.conn, &path, n, 1);
    }
    run_posted();
    if ((how & 2) == 0) {
        w.peer = &peers[how & 1];
        dtls_peer_restart(w.peer, &peer_confs[how & 1]);
        shake(how);
    } else {
        while (fuzz_more(&w.in)) {
            struct datagram d;
            const uint8_t *bytes = fuzz_block(&w.in, DTLS_MAX_DATAGRAM, &d.len);

            memcpy(d.data, bytes, d.len);
            to_conn(&d, 1);
        }
    }
    check_keys();
    dtls_conn_stop(&w.conn);
    FUZZ_CHECK(dtls_mailbox_destroy(w.shared.box) == NULL);
    return 0;
}

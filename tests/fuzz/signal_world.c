/* See signal_world.h. */
#include "signal_world.h"

#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <poll.h>

#include "sfu/wire/stun.h"
#include "sys/clock.h"
#include "sys/log.h"

struct world w;

/* ---- the listener that signal/ sees ---- */

static void learn(const char *text, size_t len)
{
    for (size_t k = 0; k < sizeof(w.ids) / sizeof(w.ids[0]); k++) {
        struct ids *ids = &w.ids[k];
        size_t key_len = strlen(ids->key);
        const char *p = memmem(text, len, ids->key, key_len);

        for (; p != NULL; p = memmem(p, len - (size_t)(p - text), ids->key, key_len)) {
            const char *end;

            p += key_len;
            end = memchr(p, '"', len - (size_t)(p - text));
            if (end == NULL || end - p >= (ptrdiff_t)sizeof(ids->at[0])) {
                break;
            }
            if (strncmp(ids->at[0], p, (size_t)(end - p)) == 0) {
                continue; /* an ack and its event say the same */
            }
            memmove(ids->at[1], ids->at[0], sizeof(ids->at[0]) * (IDS - 1));
            memset(ids->at[0], 0, sizeof(ids->at[0]));
            memcpy(ids->at[0], p, (size_t)(end - p));
        }
    }
}

enum net_method net_req_method(const struct net_req *req)
{
    return req->method;
}

bool net_req_origin(struct net_req *req, uint8_t out[NET_ORIGIN])
{
    (void)req;
    memset(out, 0x20, NET_ORIGIN);
    return true;
}

const char *net_req_remote(struct net_req *req)
{
    (void)req;
    return "unix";
}

const char *net_req_header(struct net_req *req, const char *name)
{
    (void)req;
    (void)name;
    return NULL;
}

const char *net_req_path(const struct net_req *req)
{
    (void)req;
    return SIGNAL_PATH;
}

const char *net_req_query(struct net_req *req, const char *name)
{
    return strcmp(name, "EIO") == 0         ? req->eio
           : strcmp(name, "transport") == 0 ? req->transport
           : strcmp(name, "sid") == 0       ? req->sid
                                            : NULL;
}

const void *net_req_body(const struct net_req *req, size_t *len)
{
    *len = req->len;
    return req->len > 0 ? req->body : NULL;
}

void net_req_set_data(struct net_req *req, void *data)
{
    req->data = data;
}

void *net_req_data(const struct net_req *req)
{
    return req->data;
}

void net_respond(struct net_req *req, unsigned status, const struct net_header *headers,
                 size_t n_headers, const void *body, size_t len)
{
    (void)headers;
    (void)n_headers;
    FUZZ_CHECK(!req->answered && status >= 200 && status < 600);
    req->answered = true;
    learn(body != NULL ? body : "", len);
}

struct net_buf *net_buf_create(const void *data, size_t len, bool binary, uint64_t topic)
{
    (void)topic;
    struct net_buf *buf = calloc(1, sizeof(*buf) + len);

    (void)binary;
    if (buf == NULL) {
        return NULL;
    }
    buf->refs = 1;
    buf->len = len;
    memcpy(buf->data, data, len);
    return buf;
}

struct net_buf *net_buf_ref(struct net_buf *buf)
{
    buf->refs++;
    return buf;
}

void net_buf_unref(struct net_buf *buf)
{
    if (buf != NULL && --buf->refs == 0) {
        free(buf);
    }
}

int net_ws_send(struct net_ws *ws, struct net_buf *buf)
{
    FUZZ_CHECK(ws->open);
    if (ws->must_close) {
        return -EPIPE;
    }
    learn(buf->data, buf->len);
    return 0;
}

void net_ws_close(struct net_ws *ws, unsigned code, const char *reason)
{
    (void)code;
    (void)reason;
    FUZZ_CHECK(ws->open);
    ws->must_close = true;
}

void net_ws_set_data(struct net_ws *ws, void *data)
{
    ws->data = data;
}

void *net_ws_data(const struct net_ws *ws)
{
    return ws->data;
}

/* ---- what lives as long as the process ---- */

static void on_media(void *user, bool attached)
{
    (void)user;
    if (!attached && w.meeting != NULL) {
        meeting_on_media_lost(w.meeting);
    }
}

static void mint(char out[JWT_MAX_LEN], const char *sub, const char *role,
                 const uint8_t *key, size_t key_len)
{
    struct jwt_claims claims = {.tenant = "t",
                                .meeting_id = "m",
                                .exp = (int64_t)(clock_wall_us() / 1000000) + 86400};

    (void)snprintf(claims.sub, sizeof(claims.sub), "%s", sub);
    (void)snprintf(claims.role, sizeof(claims.role), "%s", role);
    FUZZ_CHECK(jwt_mint(&claims, key, key_len, out, JWT_MAX_LEN) == JWT_OK);
}

static const uint8_t secret[] = "0123456789abcdef0123456789abcdef";

int world_make_base(void)
{
    int ret = loop_create(&w.loop);

    if (ret == 0) {
        ret = metric_registry_create(&w.metrics);
    }
    return ret != 0 ? ret : auth_create(&w.auth, secret, sizeof(secret) - 1);
}

void world_name(void)
{
    static const char *const keys[] = {
        "\"sid\":\"",         "\"transport_id\":\"",     "\"producer_id\":\"",
        "\"consumer_id\":\"", "\"usernameFragment\":\"", "\"password\":\"",
        "\"resume_token\":\""};

    log_set_level(LOG_LEVEL_ERROR);
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        w.ids[i].key = keys[i];
    }
    (void)plane_listen();
    mint(w.token[0], "host", "host", secret, sizeof(secret) - 1);
    mint(w.token[1], "guest", "guest", secret, sizeof(secret) - 1);
}

void world_begin(void)
{
    if (w.loop == NULL) {
        /* A worker may be in the midst of a handshake when the process ends: what it uses
         * stays till then. */
        FUZZ_CHECK(OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL) == 1);
        world_name();
        FUZZ_CHECK(world_make_base() == 0);
    }
}

int world_make_media(void)
{
    const struct media_conf media_conf = {.loop = w.loop, .socket = plane_path};
    struct session_registry_conf session_conf = {.loop = w.loop,
                                                 .metrics = w.metrics,
                                                 .dtls_threads = 1,
                                                 .on_media = on_media,
                                                 .user = &w};

    int ret = media_create(&w.media, &media_conf);

    if (ret == 0) {
        session_conf.media = w.media;
        ret = session_registry_create(&w.sessions, &session_conf);
    }
    return ret;
}

void world_attach(void)
{
    FUZZ_CHECK(world_make_media() == 0);
    FUZZ_CHECK(plane_welcome(&w.plane));
    loop_turn(w.loop);
    FUZZ_CHECK(media_info(w.media) != NULL);
}

bool world_welcome(unsigned patience_ms)
{
    struct pollfd fd = {.fd = plane_listen(), .events = POLLIN};

    for (unsigned i = 0; i < patience_ms && poll(&fd, 1, 0) == 0; i++) {
        loop_turn(w.loop);
        (void)usleep(1000);
    }
    if (poll(&fd, 1, 0) == 0) {
        return false;
    }
    if (!plane_welcome(&w.plane)) {
        return false;
    }
    loop_turn(w.loop);
    return true;
}

void world_close_plane(void)
{
    plane_close(&w.plane);
}

void world_detach(void)
{
    session_registry_destroy(w.sessions);
    media_destroy(w.media);
    loop_turn(w.loop); /* what DTLS had posted */
}

int world_make_signal(void)
{
    const struct signal_conf signal_conf = {.loop = w.loop,
                                            .auth = w.auth,
                                            .ping_interval_ms = 25000,
                                            .ping_timeout_ms = 20000,
                                            .max_payload = PAYLOAD_MAX,
                                            .max_clients = USERS + 1};
    const struct meeting_conf meeting_conf = {.sessions = w.sessions,
                                              .media = w.media,
                                              .max_rooms = 2,
                                              .max_participants = 2,
                                              .max_producers = 2,
                                              .max_consumers = 2,
                                              .epoch = 1,
                                              .id_prefix = "n"};

    int ret = signal_create(&w.signal, &signal_conf);

    if (ret == 0) {
        ret = meeting_create(&w.meeting, &meeting_conf, signal_meeting_ops(), w.signal);
    }
    if (ret == 0) {
        signal_set_meeting(w.signal, w.meeting);
    }
    for (unsigned i = 0; i < USERS; i++) {
        w.gets[i].user = -1;
        w.ws[i].open = false;
    }
    return ret;
}

void world_begin_signal(void)
{
    FUZZ_CHECK(world_make_signal() == 0);
    meeting_restore(w.meeting);
}

/* ---- what users do ---- */

/* Copies a text, its '$' replaced: $k and a digit. */
static size_t expand(const uint8_t *from, size_t len, char out[TEXT_MAX])
{
    static const char kinds[] = "stpcuwr"; /* as w.ids */
    size_t n = 0;

    for (size_t i = 0; i < len && n + JWT_MAX_LEN / 4 < TEXT_MAX; i++) {
        const char *put = NULL;
        const char *kind;

        if (from[i] == '$' && i + 2 < len) {
            kind = from[i + 1] != 0 ? strchr(kinds, from[i + 1]) : NULL;
            put = kind != NULL         ? w.ids[kind - kinds].at[from[i + 2] % IDS]
                  : from[i + 1] == 'j' ? w.token[from[i + 2] % 2]
                                       : NULL;
        }
        if (put != NULL) {
            memcpy(out + n, put, strlen(put));
            n += strlen(put);
            i += 2;
        } else {
            out[n++] = (char)from[i];
        }
    }
    return n;
}

/* The next block as a text. */
static size_t text_of(char out[TEXT_MAX])
{
    size_t len;
    const uint8_t *from = fuzz_block(&w.in, PAYLOAD_MAX, &len);

    return expand(from, len, out);
}

static void ws_gone(struct net_ws *ws)
{
    if (ws->open) {
        signal_on_ws_close(w.signal, ws, 1006);
        ws->open = false;
    }
}

void world_gone(unsigned user)
{
    ws_gone(&w.ws[user]);
}

/* Closes what signal/ wants closed. */
static void settle(void)
{
    for (unsigned i = 0; i < USERS; i++) {
        if (w.ws[i].open && w.ws[i].must_close) {
            ws_gone(&w.ws[i]);
        }
    }
}

static void open_ws(struct net_ws *ws, const char *sid)
{
    struct net_req req = {
        .method = NET_GET, .eio = "4", .transport = "websocket", .sid = sid, .user = -1};

    if (ws->open) {
        return;
    }
    *ws = (struct net_ws){.open = true};
    if (signal_on_ws_open(w.signal, ws, &req) != 0) {
        ws->open = false;
    }
}

static void say(struct net_ws *ws, bool binary, const char *text, size_t len)
{
    uint8_t *tight = fuzz_tight((const uint8_t *)text, len);

    if (ws->open && !ws->must_close) {
        signal_on_ws_message(w.signal, ws, tight, len, binary);
    }
    free(tight);
}

void world_say(unsigned user, const char *text)
{
    char expanded[TEXT_MAX];
    size_t len = expand((const uint8_t *)text, strlen(text), expanded);

    say(&w.ws[user], false, expanded, len);
}

void world_enter(unsigned user)
{
    open_ws(&w.ws[user], NULL);
    world_say(user, user % 2 == 0 ? "40/meeting,{\"token\":\"$j0\"}"
                                  : "40/meeting,{\"token\":\"$j1\"}");
    world_say(user, "42/meeting,1[\"room:join\",{\"meeting_id\":\"m\","
                    "\"display_name\":\"N\"}]");
}

/* The same in the dialect of older clients. */
static void enter_legacy(unsigned user)
{
    open_ws(&w.ws[user], NULL);
    world_say(user, user % 2 == 0 ? "40{\"token\":\"$j0\"}" : "40{\"token\":\"$j1\"}");
    world_say(user, "42[\"join-meeting\",{\"meetingId\":\"m\"}]");
}

/* A GET that may wait, or anything else. */
static void request(struct rbytes *in)
{
    static const char *const transports[] = {"polling", "websocket", NULL, "?"};
    uint8_t how = rbytes_u8(in);
    unsigned user = how % USERS;
    struct net_req *get = &w.gets[user];
    struct net_req req = {.method = (enum net_method)(rbytes_u8(in) % (NET_OPTIONS + 1)),
                          .eio = (how & 0x40) != 0 ? "3" : "4",
                          .transport = transports[how / 16 % 4 == 3 ? 3 : 0],
                          .sid = (how & 0x80) != 0 ? w.ids[0].at[how / 8 % IDS] : NULL,
                          .user = -1};
    char body[TEXT_MAX];
    size_t len = text_of(body);
    uint8_t *tight = fuzz_tight((const uint8_t *)body, len);

    req.body = tight;
    req.len = req.method == NET_POST ? len : 0;
    if (req.method == NET_GET) {
        if (get->method == NET_GET && !get->answered && get->user >= 0) {
            free(tight);
            return; /* one waits already */
        }
        *get = req;
        get->user = (int)user;
        get->body = NULL;
        FUZZ_CHECK(signal_on_request(w.signal, get));
    } else {
        FUZZ_CHECK(signal_on_request(w.signal, &req) && req.answered);
    }
    free(tight);
}

static void abort_get(unsigned user)
{
    struct net_req *get = &w.gets[user];

    if (get->user >= 0 && !get->answered) {
        signal_on_abort(w.signal, get);
    }
    get->user = -1;
}

/* ---- what the dataplane does ---- */

static void hmac(void *ctx, const uint8_t *data, size_t len, uint8_t out[STUN_MAC_LEN])
{
    const char *pwd = ctx;
    unsigned n = STUN_MAC_LEN;

    (void)HMAC(EVP_sha1(), pwd, (int)strlen(pwd), data, len, out, &n);
}

static void punt(uint8_t how, struct abi_datagram *d)
{
    d->path = (struct path){.family = 4, .remote_port = 5000, .local_port = 7000};
    d->path.remote_port = (uint16_t)(d->path.remote_port + (how & 6));
    plane_punt(&w.plane, d);
    plane_ring_bell(&w.plane);
    loop_turn(w.loop);
}

void world_check(uint8_t how)
{
    struct abi_datagram d = {.kind = ABI_DATAGRAM_STUN};
    uint8_t txid[STUN_TXID_LEN] = {how, (uint8_t)w.peer_port++};
    char username[64];
    struct stun_writer x;
    int n = snprintf(username, sizeof(username), "%s:x", w.ids[4].at[how / 8 % IDS]);

    stun_write_begin(&x, d.data, sizeof(d.data), STUN_BINDING_REQUEST, txid);
    stun_write_attr(&x, STUN_USERNAME, username, (uint16_t)n);
    stun_write_u32(&x, STUN_PRIORITY, 1);
    stun_write_u64(&x, STUN_ICE_CONTROLLING, 7);
    stun_write_attr(&x, STUN_USE_CANDIDATE, NULL, 0);
    stun_write_integrity(&x, hmac, w.ids[5].at[how / 8 % IDS]);
    d.len = (uint16_t)stun_write_finish(&x);
    punt(how, &d);
}

static void datagram(void)
{
    uint8_t how = rbytes_u8(&w.in);
    struct abi_datagram d = {.kind =
                                 (how & 1) != 0 ? ABI_DATAGRAM_DTLS : ABI_DATAGRAM_STUN};
    size_t len;
    const uint8_t *bytes = fuzz_block(&w.in, sizeof(d.data), &len);

    memcpy(d.data, bytes, len);
    d.len = (uint16_t)len;
    punt(how, &d);
}

static void drain(void)
{
    while (ring_peek(&w.plane.punt_out) != NULL) {
        ring_release(&w.plane.punt_out);
    }
}

void world_serve(void)
{
    (void)plane_serve(&w.plane, 0);
    loop_turn(w.loop);
}

void world_step(void)
{
    uint8_t op = rbytes_u8(&w.in);
    struct net_ws *ws = &w.ws[op / 16 % USERS];
    char text[TEXT_MAX];
    size_t len;

    switch (op % 16) {
    case 0:
        open_ws(ws, op >= 0x80 ? w.ids[0].at[0] : NULL);
        break;
    case 1:
    case 2:
    case 3:
    case 4:
        len = text_of(text);
        say(ws, false, text, len);
        break;
    case 5:
        len = text_of(text);
        say(ws, true, text, len);
        break;
    case 6:
        world_enter(op / 16 % USERS);
        break;
    case 7:
        request(&w.in);
        break;
    case 8:
        abort_get(op / 16 % USERS);
        break;
    case 9:
        ws_gone(ws);
        break;
    case 10:
        (void)plane_serve(&w.plane, rbytes_u8(&w.in) % (2u * N_ABI_OPS));
        loop_turn(w.loop);
        break;
    case 11:
        datagram();
        break;
    case 12:
        world_check(rbytes_u8(&w.in));
        break;
    case 13:
        enter_legacy(op / 16 % USERS);
        break;
    default:
        world_serve();
        break;
    }
    settle();
    drain();
}

void world_end_signal(bool sent_away)
{
    for (unsigned i = 0; i < USERS && !sent_away; i++) {
        world_gone(i);
        abort_get(i);
    }
    signal_destroy(w.signal);
    meeting_tick(w.meeting, UINT64_MAX); /* nobody is waited for any more */
    while (plane_serve(&w.plane, 0)) {
        loop_turn(w.loop);
    }
    FUZZ_CHECK(meeting_n_participants(w.meeting) == 0 && meeting_n_rooms(w.meeting) == 0);
    meeting_destroy(w.meeting);
    w.meeting = NULL;
}

void world_forget(void)
{
    for (size_t i = 0; i < sizeof(w.ids) / sizeof(w.ids[0]); i++) {
        memset(w.ids[i].at, 0, sizeof(w.ids[i].at));
    }
}

bool world_is_empty(void)
{
    const unsigned *n = w.plane.book.n_open;

    return n[0] + n[1] + n[2] == 0;
}

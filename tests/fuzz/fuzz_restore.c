/* Control begins with what an earlier one has left in the vault: a call's records with any
 * bytes changed. It rebuilds rooms, participants, producers and consumers or closes what it
 * cannot read; then clients resume and go on. Unchanged, everything must be back. */
#include "signal_world.h"

#include "sfu/base/handle.h"

enum { MAX_OPS = 24, SLOTS = 4 };

/* ---- the call that was, made by a control of this process ---- */

static uint8_t *image; /* of the vault, when that control died */
static struct ids ids[sizeof(w.ids) / sizeof(w.ids[0])];

/* A handshake is not what this is about: its outcome is written to the record. */
static void give_keys(void)
{
    for (uint32_t i = 0; i < PLANE_PEERS; i++) {
        struct vault_peer_conf conf = {.handle = HANDLE_NONE};

        if (vault_peer_read(&w.plane.vault.peers[i], &conf) == 0) {
            conf.profile = ABI_SRTP_AEAD_AES_128_GCM;
            conf.n_paths = 1;
            conf.selected = 0;
            conf.paths[0] = (struct path){
                .family = 4, .remote_port = (uint16_t)(5000 + i), .local_port = 7000};
            vault_peer_write(&w.plane.vault.peers[i], &conf);
        }
    }
}

static void live_once(void)
{
    static const char vp8[] =
        "{\"mid\":\"1\",\"codecs\":[{\"mimeType\":\"video/VP8\",\"payloadType\":96,"
        "\"clockRate\":90000,\"parameters\":{\"x\":1,\"y\":\"z\"}},{\"mimeType\":"
        "\"video/rtx\",\"payloadType\":97,\"clockRate\":90000,\"parameters\":{\"apt\":96}}"
        "],\"headerExtensions\":[{\"uri\":\"urn:ietf:params:rtp-hdrext:sdes:mid\",\"id\":4}"
        ",{\"uri\":\"urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\",\"id\":5}],"
        "\"encodings\":[{\"rid\":\"q\",\"scalabilityMode\":\"L1T3\"},{\"rid\":\"h\"}],"
        "\"rtcp\":{\"cname\":\"c\"}}";
    static const char caps[] =
        "{\"codecs\":[{\"kind\":\"video\",\"mimeType\":\"video/VP8\","
        "\"preferredPayloadType\":96,\"clockRate\":90000,\"rtcpFeedback\":[{\"type\":"
        "\"nack\"}]}],\"headerExtensions\":[]}";
    char text[2048];

    plane_open(&w.plane);
    world_attach();
    world_begin_signal();
    world_enter(0);
    world_say(0, "42/meeting,2[\"transport:create\",{\"direction\":\"send\"}]");
    world_serve();
    (void)snprintf(text, sizeof(text),
                   "42/meeting,3[\"produce\",{\"transport_id\":\"$t0\",\"kind\":\"video\","
                   "\"source\":\"camera\",\"rtp_parameters\":%s}]",
                   vp8);
    world_say(0, text);
    world_serve();
    world_enter(1);
    world_say(1, "42/meeting,2[\"transport:create\",{\"direction\":\"recv\"}]");
    world_serve();
    (void)snprintf(text, sizeof(text),
                   "42/meeting,3[\"consume\",{\"transport_id\":\"$t0\",\"producer_id\":"
                   "\"$p0\",\"rtp_capabilities\":%s}]",
                   caps);
    world_say(1, text);
    world_serve();
    give_keys();
    image = malloc(w.plane.vault_len);
    FUZZ_CHECK(image != NULL);
    memcpy(image, w.plane.vault_mem, w.plane.vault_len);
    memcpy(ids, w.ids, sizeof(ids));
    FUZZ_CHECK(w.plane.book.n_open[0] == 2 && w.plane.book.n_open[1] == 2 &&
               w.plane.book.n_open[2] > 0);
    world_end_signal(false);
    world_detach();
    plane_close(&w.plane);
}

/* ---- what is left of it ---- */

static bool spoil(void)
{
    uint8_t how = rbytes_u8(&w.in);
    uint32_t slot = how % SLOTS;
    const struct vault *v = &w.plane.vault;
    uint8_t *mem = (uint8_t *)&v->subs[slot].conf[v->subs[slot].commit & 1];
    size_t size = sizeof(v->subs[0].conf[0]);
    size_t at;
    size_t len;
    const uint8_t *bytes;

    if (how / SLOTS % 4 == 0) {
        mem = (uint8_t *)&v->peers[slot].conf[v->peers[slot].commit & 1];
        size = sizeof(v->peers[0].conf[0]);
    } else if (how / SLOTS % 4 == 1) {
        mem = (uint8_t *)&v->streams[slot].conf[v->streams[slot].commit & 1];
        size = sizeof(v->streams[0].conf[0]);
    } else if (how / SLOTS % 4 == 2) { /* anywhere behind the header */
        mem = (uint8_t *)w.plane.vault_mem + sizeof(struct vault_header);
        size = w.plane.vault_len - sizeof(struct vault_header);
    }
    at = (how & 0x80) != 0 ? rbytes_be24(&w.in) % size : rbytes_be16(&w.in) % size;
    bytes = fuzz_block(&w.in, size - at, &len);
    memcpy(mem + at, bytes, len);
    return len > 0;
}

/* A record that another slot holds as well. */
static void duplicate(void)
{
    const struct vault *v = &w.plane.vault;
    uint8_t how = rbytes_u8(&w.in);
    uint32_t from = how % SLOTS;
    uint32_t to = how / SLOTS % SLOTS;

    if (how / 16 % 3 == 0) {
        v->peers[to] = v->peers[from];
        v->peers[to].conf[0].handle = v->peers[to].conf[1].handle = handle_make(to, 99);
    } else if (how / 16 % 3 == 1) {
        v->streams[to] = v->streams[from];
        v->streams[to].conf[0].handle = v->streams[to].conf[1].handle = handle_make(to, 99);
    } else {
        v->subs[to] = v->subs[from];
        v->subs[to].conf[0].handle = v->subs[to].conf[1].handle = handle_make(to, 99);
    }
}

/* The dataplane has an object for each record that names its own slot. */
static void open_records(void)
{
    const struct vault *v = &w.plane.vault;
    struct fake_book *book = &w.plane.book;

    for (uint32_t i = 0; i < PLANE_PEERS; i++) {
        struct vault_peer_conf conf = {.handle = HANDLE_NONE};
        bool open =
            vault_peer_read(&v->peers[i], &conf) == 0 && handle_index(conf.handle) == i;

        book->peers[i] = open ? conf.handle : HANDLE_NONE;
        book->n_open[0] += open;
    }
    for (uint32_t i = 0; i < PLANE_STREAMS; i++) {
        struct vault_stream_conf conf = {.handle = HANDLE_NONE};
        bool open =
            vault_stream_read(&v->streams[i], &conf) == 0 && handle_index(conf.handle) == i;

        book->streams[i] = open ? conf.handle : HANDLE_NONE;
        book->stream_peer[i] = conf.peer;
        book->n_open[1] += open;
    }
    for (uint32_t i = 0; i < PLANE_SUBS; i++) {
        struct vault_sub_conf conf = {.handle = HANDLE_NONE};
        bool open =
            vault_sub_read(&v->subs[i], &conf) == 0 && handle_index(conf.handle) == i;

        book->subs[i] = open ? conf.handle : HANDLE_NONE;
        book->sub_peer[i] = conf.peer;
        book->sub_stream[i] = conf.stream;
        book->n_open[2] += open;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool spoilt = false;
    uint8_t how;

    world_begin();
    if (image == NULL) {
        live_once();
    }
    w.in = fuzz_in(data, size);
    how = rbytes_u8(&w.in);
    plane_open(&w.plane);
    memcpy((uint8_t *)w.plane.vault_mem, image, w.plane.vault_len);
    memcpy(w.ids, ids, sizeof(ids));
    for (uint8_t n = how >> 4; n > 0; n--) {
        if (rbytes_u8(&w.in) % 8 == 0) {
            duplicate();
            spoilt = true;
        } else {
            spoilt = spoil() || spoilt;
        }
    }
    open_records();
    world_attach();
    world_begin_signal();
    FUZZ_CHECK(spoilt || meeting_n_participants(w.meeting) == 2);
    world_serve();
    for (unsigned n = 0; n < MAX_OPS && fuzz_more(&w.in); n++) {
        world_step();
    }
    world_end_signal(how % 2 != 0);
    FUZZ_CHECK(spoilt || world_is_empty());
    world_detach();
    plane_close(&w.plane);
    return 0;
}

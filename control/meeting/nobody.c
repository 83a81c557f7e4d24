/* Nobody: a peer of the dataplane that never connects, with a stream of each kind in which
 * nothing ever comes. A viewer's subscription holds on to it while there is nothing to
 * show: so it keeps its SSRC and its numbers, which may not begin anew under the same keys,
 * and goes on when somebody sends. One a node, as long as it has viewers; see priv.h. */
#include <string.h>

#include "media/media.h"
#include "meeting/priv.h"
#include "sfu/base/handle.h"
#include "sys/entropy.h"

static const char MARK[] = "nobody"; /* the peer's record */

static const enum rtp_kind KINDS[MEETING_KINDS] = {RTP_KIND_AUDIO, RTP_KIND_VIDEO};

static bool is_held(const struct nobody *nobody)
{
    return nobody->of[0].consumers != NULL || nobody->of[1].consumers != NULL;
}

static void close_all(struct meeting *meeting)
{
    struct nobody *nobody = &meeting->nobody;

    for (unsigned i = 0; i < MEETING_KINDS; i++) {
        producer_close(nobody->of[i].producer);
    }
    /* stale if all was lost: then there is nothing to close */
    (void)media_close(meeting->conf.media, MEDIA_PEER, nobody->peer, NULL, NULL);
    memset(nobody, 0, sizeof(*nobody));
}

static int open_streams(struct meeting *meeting)
{
    struct nobody *nobody = &meeting->nobody;
    int e = 0;

    for (unsigned i = 0; i < MEETING_KINDS && e == 0; i++) {
        struct rtp_params params;
        struct rtp_error wrong;

        ortc_any_params(KINDS[i], &params);
        e = producer_create(&nobody->of[i].producer, meeting->conf.media, nobody->peer, 0,
                            KINDS[i], &params, false, NULL, NULL, &wrong);
        if (e == 0) {
            e = producer_save(nobody->of[i].producer, MARK, sizeof(MARK));
        }
    }
    return e;
}

static int open_all(struct meeting *meeting)
{
    struct vault_peer_conf conf = {.ufrag_len = 24, .pwd_len = 32};
    char text[33];
    int e;

    entropy_id(text, conf.ufrag_len);
    memcpy(conf.ufrag, text, conf.ufrag_len);
    entropy_id(text, conf.pwd_len); /* nobody is told it */
    memcpy(conf.pwd, text, conf.pwd_len);
    explicit_bzero(text, sizeof(text));
    e = media_peer_open(meeting->conf.media, &conf, NULL, NULL, &meeting->nobody.peer);
    explicit_bzero(&conf, sizeof(conf));
    if (e != 0) {
        return e;
    }
    e = media_set_blob(meeting->conf.media, MEDIA_PEER, meeting->nobody.peer, MARK,
                       sizeof(MARK));
    if (e == 0) {
        e = open_streams(meeting);
    }
    if (e != 0) {
        close_all(meeting);
    }
    meeting->nobody.open = e == 0;
    return e;
}

struct room_producer *meeting_nobody(struct meeting *meeting, enum rtp_kind kind)
{
    struct nobody *nobody = &meeting->nobody;

    if (nobody->lost || (!nobody->open && open_all(meeting) != 0)) {
        return NULL;
    }
    return &nobody->of[kind == RTP_KIND_AUDIO ? 0 : 1];
}

bool meeting_is_nobody(const struct room_producer *rp)
{
    return rp->transport == NULL;
}

void meeting_nobody_lost(struct meeting *meeting)
{
    meeting->nobody.lost = meeting->nobody.open;
}

void meeting_nobody_tick(struct meeting *meeting, uint32_t n_viewers)
{
    struct nobody *nobody = &meeting->nobody;

    if (nobody->open && !is_held(nobody) && (n_viewers == 0 || nobody->lost)) {
        close_all(meeting);
    }
}

/* ---- after a restart of this process ---- */

bool meeting_nobody_is_peer(const struct vault_blob *blob)
{
    return blob->len == sizeof(MARK) && memcmp(blob->data, MARK, sizeof(MARK)) == 0;
}

/* One of its streams is not there any more: who holds on to it has lost its subscription,
 * too. Nothing new does. */
static void on_checked(void *arg, int status)
{
    struct nobody *nobody = arg;

    nobody->lost = nobody->lost || status != 0;
}

struct room_producer *meeting_nobody_restore(struct meeting *meeting, uint64_t peer,
                                             uint64_t stream)
{
    struct nobody *nobody = &meeting->nobody;
    struct vault_stream_conf conf;
    struct room_producer *rp;

    if (nobody->peer != HANDLE_NONE && nobody->peer != peer) {
        return NULL; /* there is one */
    }
    nobody->peer = peer;
    if (stream == HANDLE_NONE ||
        media_stream_conf(meeting->conf.media, stream, &conf) != 0) {
        return NULL;
    }
    rp = &nobody->of[conf.kind == ABI_AUDIO ? 0 : 1];
    if (rp->producer != NULL || producer_restore(&rp->producer, meeting->conf.media,
                                                 &stream, 1, on_checked, nobody) != 0) {
        return NULL;
    }
    nobody->open = nobody->of[0].producer != NULL && nobody->of[1].producer != NULL;
    return rp;
}

void meeting_nobody_restored(struct meeting *meeting)
{
    if (meeting->nobody.peer != HANDLE_NONE && !meeting->nobody.open) {
        close_all(meeting); /* a part of it is nothing */
    }
}

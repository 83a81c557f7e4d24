/* Session descriptions and fragments as clients send them: any text. What is accepted is
 * written and parsed again, which must make the same; an offer that is found good is
 * answered, and its sections' parameters must be such as a producer is made from. Each is
 * also taken for the answer to an offer of ours. */
#include "fuzz.h"

#include "proto/sdp_answer.h"

static const struct sdp_candidate CANDIDATE = {.foundation = "1",
                                               .component = 1,
                                               .transport = "udp",
                                               .priority = 1,
                                               .address = "192.0.2.1",
                                               .port = 40000,
                                               .type = "host"};
static const struct sdp_local LOCAL = {.ufrag = "abcdefgh",
                                       .pwd = "abcdefghijklmnopqrstuvwx",
                                       .fingerprint = "AA:BB",
                                       .setup = SDP_PASSIVE,
                                       .id = 1,
                                       .version = 1,
                                       .n_candidates = 1,
                                       .candidates = &CANDIDATE};

/* made: the structs were not made by a parser, so behind their lists anything may stand. */
static void check_same(const struct sdp *sdp, bool fragment, bool made)
{
    char *text = sdp_write(sdp, fragment);
    struct sdp *again = NULL;
    struct sdp_error err = {.line = 0};
    size_t len = text != NULL ? strlen(text) : 0;

    if (len == 0 || len > SDP_MAX_TEXT) { /* a fragment may say nothing that we keep */
        free(text);
        return;
    }
    FUZZ_CHECK((fragment ? sdp_parse_fragment(text, len, &again, &err)
                         : sdp_parse(text, len, &again, &err)) == 0);
    if (made) {
        char *twice = sdp_write(again, fragment);

        FUZZ_CHECK(twice != NULL && strcmp(text, twice) == 0);
        free(twice);
    } else {
        FUZZ_CHECK(sdp_equal(sdp, again));
    }
    sdp_destroy(again);
    free(text);
}

static void answer(const struct sdp *offer)
{
    static struct rtp_params params;
    static struct ortc_producer producer;
    struct sdp *sdp = sdp_answer_create(offer, &LOCAL);
    struct ortc_caps caps = {0};

    FUZZ_CHECK(sdp != NULL);
    for (uint8_t i = 0; i < offer->n_media; i++) {
        struct sdp_error err = {.line = 0};
        struct rtp_error wrong = {.path = ""};
        enum rtp_kind kind =
            offer->media[i]->kind == SDP_AUDIO ? RTP_KIND_AUDIO : RTP_KIND_VIDEO;

        if (!sdp_is_offered(offer->media[i])) {
            continue;
        }
        sdp_section_caps(offer->media[i], &caps);
        if (sdp_section_params(offer->media[i], &params, &err) != 0) {
            FUZZ_CHECK(err.reason[0] != '\0');
            continue;
        }
        FUZZ_CHECK(params.n_codecs > 0 && params.n_encodings > 0);
        FUZZ_CHECK(ortc_map_producer(kind, &params, &producer, &wrong) == 0);
        if (i % 2 == 0) { /* what is sent has SSRCs of ours */
            params.encodings[0].ssrc = 5;
            params.encodings[0].rtx_ssrc = params.n_codecs > 1 ? 6 : 0;
        }
        sdp_answer_accept(sdp, i, offer->media[i], &params, i % 2 == 0 ? "stream" : NULL,
                          &LOCAL);
    }
    sdp_bundle_finish(sdp, offer, &LOCAL);
    FUZZ_CHECK(sdp->n_bundle == 0 || sdp_tagged(sdp)->n_candidates == 1);
    check_same(sdp, false, true);
    sdp_destroy(sdp);
}

/* An offer of ours, of what the sections of 'sdp' say, that 'sdp' shall be the answer to:
 * its first two sections are offered as they are there, so that a mutated text can be a
 * good answer, or a bad one at any place. */
static void ask_back(const struct sdp *sdp)
{
    struct sdp *offer = sdp_offer_create(&LOCAL);
    struct sdp_error err = {.line = 0};

    FUZZ_CHECK(offer != NULL);
    for (uint8_t i = 0; i < sdp->n_media && i < 2; i++) {
        static struct rtp_params params;
        const struct sdp_media *m = sdp->media[i];

        memset(&params, 0, sizeof(params));
        /* ours always have one */
        (void)snprintf(params.mid, sizeof(params.mid), "%s",
                       m->mid[0] != '\0' ? m->mid
                       : i == 0          ? "ours0"
                                         : "ours1");
        params.n_codecs = params.n_encodings = 1;
        params.codecs[0] = m->codecs[0];
        params.encodings[0].ssrc = i + 1u;
        FUZZ_CHECK(sdp_offer_add(offer,
                                 m->kind == SDP_AUDIO ? RTP_KIND_AUDIO : RTP_KIND_VIDEO,
                                 &params, "stream", &LOCAL) == 0);
    }
    sdp_bundle_finish(offer, NULL, &LOCAL);
    check_same(offer, false, true);
    if (sdp_answer_check(offer, sdp, &err) == 0) {
        struct sdp_transport t;
        uint8_t n = 0;

        for (uint8_t i = 0; i < sdp->n_media; i++) {
            n = (uint8_t)(n + (sdp_answer_takes(sdp, i) ? 1 : 0));
        }
        sdp_transport_of(sdp, &t);
        FUZZ_CHECK(n > 0 && t.n_fps > 0 && sdp_tagged(sdp) != NULL);
    } else {
        FUZZ_CHECK(err.reason[0] != '\0');
    }
    sdp_destroy(offer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *text = fuzz_tight(data, size);

    for (int fragment = 0; fragment < 2; fragment++) {
        struct sdp_error err = {.line = 0};
        struct sdp *sdp = NULL;
        int e = fragment != 0 ? sdp_parse_fragment((const char *)text, size, &sdp, &err)
                              : sdp_parse((const char *)text, size, &sdp, &err);

        if (e != 0) {
            FUZZ_CHECK(err.reason[0] != '\0' && sdp == NULL);
            continue;
        }
        check_same(sdp, fragment != 0, false);
        if (fragment == 0 && (sdp_offer_check(sdp, SDP_PUBLISHER, &err) == 0 ||
                              sdp_offer_check(sdp, SDP_VIEWER, &err) == 0)) {
            answer(sdp);
        }
        if (fragment == 0) {
            ask_back(sdp);
        }
        sdp_destroy(sdp);
    }
    free(text);
    return 0;
}

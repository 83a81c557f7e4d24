/* control/proto/sdp*: offers of real clients (tests/vectors/sdp, made by running them)
 * read, written, mapped to RTP parameters and answered; and everything that is refused, by
 * its reason. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "proto/sdp_answer.h"

static const struct sdp_candidate CANDIDATES[] = {
    {"1", 1, "udp", 2130706431, "192.0.2.1", 40000, "host"},
    {"2", 1, "udp", 2130706430, "2001:db8::1", 40000, "host"}};
static const struct sdp_local LOCAL = {.ufrag = "abcdefgh",
                                       .pwd = "abcdefghijklmnopqrstuvwx",
                                       .fingerprint = "AA:BB:CC",
                                       .setup = SDP_PASSIVE,
                                       .id = 7,
                                       .version = 1,
                                       .n_candidates = 2,
                                       .candidates = CANDIDATES};

static struct sdp *parse(const char *text)
{
    struct sdp_error err = {.line = 0};
    struct sdp *sdp = NULL;

    if (sdp_parse(text, strlen(text), &sdp, &err) != 0) {
        fail_msg("line %u: %s", err.line, err.reason);
    }
    return sdp;
}

static char *read_vector(const char *name)
{
    char path[512];
    char *text = calloc(1, SDP_MAX_TEXT);
    FILE *file;

    snprintf(path, sizeof(path), "%s/sdp/%s", KCS_TEST_VECTORS, name);
    file = fopen(path, "rb");
    assert_non_null(file);
    assert_non_null(text);
    assert_true(fread(text, 1, SDP_MAX_TEXT - 1, file) > 0);
    fclose(file);
    return text;
}

static struct sdp *load(const char *name)
{
    char *text = read_vector(name);
    struct sdp *sdp = parse(text);

    free(text);
    return sdp;
}

/* ---- reading and writing ---- */

static void what_is_written_reads_the_same(void **state)
{
    static const char *const names[] = {"pion.sdp",
                                        "aiortc.sdp",
                                        "chromium-simulcast.sdp",
                                        "chromium-recvonly.sdp",
                                        "rfc9725-offer.sdp",
                                        "rfc9725-answer.sdp"};
    (void)state;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct sdp *sdp = load(names[i]);
        char *text = sdp_write(sdp, false);
        struct sdp *again = parse(text);

        assert_int_equal(sdp->n_media, 2);
        assert_true(sdp_equal(sdp, again));
        sdp_destroy(again);
        free(text);
        sdp_destroy(sdp);
    }
}

static void bad_lines_are_named_by_number_and_reason(void **state)
{
    static const struct {
        const char *text;
        unsigned line;
        const char *reason;
    } cases[] = {
        {"", 0, "empty"},
        {"hello", 1, "begins with 'v=0'"},
        {"v=1\r\n", 1, "version 0"},
        {"v=0\r\no=- 1\r\n", 2, "o=: expected six"},
        {"v=0\r\no=- x 2 IN IP4 0.0.0.0\r\n", 2, "must be numbers"},
        {"v=0\r\ns=-\r\nt=0 0\r\n", 0, "no o= line"},
        {"v=0\no=- 1 2 IN IP4 0.0.0.0\ns=-\n", 0, "no t= line"},
        {"v=0\n\ns=-\n", 2, "expected a line"},
        {"v=0\nm=audio x UDP/TLS/RTP/SAVPF 0\n", 2, "expected 'KIND PORT"},
        {"v=0\nm=audio 9 UDP/TLS/RTP/SAVPF\n", 2, "no format"},
        {"v=0\nm=audio 9 UDP/TLS/RTP/SAVPF 128\n", 2, "payload type"},
        {"v=0\nm=audio 9 UDP/TLS/RTP/SAVPF 96 96\n", 2, "twice"},
        {"v=0\nm=audio 9 X 96\na=rtpmap:96 opus\n", 3, "rtpmap"},
        {"v=0\nm=audio 9 X 96\na=extmap:0 urn:x\n", 3, "extmap"},
        {"v=0\nm=audio 9 X 96\na=mid:\n", 3, "mid"},
        {"v=0\nm=audio 9 X 96\na=candidate:1 1 udp\n", 3, "candidate"},
        {"v=0\nm=audio 9 X 96\na=setup:maybe\n", 3, "setup"},
        {"v=0\nm=audio 9 X 96\na=fingerprint:sha-256\n", 3, "fingerprint"},
        {"v=0\nm=audio 9 X 96\na=rid:a! send\n", 3, "rid"},
        {"v=0\nm=audio 9 X 96\na=simulcast:push a\n", 3, "simulcast"},
        {"v=0\na=group:BUNDLE a\na=group:BUNDLE b\n", 3, "two BUNDLE"},
        {"v=0\no=- 1 2 IN IP4 0.0.0.0\ns=-\nt=0 0\nm=audio 9 X 96\na=mid:0\nm=audio 9 X "
         "96\na=mid:0\n",
         0, "two sections have the mid"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sdp_error err = {.line = 99};
        struct sdp *sdp = NULL;

        assert_int_equal(sdp_parse(cases[i].text, strlen(cases[i].text), &sdp, &err),
                         -EBADMSG);
        if (err.line != cases[i].line || strstr(err.reason, cases[i].reason) == NULL) {
            fail_msg("case %zu: line %u: %s", i, err.line, err.reason);
        }
    }
}

/* Well formed; it is for the sender to offer less. */
static void what_is_beyond_our_bounds_is_told_from_what_is_malformed(void **state)
{
    static const struct {
        const char *text;
        unsigned line;
        const char *reason;
    } cases[] = {
        {"v=0\nm=audio 9 UDP/TLS/RTP/SAVPF 64\n", 2, "rtcp-mux"},
        {"v=0\nm=audio 9 UDP/TLS/RTP/SAVPF 95\n", 2, "rtcp-mux"},
        {"v=0\nm=audio 9 X 96\na=mid:12345678901234567\n", 3, "mid"},
        {"v=0\na=group:BUNDLE 12345678901234567\n", 2, "MID"},
        {"v=0\na=fingerprint:a A\na=fingerprint:a A\na=fingerprint:a A\n"
         "a=fingerprint:a A\na=fingerprint:a A\n",
         6, "four"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sdp_error err = {.line = 99};
        struct sdp *sdp = NULL;

        assert_int_equal(sdp_parse(cases[i].text, strlen(cases[i].text), &sdp, &err),
                         -EINVAL);
        assert_int_equal(err.line, cases[i].line);
        assert_non_null(strstr(err.reason, cases[i].reason));
    }
}

static void null_characters_and_endless_texts_are_refused(void **state)
{
    struct sdp_error err = {.line = 0};
    char *text = calloc(1, SDP_MAX_TEXT + 1);
    struct sdp *sdp = NULL;
    (void)state;

    assert_int_equal(sdp_parse("v=0\0\n", 5, &sdp, &err), -EBADMSG);
    assert_int_equal(sdp_parse(text, SDP_MAX_TEXT + 1, &sdp, &err), -EBADMSG);
    free(text);
}

static void fragments_need_no_session(void **state)
{
    const char text[] = "a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n"
                        "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n"
                        "a=candidate:1 1 udp 2122260223 192.0.2.1 61764 typ host\r\n"
                        "a=candidate:2 1 udp 2122260222 0a1b.local 61764 typ host\r\n"
                        "a=candidate:3 1 atransport 2122260222 192.0.2.1 61764 typ host\r\n"
                        "a=end-of-candidates\r\n";
    struct sdp_error err = {.line = 0};
    struct sdp_transport t;
    struct sdp *sdp = NULL;
    (void)state;

    assert_int_equal(sdp_parse_fragment(text, sizeof(text) - 1, &sdp, &err), 0);
    assert_int_equal(sdp->media[0]->n_candidates, 2);
    assert_string_equal(sdp->media[0]->candidates[1].address, "0a1b.local");
    assert_true(sdp->media[0]->end_of_candidates);
    sdp_transport_of(sdp, &t);
    assert_string_equal(t.ufrag, "EsAw");
    sdp_destroy(sdp);
}

static void a_fragment_may_tell_its_credentials_in_any_section_of_the_bundle(void **state)
{
    const char text[] =
        "a=group:BUNDLE 0 1\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\n"
        "a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n";
    struct sdp_error err = {.line = 0};
    struct sdp_transport t;
    struct sdp *sdp = NULL;
    (void)state;

    assert_int_equal(sdp_parse_fragment(text, sizeof(text) - 1, &sdp, &err), 0);
    sdp_transport_of(sdp, &t);
    assert_string_equal(t.ufrag, "EsAw");
    assert_string_equal(t.pwd, "P2uYro0UCOQ4zxjKXaWCBui1");
    sdp_destroy(sdp);
}

/* ---- what clients offer ---- */

static void pion_sends_opus_and_vp8_with_rtx(void **state)
{
    struct sdp *offer = load("pion.sdp");
    struct sdp_error err = {.line = 0};
    struct rtp_params params;
    (void)state;

    assert_int_equal(sdp_offer_check(offer, SDP_PUBLISHER, &err), 0);
    assert_int_equal(sdp_section_params(offer->media[0], &params, &err), 0);
    assert_string_equal(params.codecs[0].mime, "audio/opus");
    assert_int_equal(params.codecs[0].pt, 111);
    assert_int_equal(params.n_codecs, 1);
    assert_int_equal(params.encodings[0].ssrc, 3626051724u);
    assert_string_equal(params.cname, "kcs");

    assert_int_equal(sdp_section_params(offer->media[1], &params, &err), 0);
    assert_string_equal(params.codecs[0].mime, "video/VP8");
    assert_int_equal(params.codecs[0].n_feedback, 5);
    assert_int_equal(params.n_codecs, 2);
    assert_int_equal(params.codecs[1].pt, 97);
    assert_int_equal(params.n_exts, 4);
    assert_int_equal(params.n_encodings, 1);
    assert_int_equal(params.encodings[0].ssrc, 2896877484u);
    assert_int_equal(params.encodings[0].rtx_ssrc, 2389064877u);
    sdp_destroy(offer);
}

static void aiortc_is_taken_and_its_candidates_are_read(void **state)
{
    struct sdp *offer = load("aiortc.sdp");
    struct sdp_error err = {.line = 0};
    struct sdp_transport t;
    struct rtp_params params;
    (void)state;

    assert_int_equal(sdp_offer_check(offer, SDP_PUBLISHER, &err), 0);
    sdp_transport_of(offer, &t);
    assert_int_equal(t.n_fps, 3);
    assert_int_equal(t.setup, SDP_ACTPASS);
    assert_int_equal(offer->media[0]->n_candidates, 2);
    assert_int_equal(sdp_section_params(offer->media[1], &params, &err), 0);
    assert_int_equal(params.codecs[0].pt, 97);
    assert_int_equal(params.encodings[0].rtx_ssrc, 1289373990);
    sdp_destroy(offer);
}

/* RFC 8285, section 6. */
static void extensions_that_are_offered_one_way_are_answered_the_other(void **state)
{
    struct sdp *offer = load("pion.sdp");
    struct sdp_media *m = offer->media[1];
    struct sdp_error err = {.line = 0};
    struct rtp_params params;
    struct sdp *answer = sdp_answer_create(offer, &LOCAL);
    char *text;
    (void)state;

    for (uint8_t i = 0; i < m->n_exts; i++) {
        m->exts[i].direction = m->exts[i].id == 1   ? SDP_SENDONLY
                               : m->exts[i].id == 2 ? SDP_RECVONLY
                               : m->exts[i].id == 3 ? SDP_INACTIVE
                                                    : SDP_SENDRECV;
    }
    assert_int_equal(sdp_section_params(m, &params, &err), 0);
    sdp_answer_accept(answer, 1, m, &params, NULL, &LOCAL);
    text = sdp_write(answer, false);
    assert_non_null(
        strstr(text, "a=extmap:1/recvonly urn:ietf:params:rtp-hdrext:sdes:mid"));
    assert_null(strstr(text, "a=extmap:2"));
    assert_null(strstr(text, "a=extmap:3"));
    assert_non_null(strstr(text, "a=extmap:4 http"));
    free(text);
    sdp_destroy(answer);
    sdp_destroy(offer);
}

static void simulcast_of_chromium_keeps_the_order_of_its_layers(void **state)
{
    struct sdp *offer = load("chromium-simulcast.sdp");
    struct sdp_error err = {.line = 0};
    struct rtp_params params;
    struct sdp *answer = sdp_answer_create(offer, &LOCAL);
    char *text;
    (void)state;

    assert_int_equal(sdp_section_params(offer->media[1], &params, &err), 0);
    assert_int_equal(params.n_encodings, 3);
    assert_string_equal(params.encodings[0].rid, "l");
    assert_string_equal(params.encodings[1].rid, "m"); /* paused ("~m"), in its place */
    assert_string_equal(params.encodings[2].rid, "h");
    assert_int_equal(params.encodings[0].ssrc, 0);
    assert_int_equal(params.n_exts, 9); /* what the router has, with Chromium's ids */

    sdp_answer_accept(answer, 1, offer->media[1], &params, NULL, &LOCAL);
    sdp_bundle_finish(answer, offer, &LOCAL);
    text = sdp_write(answer, false);
    assert_non_null(strstr(text, "a=group:BUNDLE 1\r\n"));
    assert_non_null(strstr(text, "m=audio 0 UDP/TLS/RTP/SAVPF 111\r\n"));
    assert_non_null(strstr(text, "m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\n"));
    assert_non_null(strstr(text, "a=rid:l recv\r\n"));
    assert_non_null(strstr(text, "a=simulcast:recv l;m;h\r\n"));
    assert_non_null(strstr(text, "a=recvonly\r\n"));
    assert_non_null(strstr(text, "a=ice-lite\r\n"));
    assert_non_null(strstr(text, "a=ice-options:trickle ice2\r\n"));
    assert_non_null(strstr(text, "a=extmap-allow-mixed\r\n"));
    assert_non_null(strstr(text, "a=setup:passive\r\n"));
    assert_non_null(strstr(text, "a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\n"));
    assert_null(strstr(text, "video-timing")); /* the router does not know it */
    free(text);
    sdp_destroy(answer);
    sdp_destroy(offer);
}

static void viewers_get_their_own_payload_types(void **state)
{
    struct sdp *offer = load("chromium-recvonly.sdp");
    struct sdp *from = load("pion.sdp");
    const struct ortc_consumer_conf conf = {
        .mid = "1", .cname = "cn", .ssrc = 1000, .rtx_ssrc = 1001};
    static struct ortc_producer producer;
    struct sdp_error err = {.line = 0};
    struct rtp_error wrong = {.path = ""};
    struct ortc_caps caps = {0};
    struct ortc_consumer consumer;
    struct rtp_params params;
    struct sdp *answer = sdp_answer_create(offer, &LOCAL);
    char *text;
    (void)state;

    assert_int_equal(sdp_offer_check(offer, SDP_VIEWER, &err), 0);
    assert_int_equal(sdp_offer_check(offer, SDP_PUBLISHER, &err), -EINVAL);
    sdp_section_caps(offer->media[0], &caps);
    sdp_section_caps(offer->media[1], &caps);
    assert_int_equal(sdp_section_params(from->media[1], &params, &err), 0);
    assert_int_equal(ortc_map_producer(RTP_KIND_VIDEO, &params, &producer, &wrong), 0);
    assert_int_equal(ortc_consume(&producer, &caps, &conf, &consumer), 0);
    ortc_consumer_params(&producer, &consumer, &params);
    assert_int_equal(params.codecs[0].pt, 96);
    assert_int_equal(params.codecs[1].pt, 97);
    assert_int_equal(params.codecs[1].fmtp[0].number, 96);

    sdp_answer_accept(answer, 1, offer->media[1], &params, "viewer", &LOCAL);
    sdp_bundle_finish(answer, offer, &LOCAL);
    text = sdp_write(answer, false);
    assert_non_null(strstr(text, "a=sendonly\r\n"));
    /* its own ids; those that travel to the node only are not taken */
    assert_non_null(strstr(text, "a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\n"));
    assert_non_null(strstr(text, "a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-"));
    assert_null(strstr(text, "rtp-stream-id"));
    assert_non_null(strstr(text, "a=msid:viewer viewer-video\r\n"));
    assert_non_null(strstr(text, "a=ssrc-group:FID 1000 1001\r\na=ssrc:1000 cname:cn\r\n"));
    assert_non_null(
        strstr(text, "a=candidate:2 1 udp 2130706430 2001:db8::1 40000 typ host"));
    free(text);
    sdp_destroy(answer);
    sdp_destroy(from);
    sdp_destroy(offer);
}

static void profiles_decide_about_codecs(void **state)
{
    static const struct {
        const char *rtpmap;
        const char *fmtp;
        int ret;
    } cases[] = {
        {"H264/90000", "packetization-mode=1;profile-level-id=42e01f", 0},
        {"H264/90000", "packetization-mode=1;profile-level-id=42c034", 0}, /* level 5.2 */
        {"h264/90000", "packetization-mode=1;profile-level-id=42E01F", 0},
        {"H264/90000", "packetization-mode=1;profile-level-id=4d0032", 0},
        {"H264/90000", "packetization-mode=0;profile-level-id=42e01f", -ENOTSUP},
        {"H264/90000", "profile-level-id=42e01f", -ENOTSUP}, /* mode 0 by default */
        {"H264/90000", "packetization-mode=1;profile-level-id=42001f", -ENOTSUP},
        {"H264/90000", "packetization-mode=1;profile-level-id=64001f", -ENOTSUP},
        {"H264/90000", "packetization-mode=1;profile-level-id=640032", -ENOTSUP},
        {"VP9/90000", "profile-id=0", 0},
        {"VP9/90000", "x=y", 0},
        {"VP9/90000", "profile-id=2", -ENOTSUP},
        {"AV1/90000", "level-idx=5;profile=0;tier=0", 0},
        {"AV1/90000", "profile=1", -ENOTSUP},
        {"VP8/48000", "x=y", -ENOTSUP},
        {"H265/90000", "x=y", -ENOTSUP},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sdp_error err = {.line = 0};
        struct rtp_params params;
        char text[512];
        struct sdp *sdp;

        snprintf(text, sizeof(text),
                 "v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\nt=0 0\nm=video 9 UDP/TLS/RTP/SAVPF 96\n"
                 "a=rtpmap:96 %s\na=fmtp:96 %s\na=ssrc:5 cname:x\n",
                 cases[i].rtpmap, cases[i].fmtp);
        sdp = parse(text);
        if (sdp_section_params(sdp->media[0], &params, &err) != cases[i].ret) {
            fail_msg("%s %s: %s", cases[i].rtpmap, cases[i].fmtp, err.reason);
        }
        sdp_destroy(sdp);
    }
}

/* Takes Pion's offer with one text in place of another; "" takes lines away. */
static void refuse(const char *from, const char *to, const char *reason)
{
    char *text = read_vector("pion.sdp");
    char *changed = calloc(1, 2 * SDP_MAX_TEXT);
    char *out = changed;
    struct sdp_error err = {.line = 0};
    struct sdp *sdp;

    for (const char *p = text; *p != '\0';) {
        if (strncmp(p, from, strlen(from)) == 0) {
            out += snprintf(out, 512, "%s", to);
            p += strlen(from);
        } else {
            *out++ = *p++;
        }
    }
    sdp = parse(changed);
    assert_int_equal(sdp_offer_check(sdp, SDP_PUBLISHER, &err), -EINVAL);
    if (strstr(err.reason, reason) == NULL) {
        fail_msg("%s: %s", from, err.reason);
    }
    sdp_destroy(sdp);
    free(changed);
    free(text);
}

/* Bundle-only sections do not repeat what belongs to the transport, and RTP/SAVPF with a
 * fingerprint is DTLS-SRTP too (RFC 9429, sections 5.2.1 and 5.1.2). */
static void a_bundle_only_section_need_not_say_rtcp_mux(void **state)
{
    const char tail[] = "a=sendonly\r\na=msid:a b\r\n";
    const char text[] =
        "v=0\r\no=- 5 0 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n"
        "m=audio 9 RTP/SAVPF 111\r\na=mid:0\r\na=rtcp-mux\r\na=setup:actpass\r\n"
        "a=ice-ufrag:EsAw\r\na=ice-pwd:bP+XJMM09aR8AiX1jdukzR6Y\r\n"
        "a=fingerprint:sha-256 "
        "DA:7B:57:DC:28:CE:04:4F:31:79:85:C4:31:67:EB:27:58:29:ED:77:2A:0D:24:AE:ED:AD:30:"
        "BC:"
        "BD:F1:9C:02\r\n"
        "a=rtpmap:111 opus/48000/2\r\n%s"
        "m=video 0 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\na=bundle-only\r\n"
        "a=rtpmap:96 VP8/90000\r\n%s";
    char whole[2048];
    struct sdp_error err = {.line = 0};
    struct sdp *sdp;
    (void)state;

    (void)snprintf(whole, sizeof(whole), text, tail, tail);
    sdp = parse(whole);
    assert_int_equal(sdp_offer_check(sdp, SDP_PUBLISHER, &err), 0);
    sdp->media[0]->rtcp_mux = false;
    sdp->media[0]->rtcp_mux_only = true; /* says it alone (RFC 8858) */
    assert_int_equal(sdp_offer_check(sdp, SDP_PUBLISHER, &err), 0);
    sdp->ice_lite = true; /* nobody would check */
    assert_int_equal(sdp_offer_check(sdp, SDP_PUBLISHER, &err), -ENOTSUP);
    assert_non_null(strstr(err.reason, "ice-lite"));
    sdp_destroy(sdp);
}

static void offers_that_will_not_do_are_refused_by_reason(void **state)
{
    (void)state;

    refuse("a=group:BUNDLE 0 1\r\n", "", "BUNDLE");
    refuse("a=group:BUNDLE 0 1\r\n", "a=group:BUNDLE 0\r\n", "BUNDLE");
    refuse("a=group:BUNDLE 0 1\r\n", "a=group:BUNDLE 7 0 1\r\n", "begins with no");
    refuse("a=fingerprint", "a=xfingerprint", "fingerprint");
    refuse("UDP/TLS/RTP/SAVPF", "RTP/AVP", "DTLS-SRTP");
    refuse("UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVPFX", "DTLS-SRTP");
    refuse("UDP/TLS/RTP/SAVPF", "X/RTP/SAVPF", "DTLS-SRTP");
    refuse("UDP/TLS/RTP/SAVPF", "udp/tls/rtp/savpf", "DTLS-SRTP");
    refuse("a=rtcp-mux\r\n", "", "rtcp-mux");
    refuse("a=ice-ufrag", "a=x", "ice-ufrag");
    refuse("a=sendonly", "a=recvonly", "sendonly");
    refuse("a=sendonly", "a=inactive", "sendonly");
    refuse("a=setup:actpass", "a=setup:holdconn", "holdconn");
    refuse("a=msid:kcs video", "a=msid:other video", "MediaStream");
    refuse("m=video", "m=audio", "two audio");
    refuse("m=video", "m=application", "only audio and video");
}

static void roles_of_dtls_are_answered(void **state)
{
    (void)state;

    assert_int_equal(sdp_setup_answer(SDP_ACTPASS), SDP_PASSIVE);
    assert_int_equal(sdp_setup_answer(SDP_ACTIVE), SDP_PASSIVE);
    assert_int_equal(sdp_setup_answer(SDP_SETUP_NONE), SDP_PASSIVE);
    assert_int_equal(sdp_setup_answer(SDP_PASSIVE), SDP_ACTIVE);
}

/* An answer to an offer of two sections, made of these two and this group. */
static int judge_answer(const struct sdp *offer, const char *group, const char *audio,
                        const char *video, const char *reason)
{
    struct sdp_error err = {.line = 0};
    struct sdp *answer;
    char text[1024];
    int ret;

    snprintf(text, sizeof(text), "v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\nt=0 0\n%s%s%s", group,
             audio, video);
    answer = parse(text);
    ret = sdp_answer_check(offer, answer, &err);
    if (ret != 0 && strstr(err.reason, reason) == NULL) {
        fail_msg("%s: %s", reason, err.reason);
    }
    sdp_destroy(answer);
    return ret;
}

#define TLS      "a=fingerprint:sha-256 AA\na=setup:active\n"
#define BUNDLE   "a=group:BUNDLE 3 4\n"
#define AUDIO    "m=audio 9 UDP/TLS/RTP/SAVPF 100\na=rtpmap:100 opus/48000/2\na=mid:3\n"
#define VIDEO    "m=video 9 UDP/TLS/RTP/SAVPF 101\na=rtpmap:101 VP8/90000\na=mid:4\n"
#define NO_VIDEO "m=video 0 UDP/TLS/RTP/SAVPF 101\na=mid:4\n"

static void own_offers_and_their_answers(void **state)
{
    static const struct {
        const char *group, *audio, *video, *reason; /* NULL: taken */
    } cases[] = {
        {BUNDLE TLS, AUDIO "a=recvonly\n", VIDEO "a=recvonly\n", NULL},
        {BUNDLE TLS "a=recvonly\n", AUDIO, VIDEO "a=inactive\n", NULL},
        {TLS, AUDIO "a=recvonly\n", NO_VIDEO, NULL},
        {TLS, AUDIO "a=recvonly\n", "", "2 sections, the answer 1"},
        {TLS, AUDIO "a=recvonly\n", VIDEO "a=recvonly\n", "section 0 is not in the BUNDLE"},
        {"a=group:BUNDLE 3\n" TLS, AUDIO "a=recvonly\n", VIDEO "a=recvonly\n",
         "section 1 is not in the BUNDLE"},
        {BUNDLE TLS, AUDIO "a=sendonly\n", NO_VIDEO, "must be recvonly"},
        {BUNDLE TLS, AUDIO "a=sendrecv\n", NO_VIDEO, "must be recvonly"},
        {"a=group:BUNDLE 9 3\n" TLS, AUDIO "a=recvonly\n", NO_VIDEO, "begins with no"},
        {"a=group:BUNDLE 4 3\n" TLS, AUDIO "a=recvonly\n", NO_VIDEO, "begins with no"},
        {BUNDLE TLS, AUDIO, NO_VIDEO, "must be recvonly"}, /* sendrecv by default */
        {BUNDLE TLS, AUDIO "a=inactive\n", NO_VIDEO, "receives none"},
        {BUNDLE TLS, "m=audio 0 UDP/TLS/RTP/SAVPF 100\na=mid:3\n", NO_VIDEO,
         "receives none"},
        {BUNDLE "a=setup:active\n", AUDIO "a=recvonly\n", NO_VIDEO, "no fingerprint"},
        {BUNDLE TLS "a=ice-lite\n", AUDIO "a=recvonly\n", NO_VIDEO, "ice-lite"},
        {BUNDLE "a=fingerprint:sha-256 AA\na=setup:actpass\n", AUDIO "a=recvonly\n",
         NO_VIDEO, "setup:active or"},
        {BUNDLE TLS, "m=audio 9 UDP/TLS/RTP/SAVPF 99\na=mid:3\na=recvonly\n", NO_VIDEO,
         "none of the codecs"},
        {BUNDLE TLS, "m=video 9 UDP/TLS/RTP/SAVPF 100\na=mid:3\na=recvonly\n", NO_VIDEO,
         "none of the codecs"},
        {BUNDLE TLS, "m=audio 9 UDP/TLS/RTP/SAVPF 100\na=mid:5\na=recvonly\n", NO_VIDEO,
         "another mid"},
    };
    struct rtp_params params = {.mid = "3",
                                .cname = "cn",
                                .n_codecs = 1,
                                .n_encodings = 1,
                                .codecs = {{.mime = "audio/opus",
                                            .kind = RTP_KIND_AUDIO,
                                            .pt = 100,
                                            .clock_rate = 48000,
                                            .channels = 2}},
                                .encodings = {{.ssrc = 5}}};
    struct sdp *offer = sdp_offer_create(&LOCAL);
    char *text;
    (void)state;

    assert_int_equal(sdp_offer_add(offer, RTP_KIND_AUDIO, &params, "s", &LOCAL), 0);
    params.codecs[0] = (struct rtp_codec){
        .mime = "video/VP8", .kind = RTP_KIND_VIDEO, .pt = 101, .clock_rate = 90000};
    strcpy(params.mid, "4");
    params.encodings[0].ssrc = 6;
    assert_int_equal(sdp_offer_add(offer, RTP_KIND_VIDEO, &params, "s", &LOCAL), 0);
    sdp_bundle_finish(offer, NULL, &LOCAL);
    text = sdp_write(offer, false);
    assert_non_null(strstr(text, "a=group:BUNDLE 3 4\r\n"));
    assert_non_null(strstr(text, "a=ice-options:trickle ice2\r\n"));
    assert_true(strstr(text, "a=candidate:1 ") < strstr(text, "m=video"));
    free(text);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int ret = judge_answer(offer, cases[i].group, cases[i].audio, cases[i].video,
                               cases[i].reason != NULL ? cases[i].reason : "");

        if (ret != (cases[i].reason != NULL ? -EINVAL : 0)) {
            fail_msg("case %zu: %d", i, ret);
        }
    }
    sdp_destroy(offer);
}

/* The group's order is the offer's: its first section carries the transport, and with it
 * the candidates (RFC 9143, section 7.3). */
static void the_tagged_section_is_the_first_of_the_offers_group(void **state)
{
    char *offered = read_vector("pion.sdp");
    struct sdp_error err = {.line = 0};
    struct rtp_params params;
    struct sdp *offer;
    struct sdp *answer;
    char *text;
    char *video;
    char *at = strstr(offered, "a=group:BUNDLE 0 1");
    (void)state;

    assert_non_null(at);
    memcpy(at, "a=group:BUNDLE 1 0", strlen("a=group:BUNDLE 1 0"));
    offer = parse(offered);
    for (uint8_t refused = 0; refused < 2; refused++) {
        answer = sdp_answer_create(offer, &LOCAL);
        for (uint8_t i = 0; i < 2 - refused; i++) {
            assert_int_equal(sdp_section_params(offer->media[i], &params, &err), 0);
            sdp_answer_accept(answer, i, offer->media[i], &params, NULL, &LOCAL);
        }
        sdp_bundle_finish(answer, offer, &LOCAL);
        text = sdp_write(answer, false);
        video = strstr(text, "m=video");
        assert_non_null(video);
        if (refused == 0) {
            assert_non_null(strstr(text, "a=group:BUNDLE 1 0\r\n"));
            assert_string_equal(sdp_tagged(answer)->mid, "1");
            assert_true(strstr(text, "a=candidate:") > video);
        } else { /* what was offered first is refused: the next is it */
            assert_non_null(strstr(text, "a=group:BUNDLE 0\r\n"));
            assert_string_equal(sdp_tagged(answer)->mid, "0");
            assert_true(strstr(text, "a=candidate:") < video);
        }
        free(text);
        sdp_destroy(answer);
    }
    sdp_destroy(offer);
    free(offered);
}

/* The offer of RFC 9725's example, and whether what we answer agrees with its answer in all
 * that is not an address, a key or a choice of ours. */
static void the_example_of_rfc9725_is_answered_as_there(void **state)
{
    static const char *const lines[] = {
        "a=group:BUNDLE 0 1\r\n",
        "a=extmap-allow-mixed\r\n",
        "a=ice-lite\r\n",
        "a=ice-options:trickle ice2\r\n",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n",
        "a=setup:passive\r\n",
        "a=mid:0\r\n",
        "a=recvonly\r\n",
        "a=rtcp-mux\r\n",
        "a=rtcp-mux-only\r\n",
        "a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\n",
        "a=rtpmap:111 opus/48000/2\r\n",
        "a=fmtp:111 minptime=10;useinbandfec=1\r\n",
        "a=mid:1\r\n",
        "a=extmap:10 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\n",
        "a=extmap:11 urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id\r\n",
        "a=rtpmap:96 VP8/90000\r\n",
        "a=rtcp-fb:96 ccm fir\r\n",
        "a=rtcp-fb:96 nack\r\n",
        "a=rtcp-fb:96 nack pli\r\n",
        "a=rtpmap:97 rtx/90000\r\n",
        "a=fmtp:97 apt=96\r\n"};
    char *example = read_vector("rfc9725-answer.sdp");
    struct sdp *offer = load("rfc9725-offer.sdp");
    struct sdp *answer = sdp_answer_create(offer, &LOCAL);
    struct sdp_error err = {.line = 0};
    struct rtp_params params;
    char *text;
    (void)state;

    assert_int_equal(offer->transport.ice_options, SDP_ICE_TRICKLE | SDP_ICE_ICE2);
    if (sdp_offer_check(offer, SDP_PUBLISHER, &err) != 0) {
        fail_msg("%s", err.reason);
    }
    for (uint8_t i = 0; i < 2; i++) {
        if (sdp_section_params(offer->media[i], &params, &err) != 0) {
            fail_msg("%s", err.reason);
        }
        sdp_answer_accept(answer, i, offer->media[i], &params, NULL, &LOCAL);
    }
    sdp_bundle_finish(answer, offer, &LOCAL);
    text = sdp_write(answer, false);
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        if (strstr(example, lines[i]) == NULL || strstr(text, lines[i]) == NULL) {
            fail_msg("%sis not in\n%s", lines[i], text);
        }
    }
    free(text);
    free(example);
    sdp_destroy(answer);
    sdp_destroy(offer);
}

static void a_disabled_section_does_not_count(void **state)
{
    struct sdp *offer = load("rfc9725-offer.sdp");
    struct sdp_error err = {.line = 0};
    (void)state;

    assert_true(sdp_is_offered(offer->media[1])); /* in the bundle only */
    offer->media[1]->bundle_only = false;
    offer->media[1]->mid[0] = '\0'; /* and whatever else would be wrong with it */
    assert_false(sdp_is_offered(offer->media[1]));
    assert_int_equal(sdp_offer_check(offer, SDP_PUBLISHER, &err), 0);
    offer->media[0]->port = 0;
    assert_int_equal(sdp_offer_check(offer, SDP_PUBLISHER, &err), -EINVAL);
    assert_non_null(strstr(err.reason, "disabled"));
    sdp_destroy(offer);
}

/* RFC 8853, section 5.1: each RID of a=simulcast has a line of its own, for its direction.
 */
static void simulcast_needs_its_rid_lines(void **state)
{
    static const char *const bad[] = {"a=rid:a send\na=simulcast:send a;b\n",
                                      "a=rid:a send\na=rid:b recv\na=simulcast:send a;~b\n",
                                      "a=simulcast:send a;b\n"};
    (void)state;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct sdp_error err = {.line = 0};
        struct rtp_params params;
        char text[512];
        struct sdp *sdp;

        snprintf(text, sizeof(text),
                 "v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\nt=0 0\nm=video 9 UDP/TLS/RTP/SAVPF 96\n"
                 "a=rtpmap:96 VP8/90000\na=extmap:2 "
                 "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\n%s",
                 bad[i]);
        sdp = parse(text);
        assert_int_equal(sdp_section_params(sdp->media[0], &params, &err), -EINVAL);
        assert_non_null(strstr(err.reason, "there is no a=rid:"));
        sdp_destroy(sdp);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_reads_the_same),
        cmocka_unit_test(bad_lines_are_named_by_number_and_reason),
        cmocka_unit_test(what_is_beyond_our_bounds_is_told_from_what_is_malformed),
        cmocka_unit_test(null_characters_and_endless_texts_are_refused),
        cmocka_unit_test(fragments_need_no_session),
        cmocka_unit_test(a_fragment_may_tell_its_credentials_in_any_section_of_the_bundle),
        cmocka_unit_test(pion_sends_opus_and_vp8_with_rtx),
        cmocka_unit_test(aiortc_is_taken_and_its_candidates_are_read),
        cmocka_unit_test(extensions_that_are_offered_one_way_are_answered_the_other),
        cmocka_unit_test(simulcast_of_chromium_keeps_the_order_of_its_layers),
        cmocka_unit_test(viewers_get_their_own_payload_types),
        cmocka_unit_test(profiles_decide_about_codecs),
        cmocka_unit_test(a_bundle_only_section_need_not_say_rtcp_mux),
        cmocka_unit_test(offers_that_will_not_do_are_refused_by_reason),
        cmocka_unit_test(roles_of_dtls_are_answered),
        cmocka_unit_test(own_offers_and_their_answers),
        cmocka_unit_test(the_tagged_section_is_the_first_of_the_offers_group),
        cmocka_unit_test(the_example_of_rfc9725_is_answered_as_there),
        cmocka_unit_test(a_disabled_section_does_not_count),
        cmocka_unit_test(simulcast_needs_its_rid_lines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "proto/ortc_table.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "proto/h264_profile.h"

enum {
    VIDEO_FEEDBACK = ORTC_FB_NACK | ORTC_FB_NACK_PLI | ORTC_FB_CCM_FIR | ORTC_FB_GOOG_REMB |
                     ORTC_FB_TRANSPORT_CC | ORTC_FB_RRTR,
    AUDIO_FEEDBACK = ORTC_FB_NACK | ORTC_FB_TRANSPORT_CC | ORTC_FB_RRTR
};

static const struct {
    enum ortc_feedback bit;
    const char *type;
    const char *parameter;
} FEEDBACK[] = {
    {ORTC_FB_NACK, "nack", ""},
    {ORTC_FB_NACK_PLI, "nack", "pli"},
    {ORTC_FB_CCM_FIR, "ccm", "fir"},
    {ORTC_FB_GOOG_REMB, "goog-remb", ""},
    {ORTC_FB_TRANSPORT_CC, "transport-cc", ""},
    {ORTC_FB_RRTR, "rrtr", ""},
};

enum { N_FEEDBACK = sizeof(FEEDBACK) / sizeof(FEEDBACK[0]) };

/* Running calls were told these payload types and outlive this process: add, never
 * renumber. */
const struct ortc_entry ortc_entries[ORTC_N_ENTRIES] = {
    {ORTC_OPUS,
     ORTC_NO_PT,
     {.mime = "audio/opus",
      .kind = RTP_KIND_AUDIO,
      .pt = 100,
      .clock_rate = 48000,
      .channels = 2}},
    {ORTC_VP8,
     102,
     {.mime = "video/VP8", .kind = RTP_KIND_VIDEO, .pt = 101, .clock_rate = 90000}},
    {ORTC_VP9,
     104,
     {.mime = "video/VP9",
      .kind = RTP_KIND_VIDEO,
      .pt = 103,
      .clock_rate = 90000,
      .n_fmtp = 1,
      .fmtp = {{.name = "profile-id", .is_number = true, .number = 0}}}},
    {ORTC_H264,
     106,
     {.mime = "video/H264",
      .kind = RTP_KIND_VIDEO,
      .pt = 105,
      .clock_rate = 90000,
      .n_fmtp = 3,
      .fmtp = {{.name = "packetization-mode", .is_number = true, .number = 1},
               {.name = "profile-level-id", .text = "42e01f"},
               {.name = "level-asymmetry-allowed", .is_number = true, .number = 1}}}},
    {ORTC_H264,
     108,
     {.mime = "video/H264",
      .kind = RTP_KIND_VIDEO,
      .pt = 107,
      .clock_rate = 90000,
      .n_fmtp = 3,
      .fmtp = {{.name = "packetization-mode", .is_number = true, .number = 1},
               {.name = "profile-level-id", .text = "4d0032"},
               {.name = "level-asymmetry-allowed", .is_number = true, .number = 1}}}},
    {ORTC_AV1,
     110,
     {.mime = "video/AV1", .kind = RTP_KIND_VIDEO, .pt = 109, .clock_rate = 90000}},
};

/* By enum ortc_ext. ORTC_SEND: also on what the router sends; the others it only receives,
 * for they describe layers, of which a consumer gets one stream. Transport-wide numbers are
 * sent on video only, as in mediasoup: that is where the bits are. */
static const struct {
    const char *uri;
    uint8_t audio; /* 0, ORTC_RECV or ORTC_RECV | ORTC_SEND */
    uint8_t video;
} EXTS[ORTC_N_EXTS] = {
    [ORTC_EXT_MID] = {"urn:ietf:params:rtp-hdrext:sdes:mid", ORTC_RECV | ORTC_SEND,
                      ORTC_RECV | ORTC_SEND},
    [ORTC_EXT_RID] = {"urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id", 0, ORTC_RECV},
    [ORTC_EXT_REPAIRED_RID] = {"urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id", 0,
                               ORTC_RECV},
    [ORTC_EXT_ABS_SEND_TIME] =
        {"http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
         ORTC_RECV | ORTC_SEND, ORTC_RECV | ORTC_SEND},
    [ORTC_EXT_TRANSPORT_CC] = {"http://www.ietf.org/id/"
                               "draft-holmer-rmcat-transport-wide-cc-extensions-01",
                               ORTC_RECV, ORTC_RECV | ORTC_SEND},
    [ORTC_EXT_AUDIO_LEVEL] = {"urn:ietf:params:rtp-hdrext:ssrc-audio-level",
                              ORTC_RECV | ORTC_SEND, 0},
    [ORTC_EXT_DEPENDENCY] = {"https://aomediacodec.github.io/av1-rtp-spec/"
                             "#dependency-descriptor-rtp-header-extension",
                             0, ORTC_RECV | ORTC_SEND},
    [ORTC_EXT_VIDEO_ORIENTATION] = {"urn:3gpp:video-orientation", 0, ORTC_RECV | ORTC_SEND},
    [ORTC_EXT_TOFFSET] = {"urn:ietf:params:rtp-hdrext:toffset", 0, ORTC_RECV},
    [ORTC_EXT_ABS_CAPTURE_TIME] =
        {"http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time",
         ORTC_RECV | ORTC_SEND, ORTC_RECV | ORTC_SEND},
    [ORTC_EXT_PLAYOUT_DELAY] =
        {"http://www.webrtc.org/experiments/rtp-hdrext/playout-delay",
         ORTC_RECV | ORTC_SEND, ORTC_RECV | ORTC_SEND},
};

uint8_t ortc_ext_use(size_t ext, enum rtp_kind kind)
{
    return kind == RTP_KIND_AUDIO ? EXTS[ext].audio : EXTS[ext].video;
}

const char *ortc_ext_uri(size_t ext)
{
    return EXTS[ext].uri;
}

uint8_t ortc_ext_by_uri(const char *uri, enum rtp_kind kind)
{
    for (uint8_t i = 1; i < ORTC_N_EXTS; i++) {
        if (ortc_ext_use(i, kind) != 0 && strcmp(EXTS[i].uri, uri) == 0) {
            return i;
        }
    }
    return 0;
}

/* ---- matching codecs ---- */

/* Some SDP parsers turn a profile-level-id of digits alone ("640032") into a number. */
static void profile_text(const struct rtp_codec *codec, char out[48])
{
    const struct rtp_fmtp *p = rtp_codec_fmtp(codec, "profile-level-id");

    if (p == NULL) {
        out[0] = '\0';
    } else if (p->is_number) {
        snprintf(out, 48, "%06lld", (long long)p->number);
    } else {
        strcpy(out, p->text);
    }
}

static bool same_h264_profile(const struct rtp_codec *a, const struct rtp_codec *b)
{
    enum h264_profile pa;
    enum h264_profile pb;
    uint8_t level;
    char text[48];

    profile_text(a, text);
    if (h264_profile_parse(text, &pa, &level) != 0) {
        return false;
    }
    profile_text(b, text);
    return h264_profile_parse(text, &pb, &level) == 0 && pa == pb;
}

static bool same_number(const struct rtp_codec *a, const struct rtp_codec *b,
                        const char *name)
{
    return rtp_codec_number(a, name, 0) == rtp_codec_number(b, name, 0);
}

int ortc_find_entry(const struct rtp_codec *codec)
{
    for (int i = 0; i < ORTC_N_ENTRIES; i++) {
        const struct rtp_codec *e = &ortc_entries[i].rtp;

        if (strcasecmp(codec->mime, e->mime) != 0 || codec->clock_rate != e->clock_rate ||
            codec->channels != e->channels) {
            continue;
        }
        switch (ortc_entries[i].codec) {
        case ORTC_H264:
            if (!same_number(codec, e, "packetization-mode") ||
                !same_h264_profile(codec, e)) {
                continue;
            }
            break;
        case ORTC_VP9:
            if (!same_number(codec, e, "profile-id")) {
                continue;
            }
            break;
        case ORTC_AV1:
            if (!same_number(codec, e, "profile")) {
                continue;
            }
            break;
        case ORTC_OPUS:
        case ORTC_VP8:
            break;
        }
        return i;
    }
    return -1;
}

uint8_t ortc_entry_feedback(int entry)
{
    return ortc_entries[entry].rtp.kind == RTP_KIND_AUDIO ? AUDIO_FEEDBACK : VIDEO_FEEDBACK;
}

void ortc_feedback_to_codec(uint8_t bits, struct rtp_codec *out)
{
    out->n_feedback = 0;
    for (size_t i = 0; i < N_FEEDBACK; i++) {
        if ((bits & FEEDBACK[i].bit) != 0) {
            struct rtp_feedback *fb = &out->feedback[out->n_feedback++];

            memset(fb, 0, sizeof(*fb));
            strcpy(fb->type, FEEDBACK[i].type);
            strcpy(fb->parameter, FEEDBACK[i].parameter);
        }
    }
}

uint8_t ortc_feedback_of_codec(const struct rtp_codec *codec)
{
    uint8_t bits = 0;

    for (uint8_t i = 0; i < codec->n_feedback; i++) {
        for (size_t j = 0; j < N_FEEDBACK; j++) {
            if (strcmp(codec->feedback[i].type, FEEDBACK[j].type) == 0 &&
                strcmp(codec->feedback[i].parameter, FEEDBACK[j].parameter) == 0) {
                bits |= (uint8_t)FEEDBACK[j].bit;
            }
        }
    }
    return bits;
}

void ortc_rtx_codec(enum rtp_kind kind, uint8_t pt, uint8_t apt, struct rtp_codec *out)
{
    memset(out, 0, sizeof(*out));
    snprintf(out->mime, sizeof(out->mime), "%s/rtx", rtp_kind_name(kind));
    out->kind = kind;
    out->pt = pt;
    out->clock_rate = 90000;
    out->n_fmtp = 1;
    strcpy(out->fmtp[0].name, "apt");
    out->fmtp[0].is_number = true;
    out->fmtp[0].number = apt;
}

/* ---- the router's capabilities ---- */

static int append_codec(json_t *array, const struct rtp_codec *codec)
{
    json_t *json = rtp_codec_write(codec, "preferredPayloadType");

    if (json == NULL ||
        json_object_set_new(json, "kind", json_string(rtp_kind_name(codec->kind))) != 0) {
        json_decref(json);
        return -ENOMEM;
    }
    return json_array_append_new(array, json) == 0 ? 0 : -ENOMEM;
}

static int append_ext(json_t *array, uint8_t id, enum rtp_kind kind)
{
    uint8_t use = ortc_ext_use(id, kind);

    if (use == 0) {
        return 0;
    }
    return json_array_append_new(
        array, json_pack("{s:s,s:s,s:i,s:b,s:s}", "kind", rtp_kind_name(kind), "uri",
                         EXTS[id].uri, "preferredId", (int)id, "preferredEncrypt", 0,
                         "direction", (use & ORTC_SEND) != 0 ? "sendrecv" : "recvonly"));
}

json_t *ortc_router_capabilities(void)
{
    json_t *codecs = json_array();
    json_t *exts = json_array();
    int err = 0;

    for (int i = 0; i < ORTC_N_ENTRIES && err == 0; i++) {
        struct rtp_codec codec = ortc_entries[i].rtp;

        ortc_feedback_to_codec(ortc_entry_feedback(i), &codec);
        err = append_codec(codecs, &codec);
        if (err == 0 && ortc_entries[i].rtx_pt != ORTC_NO_PT) {
            ortc_rtx_codec(ortc_entries[i].rtp.kind, ortc_entries[i].rtx_pt,
                           ortc_entries[i].rtp.pt, &codec);
            err = append_codec(codecs, &codec);
        }
    }
    for (uint8_t i = 1; i < ORTC_N_EXTS && err == 0; i++) {
        err = append_ext(exts, i, RTP_KIND_AUDIO);
        if (err == 0) {
            err = append_ext(exts, i, RTP_KIND_VIDEO);
        }
    }
    if (err != 0) {
        json_decref(codecs);
        json_decref(exts);
        return NULL;
    }
    return json_pack("{s:o,s:o}", "codecs", codecs, "headerExtensions", exts);
}

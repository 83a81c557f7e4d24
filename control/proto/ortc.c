#include "proto/ortc.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "proto/ortc_table.h"

enum { MAX_CAPS = 64 /* codecs, and extensions, in one rtpCapabilities */ };

/* ---- producers ---- */

/* Names a codec that is not to be had, with what makes H.264, VP9 and AV1 differ. */
static int unsupported_codec(const struct rtp_codec *codec, size_t i, struct rtp_error *err)
{
    static const char *const names[] = {"profile-level-id", "packetization-mode",
                                        "profile-id", "profile"};
    char text[160];
    int n = snprintf(text, sizeof(text), "unsupported: %s", codec->mime);

    for (size_t j = 0; j < sizeof(names) / sizeof(names[0]); j++) {
        const struct rtp_fmtp *p = rtp_codec_fmtp(codec, names[j]);

        if (p == NULL || n >= (int)sizeof(text)) {
            continue;
        }
        if (p->is_number) {
            n += snprintf(text + n, sizeof(text) - (size_t)n, " %s=%lld", names[j],
                          (long long)p->number);
        } else {
            n += snprintf(text + n, sizeof(text) - (size_t)n, " %s=%s", names[j], p->text);
        }
    }
    return rtp_fail(err, -ENOTSUP, text, "/codecs/%zu", i);
}

static int map_media_codec(const struct rtp_codec *codec, size_t i,
                           struct ortc_producer *out, struct rtp_error *err)
{
    struct ortc_codec_map *map = &out->codecs[out->n_codecs];
    int entry = ortc_find_entry(codec);

    if (codec->kind != out->kind) {
        return rtp_fail(err, -EINVAL, "not of the producer's kind", "/codecs/%zu/mimeType",
                        i);
    }
    if (entry < 0) {
        return unsupported_codec(codec, i, err);
    }
    if (out->n_codecs == ORTC_MAX_CODECS) {
        return rtp_fail(err, -EINVAL, "too many", "/codecs");
    }
    for (uint8_t j = 0; j < out->n_codecs; j++) {
        if (out->codecs[j].entry == entry) {
            return rtp_fail(err, -EINVAL, "stands twice", "/codecs/%zu", i);
        }
    }
    map->entry = (uint8_t)entry;
    map->codec = (uint8_t)ortc_entries[entry].codec;
    map->pt = codec->pt;
    map->rtx_pt = ORTC_NO_PT;
    map->router_pt = ortc_entries[entry].rtp.pt;
    map->router_rtx_pt = ortc_entries[entry].rtx_pt;
    map->n_fmtp = codec->n_fmtp;
    map->nack = (ortc_feedback_of_codec(codec) & ORTC_FB_NACK) != 0;
    map->remb = (ortc_feedback_of_codec(codec) & ORTC_FB_GOOG_REMB) != 0;
    memcpy(map->fmtp, codec->fmtp, sizeof(map->fmtp));
    out->n_codecs++;
    return 0;
}

static int map_rtx_codec(const struct rtp_codec *codec, size_t i, struct ortc_producer *out,
                         struct rtp_error *err)
{
    int64_t apt = rtp_codec_number(codec, "apt", -1);

    for (uint8_t j = 0; j < out->n_codecs; j++) {
        struct ortc_codec_map *map = &out->codecs[j];

        if (map->pt != apt) {
            continue;
        }
        if (map->router_rtx_pt == ORTC_NO_PT) {
            return unsupported_codec(codec, i, err);
        }
        if (map->rtx_pt != ORTC_NO_PT) {
            return rtp_fail(err, -EINVAL, "stands twice", "/codecs/%zu/parameters/apt", i);
        }
        map->rtx_pt = codec->pt;
        return 0;
    }
    return rtp_fail(err, -EINVAL, "no codec has this payload type",
                    "/codecs/%zu/parameters/apt", i);
}

static int map_exts(const struct rtp_params *params, struct ortc_producer *out,
                    struct rtp_error *err)
{
    for (uint8_t i = 0; i < params->n_exts; i++) {
        uint8_t id = ortc_ext_by_uri(params->exts[i].uri, out->kind);
        char text[160];

        if (id == 0) {
            snprintf(text, sizeof(text), "unsupported: %s", params->exts[i].uri);
            return rtp_fail(err, -ENOTSUP, text, "/headerExtensions/%u/uri", i);
        }
        out->ext_id[id] = params->exts[i].id;
    }
    return 0;
}

int ortc_map_producer(enum rtp_kind kind, const struct rtp_params *params,
                      struct ortc_producer *out, struct rtp_error *err)
{
    int rc = 0;

    memset(out, 0, sizeof(*out));
    out->kind = kind;
    strcpy(out->mid, params->mid);
    strcpy(out->cname, params->cname);
    out->n_encodings = params->n_encodings;
    memcpy(out->encodings, params->encodings, sizeof(out->encodings));

    for (uint8_t i = 0; i < params->n_codecs && rc == 0; i++) {
        if (!rtp_codec_is_rtx(&params->codecs[i])) {
            rc = map_media_codec(&params->codecs[i], i, out, err);
        }
    }
    for (uint8_t i = 0; i < params->n_codecs && rc == 0; i++) {
        if (rtp_codec_is_rtx(&params->codecs[i])) {
            rc = map_rtx_codec(&params->codecs[i], i, out, err);
        }
    }
    if (rc == 0 && out->n_codecs == 0) {
        rc = rtp_fail(err, -EINVAL, "no media codec", "/codecs");
    }
    return rc != 0 ? rc : map_exts(params, out, err);
}

/* ---- consumers ---- */

static const json_t *caps_array(const json_t *json, const char *name, struct rtp_error *err)
{
    const json_t *array = json_object_get(json, name);

    if (!json_is_array(array)) {
        rtp_fail(err, -EINVAL, array == NULL ? "missing" : "not an array", "/%s", name);
        return NULL;
    }
    if (json_array_size(array) > MAX_CAPS) {
        rtp_fail(err, -EINVAL, "too many", "/%s", name);
        return NULL;
    }
    return array;
}

static int parse_caps_codecs(const json_t *array, struct ortc_caps *out,
                             struct rtp_error *err)
{
    uint8_t pt_of[ORTC_N_ENTRIES];
    struct rtp_codec codec;

    memset(pt_of, ORTC_NO_PT, sizeof(pt_of));
    /* Twice: RTX names its codec by payload type, and may stand in front of it. */
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < json_array_size(array); i++) {
            char path[32];
            int entry;

            snprintf(path, sizeof(path), "/codecs/%zu", i);
            if (rtp_codec_parse(json_array_get(array, i), "preferredPayloadType", path,
                                &codec, err) != 0) {
                return -EINVAL;
            }
            if (rtp_codec_is_rtx(&codec) != (pass == 1)) {
                continue;
            }
            if (pass == 1) {
                int64_t apt = rtp_codec_number(&codec, "apt", -1);

                for (entry = 0; entry < ORTC_N_ENTRIES; entry++) {
                    if (pt_of[entry] == apt && ortc_entries[entry].rtx_pt != ORTC_NO_PT) {
                        out->rtx |= (uint8_t)(1u << entry);
                    }
                }
                continue;
            }
            entry = ortc_find_entry(&codec);
            if (entry >= 0 && pt_of[entry] == ORTC_NO_PT) { /* the first is preferred */
                pt_of[entry] = codec.pt;
                out->codecs |= (uint8_t)(1u << entry);
                out->feedback[entry] =
                    ortc_feedback_of_codec(&codec) & ortc_entry_feedback(entry);
            }
        }
    }
    return 0;
}

/* A consumer gets the router's ids, so an extension that the browser has bound to another
 * id is one that it could not read. */
static int parse_caps_exts(const json_t *array, struct ortc_caps *out,
                           struct rtp_error *err)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        const json_t *each = json_array_get(array, i);
        const char *uri = json_string_value(json_object_get(each, "uri"));
        const char *kind = json_string_value(json_object_get(each, "kind"));
        const json_t *id = json_object_get(each, "preferredId");
        bool audio = kind != NULL && strcmp(kind, "audio") == 0;
        bool video = kind != NULL && strcmp(kind, "video") == 0;
        uint8_t ours;

        if (uri == NULL) {
            return rtp_fail(err, -EINVAL, "missing", "/headerExtensions/%zu/uri", i);
        }
        if (!audio && !video) {
            return rtp_fail(err, -EINVAL, "not audio or video",
                            "/headerExtensions/%zu/kind", i);
        }
        if (!json_is_integer(id)) {
            return rtp_fail(err, -EINVAL, "not an integer",
                            "/headerExtensions/%zu/preferredId", i);
        }
        ours = ortc_ext_by_uri(uri, audio ? RTP_KIND_AUDIO : RTP_KIND_VIDEO);
        if (ours != 0 && json_integer_value(id) == ours) {
            *(audio ? &out->audio_exts : &out->video_exts) |= (uint16_t)(1u << ours);
        }
    }
    return 0;
}

int ortc_parse_caps(const json_t *json, struct ortc_caps *out, struct rtp_error *err)
{
    const json_t *codecs;
    const json_t *exts;

    memset(out, 0, sizeof(*out));
    if (!json_is_object(json)) {
        return rtp_fail(err, -EINVAL, "not an object", "%s", "");
    }
    codecs = caps_array(json, "codecs", err);
    if (codecs == NULL || parse_caps_codecs(codecs, out, err) != 0) {
        return -EINVAL;
    }
    if (json_object_get(json, "headerExtensions") == NULL) {
        return 0; /* a browser without any */
    }
    exts = caps_array(json, "headerExtensions", err);
    return exts != NULL ? parse_caps_exts(exts, out, err) : -EINVAL;
}

void ortc_any_params(enum rtp_kind kind, struct rtp_params *out)
{
    memset(out, 0, sizeof(*out));
    for (int i = 0; i < ORTC_N_ENTRIES; i++) {
        if (ortc_entries[i].rtp.kind == kind) {
            out->codecs[out->n_codecs++] = ortc_entries[i].rtp;
        }
    }
    out->n_encodings = 1;
    out->encodings[0].ssrc = kind;
}

void ortc_any_producer(enum rtp_kind kind, struct ortc_producer *out)
{
    struct rtp_params params;
    struct rtp_error wrong;

    ortc_any_params(kind, &params);
    (void)ortc_map_producer(kind, &params, out, &wrong); /* it has them all */
}

void ortc_narrow_caps(struct ortc_caps *caps, const struct ortc_caps *of)
{
    struct ortc_caps both = *of;

    both.codecs &= caps->codecs;
    both.rtx &= caps->rtx;
    both.audio_exts &= caps->audio_exts;
    both.video_exts &= caps->video_exts;
    *caps = both;
}

bool ortc_can_consume(const struct ortc_producer *producer, const struct ortc_caps *caps)
{
    for (uint8_t i = 0; i < producer->n_codecs; i++) {
        if ((caps->codecs >> producer->codecs[i].entry & 1) != 0) {
            return true;
        }
    }
    return false;
}

/* The one estimator that the extensions allow: transport-cc before REMB. */
static uint8_t feedback_for_exts(uint8_t bits, const uint8_t *ext_id)
{
    if (ext_id[ORTC_EXT_TRANSPORT_CC] != 0) {
        return bits & (uint8_t)~ORTC_FB_GOOG_REMB;
    }
    if (ext_id[ORTC_EXT_ABS_SEND_TIME] != 0) {
        return bits & (uint8_t)~ORTC_FB_TRANSPORT_CC;
    }
    return bits & (uint8_t) ~(ORTC_FB_TRANSPORT_CC | ORTC_FB_GOOG_REMB);
}

/* Simulcast looks to its consumer like spatial layers: LxTy with x streams. */
static void consumer_scalability(const struct ortc_producer *producer, char out[16])
{
    const char *mode = "";
    unsigned temporal = 1;
    unsigned spatial;

    for (uint8_t i = 0; i < producer->n_encodings && mode[0] == '\0'; i++) {
        mode = producer->encodings[i].scalability_mode;
    }
    if (producer->n_encodings > 1) {
        if (sscanf(mode, "%*1[LS]%1uT%1u", &spatial, &temporal) != 2) {
            temporal = 1;
        }
        snprintf(out, 16, "L%uT%u", producer->n_encodings, temporal);
    } else {
        strcpy(out, mode);
    }
}

static bool text_fits(const char *text, size_t max)
{
    size_t len = strlen(text);

    return len >= 1 && len <= max;
}

int ortc_consume(const struct ortc_producer *producer, const struct ortc_caps *caps,
                 const struct ortc_consumer_conf *conf, struct ortc_consumer *out)
{
    bool audio = producer->kind == RTP_KIND_AUDIO;
    uint16_t exts = audio ? caps->audio_exts : caps->video_exts;
    const uint8_t *ids = audio ? caps->audio_ext_id : caps->video_ext_id;
    bool dependency = false;

    if (!text_fits(conf->mid, RTP_MID_MAX) || !text_fits(conf->cname, RTP_CNAME_MAX) ||
        conf->ssrc == 0 || conf->rtx_ssrc == 0 || conf->ssrc == conf->rtx_ssrc) {
        return -EINVAL;
    }
    if (!ortc_can_consume(producer, caps)) {
        return -ENOTSUP;
    }
    memset(out, 0, sizeof(*out));
    out->kind = producer->kind;
    strcpy(out->mid, conf->mid);
    strcpy(out->cname, conf->cname);
    out->ssrc = conf->ssrc;
    consumer_scalability(producer, out->scalability_mode);
    for (uint8_t i = 0; i < producer->n_encodings; i++) {
        if (producer->encodings[i].max_bitrate_bps > out->max_bitrate_bps) {
            out->max_bitrate_bps = producer->encodings[i].max_bitrate_bps;
        }
    }
    for (uint8_t i = 1; i < ORTC_N_EXTS; i++) {
        if ((exts >> i & 1) != 0 && (ortc_ext_use(i, producer->kind) & ORTC_SEND) != 0) {
            out->ext_id[i] = ids[i] != 0 ? ids[i] : i;
        }
    }
    for (uint8_t i = 0; i < producer->n_codecs; i++) {
        const struct ortc_codec_map *map = &producer->codecs[i];
        uint8_t n = out->n_codecs;

        if ((caps->codecs >> map->entry & 1) == 0) {
            continue;
        }
        /* a stream is the first; of any, each may become it */
        dependency = dependency || (map->codec == ORTC_AV1 && (i == 0 || conf->any));
        out->codecs[n].map = i;
        out->codecs[n].pt =
            caps->pt[map->entry] != 0 ? caps->pt[map->entry] : map->router_pt;
        out->codecs[n].rtx_pt = ORTC_NO_PT;
        if ((caps->rtx >> map->entry & 1) != 0) {
            out->codecs[n].rtx_pt = caps->rtx_pt[map->entry] != 0 ? caps->rtx_pt[map->entry]
                                                                  : map->router_rtx_pt;
            out->rtx_ssrc = conf->rtx_ssrc;
        }
        out->codecs[n].feedback =
            feedback_for_exts(caps->feedback[map->entry], out->ext_id);
        out->n_codecs++;
    }
    if (!dependency) {
        /* the others say what there is to say in their payload, which is rewritten */
        out->ext_id[ORTC_EXT_DEPENDENCY] = 0;
    }
    return 0;
}

void ortc_consumer_params(const struct ortc_producer *producer,
                          const struct ortc_consumer *consumer, struct rtp_params *out)
{
    struct rtp_encoding *encoding = &out->encodings[0];

    memset(out, 0, sizeof(*out));
    strcpy(out->mid, consumer->mid);
    strcpy(out->cname, consumer->cname);
    out->reduced_size = true;
    for (uint8_t i = 0; i < consumer->n_codecs; i++) {
        const struct ortc_codec_map *map = &producer->codecs[consumer->codecs[i].map];
        struct rtp_codec *codec = &out->codecs[out->n_codecs++];

        *codec = ortc_entries[map->entry].rtp;
        codec->pt = consumer->codecs[i].pt;
        codec->n_fmtp = map->n_fmtp; /* what the stream is, not what the router takes */
        memcpy(codec->fmtp, map->fmtp, sizeof(codec->fmtp));
        ortc_feedback_to_codec(consumer->codecs[i].feedback, codec);
        if (consumer->codecs[i].rtx_pt != ORTC_NO_PT) {
            ortc_rtx_codec(codec->kind, consumer->codecs[i].rtx_pt, codec->pt,
                           &out->codecs[out->n_codecs++]);
        }
    }
    for (uint8_t i = 1; i < ORTC_N_EXTS; i++) {
        if (consumer->ext_id[i] != 0) {
            strcpy(out->exts[out->n_exts].uri, ortc_ext_uri(i));
            out->exts[out->n_exts++].id = consumer->ext_id[i];
        }
    }
    encoding->ssrc = consumer->ssrc;
    encoding->rtx_ssrc = consumer->rtx_ssrc;
    encoding->max_bitrate_bps = consumer->max_bitrate_bps;
    strcpy(encoding->scalability_mode, consumer->scalability_mode);
    out->n_encodings = 1;
}

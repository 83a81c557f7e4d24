#include "proto/rtp_params.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const char *rtp_kind_name(enum rtp_kind kind)
{
    return kind == RTP_KIND_AUDIO ? "audio" : "video";
}

int rtp_fail(struct rtp_error *err, int code, const char *reason, const char *path_format,
             ...)
{
    va_list args;

    va_start(args, path_format);
    vsnprintf(err->path, sizeof(err->path), path_format, args);
    va_end(args);
    snprintf(err->reason, sizeof(err->reason), "%s", reason);
    return code;
}

bool rtp_codec_is_rtx(const struct rtp_codec *codec)
{
    const char *slash = strchr(codec->mime, '/');

    return slash != NULL && strcasecmp(slash, "/rtx") == 0;
}

const struct rtp_fmtp *rtp_codec_fmtp(const struct rtp_codec *codec, const char *name)
{
    for (uint8_t i = 0; i < codec->n_fmtp; i++) {
        if (strcmp(codec->fmtp[i].name, name) == 0) {
            return &codec->fmtp[i];
        }
    }
    return NULL;
}

int64_t rtp_codec_number(const struct rtp_codec *codec, const char *name, int64_t missing)
{
    const struct rtp_fmtp *p = rtp_codec_fmtp(codec, name);
    char *end;
    long v;

    if (p == NULL) {
        return missing;
    }
    if (p->is_number) {
        return p->number;
    }
    v = strtol(p->text, &end, 10);
    return p->text[0] != '\0' && *end == '\0' ? v : -1;
}

/* ---- reading fields ---- */

/* An object under examination: where it stands, and where to tell what is wrong. */
struct field {
    const json_t *object;
    const char *path;
    struct rtp_error *err;
};

/* A string of 1..cap-1 bytes into 'out'; if optional and absent (or null or empty, as
 * mediasoup-client may send) 'out' becomes empty. */
static int get_string(const struct field *f, const char *name, bool required, char *out,
                      size_t cap)
{
    const json_t *v = json_object_get(f->object, name);

    out[0] = '\0';
    if (v == NULL || json_is_null(v) || (json_is_string(v) && json_string_length(v) == 0)) {
        return required ? rtp_fail(f->err, -EINVAL, "missing", "%s/%s", f->path, name) : 0;
    }
    if (!json_is_string(v)) {
        return rtp_fail(f->err, -EINVAL, "not a string", "%s/%s", f->path, name);
    }
    if (json_string_length(v) >= cap) {
        return rtp_fail(f->err, -EINVAL, "too long", "%s/%s", f->path, name);
    }
    memcpy(out, json_string_value(v), json_string_length(v) + 1);
    return 0;
}

/* An integer of min..max; 'out' is untouched if it is optional and absent. */
static int get_int(const struct field *f, const char *name, bool required, int64_t min,
                   int64_t max, int64_t *out)
{
    const json_t *v = json_object_get(f->object, name);

    if (v == NULL || json_is_null(v)) {
        return required ? rtp_fail(f->err, -EINVAL, "missing", "%s/%s", f->path, name) : 0;
    }
    if (!json_is_integer(v)) {
        return rtp_fail(f->err, -EINVAL, "not an integer", "%s/%s", f->path, name);
    }
    if (json_integer_value(v) < min || json_integer_value(v) > max) {
        return rtp_fail(f->err, -EINVAL, "out of range", "%s/%s", f->path, name);
    }
    *out = json_integer_value(v);
    return 0;
}

static int get_bool(const struct field *f, const char *name, bool *out)
{
    const json_t *v = json_object_get(f->object, name);

    if (v == NULL || json_is_null(v)) {
        return 0;
    }
    if (!json_is_boolean(v)) {
        return rtp_fail(f->err, -EINVAL, "not a boolean", "%s/%s", f->path, name);
    }
    *out = json_is_true(v);
    return 0;
}

/* An array of at most 'max' elements; NULL in 'out' if it is optional and absent. */
static int get_array(const struct field *f, const char *name, bool required, size_t max,
                     const json_t **out)
{
    const json_t *v = json_object_get(f->object, name);

    *out = NULL;
    if (v == NULL || json_is_null(v)) {
        return required ? rtp_fail(f->err, -EINVAL, "missing", "%s/%s", f->path, name) : 0;
    }
    if (!json_is_array(v)) {
        return rtp_fail(f->err, -EINVAL, "not an array", "%s/%s", f->path, name);
    }
    if (json_array_size(v) > max) {
        return rtp_fail(f->err, -EINVAL, "too many", "%s/%s", f->path, name);
    }
    if (required && json_array_size(v) == 0) {
        return rtp_fail(f->err, -EINVAL, "empty", "%s/%s", f->path, name);
    }
    *out = v;
    return 0;
}

/* An object, or NULL if it is absent. */
static int get_object(const struct field *f, const char *name, const json_t **out)
{
    const json_t *v = json_object_get(f->object, name);

    *out = NULL;
    if (v == NULL || json_is_null(v)) {
        return 0;
    }
    if (!json_is_object(v)) {
        return rtp_fail(f->err, -EINVAL, "not an object", "%s/%s", f->path, name);
    }
    *out = v;
    return 0;
}

/* ---- codecs ---- */

static int parse_fmtp(const struct field *f, struct rtp_codec *out)
{
    const json_t *params;
    const char *name;
    json_t *v;
    int err = get_object(f, "parameters", &params);

    if (err != 0 || params == NULL) {
        return err;
    }
    json_object_foreach((json_t *)params, name, v)
    {
        struct rtp_fmtp *p = &out->fmtp[out->n_fmtp];

        if (out->n_fmtp == RTP_PARAMS_MAX_FMTP) {
            return rtp_fail(f->err, -EINVAL, "too many", "%s/parameters", f->path);
        }
        /* The name comes from outside: one that is too long is not repeated. */
        if (strlen(name) >= sizeof(p->name)) {
            return rtp_fail(f->err, -EINVAL, "a name is too long", "%s/parameters",
                            f->path);
        }
        strcpy(p->name, name);
        if (json_is_integer(v)) {
            p->is_number = true;
            p->number = json_integer_value(v);
        } else if (!json_is_string(v)) {
            return rtp_fail(f->err, -EINVAL, "not a string or an integer",
                            "%s/parameters/%s", f->path, name);
        } else if (json_string_length(v) >= sizeof(p->text)) {
            return rtp_fail(f->err, -EINVAL, "too long", "%s/parameters/%s", f->path, name);
        } else {
            strcpy(p->text, json_string_value(v));
        }
        out->n_fmtp++;
    }
    return 0;
}

static int parse_feedback(const struct field *f, struct rtp_codec *out)
{
    const json_t *array;
    int err = get_array(f, "rtcpFeedback", false, RTP_PARAMS_MAX_FEEDBACK, &array);

    for (size_t i = 0; err == 0 && i < json_array_size(array); i++) {
        char path[80];
        struct field each = {json_array_get(array, i), path, f->err};
        struct rtp_feedback *fb = &out->feedback[out->n_feedback++];

        snprintf(path, sizeof(path), "%s/rtcpFeedback/%zu", f->path, i);
        err = get_string(&each, "type", true, fb->type, sizeof(fb->type));
        if (err == 0) {
            err =
                get_string(&each, "parameter", false, fb->parameter, sizeof(fb->parameter));
        }
    }
    return err;
}

static int parse_mime(const struct field *f, struct rtp_codec *out)
{
    int err = get_string(f, "mimeType", true, out->mime, sizeof(out->mime));

    if (err != 0) {
        return err;
    }
    if (strncasecmp(out->mime, "audio/", 6) == 0 && out->mime[6] != '\0') {
        out->kind = RTP_KIND_AUDIO;
    } else if (strncasecmp(out->mime, "video/", 6) == 0 && out->mime[6] != '\0') {
        out->kind = RTP_KIND_VIDEO;
    } else {
        return rtp_fail(f->err, -EINVAL, "not audio/… or video/…", "%s/mimeType", f->path);
    }
    return 0;
}

int rtp_codec_parse(const json_t *json, const char *pt_key, const char *path,
                    struct rtp_codec *out, struct rtp_error *err)
{
    struct field f = {json, path, err};
    int64_t pt = 0;
    int64_t clock_rate = 0;
    int64_t channels = 1;

    memset(out, 0, sizeof(*out));
    if (!json_is_object(json)) {
        return rtp_fail(err, -EINVAL, "not an object", "%s", path);
    }
    if (parse_mime(&f, out) != 0 || get_int(&f, pt_key, true, 0, 127, &pt) != 0 ||
        get_int(&f, "clockRate", true, 1, 1000000, &clock_rate) != 0 ||
        (out->kind == RTP_KIND_AUDIO &&
         get_int(&f, "channels", false, 1, 8, &channels) != 0) ||
        parse_fmtp(&f, out) != 0 || parse_feedback(&f, out) != 0) {
        return -EINVAL;
    }
    if (pt >= 64 && pt < 96) { /* RFC 5761, section 4 */
        return rtp_fail(err, -EINVAL, "collides with RTCP", "%s/%s", path, pt_key);
    }
    out->pt = (uint8_t)pt;
    out->clock_rate = (uint32_t)clock_rate;
    out->channels = out->kind == RTP_KIND_AUDIO ? (uint8_t)channels : 0;
    return 0;
}

static int parse_codecs(const struct field *f, struct rtp_params *out)
{
    const json_t *array;
    int err = get_array(f, "codecs", true, RTP_PARAMS_MAX_CODECS, &array);

    for (size_t i = 0; err == 0 && i < json_array_size(array); i++) {
        char path[32];

        snprintf(path, sizeof(path), "/codecs/%zu", i);
        err = rtp_codec_parse(json_array_get(array, i), "payloadType", path,
                              &out->codecs[i], f->err);
        for (size_t j = 0; err == 0 && j < i; j++) {
            if (out->codecs[j].pt == out->codecs[i].pt) {
                err = rtp_fail(f->err, -EINVAL, "stands twice", "%s/payloadType", path);
            }
        }
        out->n_codecs++;
    }
    return err;
}

/* ---- header extensions, encodings ---- */

static int parse_exts(const struct field *f, struct rtp_params *out)
{
    const json_t *array;
    int err = get_array(f, "headerExtensions", false, RTP_PARAMS_MAX_EXTS, &array);

    for (size_t i = 0; err == 0 && i < json_array_size(array); i++) {
        char path[40];
        struct field each = {json_array_get(array, i), path, f->err};
        struct rtp_hdrext *ext = &out->exts[i];
        int64_t id = 0;

        snprintf(path, sizeof(path), "/headerExtensions/%zu", i);
        err = get_string(&each, "uri", true, ext->uri, sizeof(ext->uri));
        if (err == 0) {
            err = get_int(&each, "id", true, 1, RTP_EXT_ID_MAX, &id);
        }
        ext->id = (uint8_t)id;
        if (err == 0 &&
            json_is_true(json_object_get(json_array_get(array, i), "encrypt"))) {
            /* RFC 6904 */
            err = rtp_fail(f->err, -EINVAL, "unsupported: encrypted header extensions",
                           "%s/encrypt", path);
        }
        for (size_t j = 0; err == 0 && j < i; j++) {
            if (out->exts[j].id == ext->id || strcmp(out->exts[j].uri, ext->uri) == 0) {
                err = rtp_fail(f->err, -EINVAL, "stands twice", "%s", path);
            }
        }
        out->n_exts++;
    }
    return err;
}

/* RFC 8852, section 3.3: letters and digits; browsers also take '-' and '_'. */
static bool rid_valid(const char *rid)
{
    return rid[strspn(rid, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                           "0123456789-_")] == '\0';
}

static int parse_encoding(const struct field *f, struct rtp_encoding *out)
{
    char rtx_path[48];
    struct field rtx = {NULL, rtx_path, f->err};
    int64_t ssrc = 0;
    int64_t rtx_ssrc = 0;
    int64_t max_bitrate = 0;

    snprintf(rtx_path, sizeof(rtx_path), "%s/rtx", f->path);
    if (!json_is_object(f->object)) {
        return rtp_fail(f->err, -EINVAL, "not an object", "%s", f->path);
    }
    if (get_int(f, "ssrc", false, 1, UINT32_MAX, &ssrc) != 0 ||
        get_string(f, "rid", false, out->rid, sizeof(out->rid)) != 0 ||
        get_string(f, "scalabilityMode", false, out->scalability_mode,
                   sizeof(out->scalability_mode)) != 0 ||
        get_int(f, "maxBitrate", false, 0, UINT32_MAX, &max_bitrate) != 0 ||
        get_bool(f, "dtx", &out->dtx) != 0 || get_object(f, "rtx", &rtx.object) != 0) {
        return -EINVAL;
    }
    if (rtx.object != NULL && get_int(&rtx, "ssrc", true, 1, UINT32_MAX, &rtx_ssrc) != 0) {
        return -EINVAL;
    }
    if (!rid_valid(out->rid)) {
        return rtp_fail(f->err, -EINVAL, "not letters and digits", "%s/rid", f->path);
    }
    out->ssrc = (uint32_t)ssrc;
    out->rtx_ssrc = (uint32_t)rtx_ssrc;
    out->max_bitrate_bps = (uint32_t)max_bitrate;
    return 0;
}

static bool same_ssrc(uint32_t ssrc, const struct rtp_encoding *e)
{
    return ssrc != 0 && (ssrc == e->ssrc || ssrc == e->rtx_ssrc);
}

/* Whether an encoding can be told from the ones before it, and be found at all. */
static int check_encoding(const struct field *f, const struct rtp_params *params, size_t i,
                          size_t n)
{
    const struct rtp_encoding *e = &params->encodings[i];

    if (e->ssrc == 0 && e->rid[0] == '\0' && (n > 1 || params->mid[0] == '\0')) {
        return rtp_fail(f->err, -EINVAL, "has neither ssrc nor rid", "%s", f->path);
    }
    if (e->ssrc != 0 && e->ssrc == e->rtx_ssrc) {
        return rtp_fail(f->err, -EINVAL, "stands twice", "%s/rtx/ssrc", f->path);
    }
    for (size_t j = 0; j < i; j++) {
        const struct rtp_encoding *other = &params->encodings[j];

        if (same_ssrc(e->ssrc, other) || same_ssrc(e->rtx_ssrc, other)) {
            return rtp_fail(f->err, -EINVAL, "stands twice", "%s/ssrc", f->path);
        }
        if (e->rid[0] != '\0' && strcmp(e->rid, other->rid) == 0) {
            return rtp_fail(f->err, -EINVAL, "stands twice", "%s/rid", f->path);
        }
    }
    return 0;
}

static int parse_encodings(const struct field *f, struct rtp_params *out)
{
    const json_t *array;
    int err = get_array(f, "encodings", true, RTP_PARAMS_MAX_ENCODINGS, &array);

    for (size_t i = 0; err == 0 && i < json_array_size(array); i++) {
        char path[32];
        struct field each = {json_array_get(array, i), path, f->err};

        snprintf(path, sizeof(path), "/encodings/%zu", i);
        err = parse_encoding(&each, &out->encodings[i]);
        if (err == 0) {
            err = check_encoding(&each, out, i, json_array_size(array));
        }
        out->n_encodings++;
    }
    return err;
}

int rtp_params_parse(const json_t *json, struct rtp_params *out, struct rtp_error *err)
{
    struct field f = {json, "", err};
    struct field rtcp = {NULL, "/rtcp", err};

    memset(out, 0, sizeof(*out));
    out->reduced_size = true;
    if (!json_is_object(json)) {
        return rtp_fail(err, -EINVAL, "not an object", "%s", "");
    }
    if (get_string(&f, "mid", false, out->mid, sizeof(out->mid)) != 0 ||
        parse_codecs(&f, out) != 0 || parse_exts(&f, out) != 0 ||
        parse_encodings(&f, out) != 0 || get_object(&f, "rtcp", &rtcp.object) != 0) {
        return -EINVAL;
    }
    if (rtcp.object != NULL &&
        (get_string(&rtcp, "cname", false, out->cname, sizeof(out->cname)) != 0 ||
         get_bool(&rtcp, "reducedSize", &out->reduced_size) != 0)) {
        return -EINVAL;
    }
    return 0;
}

/* ---- writing ---- */

/* Adds 'value' (moved, null if its making failed) and keeps 'ok' false once it is. */
static void put(json_t *object, const char *name, json_t *value, bool *ok)
{
    if (json_object_set_new(object, name, value) != 0) {
        *ok = false;
    }
}

static void append(json_t *array, json_t *value, bool *ok)
{
    if (json_array_append_new(array, value) != 0) {
        *ok = false;
    }
}

/* 'json' if all went well; else it is given back and NULL returned. */
static json_t *finish(json_t *json, bool ok)
{
    if (!ok) {
        json_decref(json);
        return NULL;
    }
    return json;
}

json_t *rtp_codec_write(const struct rtp_codec *codec, const char *pt_key)
{
    json_t *json = json_object();
    json_t *params = json_object();
    json_t *feedback = json_array();
    bool ok = true;

    put(json, "mimeType", json_string(codec->mime), &ok);
    put(json, pt_key, json_integer(codec->pt), &ok);
    put(json, "clockRate", json_integer(codec->clock_rate), &ok);
    if (codec->channels != 0) {
        put(json, "channels", json_integer(codec->channels), &ok);
    }
    for (uint8_t i = 0; i < codec->n_fmtp; i++) {
        const struct rtp_fmtp *p = &codec->fmtp[i];

        put(params, p->name, p->is_number ? json_integer(p->number) : json_string(p->text),
            &ok);
    }
    put(json, "parameters", params, &ok);
    for (uint8_t i = 0; i < codec->n_feedback; i++) {
        append(feedback,
               json_pack("{s:s,s:s}", "type", codec->feedback[i].type, "parameter",
                         codec->feedback[i].parameter),
               &ok);
    }
    put(json, "rtcpFeedback", feedback, &ok);
    return finish(json, ok);
}

static json_t *write_encoding(const struct rtp_encoding *e)
{
    json_t *json = json_object();
    bool ok = true;

    if (e->ssrc != 0) {
        put(json, "ssrc", json_integer(e->ssrc), &ok);
    }
    if (e->rid[0] != '\0') {
        put(json, "rid", json_string(e->rid), &ok);
    }
    if (e->rtx_ssrc != 0) {
        put(json, "rtx", json_pack("{s:I}", "ssrc", (json_int_t)e->rtx_ssrc), &ok);
    }
    if (e->max_bitrate_bps != 0) {
        put(json, "maxBitrate", json_integer(e->max_bitrate_bps), &ok);
    }
    if (e->scalability_mode[0] != '\0') {
        put(json, "scalabilityMode", json_string(e->scalability_mode), &ok);
    }
    if (e->dtx) {
        put(json, "dtx", json_true(), &ok);
    }
    return finish(json, ok);
}

json_t *rtp_params_write(const struct rtp_params *params)
{
    json_t *json = json_object();
    json_t *codecs = json_array();
    json_t *exts = json_array();
    json_t *encodings = json_array();
    json_t *rtcp = json_object();
    bool ok = true;

    if (params->mid[0] != '\0') {
        put(json, "mid", json_string(params->mid), &ok);
    }
    for (uint8_t i = 0; i < params->n_codecs; i++) {
        append(codecs, rtp_codec_write(&params->codecs[i], "payloadType"), &ok);
    }
    for (uint8_t i = 0; i < params->n_exts; i++) {
        append(exts,
               json_pack("{s:s,s:i,s:b,s:{}}", "uri", params->exts[i].uri, "id",
                         (int)params->exts[i].id, "encrypt", 0, "parameters"),
               &ok);
    }
    for (uint8_t i = 0; i < params->n_encodings; i++) {
        append(encodings, write_encoding(&params->encodings[i]), &ok);
    }
    if (params->cname[0] != '\0') {
        put(rtcp, "cname", json_string(params->cname), &ok);
    }
    put(rtcp, "reducedSize", json_boolean(params->reduced_size), &ok);
    put(json, "codecs", codecs, &ok);
    put(json, "headerExtensions", exts, &ok);
    put(json, "encodings", encodings, &ok);
    put(json, "rtcp", rtcp, &ok);
    return finish(json, ok);
}

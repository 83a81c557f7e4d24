/* What a description says of codecs: rtpmap, fmtp, rtcp-fb; see sdp_priv.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/sdp_priv.h"

enum { MAX_DIGITS = 15 }; /* of a codec parameter that counts as a number */

static int bad(struct sdp_cursor *at, const char *what)
{
    return sdp_fail(at->err, -EBADMSG, at->line, "%s", what);
}

/* rtpmap:111 opus/48000/2. Of a payload type that m= does not have it says nothing. */
int sdp_parse_rtpmap(struct sdp_cursor *at, char *value)
{
    char *pt_word = sdp_word(&value, ' ');
    char *name = sdp_word(&value, ' ');
    char *rest = name;
    struct rtp_codec *codec;
    uint64_t rate;
    uint64_t channels = 1;
    char *channels_word;
    uint8_t pt;

    name = sdp_word(&rest, '/');
    if (!sdp_pt(pt_word, &pt) || name[0] == '\0' ||
        !sdp_number(sdp_word(&rest, '/'), 1000000, &rate) || rate == 0) {
        return bad(at, "rtpmap: expected 'PT NAME/RATE'");
    }
    channels_word = sdp_word(&rest, '/');
    if (channels_word[0] != '\0' &&
        (!sdp_number(channels_word, 255, &channels) || channels == 0)) {
        return bad(at, "rtpmap: the channels are no number");
    }
    codec = sdp_codec_of(at->media, pt);
    if (codec == NULL || codec->mime[0] != '\0') {
        return codec == NULL ? 0 : bad(at, "rtpmap: that payload type has one already");
    }
    /* a name longer than any that we know cannot be one of ours */
    if (strlen(name) + strlen("video/") <= RTP_MIME_MAX) {
        char mime[RTP_MIME_MAX + 1];

        (void)snprintf(mime, sizeof(mime), "%s/%s", rtp_kind_name(codec->kind), name);
        if (!sdp_copy(codec->mime, sizeof(codec->mime), mime)) {
            return bad(at, "rtpmap: the name has characters that it may not have");
        }
        codec->clock_rate = (uint32_t)rate;
        codec->channels = codec->kind == RTP_KIND_AUDIO ? (uint8_t)channels : 0;
    }
    return 0;
}

/* The number that 'text' is if it is one in its shortest form. */
static bool plain_number(const char *text, int64_t *out)
{
    size_t len = strlen(text);

    if (len == 0 || len > MAX_DIGITS || strspn(text, "0123456789") != len ||
        (text[0] == '0' && len > 1)) {
        return false;
    }
    *out = strtoll(text, NULL, 10);
    return true;
}

static char *trim(char *text)
{
    size_t len;

    text += strspn(text, " \t");
    len = strlen(text);
    while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\t')) {
        text[--len] = '\0';
    }
    return text;
}

/* One of "name=value; name". What does not fit is dropped: sprop-parameter-sets, which come
 * in band too. */
static void add_parameter(struct rtp_codec *codec, char *text)
{
    struct rtp_fmtp fmtp;
    char *name = trim(sdp_word(&text, '='));
    char *value = trim(text);

    memset(&fmtp, 0, sizeof(fmtp));
    if (!sdp_copy(fmtp.name, sizeof(fmtp.name), name) ||
        codec->n_fmtp == RTP_PARAMS_MAX_FMTP || rtp_codec_fmtp(codec, name) != NULL) {
        return;
    }
    if (plain_number(value, &fmtp.number)) {
        fmtp.is_number = true;
    } else if (value[0] != '\0' && !sdp_copy(fmtp.text, sizeof(fmtp.text), value)) {
        return;
    }
    codec->fmtp[codec->n_fmtp++] = fmtp;
}

int sdp_parse_fmtp(struct sdp_cursor *at, char *value)
{
    char *pt_word = sdp_word(&value, ' ');
    struct rtp_codec *codec;
    uint8_t pt;

    if (!sdp_pt(pt_word, &pt)) {
        return bad(at, "fmtp: expected 'PT NAME=VALUE;…'");
    }
    codec = sdp_codec_of(at->media, pt);
    while (codec != NULL && *value != '\0') {
        add_parameter(codec, sdp_word(&value, ';'));
    }
    return 0;
}

static void add_feedback(struct rtp_codec *codec, const struct rtp_feedback *fb)
{
    for (uint8_t i = 0; i < codec->n_feedback; i++) {
        if (strcmp(codec->feedback[i].type, fb->type) == 0 &&
            strcmp(codec->feedback[i].parameter, fb->parameter) == 0) {
            return;
        }
    }
    if (codec->n_feedback < RTP_PARAMS_MAX_FEEDBACK) {
        codec->feedback[codec->n_feedback++] = *fb;
    }
}

/* rtcp-fb:96 nack pli; '*' is every payload type (RFC 4585, section 4.2). */
int sdp_parse_feedback(struct sdp_cursor *at, char *value)
{
    char *pt_word = sdp_word(&value, ' ');
    char *type = sdp_word(&value, ' ');
    bool all = strcmp(pt_word, "*") == 0;
    struct rtp_feedback fb;
    uint8_t pt = 0;

    memset(&fb, 0, sizeof(fb));
    value = trim(value);
    if (!all && !sdp_pt(pt_word, &pt)) {
        return bad(at, "rtcp-fb: expected 'PT TYPE'");
    }
    if (!sdp_copy(fb.type, sizeof(fb.type), type) ||
        (value[0] != '\0' && !sdp_copy(fb.parameter, sizeof(fb.parameter), value))) {
        return 0; /* none that we know */
    }
    for (uint8_t i = 0; i < at->media->n_codecs; i++) {
        if (all || at->media->codecs[i].pt == pt) {
            add_feedback(&at->media->codecs[i], &fb);
        }
    }
    return 0;
}

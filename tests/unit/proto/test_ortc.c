/* control/proto/ortc: the router's capabilities, producers as Chromium sends them mapped
 * onto them, and consumers cut to what a browser takes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "proto/ortc.h"

#define TWCC "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
#define AST  "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"

static const struct ortc_consumer_conf CONF = {
    .mid = "7", .cname = "cn", .ssrc = 1000, .rtx_ssrc = 2000};

/* JSON with ' for ", which C has to escape. */
static json_t *load(const char *text)
{
    char buf[4096];
    json_t *json;
    size_t len = strlen(text);

    assert_true(len < sizeof(buf));
    for (size_t i = 0; i <= len; i++) {
        buf[i] = text[i] == '\'' ? '"' : text[i];
    }
    json = json_loads(buf, 0, NULL);
    if (json == NULL) {
        fail_msg("no JSON: %s", text);
    }
    return json;
}

static int map(enum rtp_kind kind, const char *codecs, const char *exts,
               struct ortc_producer *out, struct rtp_error *err)
{
    struct rtp_params params;
    char text[4096];
    json_t *json;

    snprintf(text, sizeof(text),
             "{'mid':'0','codecs':[%s],'headerExtensions':[%s],"
             "'encodings':[{'ssrc':11,'rtx':{'ssrc':12},'maxBitrate':900000}],"
             "'rtcp':{'cname':'p'}}",
             codecs, exts);
    json = load(text);
    if (rtp_params_parse(json, &params, err) != 0) {
        fail_msg("%s: %s", err->path, err->reason);
    }
    json_decref(json);
    return ortc_map_producer(kind, &params, out, err);
}

static struct ortc_producer vp8_producer(void)
{
    struct ortc_producer producer;
    struct rtp_error err;

    assert_int_equal(
        map(RTP_KIND_VIDEO,
            "{'mimeType':'video/VP8','payloadType':96,'clockRate':90000,"
            "'parameters':{'x-google-start-bitrate':1000}},"
            "{'mimeType':'video/rtx','payloadType':97,'clockRate':90000,"
            "'parameters':{'apt':96}}",
            "{'uri':'urn:ietf:params:rtp-hdrext:sdes:mid','id':9},{'uri':'" TWCC
            "','id':3}",
            &producer, &err),
        0);
    return producer;
}

static struct ortc_caps router_caps(void)
{
    json_t *json = ortc_router_capabilities();
    struct ortc_caps caps;
    struct rtp_error err;

    assert_int_equal(ortc_parse_caps(json, &caps, &err), 0);
    json_decref(json);
    return caps;
}

/* ---- the router ---- */

static void the_router_offers_what_a_client_needs(void **state)
{
    json_t *json = ortc_router_capabilities();
    json_t *codecs = json_object_get(json, "codecs");
    json_t *exts = json_object_get(json, "headerExtensions");
    bool seen[128] = {false};
    json_t *each;
    size_t i;
    (void)state;

    assert_int_equal(json_array_size(codecs), 11);
    json_array_foreach(codecs, i, each)
    {
        json_int_t pt = json_integer_value(json_object_get(each, "preferredPayloadType"));
        const char *mime = json_string_value(json_object_get(each, "mimeType"));
        bool rtx = strcmp(mime, "video/rtx") == 0;
        json_t *apt = json_object_get(json_object_get(each, "parameters"), "apt");

        assert_true(pt >= 96 && pt < 127);
        assert_false(seen[pt]);
        seen[pt] = true;
        assert_memory_equal(mime, json_string_value(json_object_get(each, "kind")), 5);
        assert_int_equal(json_is_integer(apt), rtx);
        assert_true(!rtx || seen[json_integer_value(apt)]);
        assert_int_equal(json_array_size(json_object_get(each, "rtcpFeedback")),
                         rtx              ? 0
                         : mime[0] == 'a' ? 3
                                          : 6);
    }
    assert_int_equal(json_array_size(exts), 16);
    json_array_foreach(exts, i, each)
    {
        json_int_t id = json_integer_value(json_object_get(each, "preferredId"));

        assert_true(id >= 1 && id <= 11);
        assert_true(json_is_false(json_object_get(each, "preferredEncrypt")));
    }
    json_decref(json);
}

static void the_routers_own_capabilities_are_all_understood(void **state)
{
    struct ortc_caps caps = router_caps();
    (void)state;

    assert_int_equal(caps.codecs, 0x3f);
    assert_int_equal(caps.rtx, 0x3e);
    assert_int_equal(caps.feedback[0],
                     ORTC_FB_NACK | ORTC_FB_TRANSPORT_CC | ORTC_FB_RRTR);
    assert_int_equal(caps.feedback[5], 63);
    assert_int_equal(caps.audio_exts,
                     1 << ORTC_EXT_MID | 1 << ORTC_EXT_ABS_SEND_TIME |
                         1 << ORTC_EXT_TRANSPORT_CC | 1 << ORTC_EXT_AUDIO_LEVEL |
                         1 << ORTC_EXT_ABS_CAPTURE_TIME | 1 << ORTC_EXT_PLAYOUT_DELAY);
    assert_int_equal(caps.video_exts, 0xffe & ~(1 << ORTC_EXT_AUDIO_LEVEL));
}

/* ---- producers ---- */

static void payload_types_and_extension_ids_are_mapped(void **state)
{
    struct ortc_producer p = vp8_producer();
    (void)state;

    assert_int_equal(p.kind, RTP_KIND_VIDEO);
    assert_string_equal(p.mid, "0");
    assert_string_equal(p.cname, "p");
    assert_int_equal(p.n_codecs, 1);
    assert_int_equal(p.codecs[0].codec, ORTC_VP8);
    assert_int_equal(p.codecs[0].pt, 96);
    assert_int_equal(p.codecs[0].rtx_pt, 97);
    assert_int_equal(p.codecs[0].router_pt, 101);
    assert_int_equal(p.codecs[0].router_rtx_pt, 102);
    assert_int_equal(p.ext_id[ORTC_EXT_MID], 9);
    assert_int_equal(p.ext_id[ORTC_EXT_TRANSPORT_CC], 3);
    assert_int_equal(p.ext_id[ORTC_EXT_RID], 0);
    assert_int_equal(p.n_encodings, 1);
    assert_int_equal(p.encodings[0].rtx_ssrc, 12);
}

/* Profiles as Chromium writes them, and to which payload type of the router they go. */
static void codecs_are_told_apart_by_their_profile(void **state)
{
    static const struct {
        const char *mime;
        const char *parameters;
        uint8_t router_pt; /* 0: unsupported */
    } cases[] = {
        {"video/vp8", "{}", 101},
        {"video/VP9", "{'profile-id':0}", 103},
        {"video/VP9", "{'profile-id':'0'}", 103},
        {"video/VP9", "{}", 103},
        {"video/VP9", "{'profile-id':2}", 0},
        {"video/H264",
         "{'packetization-mode':1,'profile-level-id':'42e01f','level-asymmetry-allowed':1}",
         105},
        {"video/H264", "{'packetization-mode':'1','profile-level-id':'42e034'}", 105},
        {"video/H264", "{'packetization-mode':1}", 105},
        {"video/H264", "{'packetization-mode':1,'profile-level-id':'4d001f'}", 107},
        {"video/H264", "{'packetization-mode':0,'profile-level-id':'42e01f'}", 0},
        {"video/H264", "{'profile-level-id':'42e01f'}", 0},
        {"video/H264", "{'packetization-mode':1,'profile-level-id':'42001f'}", 0},
        {"video/H264", "{'packetization-mode':1,'profile-level-id':640032}", 0},
        {"video/H264", "{'packetization-mode':1,'profile-level-id':'nonsense'}", 0},
        {"video/AV1", "{'level-idx':5,'profile':0,'tier':0}", 109},
        {"video/AV1", "{}", 109},
        {"video/AV1", "{'profile':1}", 0},
        {"video/H265", "{}", 0},
        {"video/foo", "{}", 0},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct ortc_producer producer;
        struct rtp_error err;
        char text[512];
        int rc;

        snprintf(text, sizeof(text),
                 "{'mimeType':'%s','payloadType':45,'clockRate':90000,'parameters':%s}",
                 cases[i].mime, cases[i].parameters);
        rc = map(RTP_KIND_VIDEO, text, "", &producer, &err);
        if (cases[i].router_pt == 0) {
            assert_int_equal(rc, -ENOTSUP);
            assert_string_equal(err.path, "/codecs/0");
            snprintf(text, sizeof(text), "unsupported: %s", cases[i].mime);
            assert_memory_equal(err.reason, text, strlen(text));
        } else {
            assert_int_equal(rc, 0);
            assert_int_equal(producer.codecs[0].router_pt, cases[i].router_pt);
            assert_int_equal(producer.codecs[0].rtx_pt, ORTC_NO_PT);
        }
    }
}

static void what_the_router_does_not_have_is_named(void **state)
{
    struct ortc_producer producer;
    struct rtp_error err;
    (void)state;

    assert_int_equal(map(RTP_KIND_VIDEO,
                         "{'mimeType':'video/foo','payloadType':96,'clockRate':90000}", "",
                         &producer, &err),
                     -ENOTSUP);
    assert_string_equal(err.reason, "unsupported: video/foo");
    assert_int_equal(map(RTP_KIND_VIDEO,
                         "{'mimeType':'video/H264','payloadType':96,'clockRate':90000,"
                         "'parameters':{'profile-level-id':'64001f'}}",
                         "", &producer, &err),
                     -ENOTSUP);
    assert_string_equal(err.reason, "unsupported: video/H264 profile-level-id=64001f");
    assert_int_equal(map(RTP_KIND_AUDIO,
                         "{'mimeType':'audio/opus','payloadType':111,'clockRate':48000,"
                         "'channels':1}",
                         "", &producer, &err),
                     -ENOTSUP);
    assert_int_equal(map(RTP_KIND_VIDEO,
                         "{'mimeType':'video/VP8','payloadType':96,'clockRate':90000}",
                         "{'uri':'urn:foo','id':1}", &producer, &err),
                     -ENOTSUP);
    assert_string_equal(err.reason, "unsupported: urn:foo");
    assert_string_equal(err.path, "/headerExtensions/0/uri");
    /* one of video is none of audio */
    assert_int_equal(map(RTP_KIND_AUDIO,
                         "{'mimeType':'audio/opus','payloadType':111,'clockRate':48000,"
                         "'channels':2}",
                         "{'uri':'urn:3gpp:video-orientation','id':1}", &producer, &err),
                     -ENOTSUP);
}

static void codecs_that_do_not_fit_together_are_refused(void **state)
{
    static const struct {
        const char *codecs;
        const char *path;
    } cases[] = {
        {"{'mimeType':'audio/opus','payloadType':111,'clockRate':48000,'channels':2}",
         "/codecs/0/mimeType"},
        {"{'mimeType':'video/rtx','payloadType':97,'clockRate':90000,"
         "'parameters':{'apt':96}}",
         "/codecs/0/parameters/apt"},
        {"{'mimeType':'video/VP8','payloadType':96,'clockRate':90000},"
         "{'mimeType':'video/rtx','payloadType':97,'clockRate':90000,"
         "'parameters':{'apt':98}}",
         "/codecs/1/parameters/apt"},
        {"{'mimeType':'video/VP8','payloadType':96,'clockRate':90000},"
         "{'mimeType':'video/rtx','payloadType':97,'clockRate':90000}",
         "/codecs/1/parameters/apt"},
        {"{'mimeType':'video/VP8','payloadType':96,'clockRate':90000},"
         "{'mimeType':'video/VP8','payloadType':97,'clockRate':90000}",
         "/codecs/1"},
        {"{'mimeType':'video/VP8','payloadType':96,'clockRate':90000},"
         "{'mimeType':'video/rtx','payloadType':97,'clockRate':90000,"
         "'parameters':{'apt':96}},"
         "{'mimeType':'video/rtx','payloadType':98,'clockRate':90000,"
         "'parameters':{'apt':96}}",
         "/codecs/2/parameters/apt"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct ortc_producer producer;
        struct rtp_error err;

        assert_int_equal(map(RTP_KIND_VIDEO, cases[i].codecs, "", &producer, &err),
                         -EINVAL);
        assert_string_equal(err.path, cases[i].path);
    }
}

/* ---- consumers ---- */

static void a_consumer_has_one_encoding_in_the_routers_numbers(void **state)
{
    struct ortc_producer producer = vp8_producer();
    struct ortc_caps caps = router_caps();
    struct ortc_consumer consumer;
    struct rtp_params params;
    json_t *json;
    json_t *want;
    (void)state;

    assert_true(ortc_can_consume(&producer, &caps));
    assert_int_equal(ortc_consume(&producer, &caps, &CONF, &consumer), 0);
    assert_int_equal(consumer.ext_id[ORTC_EXT_TRANSPORT_CC], ORTC_EXT_TRANSPORT_CC);
    assert_int_equal(consumer.ext_id[ORTC_EXT_RID], 0);
    ortc_consumer_params(&producer, &consumer, &params);
    params.n_exts = 1; /* the rest is looked at above */
    json = rtp_params_write(&params);
    want = load("{'mid':'7','codecs':["
                "{'mimeType':'video/VP8','payloadType':101,'clockRate':90000,"
                "'parameters':{'x-google-start-bitrate':1000},'rtcpFeedback':["
                "{'type':'nack','parameter':''},{'type':'nack','parameter':'pli'},"
                "{'type':'ccm','parameter':'fir'},{'type':'transport-cc','parameter':''},"
                "{'type':'rrtr','parameter':''}]},"
                "{'mimeType':'video/rtx','payloadType':102,'clockRate':90000,"
                "'parameters':{'apt':101},'rtcpFeedback':[]}],"
                "'headerExtensions':[{'uri':'urn:ietf:params:rtp-hdrext:sdes:mid','id':1,"
                "'encrypt':false,'parameters':{}}],"
                "'encodings':[{'ssrc':1000,'rtx':{'ssrc':2000},'maxBitrate':900000}],"
                "'rtcp':{'cname':'cn','reducedSize':true}}");
    assert_true(json_equal(json, want));
    json_decref(want);
    json_decref(json);
}

static void what_a_producer_answers_to_is_noted(void **state)
{
    static const char *const feedback[] = {"", "{'type':'nack'}", "{'type':'goog-remb'}",
                                           "{'type':'nack'},{'type':'goog-remb'}"};
    (void)state;

    for (unsigned i = 0; i < 4; i++) {
        struct ortc_producer producer;
        struct rtp_error err;
        char text[256];

        snprintf(text, sizeof(text),
                 "{'mimeType':'video/VP8','payloadType':96,'clockRate':90000,"
                 "'rtcpFeedback':[%s]}",
                 feedback[i]);
        assert_int_equal(map(RTP_KIND_VIDEO, text, "", &producer, &err), 0);
        assert_int_equal(producer.codecs[0].nack, i & 1);
        assert_int_equal(producer.codecs[0].remb, i >> 1);
    }
}

/* Capabilities of a browser with VP8 only. */
static struct ortc_caps browser_caps(const char *more_codecs, const char *exts)
{
    struct ortc_caps caps;
    struct rtp_error err;
    char text[4096];
    json_t *json;

    snprintf(text, sizeof(text),
             "{'codecs':[{'mimeType':'video/VP8','kind':'video','preferredPayloadType':101,"
             "'clockRate':90000,'rtcpFeedback':[{'type':'nack'},{'type':'goog-remb'},"
             "{'type':'transport-cc'},{'type':'foo'}]}%s],'headerExtensions':[%s]}",
             more_codecs, exts);
    json = load(text);
    if (ortc_parse_caps(json, &caps, &err) != 0) {
        fail_msg("%s: %s", err.path, err.reason);
    }
    json_decref(json);
    return caps;
}

static void a_consumer_is_cut_to_its_browser(void **state)
{
    struct ortc_producer producer = vp8_producer();
    struct ortc_consumer consumer;
    struct ortc_caps caps;
    (void)state;

    /* no RTX, no extension: no estimator either */
    caps = browser_caps("", "");
    assert_int_equal(ortc_consume(&producer, &caps, &CONF, &consumer), 0);
    assert_int_equal(consumer.rtx_ssrc, 0);
    assert_int_equal(consumer.codecs[0].rtx_pt, ORTC_NO_PT);
    assert_int_equal(consumer.codecs[0].feedback, ORTC_FB_NACK);

    caps = browser_caps(",{'mimeType':'video/rtx','preferredPayloadType':102,"
                        "'clockRate':90000,'parameters':{'apt':101}}",
                        "{'kind':'video','uri':'" AST "','preferredId':4}");
    assert_int_equal(ortc_consume(&producer, &caps, &CONF, &consumer), 0);
    assert_int_equal(consumer.rtx_ssrc, 2000);
    assert_int_equal(consumer.codecs[0].rtx_pt, 102);
    assert_int_equal(consumer.codecs[0].feedback, ORTC_FB_NACK | ORTC_FB_GOOG_REMB);

    caps = browser_caps("", "{'kind':'video','uri':'" AST "','preferredId':4},"
                            "{'kind':'video','uri':'" TWCC "','preferredId':5}");
    assert_int_equal(ortc_consume(&producer, &caps, &CONF, &consumer), 0);
    assert_int_equal(consumer.codecs[0].feedback, ORTC_FB_NACK | ORTC_FB_TRANSPORT_CC);

    /* bound to another id, or of audio: not to be used */
    caps = browser_caps("", "{'kind':'video','uri':'" AST "','preferredId':5},"
                            "{'kind':'audio','uri':'" TWCC "','preferredId':5},"
                            "{'kind':'video','uri':'urn:foo','preferredId':0}");
    assert_int_equal(caps.video_exts, 0);
    /* RTX of a codec that is not ours */
    caps = browser_caps(",{'mimeType':'video/rtx','preferredPayloadType':102,"
                        "'clockRate':90000,'parameters':{'apt':99}}",
                        "");
    assert_int_equal(caps.rtx, 0);
}

static void a_browser_without_the_codec_cannot_consume(void **state)
{
    struct ortc_caps caps = browser_caps("", "");
    struct ortc_consumer consumer;
    struct ortc_producer producer;
    struct rtp_error err;
    (void)state;

    assert_int_equal(map(RTP_KIND_VIDEO,
                         "{'mimeType':'video/AV1','payloadType':45,'clockRate':90000}", "",
                         &producer, &err),
                     0);
    assert_false(ortc_can_consume(&producer, &caps));
    assert_int_equal(ortc_consume(&producer, &caps, &CONF, &consumer), -ENOTSUP);
}

/* A stream is of its producer's first codec. */
static void dependencies_are_told_of_av1_only(void **state)
{
    static const char vp8[] = "{'mimeType':'video/VP8','payloadType':96,'clockRate':90000}";
    static const char av1[] = "{'mimeType':'video/AV1','payloadType':45,'clockRate':90000}";
    struct ortc_consumer_conf any = CONF;
    struct ortc_caps caps = router_caps();
    struct ortc_consumer consumer;
    struct ortc_producer producer;
    struct rtp_error err;
    char both[256];
    (void)state;

    (void)snprintf(both, sizeof(both), "%s,%s", vp8, av1);
    assert_int_equal(map(RTP_KIND_VIDEO, both, "", &producer, &err), 0);
    assert_int_equal(ortc_consume(&producer, &caps, &CONF, &consumer), 0);
    assert_int_equal(consumer.n_codecs, 2);
    assert_int_equal(consumer.ext_id[ORTC_EXT_DEPENDENCY], 0);
    any.any = true; /* then AV1 may come */
    assert_int_equal(ortc_consume(&producer, &caps, &any, &consumer), 0);
    assert_int_equal(consumer.ext_id[ORTC_EXT_DEPENDENCY], ORTC_EXT_DEPENDENCY);

    (void)snprintf(both, sizeof(both), "%s,%s", av1, vp8);
    assert_int_equal(map(RTP_KIND_VIDEO, both, "", &producer, &err), 0);
    assert_int_equal(ortc_consume(&producer, &caps, &CONF, &consumer), 0);
    assert_int_equal(consumer.n_codecs, 2);
    assert_int_equal(consumer.ext_id[ORTC_EXT_DEPENDENCY], ORTC_EXT_DEPENDENCY);
}

static void audio_is_consumed_without_rtx_and_transport_cc(void **state)
{
    struct ortc_caps caps = router_caps();
    struct ortc_consumer consumer;
    struct ortc_producer producer;
    struct rtp_params params;
    struct rtp_error err;
    (void)state;

    assert_int_equal(map(RTP_KIND_AUDIO,
                         "{'mimeType':'audio/opus','payloadType':111,'clockRate':48000,"
                         "'channels':2,'parameters':{'minptime':10,'useinbandfec':1}}",
                         "", &producer, &err),
                     0);
    assert_int_equal(ortc_consume(&producer, &caps, &CONF, &consumer), 0);
    assert_int_equal(consumer.ext_id[ORTC_EXT_TRANSPORT_CC], 0);
    assert_int_equal(consumer.ext_id[ORTC_EXT_AUDIO_LEVEL], ORTC_EXT_AUDIO_LEVEL);
    assert_int_equal(consumer.rtx_ssrc, 0);
    assert_int_equal(consumer.codecs[0].feedback, ORTC_FB_NACK | ORTC_FB_RRTR);
    ortc_consumer_params(&producer, &consumer, &params);
    assert_int_equal(params.n_codecs, 1);
    assert_int_equal(params.codecs[0].pt, 100);
    assert_int_equal(params.codecs[0].channels, 2);
    assert_int_equal(rtp_codec_number(&params.codecs[0], "useinbandfec", 0), 1);
}

static void simulcast_looks_like_spatial_layers(void **state)
{
    static const struct {
        uint8_t n_encodings;
        const char *mode;
        const char *want;
    } cases[] = {
        {1, "", ""},     {1, "L3T3_KEY", "L3T3_KEY"}, {3, "L1T3", "L3T3"},
        {3, "", "L3T1"}, {2, "S1T2", "L2T2"},         {2, "garbage", "L2T1"},
    };
    struct ortc_producer producer = vp8_producer();
    struct ortc_caps caps = router_caps();
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct ortc_consumer consumer;

        producer.n_encodings = cases[i].n_encodings;
        strcpy(producer.encodings[0].scalability_mode, cases[i].mode);
        producer.encodings[1].max_bitrate_bps = 2500000;
        assert_int_equal(ortc_consume(&producer, &caps, &CONF, &consumer), 0);
        assert_string_equal(consumer.scalability_mode, cases[i].want);
        assert_int_equal(consumer.max_bitrate_bps,
                         cases[i].n_encodings > 1 ? 2500000 : 900000);
    }
}

static void a_consumer_needs_its_own_names_and_numbers(void **state)
{
    struct ortc_producer producer = vp8_producer();
    struct ortc_caps caps = router_caps();
    struct ortc_consumer consumer;
    struct ortc_consumer_conf conf;
    (void)state;

    conf = CONF;
    conf.mid = "";
    assert_int_equal(ortc_consume(&producer, &caps, &conf, &consumer), -EINVAL);
    conf.mid = "12345678901234567";
    assert_int_equal(ortc_consume(&producer, &caps, &conf, &consumer), -EINVAL);
    conf = CONF;
    conf.ssrc = 0;
    assert_int_equal(ortc_consume(&producer, &caps, &conf, &consumer), -EINVAL);
    conf = CONF;
    conf.rtx_ssrc = conf.ssrc;
    assert_int_equal(ortc_consume(&producer, &caps, &conf, &consumer), -EINVAL);
}

static void malformed_capabilities_are_named(void **state)
{
    static const struct {
        const char *text;
        const char *path;
    } cases[] = {
        {"[]", ""},
        {"{}", "/codecs"},
        {"{'codecs':{}}", "/codecs"},
        {"{'codecs':[],'headerExtensions':7}", "/headerExtensions"},
        {"{'codecs':[7],'headerExtensions':[]}", "/codecs/0"},
        {"{'codecs':[{'mimeType':'video/VP8','clockRate':1}],'headerExtensions':[]}",
         "/codecs/0/preferredPayloadType"},
        {"{'codecs':[],'headerExtensions':[7]}", "/headerExtensions/0/uri"},
        {"{'codecs':[],'headerExtensions':[{'uri':'a'}]}", "/headerExtensions/0/kind"},
        {"{'codecs':[],'headerExtensions':[{'uri':'a','kind':'video'}]}",
         "/headerExtensions/0/preferredId"},
    };
    struct ortc_caps caps;
    struct rtp_error err;
    json_t *json;
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        json = load(cases[i].text);
        assert_int_equal(ortc_parse_caps(json, &caps, &err), -EINVAL);
        assert_string_equal(err.path, cases[i].path);
        json_decref(json);
    }
    json = load("{'codecs':[]}"); /* a browser without any extension */
    assert_int_equal(ortc_parse_caps(json, &caps, &err), 0);
    json_decref(json);
    json = json_pack("{s:[],s:[]}", "codecs", "headerExtensions");
    for (int i = 0; i < 65; i++) {
        json_array_append_new(json_object_get(json, "codecs"), json_object());
    }
    assert_int_equal(ortc_parse_caps(json, &caps, &err), -EINVAL);
    assert_string_equal(err.reason, "too many");
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_router_offers_what_a_client_needs),
        cmocka_unit_test(the_routers_own_capabilities_are_all_understood),
        cmocka_unit_test(payload_types_and_extension_ids_are_mapped),
        cmocka_unit_test(codecs_are_told_apart_by_their_profile),
        cmocka_unit_test(what_the_router_does_not_have_is_named),
        cmocka_unit_test(codecs_that_do_not_fit_together_are_refused),
        cmocka_unit_test(a_consumer_has_one_encoding_in_the_routers_numbers),
        cmocka_unit_test(what_a_producer_answers_to_is_noted),
        cmocka_unit_test(a_consumer_is_cut_to_its_browser),
        cmocka_unit_test(a_browser_without_the_codec_cannot_consume),
        cmocka_unit_test(dependencies_are_told_of_av1_only),
        cmocka_unit_test(audio_is_consumed_without_rtx_and_transport_cc),
        cmocka_unit_test(simulcast_looks_like_spatial_layers),
        cmocka_unit_test(a_consumer_needs_its_own_names_and_numbers),
        cmocka_unit_test(malformed_capabilities_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

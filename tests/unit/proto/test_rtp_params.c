/* control/proto/rtp_params: objects as mediasoup-client makes them from Chromium, and what
 * is wrong with others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "proto/rtp_params.h"

/* Simulcast: RIDs and no SSRCs. */
static const char SIMULCAST[] =
    "{'mid':'1','codecs':["
    "{'mimeType':'video/VP8','payloadType':96,'clockRate':90000,'parameters':{},"
    "'rtcpFeedback':[{'type':'goog-remb','parameter':''},{'type':'nack','parameter':'pli'}]"
    "},"
    "{'mimeType':'video/rtx','payloadType':97,'clockRate':90000,'parameters':{'apt':96},"
    "'rtcpFeedback':[]}],"
    "'headerExtensions':["
    "{'uri':'urn:ietf:params:rtp-hdrext:sdes:mid','id':4,'encrypt':false,'parameters':{}},"
    "{'uri':'urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id','id':10,'encrypt':false,"
    "'parameters':{}}],"
    "'encodings':["
    "{'active':true,'scaleResolutionDownBy':4,'maxBitrate':100000,'rid':'r0',"
    "'scalabilityMode':'L1T3','dtx':false},"
    "{'active':true,'maxBitrate':500000,'rid':'r1','scalabilityMode':'L1T3','dtx':true}],"
    "'rtcp':{'cname':'Q1w2','reducedSize':true,'mux':true},'msid':'a b'}";

static const char AUDIO[] =
    "{'mid':'0','codecs':[{'mimeType':'audio/opus','payloadType':111,'clockRate':48000,"
    "'channels':2,'parameters':{'minptime':10,'useinbandfec':1,'x':'text'},"
    "'rtcpFeedback':[{'type':'transport-cc','parameter':''}]}],"
    "'headerExtensions':[],'encodings':[{'ssrc':4294967295,'rtx':{'ssrc':2}}],"
    "'rtcp':{'cname':'c','reducedSize':false}}";

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

static struct rtp_params parse(const char *text)
{
    json_t *json = load(text);
    struct rtp_params params;
    struct rtp_error err;

    if (rtp_params_parse(json, &params, &err) != 0) {
        fail_msg("%s: %s", err.path, err.reason);
    }
    json_decref(json);
    return params;
}

static void a_simulcast_object_becomes_a_struct(void **state)
{
    struct rtp_params p = parse(SIMULCAST);
    (void)state;

    assert_string_equal(p.mid, "1");
    assert_string_equal(p.cname, "Q1w2");
    assert_true(p.reduced_size);
    assert_int_equal(p.n_codecs, 2);
    assert_string_equal(p.codecs[0].mime, "video/VP8");
    assert_int_equal(p.codecs[0].kind, RTP_KIND_VIDEO);
    assert_int_equal(p.codecs[0].pt, 96);
    assert_int_equal(p.codecs[0].clock_rate, 90000);
    assert_int_equal(p.codecs[0].channels, 0);
    assert_int_equal(p.codecs[0].n_feedback, 2);
    assert_string_equal(p.codecs[0].feedback[1].parameter, "pli");
    assert_false(rtp_codec_is_rtx(&p.codecs[0]));
    assert_true(rtp_codec_is_rtx(&p.codecs[1]));
    assert_int_equal(rtp_codec_number(&p.codecs[1], "apt", -1), 96);
    assert_int_equal(p.n_exts, 2);
    assert_int_equal(p.exts[1].id, 10);
    assert_int_equal(p.n_encodings, 2);
    assert_int_equal(p.encodings[0].ssrc, 0);
    assert_string_equal(p.encodings[1].rid, "r1");
    assert_string_equal(p.encodings[0].scalability_mode, "L1T3");
    assert_int_equal(p.encodings[1].max_bitrate_bps, 500000);
    assert_true(p.encodings[1].dtx);
}

static void an_audio_object_becomes_a_struct(void **state)
{
    struct rtp_params p = parse(AUDIO);
    (void)state;

    assert_int_equal(p.codecs[0].kind, RTP_KIND_AUDIO);
    assert_int_equal(p.codecs[0].channels, 2);
    assert_int_equal(rtp_codec_number(&p.codecs[0], "useinbandfec", 0), 1);
    assert_int_equal(rtp_codec_number(&p.codecs[0], "absent", 5), 5);
    assert_int_equal(rtp_codec_number(&p.codecs[0], "x", 5), -1);
    assert_string_equal(rtp_codec_fmtp(&p.codecs[0], "x")->text, "text");
    assert_int_equal(p.encodings[0].ssrc, UINT32_MAX);
    assert_int_equal(p.encodings[0].rtx_ssrc, 2);
    assert_false(p.reduced_size);
}

static void what_is_written_parses_to_the_same(void **state)
{
    static const char *const texts[] = {SIMULCAST, AUDIO};
    (void)state;

    for (size_t i = 0; i < 2; i++) {
        struct rtp_params a = parse(texts[i]);
        json_t *json = rtp_params_write(&a);
        struct rtp_params b;
        struct rtp_error err;

        assert_non_null(json);
        assert_int_equal(rtp_params_parse(json, &b, &err), 0);
        assert_memory_equal(&a, &b, sizeof(a));
        json_decref(json);
    }
}

/* Each case is the simulcast object with the first 'from' replaced by 'to'. */
static void wrong_fields_are_named(void **state)
{
    static const struct {
        const char *from;
        const char *to;
        const char *path;
        const char *reason;
    } cases[] = {
        {"'mid':'1'", "'mid':1", "/mid", "not a string"},
        {"'mid':'1'", "'mid':'12345678901234567'", "/mid", "too long"},
        {"'codecs':[", "'codec':[", "/codecs", "missing"},
        {"'video/VP8'", "'foo/VP8'", "/codecs/0/mimeType", "not audio/… or video/…"},
        {"'video/VP8'", "'video/'", "/codecs/0/mimeType", "not audio/… or video/…"},
        {"'video/VP8'", "'video/0123456789012345678901234567'", "/codecs/0/mimeType",
         "too long"},
        {"'video/VP8'", "7", "/codecs/0/mimeType", "not a string"},
        {"'payloadType':97", "'payloadType':96", "/codecs/1/payloadType", "stands twice"},
        {"'payloadType':97", "'payloadType':128", "/codecs/1/payloadType", "out of range"},
        {"'payloadType':97", "'payloadType':-1", "/codecs/1/payloadType", "out of range"},
        {"'payloadType':97", "'payloadType':72", "/codecs/1/payloadType",
         "collides with RTCP"},
        {"'payloadType':97", "'payloadType':'97'", "/codecs/1/payloadType",
         "not an integer"},
        {"'payloadType':97,", "", "/codecs/1/payloadType", "missing"},
        {"'clockRate':90000", "'clockRate':0", "/codecs/0/clockRate", "out of range"},
        {"'apt':96", "'apt':true", "/codecs/1/parameters/apt",
         "not a string or an integer"},
        {"'apt':96", "'012345678901234567890123456789012':96", "/codecs/1/parameters",
         "a name is too long"},
        {"'apt':96",
         "'a':1,'b':1,'c':1,'d':1,'e':1,'f':1,'g':1,'h':1,'i':1,'j':1,'k':1,"
         "'l':1,'m':1",
         "/codecs/1/parameters", "too many"},
        {"'parameters':{}", "'parameters':[]", "/codecs/0/parameters", "not an object"},
        {"{'type':'goog-remb','parameter':''}", "{}", "/codecs/0/rtcpFeedback/0/type",
         "missing"},
        {"'type':'goog-remb'", "'type':'01234567890123456'",
         "/codecs/0/rtcpFeedback/0/type", "too long"},
        {"'id':10", "'id':15", "/headerExtensions/1/id", "out of range"},
        {"'id':10", "'id':0", "/headerExtensions/1/id", "out of range"},
        {"'id':10", "'id':4", "/headerExtensions/1", "stands twice"},
        {"rtp-stream-id", "mid", "/headerExtensions/1", "stands twice"},
        {"'uri':'urn:ietf:params:rtp-hdrext:sdes:mid',", "", "/headerExtensions/0/uri",
         "missing"},
        {"'rid':'r1'", "'rid':'r0'", "/encodings/1/rid", "stands twice"},
        {"'rid':'r1'", "'rid':'r 1'", "/encodings/1/rid", "not letters and digits"},
        {"'rid':'r1'", "'rid':'01234567890123456'", "/encodings/1/rid", "too long"},
        {"'rid':'r1',", "", "/encodings/1", "has neither ssrc nor rid"},
        {"'rid':'r1'", "'ssrc':0", "/encodings/1/ssrc", "out of range"},
        {"'rid':'r1'", "'ssrc':4294967296", "/encodings/1/ssrc", "out of range"},
        {"'rid':'r1'", "'ssrc':5,'rtx':{'ssrc':5}", "/encodings/1/rtx/ssrc",
         "stands twice"},
        {"'rid':'r1'", "'ssrc':5,'rtx':{}", "/encodings/1/rtx/ssrc", "missing"},
        {"'rid':'r1'", "'ssrc':5,'rtx':5", "/encodings/1/rtx", "not an object"},
        {"'dtx':true", "'dtx':1", "/encodings/1/dtx", "not a boolean"},
        {"'encodings':[", "'encodings':{},'x':[", "/encodings", "not an array"},
        {"'encodings':[", "'encodings':[],'x':[", "/encodings", "empty"},
        {"'encodings':[", "'encodings':[7,", "/encodings/0", "not an object"},
        {"'encodings':[", "'encodings':[{'rid':'a'},{'rid':'b'},{'rid':'c'},", "/encodings",
         "too many"},
        {"'encodings':[", "'encodings':[{'rid':'a','ssrc':9},{'rid':'b','ssrc':9},",
         "/encodings/1/ssrc", "stands twice"},
        {"'cname':'Q1w2'", "'cname':[]", "/rtcp/cname", "not a string"},
        {"'rtcp':{", "'rtcp':7,'x':{", "/rtcp", "not an object"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *at = strstr(SIMULCAST, cases[i].from);
        struct rtp_params params;
        struct rtp_error err = {"", ""};
        char text[4096];
        json_t *json;

        assert_non_null(at);
        snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - SIMULCAST), SIMULCAST,
                 cases[i].to, at + strlen(cases[i].from));
        json = load(text);
        assert_int_equal(rtp_params_parse(json, &params, &err), -EINVAL);
        assert_string_equal(err.path, cases[i].path);
        assert_string_equal(err.reason, cases[i].reason);
        json_decref(json);
    }
}

static void what_is_no_object_is_refused(void **state)
{
    json_t *json = json_array();
    struct rtp_params params;
    struct rtp_error err;
    (void)state;

    assert_int_equal(rtp_params_parse(json, &params, &err), -EINVAL);
    assert_int_equal(rtp_params_parse(NULL, &params, &err), -EINVAL);
    assert_string_equal(err.reason, "not an object");
    json_decref(json);
}

static void one_stream_may_be_known_by_its_mid_alone(void **state)
{
    struct rtp_params params;
    struct rtp_error err;
    json_t *json = load("{'mid':'0','codecs':[{'mimeType':'audio/opus','payloadType':111,"
                        "'clockRate':48000}],'encodings':[{}]}");
    (void)state;

    assert_int_equal(rtp_params_parse(json, &params, &err), 0);
    assert_int_equal(params.codecs[0].channels, 1);
    json_object_del(json, "mid");
    assert_int_equal(rtp_params_parse(json, &params, &err), -EINVAL);
    assert_string_equal(err.path, "/encodings/0");
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_simulcast_object_becomes_a_struct),
        cmocka_unit_test(an_audio_object_becomes_a_struct),
        cmocka_unit_test(what_is_written_parses_to_the_same),
        cmocka_unit_test(wrong_fields_are_named),
        cmocka_unit_test(what_is_no_object_is_refused),
        cmocka_unit_test(one_stream_may_be_known_by_its_mid_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* rtpParameters and rtpCapabilities as browsers send them: any JSON. What is accepted is
 * written and parsed again, mapped onto the router, and consumed by a browser with the
 * capabilities that stand behind it, whose parameters must again be well-formed. */
#include "fuzz.h"

#include "proto/ortc.h"

static void check_same(const struct rtp_params *a)
{
    static struct rtp_params again;
    struct rtp_error err = {.path = ""};
    json_t *json = rtp_params_write(a);

    FUZZ_CHECK(json != NULL);
    FUZZ_CHECK(rtp_params_parse(json, &again, &err) == 0);
    FUZZ_CHECK(memcmp(a, &again, sizeof(again)) == 0);
    json_decref(json);
}

static void consume(const struct ortc_producer *producer, const struct ortc_caps *caps)
{
    static const struct ortc_consumer_conf conf = {
        .mid = "0", .cname = "name", .ssrc = 1111, .rtx_ssrc = 2222};
    static struct rtp_params params;
    struct ortc_consumer consumer;
    int e = ortc_consume(producer, caps, &conf, &consumer);

    FUZZ_CHECK((e == 0) == ortc_can_consume(producer, caps));
    if (e == 0) {
        memset(&params, 0, sizeof(params));
        ortc_consumer_params(producer, &consumer, &params);
        FUZZ_CHECK(params.n_codecs > 0 && params.n_encodings == 1);
        check_same(&params);
    }
}

static void produce(enum rtp_kind kind, const struct rtp_params *params,
                    const struct ortc_caps *caps)
{
    static struct ortc_producer producer;
    struct rtp_error err = {.path = ""};

    memset(&producer, 0, sizeof(producer));
    if (ortc_map_producer(kind, params, &producer, &err) != 0) {
        FUZZ_CHECK(err.reason[0] != '\0');
        return;
    }
    FUZZ_CHECK(producer.n_codecs > 0 && producer.n_codecs <= ORTC_MAX_CODECS);
    if (caps != NULL) {
        consume(&producer, caps);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct rtp_params params;
    const char *text = (const char *)data;
    struct rtp_error err = {.path = ""};
    struct ortc_caps caps;
    json_error_t where;
    json_t *json = json_loadb(text, size, JSON_DISABLE_EOF_CHECK | JSON_DECODE_ANY, &where);
    json_t *json_caps;
    bool have_caps;

    if (json == NULL) {
        return 0;
    }
    json_caps = json_loadb(text + where.position, size - (size_t)where.position,
                           JSON_DECODE_ANY, NULL);
    have_caps = ortc_parse_caps(json_caps != NULL ? json_caps : json, &caps, &err) == 0;
    FUZZ_CHECK(have_caps || err.reason[0] != '\0');
    memset(&params, 0, sizeof(params));
    if (rtp_params_parse(json, &params, &err) == 0) {
        check_same(&params);
        produce(RTP_KIND_AUDIO, &params, have_caps ? &caps : NULL);
        produce(RTP_KIND_VIDEO, &params, have_caps ? &caps : NULL);
    } else {
        FUZZ_CHECK(err.reason[0] != '\0' && strlen(err.path) < sizeof(err.path));
    }
    json_decref(json_caps);
    json_decref(json);
    return 0;
}

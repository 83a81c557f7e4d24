/* What producers and consumers leave in the vault for a later control: any bytes; what is
 * understood is written, read and written again, the same bytes both times. */
#include "fuzz.h"

#include "session/record.h"

static struct vault_blob blob_of(const uint8_t *data, size_t len)
{
    struct vault_blob blob = {.len = (uint32_t)len};

    memcpy(blob.data, data, len < sizeof(blob.data) ? len : sizeof(blob.data));
    return blob;
}

static struct vault_sub_blob sub_blob_of(const uint8_t *data, size_t len)
{
    struct vault_sub_blob blob = {.len = (uint32_t)len};

    memcpy(blob.data, data, len < sizeof(blob.data) ? len : sizeof(blob.data));
    return blob;
}

static void on_stream(const uint8_t *data, size_t size)
{
    struct vault_blob blob = blob_of(data, size);
    static struct ortc_producer params;
    uint8_t out[2][VAULT_BLOB_MAX];
    uint8_t tag_copy[UINT8_MAX];
    const uint8_t *tag;
    size_t len[2];
    size_t tag_len;
    uint8_t encoding;
    uint8_t n;

    if (record_read_stream(&blob, &tag, &tag_len, &encoding, &n, &params) != 0) {
        return;
    }
    FUZZ_CHECK(encoding == 0 && n == params.n_encodings && tag_len <= UINT8_MAX);
    memcpy(tag_copy, tag, tag_len);
    for (unsigned i = 0; i < 2; i++) {
        len[i] = record_write_stream(out[i], tag_copy, tag_len, 0, &params);
        FUZZ_CHECK(len[i] > 0 && len[i] <= size); /* it came from as many bytes */
        blob = blob_of(out[i], len[i]);
        FUZZ_CHECK(record_read_stream(&blob, &tag, &tag_len, &encoding, &n, &params) == 0);
    }
    FUZZ_CHECK(len[0] == len[1] && memcmp(out[0], out[1], len[0]) == 0);
}

static void on_sub(const uint8_t *data, size_t size)
{
    struct vault_sub_conf conf = {.ssrc = 1, .blob = sub_blob_of(data, size)};
    struct ortc_consumer params;
    uint8_t out[2][VAULT_SUB_BLOB_MAX];
    uint8_t tag_copy[UINT8_MAX];
    const uint8_t *tag;
    size_t len[2];
    size_t tag_len;
    struct ortc_caps caps;

    if (record_read_sub(&conf, &tag, &tag_len, &params, &caps) != 0) {
        return;
    }
    memcpy(tag_copy, tag, tag_len);
    for (unsigned i = 0; i < 2; i++) {
        len[i] = record_write_sub(out[i], tag_copy, tag_len, &params,
                                  caps.codecs != 0 ? &caps : NULL);
        FUZZ_CHECK(len[i] > 0 && len[i] <= size);
        conf.blob = sub_blob_of(out[i], len[i]);
        FUZZ_CHECK(record_read_sub(&conf, &tag, &tag_len, &params, &caps) == 0);
    }
    FUZZ_CHECK(len[0] == len[1] && memcmp(out[0], out[1], len[0]) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    on_stream(data, size);
    on_sub(data, size);
    return 0;
}

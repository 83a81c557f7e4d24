/* Key frame detection: any payload as each codec. */
#include "fuzz.h"

#include "core/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (unsigned codec = CODEC_NONE; codec < N_CODECS; codec++) {
        bool key = codec_is_keyframe((enum codec_kind)codec, data, size);

        FUZZ_CHECK(!key || (size > 0 && codec != CODEC_NONE && codec != CODEC_OPUS));
    }
    return 0;
}

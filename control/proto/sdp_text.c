/* Words and numbers of descriptions; see sdp_priv.h. */
#include <string.h>

#include "proto/sdp_priv.h"

char *sdp_word(char **text, char sep)
{
    char *word = *text;
    char *end;

    while (*word == sep && sep == ' ') {
        word++;
    }
    end = strchr(word, sep);
    if (end == NULL) {
        *text = word + strlen(word);
    } else {
        *end = '\0';
        *text = end + 1;
    }
    return word;
}

bool sdp_copy(char *out, size_t cap, const char *word)
{
    size_t len = strlen(word);

    if (len == 0 || len >= cap) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)word[i] <= ' ' || word[i] == 0x7f) {
            return false;
        }
    }
    memset(out, 0, cap);
    memcpy(out, word, len);
    return true;
}

bool sdp_number(const char *word, uint64_t max, uint64_t *out)
{
    uint64_t value = 0;

    if (*word == '\0') {
        return false;
    }
    for (; *word != '\0'; word++) {
        uint64_t digit = (uint64_t)(unsigned char)*word - '0';

        if (digit > 9 || value > (UINT64_MAX - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *out = value;
    return value <= max;
}

bool sdp_pt(const char *word, uint8_t *out)
{
    uint64_t pt;

    if (!sdp_number(word, 127, &pt) || (pt >= 64 && pt < 96)) {
        return false;
    }
    *out = (uint8_t)pt;
    return true;
}

struct rtp_codec *sdp_codec_of(struct sdp_media *media, uint8_t pt)
{
    for (uint8_t i = 0; i < media->n_codecs; i++) {
        if (media->codecs[i].pt == pt) {
            return &media->codecs[i];
        }
    }
    return NULL;
}

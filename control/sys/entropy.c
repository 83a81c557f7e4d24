#include "sys/entropy.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

#include <sys/random.h>

void entropy_fill(void *out, size_t len)
{
    uint8_t *p = out;

    while (len > 0) {
        ssize_t n = getrandom(p, len, 0);

        if (n < 0) {
            if (errno == EINTR) {
                continue;
            }
            abort();
        }
        p += n;
        len -= (size_t)n;
    }
}

void entropy_id(char *out, size_t n)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";

    entropy_fill(out, n);
    for (size_t i = 0; i < n; i++) {
        out[i] = alphabet[(uint8_t)out[i] & 63];
    }
    out[n] = '\0';
    while (out[0] == '-') {
        entropy_fill(out, 1);
        out[0] = alphabet[(uint8_t)out[0] & 63];
    }
}

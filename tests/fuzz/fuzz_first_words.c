/* What comes before any protocol is agreed on (net/hello.h): whatever it is, it is read
 * within its bounds, and never waited for without end; and the target of a request of
 * HTTP/2: its path begins with '/' and has no dot segments, its parts fit. */
#include "fuzz.h"

#include <string.h>

#include "net/hello.h"
#include "net/target.h"

static void read_hello(const uint8_t *data, size_t len)
{
    uint8_t *copy = fuzz_tight(data, len);
    size_t need;
    enum hello whole = hello_read(copy, len, &need);

    FUZZ_CHECK(whole != HELLO_MORE || (need > len && need <= HELLO_MAX));
    for (size_t n = 0; n < len && n < 64; n++) { /* by and by it says the same */
        enum hello part = hello_read(copy, n, &need);

        FUZZ_CHECK(part == HELLO_MORE ? need > n && need <= HELLO_MAX : part == whole);
    }
    free(copy);
}

static void read_target(const uint8_t *data, size_t len)
{
    char *target = malloc(len + 1);
    char *path;
    char part[64];
    int n;

    FUZZ_CHECK(target != NULL);
    memcpy(target, data, len);
    target[len] = '\0';
    path = malloc(strlen(target) + 2);
    FUZZ_CHECK(path != NULL);
    if (target_path(target, path)) {
        FUZZ_CHECK(path[0] == '/' && strstr(path, "/../") == NULL &&
                   strstr(path, "/./") == NULL && strstr(path, "//") == NULL);
        n = (int)strlen(path);
        FUZZ_CHECK(n < 3 || strcmp(&path[n - 3], "/..") != 0);
    }
    for (const char *at = target_query(target), *was = at; at != NULL; was = at) {
        n = target_next(&at, part, sizeof(part));
        FUZZ_CHECK(n < 0 ? at == NULL : (size_t)n == strlen(part));
        FUZZ_CHECK(at == NULL || at > was);
    }
    free(path);
    free(target);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len > 0 && (data[0] & 1) == 0) {
        read_hello(data, len); /* 0x16 */
    } else if (len > 0) {
        read_target(data + 1, len - 1);
    }
    return 0;
}

/* loadgen/options: what cannot be meant is refused in words, not left out in silence. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loadgen/options.h"

enum { MAX_ARGS = 24, TEXT_MAX = 1024 };

/* Reads a command line of the words in 'more' behind what every one needs. 'said' is what went to
 * stderr. */
static bool read_line(const char *url, const char *more, struct options *out, int *status,
                      char said[TEXT_MAX])
{
    static char words[TEXT_MAX]; /* options borrow of it */
    char *argv[MAX_ARGS + 1] = {(char[]){"kcs-loadgen"}, (char[]){"--url"}, NULL,
                                (char[]){"--secret-file"}, (char[]){"s"},
                                (char[]){"--meeting"}, (char[]){"m"},
                                (char[]){"--publishers"}, (char[]){"1"}};
    FILE *file = tmpfile();
    int kept = dup(STDERR_FILENO);
    char *at = NULL;
    size_t len;
    int argc = 9;
    bool ok;

    assert_non_null(file);
    argv[2] = strdup(url);
    (void)snprintf(words, sizeof(words), "%s", more);
    for (char *word = strtok_r(words, " ", &at); word != NULL && argc < MAX_ARGS;
         word = strtok_r(NULL, " ", &at)) {
        argv[argc++] = word;
    }
    (void)fflush(stderr);
    assert_true(dup2(fileno(file), STDERR_FILENO) >= 0);
    optind = 0; /* anew */
    ok = options_parse(argc, argv, out, status);
    (void)fflush(stderr);
    assert_true(dup2(kept, STDERR_FILENO) >= 0);
    (void)close(kept);
    rewind(file);
    len = fread(said, 1, TEXT_MAX - 1, file);
    said[len] = '\0';
    (void)fclose(file);
    free(argv[2]);
    out->url = NULL;
    return ok;
}

static void takes(const char *url, const char *more)
{
    struct options o;
    char said[TEXT_MAX];
    int status;

    assert_true(read_line(url, more, &o, &status, said));
    assert_string_equal(said, "");
}

static void refuses(const char *url, const char *more, const char *words)
{
    struct options o;
    char said[TEXT_MAX];
    int status = LOADGEN_OK;

    assert_false(read_line(url, more, &o, &status, said));
    assert_int_equal(status, LOADGEN_USAGE);
    if (strstr(said, words) == NULL) {
        fail_msg("'%s' is not in '%s'", words, said);
    }
}

static void certificates_are_of_https(void **state)
{
    (void)state;

    takes("https://127.0.0.1:1", "--insecure");
    takes("https://127.0.0.1:1", "--ca-file c.pem");
    refuses("http://127.0.0.1:1", "--insecure", "--insecure is of https");
    refuses("http://127.0.0.1:1", "--ca-file c.pem", "--ca-file is of https");
    refuses("https://127.0.0.1:1", "--ca-file c.pem --insecure", "give one");
}

static void layers_are_of_video(void **state)
{
    (void)state;

    takes("http://127.0.0.1:1", "--media video --layers 3");
    takes("http://127.0.0.1:1", "--media both --audio-pattern opus --layers 3");
    refuses("http://127.0.0.1:1", "--layers 3", "--layers is of video");
    refuses("http://127.0.0.1:1", "--audio-pattern opus --layers 3", "--layers is of video");
    refuses("http://127.0.0.1:1", "--media video --video-pattern vp8 --layers 3",
            "--layers are of what is fixed");
}

static void rate_of_audio_is_given_beside_video(void **state)
{
    (void)state;

    takes("http://127.0.0.1:1", "--media both --audio-rate 25 --rate 30");
    refuses("http://127.0.0.1:1", "--audio-rate 25", "--audio-rate is of --media both");
    refuses("http://127.0.0.1:1", "--media video --audio-rate 25",
            "--audio-rate is of --media both");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(certificates_are_of_https),
        cmocka_unit_test(layers_are_of_video),
        cmocka_unit_test(rate_of_audio_is_given_beside_video),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The examples that AWS publishes of its signature ("Authenticating Requests", S3's API
 * reference). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "proto/sigv4.h"

static const char EMPTY[] =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

static const struct sigv4_key KEY = {.access = "AKIAIOSFODNN7EXAMPLE",
                                     .secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                                     .region = "us-east-1"};

static const struct sigv4_request GET = {.method = "GET",
                                         .host = "examplebucket.s3.amazonaws.com",
                                         .path = "/",
                                         .query = "",
                                         .body = EMPTY,
                                         .at_s = 1369353600};

static void time_is_written_as_the_header_has_it(void **state)
{
    char time[SIGV4_TIME];
    (void)state;

    sigv4_time(1369353600, time);
    assert_string_equal(time, "20130524T000000Z");
}

static void header_is_that_of_the_examples(void **state)
{
    struct sigv4_request request = GET;
    char header[SIGV4_HEADER];
    (void)state;

    request.query = "lifecycle=";
    assert_int_equal(sigv4_header(&KEY, &request, header), 0);
    assert_string_equal(
        header, "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/"
                "aws4_request,SignedHeaders=host;x-amz-content-sha256;x-amz-date,Signature="
                "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
    request.query = "max-keys=2&prefix=J";
    assert_int_equal(sigv4_header(&KEY, &request, header), 0);
    assert_non_null(strstr(
        header,
        "Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"));
}

static void url_is_that_of_the_example(void **state)
{
    struct sigv4_request request = GET;
    char query[SIGV4_QUERY];
    (void)state;

    request.path = "/test.txt";
    request.body = "UNSIGNED-PAYLOAD";
    assert_int_equal(sigv4_query(&KEY, &request, 86400, query), 0);
    assert_string_equal(
        query, "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F"
               "20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&"
               "X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature="
               "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
}

static void what_is_too_long_is_refused(void **state)
{
    struct sigv4_request request = GET;
    struct sigv4_key key = KEY;
    char path[5000], out[SIGV4_QUERY], secret[600];
    (void)state;

    memset(path, 'a', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    request.path = path;
    assert_int_equal(sigv4_header(&KEY, &request, out), -ENOSPC);
    assert_int_equal(sigv4_query(&KEY, &request, 1, out), -ENOSPC);
    request.path = "/";
    request.query = path;
    assert_int_equal(sigv4_query(&KEY, &request, 1, out), -ENOSPC);
    request.query = "";
    memset(secret, 'a', sizeof(secret) - 1);
    secret[sizeof(secret) - 1] = '\0';
    key.secret = secret;
    assert_int_equal(sigv4_header(&key, &request, out), -ENOSPC);
    key = KEY;
    key.access = secret;
    assert_int_equal(sigv4_header(&key, &request, out), -ENOSPC);
    assert_int_equal(sigv4_query(&key, &request, 1, out), -ENOSPC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(time_is_written_as_the_header_has_it),
        cmocka_unit_test(header_is_that_of_the_examples),
        cmocka_unit_test(url_is_that_of_the_example),
        cmocka_unit_test(what_is_too_long_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

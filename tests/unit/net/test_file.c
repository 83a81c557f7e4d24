#include "unit/net/fixture.h"

static void write_file(const struct fx *fx, const char *name, const char *text)
{
    char path[256];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", fx->dir, name);
    file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int setup(void **state)
{
    struct fx *fx = fx_new();
    char path[256];

    write_file(fx, "index.html", "<p>home</p>");
    write_file(fx, "app.js", "let x;");
    write_file(fx, ".secret", "no");
    snprintf(path, sizeof(path), "%s/sub", fx->dir);
    assert_int_equal(mkdir(path, 0700), 0);
    write_file(fx, "sub/index.html", "<p>sub</p>");
    write_file(fx, "sub/empty", "");
    snprintf(path, sizeof(path), "%s/link", fx->dir);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    snprintf(path, sizeof(path), "%s/up", fx->dir);
    assert_int_equal(symlink("/etc", path), 0);
    fx_start(fx);
    *state = fx;
    return 0;
}

static int teardown(void **state)
{
    fx_free(*state);
    return 0;
}

static struct answer get(int fd, const char *method, const char *path, const char *headers)
{
    char text[1024];

    snprintf(text, sizeof(text), "%s %s HTTP/1.1\r\nHost: t\r\n%s\r\n", method, path,
             headers);
    cl_say(fd, text);
    return cl_answer(fd, strcmp(method, "HEAD") == 0);
}

static void files_have_type_length_and_cache_headers(void **state)
{
    static const struct {
        const char *path;
        const char *body;
        const char *type;
    } cases[] = {
        {"/files/app.js", "let x;", "content-type: text/javascript; charset=utf-8\r\n"},
        {"/files/", "<p>home</p>", "content-type: text/html; charset=utf-8\r\n"},
        {"/files", "<p>home</p>", "content-type: text/html; charset=utf-8\r\n"},
        {"/files/sub", "<p>sub</p>", "content-type: text/html; charset=utf-8\r\n"},
        {"/files/sub/", "<p>sub</p>", "content-type: text/html; charset=utf-8\r\n"},
        {"/files/sub/empty", "", "content-type: application/octet-stream\r\n"},
    };
    int fd = cl_connect(*state);

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct answer ans = get(fd, "GET", cases[i].path, "");

        assert_int_equal(ans.status, 200);
        assert_string_equal(ans.body, cases[i].body);
        assert_non_null(strstr(ans.head, cases[i].type));
        assert_non_null(strstr(ans.head, "cache-control: no-cache\r\n"));
        assert_non_null(strstr(ans.head, "x-content-type-options: nosniff\r\n"));
        assert_non_null(strstr(ans.head, "\r\ndate: "));
        ans_free(&ans);
        ans = get(fd, "HEAD", cases[i].path, "");
        assert_int_equal(ans.status, 200);
        assert_int_equal(ans.len, strlen(cases[i].body));
        ans_free(&ans);
    }
    close(fd);
}

static void unchanged_file_is_304(void **state)
{
    int fd = cl_connect(*state);
    struct answer ans = get(fd, "GET", "/files/app.js", "");
    char etag[64];
    char header[256];

    assert_int_equal(sscanf(strstr(ans.head, "etag: ") + 6, "%63[^\r]", etag), 1);
    ans_free(&ans);
    snprintf(header, sizeof(header), "If-None-Match: \"other\", W/%s\r\n", etag);
    ans = get(fd, "GET", "/files/app.js", header);
    assert_int_equal(ans.status, 304);
    assert_null(strstr(ans.head, "content-length"));
    ans_free(&ans);
    ans = get(fd, "GET", "/files/app.js", "If-None-Match: \"other\"\r\n");
    assert_int_equal(ans.status, 200);
    ans_free(&ans);
    write_file(*state, "app.js", "let yy;");
    ans = get(fd, "GET", "/files/app.js", header);
    assert_int_equal(ans.status, 200);
    assert_string_equal(ans.body, "let yy;");
    ans_free(&ans);
    close(fd);
}

static void nothing_outside_the_root_is_served(void **state)
{
    static const char *const paths[] = {
        "/files/../../../../../../etc/passwd",
        "/files/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/files/..%2f..%2f..%2f..%2fetc%2fpasswd",
        "/files/....//....//etc/passwd",
        "/files/sub/..;/..;/etc/passwd",
        "/files//etc/passwd",
        "/files/link",
        "/files/up/passwd",
        "/files/.secret",
        "/files/sub/../.secret",
        "/files/none",
        "/files/app.js/x",
        /* and a caller that does not clean its path */
        "/raw-path?p=../../../../etc/passwd",
        "/raw-path?p=/../../../../etc/passwd",
        "/raw-path?p=sub/../../../../etc/passwd",
        "/raw-path?p=%2fetc%2fpasswd",
        "/raw-path?p=/up/passwd",
        "/raw-path?p=.secret",
        "/raw-path?p=sub/./index.html",
    };

    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        int fd = cl_connect(*state);
        struct answer ans = get(fd, "GET", paths[i], "");

        if (ans.status == 200 && strncmp(ans.body, "GET /", 5) != 0) {
            fail_msg("%s was served: %.40s", paths[i], ans.body);
        }
        assert_null(strstr(ans.body, "root:"));
        ans_free(&ans);
        close(fd);
    }
}

static void other_methods_are_405(void **state)
{
    int fd = cl_connect(*state);
    struct answer ans = get(fd, "DELETE", "/files/app.js", "");

    assert_int_equal(ans.status, 405);
    assert_non_null(strstr(ans.head, "allow: GET, HEAD\r\n"));
    ans_free(&ans);
    close(fd);
}

enum { LARGE = 20 << 20 }; /* more than a file that is read whole may have */

static void write_large(const struct fx *fx)
{
    char path[256];
    FILE *file;

    snprintf(path, sizeof(path), "%s/large.mp4", fx->dir);
    file = fopen(path, "w");
    assert_non_null(file);
    for (uint32_t i = 0; i < LARGE / sizeof(i); i++) {
        assert_int_equal(fwrite(&i, sizeof(i), 1, file), 1);
    }
    fclose(file);
}

static void assert_large(const struct answer *ans, size_t at, size_t len)
{
    assert_int_equal(ans->len, len);
    for (size_t i = 0; i < len; i++) {
        uint32_t word = (uint32_t)((at + i) / sizeof(word));

        if ((uint8_t)ans->body[i] != ((const uint8_t *)&word)[(at + i) % sizeof(word)]) {
            fail_msg("byte %zu is another", at + i);
        }
    }
}

static void parts_of_a_large_file_are_as_it_is(void **state)
{
    static const struct {
        const char *range;
        unsigned status;
        size_t at, len;
        const char *told;
    } cases[] = {
        {"", 200, 0, LARGE, NULL},
        {"Range: bytes=0-\r\n", 206, 0, LARGE, "bytes 0-20971519/20971520"},
        {"Range: bytes=5-9\r\n", 206, 5, 5, "bytes 5-9/20971520"},
        {"Range: bytes=20971519-20971519\r\n", 206, LARGE - 1, 1,
         "bytes 20971519-20971519/20971520"},
        {"Range: bytes=300000-99999999999\r\n", 206, 300000, LARGE - 300000,
         "bytes 300000-20971519/20971520"},
        {"Range: bytes=-7\r\n", 206, LARGE - 7, 7, "bytes 20971513-20971519/20971520"},
        {"Range: bytes=-99999999\r\n", 206, 0, LARGE, "bytes 0-20971519/20971520"},
        {"Range: bytes=20971520-\r\n", 416, 0, 0, "bytes */20971520"},
        {"Range: bytes=-0\r\n", 416, 0, 0, "bytes */20971520"},
        {"Range: bytes=0-1,5-6\r\n", 200, 0, LARGE, NULL},
        {"Range: bytes=9-5\r\n", 200, 0, LARGE, NULL},
        {"Range: bytes=x-5\r\n", 200, 0, LARGE, NULL},
        {"Range: bytes=99999999999999999999-\r\n", 200, 0, LARGE, NULL},
        {"Range: lines=1-2\r\n", 200, 0, LARGE, NULL},
        {"Range: bytes=5-9\r\nIf-Range: \"other\"\r\n", 200, 0, LARGE, NULL},
    };
    struct answer ans;
    char etag[64], header[160];
    int fd;

    write_large(*state); /* before: a connection has to ask for something within 1 s */
    fd = cl_connect(*state);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ans = get(fd, "GET", "/large/large.mp4", cases[i].range);
        assert_int_equal(ans.status, cases[i].status);
        assert_large(&ans, cases[i].at, cases[i].len);
        assert_non_null(strstr(ans.head, "accept-ranges: bytes\r\n"));
        assert_int_equal(strstr(ans.head, "content-range: ") != NULL,
                         cases[i].told != NULL);
        if (cases[i].told != NULL) {
            assert_non_null(strstr(ans.head, cases[i].told));
        }
        assert_int_equal(sscanf(strstr(ans.head, "etag: ") + 6, "%63[^\r]", etag), 1);
        ans_free(&ans);
    }
    snprintf(header, sizeof(header), "Range: bytes=5-9\r\nIf-Range: %s\r\n", etag);
    ans = get(fd, "GET", "/large/large.mp4", header);
    assert_int_equal(ans.status, 206);
    ans_free(&ans);
    ans = get(fd, "HEAD", "/large/large.mp4", "");
    assert_int_equal(ans.len, LARGE);
    assert_non_null(strstr(ans.head, "content-type: video/mp4\r\n"));
    ans_free(&ans);
    ans = get(fd, "GET", "/large/sub/empty", "");
    assert_int_equal(ans.status, 200);
    assert_int_equal(ans.len, 0);
    ans_free(&ans);
    ans = get(fd, "GET", "/large/link", "");
    assert_int_equal(ans.status, 404);
    ans_free(&ans);
    close(fd);
}

/* It was told to be longer: the connection ends, rather than that anything else is sent. */
static void a_large_file_that_gets_shorter_ends_the_connection(void **state)
{
    struct fx *fx = *state;
    char path[256];
    int fd;

    write_large(fx);
    fd = cl_connect(fx);
    snprintf(path, sizeof(path), "%s/large.mp4", fx->dir);
    cl_say(fd, "GET /large/large.mp4 HTTP/1.1\r\nHost: t\r\n\r\n");
    usleep(50000); /* the buffers of the sockets are full */
    assert_int_equal(truncate(path, 1000), 0);
    cl_expect_closed(fd);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_have_type_length_and_cache_headers),
        cmocka_unit_test(unchanged_file_is_304),
        cmocka_unit_test(nothing_outside_the_root_is_served),
        cmocka_unit_test(other_methods_are_405),
        cmocka_unit_test(parts_of_a_large_file_are_as_it_is),
        cmocka_unit_test(a_large_file_that_gets_shorter_ends_the_connection),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}

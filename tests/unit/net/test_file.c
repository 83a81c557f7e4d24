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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_have_type_length_and_cache_headers),
        cmocka_unit_test(unchanged_file_is_304),
        cmocka_unit_test(nothing_outside_the_root_is_served),
        cmocka_unit_test(other_methods_are_405),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}

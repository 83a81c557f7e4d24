/* The sample of control's configuration equals the defaults; the secret is found where it
 * may be and never printed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/control_conf.h"

#define SECRET "0123456789abcdef0123456789abcdef"

static char dir[] = "/tmp/kcs-control-conf-XXXXXX";

/* Writes 'text' to 'name' in the working directory. */
static void put(const char *name, const char *text)
{
    FILE *file = fopen(name, "we");

    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
}

static void expect_error(const char *text, const char *wanted)
{
    struct control_conf conf;
    char err[512] = "";

    put("c.yaml", text);
    assert_int_equal(control_conf_load("c.yaml", &conf, err, sizeof(err)), -EINVAL);
    assert_string_equal(err, wanted);
}

static void sample_equals_the_defaults(void **state)
{
    struct control_conf sample, defaults;
    char err[512] = "";
    (void)state;

    assert_int_equal(control_conf_load(NULL, &defaults, err, sizeof(err)), 0);
    if (control_conf_load(KCS_TEST_VECTORS "/../../conf/control.yaml", &sample, err,
                          sizeof(err)) != 0) {
        fail_msg("%s", err);
    }
    assert_memory_equal(&sample, &defaults, sizeof(sample));
}

static void listeners_replace_the_default_one(void **state)
{
    struct control_conf conf;
    char err[512] = "";
    (void)state;

    put("c.yaml", "http:\n- port: 80\n- {address: '127.0.0.1', port: 443, "
                  "tls: {cert: c, key: k}}\n");
    assert_int_equal(control_conf_load("c.yaml", &conf, err, sizeof(err)), 0);
    assert_int_equal(conf.n_http, 2);
    assert_string_equal(conf.http[0].address, "::");
    assert_int_equal(conf.http[0].port, 80);
    assert_string_equal(conf.http[1].tls.key, "k");
}

static void listener_that_cannot_work_is_refused(void **state)
{
    (void)state;
    expect_error("http: []\n", "c.yaml: http is empty: nobody could connect");
    expect_error("http:\n- address: '::1'\n", "c.yaml: http[0] needs a 'port'");
    expect_error("http:\n- address: localhost\n",
                 "c.yaml:2: 'http.address' must be an IPv4 or IPv6 address");
    expect_error("http:\n- {port: 1, tls: {cert: x}}\n",
                 "c.yaml: http[0].tls needs both 'cert' and 'key'");
    expect_error("http:\n- prot: 1\n",
                 "c.yaml:2: unknown key 'prot' (did you mean 'port'?)");
}

static void secret_of_the_environment_comes_before_the_file(void **state)
{
    struct control_conf conf;
    char err[512] = "";
    (void)state;

    put("s", SECRET "-file\n");
    put("c.yaml", "auth: {hs256_secret_file: s, hs256_secret: " SECRET "-yaml}\n");
    assert_int_equal(control_conf_load("c.yaml", &conf, err, sizeof(err)), 0);

    assert_int_equal(setenv("KCS_HS256_SECRET", SECRET "-env", 1), 0);
    assert_int_equal(control_conf_secrets(&conf, err, sizeof(err)), 0);
    assert_string_equal(conf.auth.hs256_secret, SECRET "-env");

    assert_int_equal(unsetenv("KCS_HS256_SECRET"), 0);
    assert_int_equal(control_conf_secrets(&conf, err, sizeof(err)), 0);
    assert_string_equal(conf.auth.hs256_secret, SECRET "-file");

    put("c.yaml", "auth: {hs256_secret: " SECRET "-yaml}\n");
    assert_int_equal(control_conf_load("c.yaml", &conf, err, sizeof(err)), 0);
    assert_int_equal(control_conf_secrets(&conf, err, sizeof(err)), 0);
    assert_string_equal(conf.auth.hs256_secret, SECRET "-yaml");
}

static void a_turn_secret_is_the_first_line_of_its_file(void **state)
{
    struct control_conf conf;
    char err[512] = "";
    (void)state;

    put("t", "north\nsouth\n");
    put("c.yaml", "auth: {hs256_secret: " SECRET "}\n"
                  "ice_servers: [{url: 'turn:a', secret_file: t}, {url: 'stun:b'}]\n");
    assert_int_equal(control_conf_load("c.yaml", &conf, err, sizeof(err)), 0);
    assert_int_equal(control_conf_secrets(&conf, err, sizeof(err)), 0);
    assert_string_equal(conf.ice_servers[0].secret, "north");
    assert_string_equal(conf.ice_servers[1].secret, "");

    put("t", "\n");
    assert_int_equal(control_conf_secrets(&conf, err, sizeof(err)), -EINVAL);
    assert_non_null(strstr(err, "ice_servers.secret_file t: its first line has 0 bytes"));
    snprintf(conf.ice_servers[0].secret_file, sizeof(conf.ice_servers[0].secret_file),
             "no");
    assert_int_equal(control_conf_secrets(&conf, err, sizeof(err)), -ENOENT);
    assert_non_null(strstr(err, "ice_servers.secret_file no: No such file"));

    expect_error("ice_servers: [{url: 'turn:a', username: u, secret: s}]\n",
                 "c.yaml: ice_servers[0] has both a username and a secret, with which "
                 "usernames are made");
}

static void renditions_go_down(void **state)
{
    struct control_conf conf;
    char err[512] = "";
    (void)state;

    put("c.yaml", "recording: {renditions: [{height: 480, kbps: 900}]}\n");
    assert_int_equal(control_conf_load("c.yaml", &conf, err, sizeof(err)), 0);
    assert_int_equal(conf.recording.n_renditions, 1);
    assert_int_equal(conf.recording.renditions[0].height, 480);
    expect_error("recording: {renditions: []}\n",
                 "c.yaml: recording.renditions is empty: nothing could be seen");
    expect_error("recording: {renditions: [{height: 360, kbps: 800}, {height: 360, kbps: "
                 "900}]}\n",
                 "c.yaml: recording.renditions[1] needs a 'height', less than the one "
                 "before, and 'kbps'");
}

static void secret_missing_or_too_short_says_how_to_make_one(void **state)
{
    struct control_conf conf;
    char err[512] = "";
    (void)state;

    assert_int_equal(control_conf_load(NULL, &conf, err, sizeof(err)), 0);
    assert_int_equal(control_conf_secrets(&conf, err, sizeof(err)), -ENOENT);
    assert_non_null(strstr(err, "openssl rand -hex 32 > FILE"));

    put("s", "short\n");
    snprintf(conf.auth.hs256_secret_file, sizeof(conf.auth.hs256_secret_file), "s");
    assert_int_equal(control_conf_secrets(&conf, err, sizeof(err)), -EINVAL);
    assert_non_null(strstr(err, "s: the HS256 secret has 5 bytes"));
    assert_null(strstr(err, "short"));

    snprintf(conf.auth.hs256_secret_file, sizeof(conf.auth.hs256_secret_file), "none");
    assert_int_equal(control_conf_secrets(&conf, err, sizeof(err)), -ENOENT);
    assert_non_null(strstr(err, "auth.hs256_secret_file none: No such file"));
    assert_non_null(strstr(err, "openssl rand -hex 32 > none"));

    /* one that is there is not to be made anew: that would end every token */
    snprintf(conf.auth.hs256_secret_file, sizeof(conf.auth.hs256_secret_file), "/proc");
    assert_true(control_conf_secrets(&conf, err, sizeof(err)) < 0);
    assert_null(strstr(err, "openssl"));
    assert_non_null(strstr(err, "ls -l /proc"));

    expect_error("auth:\n  hs256_secret: short\n",
                 "c.yaml:2: 'auth.hs256_secret' must be at least 32 bytes "
                 "(openssl rand -hex 32)");
}

static void secrets_of_events_come_from_files_too(void **state)
{
    static const char text[] = "events:\n  kafka:\n    brokers: k:9092\n    settings:\n"
                               "    - {name: sasl.password, value_file: t}\n  webhooks:\n"
                               "  - {url: 'https://h/x', secret_file: t}\n"
                               "tracing:\n  otlp:\n    headers:\n"
                               "    - {name: authorization, value_file: t}\n";
    struct control_conf conf;
    char err[512] = "";
    (void)state;

    put("s", SECRET "\n");
    put("t", "north\nsouth\n");
    put("c.yaml", text);
    assert_int_equal(control_conf_load("c.yaml", &conf, err, sizeof(err)), 0);
    (void)setenv("KCS_HS256_SECRET", SECRET, 1);
    assert_int_equal(control_conf_secrets(&conf, err, sizeof(err)), 0);
    (void)unsetenv("KCS_HS256_SECRET");
    assert_string_equal(conf.events.kafka.settings[0].value, "north");
    assert_string_equal(conf.events.webhooks[0].secret, "north");
    assert_string_equal(conf.tracing.otlp.headers[0].value, "north");

    expect_error("events:\n  webhooks:\n  - url: 'https://h/x'\n",
                 "c.yaml: events.webhooks[0] needs a 'url' and one of 'secret' and "
                 "'secret_file'");
    expect_error("events:\n  webhooks:\n  - {url: 'ftp://h/x', secret: x}\n",
                 "c.yaml:3: 'events.webhooks.url' must be a URL like https://HOST/PATH");
    expect_error("recording: {directory: /d, s3: {endpoint: 'https://h', bucket: b,"
                 " access_key: k}}\n",
                 "c.yaml: recording.s3 needs a 'bucket', a 'region', an 'access_key', one of "
                 "'secret_key' and 'secret_key_file', and recording.directory");
    expect_error("recording: {s3: {endpoint: 'https://h', bucket: b, access_key: k,"
                 " secret_key: s}}\n",
                 "c.yaml: recording.s3 needs a 'bucket', a 'region', an 'access_key', one of "
                 "'secret_key' and 'secret_key_file', and recording.directory");
    expect_error("recording: {s3: {endpoint: 'https://h/path'}}\n",
                 "c.yaml:1: 'recording.s3.endpoint' must be a URL like https://HOST or "
                 "https://HOST:PORT");
    expect_error("recording: {s3: {bucket: 'a b'}}\n",
                 "c.yaml:1: 'recording.s3.bucket' must be of letters, digits, '-', '.' and "
                 "'_'");
    expect_error("recording: {s3: {prefix: /a}}\n",
                 "c.yaml:1: 'recording.s3.prefix' must be of letters, digits, '-', '.' and "
                 "'_', with '/' between");
    expect_error("tracing: {otlp: {headers: [\n{name: 'a b', value: x}]}}\n",
                 "c.yaml:2: 'tracing.otlp.headers.name' must be a header's name, like "
                 "authorization");
    expect_error("tracing: {otlp: {headers: [\n{name: a, value: \"x\\r\\ny\"}]}}\n",
                 "c.yaml:2: 'tracing.otlp.headers.value' must be without line breaks");
}

static void check_masks_the_secret(void **state)
{
    char text[4096] = "";
    FILE *out = tmpfile();
    (void)state;

    assert_non_null(out);
    put("c.yaml", "auth: {hs256_secret: " SECRET "}\nlog: {level: debug}\n"
                  "tracing: {otlp: {headers: [{name: authorization, value: hush}]}}\n");
    assert_int_equal(control_conf_check("c.yaml", out), 0);
    rewind(out);
    assert_true(fread(text, 1, sizeof(text) - 1, out) > 0);
    fclose(out);
    assert_null(strstr(text, SECRET));
    assert_null(strstr(text, "hush"));
    assert_non_null(strstr(text, "********"));
    assert_non_null(strstr(text, "level: debug"));
    assert_non_null(strstr(text, "port: 8080"));
}

static void check_of_a_configuration_that_cannot_start_is_4(void **state)
{
    FILE *out = tmpfile();
    (void)state;

    assert_non_null(out);
    put("c.yaml", "# no secret\n");
    assert_int_equal(control_conf_check("c.yaml", out), 4);
    put("c.yaml", "htpp: []\n");
    assert_int_equal(control_conf_check("c.yaml", out), 4);
    assert_int_equal(control_conf_check("none.yaml", out), 4);
    fclose(out);
}

static int enter_fresh_directory(void **state)
{
    (void)state;
    unsetenv("KCS_HS256_SECRET");
    return mkdtemp(dir) != NULL && chdir(dir) == 0 ? 0 : -1;
}

static int leave_directory(void **state)
{
    (void)state;
    (void)unlink("c.yaml");
    (void)unlink("s");
    (void)unlink("t");
    return chdir("/") == 0 && rmdir(dir) == 0 ? 0 : -1;
}

static void the_url_of_a_database_comes_from_its_file_and_is_not_shown(void **state)
{
    struct control_conf conf = {.auth.hs256_secret = "0123456789abcdef0123456789abcdef"};
    char path[] = "/tmp/kcs-url-XXXXXX";
    char err[512];
    int fd = mkstemp(path);
    (void)state;

    assert_true(fd >= 0);
    assert_int_equal(write(fd, "mongodb://u:p@h/d\nmore", 22), 22);
    (void)close(fd);
    (void)snprintf(conf.store.url_file, sizeof(conf.store.url_file), "%s", path);
    assert_int_equal(control_conf_secrets(&conf, err, sizeof(err)), 0);
    assert_string_equal(conf.store.url, "mongodb://u:p@h/d");
    assert_int_equal(truncate(path, 0), 0);
    assert_int_equal(control_conf_secrets(&conf, err, sizeof(err)), -EINVAL);
    assert_non_null(strstr(err, "store.url_file"));
    (void)unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sample_equals_the_defaults),
        cmocka_unit_test(listeners_replace_the_default_one),
        cmocka_unit_test(listener_that_cannot_work_is_refused),
        cmocka_unit_test(secret_of_the_environment_comes_before_the_file),
        cmocka_unit_test(a_turn_secret_is_the_first_line_of_its_file),
        cmocka_unit_test(renditions_go_down),
        cmocka_unit_test(secret_missing_or_too_short_says_how_to_make_one),
        cmocka_unit_test(secrets_of_events_come_from_files_too),
        cmocka_unit_test(check_masks_the_secret),
        cmocka_unit_test(the_url_of_a_database_comes_from_its_file_and_is_not_shown),
        cmocka_unit_test(check_of_a_configuration_that_cannot_start_is_4),
    };

    return cmocka_run_group_tests(tests, enter_fresh_directory, leave_directory);
}

/* What a user can get wrong in a configuration file is told with its line and, for names,
 * the nearest one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <unistd.h>

#include "sfu/conf/conf.h"

enum mode { MODE_SLOW, MODE_FAST };

struct listener {
    char address[16];
    uint16_t port;
};

struct server {
    uint16_t port;
    bool open;
    enum mode mode;
};

struct conf {
    char name[8];
    struct server server;
    struct listener listeners[2];
    uint32_t n_listeners;
    uint16_t cpus[4];
    uint32_t n_cpus;
};

static const struct conf defaults = {
    .name = "anna",
    .server = {.port = 80, .open = true, .mode = MODE_FAST},
    .listeners = {{.address = "a", .port = 7}},
    .n_listeners = 1,
};

static const cyaml_strval_t modes[] = {{"slow", MODE_SLOW}, {"fast", MODE_FAST}};

static const cyaml_schema_field_t server_fields[] = {
    CONF_UINT("port", struct server, port, 1, 65535),
    CONF_BOOL("open", struct server, open),
    CONF_ENUM("mode", struct server, mode, modes),
    CONF_END,
};

static const cyaml_schema_field_t listener_fields[] = {
    CONF_STRING("address", struct listener, address),
    CONF_UINT("port", struct listener, port, 1, 65535),
    CONF_END,
};

static const cyaml_schema_value_t listener_value = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct listener, listener_fields)};

static const cyaml_schema_value_t cpu_value = {CONF_UINT_VALUE(uint16_t, 0, 3)};

static const cyaml_schema_field_t fields[] = {
    CONF_STRING("name", struct conf, name),
    CONF_MAPPING("server", struct conf, server, server_fields),
    CONF_LIST("listeners", struct conf, listeners, n_listeners, &listener_value),
    CONF_LIST("cpus", struct conf, cpus, n_cpus, &cpu_value),
    CONF_END,
};

static const cyaml_schema_value_t top = CONF_TOP(struct conf, fields);

static const char *check(const char *key, const char *text)
{
    return strcmp(key, "listeners.address") == 0 && text[0] == '!' ? "without '!'" : NULL;
}

static const struct conf_spec spec = {
    .schema = &top, .defaults = &defaults, .check = check};

/* Loads 'text' as file "k.yaml" of the working directory (setup made a fresh one). */
static int load(const char *text, struct conf *out, char *err, size_t cap)
{
    FILE *file = fopen("k.yaml", "we");

    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
    return conf_load("k.yaml", &spec, out, err, cap);
}

static void expect_error(const char *text, const char *wanted)
{
    struct conf conf;
    char err[256] = "";

    memset(&conf, 0x5a, sizeof(conf));
    assert_int_equal(load(text, &conf, err, sizeof(err)), -EINVAL);
    assert_string_equal(err, wanted);
    assert_int_equal(conf.name[0], 0x5a); /* untouched */
}

static void what_the_file_leaves_out_keeps_its_default(void **state)
{
    struct conf conf;
    char err[256];
    (void)state;

    assert_int_equal(load("server:\n  port: 81\n  mode: slow\n", &conf, err, sizeof(err)),
                     0);
    assert_string_equal(conf.name, "anna");
    assert_int_equal(conf.server.port, 81);
    assert_true(conf.server.open);
    assert_int_equal(conf.server.mode, MODE_SLOW);
    assert_int_equal(conf.n_listeners, 1);
    assert_string_equal(conf.listeners[0].address, "a");
}

static void what_the_file_says_replaces_the_default(void **state)
{
    struct conf conf;
    char err[256];
    (void)state;

    assert_int_equal(load("name: bob\n"
                          "server: {open: false}\n"
                          "listeners:\n  - {address: b, port: 8}\n  - address: c\n"
                          "cpus: [3, 0]\n",
                          &conf, err, sizeof(err)),
                     0);
    assert_string_equal(conf.name, "bob");
    assert_false(conf.server.open);
    assert_int_equal(conf.server.port, 80);
    assert_int_equal(conf.n_listeners, 2);
    assert_string_equal(conf.listeners[0].address, "b");
    assert_int_equal(conf.listeners[0].port, 8);
    assert_string_equal(conf.listeners[1].address, "c");
    assert_int_equal(conf.listeners[1].port, 0);
    assert_int_equal(conf.n_cpus, 2);
    assert_int_equal(conf.cpus[0], 3);
}

static void empty_list_is_an_empty_list(void **state)
{
    struct conf conf;
    char err[256];
    (void)state;

    assert_int_equal(load("listeners: []\n", &conf, err, sizeof(err)), 0);
    assert_int_equal(conf.n_listeners, 0);
}

static void file_of_comments_gives_the_defaults(void **state)
{
    struct conf conf;
    char err[256];
    (void)state;

    assert_int_equal(load("# name: bob\n", &conf, err, sizeof(err)), 0);
    assert_memory_equal(&conf, &defaults, sizeof(conf));
    assert_int_equal(load("", &conf, err, sizeof(err)), 0);
    assert_memory_equal(&conf, &defaults, sizeof(conf));
}

static void unknown_key_names_its_line_and_the_nearest(void **state)
{
    (void)state;
    expect_error("name: x\nserver:\n  prot: 1\n",
                 "k.yaml:3: unknown key 'prot' (did you mean 'port'?)");
    expect_error("listeners:\n- address: x\n  adress: y\n",
                 "k.yaml:3: unknown key 'adress' (did you mean 'address'?)");
    expect_error("\n\nzzzzzz: 1\n", "k.yaml:3: unknown key 'zzzzzz' (known: name, server, "
                                    "listeners, cpus)");
}

static void error_stays_one_line_whatever_it_quotes(void **state)
{
    (void)state;
    expect_error("\"zzz\\nzzz\": 1\n",
                 "k.yaml:1: unknown key 'zzz zzz' (known: name, server, listeners, cpus)");
}

static void number_out_of_range_or_no_number_is_refused(void **state)
{
    (void)state;
    expect_error("server:\n  port: 0\n",
                 "k.yaml:2: 'server.port' must be a number from 1 to 65535, not '0'");
    expect_error("server:\n  port: 65536\n",
                 "k.yaml:2: 'server.port' must be a number from 1 to 65535, not '65536'");
    expect_error("server:\n  port: -1\n",
                 "k.yaml:2: 'server.port' must be a number from 1 to 65535, not '-1'");
    expect_error("server:\n  port: 80x\n",
                 "k.yaml:2: 'server.port' must be a number from 1 to 65535, not '80x'");
    expect_error("server:\n  port:\n",
                 "k.yaml:2: 'server.port' must be a number from 1 to 65535, not ''");
    expect_error("cpus:\n- 1\n- 4\n",
                 "k.yaml:3: 'cpus' must be a number from 0 to 3, not '4'");
}

static void boolean_is_true_or_false_only(void **state)
{
    (void)state;
    expect_error("server:\n  open: off\n",
                 "k.yaml:2: 'server.open' must be true or false, not 'off'");
}

static void unknown_word_of_an_enum_names_the_nearest(void **state)
{
    (void)state;
    expect_error("server:\n  mode: fst\n",
                 "k.yaml:2: 'server.mode' cannot be 'fst' (did you mean 'fast'?)");
    expect_error("server:\n  mode: 1\n",
                 "k.yaml:2: 'server.mode' cannot be '1' (known: slow, fast)");
}

static void wrong_shape_is_refused(void **state)
{
    (void)state;
    expect_error("server: 5\n", "k.yaml:1: 'server' must be a group of keys");
    expect_error("server:\n", "k.yaml:1: 'server' must be a group of keys");
    expect_error("cpus: 5\n", "k.yaml:1: 'cpus' must be a list");
    expect_error("name:\n  - x\n", "k.yaml:2: 'name' must be a single value");
    expect_error("- x\n", "k.yaml:1: 'the file' must be a group of keys");
    expect_error("[a]: 1\n", "k.yaml:1: a key must be a plain word");
}

static void list_or_text_too_long_is_refused(void **state)
{
    (void)state;
    expect_error("cpus: [0, 0, 0, 0, 0]\n", "k.yaml:1: 'cpus' has 5 entries, at most 4 go");
    expect_error("name: abcdefgh\n", "k.yaml:1: 'name' must be text of at most 7 bytes");
    expect_error("name: \"a\\0b\"\n", "k.yaml:1: 'name' must be text of at most 7 bytes");
}

static void key_given_twice_is_refused(void **state)
{
    (void)state;
    expect_error("name: a\nname: b\n", "k.yaml:2: key 'name' is there twice");
}

static void check_of_the_owner_is_asked(void **state)
{
    (void)state;
    expect_error("listeners:\n- address: '!'\n",
                 "k.yaml:2: 'listeners.address' must be without '!'");
}

static void text_that_is_not_yaml_names_its_line(void **state)
{
    struct conf conf;
    char err[256];
    (void)state;

    assert_int_equal(load("name: x\nserver: [\n", &conf, err, sizeof(err)), -EINVAL);
    assert_non_null(strstr(err, "k.yaml:3: not YAML: "));
    assert_int_equal(load("name: \x01\n", &conf, err, sizeof(err)), -EINVAL);
    assert_non_null(strstr(err, "not YAML: "));
}

static void alias_is_refused(void **state)
{
    struct conf conf;
    char err[256];
    (void)state;

    assert_int_equal(load("name: &x a\nserver: {mode: slow}\nlisteners: [{address: *x}]\n",
                          &conf, err, sizeof(err)),
                     -EINVAL);
    assert_string_equal(err, "k.yaml: YAML alias unsupported");
}

static void file_that_cannot_be_read_is_an_error(void **state)
{
    struct conf conf;
    char err[256];
    (void)state;

    assert_int_equal(conf_load("no.yaml", &spec, &conf, err, sizeof(err)), -ENOENT);
    assert_string_equal(err, "no.yaml: cannot be read: No such file or directory");
    assert_int_equal(conf_load(".", &spec, &conf, err, sizeof(err)), -EIO);
}

static void short_error_buffer_is_not_overrun(void **state)
{
    struct conf conf;
    char err[12] = "";
    (void)state;

    assert_int_equal(load("zzzz: 1\n", &conf, err, sizeof(err)), -EINVAL);
    assert_string_equal(err, "k.yaml:1: u");
    memset(err, 0, sizeof(err));
    assert_int_equal(load("zzzz: 1\n", &conf, err, 4), -EINVAL);
    assert_string_equal(err, "k.y");
}

static void print_gives_what_load_takes(void **state)
{
    struct conf conf, again;
    char err[256];
    FILE *file;
    (void)state;

    assert_int_equal(load("name: ''\nserver: {open: false, mode: slow}\ncpus: [2]\n", &conf,
                          err, sizeof(err)),
                     0);
    file = fopen("k.yaml", "we");
    assert_non_null(file);
    assert_int_equal(conf_print(&spec, &conf, file), 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(conf_load("k.yaml", &spec, &again, err, sizeof(err)), 0);
    assert_memory_equal(&conf, &again, sizeof(conf));
}

static void every_key_is_described(void **state)
{
    char text[1024] = "";
    FILE *file = fmemopen(text, sizeof(text), "w");
    (void)state;

    assert_non_null(file);
    conf_describe(&spec, file);
    assert_int_equal(fclose(file), 0);
    assert_string_equal(text, "name\ttext\tat most 7 bytes\t\"anna\"\n"
                              "server.port\tnumber\t1 to 65535\t80\n"
                              "server.open\tboolean\ttrue or false\ttrue\n"
                              "server.mode\tword\tslow, fast\tfast\n"
                              "listeners\tlist\tat most 2\t\n"
                              "listeners[].address\ttext\tat most 15 bytes\t\n"
                              "listeners[].port\tnumber\t1 to 65535\t\n"
                              "cpus\tlist\tat most 4\t\n"
                              "cpus[]\tnumber\t0 to 3\t\n");
}

static void distance_counts_a_swap_as_one(void **state)
{
    char lengthy[CONF_NAME_MAX + 2];
    (void)state;

    assert_int_equal(conf_distance("port", "port"), 0);
    assert_int_equal(conf_distance("prot", "port"), 1);
    assert_int_equal(conf_distance("por", "port"), 1);
    assert_int_equal(conf_distance("pport", "port"), 1);
    assert_int_equal(conf_distance("", "port"), 4);
    memset(lengthy, 'a', sizeof(lengthy));
    lengthy[sizeof(lengthy) - 1] = '\0';
    assert_true(conf_distance(lengthy, "port") == SIZE_MAX);
}

static char dir[] = "/tmp/kcs-conf-XXXXXX";

static int enter_fresh_directory(void **state)
{
    (void)state;
    return mkdtemp(dir) != NULL && chdir(dir) == 0 ? 0 : -1;
}

static int leave_directory(void **state)
{
    (void)state;
    (void)unlink("k.yaml");
    return chdir("/") == 0 && rmdir(dir) == 0 ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_file_leaves_out_keeps_its_default),
        cmocka_unit_test(what_the_file_says_replaces_the_default),
        cmocka_unit_test(empty_list_is_an_empty_list),
        cmocka_unit_test(file_of_comments_gives_the_defaults),
        cmocka_unit_test(unknown_key_names_its_line_and_the_nearest),
        cmocka_unit_test(error_stays_one_line_whatever_it_quotes),
        cmocka_unit_test(number_out_of_range_or_no_number_is_refused),
        cmocka_unit_test(boolean_is_true_or_false_only),
        cmocka_unit_test(unknown_word_of_an_enum_names_the_nearest),
        cmocka_unit_test(wrong_shape_is_refused),
        cmocka_unit_test(list_or_text_too_long_is_refused),
        cmocka_unit_test(key_given_twice_is_refused),
        cmocka_unit_test(check_of_the_owner_is_asked),
        cmocka_unit_test(text_that_is_not_yaml_names_its_line),
        cmocka_unit_test(alias_is_refused),
        cmocka_unit_test(file_that_cannot_be_read_is_an_error),
        cmocka_unit_test(short_error_buffer_is_not_overrun),
        cmocka_unit_test(print_gives_what_load_takes),
        cmocka_unit_test(every_key_is_described),
        cmocka_unit_test(distance_counts_a_swap_as_one),
    };

    return cmocka_run_group_tests(tests, enter_fresh_directory, leave_directory);
}

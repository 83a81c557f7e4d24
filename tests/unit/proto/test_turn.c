/* control/proto/turn: credentials for TURN servers that share a secret, and how clients are
 * told of all servers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/turn.h"

static const struct turn_server list[] = {
    {"stun:a.example.org", "", "", ""},
    {"turn:b.example.org", "kcs", "pass", ""},
    {"turns:c.example.org", "", "", "north"},
};
static const struct turn_servers servers = {list, 3};

/* The password was made with Python's hmac and base64. */
static void a_credential_is_what_the_server_computes(void **state)
{
    char username[TURN_USERNAME_MAX], credential[TURN_CREDENTIAL_MAX];
    (void)state;

    assert_int_equal(turn_credential("north", "ada", 1800000000, username, credential), 0);
    assert_string_equal(username, "1800000000:ada");
    assert_string_equal(credential, "RgrCQ8LW/vH5U93IENfd8YxpOx0=");
}

static void a_username_breaks_no_header_and_no_bound(void **state)
{
    char username[TURN_USERNAME_MAX], credential[TURN_CREDENTIAL_MAX];
    char longest[300];
    (void)state;

    assert_int_equal(
        turn_credential("s", "a\"b\\c\r\nd:e\xc3\xa9", 7, username, credential), 0);
    assert_string_equal(username, "7:a_b_c__d_e__");
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    assert_int_equal(turn_credential("s", longest, INT64_MAX, username, credential), 0);
    assert_int_equal(strlen(username), TURN_USERNAME_MAX - 1);
    assert_int_equal(strlen(credential), TURN_CREDENTIAL_MAX - 1);
}

static void each_client_is_told_of_all_servers(void **state)
{
    char links[TURN_LINKS_MAX];
    json_t *json = turn_json(&servers, "ada", 1800000000 - TURN_GOOD_S), *wanted;
    (void)state;

    wanted =
        json_pack("[{s:[s]}, {s:[s], s:s, s:s}, {s:[s], s:s, s:s}]", "urls",
                  "stun:a.example.org", "urls", "turn:b.example.org", "username", "kcs",
                  "credential", "pass", "urls", "turns:c.example.org", "username",
                  "1800000000:ada", "credential", "RgrCQ8LW/vH5U93IENfd8YxpOx0=");
    assert_true(json_equal(json, wanted));
    json_decref(json);
    json_decref(wanted);

    assert_int_equal(turn_links(&servers, "ada", 1800000000 - TURN_GOOD_S, links), 0);
    assert_string_equal(
        links, "<stun:a.example.org>; rel=\"ice-server\", "
               "<turn:b.example.org>; rel=\"ice-server\"; username=\"kcs\"; "
               "credential=\"pass\"; credential-type=\"password\", "
               "<turns:c.example.org>; rel=\"ice-server\"; username=\"1800000000:ada\"; "
               "credential=\"RgrCQ8LW/vH5U93IENfd8YxpOx0=\"; credential-type=\"password\"");
}

static void without_servers_nobody_is_told(void **state)
{
    const struct turn_servers none = {NULL, 0};
    char links[TURN_LINKS_MAX] = "x";
    json_t *json = turn_json(&none, "ada", 0);
    (void)state;

    assert_int_equal(json_array_size(json), 0);
    assert_true(json_is_array(json));
    json_decref(json);
    assert_int_equal(turn_links(&none, "ada", 0, links), 0);
    assert_string_equal(links, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_credential_is_what_the_server_computes),
        cmocka_unit_test(a_username_breaks_no_header_and_no_bound),
        cmocka_unit_test(each_client_is_told_of_all_servers),
        cmocka_unit_test(without_servers_nobody_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

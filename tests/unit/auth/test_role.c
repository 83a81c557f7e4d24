/* What each role may do, against the interface's table of roles. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "auth/role.h"

/* What the settings of a meeting give beyond the roles is held against the settings. */
static void the_roles_may_what_the_interface_says(void **state)
{
    static const char *const may[N_AUTH_ROLES] = {
        [AUTH_HOST] = "public signed_in view produce_media produce_screen chat raise_hand "
                      "react present moderate record end_meeting create_meeting ",
        [AUTH_CO_HOST] = "public signed_in view produce_media produce_screen chat "
                         "raise_hand react present moderate record create_meeting ",
        [AUTH_PRESENTER] = "public signed_in view produce_media produce_screen chat "
                           "raise_hand react present create_meeting ",
        [AUTH_ATTENDEE] = "public signed_in view chat raise_hand react ",
        [AUTH_GUEST] = "public signed_in view ",
        [AUTH_ADMIN] = "public signed_in view produce_media produce_screen chat raise_hand "
                       "react present moderate record end_meeting create_meeting "
                       "administer ",
    };
    (void)state;

    for (enum auth_role role = 0; role < N_AUTH_ROLES; role++) {
        for (unsigned bits = 0; bits < 4; bits++) {
            const struct auth_policy policy = {.allow_attendee_media = (bits & 1) != 0,
                                               .allow_guest_chat = (bits & 2) != 0};
            char all[512] = "";

            for (enum auth_permission p = 0; p < N_AUTH_PERMISSIONS; p++) {
                bool given = (role == AUTH_ATTENDEE && p == AUTH_PRODUCE_MEDIA) ||
                             (role == AUTH_GUEST && p == AUTH_CHAT);

                if (given) {
                    assert_int_equal(auth_may(role, &policy, p),
                                     p == AUTH_CHAT ? policy.allow_guest_chat
                                                    : policy.allow_attendee_media);
                } else if (auth_may(role, &policy, p)) {
                    strcat(strcat(all, auth_permission_name(p)), " ");
                }
            }
            assert_string_equal(all, may[role]);
        }
    }
    assert_false(auth_may(AUTH_ATTENDEE, NULL, AUTH_PRODUCE_MEDIA));
    assert_false(auth_may(AUTH_GUEST, NULL, AUTH_CHAT));
}

static void every_permission_has_a_name_of_its_own_and_words(void **state)
{
    (void)state;

    for (enum auth_permission a = 0; a < N_AUTH_PERMISSIONS; a++) {
        assert_string_not_equal(auth_permission_name(a), "");
        assert_string_not_equal(auth_permission_doc(a), "");
        for (enum auth_permission b = 0; b < a; b++) {
            assert_string_not_equal(auth_permission_name(a), auth_permission_name(b));
        }
    }
}

static void roles_are_found_by_their_names(void **state)
{
    enum auth_role found;
    (void)state;

    for (enum auth_role role = 0; role < N_AUTH_ROLES; role++) {
        assert_true(auth_role_find(auth_role_name(role), &found));
        assert_int_equal(found, role);
    }
    assert_false(auth_role_find("", &found));
    assert_false(auth_role_find("Host", &found));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_roles_may_what_the_interface_says),
        cmocka_unit_test(every_permission_has_a_name_of_its_own_and_words),
        cmocka_unit_test(roles_are_found_by_their_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "archive/xml.h"

static const char PARTS[] =
    "<?xml version=\"1.0\"?>\n<ListPartsResult xmlns=\"http://x/\"><PartNumberMarker>0"
    "</PartNumberMarker><IsTruncated>true</IsTruncated><Part><PartNumber>1</PartNumber>"
    "<ETag>&quot;a&amp;b&quot;</ETag></Part><Part ><PartNumber>2</PartNumber></Part>"
    "</ListPartsResult>";

static struct xml of(const char *text)
{
    return (struct xml){text, strlen(text)};
}

static void elements_come_one_after_the_other(void **state)
{
    struct xml in = of(PARTS);
    struct xml part;
    char text[16];
    (void)state;

    assert_true(xml_next(&in, "Part", &part));
    assert_true(xml_text(part, "PartNumber", text, sizeof(text)));
    assert_string_equal(text, "1");
    assert_true(xml_text(part, "ETag", text, sizeof(text)));
    assert_string_equal(text, "\"a&b\"");
    assert_true(xml_next(&in, "Part", &part));
    assert_true(xml_text(part, "PartNumber", text, sizeof(text)));
    assert_string_equal(text, "2");
    assert_false(xml_text(part, "ETag", text, sizeof(text)));
    assert_false(xml_next(&in, "Part", &part));
}

static void what_is_no_text_is_none(void **state)
{
    static const char *const bad[] = {"",
                                      "<",
                                      "<Key",
                                      "<Key>",
                                      "<Key>a",
                                      "<Key>a</Ke",
                                      "<Key>a<b/></Key>",
                                      "<Key>&nbsp;</Key>",
                                      "<Key>&quot</Key>",
                                      "<Keys>a</Keys>",
                                      "<Key/>",
                                      "<Key>too long</Key>"};
    char text[6];
    (void)state;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(xml_text(of(bad[i]), "Key", text, sizeof(text)));
    }
    assert_true(xml_text(of("<Key>five5</Key>"), "Key", text, sizeof(text)));
    assert_true(xml_text(of("<Keys>a</Keys><Key></Key>"), "Key", text, sizeof(text)));
    assert_string_equal(text, "");
}

/* An answer may break off anywhere: nothing behind its end is read. */
static void nothing_behind_the_end_is_read(void **state)
{
    (void)state;
    for (size_t len = 0; len < sizeof(PARTS); len++) {
        char *copy = malloc(len + 1); /* exactly, for ASan */
        struct xml in, part;
        char text[64];

        assert_non_null(copy);
        copy = realloc(copy, len > 0 ? len : 1);
        memcpy(copy, PARTS, len);
        in = (struct xml){copy, len};
        while (xml_next(&in, "Part", &part)) {
            (void)xml_text(part, "ETag", text, sizeof(text));
        }
        (void)xml_text((struct xml){copy, len}, "IsTruncated", text, sizeof(text));
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elements_come_one_after_the_other),
        cmocka_unit_test(what_is_no_text_is_none),
        cmocka_unit_test(nothing_behind_the_end_is_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

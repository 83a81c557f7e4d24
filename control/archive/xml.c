#include "archive/xml.h"

#include <string.h>

/* 'text' in 'in', NULL: it is not there. */
static const char *find(struct xml in, const char *text)
{
    return in.len > 0 ? memmem(in.at, in.len, text, strlen(text)) : NULL;
}

static struct xml behind(struct xml in, const char *at)
{
    return (struct xml){at, in.len - (size_t)(at - in.at)};
}

/* Whether a tag that begins with "<name" is of that name: it goes on with '>' or a space.
 */
static bool ends_name(struct xml rest)
{
    return rest.len > 0 && (rest.at[0] == '>' || rest.at[0] == ' ');
}

bool xml_next(struct xml *in, const char *name, struct xml *out)
{
    char open[64], close[64];
    const size_t len = strlen(name);
    const char *at;

    if (len + 4 > sizeof(open)) {
        return false;
    }
    open[0] = '<';
    memcpy(open + 1, name, len + 1);
    close[0] = '<';
    close[1] = '/';
    memcpy(close + 2, name, len);
    memcpy(close + 2 + len, ">", 2);
    while ((at = find(*in, open)) != NULL) {
        *in = behind(*in, at + len + 1);
        if (!ends_name(*in)) {
            continue;
        }
        at = find(*in, ">");
        if (at == NULL) {
            return false;
        }
        *in = behind(*in, at + 1);
        at = find(*in, close);
        if (at == NULL) {
            return false;
        }
        *out = (struct xml){in->at, (size_t)(at - in->at)};
        *in = behind(*in, at + len + 3);
        return true;
    }
    return false;
}

/* The character that the entity at 'at' stands for, with its length; 0: none. */
static char entity(struct xml in, size_t *len)
{
    static const struct {
        const char *name;
        char is;
    } all[] = {{"&quot;", '"'}, {"&#34;", '"'}, {"&amp;", '&'},
               {"&lt;", '<'},   {"&gt;", '>'},  {"&apos;", '\''}};

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        *len = strlen(all[i].name);
        if (in.len >= *len && memcmp(in.at, all[i].name, *len) == 0) {
            return all[i].is;
        }
    }
    return 0;
}

bool xml_text(struct xml in, const char *name, char *out, size_t cap)
{
    struct xml inside;
    size_t n = 0;

    if (!xml_next(&in, name, &inside)) {
        return false;
    }
    while (inside.len > 0 && n + 1 < cap) {
        size_t len = 1;
        char c = *inside.at;

        if (c == '<') {
            return false;
        }
        if (c == '&') {
            c = entity(inside, &len);
            if (c == 0) {
                return false;
            }
        }
        out[n++] = c;
        inside = behind(inside, inside.at + len);
    }
    out[n] = '\0';
    return inside.len == 0;
}

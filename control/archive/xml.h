/* The little of XML that answers of object stores have: elements without attributes that
 * matter, of which no one is within another of its name.
 *
 * Pure. */
#ifndef ARCHIVE_XML_H
#define ARCHIVE_XML_H

#include <stdbool.h>
#include <stddef.h>

struct xml {
    const char *at;
    size_t len;
};

/* The inside of the next element 'name' in 'in', which is moved behind it. Returns false:
 * there is none that ends. */
bool xml_next(struct xml *in, const char *name, struct xml *out);

/* The text of the first element 'name' in 'in', with the five entities read. Returns false:
 * there is none, it has elements in it, or it does not fit 'cap' bytes with its NUL. */
bool xml_text(struct xml in, const char *name, char *out, size_t cap);

#endif

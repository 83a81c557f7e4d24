/* The dialect of older clients: namespace "/", names in kebab-case, fields in camelCase, no
 * acks. One table of aliases translates what they send into the events of events.c, and
 * what is answered and told back into theirs; no event is handled twice. See docs/api.md.
 *
 * Thread: the loop's. */
#ifndef SIGNAL_LEGACY_H
#define SIGNAL_LEGACY_H

#include <jansson.h>
#include <stdbool.h>

#define LEGACY_NSP "/"

struct client;
struct legacy_alias; /* a line of the table */

/* The line for an event of this dialect; NULL if there is none. */
const struct legacy_alias *legacy_find(const char *name);

/* What it is called by its sender, and what is emitted when it succeeded (may be NULL).
 * Both constant. */
const char *legacy_name(const struct legacy_alias *alias);
const char *legacy_paired(const struct legacy_alias *alias);

/* Translates a request: fills 'event' (constant) and returns the payload, a new reference,
 * with what this dialect leaves out. NULL without memory.
 *
 * payload  borrowed; NULL if the event had none; what is no object stays as it is */
json_t *legacy_request(const struct legacy_alias *alias, const struct client *client,
                       const json_t *payload, const char **event);

/* Translates the JSON pointer to a field of a payload, in place. */
void legacy_path(char *path, size_t cap);

/* Translates an answer; new reference, NULL without memory.
 *
 * asked   what legacy_request() returned; some answers repeat of it
 * fields  of the answer, borrowed */
json_t *legacy_answer(const struct legacy_alias *alias, const json_t *asked,
                      const json_t *fields);

/* What join-meeting answers, of what room:join does (moved); for who had to wait. */
json_t *legacy_joined(json_t *joined);

/* Translates an event that the server sends: 'name' is replaced (constant), 'body' is
 * moved. Returns the new body, NULL without memory, or if this dialect does not have the
 * event. */
json_t *legacy_event(const char **name, json_t *body);

#endif

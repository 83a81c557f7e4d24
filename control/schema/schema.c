/* Looking things up in the tables; see schema.h. */
#include "schema/schema.h"

#include <stdio.h>
#include <string.h>

#include "schema/table.h"

static const struct schema_events *const groups[] = {
    &schema_events_room, &schema_events_media, &schema_events_talk, &schema_events_more};

enum { N_GROUPS = sizeof(groups) / sizeof(groups[0]) };

const struct schema_event *schema_event_at(size_t i)
{
    for (size_t g = 0; g < N_GROUPS; g++) {
        if (i < groups[g]->n) {
            return &groups[g]->at[i];
        }
        i -= groups[g]->n;
    }
    return NULL;
}

/* Some 150 names, compared from the first letter on: less than what parsing the packet
 * costs.
 */
static const struct schema_event *find(const char *name, bool told)
{
    for (size_t g = 0; g < N_GROUPS; g++) {
        for (size_t i = 0; i < groups[g]->n; i++) {
            const struct schema_event *event = &groups[g]->at[i];

            if (event->told == told &&
                (strcmp(event->name, name) == 0 ||
                 (event->alias != NULL && strcmp(event->alias, name) == 0))) {
                return event;
            }
        }
    }
    return NULL;
}

const struct schema_event *schema_event_find(const char *name)
{
    return find(name, false);
}

const struct schema_event *schema_told_find(const char *name)
{
    return find(name, true);
}

/* ---- events that leave the node ---- */

const struct schema_fact *schema_fact_at(size_t i)
{
    return i < schema_facts_all.n ? &schema_facts_all.at[i] : NULL;
}

const struct schema_fact *schema_fact_find(const char *type)
{
    const struct schema_fact *fact;

    for (size_t i = 0; (fact = schema_fact_at(i)) != NULL; i++) {
        if (strcmp(fact->type, type) == 0) {
            return fact;
        }
    }
    return NULL;
}

const struct schema_fact *schema_fact_of(const char *told)
{
    const struct schema_fact *fact;

    for (size_t i = 0; (fact = schema_fact_at(i)) != NULL; i++) {
        if (fact->told != NULL && strcmp(fact->told, told) == 0) {
            return fact;
        }
    }
    return NULL;
}

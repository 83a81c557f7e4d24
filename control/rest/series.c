#include "rest/series.h"

#include "proto/rrule.h"
#include "rest/task.h"
#include "schema/check.h"
#include "sys/clock.h"

/* The rule and start of a recurring meeting; false for others. */
static bool rule_of(const json_t *meeting, struct rrule *rule, int64_t *start)
{
    const char *text = task_text(meeting, "recurrence");
    const char *why;

    *start = task_seconds(meeting, "meeting_start_time", INT64_MIN);
    return text != NULL && *start != INT64_MIN && rrule_parse(text, rule, &why) == 0;
}

void series_check(const json_t *meeting, struct schema_errors *errors)
{
    struct rrule rule;
    const char *why;
    int64_t start;
    int64_t first;

    if (task_text(meeting, "meeting_start_time") == NULL) {
        schema_error_add(errors, "/meeting_start_time", "a recurring meeting needs one");
    }
    if (rrule_parse(task_text(meeting, "recurrence"), &rule, &why) != 0) {
        schema_error_add(errors, "/recurrence", why);
    } else if (rule_of(meeting, &rule, &start) &&
               rrule_expand(&rule, start, start, INT64_MAX, &first, 1) == 0) {
        schema_error_add(errors, "/recurrence", "never happens");
    }
}

bool series_add(json_t *meeting, int64_t from_s, int64_t to_s)
{
    int64_t starts[SERIES_SHOWN];
    struct rrule rule;
    int64_t start;
    json_t *list;
    size_t n;

    if (!rule_of(meeting, &rule, &start)) {
        return false;
    }
    if (from_s < start) {
        from_s = start;
    }
    if (to_s > from_s && to_s - from_s > SERIES_AHEAD_S) {
        to_s = from_s + SERIES_AHEAD_S;
    }
    n = rrule_expand(&rule, start, from_s, to_s, starts, SERIES_SHOWN);
    list = json_array();
    for (size_t i = 0; i < n; i++) {
        (void)json_array_append_new(list, task_time(starts[i]));
    }
    (void)json_object_set_new(meeting, "occurrences", list);
    return n > 0;
}

int64_t series_end(const json_t *meeting, int64_t otherwise)
{
    int64_t end = task_seconds(meeting, "meeting_end_time", INT64_MIN);
    struct rrule rule;
    int64_t start;
    int64_t next;

    if (end == INT64_MIN) {
        return otherwise;
    }
    if (!rule_of(meeting, &rule, &start)) {
        return end;
    }
    return rrule_expand(&rule, start, clock_wall_s() - (end - start), INT64_MAX, &next, 1) >
                   0
               ? next + (end - start)
               : end;
}

bool series_goes_on(const json_t *meeting)
{
    struct rrule rule;
    int64_t start;
    int64_t next;

    return rule_of(meeting, &rule, &start) &&
           rrule_expand(&rule, start, clock_wall_s(), INT64_MAX, &next, 1) > 0;
}

/* When a recurring meeting begins: the recurrence rule of RFC 5545, section 3.3.10, for
 * rules of days or more, in UTC. Rules come from clients, so everything here is bounded:
 * days are looked at one by one, for RRULE_DAYS at most, whatever the rule says.
 *
 * Pure: no clock, no allocation, no I/O. */
#ifndef PROTO_RRULE_H
#define PROTO_RRULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    RRULE_LIST = 64,       /* values of one BY part */
    RRULE_TIMES = 24,      /* a day, by BYHOUR and BYMINUTE */
    RRULE_DAYS = 20 * 366, /* looked at in one call */
    RRULE_COUNT = 10000    /* COUNT, and INTERVAL */
};

enum rrule_freq { RRULE_DAILY, RRULE_WEEKLY, RRULE_MONTHLY, RRULE_YEARLY };

struct rrule_list {
    uint8_t n;
    int16_t at[RRULE_LIST];
};

struct rrule {
    enum rrule_freq freq;
    uint16_t interval;
    uint16_t count;  /* 0: no end by number */
    int64_t until_s; /* the last moment; INT64_MAX: no end by time */
    uint8_t wkst;    /* 0 Sunday … 6 Saturday */
    struct rrule_list month, week, year_day, month_day, day, set_pos, hour, minute;
    /* day: weekday + 7 * its ordinal + RRULE_DAY_0; see rrule.c */
};

/* Parses the value of an RRULE: "FREQ=WEEKLY;BYDAY=MO,WE". Refused, too, is what no meeting
 * needs: SECONDLY, MINUTELY, HOURLY, BYSECOND, more than RRULE_TIMES times a day.
 *
 * out  filled
 * why  filled on failure with a constant: what is wrong
 *
 * Returns 0 or -EBADMSG. */
int rrule_parse(const char *text, struct rrule *out, const char **why);

/* Fills 'out' with the starts in from_s <= t < to_s, ascending, at most 'cap'; those of a
 * rule that counts are found in the first RRULE_DAYS after the start, others in as many
 * after from_s. start_s (seconds since 1970) is when the meeting begins: it gives the time
 * of the day and, where the rule does not say it, the day. Returns how many. */
size_t rrule_expand(const struct rrule *rule, int64_t start_s, int64_t from_s, int64_t to_s,
                    int64_t *out, size_t cap);

/* Until when a meeting with this rule may begin again: the last start or a moment behind
 * it, INT64_MAX without end; 0: never, or not even once ('rule' is NULL or does not parse).
 */
int64_t rrule_until(const char *rule, int64_t start_s);

#endif

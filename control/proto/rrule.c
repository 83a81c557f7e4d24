#include "proto/rrule.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { DAY_S = 86400, ORDINAL_MAX = 53, YEAR_DAYS = 366 };

/* ---- parsing ---- */

static bool take_number(const char **at, long min, long max, int16_t *out)
{
    char *end;
    long value;

    if (strchr("+-0123456789", **at) == NULL || **at == '\0') {
        return false;
    }
    errno = 0;
    value = strtol(*at, &end, 10);
    if (end == *at || errno != 0 || value < min || value > max) {
        return false;
    }
    *at = end;
    *out = (int16_t)value;
    return true;
}

static bool take_weekday(const char **at, int16_t *out)
{
    static const char names[] = "SUMOTUWETHFRSA";

    for (int16_t i = 0; i < 7; i++) {
        if (strncmp(*at, &names[(size_t)i * 2], 2) == 0) {
            *at += 2;
            *out = i;
            return true;
        }
    }
    return false;
}

/* A weekday with the ordinal before it ("-1FR"), 0 for none, is one number. */
static int16_t day_pack(int16_t ordinal, int16_t weekday)
{
    return (int16_t)((ordinal + ORDINAL_MAX) * 7 + weekday);
}

static int day_ordinal(int16_t packed)
{
    return packed / 7 - ORDINAL_MAX;
}

static bool take_day(const char **at, int16_t *out)
{
    int16_t ordinal = 0;
    int16_t weekday;

    if (strchr("+-0123456789", **at) != NULL &&
        (!take_number(at, -ORDINAL_MAX, ORDINAL_MAX, &ordinal) || ordinal == 0)) {
        return false;
    }
    if (!take_weekday(at, &weekday)) {
        return false;
    }
    *out = day_pack(ordinal, weekday);
    return true;
}

/* What a BY part may hold. Those that count from the end too have no 0. */
static const struct part {
    const char *name;
    size_t offset;
    int16_t min, max;
    const char *why;
} parts[] = {
    {"BYMONTH", offsetof(struct rrule, month), 1, 12, "BYMONTH must be of 1 to 12"},
    {"BYWEEKNO", offsetof(struct rrule, week), -53, 53, "BYWEEKNO must be of 1 to 53"},
    {"BYYEARDAY", offsetof(struct rrule, year_day), -366, 366,
     "BYYEARDAY must be of 1 to 366"},
    {"BYMONTHDAY", offsetof(struct rrule, month_day), -31, 31,
     "BYMONTHDAY must be of 1 to 31"},
    {"BYSETPOS", offsetof(struct rrule, set_pos), -366, 366,
     "BYSETPOS must be of 1 to 366"},
    {"BYHOUR", offsetof(struct rrule, hour), 0, 23, "BYHOUR must be of 0 to 23"},
    {"BYMINUTE", offsetof(struct rrule, minute), 0, 59, "BYMINUTE must be of 0 to 59"},
    {"BYDAY", offsetof(struct rrule, day), 0, 0,
     "BYDAY must be of SU, MO, TU, WE, TH, FR, SA, with a number before it or not"},
};

static struct rrule_list *list_of(struct rrule *rule, const struct part *part)
{
    return (struct rrule_list *)(void *)((char *)rule + part->offset);
}

static bool take_value(const struct part *part, const char **at, int16_t *out)
{
    if (part->max == 0) {
        return take_day(at, out);
    }
    return take_number(at, part->min, part->max, out) && (part->min >= 0 || *out != 0);
}

static bool take_list(const struct part *part, const char *at, struct rrule_list *out)
{
    if (out->n > 0) {
        return false; /* the part stands twice */
    }
    for (;;) {
        if (out->n == RRULE_LIST || !take_value(part, &at, &out->at[out->n])) {
            return false;
        }
        out->n++;
        if (*at == '\0') {
            return true;
        }
        if (*at++ != ',') {
            return false;
        }
    }
}

static int64_t days_of(int year, int month, int day);

static bool take_digits(const char **at, int n, int *out)
{
    *out = 0;
    for (int i = 0; i < n; i++) {
        if (**at < '0' || **at > '9') {
            return false;
        }
        *out = *out * 10 + (*(*at)++ - '0');
    }
    return true;
}

/* A date, which is all of that day, or a moment in UTC. */
static bool take_until(const char *at, int64_t *out)
{
    int year, month, day, hour, minute, second;

    if (!take_digits(&at, 4, &year) || !take_digits(&at, 2, &month) ||
        !take_digits(&at, 2, &day) || month < 1 || month > 12 || day < 1 || day > 31) {
        return false;
    }
    *out = days_of(year, month, day) * DAY_S;
    if (*at == '\0') {
        *out += DAY_S - 1;
        return true;
    }
    if (*at++ != 'T' || !take_digits(&at, 2, &hour) || !take_digits(&at, 2, &minute) ||
        !take_digits(&at, 2, &second) || hour > 23 || minute > 59 || second > 60 ||
        strcmp(at, "Z") != 0) {
        return false;
    }
    *out += hour * 3600 + minute * 60 + second;
    return true;
}

static const char *take_freq(const char *value, struct rrule *rule, bool *seen)
{
    static const char *const names[] = {"DAILY", "WEEKLY", "MONTHLY", "YEARLY"};

    for (int i = 0; i < 4 && !*seen; i++) {
        if (strcmp(value, names[i]) == 0) {
            rule->freq = (enum rrule_freq)i;
            *seen = true;
            return NULL;
        }
    }
    return "FREQ must be DAILY, WEEKLY, MONTHLY or YEARLY, once";
}

/* One "NAME=VALUE". Returns what is wrong with it, or NULL. */
static const char *take_part(const char *name, const char *value, struct rrule *rule,
                             bool *has_freq)
{
    int16_t number = 0;
    bool ok;

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (strcmp(name, parts[i].name) == 0) {
            return take_list(&parts[i], value, list_of(rule, &parts[i])) ? NULL
                                                                         : parts[i].why;
        }
    }
    if (strcmp(name, "FREQ") == 0) {
        return take_freq(value, rule, has_freq);
    }
    if (strcmp(name, "UNTIL") == 0) {
        return rule->until_s == INT64_MAX && take_until(value, &rule->until_s)
                   ? NULL
                   : "UNTIL must be a date or a time in UTC (20301231T120000Z)";
    }
    if (strcmp(name, "WKST") == 0) {
        ok = take_weekday(&value, &number) && *value == '\0';
        rule->wkst = (uint8_t)number;
        return ok ? NULL : "WKST must be one of SU, MO, TU, WE, TH, FR, SA";
    }
    if (strcmp(name, "INTERVAL") == 0) {
        ok = rule->interval == 0 && take_number(&value, 1, RRULE_COUNT, &number) &&
             *value == '\0';
        rule->interval = (uint16_t)number;
        return ok ? NULL : "INTERVAL must be 1 to 10000";
    }
    if (strcmp(name, "COUNT") == 0) {
        ok = rule->count == 0 && take_number(&value, 1, RRULE_COUNT, &number) &&
             *value == '\0';
        rule->count = (uint16_t)number;
        return ok ? NULL : "COUNT must be 1 to 10000";
    }
    return "has a part that RFC 5545 does not know, or that is too fine for a meeting";
}

/* What RFC 5545 does not let stand together. */
static const char *contradiction(const struct rrule *rule, bool has_freq)
{
    size_t times = (size_t)(rule->hour.n > 0 ? rule->hour.n : 1) *
                   (rule->minute.n > 0 ? rule->minute.n : 1);
    bool fine = rule->freq == RRULE_DAILY || rule->freq == RRULE_WEEKLY;

    if (!has_freq) {
        return "must have a FREQ";
    }
    if (rule->count > 0 && rule->until_s != INT64_MAX) {
        return "must not have both COUNT and UNTIL";
    }
    if (rule->week.n > 0 && rule->freq != RRULE_YEARLY) {
        return "BYWEEKNO goes with FREQ=YEARLY only";
    }
    if (rule->year_day.n > 0 && rule->freq != RRULE_YEARLY) {
        return "BYYEARDAY goes with FREQ=YEARLY only";
    }
    if (rule->month_day.n > 0 && rule->freq == RRULE_WEEKLY) {
        return "BYMONTHDAY does not go with FREQ=WEEKLY";
    }
    for (size_t i = 0; i < rule->day.n; i++) {
        if (day_ordinal(rule->day.at[i]) != 0 && (fine || rule->week.n > 0)) {
            return "BYDAY with a number goes with MONTHLY, and YEARLY without BYWEEKNO";
        }
    }
    if (times > RRULE_TIMES) {
        return "must not be more than 24 times a day";
    }
    return NULL;
}

static int compare(const void *a, const void *b)
{
    return *(const int16_t *)a - *(const int16_t *)b;
}

/* Times of a day, in order and once each. */
static void sort_times(struct rrule_list *list)
{
    uint8_t n = 0;

    qsort(list->at, list->n, sizeof(list->at[0]), compare);
    for (uint8_t i = 0; i < list->n; i++) {
        if (n == 0 || list->at[n - 1] != list->at[i]) {
            list->at[n++] = list->at[i];
        }
    }
    list->n = n;
}

int rrule_parse(const char *text, struct rrule *out, const char **why)
{
    char copy[1024]; /* the schema lets in 512 characters */
    size_t len = strlen(text);
    char *rest = copy;
    char *part;
    bool has_freq = false;

    *out = (struct rrule){.until_s = INT64_MAX, .wkst = 1};
    *why = "is too long";
    if (len >= sizeof(copy)) {
        return -EBADMSG;
    }
    memcpy(copy, text, len + 1);
    while ((part = strsep(&rest, ";")) != NULL) {
        char *value = strchr(part, '=');

        *why = "must be parts NAME=VALUE with a semicolon between";
        if (value != NULL) {
            *value++ = '\0';
            *why = take_part(part, value, out, &has_freq);
        }
        if (*why != NULL) {
            return -EBADMSG;
        }
    }
    *why = contradiction(out, has_freq);
    if (*why != NULL) {
        return -EBADMSG;
    }
    out->interval = out->interval > 0 ? out->interval : 1;
    sort_times(&out->hour);
    sort_times(&out->minute);
    return 0;
}

/* ---- the calendar ---- */

/* Days since 1970 of a day of the proleptic Gregorian calendar. */
static int64_t days_of(int year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t in_era = y - era * 400;
    int64_t in_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return era * 146097 + in_era * 365 + in_era / 4 - in_era / 100 + in_year - 719468;
}

static bool is_leap(int year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int month_len(int year, int month)
{
    static const uint8_t len[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    return len[month - 1] + (month == 2 && is_leap(year) ? 1 : 0);
}

/* 0 Sunday … 6 Saturday; 1970 began with a Thursday. */
static int weekday_of(int64_t days)
{
    return (int)(((days + 4) % 7 + 7) % 7);
}

struct date {
    int year, month, day;
    int year_day; /* from 1 */
};

static struct date date_of(int64_t days)
{
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t in_era = z - era * 146097;
    int64_t year = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    int64_t in_year = in_era - (365 * year + year / 4 - year / 100);
    int64_t m = (5 * in_year + 2) / 153;
    struct date date = {.month = (int)(m < 10 ? m + 3 : m - 9),
                        .day = (int)(in_year - (153 * m + 2) / 5 + 1)};

    date.year = (int)(year + era * 400) + (date.month <= 2 ? 1 : 0);
    date.year_day = (int)(days - days_of(date.year, 1, 1)) + 1;
    return date;
}

/* The first day of week 1: the first week with four days of the year. */
static int64_t week_1(int year, int wkst)
{
    int64_t first = days_of(year, 1, 1);
    int into = (weekday_of(first) - wkst + 7) % 7;

    return into <= 3 ? first - into : first + 7 - into;
}

/* ---- which days ---- */

static bool has(const struct rrule_list *list, int value)
{
    for (uint8_t i = 0; i < list->n; i++) {
        if (list->at[i] == value) {
            return true;
        }
    }
    return false;
}

/* The value, counted from the beginning or (of 'all') from the end. */
static bool has_either(const struct rrule_list *list, int value, int all)
{
    return list->n == 0 || has(list, value) || has(list, value - all - 1);
}

static bool in_week(const struct rrule *rule, int64_t days, int year)
{
    int64_t first = week_1(year, rule->wkst);
    int64_t next = week_1(year + 1, rule->wkst);

    if (days < first) {
        next = first;
        first = week_1(year - 1, rule->wkst);
    } else if (days >= next) {
        first = next;
        next = week_1(year + 2, rule->wkst);
    }
    return has_either(&rule->week, (int)((days - first) / 7) + 1,
                      (int)((next - first) / 7));
}

/* A weekday, alone or as the n-th of its month or year. */
static bool on_weekday(const struct rrule *rule, const struct date *date, int64_t days)
{
    bool of_month = rule->freq == RRULE_MONTHLY || rule->month.n > 0;
    int nth = of_month ? date->day : date->year_day;
    int len = of_month              ? month_len(date->year, date->month)
              : is_leap(date->year) ? YEAR_DAYS
                                    : YEAR_DAYS - 1;
    int16_t weekday = (int16_t)weekday_of(days);

    return has(&rule->day, day_pack(0, weekday)) ||
           has(&rule->day, day_pack((int16_t)((nth - 1) / 7 + 1), weekday)) ||
           has(&rule->day, day_pack((int16_t)(-(len - nth) / 7 - 1), weekday));
}

/* Where the rule names no day it is the start's. */
static bool as_the_start(const struct rrule *rule, const struct date *date,
                         const struct date *start, bool same_weekday)
{
    if (rule->day.n > 0 || rule->month_day.n > 0 || rule->year_day.n > 0) {
        return true;
    }
    switch (rule->freq) {
    case RRULE_WEEKLY:
        return same_weekday;
    case RRULE_MONTHLY:
        return date->day == start->day;
    case RRULE_YEARLY:
        if (rule->week.n > 0) {
            return same_weekday;
        }
        return date->day == start->day &&
               (rule->month.n > 0 || date->month == start->month);
    case RRULE_DAILY:
        break;
    }
    return true;
}

static bool is_day(const struct rrule *rule, int64_t days, int64_t start_days,
                   const struct date *start)
{
    struct date date = date_of(days);

    return (rule->month.n == 0 || has(&rule->month, date.month)) &&
           has_either(&rule->month_day, date.day, month_len(date.year, date.month)) &&
           has_either(&rule->year_day, date.year_day, is_leap(date.year) ? 366 : 365) &&
           (rule->day.n == 0 || on_weekday(rule, &date, days)) &&
           (rule->week.n == 0 || in_week(rule, days, date.year)) &&
           as_the_start(rule, &date, start, weekday_of(days) == weekday_of(start_days));
}

/* ---- periods: the days, weeks, months or years of the rule ---- */

struct period {
    int64_t first, end; /* days */
};

/* How many periods after the start's 'days' lies. */
static int64_t period_index(const struct rrule *rule, const struct period *origin,
                            const struct date *start, int64_t days)
{
    struct date date;

    switch (rule->freq) {
    case RRULE_DAILY:
        return days - origin->first;
    case RRULE_WEEKLY:
        return (days - origin->first) / 7;
    default:
        date = date_of(days);
        return rule->freq == RRULE_YEARLY
                   ? date.year - start->year
                   : (date.year - start->year) * 12 + date.month - start->month;
    }
}

static struct period period_at(const struct rrule *rule, const struct period *origin,
                               const struct date *start, int64_t i)
{
    struct period period;
    int64_t months = start->year * INT64_C(12) + start->month - 1 + i;

    switch (rule->freq) {
    case RRULE_DAILY:
    case RRULE_WEEKLY:
        period.first = origin->first + i * (rule->freq == RRULE_WEEKLY ? 7 : 1);
        period.end = period.first + (rule->freq == RRULE_WEEKLY ? 7 : 1);
        break;
    case RRULE_MONTHLY:
        period.first = days_of((int)(months / 12), (int)(months % 12) + 1, 1);
        period.end = period.first + month_len((int)(months / 12), (int)(months % 12) + 1);
        break;
    case RRULE_YEARLY:
        period.first = days_of((int)(start->year + i), 1, 1);
        period.end = days_of((int)(start->year + i) + 1, 1, 1);
        break;
    }
    return period;
}

/* ---- walking ---- */

struct walk {
    const struct rrule *rule;
    int64_t start_s, from_s, to_s;
    int64_t *out;
    size_t cap, n;
    uint32_t counted;
    int64_t last;
    int32_t times[RRULE_TIMES]; /* of a day, seconds, ascending */
    size_t n_times;
};

static void init_times(struct walk *walk, int32_t of_start)
{
    const struct rrule *rule = walk->rule;
    size_t hours = rule->hour.n > 0 ? rule->hour.n : 1;
    size_t minutes = rule->minute.n > 0 ? rule->minute.n : 1;

    for (size_t h = 0; h < hours; h++) {
        for (size_t m = 0; m < minutes; m++) {
            int32_t hour = rule->hour.n > 0 ? rule->hour.at[h] : of_start / 3600;
            int32_t minute = rule->minute.n > 0 ? rule->minute.at[m] : of_start / 60 % 60;

            walk->times[walk->n_times++] = hour * 3600 + minute * 60 + of_start % 60;
        }
    }
}

/* One start. False: there are no more. */
static bool take(struct walk *walk, int64_t t)
{
    if (t < walk->start_s) {
        return true;
    }
    if (t > walk->rule->until_s || t >= walk->to_s) {
        return false;
    }
    walk->last = t;
    walk->counted++;
    if (t >= walk->from_s && walk->n < walk->cap) {
        walk->out[walk->n++] = t;
    }
    return (walk->rule->count == 0 || walk->counted < walk->rule->count) &&
           (walk->cap == 0 || walk->n < walk->cap);
}

/* The starts of one period: 'days' ascending, thinned by BYSETPOS. */
static bool take_period(struct walk *walk, const int64_t *days, size_t n_days)
{
    const struct rrule_list *pos = &walk->rule->set_pos;
    int all = (int)(n_days * walk->n_times);
    bool chosen[YEAR_DAYS * RRULE_TIMES];

    memset(chosen, pos->n == 0, (size_t)all);
    for (uint8_t i = 0; i < pos->n; i++) {
        int at = pos->at[i] > 0 ? pos->at[i] - 1 : all + pos->at[i];

        if (at >= 0 && at < all) {
            chosen[at] = true;
        }
    }
    for (size_t i = 0; i < (size_t)all; i++) {
        if (chosen[i] &&
            !take(walk, days[i / walk->n_times] * DAY_S + walk->times[i % walk->n_times])) {
            return false;
        }
    }
    return true;
}

static int64_t day_of(int64_t seconds)
{
    return (seconds >= 0 ? seconds : seconds - DAY_S + 1) / DAY_S;
}

/* Goes through the periods, for RRULE_DAYS at most. */
static void go(struct walk *walk)
{
    const struct rrule *rule = walk->rule;
    int64_t start_days = day_of(walk->start_s);
    struct date start = date_of(start_days);
    int into = (weekday_of(start_days) - rule->wkst + 7) % 7;
    struct period origin = {.first = start_days - (rule->freq == RRULE_WEEKLY ? into : 0)};
    int64_t begin = start_days;
    int64_t i = 0;
    int64_t days[YEAR_DAYS];

    init_times(walk, (int32_t)(walk->start_s - start_days * DAY_S));
    if (rule->count == 0 && walk->from_s > walk->start_s) { /* else all must be counted */
        begin = day_of(walk->from_s);
        i = period_index(rule, &origin, &start, begin);
        i -= i % rule->interval;
    }
    for (;; i += rule->interval) {
        struct period period = period_at(rule, &origin, &start, i);
        size_t n = 0;

        if (period.first > begin + RRULE_DAYS || period.first * DAY_S >= walk->to_s ||
            period.first * DAY_S > rule->until_s) {
            return;
        }
        for (int64_t day = period.first; day < period.end; day++) {
            if (is_day(rule, day, start_days, &start)) {
                days[n++] = day;
            }
        }
        if (!take_period(walk, days, n)) {
            return;
        }
    }
}

/* Years of four digits: what RFC 3339 can say, with room for the arithmetic. */
static const int64_t earliest_s = -INT64_C(62135596800), latest_s = INT64_C(253402300799);

static int64_t clamp(int64_t t)
{
    return t < earliest_s ? earliest_s : t > latest_s ? latest_s : t;
}

size_t rrule_expand(const struct rrule *rule, int64_t start_s, int64_t from_s, int64_t to_s,
                    int64_t *out, size_t cap)
{
    struct walk walk = {.rule = rule,
                        .start_s = clamp(start_s),
                        .from_s = clamp(from_s),
                        .to_s = clamp(to_s),
                        .out = out,
                        .cap = cap};

    if (cap > 0) {
        go(&walk);
    }
    return walk.n;
}

/* The last of those that are counted. */
static int64_t last_of(const struct rrule *rule, int64_t start_s)
{
    struct walk walk = {
        .rule = rule, .start_s = clamp(start_s), .from_s = earliest_s, .to_s = latest_s};

    go(&walk);
    return walk.last;
}

int64_t rrule_until(const char *text, int64_t start_s)
{
    struct rrule rule;
    const char *why;
    int64_t first;

    if (text == NULL || rrule_parse(text, &rule, &why) != 0 ||
        rrule_expand(&rule, start_s, start_s, INT64_MAX, &first, 1) == 0) {
        return 0;
    }
    return rule.count == 0 ? rule.until_s : last_of(&rule, start_s);
}

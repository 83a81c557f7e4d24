#include "sys/process.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static double seconds_of(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static uint32_t count_entries(const char *path)
{
    DIR *dir = opendir(path);
    uint32_t n = 0;

    if (dir == NULL) {
        return 0;
    }
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        n += entry->d_name[0] != '.';
    }
    (void)closedir(dir);
    return n;
}

static uint64_t resident_pages(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    char line[128] = "";
    char *at;

    if (file == NULL) {
        return 0;
    }
    if (fgets(line, sizeof(line), file) == NULL) {
        line[0] = '\0';
    }
    (void)fclose(file);
    at = strchr(line, ' '); /* the second number */
    return at != NULL ? strtoull(at, NULL, 10) : 0;
}

void process_usage(struct process_usage *out)
{
    struct rusage usage;
    struct rlimit limit;
    uint32_t files = count_entries("/proc/self/fd");

    memset(out, 0, sizeof(*out));
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        out->cpu_s = seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
    }
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        out->max_files =
            limit.rlim_cur < UINT32_MAX ? (uint32_t)limit.rlim_cur : UINT32_MAX;
    }
    out->resident_bytes = resident_pages() * (uint64_t)sysconf(_SC_PAGESIZE);
    out->open_files = files > 0 ? files - 1 : 0; /* one is of the counting */
    out->threads = count_entries("/proc/self/task");
}

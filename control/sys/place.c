#include "sys/place.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

void place_make(const char *path, mode_t mode)
{
    char copy[PATH_MAX];
    char *slash;

    (void)snprintf(copy, sizeof(copy), "%s", path);
    slash = strrchr(copy, '/');
    if (slash != NULL && slash != copy) {
        *slash = '\0';
        (void)mkdir(copy, mode);
    }
}

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "recording/priv.h"

/* A directory of files in 'parent'. */
static void erase(const char *parent, const char *name)
{
    int at = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int fd =
        at >= 0 ? openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *entry;

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        (void)unlinkat(fd, entry->d_name, 0); /* "." and ".." are none that it takes */
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    if (at >= 0) {
        (void)unlinkat(at, name, AT_REMOVEDIR);
        (void)close(at);
    }
}

void recorder_erase_live(const struct recorder *recorder, const char *id)
{
    erase(recorder->conf.live, id);
}

/* Each is a directory in which a first process has begun. */
static bool is_ours(int at, const char *name)
{
    int fd = name[0] != '.'
                 ? openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
                 : -1;
    bool ours = fd >= 0 && faccessat(fd, "1-audio.mp4", F_OK, 0) == 0;

    if (fd >= 0) {
        (void)close(fd);
    }
    return ours;
}

void recorder_erase_left(const char *live)
{
    DIR *dir = live != NULL && live[0] != '\0' ? opendir(live) : NULL;
    const struct dirent *entry;

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (is_ours(dirfd(dir), entry->d_name)) {
            erase(live, entry->d_name);
        }
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
}

/* kcsctl backup, restore and user: what an operator does to the node's store. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kcsctl/admin.h"
#include "kcsctl/kcsctl.h"
#include "kcsctl/show.h"

enum { ORDER_MAX = 4096, PASSWORD_MAX = 1025 };

static int complain(int code, const char *what, const char *which, const char *why)
{
    fprintf(stderr, "kcsctl: %s%s: %s\n", what, which, why);
    return code;
}

/* ---- backup ---- */

int kcsctl_backup(const struct command *command, const struct options *options,
                  const char *argument)
{
    char path[ORDER_MAX + 3 * PATH_MAX] = "/backup";
    char whole[PATH_MAX];
    char here[PATH_MAX] = "";
    (void)command;

    /* the node's own directory is another one */
    if (argument[0] != '/' && getcwd(here, sizeof(here)) == NULL) {
        return complain(EXIT_FAILED, "the directory", "", strerror(errno));
    }
    if (snprintf(whole, sizeof(whole), "%s%s%s", here, here[0] != '\0' ? "/" : "",
                 argument) >= (int)sizeof(whole)) {
        return complain(EXIT_USAGE, argument, "", "the path is too long");
    }
    kcsctl_add_query(path, sizeof(path), "path", whole);
    return kcsctl_order(options, path, "");
}

/* ---- restore ---- */

/* Whoever has an SQLite file open holds a lock on these bytes (its PENDING_BYTE and what
 * follows). */
static bool is_open_elsewhere(int fd)
{
    struct flock lock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0x40000000, .l_len = 512};

    return fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

static bool is_sqlite(int fd)
{
    static const char magic[16] = "SQLite format 3";
    char head[16];

    return pread(fd, head, sizeof(head), 0) == (ssize_t)sizeof(head) &&
           memcmp(head, magic, sizeof(head)) == 0;
}

/* 0 or -errno. */
static int copy(int from, const char *path)
{
    int to = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int ret = to < 0 ? -errno : 0;
    off_t at = 0;
    ssize_t n = 1;

    while (ret == 0 && n > 0) {
        n = sendfile(to, from, &at, 1 << 20);
        ret = n < 0 ? -errno : 0;
    }
    if (ret == 0 && fsync(to) != 0) {
        ret = -errno;
    }
    if (to >= 0) {
        close(to);
    }
    return ret;
}

/* The store and what belongs to it, out of the way. 0 or -errno. */
static int set_aside(const char *store)
{
    static const char *const ends[] = {"", "-wal", "-shm"};
    char from[PATH_MAX], to[PATH_MAX];

    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        snprintf(from, sizeof(from), "%s%s", store, ends[i]);
        snprintf(to, sizeof(to), "%s.before%s", store, ends[i]);
        if (rename(from, to) != 0 && errno != ENOENT) {
            return -errno;
        }
    }
    return 0;
}

static int put_in_place(int from, const char *store)
{
    char fresh[PATH_MAX];
    int ret;

    snprintf(fresh, sizeof(fresh), "%s.new", store);
    ret = copy(from, fresh);
    if (ret == 0) {
        ret = set_aside(store);
    }
    if (ret == 0 && rename(fresh, store) != 0) {
        ret = -errno;
    }
    if (ret != 0) {
        (void)unlink(fresh);
        return complain(EXIT_FAILED, store, "", strerror(-ret));
    }
    printf("%s is restored; what was there is %s.before\n", store, store);
    return EXIT_OK;
}

int kcsctl_restore(const struct command *command, const struct options *options,
                   const char *argument)
{
    const char *store = options->n_rest == 1 ? options->rest[0] : NULL;
    int from, old, ret;
    (void)command;

    if (store == NULL || strlen(store) > PATH_MAX - 16) {
        fprintf(stderr, "kcsctl: restore FILE STORE: a backup, and the store.path of the "
                        "configuration\n");
        return EXIT_USAGE;
    }
    from = open(argument, O_RDONLY | O_CLOEXEC);
    if (from < 0) {
        return complain(EXIT_FAILED, argument, "", strerror(errno));
    }
    old = open(store, O_RDWR | O_CLOEXEC);
    if (!is_sqlite(from)) {
        ret = complain(EXIT_FAILED, argument, "", "is no store");
    } else if (old >= 0 && is_open_elsewhere(old)) {
        ret =
            complain(EXIT_FAILED, store, "", "a node has it open: stop kcs-control first");
    } else {
        ret = put_in_place(from, store);
    }
    if (old >= 0) {
        close(old);
    }
    close(from);
    return ret;
}

/* ---- accounts ---- */

int kcsctl_user(const struct command *command, const struct options *options,
                const char *argument)
{
    char path[ORDER_MAX] = "/users";
    char password[PASSWORD_MAX + 1] = "";
    int ret;
    (void)command;

    if (strcmp(argument, "add") != 0 || options->n_rest != 1 ||
        strlen(options->rest[0]) > 128) {
        fprintf(stderr, "kcsctl: user add LOGIN [--role R] [--name N] [--tenant T]\n");
        return EXIT_USAGE;
    }
    if (isatty(STDIN_FILENO)) {
        fprintf(stderr, "password (at least 8 characters, shown as you type): ");
    }
    if (fgets(password, sizeof(password), stdin) == NULL) {
        password[0] = '\0';
    }
    password[strcspn(password, "\r\n")] = '\0';
    kcsctl_add_query(path, sizeof(path), "login", options->rest[0]);
    kcsctl_add_query(path, sizeof(path), "role", options->role);
    kcsctl_add_query(path, sizeof(path), "name", options->name);
    kcsctl_add_query(path, sizeof(path), "tenant", options->tenant);
    ret = kcsctl_order(options, path, password);
    explicit_bzero(password, sizeof(password));
    return ret;
}

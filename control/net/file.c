/* Files as answers. They are small (a page's), so each is read whole; the kernel's cache is
 * the cache. */
#include "net/priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX = 16 << 20, MAX_HEADERS = 16, ETAG_MAX = 64 };

static const char *content_type(const char *path)
{
    static const struct {
        const char *extension;
        const char *type;
    } types[] = {
        {"html", "text/html; charset=utf-8"},
        {"css", "text/css; charset=utf-8"},
        {"js", "text/javascript; charset=utf-8"},
        {"mjs", "text/javascript; charset=utf-8"},
        {"json", "application/json"},
        {"map", "application/json"},
        {"webmanifest", "application/manifest+json"},
        {"txt", "text/plain; charset=utf-8"},
        {"svg", "image/svg+xml"},
        {"png", "image/png"},
        {"jpg", "image/jpeg"},
        {"jpeg", "image/jpeg"},
        {"webp", "image/webp"},
        {"gif", "image/gif"},
        {"ico", "image/x-icon"},
        {"woff2", "font/woff2"},
        {"wasm", "application/wasm"},
        {"mp3", "audio/mpeg"},
        {"ogg", "audio/ogg"},
        {"webm", "video/webm"},
        {"mp4", "video/mp4"},
        {"m4s", "video/mp4"},
        {"m4a", "audio/mp4"},
        {"m3u8", "application/vnd.apple.mpegurl"},
        {"mpd", "application/dash+xml"},
    };
    const char *dot = strrchr(path, '.');

    for (size_t i = 0; dot != NULL && i < sizeof(types) / sizeof(types[0]); i++) {
        if (strcasecmp(dot + 1, types[i].extension) == 0) {
            return types[i].type;
        }
    }
    return "application/octet-stream";
}

/* Opens the directory or file 'name' in 'dir', which is closed. */
static int step(int dir, const char *name, int flags)
{
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | flags);
    int err = fd < 0 ? -errno : 0;

    close(dir);
    return err != 0 ? err : fd;
}

/* The file 'path' below 'root', walked name by name so that nothing outside can be reached:
 * no name that starts with a dot, no symbolic link. A descriptor, or -errno. */
static int open_below(const char *root, const char *path)
{
    int fd = open(root, O_RDONLY | O_CLOEXEC | O_DIRECTORY);
    char name[256];

    if (fd < 0) {
        return -errno;
    }
    for (;;) {
        size_t len;

        path += strspn(path, "/");
        len = strcspn(path, "/");
        if (len == 0) {
            return fd;
        }
        if (len >= sizeof(name) || path[0] == '.') {
            close(fd);
            return -ENOENT;
        }
        memcpy(name, path, len);
        name[len] = '\0';
        path += len;
        fd = step(fd, name, *path == '/' ? O_DIRECTORY : 0);
        if (fd < 0) {
            return fd;
        }
    }
}

/* The regular file to send, with 'st' filled; a directory becomes its index.html. */
static int open_file(const char *root, const char **path, off_t max, struct stat *st)
{
    int fd = open_below(root, *path);

    if (fd >= 0 && fstat(fd, st) == 0 && S_ISDIR(st->st_mode)) {
        *path = "index.html";
        fd = step(fd, "index.html", 0);
    }
    if (fd >= 0 && (fstat(fd, st) != 0 || !S_ISREG(st->st_mode) || st->st_size > max)) {
        close(fd);
        return -ENOENT;
    }
    return fd;
}

bool net_etag_listed(const char *list, const char *etag, bool weakly)
{
    size_t len = strlen(etag);

    while (list != NULL && *list != '\0') {
        list += strspn(list, ", \t");
        if (*list == '*') {
            return true;
        }
        if (weakly && strncmp(list, "W/", 2) == 0) {
            list += 2;
        }
        if (strncmp(list, etag, len) == 0) {
            return true;
        }
        list += strcspn(list, ",");
    }
    return false;
}

static char *read_whole(int fd, size_t len)
{
    char *data = malloc(len + 1);
    size_t at = 0;

    while (data != NULL && at < len) {
        ssize_t n = read(fd, data + at, len - at);

        if (n <= 0) {
            if (n < 0 && errno == EINTR) {
                continue;
            }
            free(data); /* it shrank, or the disk failed */
            return NULL;
        }
        at += (size_t)n;
    }
    return data;
}

static void say(struct net_req *req, unsigned status, const char *text,
                const struct net_header *extra)
{
    struct net_header headers[2] = {{"content-type", "text/plain; charset=utf-8"}};

    if (extra != NULL) {
        headers[1] = *extra;
    }
    net_respond(req, status, headers, extra != NULL ? 2 : 1, text, strlen(text));
}

static void write_etag(const struct stat *st, char etag[ETAG_MAX])
{
    snprintf(etag, ETAG_MAX, "\"%llx-%llx-%llx\"", (unsigned long long)st->st_mtim.tv_sec,
             (unsigned long long)st->st_mtim.tv_nsec, (unsigned long long)st->st_size);
}

void net_respond_file(struct net_req *req, const char *root, const char *path,
                      const struct net_header *headers, size_t n_headers)
{
    static const struct net_header allow = {"allow", "GET, HEAD"};
    struct net_header all[MAX_HEADERS + 4];
    char etag[ETAG_MAX];
    struct stat st = {0};
    bool cache = true;
    char *data;
    size_t n = 0;
    int fd;

    if (req->method != NET_GET && req->method != NET_HEAD) {
        say(req, 405, "Method not allowed\n", &allow);
        return;
    }
    fd = open_file(root, &path, FILE_MAX, &st);
    if (fd < 0) {
        say(req, 404, "Not found\n", NULL);
        return;
    }
    write_etag(&st, etag);
    for (size_t i = 0; i < n_headers && i < MAX_HEADERS; i++) {
        cache = cache && strcasecmp(headers[i].name, "cache-control") != 0;
        all[n++] = headers[i];
    }
    all[n++] = (struct net_header){"etag", etag};
    if (cache) {
        all[n++] = (struct net_header){"cache-control", "no-cache"};
    }
    if (net_etag_listed(net_req_header(req, "if-none-match"), etag, true)) {
        close(fd);
        net_respond(req, 304, all, n, NULL, 0);
        return;
    }
    all[n++] = (struct net_header){"content-type", content_type(path)};
    all[n++] = (struct net_header){"x-content-type-options", "nosniff"};
    data = read_whole(fd, (size_t)st.st_size);
    close(fd);
    if (data == NULL) {
        say(req, 500, "The file cannot be read\n", NULL);
        return;
    }
    net_respond(req, 200, all, n, data, (size_t)st.st_size);
    free(data);
}

/* A decimal number; false if there is none, or it is too long to be a size. */
static bool take_number(const char **text, uint64_t *out)
{
    size_t digits = strspn(*text, "0123456789");

    *out = strtoull(*text, NULL, 10);
    *text += digits;
    return digits > 0 && digits < 19;
}

enum range { RANGE_WHOLE, RANGE_PART, RANGE_NONE };

/* RFC 9110, section 14.1.2: one range of a file of 'size' bytes; what is not understood is
 * the whole. */
static enum range read_range(const char *text, uint64_t size, uint64_t *at, uint64_t *len)
{
    uint64_t last = 0;

    *at = 0;
    *len = size;
    if (text == NULL || strncmp(text, "bytes=", 6) != 0) {
        return RANGE_WHOLE;
    }
    text += 6;
    if (*text == '-') {
        text++;
        if (!take_number(&text, &last) || *text != '\0') {
            return RANGE_WHOLE;
        }
        if (last == 0 || size == 0) {
            return RANGE_NONE;
        }
        *len = last < size ? last : size;
        *at = size - *len;
        return RANGE_PART;
    }
    if (!take_number(&text, at) || *text++ != '-') {
        *at = 0;
        return RANGE_WHOLE;
    }
    if (*text == '\0') {
        last = UINT64_MAX;
    } else if (!take_number(&text, &last) || *text != '\0' || last < *at) {
        *at = 0;
        return RANGE_WHOLE;
    }
    if (*at >= size) {
        return RANGE_NONE;
    }
    *len = last < size ? last - *at + 1 : size - *at;
    return RANGE_PART;
}

void net_respond_large(struct net_req *req, const char *root, const char *path,
                       const struct net_header *headers, size_t n_headers)
{
    struct net_header all[MAX_HEADERS + 6];
    const char *condition = net_req_header(req, "if-range");
    const char *wanted = net_req_header(req, "range");
    char etag[ETAG_MAX], part[96];
    struct stat st = {0};
    uint64_t at, len;
    enum range range;
    size_t n = 0;
    int fd = open_file(root, &path, INT64_MAX, &st);

    if (fd < 0) {
        say(req, 404, "Not found\n", NULL);
        return;
    }
    write_etag(&st, etag);
    if (condition != NULL && strcmp(condition, etag) != 0) {
        wanted = NULL; /* it has changed since the client's part was read */
    }
    range =
        read_range(req->method == NET_GET ? wanted : NULL, (uint64_t)st.st_size, &at, &len);
    for (size_t i = 0; i < n_headers && i < MAX_HEADERS; i++) {
        all[n++] = headers[i];
    }
    all[n++] = (struct net_header){"accept-ranges", "bytes"};
    all[n++] = (struct net_header){"etag", etag};
    if (range != RANGE_WHOLE) {
        (void)(range == RANGE_NONE
                   ? snprintf(part, sizeof(part), "bytes */%llu",
                              (unsigned long long)st.st_size)
                   : snprintf(part, sizeof(part), "bytes %llu-%llu/%llu",
                              (unsigned long long)at, (unsigned long long)(at + len - 1),
                              (unsigned long long)st.st_size));
        all[n++] = (struct net_header){"content-range", part};
    }
    if (range == RANGE_NONE) {
        (void)close(fd);
        net_respond(req, 416, all, n, NULL, 0);
        return;
    }
    all[n++] = (struct net_header){"content-type", content_type(path)};
    all[n++] = (struct net_header){"x-content-type-options", "nosniff"};
    http_respond_from(req, range == RANGE_PART ? 206 : 200, all, n, fd, at, len);
}

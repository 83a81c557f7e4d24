/* What a program says to the supervisor that has started it (systemd's Type=notify; the
 * protocol of sd_notify(3): a datagram of lines to the socket of NOTIFY_SOCKET). Without a
 * supervisor nothing happens. Any thread; not in a fast path. */
#ifndef SFU_CONF_SERVICE_H
#define SFU_CONF_SERVICE_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Tells 'state': "READY=1", "STOPPING=1", "WATCHDOG=1", "STATUS=…". */
static inline void service_notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t len = path != NULL ? strlen(path) : 0;
    int fd;

    if (len < 2 || len >= sizeof(to.sun_path) || (path[0] != '/' && path[0] != '@')) {
        return;
    }
    memcpy(to.sun_path, path, len);
    if (path[0] == '@') {
        to.sun_path[0] = '\0'; /* of the abstract namespace */
    }
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        (void)sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&to,
                     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
        (void)close(fd);
    }
}

/* How often to tell "WATCHDOG=1", in milliseconds: half of what the supervisor waits for
 * it. 0: it does not. */
static inline uint32_t service_watchdog_ms(void)
{
    const char *pid = getenv("WATCHDOG_PID");
    const char *text = getenv("WATCHDOG_USEC");
    unsigned long long usec = text != NULL ? strtoull(text, NULL, 10) : 0;

    if (usec < 2000 || usec / 2000 > UINT32_MAX ||
        (pid != NULL && strtoll(pid, NULL, 10) != (long long)getpid())) {
        return 0;
    }
    return (uint32_t)(usec / 2000);
}

#endif

/* Listening sockets that whoever has started this process holds open for it, so that nobody
 * is refused while it is restarted (systemd's socket activation, sd_listen_fds(3)). */
#ifndef SYS_INHERIT_H
#define SYS_INHERIT_H

#include <sys/socket.h>

/* The inherited stream socket that is bound to this address, now the caller's to close, not
 * blocking and closed on exec; -1 if there is none. An address is given out once. At start.
 */
int inherit_socket(const struct sockaddr *address);

#endif

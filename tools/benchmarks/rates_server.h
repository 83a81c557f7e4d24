/* The servers that tools/bench rates measures, each a process on the last CPU: a node's
 * control with a store of its own, and the bare loop of rates_echo.h. */
#ifndef RATES_SERVER_H
#define RATES_SERVER_H

#include <stdint.h>
#include <sys/types.h>

enum { RATES_PATH = 128, RATES_SECRET = 32 };

struct server {
    pid_t pid;
    uint16_t port;
    char dir[RATES_PATH];          /* of its files; empty: none */
    char secret[RATES_SECRET + 1]; /* that tokens are signed with */
};

/* Each returns 0, or -1 with a line on standard error. It answers then. */
int server_start_echo(struct server *server);
int server_start_node(struct server *server); /* build/kcs-control, beside this program */

/* Kills it and removes what it wrote. */
void server_stop(struct server *server);

/* CPU that it has used, all threads, in seconds. */
double server_cpu_s(const struct server *server);

/* Binds this process to the CPUs that the servers do not use, if there are several. */
void server_leave_cpu(void);

#endif

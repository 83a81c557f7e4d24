#include "benchmarks/rates_server.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "benchmarks/rates_echo.h"
#include "benchmarks/rates_peers.h"

enum { PATIENCE_MS = 15000, STEP_MS = 20 };

static void bind_cpus(bool server)
{
    size_t n = (size_t)sysconf(_SC_NPROCESSORS_ONLN);
    cpu_set_t set;

    CPU_ZERO(&set);
    for (size_t i = 0; i < n; i++) {
        if (n == 1 || (i == n - 1) == server) {
            CPU_SET(i, &set);
        }
    }
    (void)sched_setaffinity(0, sizeof(set), &set);
}

void server_leave_cpu(void)
{
    bind_cpus(false);
}

/* One that nobody has; 0 without. */
static uint16_t free_port(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    uint16_t port = 0;

    if (fd >= 0 && bind(fd, (const struct sockaddr *)&at, sizeof(at)) == 0 &&
        getsockname(fd, (struct sockaddr *)&at, &len) == 0) {
        port = ntohs(at.sin_port);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return port;
}

static bool answers(uint16_t port)
{
    int fd = peers_dial(port);

    if (fd >= 0) {
        (void)close(fd);
    }
    return fd >= 0;
}

/* Waits until it listens, or is dead. */
static int await(struct server *server, const char *what)
{
    for (int ms = 0; ms < PATIENCE_MS; ms += STEP_MS) {
        if (answers(server->port)) {
            return 0;
        }
        if (waitpid(server->pid, NULL, WNOHANG) == server->pid) {
            server->pid = 0;
            break;
        }
        (void)usleep(STEP_MS * 1000);
    }
    (void)fprintf(stderr, "rates: %s does not start%s%s%s\n", what,
                  server->dir[0] != '\0' ? ": see " : "", server->dir,
                  server->dir[0] != '\0' ? "/log" : "");
    server->dir[0] = '\0'; /* stays, to be looked at */
    server_stop(server);
    return -1;
}

/* In the child: nothing of it outlives the benchmark. */
static void become_server(void)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    bind_cpus(true);
}

int server_start_echo(struct server *server)
{
    *server = (struct server){.port = free_port()};
    server->pid = fork();
    if (server->pid == 0) {
        become_server();
        (void)echo_serve(server->port);
        _exit(1);
    }
    return await(server, "the bare server");
}

static int write_file(const char *dir, const char *name, const char *text)
{
    char path[RATES_PATH + 32];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    file = fopen(path, "w");
    if (file == NULL) {
        return -1;
    }
    (void)fputs(text, file);
    return fclose(file);
}

static int configure(struct server *server)
{
    char text[4096];
    unsigned char bytes[RATES_SECRET / 2];

    (void)snprintf(server->dir, sizeof(server->dir), "/tmp/kcs-rates-XXXXXX");
    if (mkdtemp(server->dir) == NULL ||
        getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes)) {
        return -1;
    }
    for (size_t i = 0; i < sizeof(bytes); i++) {
        (void)snprintf(server->secret + 2 * i, 3, "%02x", bytes[i]);
    }
    (void)snprintf(text, sizeof(text),
                   "dataplane:\n  socket: %s/dataplane.sock\n"
                   "http:\n  - address: 127.0.0.1\n    port: %u\n"
                   "admin:\n  socket: %s/admin.sock\n  metrics_port: %u\n"
                   "auth:\n  hs256_secret_file: %s/secret\n"
                   "store:\n  path: %s/kcs.db\n"
                   "limits:\n  requests_per_address: 0\n  requests_per_user: 0\n"
                   "log:\n  level: warn\n",
                   server->dir, server->port, server->dir, free_port(), server->dir,
                   server->dir);
    return write_file(server->dir, "control.yaml", text) != 0 ||
                   write_file(server->dir, "secret", server->secret) != 0
               ? -1
               : 0;
}

/* build/kcs-control, of the same build as this program. */
static void run_control(const struct server *server)
{
    char self[RATES_PATH * 4] = "";
    char program[sizeof(self) + 32], conf[RATES_PATH + 32], log[RATES_PATH + 32];
    int fd;

    if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0) {
        return;
    }
    (void)snprintf(program, sizeof(program), "%s/../../kcs-control", dirname(self));
    (void)snprintf(conf, sizeof(conf), "%s/control.yaml", server->dir);
    (void)snprintf(log, sizeof(log), "%s/log", server->dir);
    fd = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd >= 0) {
        (void)dup2(fd, STDOUT_FILENO);
        (void)dup2(fd, STDERR_FILENO);
        (void)execl(program, program, "--config", conf, (char *)NULL);
    }
}

int server_start_node(struct server *server)
{
    *server = (struct server){.port = free_port()};
    if (configure(server) != 0) {
        (void)fprintf(stderr, "rates: cannot write %s: %s\n", server->dir, strerror(errno));
        return -1;
    }
    server->pid = fork();
    if (server->pid == 0) {
        become_server();
        run_control(server);
        _exit(1);
    }
    return await(server, "kcs-control");
}

static void remove_dir(const char *path)
{
    DIR *dir = opendir(path);
    const struct dirent *entry;

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        (void)unlinkat(dirfd(dir), entry->d_name, 0);
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    (void)rmdir(path);
}

void server_stop(struct server *server)
{
    if (server->pid > 0) {
        (void)kill(server->pid, SIGKILL);
        (void)waitpid(server->pid, NULL, 0);
    }
    if (server->dir[0] != '\0') {
        remove_dir(server->dir);
    }
    *server = (struct server){0};
}

double server_cpu_s(const struct server *server)
{
    unsigned long long user = 0;
    unsigned long long system = 0;
    char path[64], line[1024] = "";
    const char *at;
    FILE *file;

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)server->pid);
    file = fopen(path, "r");
    if (file == NULL) {
        return 0;
    }
    at = fgets(line, sizeof(line), file) != NULL ? strrchr(line, ')') : NULL;
    (void)fclose(file);
    if (at == NULL ||
        sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user,
               &system) != 2) {
        return 0;
    }
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

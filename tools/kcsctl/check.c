/* kcsctl check: the programs judge their configuration themselves; this asks them. */
#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kcsctl/kcsctl.h"
#include "kcsctl/show.h"

/* Runs in a child: the program beside kcsctl, else the one of the PATH. */
static void run_check(const char *program, const char *file, int out, int err)
{
    char self[PATH_MAX] = "";
    char beside[PATH_MAX + NAME_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    char *slash = n > 0 ? strrchr(self, '/') : NULL;

    if (dup2(out, STDOUT_FILENO) < 0 || dup2(err, STDERR_FILENO) < 0) {
        _exit(EXIT_FAILED);
    }
    if (slash != NULL) {
        *slash = '\0';
        snprintf(beside, sizeof(beside), "%s/%s", self, program);
        execl(beside, program, "--check-config", "--config", file, (char *)NULL);
    }
    execlp(program, program, "--check-config", "--config", file, (char *)NULL);
    fprintf(stderr, "kcsctl: %s: %s: install it, or add its directory to the PATH\n",
            program, strerror(errno));
    fflush(stderr);
    _exit(EXIT_FAILED);
}

/* All that was written to the file; the caller frees, NULL without memory. */
static char *text_of(int fd)
{
    off_t len = lseek(fd, 0, SEEK_END);
    char *text = len >= 0 ? malloc((size_t)len + 1) : NULL;

    if (text != NULL) {
        ssize_t n = pread(fd, text, (size_t)len, 0);

        text[n > 0 ? n : 0] = '\0';
    }
    return text;
}

static int show(const struct options *options, const char *program, const char *file,
                int code, const char *out, const char *err)
{
    int ret;
    json_t *data;

    if (!options->json) {
        fputs(out, stdout);
        fputs(err, stderr);
        return code;
    }
    data = json_pack("{s:s, s:s, s:b, s:s, s:s}", "program", program, "file", file, "ok",
                     (int)(code == EXIT_OK), "error", err, "configuration", out);
    ret = data != NULL ? kcsctl_show(data, options) : EXIT_FAILED;
    json_decref(data);
    return code != EXIT_OK ? code : ret;
}

int kcsctl_check(const struct command *command, const struct options *options,
                 const char *argument)
{
    static const char *const of[][3] = {
        {"control", "kcs-control", "/etc/kcs/control.yaml"},
        {"dataplane", "kcs-dataplane", "/etc/kcs/dataplane.yaml"}};
    size_t i = strcmp(argument, of[0][0]) == 0 ? 0 : 1;
    const char *file = options->n_rest > 0 ? options->rest[0] : of[i][2];
    int out = memfd_create("out", MFD_CLOEXEC), err = memfd_create("err", MFD_CLOEXEC);
    int status = 0, ret = EXIT_FAILED;
    char *out_text = NULL, *err_text = NULL;
    pid_t pid;
    (void)command;

    if (strcmp(argument, of[i][0]) != 0 || options->n_rest > 1) {
        fprintf(stderr, "kcsctl: check control [FILE], or check dataplane [FILE]\n");
        ret = EXIT_USAGE;
        goto out;
    }
    fflush(NULL);
    pid = fork();
    if (pid == 0) {
        run_check(of[i][1], file, out, err);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid) {
        fprintf(stderr, "kcsctl: cannot run %s: %s\n", of[i][1], strerror(errno));
        goto out;
    }
    out_text = text_of(out);
    err_text = text_of(err);
    if (out_text != NULL && err_text != NULL) {
        ret = show(options, of[i][1], file,
                   WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILED, out_text, err_text);
    }
out:
    free(out_text);
    free(err_text);
    if (out >= 0) {
        close(out);
    }
    if (err >= 0) {
        close(err);
    }
    return ret;
}

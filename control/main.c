/* kcs-control: reads the configuration, makes the node, runs it until SIGINT or SIGTERM.
 * Everything it does is in app/. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "app/app.h"
#ifdef KCS_MONGO
#include "mongo/mongo.h"
#define DATABASE &store_mongo
#else
#define DATABASE NULL
#endif
#include "app/control_conf.h"
#include "sfu/conf/program.h"

enum { EXIT_BAD_CONF = 4 };

/* Read by the allocator, jemalloc (docs/decisions/0046): a thread of its own gives back what is
 * free for some seconds, and threads share what others have freed. */
const char *malloc_conf = "background_thread:true,narenas:2,dirty_decay_ms:5000";

static const struct program program = {
    .name = "kcs-control",
    .does = "decides for a KCS media node: signaling, meetings, ICE and DTLS",
    .more = "It serves the page, REST and Socket.IO, keeps meetings and accounts, and tells\n"
            "\\fBkcs\\-dataplane\\fR(8) which media go where. Either may be restarted while "
            "people\ntalk: its successor takes up where it was.\n"
            ".PP\n"
            "It logs JSON lines to standard error. Under systemd it tells when it is ready, and\n"
            "from its loop that it is alive.\n",
    .signals = ".TP\nSIGHUP\nReads the configuration file, its files of secrets, the\n"
               "certificate and the keys of other issuers again. A file with an error is refused as a whole.\n"
               ".TP\nSIGTERM\nStops; with \\fBshutdown.drain_s\\fR when nobody is left, after\n"
               "so many seconds at the latest. The second one, and SIGINT, stop at once.\n",
};

static int run(struct control_conf *conf, const char *path)
{
    char err[APP_ERR_MAX] = "";
    struct app *app;
    int ret = app_create(&app, conf, DATABASE, err);

    if (ret != 0) {
        (void)fprintf(stderr, "kcs-control: %s\n", err);
        return ret == -EINVAL ? EXIT_BAD_CONF : EXIT_FAILURE;
    }
    app_reload_from(app, path);
    app_run(app);
    app_destroy(app);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    static struct control_conf conf;
    struct program_asked asked;
    char err[512];
    int status = program_read(&program, argc, argv, &asked);

    if (status != PROGRAM_GO_ON) {
        return status;
    }
    if (asked.describe) {
        control_conf_describe(stdout);
        return EXIT_SUCCESS;
    }
    /* Keys lie in memory: no core dump, no ptrace by others. */
    (void)prctl(PR_SET_DUMPABLE, 0);
    if (asked.check) {
        return control_conf_check(asked.config, stdout);
    }
    if (control_conf_load(asked.config, &conf, err, sizeof(err)) != 0 ||
        control_conf_secrets(&conf, err, sizeof(err)) != 0) {
        (void)fprintf(stderr, "kcs-control: %s\n", err);
        return EXIT_BAD_CONF;
    }
    return run(&conf, asked.config);
}

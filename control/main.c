/* kcs-control: reads the configuration, makes the node, runs it until SIGINT or SIGTERM.
 * Everything it does is in app/. */
#include <errno.h>
#include <getopt.h>
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

enum { EXIT_USAGE = 2, EXIT_BAD_CONF = 4 };

static const char usage[] =
    "usage: kcs-control [--config FILE] [--check-config]\n"
    "\n"
    "Decides for a KCS node: signaling, meetings, ICE and DTLS; kcs-dataplane moves the\n"
    "media.\n"
    "\n"
    "  --config FILE    configuration; without it, the defaults of conf/control.yaml\n"
    "  --check-config   print the effective configuration and exit\n"
    "  --help           this text\n"
    "\n"
    "Exit status: 0 stopped, 1 could not start, 2 usage, 4 bad configuration.\n";

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
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"check-config", no_argument, NULL, 'k'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    static struct control_conf conf;
    const char *path = NULL;
    bool check = false;
    char err[512];
    int opt;

    while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (opt) {
        case 'c':
            path = optarg;
            break;
        case 'k':
            check = true;
            break;
        case 'h':
            (void)fputs(usage, stdout);
            return EXIT_SUCCESS;
        default:
            (void)fputs(usage, stderr);
            return EXIT_USAGE;
        }
    }
    if (optind < argc) {
        (void)fputs(usage, stderr);
        return EXIT_USAGE;
    }
    /* Keys lie in memory: no core dump, no ptrace by others. */
    (void)prctl(PR_SET_DUMPABLE, 0);
    if (check) {
        return control_conf_check(path, stdout);
    }
    if (control_conf_load(path, &conf, err, sizeof(err)) != 0 ||
        control_conf_secrets(&conf, err, sizeof(err)) != 0) {
        (void)fprintf(stderr, "kcs-control: %s\n", err);
        return EXIT_BAD_CONF;
    }
    return run(&conf, path);
}

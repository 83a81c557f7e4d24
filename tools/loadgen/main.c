/* kcs-loadgen: many complete clients of a node, of one process or several, sending numbered payloads to
 * each other and checking what arrives. It shares no cryptography with what it tests. */
#include "loadgen/report.h"
#include "loadgen/run.h"

int main(int argc, char **argv)
{
    static struct account all; /* large: histograms */
    static struct run run;
    struct options options;
    int status;

    if (!options_parse(argc, argv, &options, &status)) {
        return status;
    }
    status = run_init(&run, &options);
    if (status == LOADGEN_OK) {
        status = run_all(&run, &all);
        if (run.me == 0 && report_print(&run, &all) != 0 && status == LOADGEN_OK) {
            status = LOADGEN_FAILED;
        }
    }
    run_fini(&run);
    return status;
}

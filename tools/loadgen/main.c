/* kcs-loadgen: many complete clients of a node in one process, sending numbered payloads to
 * each other and checking what arrives. It shares no cryptography with what it tests. */
#include "loadgen/report.h"
#include "loadgen/run.h"

int main(int argc, char **argv)
{
    static struct run run; /* large: histograms */
    struct options options;
    int status;

    if (!options_parse(argc, argv, &options, &status)) {
        return status;
    }
    status = run_init(&run, &options);
    if (status == LOADGEN_OK) {
        status = run_all(&run);
        if (report_print(&run) != 0 && status == LOADGEN_OK) {
            status = LOADGEN_FAILED;
        }
    }
    run_fini(&run);
    return status;
}

/* The dataplane's configuration; see conf_target.h. */
#include "conf_target.h"

#include "dataplane_conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct conf_file file = conf_file_of(data, size);
    static struct dataplane_conf conf;
    char err[512] = "";

    if (dataplane_conf_load(file.path, &conf, err, sizeof(err)) == 0) {
        conf_prints_the_same(&file, dataplane_conf_check);
    } else {
        FUZZ_CHECK(err[0] != '\0' && strchr(err, '\n') == NULL);
    }
    (void)close(file.fd);
    return 0;
}

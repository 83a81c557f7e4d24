/* Control's configuration; see conf_target.h. */
#include "conf_target.h"

#include "app/control_conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct conf_file file = conf_file_of(data, size);
    static struct control_conf conf;
    char err[512] = "";

    /* the secret is the environment's, so that no file is asked for */
    FUZZ_CHECK(setenv("KCS_HS256_SECRET", "0123456789abcdef0123456789abcdef", 1) == 0);
    if (control_conf_load(file.path, &conf, err, sizeof(err)) == 0) {
        conf_prints_the_same(&file, control_conf_check);
    } else {
        FUZZ_CHECK(err[0] != '\0' && strchr(err, '\n') == NULL);
    }
    (void)close(file.fd);
    return 0;
}

/* The conformance suite on SQLite. */
#include <stddef.h>

#include "conformance.h"
#include "sqlite_ask.h"

#include "store/store_priv.h"

int main(void)
{
    static const uint64_t moments[] = {1, 137, 1900, 6000, 0};

    return conformance_run(&store_sqlite, moments, assert_whole);
}

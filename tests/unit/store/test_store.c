/* The conformance suite on SQLite. */
#include "conformance.h"

#include "store/store_priv.h"

int main(void)
{
    return conformance_run(&store_sqlite);
}

#include "dtls/dtls_address.h"

struct dtls_address *dtls_address_of(struct dtls_addresses *all, const struct path *path)
{
    struct dtls_address *address = NULL;

    for (unsigned i = 0; i < all->n && address == NULL; i++) {
        if (path_same_tuple(&all->at[i].path, path)) {
            address = &all->at[i];
        }
    }
    if (address == NULL && all->n < DTLS_ADDRESSES) {
        address = &all->at[all->n++];
        *address = (struct dtls_address){.credit = 0};
    } else if (address == NULL) {
        address = &all->at[all->oldest];
        all->oldest = (all->oldest + 1) % DTLS_ADDRESSES;
        *address = (struct dtls_address){.credit = 0};
    }
    address->path = *path;
    return address;
}

bool dtls_address_affords(const struct dtls_address *address, size_t len)
{
    return address->proven || len <= address->credit;
}

bool dtls_address_spend(struct dtls_address *address, size_t len)
{
    if (address->proven) {
        return true;
    }
    if (len > address->credit) {
        return false;
    }
    address->credit -= len;
    return true;
}

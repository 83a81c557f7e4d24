/* Tokens: any bytes as a whole token, and any header and claims signed with the right key,
 * for what is behind the signature is read only then. Claims that were accepted are minted
 * and verified again. */
#include "fuzz.h"

#include <openssl/hmac.h>

#include "proto/base64.h"
#include "proto/jwt.h"

enum { NOW = 1700000000 };

static const uint8_t KEY[] = "0123456789abcdef0123456789abcdef";
static const size_t KEY_LEN = sizeof(KEY) - 1;

static void check_claims(const struct jwt_claims *claims)
{
    char token[JWT_MAX_LEN + 1];
    struct jwt_claims again;
    enum jwt_error e;

    FUZZ_CHECK(claims->sub[0] != '\0' && claims->exp > NOW);
    e = jwt_mint(claims, KEY, KEY_LEN, token, sizeof(token));
    FUZZ_CHECK(e == JWT_OK);
    e = jwt_verify(token, strlen(token), KEY, KEY_LEN, NOW, &again);
    FUZZ_CHECK(e == JWT_OK);
    FUZZ_CHECK(
        strcmp(claims->sub, again.sub) == 0 && strcmp(claims->tenant, again.tenant) == 0 &&
        strcmp(claims->name, again.name) == 0 && strcmp(claims->role, again.role) == 0 &&
        strcmp(claims->meeting_id, again.meeting_id) == 0 &&
        strcmp(claims->jti, again.jti) == 0);
    FUZZ_CHECK(claims->exp == again.exp && claims->iat == again.iat &&
               claims->nbf == again.nbf);
}

static void verify(const char *token, size_t len)
{
    uint8_t *tight = fuzz_tight((const uint8_t *)token, len);
    struct jwt_claims claims;
    enum jwt_error e = jwt_verify((const char *)tight, len, KEY, KEY_LEN, NOW, &claims);

    FUZZ_CHECK(jwt_error_name(e) != NULL);
    if (e == JWT_OK) {
        check_claims(&claims);
    }
    free(tight);
}

/* base64url(header) "." base64url(claims) "." base64url(HMAC) */
static void sign_and_verify(const uint8_t *header, size_t header_len, const uint8_t *claims,
                            size_t claims_len)
{
    char token[2 * JWT_MAX_LEN];
    uint8_t mac[32];
    unsigned mac_len = sizeof(mac);
    size_t len;

    if (header_len + claims_len > JWT_MAX_LEN) {
        return;
    }
    len = base64url_encode(header, header_len, token);
    token[len++] = '.';
    len += base64url_encode(claims, claims_len, token + len);
    FUZZ_CHECK(HMAC(EVP_sha256(), KEY, (int)KEY_LEN, (const uint8_t *)token, len, mac,
                    &mac_len) != NULL);
    token[len++] = '.';
    len += base64url_encode(mac, sizeof(mac), token + len);
    verify(token, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t good[] = "{\"alg\":\"HS256\",\"typ\":\"JWT\"}";
    const uint8_t *gap = size > 0 ? memchr(data, '\n', size) : NULL;

    verify((const char *)data, size);
    if (gap != NULL) { /* header, line break, claims */
        size_t n = (size_t)(gap - data);

        sign_and_verify(data, n, gap + 1, size - n - 1);
    } else {
        sign_and_verify(good, sizeof(good) - 1, data, size);
    }
    return 0;
}

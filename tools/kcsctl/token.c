#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "kcsctl/kcsctl.h"
#include "kcsctl/show.h"
#include "proto/jwt.h"

enum { TOKEN_SECRET_MAX = 256, TOKEN_TTL_MAX_S = 366 * 86400 };

/* The secret of --secret-file (its first line), else of the environment. Returns EXIT_OK,
 * or EXIT_BAD_CONFIG after saying why. */
static int read_secret(const struct options *options, char secret[TOKEN_SECRET_MAX])
{
    const char *env = getenv("KCS_HS256_SECRET");
    FILE *file;
    char *line;

    if (options->secret_file == NULL) {
        if (env == NULL || strlen(env) >= TOKEN_SECRET_MAX) {
            fprintf(stderr, "kcsctl: no secret: give --secret-file FILE (the node's "
                            "auth.hs256_secret_file) or set KCS_HS256_SECRET\n");
            return EXIT_BAD_CONFIG;
        }
        snprintf(secret, TOKEN_SECRET_MAX, "%s", env);
        return EXIT_OK;
    }
    file = fopen(options->secret_file, "re");
    if (file == NULL) {
        fprintf(
            stderr,
            "kcsctl: %s: %s; name the node's auth.hs256_secret_file with --secret-file\n",
            options->secret_file, strerror(errno));
        return EXIT_BAD_CONFIG;
    }
    setvbuf(file, NULL, _IONBF, 0); /* no copy of the secret stays in a buffer */
    line = fgets(secret, TOKEN_SECRET_MAX, file);
    fclose(file);
    if (line == NULL) {
        fprintf(stderr, "kcsctl: %s is empty: openssl rand -hex 32 > %s\n",
                options->secret_file, options->secret_file);
        return EXIT_BAD_CONFIG;
    }
    secret[strcspn(secret, "\r\n")] = '\0';
    return EXIT_OK;
}

int64_t kcsctl_seconds(const char *text)
{
    static const struct {
        char unit;
        long s;
    } units[] = {{'\0', 1}, {'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    char *end;
    long n = strtol(text, &end, 10);

    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (end != text && *end == units[i].unit && (*end == '\0' || end[1] == '\0') &&
            n >= 1 && n <= TOKEN_TTL_MAX_S / units[i].s) {
            return n * units[i].s;
        }
    }
    return -1;
}

long kcsctl_count(const char *text)
{
    char *end;
    long n = strtol(text, &end, 10); /* beyond what it holds: LONG_MAX */

    return text[0] >= '0' && text[0] <= '9' && *end == '\0' && n >= 1 && n <= COUNT_MAX
               ? n
               : -1;
}

static bool is_role(const char *role)
{
    static const char *const roles[] = {"host", "co_host", "presenter", "attendee",
                                        "guest"};

    for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
        if (strcmp(role, roles[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* Copies 'text' (NULL: "") to a claim. Returns false, and says so, if it is too long. */
static bool set_claim(const char *option, const char *text, char *claim, size_t cap)
{
    int len = snprintf(claim, cap, "%s", text != NULL ? text : "");

    if (len < 0 || (size_t)len >= cap) {
        fprintf(stderr, "kcsctl: --%s is longer than %zu bytes\n", option, cap - 1);
        return false;
    }
    return true;
}

static int random_id(char *out, size_t cap)
{
    uint8_t bytes[12];

    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes)) {
        return -EIO;
    }
    for (size_t i = 0; i < sizeof(bytes) && 2 * i + 2 < cap; i++) {
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
    }
    return 0;
}

static int fill_claims(const struct options *options, struct jwt_claims *claims)
{
    const char *role = options->role != NULL ? options->role : "presenter";
    int64_t ttl = kcsctl_seconds(options->ttl != NULL ? options->ttl : "1h");
    char id[2][32];

    if (options->meeting == NULL || options->meeting[0] == '\0') {
        fprintf(stderr, "kcsctl: a token is for a meeting: give --meeting\n");
        return EXIT_USAGE;
    }
    if (!is_role(role)) {
        fprintf(stderr,
                "kcsctl: no role '%s': host, co_host, presenter, attendee or guest\n",
                role);
        return EXIT_USAGE;
    }
    if (ttl < 0) {
        fprintf(stderr,
                "kcsctl: --ttl is a time like 90s, 15m, 24h or 7d, a year at most\n");
        return EXIT_USAGE;
    }
    if (random_id(id[0], sizeof(id[0])) != 0 || random_id(id[1], sizeof(id[1])) != 0) {
        fprintf(stderr, "kcsctl: no randomness to be had\n");
        return EXIT_FAILED;
    }
    claims->iat = (int64_t)time(NULL);
    claims->exp = claims->iat + ttl;
    if (!set_claim("role", role, claims->role, sizeof(claims->role)) ||
        !set_claim("meeting", options->meeting, claims->meeting_id,
                   sizeof(claims->meeting_id)) ||
        !set_claim("name", options->name, claims->name, sizeof(claims->name)) ||
        !set_claim("tenant", options->tenant, claims->tenant, sizeof(claims->tenant)) ||
        !set_claim("user", options->user != NULL ? options->user : id[0], claims->sub,
                   sizeof(claims->sub)) ||
        !set_claim("jti", id[1], claims->jti, sizeof(claims->jti))) {
        return EXIT_USAGE;
    }
    return EXIT_OK;
}

static int print_token(const struct options *options, const struct jwt_claims *claims,
                       const char *token)
{
    json_t *data;
    int ret;

    if (!options->json) {
        puts(token);
        return EXIT_OK;
    }
    data = json_pack("{s:s, s:s, s:s, s:s, s:I}", "token", token, "meeting_id",
                     claims->meeting_id, "user_id", claims->sub, "role", claims->role,
                     "expires_at", (json_int_t)claims->exp);
    if (data == NULL) {
        fprintf(stderr, "kcsctl: --meeting or --user is not UTF-8\n");
        return EXIT_USAGE;
    }
    ret = kcsctl_show(data, options);
    json_decref(data);
    return ret;
}

int kcsctl_token(const struct command *command, const struct options *options,
                 const char *argument)
{
    struct jwt_claims claims = {0};
    char secret[TOKEN_SECRET_MAX] = "", token[JWT_MAX_LEN + 1];
    enum jwt_error error;
    int ret;
    (void)command;
    (void)argument;

    ret = fill_claims(options, &claims);
    if (ret == EXIT_OK) {
        ret = read_secret(options, secret);
    }
    if (ret != EXIT_OK) {
        return ret;
    }
    error =
        jwt_mint(&claims, (const uint8_t *)secret, strlen(secret), token, sizeof(token));
    explicit_bzero(secret, sizeof(secret));
    switch (error) {
    case JWT_OK:
        return print_token(options, &claims, token);
    case JWT_BAD_KEY:
        fprintf(stderr,
                "kcsctl: the secret is shorter than %d bytes: make one with 'openssl rand "
                "-hex 32' and give the same to the node\n",
                JWT_MIN_KEY);
        return EXIT_BAD_CONFIG;
    case JWT_BAD_CLAIM:
        fprintf(stderr, "kcsctl: --meeting, --name, --user or --tenant is not UTF-8\n");
        return EXIT_USAGE;
    default:
        fprintf(stderr, "kcsctl: cannot mint: %s\n", jwt_error_name(error));
        return EXIT_FAILED;
    }
}

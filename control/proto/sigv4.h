/* AWS Signature Version 4 of requests to an object store ("s3"): as a header, and as a part
 * of the query of a URL that anybody may fetch for a while. libcurl's own
 * (CURLOPT_AWS_SIGV4) makes only the header; so there is one for both.
 *
 * Pure; any thread. */
#ifndef PROTO_SIGV4_H
#define PROTO_SIGV4_H

#include <stddef.h>
#include <stdint.h>

enum {
    SIGV4_TIME = 17, /* "20130524T000000Z" and its NUL */
    SIGV4_HASH = 65, /* SHA-256 in hexadecimal and its NUL */
    SIGV4_HEADER = 512,
    SIGV4_QUERY = 1024
};

struct sigv4_key {
    const char *access, *secret, *region;
};

struct sigv4_request {
    const char *method, *host; /* the host as its header has it, with the port */
    const char *path;          /* percent-encoded, "/bucket/key" */
    const char *query; /* of the request itself: encoded, sorted, each with "="; "": none */
    const char *body;  /* its SHA-256 in hexadecimal; of a URL "UNSIGNED-PAYLOAD" */
    int64_t at_s;      /* now, since 1970 */
};

/* The time as the header x-amz-date has it. */
void sigv4_time(int64_t at_s, char out[SIGV4_TIME]);

/* The value of the header authorization; host, x-amz-content-sha256 (the body) and
 * x-amz-date are to be among the headers. Returns 0, or -ENOSPC: something is too long. */
int sigv4_header(const struct sigv4_key *key, const struct sigv4_request *request,
                 char out[SIGV4_HEADER]);

/* The query of a URL that is good for 'expires_s', with the request's own (which has to
 * sort before "X-Amz-" if there is any). Returns 0, or -ENOSPC. */
int sigv4_query(const struct sigv4_key *key, const struct sigv4_request *request,
                uint32_t expires_s, char out[SIGV4_QUERY]);

#endif

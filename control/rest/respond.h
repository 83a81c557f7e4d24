/* The two shapes of an answer of the REST interface. Each function ends the request. */
#ifndef REST_RESPOND_H
#define REST_RESPOND_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct net_header;
struct net_req;
struct schema_errors;

/* Pages of these origins may read the answers of this interface (CORS; borrowed). One list
 * a process, as there is one node in it. */
void respond_set_origins(const char *const *origins, size_t n);

/* Answers a preflight of such a page for a path that takes 'methods'. False: it is none. */
bool respond_preflight(struct net_req *req, const char *methods);

/* 200 {"success": true, "data": data}. 'data' is moved; NULL (no memory) becomes a 500. */
void respond_data(struct net_req *req, json_t *data);

/* The same with a status of success and headers of the caller's. */
void respond_data_with(struct net_req *req, unsigned status, json_t *data,
                       const struct net_header *headers, size_t n);

/* A whole body; it is moved. */
void respond_json(struct net_req *req, unsigned status, json_t *whole);

/* application/problem+json (RFC 9457) with success, code, message and a fresh request_id,
 * which the log has too.
 *
 * code   constant: "not_found"
 * allow  value of the header Allow for a 405, else NULL */
void respond_problem(struct net_req *req, unsigned status, const char *code,
                     const char *message, const char *allow);

/* The same with headers of the caller's (at most 8, borrowed). */
void respond_problem_with(struct net_req *req, unsigned status, const char *code,
                          const char *message, const struct net_header *headers, size_t n);

/* 400 invalid: 'errors' (one at least) are its errors[], the first its message. */
void respond_invalid(struct net_req *req, const struct schema_errors *errors);

#endif

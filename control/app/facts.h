/* How the node is, gathered from the modules that know, for the health routes. */
#ifndef APP_FACTS_H
#define APP_FACTS_H

struct media;
struct rest_facts;

/* Fills the part of 'out' that the dataplane decides. 'socket' is where it should listen.
 */
void facts_of_media(const struct media *media, const char *socket, struct rest_facts *out);

#endif

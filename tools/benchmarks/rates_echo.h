/* What control/net is measured beside: libwebsockets on its libuv loop and nothing else. It
 * answers each GET with the same 300 bytes and each WebSocket message with itself; one that
 * begins with '*' goes to all. */
#ifndef RATES_ECHO_H
#define RATES_ECHO_H

#include <stdint.h>

/* Serves 127.0.0.1:port until the process is killed. Returns only if it cannot: -1. */
int echo_serve(uint16_t port);

#endif

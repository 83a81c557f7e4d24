/* A node that goes out of service: it begins no more meetings, tells everybody, and stops
 * when nobody is left or when its time is over. Thread: the loop's. */
#ifndef APP_DRAIN_H
#define APP_DRAIN_H

#include <stdbool.h>
#include <stdint.h>

struct drain;
struct loop;
struct meeting;
struct signal;

struct drain_conf {
    struct loop *loop;
    struct meeting *meeting;
    struct signal *signal;
    void (*over)(void *user); /* stop now */
    void *user;
};

/* All of conf is borrowed for the life of the object. 0 or -ENOMEM. */
int drain_create(struct drain **out, const struct drain_conf *conf);
void drain_destroy(struct drain *drain); /* NULL is a no-op */

/* Begins, or gives another deadline to what has begun. 'over' is called later, once. */
void drain_begin(struct drain *drain, uint32_t seconds);

/* Back into service; nothing if it is. */
void drain_cancel(struct drain *drain);

/* Whether it drains; then 'left_s' (may be NULL) is how long at most. */
bool drain_is_on(const struct drain *drain, uint32_t *left_s);

#endif

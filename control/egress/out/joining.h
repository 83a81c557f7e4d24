/* Tells control of the parts of a job that become one file (join.h). */
#ifndef EGRESS_JOINING_H
#define EGRESS_JOINING_H

struct mode_conf;

/* extension  of the parts; conf->part is the last of them. They stay as they were if it
 * fails, which is said on standard error. */
void joining_run(const struct mode_conf *conf, const char *extension);

#endif

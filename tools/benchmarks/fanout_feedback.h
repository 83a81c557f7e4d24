/* What subscribers send back while a fan-out is measured: transport-wide feedback twenty
 * times a second (as libwebrtc of 2.5 Mb/s of video), and once a second with a receiver
 * report, each compound encrypted under the subscriber's own keys, and the publisher's
 * sender reports. The lane's clock goes by the packets of the publisher, 260 a second, and
 * not by how fast the lane works them off: so what comes a second comes per as many packets
 * as in a call. The estimators, the allocation of layers, the pacer and what goes out of
 * RTCP run as in the loop of a lane. */
#ifndef BENCHMARKS_FANOUT_FEEDBACK_H
#define BENCHMARKS_FANOUT_FEEDBACK_H

#include <stddef.h>

struct fanout;
struct fanout_feedback;

enum { FANOUT_FEEDBACK_HZ = 20, FANOUT_FEEDBACK_PACKETS_HZ = 260 };

/* Before the first round. Returns 0 or a negative errno. */
int fanout_feedback_open(struct fanout *fanout);
void fanout_feedback_close(struct fanout *fanout); /* a no-op if it is not open */

/* Makes all that comes during the next 'n_packets' of the publisher: nothing of it is
 * measured. */
void fanout_feedback_prepare(struct fanout *fanout, unsigned n_packets);

/* Sends these packets and what was prepared through the turns of a lane. */
void fanout_feedback_turns(struct fanout *fanout, unsigned n_packets);

/* Returns 0, or -EIO with 'err' filled unless the lane has taken and used each of the
 * reports that were made, and each of them was about packets that it had sent. */
int fanout_feedback_check(const struct fanout *fanout, char *err, size_t err_cap);

#endif

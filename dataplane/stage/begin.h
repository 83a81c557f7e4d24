/* How a subscription begins, or begins again after a pause or a loss.
 *
 * Thread: the lane of the subscription. */
#ifndef KCS_STAGE_BEGIN_H
#define KCS_STAGE_BEGIN_H

#include "lane/lane.h"

/* Starts or resumes at what comes next; video with a key frame, which is asked for. Its
 * numbers go on. Until the peer has keys and a path nothing can be sent: then it is done
 * when it has. Whoever has paused it, or held it, takes that back before. */
void begin_sub(struct lane *lane, struct sub *sub);

#endif

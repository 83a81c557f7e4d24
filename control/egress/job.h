/* The program kcs-egress; see job.c. */
#ifndef EGRESS_JOB_H
#define EGRESS_JOB_H

/* Runs until it is told to stop. Returns the exit status: 0, 1 it could not begin, 2 usage.
 */
int job_main(int argc, char **argv);

#endif

/* kcs-egress; see egress/job.c. */
#include "egress/job.h"

int main(int argc, char **argv)
{
    return job_main(argc, argv);
}

/* What a person sees while a run goes on: one line, on a terminal only. */
#ifndef LOADGEN_PROGRESS_H
#define LOADGEN_PROGRESS_H

struct run;

/* Shows where the run is, at most a few times a second. */
void progress_show(const struct run *run, const char *phase);

/* Takes the line away. */
void progress_end(void);

#endif

#include "loadgen/crew.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static size_t aligned(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

static struct crew *make(uint32_t n, size_t n_senders)
{
    size_t seats = aligned(sizeof(struct crew));
    size_t senders = seats + aligned(n * sizeof(struct crew_seat));
    size_t bytes = senders + n_senders * sizeof(struct sender);
    void *memory =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct crew *crew = memory;

    if (memory == MAP_FAILED) {
        return NULL;
    }
    crew->n = n;
    crew->bytes = bytes;
    crew->seats = (void *)((uint8_t *)memory + seats);
    crew->senders = (void *)((uint8_t *)memory + senders);
    return crew;
}

int crew_begin(struct crew **out, uint32_t n, size_t n_senders, uint32_t *me)
{
    struct crew *crew = make(n, n_senders);
    pid_t first = getpid();

    if (crew == NULL) {
        return -ENOMEM;
    }
    *me = 0;
    (void)fflush(NULL);
    for (uint32_t i = 1; i < n; i++) {
        pid_t pid = fork();

        if (pid == 0) {
            /* whoever stops the first stops all */
            (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (getppid() != first) {
                _exit(1);
            }
            *me = i;
            break;
        }
        if (pid < 0) {
            int err = -errno;

            crew->n = i;
            for (uint32_t k = 1; k < i; k++) {
                (void)kill(crew->seats[k].pid, SIGKILL);
            }
            crew_wait(crew);
            crew_free(crew);
            return err;
        }
        crew->seats[i].pid = pid;
    }
    *out = crew;
    return 0;
}

static void note_end(struct crew *crew, uint32_t i, int status)
{
    struct crew_seat *seat = &crew->seats[i];

    seat->pid = 0;
    atomic_store(&seat->phase, UINT32_MAX);
    if (!WIFEXITED(status)) {
        atomic_store(&crew->stopped, true);
        account_blame(&crew->seats[0].account, "process %u of the load was killed", i);
    } else if (WEXITSTATUS(status) != 0) {
        atomic_store(&crew->stopped, true);
        account_blame(&crew->seats[0].account, "process %u of the load ended with %d", i,
                      WEXITSTATUS(status));
    }
}

/* Those that have ended; with WNOHANG without waiting for them. */
static void reap(struct crew *crew, int how)
{
    for (uint32_t i = 1; i < crew->n; i++) {
        int status;

        if (crew->seats[i].pid != 0 &&
            waitpid(crew->seats[i].pid, &status, how) == crew->seats[i].pid) {
            note_end(crew, i, status);
        }
    }
}

bool crew_all_at(struct crew *crew, uint32_t me, uint32_t phase)
{
    bool all = true;

    if (me == 0) {
        reap(crew, WNOHANG);
    }
    for (uint32_t i = 0; i < crew->n; i++) {
        all = all && atomic_load(&crew->seats[i].phase) >= phase;
    }
    return all;
}

uint32_t crew_up(const struct crew *crew)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < crew->n; i++) {
        n += atomic_load(&crew->seats[i].n_up);
    }
    return n;
}

uint32_t crew_failed(const struct crew *crew)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < crew->n; i++) {
        n += atomic_load(&crew->seats[i].n_failed);
    }
    return n;
}

void crew_wait(struct crew *crew)
{
    reap(crew, 0);
}

void crew_free(struct crew *crew)
{
    if (crew != NULL) {
        (void)munmap(crew, crew->bytes);
    }
}

#include "media/media_cmds.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

enum { NO_CMD = UINT32_MAX };

int media_cmds_init(struct media_cmds *cmds, uint32_t n_closings)
{
    uint32_t tag = cmds->next_tag;

    memset(cmds, 0, sizeof(*cmds));
    cmds->next_tag = tag; /* an answer to a command of another life finds nothing */
    cmds->reserved = n_closings;
    cmds->n = MEDIA_MAX_COMMANDS + n_closings;
    cmds->cmd = calloc(cmds->n, sizeof(*cmds->cmd));
    if (cmds->cmd == NULL) {
        cmds->n = 0;
        return -ENOMEM;
    }
    cmds->first_free = NO_CMD;
    for (uint32_t i = 0; i < ABI_MAX_LANES; i++) {
        cmds->queues[i] = (struct media_queue){.first = NO_CMD, .last = NO_CMD};
    }
    return 0;
}

void media_cmds_fini(struct media_cmds *cmds)
{
    free(cmds->cmd);
    cmds->cmd = NULL;
    cmds->n = 0;
    cmds->n_used = 0;
    cmds->n_fresh = 0;
}

bool media_cmds_room(const struct media_cmds *cmds, bool closing)
{
    return cmds->n_used < cmds->n - (closing ? 0 : cmds->reserved);
}

void media_wake(const struct media_rings *rings)
{
    atomic_thread_fence(memory_order_seq_cst);
    if (abi_take_sleeper(&rings->lane->dp_sleeping)) {
        (void)eventfd_write(rings->doorbell, 1);
    }
}

/* False if the ring is full, or the command has to wait. */
static bool cmd_to_ring(struct media_cmds *cmds, struct media_rings *rings, uint32_t i)
{
    struct media_cmd *cmd = &cmds->cmd[i];
    struct abi_cmd *slot = ring_reserve(&rings->cmd);

    if (slot == NULL || (cmds->held != NULL && cmds->held(cmds->held_arg, cmd))) {
        return false;
    }
    *slot = (struct abi_cmd){.cookie = (uint64_t)cmd->tag << 32 | i,
                             .handle = cmd->handle,
                             .op = cmd->say,
                             .arg = cmd->op_arg};
    cmd->in_ring = true;
    ring_commit(&rings->cmd);
    return true;
}

/* Appends a command to its lane's queue. */
static void enqueue(struct media_cmds *cmds, uint32_t i)
{
    struct media_queue *queue = &cmds->queues[cmds->cmd[i].lane];

    cmds->cmd[i].next = NO_CMD;
    if (queue->first == NO_CMD) {
        queue->first = i;
    } else {
        cmds->cmd[queue->last].next = i;
    }
    queue->last = i;
}

static uint32_t say_again(uint32_t op)
{
    switch (op) {
    case ABI_OP_PEER_OPEN:
        return ABI_OP_PEER_UPDATE;
    case ABI_OP_STREAM_OPEN:
        return ABI_OP_STREAM_UPDATE;
    case ABI_OP_SUB_OPEN:
        return ABI_OP_SUB_UPDATE;
    default:
        return op;
    }
}

static void push(struct media_cmds *cmds, struct media_rings *rings, uint32_t lane,
                 enum abi_op op, uint32_t say, uint64_t handle, uint32_t op_arg,
                 media_done *done, void *arg)
{
    struct media_queue *queue = &cmds->queues[lane];
    uint32_t i = cmds->first_free != NO_CMD ? cmds->first_free : cmds->n_fresh++;
    struct media_cmd *cmd = &cmds->cmd[i];

    if (i == cmds->first_free) {
        cmds->first_free = cmd->next;
    }
    cmds->n_used++;
    *cmd = (struct media_cmd){.handle = handle,
                              .op = op,
                              .say = say,
                              .tag = cmds->next_tag++,
                              .next = NO_CMD,
                              .lane = lane,
                              .op_arg = op_arg,
                              .done = done,
                              .arg = arg};
    if (queue->first == NO_CMD && rings != NULL && cmd_to_ring(cmds, rings, i)) {
        media_wake(rings);
        return;
    }
    enqueue(cmds, i);
}

void media_cmds_push(struct media_cmds *cmds, struct media_rings *rings, uint32_t lane,
                     enum abi_op op, uint64_t handle, uint32_t op_arg, media_done *done,
                     void *arg)
{
    push(cmds, rings, lane, op, op, handle, op_arg, done, arg);
}

void media_cmds_push_again(struct media_cmds *cmds, struct media_rings *rings,
                           uint32_t lane, enum abi_op op, uint64_t handle, media_done *done,
                           void *arg)
{
    push(cmds, rings, lane, op, say_again(op), handle, 0, done, arg);
}

/* Tags are given in ascending order; they wrap. */
static int by_tag(const void *a, const void *b, void *arg)
{
    const struct media_cmds *cmds = arg;
    uint32_t x = cmds->cmd[*(const uint32_t *)a].tag;
    uint32_t y = cmds->cmd[*(const uint32_t *)b].tag;

    return x == y ? 0 : (int32_t)(x - y) < 0 ? -1 : 1;
}

int media_cmds_rewind(struct media_cmds *cmds,
                      uint32_t (*lane)(void *arg, const struct media_cmd *cmd), void *arg)
{
    uint32_t *order = malloc((cmds->n_used > 0 ? cmds->n_used : 1) * sizeof(*order));
    uint32_t n = 0;

    if (order == NULL) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < cmds->n_fresh; i++) {
        if (cmds->cmd[i].op != 0) {
            order[n++] = i;
        }
    }
    qsort_r(order, n, sizeof(*order), by_tag, cmds);
    for (uint32_t i = 0; i < ABI_MAX_LANES; i++) {
        cmds->queues[i] = (struct media_queue){.first = NO_CMD, .last = NO_CMD};
    }
    for (uint32_t i = 0; i < n; i++) {
        struct media_cmd *cmd = &cmds->cmd[order[i]];

        cmd->in_ring = false;
        cmd->say = say_again(cmd->op);
        if (cmd->op == ABI_OP_PEER_CAPTURE) {
            cmd->op_arg = ABI_CAPTURE_OFF; /* it ended with the one who was asked */
        }
        cmd->lane = lane(arg, cmd);
        enqueue(cmds, order[i]);
    }
    free(order);
    return 0;
}

void media_cmds_flush(struct media_cmds *cmds, struct media_rings *rings, uint32_t lane)
{
    struct media_queue *queue = &cmds->queues[lane];
    bool any = false;

    while (queue->first != NO_CMD && cmd_to_ring(cmds, rings, queue->first)) {
        queue->first = cmds->cmd[queue->first].next;
        any = true;
    }
    if (any) {
        media_wake(rings);
    }
}

static void cmd_free(struct media_cmds *cmds, uint32_t i, struct media_cmd *out)
{
    *out = cmds->cmd[i];
    cmds->cmd[i].op = 0;
    cmds->cmd[i].next = cmds->first_free;
    cmds->first_free = i;
    cmds->n_used--;
}

bool media_cmds_take(struct media_cmds *cmds, uint32_t lane, uint64_t cookie,
                     struct media_cmd *out)
{
    uint32_t i = (uint32_t)cookie;

    if (i >= cmds->n_fresh || cmds->cmd[i].op == 0 || !cmds->cmd[i].in_ring ||
        cmds->cmd[i].tag != (uint32_t)(cookie >> 32) || cmds->cmd[i].lane != lane) {
        return false;
    }
    cmd_free(cmds, i, out);
    return true;
}

bool media_cmds_take_next(struct media_cmds *cmds, uint32_t *cursor, struct media_cmd *out)
{
    while (*cursor < cmds->n_fresh) {
        uint32_t i = (*cursor)++;

        if (cmds->cmd[i].op != 0) {
            cmd_free(cmds, i, out);
            return true;
        }
    }
    return false;
}

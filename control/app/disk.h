/* How much room there is where something lies. It is asked every few seconds by a thread of
 * its own: a disk of the network may never answer, and nobody else waits for it.
 *
 * Thread: any, one at a time. */
#ifndef APP_DISK_H
#define APP_DISK_H

#include <stdbool.h>
#include <stdint.h>

struct disk;

struct disk_facts {
    uint64_t free_bytes; /* for us, not for root */
    uint64_t size_bytes;
    /* of the file that was named, and of its "-wal"; or of all files in the directory */
    uint64_t file_bytes;
};

/* path  a directory or a file that is there; copied
 *
 * 0, -ENOMEM, or -EAGAIN without a thread. */
int disk_create(struct disk **out, const char *path);

/* Fills 'out' with what was last heard, or returns false: nothing yet, the path is not
 * there, or nothing for a minute. Does not wait for the disk. */
bool disk_look(struct disk *disk, struct disk_facts *out);

/* Waits at most a second for a disk that does not answer: then its thread is left behind,
 * and frees when it does. NULL is a no-op. */
void disk_destroy(struct disk *disk);

#endif

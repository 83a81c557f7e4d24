/* Where files of the node are to lie. */
#ifndef SYS_PLACE_H
#define SYS_PLACE_H

#include <sys/types.h>

/* Makes the directory that is to hold the file 'path', if only its last name is missing.
 * What else is wrong with it, whoever opens the file is told. */
void place_make(const char *path, mode_t mode);

#endif

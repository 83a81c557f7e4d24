/* Recordings of meetings: what there is, and their files. */
#ifndef REST_RECORDINGS_H
#define REST_RECORDINGS_H

struct rest_call;

void recordings_list(const struct rest_call *call);
void recordings_download(const struct rest_call *call);

#endif

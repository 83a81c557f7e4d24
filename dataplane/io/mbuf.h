/* From struct pkt to DPDK's mbuf and back, for the folders that may see both. */
#ifndef KCS_IO_MBUF_H
#define KCS_IO_MBUF_H

#include <rte_mbuf.h>

#include "pkt/pkt.h"

static inline struct pkt *mbuf_to_pkt(struct rte_mbuf *mbuf)
{
    return (struct pkt *)rte_mbuf_to_priv(mbuf);
}

/* The private area lies right behind the mbuf's own struct. */
static inline struct rte_mbuf *pkt_to_mbuf(struct pkt *pkt)
{
    return (struct rte_mbuf *)(void *)((char *)pkt - sizeof(struct rte_mbuf));
}

#endif

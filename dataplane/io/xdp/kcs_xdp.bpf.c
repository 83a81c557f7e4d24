/* Which frames of an interface go to the dataplane's AF_XDP socket. All others go on to the
 * kernel as if no program were there: ARP, ssh, signaling, other people's UDP.
 *
 * Loaded and attached by DPDK's AF_XDP driver, which fills xsks_map; the other two maps are
 * filled by port_xdp.c at run time, so one object serves every port and address.
 *
 * On a private veth pair the dataplane owns the address and takes every frame (media_all).
 * On a shared interface it takes UDP to its own (address, port) and nothing else: a host
 * that also forwards packets must not lose those that merely use the same port. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/* Mirrored by struct xdp_socket_key in port_xdp.c. */
struct socket_key {
    __u8 ip[16]; /* IPv4 is mapped */
    __be16 port;
    __u16 _pad;
};

struct {
    __uint(type, BPF_MAP_TYPE_XSKMAP);
    __uint(max_entries, 64);
    __type(key, __u32);
    __type(value, __u32);
} xsks_map SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 64);
    __type(key, struct socket_key);
    __type(value, __u8);
} media_sockets SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u32);
} media_all SEC(".maps");

static __always_inline int udp_socket_key(struct xdp_md *ctx, struct socket_key *key)
{
    void *data = (void *)(long)ctx->data;
    void *end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = data;
    struct udphdr *udp;

    if ((void *)(eth + 1) > end) {
        return 0;
    }
    if (eth->h_proto == bpf_htons(ETH_P_IP)) {
        struct iphdr *ip = (void *)(eth + 1);

        if ((void *)(ip + 1) > end || ip->protocol != IPPROTO_UDP || ip->ihl != 5 ||
            (ip->frag_off & bpf_htons(0x3fff)) != 0) {
            return 0;
        }
        key->ip[10] = 0xff;
        key->ip[11] = 0xff;
        __builtin_memcpy(key->ip + 12, &ip->daddr, 4);
        udp = (void *)(ip + 1);
    } else if (eth->h_proto == bpf_htons(ETH_P_IPV6)) {
        struct ipv6hdr *ip = (void *)(eth + 1);

        if ((void *)(ip + 1) > end || ip->nexthdr != IPPROTO_UDP) {
            return 0;
        }
        __builtin_memcpy(key->ip, &ip->daddr, 16);
        udp = (void *)(ip + 1);
    } else {
        return 0;
    }
    if ((void *)(udp + 1) > end) {
        return 0;
    }
    key->port = udp->dest;
    return 1;
}

SEC("xdp")
int kcs_xdp(struct xdp_md *ctx)
{
    struct socket_key key = {};
    __u32 zero = 0;
    __u32 *all = bpf_map_lookup_elem(&media_all, &zero);

    if (!all || *all == 0) {
        if (!udp_socket_key(ctx, &key) || !bpf_map_lookup_elem(&media_sockets, &key)) {
            return XDP_PASS;
        }
    }
    return bpf_redirect_map(&xsks_map, ctx->rx_queue_index, XDP_PASS);
}

char _license[] SEC("license") = "GPL";

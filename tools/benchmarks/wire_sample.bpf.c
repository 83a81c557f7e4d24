/* The receivers' end of a link in `tools/bench wire --peer --receivers xdp|ingress`: of media
 * only each SAMPLED-th number goes on to the kernel, as the filter on a receiver's socket has
 * it (peers/socket.go); all else that is no media, too. What is dropped here has been sent and
 * has arrived, so it is counted: delivered is this counter, not an estimate from the sample.
 *
 * Once before there is a socket buffer of the receiver's (xdp), once behind it, where a message
 * of several packets is still one (ingress). */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

enum { SAMPLED = 61, UDP_AT = 34, RTP_AT = 42, HEADER_LEN = 46 };

/* Of media, on each CPU: those of at least min_len bytes of UDP payload; probes and padding,
 * which are shorter, are not what was sent. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u64);
} arrived SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u32);
} min_len SEC(".maps");

/* True if it is to go on. 'n' consecutive numbers begin with this one's. */
static __always_inline int take(const __u8 *h, __u32 len, __u32 n)
{
    __u32 zero = 0, first;
    __u32 *least = bpf_map_lookup_elem(&min_len, &zero);
    __u64 *count = bpf_map_lookup_elem(&arrived, &zero);

    if (h[12] != 8 || h[13] != 0 || h[14] != 0x45 || h[23] != IPPROTO_UDP ||
        (h[RTP_AT] & 0xc0) != 0x80 || (h[RTP_AT + 1] & 0xe0) == 0xc0) {
        return 1;
    }
    if (count && least && len >= RTP_AT + *least) {
        *count += n;
    }
    first = ((__u32)h[RTP_AT + 2] << 8 | h[RTP_AT + 3]) % SAMPLED;
    return first == 0 || first + n > SAMPLED;
}

SEC("xdp")
int sample_xdp(struct xdp_md *ctx)
{
    __u8 h[HEADER_LEN];

    if (bpf_xdp_load_bytes(ctx, 0, h, sizeof(h)) != 0) {
        return XDP_PASS;
    }
    return take(h, bpf_xdp_get_buff_len(ctx), 1) ? XDP_PASS : XDP_DROP;
}

SEC("tc")
int sample_ingress(struct __sk_buff *skb)
{
    __u8 h[HEADER_LEN];

    if (bpf_skb_load_bytes(skb, 0, h, sizeof(h)) != 0) {
        return TC_ACT_OK;
    }
    return take(h, skb->len, skb->gso_segs > 1 ? skb->gso_segs : 1) ? TC_ACT_OK : TC_ACT_SHOT;
}

char _license[] SEC("license") = "GPL";

/* See rtnl.h. Messages are built and read in host order, as rtnetlink has it. */
#include "io/rtnl.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { RTNL_REQUEST_MAX = 1024, RTNL_ANSWER_MAX = 16384 };

struct rtnl_request {
    union {
        struct nlmsghdr head;
        char bytes[RTNL_REQUEST_MAX];
    };
};

static void *request_init(struct rtnl_request *req, uint16_t type, uint16_t flags,
                          size_t body_len)
{
    memset(req, 0, sizeof(*req));
    req->head.nlmsg_type = type;
    req->head.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
    req->head.nlmsg_len = (uint32_t)NLMSG_LENGTH(body_len);
    return NLMSG_DATA(&req->head);
}

/* All requests here are a fraction of RTNL_REQUEST_MAX: names and addresses. */
static struct rtattr *attr_add(struct rtnl_request *req, uint16_t type, const void *data,
                               size_t len)
{
    size_t at = NLMSG_ALIGN(req->head.nlmsg_len);
    struct rtattr *attr = (struct rtattr *)(void *)(req->bytes + at);

    attr->rta_type = type;
    attr->rta_len = (uint16_t)RTA_LENGTH(len);
    if (len > 0) {
        memcpy(RTA_DATA(attr), data, len);
    }
    req->head.nlmsg_len = (uint32_t)(at + RTA_ALIGN(attr->rta_len));
    return attr;
}

static struct rtattr *nest_begin(struct rtnl_request *req, uint16_t type)
{
    return attr_add(req, type, NULL, 0);
}

static void nest_end(struct rtnl_request *req, struct rtattr *nest)
{
    char *end = req->bytes + req->head.nlmsg_len;

    nest->rta_len = (uint16_t)(end - (char *)nest);
}

/* Sends 'req' and receives one answer to 'answer' (RTNL_ANSWER_MAX bytes). Returns 0 with a
 * message that is no error, or the error it carries. */
static int exchange(struct rtnl_request *req, void *answer)
{
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    struct nlmsghdr *head = answer;
    ssize_t len;
    int code = 0;
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

    if (fd < 0) {
        return -errno;
    }
    if (sendto(fd, req, req->head.nlmsg_len, 0, (struct sockaddr *)&kernel,
               sizeof(kernel)) < 0 ||
        (len = recv(fd, answer, RTNL_ANSWER_MAX, 0)) < 0) {
        code = -errno;
    } else if (!NLMSG_OK(head, (size_t)len)) {
        code = -EBADMSG;
    } else if (head->nlmsg_type == NLMSG_ERROR) {
        struct nlmsgerr error;

        memcpy(&error, NLMSG_DATA(head), sizeof(error));
        code = error.error;
    }
    close(fd);
    return code;
}

/* A request that is answered by an acknowledgement. */
static int command(struct rtnl_request *req)
{
    char answer[RTNL_ANSWER_MAX] __attribute__((aligned(NLMSG_ALIGNTO))) = {0};

    req->head.nlmsg_flags |= NLM_F_ACK;
    return exchange(req, answer);
}

/* The first or next attribute of 'len' bytes at 'first'; NULL at the end. */
static const struct rtattr *attr_next(const void *first, size_t len,
                                      const struct rtattr *last)
{
    size_t at = last == NULL ? 0
                             : (size_t)((const char *)last - (const char *)first) +
                                   RTA_ALIGN(last->rta_len);
    const struct rtattr *attr = (const void *)((const char *)first + at);

    return at + sizeof(*attr) <= len && attr->rta_len >= sizeof(*attr) &&
                   at + attr->rta_len <= len
               ? attr
               : NULL;
}

static void read_xdp(const struct rtattr *nest, struct rtnl_link *out)
{
    const struct rtattr *a = NULL;

    while ((a = attr_next(RTA_DATA(nest), RTA_PAYLOAD(nest), a)) != NULL) {
        if (a->rta_type == IFLA_XDP_PROG_ID) {
            memcpy(&out->xdp_prog_id, RTA_DATA(a), sizeof(uint32_t));
        }
    }
}

static void read_kind(const struct rtattr *nest, struct rtnl_link *out)
{
    const struct rtattr *a = NULL;

    while ((a = attr_next(RTA_DATA(nest), RTA_PAYLOAD(nest), a)) != NULL) {
        if (a->rta_type == IFLA_INFO_KIND) {
            size_t len = RTA_PAYLOAD(a);

            len = len < sizeof(out->kind) ? len : sizeof(out->kind) - 1;
            memcpy(out->kind, RTA_DATA(a), len);
        }
    }
}

int rtnl_link_get(const char *name, struct rtnl_link *out)
{
    char answer[RTNL_ANSWER_MAX] __attribute__((aligned(NLMSG_ALIGNTO))) = {0};
    struct nlmsghdr *head = (struct nlmsghdr *)(void *)answer;
    struct rtnl_request req;
    const struct ifinfomsg *info;
    const struct rtattr *a = NULL;
    int code;

    memset(out, 0, sizeof(*out));
    (void)request_init(&req, RTM_GETLINK, 0, sizeof(*info));
    attr_add(&req, IFLA_IFNAME, name, strlen(name) + 1);
    code = exchange(&req, answer);
    if (code != 0) {
        return code;
    }
    info = NLMSG_DATA(head);
    out->index = info->ifi_index;
    out->up = (info->ifi_flags & IFF_UP) != 0;
    while ((a = attr_next(IFLA_RTA(info), IFLA_PAYLOAD(head), a)) != NULL) {
        if (a->rta_type == IFLA_ADDRESS && RTA_PAYLOAD(a) == 6) {
            memcpy(out->mac, RTA_DATA(a), 6);
        } else if ((a->rta_type & NLA_TYPE_MASK) == IFLA_LINKINFO) {
            read_kind(a, out);
        } else if ((a->rta_type & NLA_TYPE_MASK) == IFLA_XDP) {
            read_xdp(a, out);
        }
    }
    return 0;
}

static void add_queues(struct rtnl_request *req)
{
    uint32_t one = 1;

    attr_add(req, IFLA_NUM_TX_QUEUES, &one, sizeof(one));
    attr_add(req, IFLA_NUM_RX_QUEUES, &one, sizeof(one));
}

/* No link-local address, so the kernel says nothing on that end by itself. */
static void add_no_autoconf(struct rtnl_request *req)
{
    uint8_t mode = IN6_ADDR_GEN_MODE_NONE;
    struct rtattr *spec = nest_begin(req, IFLA_AF_SPEC);
    struct rtattr *inet6 = nest_begin(req, AF_INET6);

    attr_add(req, IFLA_INET6_ADDR_GEN_MODE, &mode, sizeof(mode));
    nest_end(req, inet6);
    nest_end(req, spec);
}

static int no_autoconf(const char *name)
{
    struct rtnl_request req;
    struct ifinfomsg *info = request_init(&req, RTM_SETLINK, 0, sizeof(*info));
    struct rtnl_link link;
    int code = rtnl_link_get(name, &link);

    info->ifi_index = link.index;
    add_no_autoconf(&req);
    return code != 0 ? code : command(&req);
}

int rtnl_veth_create(const char *name, const uint8_t mac[6], const char *peer,
                     const uint8_t peer_mac[6])
{
    struct rtnl_request req;
    struct ifinfomsg info = {0};
    struct rtattr *link_info, *data, *far;
    int code;

    request_init(&req, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof(info));
    attr_add(&req, IFLA_IFNAME, name, strlen(name) + 1);
    attr_add(&req, IFLA_ADDRESS, mac, 6);
    add_queues(&req);
    link_info = nest_begin(&req, IFLA_LINKINFO);
    attr_add(&req, IFLA_INFO_KIND, "veth", 4);
    data = nest_begin(&req, IFLA_INFO_DATA);
    far = attr_add(&req, VETH_INFO_PEER, &info, sizeof(info));
    attr_add(&req, IFLA_IFNAME, peer, strlen(peer) + 1);
    attr_add(&req, IFLA_ADDRESS, peer_mac, 6);
    add_queues(&req);
    nest_end(&req, far);
    nest_end(&req, data);
    nest_end(&req, link_info);
    code = command(&req);
    if (code == 0) {
        (void)no_autoconf(peer); /* a kernel without IPv6 refuses, and has nothing to say */
    }
    return code;
}

int rtnl_link_up(int index)
{
    struct rtnl_request req;
    struct ifinfomsg *info = request_init(&req, RTM_NEWLINK, 0, sizeof(*info));

    info->ifi_index = index;
    info->ifi_flags = IFF_UP;
    info->ifi_change = IFF_UP;
    return command(&req);
}

int rtnl_link_delete(int index)
{
    struct rtnl_request req;
    struct ifinfomsg *info = request_init(&req, RTM_DELLINK, 0, sizeof(*info));

    info->ifi_index = index;
    return command(&req);
}

int rtnl_addr_add(int index, int family, const uint8_t *ip, uint8_t prefix_len)
{
    struct rtnl_request req;
    struct ifaddrmsg *addr =
        request_init(&req, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, sizeof(*addr));
    size_t len = family == 4 ? 4 : 16;

    addr->ifa_family = family == 4 ? AF_INET : AF_INET6;
    addr->ifa_prefixlen = prefix_len;
    addr->ifa_flags = family == 4 ? 0 : IFA_F_NODAD;
    addr->ifa_index = (uint32_t)index;
    attr_add(&req, IFA_LOCAL, ip, len);
    attr_add(&req, IFA_ADDRESS, ip, len);
    return command(&req);
}

int rtnl_route_default(int index, int family, const uint8_t *gateway)
{
    struct rtnl_request req;
    struct rtmsg *route =
        request_init(&req, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, sizeof(*route));
    uint32_t oif = (uint32_t)index;

    route->rtm_family = family == 4 ? AF_INET : AF_INET6;
    route->rtm_table = RT_TABLE_MAIN;
    route->rtm_protocol = RTPROT_STATIC;
    route->rtm_scope = RT_SCOPE_UNIVERSE;
    route->rtm_type = RTN_UNICAST;
    attr_add(&req, RTA_GATEWAY, gateway, family == 4 ? 4 : 16);
    attr_add(&req, RTA_OIF, &oif, sizeof(oif));
    return command(&req);
}

int rtnl_route_prefix_len(int family, const uint8_t *ip)
{
    char answer[RTNL_ANSWER_MAX] __attribute__((aligned(NLMSG_ALIGNTO))) = {0};
    struct nlmsghdr *head = (struct nlmsghdr *)(void *)answer;
    struct rtnl_request req;
    struct rtmsg *route = request_init(&req, RTM_GETROUTE, 0, sizeof(*route));
    size_t len = family == 4 ? 4 : 16;
    int code;

    route->rtm_family = family == 4 ? AF_INET : AF_INET6;
    route->rtm_dst_len = (uint8_t)(len * 8);
    route->rtm_flags = RTM_F_LOOKUP_TABLE | RTM_F_FIB_MATCH;
    attr_add(&req, RTA_DST, ip, len);
    code = exchange(&req, answer);
    if (code != 0) {
        return code;
    }
    route = NLMSG_DATA(head);
    return route->rtm_dst_len;
}

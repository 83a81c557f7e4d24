/* The dataplane's attach socket: any first words. Only a true hello is accepted, everything
 * else is answered with one welcome that says why not. The vault that may come along is
 * taken only if it is one: sealed, of our size, with our header. */
#include "fuzz.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "worker/attach.h"

static char folder[] = "/tmp/kcs_hello_XXXXXX";
static char path[64];

static void clean_up(void)
{
    (void)unlink(path);
    (void)rmdir(folder);
}

static struct attach *listener(void)
{
    static struct attach attach = {.listen_fd = -1};
    char err[256] = "";

    if (attach.listen_fd < 0) {
        FUZZ_CHECK(mkdtemp(folder) != NULL && atexit(clean_up) == 0);
        (void)snprintf(path, sizeof(path), "%s/dp.sock", folder);
        FUZZ_CHECK(attach_listen(&attach, path, err, sizeof(err)) == 0);
    }
    return &attach;
}

/* Input: a byte of how, then the message: raw, or a true hello with changed bytes. */
static size_t message(struct rbytes *in, uint8_t how, uint8_t out[2048])
{
    struct abi_hello hello = {.magic = ABI_MAGIC,
                              .version = ABI_VERSION,
                              .pid = (uint32_t)getpid(),
                              .sizes = abi_sizes_here()};
    size_t len;
    const uint8_t *bytes;

    if ((how & 1) == 0) {
        bytes = fuzz_block(in, 2048, &len);
        memcpy(out, bytes, len);
        return len;
    }
    memcpy(out, &hello, sizeof(hello));
    while (fuzz_more(in)) {
        size_t at = rbytes_u8(in) % sizeof(hello);

        bytes = fuzz_block(in, sizeof(hello) - at, &len);
        memcpy(out + at, bytes, len);
    }
    return sizeof(hello);
}

static bool is_true(const uint8_t *data, size_t len)
{
    const struct abi_sizes sizes = abi_sizes_here();
    struct abi_hello hello;

    if (len != sizeof(hello)) {
        return false;
    }
    memcpy(&hello, data, sizeof(hello));
    return hello.magic == ABI_MAGIC && hello.version == ABI_VERSION &&
           memcmp(&hello.sizes, &sizes, sizeof(sizes)) == 0;
}

/* ---- the vault that comes along ---- */

enum { OBJECTS = 4 }; /* of each kind */

static struct shared shared;

/* A memfd that is a vault but for some bytes of its header, its length or its seals. */
static int make_vault(struct rbytes *in, uint8_t how, bool *good)
{
    const int seals[] = {F_SEAL_SHRINK | F_SEAL_GROW, F_SEAL_SHRINK, F_SEAL_GROW, 0};
    const size_t bytes = vault_layout(OBJECTS, OBJECTS, OBJECTS).bytes;
    size_t len = (how & 8) != 0 ? rbytes_be16(in) : bytes;
    struct vault_header header = *shared.vault.header;
    int fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    uint8_t sealed = (how & 16) != 0 ? rbytes_u8(in) % 4 : 0;
    size_t at = 0;
    size_t n = 0;

    FUZZ_CHECK(fd >= 0 && ftruncate(fd, (off_t)len) == 0);
    if ((how & 32) != 0) {
        const uint8_t *patch;

        at = rbytes_u8(in) % sizeof(header);
        patch = fuzz_block(in, sizeof(header) - at, &n);
        memcpy((uint8_t *)&header + at, patch, n);
    }
    header._pad = 0; /* nobody looks at it */
    FUZZ_CHECK(pwrite(fd, &header, len < sizeof(header) ? len : sizeof(header), 0) >= 0);
    FUZZ_CHECK(fcntl(fd, F_ADD_SEALS, seals[sealed]) == 0);
    *good = len == bytes && sealed == 0 &&
            memcmp(&header, shared.vault.header,
                   offsetof(struct vault_header, created_us)) == 0;
    return fd;
}

/* Takes what came with a hello that was accepted. */
static void take_vault(int vault_fd, bool good)
{
    const struct vault_header *before = shared.vault.header;
    int e = shared_take_vault(&shared, vault_fd);

    FUZZ_CHECK((e == 0) == good && (e == 0 || e == -EPROTO));
    FUZZ_CHECK((e == 0) == (shared.vault_fd == vault_fd));
    FUZZ_CHECK(e == 0 || shared.vault.header == before);
}

static void send_all(int fd, const uint8_t *data, size_t len, int vault_fd)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {.bytes = {0}};
    struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = len};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

    if (vault_fd >= 0) {
        struct cmsghdr *c;

        msg.msg_control = &control;
        msg.msg_controllen = sizeof(control);
        c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &vault_fd, sizeof(int));
    }
    FUZZ_CHECK(sendmsg(fd, &msg, MSG_NOSIGNAL) == (ssize_t)len);
}

static int free_fd(void)
{
    int fd = dup(STDERR_FILENO);

    FUZZ_CHECK(fd >= 0 && close(fd) == 0);
    return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    struct rbytes in = fuzz_in(data, size);
    uint8_t how = rbytes_u8(&in);
    struct attach *listening = listener();
    struct abi_welcome welcome;
    uint8_t out[2048];
    bool attached = (how & 2) != 0;
    bool good = false;
    int sent = -1;
    int vault_fd;
    int accepted;
    size_t len;
    int lowest;
    int fd;

    if (shared.shm == NULL) {
        FUZZ_CHECK(shared_init(&shared, 1, OBJECTS, OBJECTS, OBJECTS, 0) == 0);
    }
    lowest = free_fd();
    if ((how & 4) != 0) {
        sent = make_vault(&in, how, &good);
    }
    len = message(&in, how, out);
    (void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    FUZZ_CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0);
    send_all(fd, out, len, sent);
    (void)shutdown(fd, SHUT_WR); /* an empty message is then the end, not waiting */
    accepted = attach_accept(listening, attached, 0, &vault_fd);
    FUZZ_CHECK((accepted >= 0) == (is_true(out, len) && !attached));
    if (accepted >= 0) {
        FUZZ_CHECK((vault_fd >= 0) == (sent >= 0));
        (void)close(accepted);
    } else {
        FUZZ_CHECK(vault_fd == -1);
        FUZZ_CHECK(recv(fd, &welcome, sizeof(welcome), 0) == (ssize_t)sizeof(welcome));
        FUZZ_CHECK(welcome.magic == ABI_MAGIC && welcome.status == accepted &&
                   strnlen(welcome.reason, sizeof(welcome.reason)) <
                       sizeof(welcome.reason));
    }
    (void)close(fd);
    if (sent >= 0) {
        (void)close(sent);
    }
    if (vault_fd >= 0) {
        take_vault(vault_fd, good);
    }
    /* a vault that was taken has the place of the one before */
    FUZZ_CHECK(free_fd() == lowest || good);
    return 0;
}

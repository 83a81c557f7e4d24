/* The dataplane's attach socket: any first words. Only a true hello is accepted, everything
 * else is answered with one welcome that says why not. */
#include "fuzz.h"

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

static int listener(void)
{
    static int fd = -1;
    char err[256] = "";

    if (fd < 0) {
        FUZZ_CHECK(mkdtemp(folder) != NULL && atexit(clean_up) == 0);
        (void)snprintf(path, sizeof(path), "%s/dp.sock", folder);
        fd = attach_listen(path, err, sizeof(err));
        FUZZ_CHECK(fd >= 0);
    }
    return fd;
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    struct rbytes in = fuzz_in(data, size);
    uint8_t how = rbytes_u8(&in);
    int listening = listener();
    struct abi_welcome welcome;
    uint8_t out[2048];
    size_t len = message(&in, how, out);
    bool attached = (how & 2) != 0;
    int vault_fd;
    int accepted;
    int fd;

    (void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    FUZZ_CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0);
    FUZZ_CHECK(send(fd, out, len, MSG_NOSIGNAL) == (ssize_t)len);
    (void)shutdown(fd,
                   SHUT_WR); /* an empty message then reads as the end, not as waiting */
    accepted = attach_accept(listening, attached, &vault_fd);
    FUZZ_CHECK(vault_fd == -1); /* none was sent */
    FUZZ_CHECK((accepted >= 0) == (is_true(out, len) && !attached));
    if (accepted >= 0) {
        (void)close(accepted);
    } else {
        FUZZ_CHECK(recv(fd, &welcome, sizeof(welcome), 0) == (ssize_t)sizeof(welcome));
        FUZZ_CHECK(welcome.magic == ABI_MAGIC && welcome.status == accepted &&
                   strnlen(welcome.reason, sizeof(welcome.reason)) <
                       sizeof(welcome.reason));
    }
    (void)close(fd);
    return 0;
}

/* Puts wire_sample.bpf.c on an interface of the network namespace that it is run in, and for
 * each line of its standard input writes how much media has arrived there until now. With its
 * standard input the program ends, and what it attached, too. */
#include <errno.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>

enum { EXIT_USAGE = 2, MAX_CPUS = 1024 };

static int attach(struct bpf_object *object, const char *where, int ifindex)
{
    struct bpf_tc_hook hook;
    struct bpf_tc_opts opts;
    struct bpf_link_create_opts native;
    const bool xdp = strcmp(where, "xdp") == 0;
    struct bpf_program *prog =
        bpf_object__find_program_by_name(object, xdp ? "sample_xdp" : "sample_ingress");
    int fd = prog != NULL ? bpf_program__fd(prog) : -ENOENT;

    memset(&hook, 0, sizeof(hook)); /* with what is between its members: libbpf looks */
    memset(&opts, 0, sizeof(opts));
    memset(&native, 0, sizeof(native));
    hook.sz = sizeof(hook);
    hook.ifindex = ifindex;
    hook.attach_point = BPF_TC_INGRESS;
    opts.sz = sizeof(opts);
    native.sz = sizeof(native);
    native.flags = XDP_FLAGS_DRV_MODE; /* the kernel's substitute sees skbs of its stack */
    if (fd < 0) {
        return fd;
    }
    if (xdp) { /* taken off by the end of this process */
        fd = bpf_link_create(fd, ifindex, BPF_XDP, &native);
        return fd < 0 ? fd : 0;
    }
    opts.prog_fd = fd; /* taken off with the interface */
    fd = bpf_tc_hook_create(&hook);
    return fd == 0 || fd == -EEXIST ? bpf_tc_attach(&hook, &opts) : fd;
}

static int tell(int map, int n_cpus)
{
    uint64_t values[MAX_CPUS] = {0}, sum = 0;
    const uint32_t zero = 0;
    int e = bpf_map_lookup_elem(map, &zero, values);

    for (int i = 0; i < n_cpus; i++) {
        sum += values[i];
    }
    (void)printf("{\"arrived\": %llu}\n", (unsigned long long)sum);
    (void)fflush(stdout);
    return e;
}

int main(int argc, char **argv)
{
    const int n_cpus = libbpf_num_possible_cpus();
    const uint32_t zero = 0;
    uint32_t least;
    struct bpf_object *object;
    char line[16];
    int e;

    if (argc != 5 || (strcmp(argv[1], "xdp") != 0 && strcmp(argv[1], "ingress") != 0)) {
        (void)fprintf(stderr, "usage: bench-sample xdp|ingress INTERFACE OBJECT LEN\n");
        return EXIT_USAGE;
    }
    least = (uint32_t)atoi(argv[4]);
    object = bpf_object__open_file(argv[3], NULL);
    e = object == NULL ? -errno : n_cpus > MAX_CPUS ? -E2BIG : bpf_object__load(object);
    e = e == 0 ? bpf_map_update_elem(bpf_object__find_map_fd_by_name(object, "min_len"),
                                     &zero, &least, BPF_ANY)
               : e;
    e = e == 0 ? attach(object, argv[1], (int)if_nametoindex(argv[2])) : e;
    while (e == 0) {
        e = tell(bpf_object__find_map_fd_by_name(object, "arrived"), n_cpus);
        if (fgets(line, sizeof(line), stdin) == NULL) {
            break;
        }
    }
    if (e != 0) {
        (void)fprintf(stderr, "a sample of what arrives on %s: %s\n", argv[2],
                      strerror(abs(e)));
    }
    bpf_object__close(object);
    return e == 0 ? 0 : 1;
}

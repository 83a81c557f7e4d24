/* The sample of the dataplane's configuration equals the defaults, and what the schema
 * alone does not see is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dataplane_conf.h"

static int load_text(const char *text, struct dataplane_conf *conf, char *err, size_t cap)
{
    char path[] = "/tmp/kcs-dataplane-conf-XXXXXX";
    int fd = mkstemp(path);
    int ret;

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    ret = dataplane_conf_load(path, conf, err, cap);
    unlink(path);
    return ret;
}

static void expect_error(const char *text, const char *part)
{
    struct dataplane_conf conf;
    char err[512] = "";

    assert_int_equal(load_text(text, &conf, err, sizeof(err)), -EINVAL);
    if (strstr(err, part) == NULL) {
        fail_msg("'%s' does not say '%s'", err, part);
    }
}

static void sample_equals_the_defaults(void **state)
{
    struct dataplane_conf sample, defaults;
    char err[512] = "";
    (void)state;

    assert_int_equal(dataplane_conf_load(NULL, &defaults, err, sizeof(err)), 0);
    if (dataplane_conf_load(KCS_TEST_VECTORS "/../../conf/dataplane.yaml", &sample, err,
                            sizeof(err)) != 0) {
        fail_msg("%s", err);
    }
    assert_memory_equal(&sample, &defaults, sizeof(sample));
}

static void every_device_kind_is_taken(void **state)
{
    struct dataplane_conf conf;
    char err[512] = "";
    (void)state;

    assert_int_equal(load_text("media:\n  devices: [veth, 'udp:127.0.0.1', udp, "
                               "'af_xdp:eth0', auto]\n",
                               &conf, err, sizeof(err)),
                     0);
    assert_int_equal(conf.media.n_devices, 5);
    assert_string_equal(conf.media.devices[3], "af_xdp:eth0");
}

static void devices_of_dpdk_are_told_their_addresses(void **state)
{
    struct dataplane_conf conf;
    char err[512] = "";
    (void)state;

    assert_int_equal(
        load_text("media:\n  devices: ['pci:0000:03:00.0', 'vdev:net_memif0,role=server']\n"
                  "  options:\n"
                  "    - {device: 'vdev:net_memif0,role=server', ipv6: '2001:db8::7/64',"
                  " queues: 2}\n"
                  "    - {device: 'pci:0000:03:00.0', ipv4: 192.0.2.7/24, "
                  "gateway4: 192.0.2.1, exception: tap}\n",
                  &conf, err, sizeof(err)),
        0);
    assert_int_equal(conf.media.n_options, 2);
    assert_string_equal(conf.media.options[0].ipv6, "2001:db8::7/64");
    assert_string_equal(conf.media.options[0].ipv4, "");
    assert_int_equal(conf.media.options[0].queues, 2);
    assert_int_equal(conf.media.options[0].exception, DATAPLANE_EXCEPTION_AUTO);
    assert_int_equal(conf.media.options[1].exception, DATAPLANE_EXCEPTION_TAP);

    expect_error("media:\n  devices: ['vdev:net_tap0']\n", "device: vdev:net_tap0");
    expect_error("media:\n  devices: ['vdev:net_tap0']\n"
                 "  options:\n    - device: vdev:net_tap0\n",
                 "its address");
    expect_error("media:\n  devices: [veth]\n"
                 "  options:\n    - {device: veth, ipv4: 192.0.2.7/24}\n",
                 "'veth' is not a vdev, pci or af_xdp");
    expect_error("media:\n  devices: ['vdev:net_tap0']\n"
                 "  options:\n    - device: vdev:net_tap0\n      ipv4: 192.0.2.7/33\n",
                 ":5: 'media.options.ipv4' must be an IPv4 address");
    expect_error("media:\n  devices: ['vdev:net_tap0']\n"
                 "  options:\n    - {device: 'vdev:net_tap0', exception: tab}\n",
                 "'media.options.exception'");
}

static void zero_copy_is_said_of_af_xdp_only(void **state)
{
    struct dataplane_conf conf;
    char err[512] = "";
    (void)state;

    assert_int_equal(load_text("media:\n  devices: ['af_xdp:eth0']\n"
                               "  options:\n    - {device: 'af_xdp:eth0', zero_copy: true}\n",
                               &conf, err, sizeof(err)),
                     0);
    assert_true(conf.media.options[0].zero_copy);
    expect_error("media:\n  devices: ['af_xdp:eth0']\n"
                 "  options:\n    - {device: 'af_xdp:eth1', zero_copy: true}\n",
                 "'af_xdp:eth1' is not a vdev, pci or af_xdp");
    expect_error("media:\n  devices: ['af_xdp:eth0']\n"
                 "  options:\n    - {device: 'af_xdp:eth0', queues: 2}\n",
                 "only zero_copy");
    expect_error("media:\n  devices: ['vdev:net_tap0']\n  options:\n"
                 "    - {device: 'vdev:net_tap0', ipv4: 192.0.2.7, zero_copy: true}\n",
                 "zero_copy is of af_xdp");
}

static void device_of_unknown_kind_is_refused(void **state)
{
    (void)state;
    expect_error("media:\n  devices:\n  - vteh\n", ":3: 'media.devices' must be one of");
    expect_error("media:\n  devices: ['af_xdp:']\n", "must be one of");
    expect_error("media:\n  devices: []\n", "media.devices is empty");
}

static void address_that_is_none_is_refused(void **state)
{
    (void)state;
    expect_error("veth:\n  ipv4: 10.0.0.0\n", ":2: 'veth.ipv4' must be an IPv4 network");
    expect_error("veth:\n  ipv4: 10.0.0.0/31\n", "at least four addresses");
    expect_error("veth:\n  ipv4: 10.0.0.1/30\n", "at least four addresses");
    expect_error("veth:\n  ipv6: 10.0.0.0/24\n", "'veth.ipv6' must be an IPv6 network");
    expect_error("veth:\n  name: abcdefghijklm\n", "at most 12 bytes");
    expect_error("media:\n  announce:\n  - local: here\n", ":3: 'media.announce.local'");
    expect_error("media:\n  announce:\n  - local: 10.0.0.1\n", "needs both");
}

/* The effective configuration prints it so, and that must be taken again. */
static void announced_port_of_zero_is_the_media_port(void **state)
{
    struct dataplane_conf conf;
    char err[512] = "";
    (void)state;

    assert_int_equal(load_text("media:\n  announce:\n  - {local: 10.0.0.1, public: "
                               "192.0.2.1, port: 0}\n",
                               &conf, err, sizeof(err)),
                     0);
    assert_int_equal(conf.media.n_announce, 1);
    assert_int_equal(conf.media.announce[0].port, 0);
}

static void cpus_are_one_for_each_lane(void **state)
{
    struct dataplane_conf conf;
    char err[512] = "";
    (void)state;

    expect_error("lanes:\n  count: 2\n  cpus: [1]\n", "give one each");
    expect_error("lanes:\n  count: 3\n  cpus: [1, 0, 1]\n", "names CPU 1 twice");
    expect_error("media:\n  devices: [udp, veth, udp]\n", "names 'udp' twice");
    assert_int_equal(
        load_text("lanes:\n  count: 2\n  cpus: [1, 3]\n", &conf, err, sizeof(err)), 0);
    assert_int_equal(conf.lanes.cpus[1], 3);
}

static void check_prints_the_effective_configuration(void **state)
{
    char path[] = "/tmp/kcs-dataplane-conf-XXXXXX", text[4096] = "";
    const char *yaml = "media:\n  port: 5004\n";
    int fd = mkstemp(path);
    FILE *out = tmpfile();
    (void)state;

    assert_true(fd >= 0);
    assert_non_null(out);
    assert_int_equal(write(fd, yaml, strlen(yaml)), strlen(yaml));
    close(fd);
    assert_int_equal(dataplane_conf_check(path, out), 0);
    unlink(path);
    rewind(out);
    assert_true(fread(text, 1, sizeof(text) - 1, out) > 0);
    fclose(out);
    assert_non_null(strstr(text, "port: 5004"));
    assert_non_null(strstr(text, "backend: ipsec_mb"));
    assert_int_equal(dataplane_conf_check("/nonexistent.yaml", stdout), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sample_equals_the_defaults),
        cmocka_unit_test(every_device_kind_is_taken),
        cmocka_unit_test(devices_of_dpdk_are_told_their_addresses),
        cmocka_unit_test(zero_copy_is_said_of_af_xdp_only),
        cmocka_unit_test(device_of_unknown_kind_is_refused),
        cmocka_unit_test(address_that_is_none_is_refused),
        cmocka_unit_test(announced_port_of_zero_is_the_media_port),
        cmocka_unit_test(cpus_are_one_for_each_lane),
        cmocka_unit_test(check_prints_the_effective_configuration),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

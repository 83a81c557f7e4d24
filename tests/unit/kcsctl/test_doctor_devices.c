/* What the doctor makes of a sysfs: of a machine that lacks everything for bare metal, and
 * of one that has it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kcsctl/doctor.h"

static char dir[] = "/tmp/kcs-doctor-XXXXXX";

static void sh(const char *format)
{
    char command[512];

    snprintf(command, sizeof(command), "cd %s && %s", dir, format);
    assert_int_equal(system(command), 0);
}

static int setup(void **state)
{
    (void)state;
    return mkdtemp(dir) == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    char command[64];

    (void)state;
    snprintf(command, sizeof(command), "rm -r %s", dir);
    return system(command);
}

static const char *field(const struct doctor *doctor, const char *check, const char *name)
{
    size_t i;
    json_t *row;

    json_array_foreach(doctor->rows, i, row)
    {
        if (strcmp(json_string_value(json_object_get(row, "check")), check) == 0) {
            return json_string_value(json_object_get(row, name));
        }
    }
    fail_msg("no row '%s'", check);
    return "";
}

static void says(const struct doctor *doctor, const char *check, const char *result,
                 const char *found, const char *fix)
{
    assert_string_equal(field(doctor, check, "result"), result);
    assert_non_null(strstr(field(doctor, check, "found"), found));
    assert_non_null(strstr(field(doctor, check, "fix"), fix));
}

static void bare_machine_is_told_each_cure(void **state)
{
    struct doctor doctor = {.rows = json_array()};
    (void)state;

    sh("mkdir -p sys dev");
    doctor_pci(&doctor, dir, dir);
    says(&doctor, "pci iommu", "warn", "0 groups", "intel_iommu=on");
    says(&doctor, "pci vfio", "warn", "no /dev/vfio/vfio", "modprobe vfio-pci");
    says(&doctor, "pci driver", "warn", "no device", "dpdk-devbind.py -b vfio-pci");
    assert_false(doctor.failed); /* a node runs without */
    json_decref(doctor.rows);
}

static void machine_with_a_bound_nic_is_well(void **state)
{
    struct doctor doctor = {.rows = json_array()};
    (void)state;

    sh("mkdir -p kernel/iommu_groups/0 kernel/iommu_groups/1 vfio "
       "bus/pci/drivers/vfio-pci/0000:03:00.0 && touch vfio/vfio "
       "bus/pci/drivers/vfio-pci/new_id");
    doctor_pci(&doctor, dir, dir);
    says(&doctor, "pci iommu", "ok", "2 groups", "");
    says(&doctor, "pci vfio", "ok", "vfio", "");
    says(&doctor, "pci driver", "ok", "1 bound to vfio-pci", "");
    json_decref(doctor.rows);
}

static void vfio_without_an_iommu_counts(void **state)
{
    struct doctor doctor = {.rows = json_array()};
    (void)state;

    sh("rm -rf kernel && mkdir -p module/vfio/parameters && "
       "echo Y >module/vfio/parameters/enable_unsafe_noiommu_mode");
    doctor_pci(&doctor, dir, dir);
    says(&doctor, "pci iommu", "ok", "unsafe", "");
    json_decref(doctor.rows);
}

static void interface_of_more_queues_than_cpus_is_named(void **state)
{
    struct doctor doctor = {.rows = json_array()};
    (void)state;

    sh("mkdir -p class/net/lo class/net/eth7/device class/net/eth8/device && "
       "echo 1 >class/net/eth7/device/numa_node && "
       "mkdir -p class/net/eth8/queues/rx-0 class/net/eth8/queues/tx-0 && "
       "for i in $(seq 0 2000); do mkdir -p class/net/eth7/queues/rx-$i; done");
    doctor_interfaces(&doctor, dir);
    assert_int_equal(json_array_size(doctor.rows), 2); /* lo is no device */
    says(&doctor, "af_xdp:eth7", "warn", "2001 receive queues, NUMA node 1",
         "ethtool -L eth7 combined");
    says(&doctor, "af_xdp:eth7", "warn", "", "each queue holds 4096 packets");
    says(&doctor, "af_xdp:eth8", "ok", "1 receive queues", "");
    json_decref(doctor.rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bare_machine_is_told_each_cure),
        cmocka_unit_test(machine_with_a_bound_nic_is_well),
        cmocka_unit_test(vfio_without_an_iommu_counts),
        cmocka_unit_test(interface_of_more_queues_than_cpus_is_named),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}

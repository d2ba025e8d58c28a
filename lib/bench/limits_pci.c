/* limits_pci.c - links of graphics processors and accelerators, from sysfs; see limits.h */
#include "lib/bench/limits.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The first number in a file of a device's folder; 0 when there is none. */
static double read_value(const char *root, const char *device, const char *file) {
    char path[512];
    char text[64] = "";
    snprintf(path, sizeof path, "%s/%s/%s", root, device, file);
    FILE *f = fopen(path, "re");
    if (f) {
        if (!fgets(text, sizeof text, f))
            *text = '\0';
        fclose(f);
    }
    return strtod(text, NULL);      /* "16.0 GT/s PCIe", "0x030200", "Unknown" */
}

/* Share of the transfers that carries data: 8 of 10 bits up to PCIe 2, 128 of 130 up to PCIe 5,
 * 236 of 256 bytes of a flit in PCIe 6 (PCI Express Base Specification 6.0). */
static double line_code(double transfers_per_s) {
    return transfers_per_s < 8e9 ? 8.0 / 10 : transfers_per_s < 64e9 ? 128.0 / 130 : 236.0 / 256;
}

static int is_device(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

int limits_links(const char *root, struct limits_link *out, int max) {
    struct dirent **list;
    int found = 0;
    if (!root)
        root = "/sys/bus/pci/devices";
    int n = scandir(root, &list, is_device, alphasort);
    for (int i = 0; i < n; i++) {
        const char *name = list[i]->d_name;
        int kind = (int)read_value(root, name, "class") >> 16;
        struct limits_link l = {
            .transfers_per_s = read_value(root, name, "max_link_speed") * 1e9,
            .lanes = (int)read_value(root, name, "current_link_width")};
        /* 0x03: display; 0x12: processing accelerator. A made-up device of a hypervisor has no
         * lanes, an unconnected one reports 63 in some kernels. */
        if ((kind == 0x03 || kind == 0x12) && l.transfers_per_s > 0 && l.lanes > 0 &&
            l.lanes <= 32 && found < max) {
            snprintf(l.address, sizeof l.address, "%.31s", name);
            l.bytes_per_s = l.transfers_per_s * l.lanes / 8 * line_code(l.transfers_per_s);
            out[found++] = l;
        }
        free(list[i]);
    }
    if (n >= 0)
        free(list);
    return found;
}

/* device_table.h - private to lib/shape: the profiles that are shipped */
#ifndef DEVICE_TABLE_H
#define DEVICE_TABLE_H

#include "lib/shape/device.h"

/* Upper or lower case; NULL: not known. */
const struct device *device_table_find(const char *name);

#endif

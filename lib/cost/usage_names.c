/* usage_names.c - what kinds and modalities of usage are called, see usage.h */
#include "lib/cost/usage.h"

#include <stddef.h>

const char *const *usage_kind_names(void) {
    static const char *const names[] = {"input", "read", "write", "output", "reasoning", "storage",
                                        "request", "second", "search", NULL};
    return names;
}

const char *const *usage_modality_names(void) {
    static const char *const names[] = {"text", "audio", "image", "video", NULL};
    return names;
}

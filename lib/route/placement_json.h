/* placement_json.h - placements in the forms that engines load, and back
 *
 *     placement_write(p, PLACEMENT_SGLANG, 61, "plan.json", &err);
 *     struct placement_grid grid = {.ranks = 8};
 *     struct placement *q = placement_read("plan.json", &grid, 0, &err);
 *
 * Every form is JSON (RFC 8259), here on one line. Rows of experts are [slots], rank by rank.
 *
 *   full         {"physical_to_logical_map": [layers][slots], "logical_to_physical_map":
 *                [layers][experts][most replicas] padded with -1, "logical_replica_count":
 *                [layers][experts], "layer_index": [layers], "experts", "ranks", "nodes"}; the
 *                first three are what the published EPLB answers, as vLLM calls them
 *   sglang       {"physical_to_logical_map": [model's layers][slots]} for --init-expert-location (a
 *                path that ends in .json, or the text itself). SGLang hands every key on to a
 *                function that knows this one alone, and looks rows up by the model's layers:
 *                layers without experts have rows too, which nothing reads
 *   vllm         [layers with experts][slots] and nothing around it: the map that vLLM's EPLB has
 *                inside, in the form proposed for its initial_expert_map_path
 *   vllm-ascend  {"moe_layer_count", "layer_list": [{"layer_id", "device_count", "device_list":
 *                [{"device_id", "device_expert": [slots of a rank]}]}]} for expert_map_path of
 *                vLLM's plugin for Ascend; layers with experts are counted from 0
 *
 * The forms of SGLang 0.5 and vllm-ascend 0.11 to 0.22. None but the first says how many nodes
 * there are, and none but the first and the last how many ranks.
 */
#ifndef PLACEMENT_JSON_H
#define PLACEMENT_JSON_H

#include "lib/base/mem.h"
#include "lib/route/placement.h"

enum placement_form { PLACEMENT_FULL, PLACEMENT_SGLANG, PLACEMENT_VLLM, PLACEMENT_VLLM_ASCEND };

/* The forms' names, ended by NULL. */
extern const char *const placement_forms[];

/* Appends p as one line, without a newline. model_layers: of the model, with and without experts; 0
 * or too few: up to the last that p has. Only the form sglang looks at it. */
void placement_text(const struct placement *p, enum placement_form form, int model_layers,
                    struct buf *out);
/* The same, with a newline, to a file ("-": stdout; compressed when the name ends in .zst). */
int placement_write(const struct placement *p, enum placement_form form, int model_layers,
                    const char *path, struct err *err);

/* Reads any of the forms, sniffed, plain or zstd ("-": stdin). What grid has that is not 0 must be
 * what the file says, and stands in for what it does not say; ranks are needed by one of both,
 * nodes are 1 where neither says. experts 0: as the file says, else the largest id + 1. Layers are
 * counted from 0 where the file has no layer_index.
 * NULL: no such file, none of these forms, an expert that no slot of a layer holds, maps that
 * contradict each other. */
struct placement *placement_read(const char *path, const struct placement_grid *grid, int experts,
                                 struct err *err);

#endif

/* grid.h - carbon intensity of electricity by country, as published
 *
 *     const struct grid *g = grid_find("FRA");
 *     grams = joules / 3.6e6 * pue * g->g_per_kwh;
 *
 * Life-cycle emissions of generation, all greenhouse gases as CO2 over 100 years, a year's average;
 * imports and losses of the grid are not in it.
 */
#ifndef GRID_H
#define GRID_H

struct grid {
    const char *name;           /* ISO 3166 of three letters; WOR: the world */
    const char *country;
    double g_per_kwh;           /* grams of CO2 equivalent */
};

/* Upper or lower case, code or country; NULL: not known. */
const struct grid *grid_find(const char *name);
/* All of them, by name; ended by a NULL name. */
const struct grid *grid_all(void);
extern const char grid_source[];        /* who says so, of all rows */
extern const char grid_date[];          /* when it was published, YYYY-MM-DD */

#endif

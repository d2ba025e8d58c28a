/* grid.c - carbon intensity of electricity by country, see grid.h
 *
 * Figures of Ember as Our World in Data publishes them ("Lifecycle carbon intensity of electricity
 * generation", release of January 2026) and EcoLogits 0.11.3 carries (electricity_mixes.json), so
 * that its results come out here: the countries where data centres stand, not all of the world.
 */
#include "lib/cost/grid.h"

#include <stddef.h>
#include <strings.h>

const char grid_source[] = "Ember through Our World in Data, as in EcoLogits 0.11.3";
const char grid_date[] = "2026-01-26";

static const struct grid table[] = {
    {"ARE", "United Arab Emirates", 467.51},
    {"ARG", "Argentina", 346},
    {"AUS", "Australia", 525.18},
    {"AUT", "Austria", 116.91},
    {"BEL", "Belgium", 149.82},
    {"BGD", "Bangladesh", 696.13},
    {"BGR", "Bulgaria", 275.55},
    {"BRA", "Brazil", 109.95},
    {"CAN", "Canada", 190.72},
    {"CHE", "Switzerland", 39.22},
    {"CHL", "Chile", 289.49},
    {"CHN", "China", 525.34},
    {"COL", "Colombia", 186.81},
    {"CYP", "Cyprus", 489},
    {"CZE", "Czechia", 401.46},
    {"DEU", "Germany", 329.65},
    {"DNK", "Denmark", 114.41},
    {"EGY", "Egypt", 563.23},
    {"ESP", "Spain", 153.6},
    {"EST", "Estonia", 319.15},
    {"FIN", "Finland", 57.47},
    {"FRA", "France", 41.44},
    {"GBR", "United Kingdom", 217.41},
    {"GRC", "Greece", 315.09},
    {"HKG", "Hong Kong", 675.48},
    {"HRV", "Croatia", 158.5},
    {"HUN", "Hungary", 163.02},
    {"IDN", "Indonesia", 680.25},
    {"IND", "India", 670.13},
    {"IRL", "Ireland", 256.54},
    {"ISL", "Iceland", 27.82},
    {"ISR", "Israel", 492.69},
    {"ITA", "Italy", 284.78},
    {"JPN", "Japan", 477.26},
    {"KAZ", "Kazakhstan", 805.32},
    {"KEN", "Kenya", 95.44},
    {"KOR", "South Korea", 417.06},
    {"LTU", "Lithuania", 138.36},
    {"LUX", "Luxembourg", 123.38},
    {"LVA", "Latvia", 138.76},
    {"MEX", "Mexico", 474.02},
    {"MLT", "Malta", 484.02},
    {"MYS", "Malaysia", 601.97},
    {"NGA", "Nigeria", 455.71},
    {"NLD", "Netherlands", 253.56},
    {"NOR", "Norway", 28.11},
    {"NZL", "New Zealand", 92.76},
    {"PAK", "Pakistan", 346.56},
    {"PER", "Peru", 238.25},
    {"PHL", "Philippines", 588.29},
    {"POL", "Poland", 588.6},
    {"PRT", "Portugal", 127.91},
    {"QAT", "Qatar", 581.52},
    {"ROU", "Romania", 250.75},
    {"RUS", "Russia", 449.73},
    {"SAU", "Saudi Arabia", 691.95},
    {"SGP", "Singapore", 497.09},
    {"SRB", "Serbia", 695.8},
    {"SVK", "Slovakia", 94.85},
    {"SVN", "Slovenia", 183.29},
    {"SWE", "Sweden", 35.26},
    {"THA", "Thailand", 545.74},
    {"TUR", "Turkey", 474.74},
    {"TWN", "Taiwan", 633.21},
    {"UKR", "Ukraine", 250.47},
    {"USA", "United States", 384.4},
    {"VNM", "Vietnam", 460.73},
    {"WOR", "World", 458.29},
    {"ZAF", "South Africa", 699.29},
    {NULL, NULL, 0},
};

const struct grid *grid_all(void) {
    return table;
}

const struct grid *grid_find(const char *name) {
    for (const struct grid *g = table; g->name; g++)
        if (!strcasecmp(g->name, name) || !strcasecmp(g->country, name))
            return g;
    return NULL;
}

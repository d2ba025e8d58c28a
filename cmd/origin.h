/* origin.h - where two sides of a comparison were measured, in the words of series.h */
#ifndef ORIGIN_H
#define ORIGIN_H

/* The texts of all lines "key: text" of an origin, joined. NULL: none. The caller frees. */
char *origin_of(const char *origin, const char *key);

#endif

/* plot_script.h - gnuplot's scripts: words of them, and running them; for plot*.c
 *
 *     struct buf b = {0};
 *     script_begin(&b, script_png(file), 760, 440);
 *     ...
 *     script_draw(file, &b);
 *     buf_free(&b);
 */
#ifndef PLOT_SCRIPT_H
#define PLOT_SCRIPT_H

#include <stddef.h>

#include "lib/base/mem.h"

#define GREY "#666666"          /* of axes' names and numbers */

/* The picture's kind and size, in pixels of an SVG; a PNG has twice as many. */
void script_begin(struct buf *b, int png, int width, int height);
/* Text as it is, in quotes. */
void script_text(struct buf *b, const char *s);
/* At shares of the width and of the height, from the upper left; NULL and "": nothing. rest: how,
 * in gnuplot's words. */
void script_label(struct buf *b, const char *text, double x, double y, const char *rest);
size_t script_letters(const char *s);   /* letters, not bytes; 0 of NULL */

int script_png(const char *file);       /* 1: a PNG, 0: an SVG */
/* Runs the script; the file appears whole or not at all. Dies when that fails. */
void script_draw(const char *file, const struct buf *script);

#endif

/*
 * A file read from front to back, plain or .xz (told apart by its first bytes), line by line or as a whole.
 *
 * Streamed: memory is two buffers of 64 KiB and the longest line. A damaged or cut-off .xz file is an error, never a
 * short file. Every message starts with the path.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    INPUT_MESSAGE_BYTES = 512,
    INPUT_LINE_MAX = 1 << 20, /* bytes; a longer line is an error */
};

struct input;

/* What a file holds, judged by its first 4 KiB. */
enum input_kind {
    INPUT_EMPTY,
    INPUT_SCRIPT,  /* text ops; also what any other text is taken for, so that it gets a place in its message */
    INPUT_RECORDS, /* has bytes that no text has */
    INPUT_TRACE,   /* ftrace text */
    INPUT_LAYOUT,  /* gpa= hpa= size= lines */
    INPUT_GOLDEN,  /* golden results */
};

/* Open `path`. NULL: *message says why. */
struct input *input_open(const char *path, char *message, size_t size);
void input_close(struct input *input);

/* Judge the content. Nothing is consumed. O(4 KiB). */
enum input_kind input_kind(struct input *input);

/*
 * The next line without its end of line, valid until the next call. A last line without a newline counts.
 *   1  a line      0  the end      -1  unreadable: see input_message
 */
int input_line(struct input *input, const char **line);

/*
 * Everything that is left, at most `limit` bytes, in a buffer of the caller's to free, one zero byte after its end.
 * NULL: unreadable, too long or no memory: see input_message.
 */
char *input_read_all(struct input *input, size_t limit, size_t *size);

bool input_is_compressed(const struct input *input);
const char *input_path(const struct input *input);
uint64_t input_line_number(const struct input *input); /* of the line last returned, from 1 */
const char *input_message(const struct input *input);

/* Bytes of the file read so far and in all, as stored (for progress bars). */
uint64_t input_bytes_read(const struct input *input);
uint64_t input_bytes_total(const struct input *input);

/*
 * Files, plain or .xz, as lines. Decompression is liblzma's, in one pass; the raw and the decoded side each have one
 * buffer, and plain files skip the raw one.
 */
#define _GNU_SOURCE /* memmem */
#include "import/input.h"

#include <ctype.h>
#include <errno.h>
#include <lzma.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    BUFFER_BYTES = 1 << 16,
    KIND_BYTES = 1 << 12,
    LINE_START_BYTES = 256,
};

/* Decoder memory a file may ask for: xz -9 needs 65 MiB. */
#define DECODER_MEMORY_MAX (UINT64_C(256) << 20)

static const uint8_t xz_magic[6] = { 0xfd, '7', 'z', 'X', 'Z', 0 };

struct input {
    FILE *file;
    char *path;
    bool is_xz;
    bool is_file_end; /* no more raw bytes */
    bool is_end;      /* no more decoded bytes beyond `decoded` */
    bool is_bad;      /* message is set */
    lzma_stream stream;
    uint64_t bytes_read, bytes_total;
    uint64_t line_number;
    size_t start, end; /* what is left in decoded */
    char *line;
    size_t line_capacity;
    char message[INPUT_MESSAGE_BYTES];
    uint8_t raw[BUFFER_BYTES];
    uint8_t decoded[BUFFER_BYTES];
};

static void fail(struct input *input, const char *text)
{
    input->is_bad = true;
    snprintf(input->message, sizeof(input->message), "%s: %s", input->path, text);
}

static const char *xz_error(lzma_ret result)
{
    switch (result) {
    case LZMA_BUF_ERROR: return "the .xz data ends too early";
    case LZMA_DATA_ERROR: return "the .xz data is damaged";
    case LZMA_FORMAT_ERROR: return "not .xz data";
    case LZMA_OPTIONS_ERROR: return "an .xz feature that this liblzma does not know";
    case LZMA_MEMLIMIT_ERROR: return "the .xz data needs more than 256 MiB to decode";
    case LZMA_MEM_ERROR: return "no memory to decode .xz data";
    default: return "the .xz data cannot be decoded";
    }
}

static size_t read_raw(struct input *input, uint8_t *buffer, size_t size)
{
    const size_t count = fread(buffer, 1, size, input->file);

    input->bytes_read += count;
    if (count < size) {
        if (ferror(input->file)) fail(input, strerror(errno));
        input->is_file_end = true;
    }
    return count;
}

static void fill_from_xz(struct input *input)
{
    lzma_stream *stream = &input->stream;
    lzma_ret result = LZMA_OK;

    stream->next_out = input->decoded + input->end;
    stream->avail_out = sizeof(input->decoded) - input->end;
    while (result == LZMA_OK && stream->avail_out > 0 && !input->is_bad) {
        if (stream->avail_in == 0 && !input->is_file_end) {
            stream->next_in = input->raw;
            stream->avail_in = read_raw(input, input->raw, sizeof(input->raw));
        }
        result = lzma_code(stream, input->is_file_end ? LZMA_FINISH : LZMA_RUN);
    }
    input->end = sizeof(input->decoded) - stream->avail_out;
    if (result == LZMA_STREAM_END) {
        input->is_end = true;
    } else if (result != LZMA_OK) {
        fail(input, xz_error(result));
    }
}

/* Get more decoded bytes behind those that are left. */
static void fill(struct input *input)
{
    memmove(input->decoded, input->decoded + input->start, input->end - input->start);
    input->end -= input->start;
    input->start = 0;
    if (input->is_xz) {
        fill_from_xz(input);
    } else {
        input->end += read_raw(input, input->decoded + input->end, sizeof(input->decoded) - input->end);
        input->is_end = input->is_file_end;
    }
}

static bool start_decoding(struct input *input)
{
    const size_t count = read_raw(input, input->raw, sizeof(input->raw));

    if (input->is_bad) return false;
    input->is_xz = count >= sizeof(xz_magic) && memcmp(input->raw, xz_magic, sizeof(xz_magic)) == 0;
    if (!input->is_xz) {
        memcpy(input->decoded, input->raw, count);
        input->end = count;
        input->is_end = input->is_file_end;
        return true;
    }
    if (lzma_stream_decoder(&input->stream, DECODER_MEMORY_MAX, LZMA_CONCATENATED) != LZMA_OK) {
        fail(input, "no memory to decode .xz data");
        return false;
    }
    input->stream.next_in = input->raw;
    input->stream.avail_in = count;
    return true;
}

static struct input *input_new(const char *path)
{
    struct input *input = calloc(1, sizeof(*input));

    if (!input) return NULL;
    input->path = strdup(path);
    if (!input->path) {
        free(input);
        return NULL;
    }
    return input;
}

struct input *input_open(const char *path, char *message, size_t size)
{
    struct input *input = input_new(path);
    struct stat status;

    if (!input) {
        snprintf(message, size, "%s: no memory", path);
        return NULL;
    }
    input->file = fopen(path, "rb");
    if (!input->file || fstat(fileno(input->file), &status) != 0) {
        fail(input, strerror(errno));
    } else if (S_ISDIR(status.st_mode)) {
        fail(input, strerror(EISDIR));
    } else {
        input->bytes_total = status.st_size > 0 ? (uint64_t)status.st_size : 0;
        if (start_decoding(input)) return input;
    }
    snprintf(message, size, "%s", input->message);
    input_close(input);
    return NULL;
}

void input_close(struct input *input)
{
    if (!input) return;
    lzma_end(&input->stream);
    if (input->file) fclose(input->file);
    free(input->line);
    free(input->path);
    free(input);
}

static bool line_reserve(struct input *input, size_t size)
{
    size_t capacity = input->line_capacity ? input->line_capacity : LINE_START_BYTES;
    char *line;

    while (capacity < size) capacity *= 2;
    if (capacity == input->line_capacity) return true;
    line = realloc(input->line, capacity);
    if (!line) return false;
    input->line = line;
    input->line_capacity = capacity;
    return true;
}

/* Move `count` decoded bytes to the end of the line, which has `length` so far. */
static bool line_take(struct input *input, size_t length, size_t count)
{
    if (length + count > INPUT_LINE_MAX) {
        snprintf(input->message, sizeof(input->message), "%s:%llu: a line of more than %d bytes", input->path,
                 (unsigned long long)input->line_number + 1, (int)INPUT_LINE_MAX);
        input->is_bad = true;
        return false;
    }
    if (!line_reserve(input, length + count + 1)) {
        fail(input, "no memory");
        return false;
    }
    memcpy(input->line + length, input->decoded + input->start, count);
    input->start += count;
    return true;
}

int input_line(struct input *input, const char **line)
{
    size_t length = 0;

    while (!input->is_bad) {
        const size_t left = input->end - input->start;
        const uint8_t *newline = memchr(input->decoded + input->start, '\n', left);
        const size_t count = newline ? (size_t)(newline - (input->decoded + input->start)) : left;

        if (!newline && input->is_end && length + count == 0) return 0;
        if (!line_take(input, length, count)) return -1;
        length += count;
        if (newline || input->is_end) {
            input->start += newline != NULL;
            if (length > 0 && input->line[length - 1] == '\r') length--;
            input->line[length] = 0;
            input->line_number++;
            *line = input->line;
            return 1;
        }
        fill(input);
    }
    return -1;
}

char *input_read_all(struct input *input, size_t limit, size_t *size)
{
    size_t capacity = BUFFER_BYTES;
    size_t length = 0;
    char *all = malloc(capacity + 1);

    while (all && !input->is_bad) {
        const size_t left = input->end - input->start;

        if (left > limit - length) {
            fail(input, "too long");
            break;
        }
        if (length + left > capacity) {
            char *more;

            capacity = 2 * (length + left);
            more = realloc(all, capacity + 1);
            if (!more) break;
            all = more;
        }
        memcpy(all + length, input->decoded + input->start, left);
        length += left;
        input->start = input->end;
        if (input->is_end) {
            all[length] = 0;
            *size = length;
            return all;
        }
        fill(input);
    }
    if (!input->is_bad) fail(input, "no memory");
    free(all);
    return NULL;
}

/* The first line that is neither empty nor, if `skip_comments`, a comment; its length in *length. */
static const char *first_line(const char *text, const char *end, bool skip_comments, size_t *length)
{
    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        const char *stop = newline ? newline : end;

        if (stop > text && !(skip_comments && *text == '#')) {
            *length = (size_t)(stop - text);
            return text;
        }
        text = stop + 1;
    }
    *length = 0;
    return end;
}

static bool starts_with(const char *text, size_t length, const char *prefix)
{
    return length >= strlen(prefix) && memcmp(text, prefix, strlen(prefix)) == 0;
}

static bool has_text(const char *text, size_t size, const char *wanted)
{
    return memmem(text, size, wanted, strlen(wanted)) != NULL;
}

static bool has_binary(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        const uint8_t byte = (uint8_t)text[i];

        if (byte == 0x7f || (byte < 0x20 && byte != '\n' && byte != '\r' && byte != '\t')) return true;
    }
    return false;
}

/* Has the line ftrace's columns, `TASK-PID [CPU] FLAGS SECONDS.MICROSECONDS: EVENT`? */
static bool is_ftrace_line(const char *line, size_t length)
{
    const char *end = line + length;
    const char *cpu = memchr(line, '[', length);
    const char *time;

    if (!cpu || end - cpu < 5 || !isdigit((unsigned char)cpu[1])) return false;
    time = memmem(cpu, (size_t)(end - cpu), ": ", 2);
    return time && time - cpu > 7 && isdigit((unsigned char)time[-1]) && memchr(cpu, '.', (size_t)(time - cpu));
}

enum input_kind input_kind(struct input *input)
{
    const char *text = (const char *)input->decoded;
    const char *line;
    size_t size, length;

    while (input->end - input->start < KIND_BYTES && !input->is_end && !input->is_bad) fill(input);
    text += input->start;
    size = input->end - input->start;
    if (size > KIND_BYTES) size = KIND_BYTES;
    if (size == 0) return INPUT_EMPTY;
    if (has_binary(text, size)) return INPUT_RECORDS;
    if (starts_with(text, size, "# tracer:") || has_text(text, size, "map: IOMMU: ")) return INPUT_TRACE;
    line = first_line(text, text + size, true, &length);
    if (is_ftrace_line(line, length)) return INPUT_TRACE;
    if (starts_with(line, length, "gpa=")) return INPUT_LAYOUT;
    if (starts_with(line, length, "table fmt=") || starts_with(line, length, "init fmt=") ||
        starts_with(line, length, "init stage="))
        return INPUT_GOLDEN;
    return INPUT_SCRIPT;
}

bool input_is_compressed(const struct input *input)
{
    return input->is_xz;
}

const char *input_path(const struct input *input)
{
    return input->path;
}

uint64_t input_line_number(const struct input *input)
{
    return input->line_number;
}

const char *input_message(const struct input *input)
{
    return input->message;
}

uint64_t input_bytes_read(const struct input *input)
{
    return input->bytes_read;
}

uint64_t input_bytes_total(const struct input *input)
{
    return input->bytes_total;
}

/*
 * Runs a fuzz target over files: `replay_<target> FILE|FOLDER...`. For every compiler; no libFuzzer.
 *
 * Files are records or text scripts, told apart by content (script_is_text); with REPLAY_BYTES, which targets that take
 * bytes are built with, they run as they are. Folders are read to the bottom, in the
 * order of names; names that start with a dot and *.md are left out. Prints each name before it runs, then
 * `Tested N files`, drawn inputs among them. Exit 0: all ran. 1: a file or folder could not be read, or there was none.
 * 2: bad usage, or a text that does not parse. A difference aborts inside the target.
 */
#include "fuzz.h"

#include "base/random.h"
#include "script/script.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#ifndef REPLAY_BYTES
#define REPLAY_BYTES 0
#endif

enum { PATH_LENGTH_MAX = 4096, DEPTH_MAX = 16 };

static struct {
    unsigned files, unreadable, malformed;
} totals;

static void unreadable(const char *path, const char *why)
{
    fprintf(stderr, "%s: %s\n", path, why);
    totals.unreadable++;
}

/* Text is made records first: what runs is what a fuzzer would run. False: it has a mistake, which was printed. */
static bool run_text(const char *path, const char *text, size_t size)
{
    struct script script;
    struct script_error error;
    char message[PATH_LENGTH_MAX + SCRIPT_MESSAGE_MAX];
    uint8_t records[FUZZ_BYTES_MAX];

    if (!script_parse(text, size, &script, &error)) {
        script_format_error(path, &error, message, sizeof(message));
        fprintf(stderr, "%s\n", message);
        return false;
    }
    if (script.count > FUZZ_OPS_MAX) {
        fprintf(stderr, "%s:%u:1: op %d; expected at most %d ops with the world\n", path,
                script.notes[FUZZ_OPS_MAX].line, FUZZ_OPS_MAX + 1, FUZZ_OPS_MAX);
        script_free(&script);
        return false;
    }
    LLVMFuzzerTestOneInput(records, script_encode(script.ops, script.count, records, sizeof(records)));
    script_free(&script);
    return true;
}

static uint8_t *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    uint8_t *bytes = NULL;
    long length;

    if (!file) return NULL;
    if (fseek(file, 0, SEEK_END) == 0 && (length = ftell(file)) >= 0 && fseek(file, 0, SEEK_SET) == 0) {
        *size = (size_t)length;
        bytes = malloc(*size + 1);
    }
    if (bytes && fread(bytes, 1, *size, file) != *size) {
        free(bytes);
        bytes = NULL;
    }
    fclose(file);
    return bytes;
}

static void run_file(const char *path)
{
    size_t size;
    uint8_t *bytes = read_file(path, &size);
    bool is_text;

    if (!bytes) {
        unreadable(path, errno ? strerror(errno) : "cannot be read");
        return;
    }
    printf("%s\n", path);
    fflush(stdout);
    is_text = !REPLAY_BYTES && script_is_text(bytes, size);
    if (is_text && !run_text(path, (const char *)bytes, size)) {
        totals.malformed++;
    } else {
        if (!is_text) LLVMFuzzerTestOneInput(bytes, size);
        totals.files++;
    }
    free(bytes);
}

static int is_wanted(const struct dirent *entry)
{
    const size_t length = strlen(entry->d_name);

    return entry->d_name[0] != '.' && !(length > 3 && strcmp(entry->d_name + length - 3, ".md") == 0);
}

static void run_path(const char *path, unsigned depth)
{
    struct stat status;
    struct dirent **entries;
    int count;

    errno = 0;
    if (stat(path, &status) != 0) {
        unreadable(path, strerror(errno));
        return;
    }
    if (!S_ISDIR(status.st_mode)) {
        run_file(path);
        return;
    }
    count = depth < DEPTH_MAX ? scandir(path, &entries, is_wanted, alphasort) : -1;
    if (count < 0) {
        unreadable(path, depth < DEPTH_MAX ? strerror(errno) : "too deep");
        return;
    }
    for (int i = 0; i < count; i++) {
        char inner[PATH_LENGTH_MAX];

        if (snprintf(inner, sizeof(inner), "%s/%s", path, entries[i]->d_name) < (int)sizeof(inner)) {
            run_path(inner, depth + 1);
        } else {
            unreadable(path, "a name in it is too long");
        }
        free(entries[i]);
    }
    free(entries);
}

#if !REPLAY_BYTES
/* False: `count` is no number. */
static bool run_drawn(const char *count)
{
    char *end;
    const unsigned long inputs = strtoul(count, &end, 10);

    for (unsigned long seed = 1; seed <= inputs; seed++) {
        struct random random = random_seeded(seed);
        struct op ops[FUZZ_OPS_MAX];
        uint8_t records[FUZZ_BYTES_MAX];
        const size_t drawn = script_generate_for(&random, fuzz_theme, ops, FUZZ_OPS_MAX);

        LLVMFuzzerTestOneInput(records, script_encode(ops, drawn, records, sizeof(records)));
        totals.files++;
    }
    return inputs > 0 && *end == '\0';
}
#else
static bool run_drawn(const char *count)
{
    (void)count;
    return false;
}
#endif

static int usage(const char *name)
{
    fprintf(stderr, "usage: %s %sFILE|FOLDER...\n", name, REPLAY_BYTES ? "" : "[--drawn=N] ");
    return 2;
}

int main(int argc, char **argv)
{
    const char option[] = "--drawn=";
    int first = 1;

    if (argc > 1 && strncmp(argv[1], option, strlen(option)) == 0) {
        if (!run_drawn(argv[1] + strlen(option))) return usage(argv[0]);
        first = 2;
    }
    if (argc < 2 || (first < argc && argv[first][0] == '-')) return usage(argv[0]);
    for (int i = first; i < argc; i++) run_path(argv[i], 0);
    printf("Tested %u files\n", totals.files);
    if (totals.files == 0) fprintf(stderr, "%s: nothing to test\n", argv[0]);
    if (totals.malformed) return 2;
    return totals.unreadable || totals.files == 0;
}

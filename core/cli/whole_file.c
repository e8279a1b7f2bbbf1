/*
 * Whole files or none. The descriptor is opened before any work is done, so that a target that cannot be written is
 * said at once.
 */
#define _GNU_SOURCE /* asprintf, realpath, program_invocation_short_name */
#include "cli/whole_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NEW_FILE_MODE = 0666 };

static bool refuse(struct whole_file *file, const char *path, const char *why)
{
    fflush(stdout);
    fprintf(stderr, "%s: %s: cannot be written: %s\n", program_invocation_short_name, path, why);
    whole_file_abandon(file);
    return false;
}

static bool fail(struct whole_file *file, const char *path, int error)
{
    return refuse(file, path, strerror(error));
}

/* The mode of a file that did not exist: as open would make it. */
static mode_t new_mode(void)
{
    const mode_t mask = umask(0);

    umask(mask);
    return NEW_FILE_MODE & ~mask;
}

bool whole_file_begin(struct whole_file *file, const char *path)
{
    struct stat status;
    const bool exists = stat(path, &status) == 0;

    *file = (struct whole_file){ NULL, NULL, -1 };
    file->path = exists && S_ISREG(status.st_mode) ? realpath(path, NULL) : strdup(path);
    if (!file->path) return fail(file, path, errno);
    if (exists && !S_ISREG(status.st_mode)) {
        file->descriptor = open(path, O_WRONLY | O_CLOEXEC);
        return file->descriptor >= 0 || fail(file, path, errno);
    }
    if (exists && access(file->path, W_OK) != 0) return fail(file, path, errno);
    if (asprintf(&file->temporary, "%s.XXXXXX", file->path) < 0) {
        file->temporary = NULL;
        return fail(file, path, ENOMEM);
    }
    file->descriptor = mkostemp(file->temporary, O_CLOEXEC);
    if (file->descriptor < 0) {
        const int error = errno;

        free(file->temporary);
        file->temporary = NULL;
        return fail(file, path, error);
    }
    if (fchmod(file->descriptor, exists ? status.st_mode & 07777 : new_mode()) != 0) return fail(file, path, errno);
    return true;
}

static bool write_all(int descriptor, const char *bytes, size_t size)
{
    while (size > 0) {
        const ssize_t count = write(descriptor, bytes, size);

        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return false;
        bytes += count;
        size -= (size_t)count;
    }
    return true;
}

bool whole_file_finish(struct whole_file *file, const void *bytes, size_t size)
{
    const char *path = file->path;
    int closed;

    if (!write_all(file->descriptor, bytes, size)) return fail(file, path, errno);
    if (file->temporary && fsync(file->descriptor) != 0) return fail(file, path, errno);
    closed = close(file->descriptor);
    file->descriptor = -1;
    if (closed != 0) return fail(file, path, errno);
    if (file->temporary && rename(file->temporary, path) != 0) return fail(file, path, errno);
    free(file->temporary);
    file->temporary = NULL;
    whole_file_abandon(file);
    return true;
}

bool whole_file_finish_json(struct whole_file *file, const json_t *root)
{
    char *text = root ? json_dumps(root, JSON_INDENT(1) | JSON_PRESERVE_ORDER) : NULL;
    const size_t length = text ? strlen(text) : 0;
    bool is_written;

    if (!text) return refuse(file, file->path, "not valid as JSON");
    text[length] = '\n'; /* in place of the string's end */
    is_written = whole_file_finish(file, text, length + 1);
    free(text);
    return is_written;
}

void whole_file_abandon(struct whole_file *file)
{
    if (file->descriptor >= 0) close(file->descriptor);
    if (file->temporary) unlink(file->temporary);
    free(file->temporary);
    free(file->path);
    *file = (struct whole_file){ NULL, NULL, -1 };
}

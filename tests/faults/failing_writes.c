/* Preloaded into a process, it counts what the process writes below one folder, and at the nth write point lets the call
   fail as a full or broken disk would, or lets the process die or stop there. Steered by arm(); see failing_writes.py. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum action { PASS, FAIL_ONCE, FAIL_FROM_THEN_ON, DIE, DIE_HALF_WAY, STOP };
enum verdict { GO, REFUSE, HALF, HALF_AND_DIE };

static char folder[PATH_MAX];
static long nth, passed;
static int action, code, record = -1;

/* `below` is an absolute path; `number` of the write point counts from 1; `file` takes a line "call path" for each. */
void arm(const char *below, long number, int what, int with, int file) {
    nth = number, action = what, code = with, record = file, passed = 0;
    snprintf(folder, sizeof folder, "%s/", below);
}

static _Noreturn void die(void) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

/* The absolute path of `path` as seen from the folder `at`; with an empty path, that of the open file `at`. */
static void locate(char *full, int at, const char *path) {
    char link[64], from[PATH_MAX] = "";
    if (path[0] != '/') {
        snprintf(link, sizeof link, at == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", at);
        ssize_t length = readlink(link, from, sizeof from - 1);
        from[length < 0 ? 0 : length] = 0;
    }
    snprintf(full, 2 * PATH_MAX, "%s%s%s", from, from[0] && path[0] ? "/" : "", path);
}

/* What is to become of a write. `frees`: it needs no space, so that a full disk lets it through. */
static enum verdict judge(const char *call, int at, const char *path, int frees) {
    int before = errno;
    char full[2 * PATH_MAX];
    if (!folder[0]) return GO;
    locate(full, at, path);
    errno = before;
    if (strncmp(full, folder, strlen(folder))) return GO;
    long number = __atomic_add_fetch(&passed, 1, __ATOMIC_SEQ_CST);
    if (record >= 0) {
        char line[3 * PATH_MAX];
        int length = snprintf(line, sizeof line, "%s %s\n", call, full + strlen(folder));
        syscall(SYS_write, record, line, length);
    }
    if (number < nth || action == PASS || (number > nth && action != FAIL_FROM_THEN_ON)) return GO;
    if (action == DIE) die();
    if (action == DIE_HALF_WAY) return HALF_AND_DIE;
    if (action == STOP) return kill(getpid(), SIGSTOP), GO;
    if (frees && code == ENOSPC) return GO;
    errno = code;
    return number == nth && action == FAIL_FROM_THEN_ON ? HALF : REFUSE;
}

#define REAL(type, name, ...)                                            \
    static type (*real)(__VA_ARGS__);                                    \
    if (!real) real = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)

/* Calls that write bytes: the disk may take half of them, which the caller is told, or which the process does not survive. */
#define WRITING(name, parameters, types, whole, half, file)              \
    ssize_t name parameters {                                            \
        REAL(ssize_t, name, types);                                      \
        switch (judge(#name, file, "", 0)) {                             \
        case REFUSE: return -1;                                          \
        case HALF: return size / 2 ? real half : (errno = code, -1);     \
        case HALF_AND_DIE: real half; die();                             \
        default: return real whole;                                      \
        }                                                                \
    }
#define TYPES(...) __VA_ARGS__
WRITING(write, (int fd, const void *data, size_t size), TYPES(int, const void *, size_t), (fd, data, size), (fd, data, size / 2), fd)
WRITING(pwrite, (int fd, const void *data, size_t size, off_t at), TYPES(int, const void *, size_t, off_t), (fd, data, size, at), (fd, data, size / 2, at), fd)
WRITING(pwrite64, (int fd, const void *data, size_t size, off_t at), TYPES(int, const void *, size_t, off_t), (fd, data, size, at), (fd, data, size / 2, at), fd)
WRITING(writev, (int fd, const struct iovec *data, int size), TYPES(int, const struct iovec *, int), (fd, data, size), (fd, data, size / 2), fd)
WRITING(sendfile, (int to, int from, off_t *at, size_t size), TYPES(int, int, off_t *, size_t), (to, from, at, size), (to, from, at, size / 2), to)
WRITING(sendfile64, (int to, int from, off_t *at, size_t size), TYPES(int, int, off_t *, size_t), (to, from, at, size), (to, from, at, size / 2), to)

/* Calls that happen or do not. Half of one is none. */
#define CHANGING(name, parameters, types, whole, at, path, frees)        \
    int name parameters {                                                \
        REAL(int, name, types);                                          \
        switch (judge(#name, at, path, frees)) {                         \
        case GO: return real whole;                                      \
        case HALF_AND_DIE: die();                                        \
        default: return errno = code, -1;                                \
        }                                                                \
    }
static int shrinks(int fd, off_t size) {
    struct stat now;
    return !fstat(fd, &now) && now.st_size >= size;
}
/* The path, or one that lies elsewhere if it is there already. */
static const char *missing(int at, const char *path) { return faccessat(at, path, F_OK, 0) ? path : "/"; }
CHANGING(fsync, (int fd), TYPES(int), (fd), fd, "", 0)
CHANGING(fdatasync, (int fd), TYPES(int), (fd), fd, "", 0)
CHANGING(ftruncate, (int fd, off_t size), TYPES(int, off_t), (fd, size), fd, "", shrinks(fd, size))
CHANGING(ftruncate64, (int fd, off_t size), TYPES(int, off_t), (fd, size), fd, "", shrinks(fd, size))
CHANGING(rename, (const char *from, const char *to), TYPES(const char *, const char *), (from, to), AT_FDCWD, to, 0)
CHANGING(renameat, (int at, const char *from, int to_at, const char *to), TYPES(int, const char *, int, const char *), (at, from, to_at, to), to_at, to, 0)
CHANGING(link, (const char *from, const char *to), TYPES(const char *, const char *), (from, to), AT_FDCWD, to, 0)
CHANGING(symlink, (const char *from, const char *to), TYPES(const char *, const char *), (from, to), AT_FDCWD, to, 0)
CHANGING(unlink, (const char *path), TYPES(const char *), (path), AT_FDCWD, path, 1)
CHANGING(unlinkat, (int at, const char *path, int flags), TYPES(int, const char *, int), (at, path, flags), at, path, 1)
CHANGING(rmdir, (const char *path), TYPES(const char *), (path), AT_FDCWD, path, 1)
CHANGING(mkdir, (const char *path, mode_t mode), TYPES(const char *, mode_t), (path, mode), AT_FDCWD, missing(AT_FDCWD, path), 0)
CHANGING(mkdirat, (int at, const char *path, mode_t mode), TYPES(int, const char *, mode_t), (at, path, mode), at, missing(at, path), 0)

/* Opening is a write point where it makes a file or empties one. */
#define OPENING(name, parameters, types, arguments, last, at)            \
    int name parameters {                                                \
        REAL(int, name, types);                                          \
        va_list more;                                                    \
        va_start(more, last);                                            \
        int mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, int) : 0; \
        va_end(more);                                                    \
        int makes = flags & O_CREAT && faccessat(at, path, F_OK, 0);     \
        if (makes || flags & O_TRUNC)                                    \
            switch (judge(#name, at, path, 0)) {                         \
            case GO: break;                                              \
            case HALF_AND_DIE: die();                                    \
            default: return errno = code, -1;                            \
            }                                                            \
        return real arguments;                                           \
    }
OPENING(open, (const char *path, int flags, ...), TYPES(const char *, int, ...), (path, flags, mode), flags, AT_FDCWD)
OPENING(open64, (const char *path, int flags, ...), TYPES(const char *, int, ...), (path, flags, mode), flags, AT_FDCWD)
OPENING(openat, (int at, const char *path, int flags, ...), TYPES(int, const char *, int, ...), (at, path, flags, mode), flags, at)
OPENING(openat64, (int at, const char *path, int flags, ...), TYPES(int, const char *, int, ...), (at, path, flags, mode), flags, at)

#define OPENING_STREAM(name)                                             \
    FILE *name(const char *path, const char *mode) {                     \
        REAL(FILE *, name, const char *, const char *);                  \
        if (strpbrk(mode, "wa"))                                         \
            switch (judge(#name, AT_FDCWD, path, 0)) {                   \
            case GO: break;                                              \
            case HALF_AND_DIE: die();                                    \
            default: return errno = code, NULL;                          \
            }                                                            \
        return real(path, mode);                                         \
    }
OPENING_STREAM(fopen)
OPENING_STREAM(fopen64)

size_t fwrite(const void *data, size_t size, size_t items, FILE *file) {
    REAL(size_t, fwrite, const void *, size_t, size_t, FILE *);
    switch (judge("fwrite", fileno(file), "", 0)) {
    case REFUSE: return 0;
    case HALF: items = real(data, size, items / 2, file); errno = code; return items;
    case HALF_AND_DIE: real(data, 1, size * items / 2, file), fflush(file), die();
    default: return real(data, size, items, file);
    }
}

/* What a stream has gathered is written here, and lost here: fclose tells it, to those who ask. */
#define ENDING_STREAM(name)                                              \
    int name(FILE *file) {                                               \
        REAL(int, name, FILE *);                                         \
        if (file && __fpending(file))                                    \
            switch (judge(#name, fileno(file), "", 0)) {                 \
            case GO: break;                                              \
            case HALF_AND_DIE: die();                                    \
            default: __fpurge(file), real(file), errno = code; return EOF; \
            }                                                            \
        return real(file);                                               \
    }
ENDING_STREAM(fclose)
ENDING_STREAM(fflush)

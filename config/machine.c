// SPDX-License-Identifier: BSD-2-Clause

#include "config/machine.h"

#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"

#define PATH_CAP 4096

// Whether comma-separated names hold this one.
static bool holds(const char *names, const char *name)
{
    const size_t n = strlen(name);
    for (const char *p = names; (p = strstr(p, name)); p += n) {
        if ((p == names || p[-1] == ',') && (p[n] == ',' || p[n] == '\0'))
            return true;
    }
    return false;
}

// Our group's path in the hierarchy of this controller ("" means version 2), from
// lines ID:CONTROLLERS:PATH.  A path outside what we can see counts as the top.
static bool group_path(const char *root, const char *controller, char out[PATH_CAP])
{
    char name[PATH_CAP], line[PATH_CAP];
    snprintf(name, sizeof name, "%s/proc/self/cgroup", root);
    FILE *f = fopen(name, "re");
    bool found = false;
    while (f && !found && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = '\0';
        char *rest = line;
        strsep(&rest, ":");
        const char *const names = strsep(&rest, ":");
        found = rest && (*controller ? holds(names, controller) : !*names);
        if (found)
            copy_string(out, PATH_CAP, strncmp(rest, "/..", 3) == 0 ? "" : rest);
    }
    if (f)
        fclose(f);
    return found;
}

static int64_t bytes_of(const char *line)
{
    int64_t n;
    return sscanf(line, "%" SCNd64, &n) == 1 && n > 0 ? n : INT64_MAX;
}

// "QUOTA PERIOD" or "max PERIOD"
static int64_t cores_of(const char *line)
{
    int64_t quota, period;
    if (sscanf(line, "%" SCNd64 " %" SCNd64, &quota, &period) != 2 || quota <= 0 || period <= 0)
        return INT64_MAX;
    return quota / period + (quota % period != 0);
}

static int64_t limit_in(const char *folder, const char *file, int64_t (*value_of)(const char *))
{
    char name[PATH_CAP + 64], line[128];
    snprintf(name, sizeof name, "%s/%s", folder, file);
    FILE *f = fopen(name, "re");
    if (!f)
        return INT64_MAX;
    const int64_t v = fgets(line, sizeof line, f) ? value_of(line) : INT64_MAX;
    fclose(f);
    return v;
}

// The least limit of our group and of those above it, up to the mount point.
static int64_t group_limit(const char *root, const char *controller, const char *mount,
                           const char *file, int64_t (*value_of)(const char *))
{
    char path[PATH_CAP], folder[PATH_CAP];
    if (!group_path(root, controller, path))
        return INT64_MAX;
    const size_t top = strlen(root) + strlen(mount);
    if (top + strlen(path) >= sizeof folder)
        return INT64_MAX;
    snprintf(folder, sizeof folder, "%s%s%s", root, mount, path);
    int64_t least = limit_in(folder, file, value_of);
    while (strlen(folder) > top) {
        *strrchr(folder, '/') = '\0';
        const int64_t v = limit_in(folder, file, value_of);
        least = v < least ? v : least;
    }
    return least;
}

int machine_cores(const char *root)
{
    cpu_set_t set;
    const bool known = sched_getaffinity(0, sizeof set, &set) == 0;
    const int64_t here = known ? CPU_COUNT(&set) : sysconf(_SC_NPROCESSORS_ONLN);
    const int64_t given = group_limit(root, "", "/sys/fs/cgroup", "cpu.max", cores_of);
    const int64_t least = given < here ? given : here;
    return least < 1 ? 1 : (int)least;
}

int64_t machine_memory(const char *root)
{
    const int64_t v2 = group_limit(root, "", "/sys/fs/cgroup", "memory.max", bytes_of);
    const int64_t v1 =
        group_limit(root, "memory", "/sys/fs/cgroup/memory", "memory.limit_in_bytes", bytes_of);
    const int64_t all = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
    const int64_t least = v1 < v2 ? v1 : v2;
    return all < least ? all : least;
}

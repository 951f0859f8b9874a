// SPDX-License-Identifier: BSD-2-Clause

#include "server/poison.h"

// Its place, -1 for none.
static int find(const struct poison *p, const struct key *version, int64_t now_ms)
{
    for (int i = 0; i < POISON_SOURCES; i++) {
        const struct suspect *const s = &p->suspects[i];
        if (s->crashes && now_ms < s->until_ms && key_equal(&s->version, version))
            return i;
    }
    return -1;
}

bool poison_note(struct poison *p, const struct key *version, int64_t now_ms, int64_t for_ms)
{
    int i = find(p, version, now_ms);
    if (i < 0) {
        i = p->next;
        p->next = (p->next + 1) % POISON_SOURCES;
        p->suspects[i] = (struct suspect){ .version = *version };
    }
    p->suspects[i].until_ms = now_ms + for_ms;
    return ++p->suspects[i].crashes == POISON_CRASHES;
}

bool poison_has(const struct poison *p, const struct key *version, int64_t now_ms)
{
    const int i = find(p, version, now_ms);
    return i >= 0 && p->suspects[i].crashes >= POISON_CRASHES;
}

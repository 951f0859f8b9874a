// SPDX-License-Identifier: BSD-2-Clause
//
// probe_texts - the tracks of subtitles.

#include "codec/av/probe_steps.h"

#include "base/err.h"
#include "base/log.h"
#include "codec/av/text_times.h"

static int add_text(struct probe *p, struct index_track *t)
{
    struct media *m = p->media;
    if (t->refused || m->text_count == MEDIA_TEXTS) {
        log_info("probe", "the subtitles of track %d are left out: %s", t->number,
                 t->refused ? t->why : "there are too many");
        return 0;
    }
    int rc = index_present(t);
    if (rc == 0)
        rc = text_times(&m->texts[m->text_count], t, p->t0, m->video.timescale);
    m->text_count += rc == 0;
    return rc == -E_NOT_FOUND ? 0 : rc;
}

// Where all are preferred, which is what Matroska says of tracks that nobody chose from,
// none is.
static void forget_preferred(struct media *m)
{
    bool all = true;
    for (int i = 0; i < m->text_count; i++)
        all = all && m->texts[i].tags.flags & TAG_PREFERRED;
    for (int i = 0; all && i < m->text_count; i++)
        m->texts[i].tags.flags &= ~(unsigned)TAG_PREFERRED;
}

// Only beside pictures, whose playlists can name them.
int probe_texts(struct probe *p)
{
    int rc = 0;
    for (int i = 0; rc == 0 && p->video.track && i < p->index.track_count; i++)
        if (p->index.tracks[i].text)
            rc = add_text(p, &p->index.tracks[i]);
    forget_preferred(p->media);
    return rc;
}

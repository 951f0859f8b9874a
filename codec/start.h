// SPDX-License-Identifier: BSD-2-Clause
//
// start - where decoding can start: words that all codings share.

#ifndef CODEC_START_H
#define CODEC_START_H

// What a sample is to those before it.
enum start {
    START_NOT,   // it leans on them
    START_CLEAN, // neither it nor what follows leans on them (IDR, a shown key frame)
    START_LED,   // likewise, but for pictures that follow it and are presented before it (CRA)
};

// What begins a sample of which only the first n of size bytes are known.  A packed index
// holds the number.
enum sight {
    SIGHT_UNSEEN,     // the picture begins further behind
    SIGHT_START,      // decoding can start here
    SIGHT_OTHER,      // it cannot
    SIGHT_OTHER_SETS, // headers other than those given stand in it
    SIGHT_DAMAGED,    // it is not stored as its headers say
    SIGHT_DISORDER,   // it can, but its slices do not come in the order of the picture
    SIGHTS,
};

#endif

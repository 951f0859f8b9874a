// SPDX-License-Identifier: BSD-2-Clause
//
// barcode - frame numbers that survive scaling and coding.
//
//   barcode stamp W H [FIRST]   raw yuv420p from stdin to stdout, each frame
//                               with its number (from FIRST, 0) as luma blocks
//   barcode read W H            raw gray frames from stdin; one number a line,
//                               or "?" where the blocks do not add up
//
// Twenty blocks in a row near the top: 16 bits of the number in Gray code, then
// a 4-bit sum.  Read by the mean of each block's inner half.

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCKS 20
#define BITS 16

// Block i: columns [x, x_end), rows [y, y_end).  In proportion to the picture,
// so that it is found again at any size.
struct block {
    int x, x_end, y, y_end;
};

static struct block block_of(int width, int height, int i)
{
    return (struct block){ width * (i + 1) / 22, width * (i + 2) / 22, height / 20,
                           height * 3 / 20 };
}

static unsigned code_of(unsigned n)
{
    const unsigned gray = (n ^ n >> 1) & 0xffff;
    const unsigned sum = (gray + (gray >> 4) + (gray >> 8) + (gray >> 12) + 5) & 15;
    return gray << 4 | sum;
}

static void stamp(uint8_t *luma, int width, int height, unsigned n)
{
    const unsigned code = code_of(n);
    for (int i = 0; i < BLOCKS; i++) {
        const struct block b = block_of(width, height, i);
        const uint8_t value = code >> (BLOCKS - 1 - i) & 1 ? 230 : 25;
        for (int y = b.y; y < b.y_end; y++)
            memset(luma + (size_t)y * (size_t)width + b.x, value, (size_t)(b.x_end - b.x));
    }
}

static int read_block(const uint8_t *luma, int width, struct block b)
{
    const int dx = (b.x_end - b.x) / 4, dy = (b.y_end - b.y) / 4;
    long sum = 0, count = 0;
    for (int y = b.y + dy; y < b.y_end - dy; y++) {
        for (int x = b.x + dx; x < b.x_end - dx; x++, count++)
            sum += luma[(size_t)y * (size_t)width + (size_t)x];
    }
    return sum > 127 * count;
}

static long read_number(const uint8_t *luma, int width, int height)
{
    unsigned code = 0;
    for (int i = 0; i < BLOCKS; i++)
        code = code << 1 | (unsigned)read_block(luma, width, block_of(width, height, i));
    unsigned n = code >> (BLOCKS - BITS);
    for (unsigned shift = 1; shift < BITS; shift <<= 1)
        n ^= n >> shift;
    return code_of(n) == code ? (long)n : -1;
}

static int run(int stamping, int width, int height, unsigned first)
{
    const size_t luma = (size_t)width * (size_t)height;
    const size_t half = (size_t)((width + 1) / 2) * (size_t)((height + 1) / 2);
    const size_t size = stamping ? luma + 2 * half : luma;
    uint8_t *const frame = malloc(size);
    if (!frame)
        return 1;
    for (unsigned n = first; fread(frame, 1, size, stdin) == size; n++) {
        if (stamping) {
            stamp(frame, width, height, n);
            if (fwrite(frame, 1, size, stdout) != size)
                return 1;
        } else {
            const long got = read_number(frame, width, height);
            if (got < 0)
                puts("?");
            else
                printf("%ld\n", got);
        }
    }
    free(frame);
    return 0;
}

int main(int argc, char **argv)
{
    const int stamping = argc > 3 && strcmp(argv[1], "stamp") == 0;
    if (argc < 4 || (!stamping && strcmp(argv[1], "read") != 0)) {
        fprintf(stderr, "usage: barcode stamp|read W H [FIRST]\n");
        return 2;
    }
    return run(stamping, atoi(argv[2]), atoi(argv[3]), argc > 4 ? (unsigned)atoi(argv[4]) : 0);
}

// What the words of device.h must give, by other ways: PTX's documentation, arithmetic
// in 113 bits. Without arguments all is tested; with one, and a number, a kernel of
// words_wrong runs that AddressSanitizer is to stop.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "emulate/launch.h"

typedef unsigned int u32;
typedef unsigned short u16;
#if __LDBL_MANT_DIG__ >= 113
typedef long double quad;
#else
typedef __float128 quad;
#endif

static int failures = 0;
static std::string now; // what is tested

#define WANT(condition, ...) \
  do { \
    if (!(condition) && failures++ < 20) { \
      printf("%s: ", now.c_str()); \
      printf(__VA_ARGS__); \
      printf("\n"); \
    } \
  } while (0)

struct Call {
  u32 *b[4] = {}, p[32] = {}, c[8] = {};
};

static std::string run(const char *kernel, Call &call, unsigned threads, unsigned dynamic = 0, unsigned x = 1, unsigned y = 1, unsigned z = 1) {
  unsigned grid[3] = {x, y, z};
  char error[500];
  int r = ledge_emulate(kernel, grid, threads, dynamic, &call, error, sizeof error);
  if ((r == 0) != (error[0] == 0)) { WANT(false, "result %d and error %s", r, error); }
  return error;
}

static u32 chance() { // xorshift
  static unsigned long long s = 88172645463325252ull;
  s ^= s << 13, s ^= s >> 7, s ^= s << 17;
  return (u32)(s >> 16);
}

static u32 bits(float f) {
  u32 u;
  memcpy(&u, &f, 4);
  return u;
}

static float number(u32 u) {
  float f;
  memcpy(&f, &u, 4);
  return f;
}

// one runs a word for any number of triples.
static std::vector<u32> one(u32 which, std::vector<u32> in, u32 mask = 0) {
  size_t n = in.size() / 3;
  in.resize((n + 31) / 32 * 96);
  std::vector<u32> out((n + 31) / 32 * 32);
  for (size_t i = 0; i < out.size(); i += 32) {
    Call c;
    c.b[0] = &in[3 * i];
    c.b[1] = &out[i];
    c.p[0] = which;
    c.p[1] = mask;
    std::string error = run("words_one", c, 32);
    WANT(error.empty(), "%s", error.c_str());
  }
  out.resize(n);
  return out;
}

static bool is_nan(u16 h) { return (h & 0x7fff) > 0x7c00; }

// exact is a finite half's value.
static quad exact(u16 h) {
  int e = h >> 10 & 31, m = h & 1023;
  quad v = e == 0 ? (quad)ldexp(m, -24) : (quad)ldexp(m + 1024, e - 25);
  return h & 0x8000 ? -v : v;
}

// rounded is the half nearest to a value, by search.
static u16 rounded(quad v, bool minus) {
  quad m = v < 0 ? -v : v;
  u16 sign = minus ? 0x8000 : 0, low = 0, high = 0x7c00;
  while (high - low > 1) {
    u16 middle = (u16)((low + high) / 2);
    (exact(middle) <= m ? low : high) = middle;
  }
  quad above = high == 0x7c00 ? (quad)65536 : exact(high);
  quad down = m - exact(low), up = above - m;
  if (m >= above) { return sign | 0x7c00; }
  return sign | (down < up || (down == up && low % 2 == 0) ? low : high);
}

static void halves_test() {
  now = "halves";
  std::vector<u32> in;
  for (u32 h = 0; h < 65536; h++) { in.insert(in.end(), {h | (65535 - h) << 16, 0, 0}); }
  std::vector<u32> low = one(5, in), high = one(6, in);
  for (u32 h = 0; h < 65536; h++) {
    for (u32 got : {low[h], high[65535 - h]}) {
      if (is_nan((u16)h)) {
        WANT(got == 0x7fffffff, "NaN %04x gives %08x", h, got);
      } else if ((h & 0x7fff) == 0x7c00) {
        WANT(number(got) == (h & 0x8000 ? -INFINITY : INFINITY), "infinity %04x gives %08x", h, got);
      } else {
        WANT((quad)number(got) == exact((u16)h) && got >> 31 == h >> 15, "%04x gives %08x", h, got);
      }
    }
  }
  // Back, with what lies halfway to the next one, and the floats beside that.
  in.clear();
  std::vector<u16> want;
  for (u32 h = 0; h < 0x7c00; h++) {
    float f = (float)exact((u16)h), next = h == 0x7bff ? 65536.0f : (float)exact((u16)(h + 1)), tie = (float)(((double)f + next) / 2);
    u16 even = (u16)(h % 2 == 0 ? h : h + 1);
    for (float sign : {1.0f, -1.0f}) {
      u16 s = sign < 0 ? 0x8000 : 0;
      in.insert(in.end(), {bits(sign * f), bits(sign * tie), 0});
      want.insert(want.end(), {(u16)(s | h), (u16)(s | even)});
      in.insert(in.end(), {bits(sign * nextafterf(tie, 0)), bits(sign * nextafterf(tie, INFINITY)), 0});
      want.insert(want.end(), {(u16)(s | h), (u16)(s | (h + 1))});
    }
  }
  for (float f : {INFINITY, 1e9f, 1e-30f, 1e-45f, 3e38f}) {
    in.insert(in.end(), {bits(f), bits(-f), 0});
    u16 w = f > 1 ? 0x7c00 : 0;
    want.insert(want.end(), {w, (u16)(w | 0x8000)});
  }
  in.insert(in.end(), {0x7fc00000, 0xff800001, 0});
  want.insert(want.end(), {0x7fff, 0x7fff});
  std::vector<u32> out = one(4, in);
  for (size_t i = 0; i < out.size(); i++) {
    WANT(out[i] == (want[2 * i] | (u32)want[2 * i + 1] << 16), "(%a, %a) give %08x, want %04x %04x", number(in[3 * i]), number(in[3 * i + 1]), out[i], want[2 * i + 1], want[2 * i]);
  }
}

// A half that is interesting: subnormal, small, large, any.
static u16 some_half() {
  u16 h = (u16)chance();
  switch (chance() % 4) {
  case 0: return h & 0x83ff;
  case 1: return (h & 0x83ff) | 0x3c00;
  case 2: return (h & 0x8fff) | 0x6000;
  }
  return h;
}

static void arithmetic_test() {
  const char *names[] = {"h2_add", "h2_sub", "h2_mul", "h2_fma"};
  for (u32 which = 0; which < 4; which++) {
    now = names[which];
    std::vector<u32> in;
    for (int i = 0; i < 200000; i++) {
      u32 x = some_half() | (u32)some_half() << 16, y = some_half() | (u32)some_half() << 16, z = some_half() | (u32)some_half() << 16;
      in.insert(in.end(), {x, y, z});
    }
    std::vector<u32> out = one(which, in);
    for (size_t i = 0; i < out.size(); i++) {
      for (int shift : {0, 16}) {
        u16 x = (u16)(in[3 * i] >> shift), y = (u16)(in[3 * i + 1] >> shift), z = (u16)(in[3 * i + 2] >> shift), got = (u16)(out[i] >> shift);
        bool special = (x & 0x7c00) == 0x7c00 || (y & 0x7c00) == 0x7c00 || (which == 3 && (z & 0x7c00) == 0x7c00);
        if (special) { // as double has it, where nothing needs rounding
          auto wide = [](u16 h) { return (h & 0x7c00) != 0x7c00 ? (double)exact(h) : is_nan(h) ? NAN : h & 0x8000 ? -INFINITY : INFINITY; };
          double dx = wide(x), dy = wide(y), d = which == 0 ? dx + dy : which == 1 ? dx - dy : which == 2 ? dx * dy : dx * dy + wide(z);
          u16 want = std::isnan(d) ? 0x7fff : d > 0 ? 0x7c00 : 0xfc00;
          WANT(got == want, "%04x, %04x, %04x give %04x, want %04x", x, y, z, got, want);
          continue;
        }
        quad v = which == 0 ? exact(x) + exact(y) : which == 1 ? exact(x) - exact(y) : exact(x) * exact(y);
        bool minus = which == 2 ? ((x ^ y) & 0x8000) != 0 : which == 3 ? ((x ^ y) & z & 0x8000) != 0 : (x & (which == 1 ? ~y : y) & 0x8000) != 0;
        if (which == 3) { v += exact(z); }
        u16 want = rounded(v, v < 0 || (v == 0 && minus)); // a sum of zeros is -0 if both are
        WANT(got == want, "%04x, %04x, %04x give %04x, want %04x", x, y, z, got, want);
      }
    }
  }
}

static void bits_test() {
  now = "prmt";
  for (int n = 0; n < 3; n++) {
    u32 x = chance(), y = chance();
    std::vector<u32> in;
    for (u32 sel = 0; sel < 65536; sel++) { in.insert(in.end(), {x, y, sel}); }
    std::vector<u32> out = one(7, in);
    unsigned char bytes[8];
    memcpy(bytes, &x, 4);
    memcpy(bytes + 4, &y, 4);
    for (u32 sel = 0; sel < 65536; sel++) {
      for (int i = 0; i < 4; i++) {
        u32 nibble = sel >> 4 * i & 15, byte = bytes[nibble & 7];
        u32 want = nibble < 8 ? byte : byte >= 128 ? 255 : 0;
        WANT((out[sel] >> 8 * i & 255) == want, "byte %d of (%08x, %08x, %04x)", i, x, y, sel);
      }
    }
  }
  now = "bits";
  std::vector<u32> in;
  for (int i = 0; i < 999; i++) { in.push_back(chance()); }
  std::vector<u32> majority = one(8, in), other = one(9, in), masked = one(10, in), most = one(17, in), least = one(18, in);
  for (size_t i = 0; i < majority.size(); i++) {
    u32 x = in[3 * i], y = in[3 * i + 1], z = in[3 * i + 2];
    WANT(majority[i] == ((x & y) | (y & z) | (x & z)), "lop3<0xe8>(%x, %x, %x) is %x", x, y, z, majority[i]);
    WANT(other[i] == (((x & y) | z) ^ x), "lop3<0x1a>(%x, %x, %x) is %x", x, y, z, other[i]);
    WANT(masked[i] == ((x & y) | z), "and_or(%x, %x, %x) is %x", x, y, z, masked[i]);
    WANT(most[i] == (x > y ? x : y) && least[i] == (x > y ? y : x), "max_of and min_of of %x and %x", x, y);
  }
}

static void floats_test() {
  now = "floats";
  const float list[] = {0.0f, -0.0f, 1.0f, -2.5f, 1e-42f, -3e38f, INFINITY, -INFINITY, NAN, 0.1f, 7.0f, -126.5f, 100.25f};
  std::vector<u32> in;
  for (float x : list) {
    for (float y : list) { in.insert(in.end(), {bits(x), bits(y), bits(0.3f)}); }
  }
  std::vector<u32> fused = one(11, in), most = one(12, in), least = one(13, in), size = one(14, in), root = one(15, in), power = one(16, in);
  auto same = [](u32 got, float want) { return std::isnan(want) ? std::isnan(number(got)) : got == bits(want); };
  for (size_t i = 0; i < fused.size(); i++) {
    float x = number(in[3 * i]), y = number(in[3 * i + 1]);
    WANT(same(fused[i], (float)std::fmaf(x, y, 0.3f)), "fma(%a, %a)", x, y);
    bool less = x < y || (x == y && std::signbit(x));
    float greater = std::isnan(x) ? y : std::isnan(y) ? x : less ? y : x, lesser = std::isnan(x) ? y : std::isnan(y) ? x : less ? x : y;
    WANT(same(most[i], greater) && same(least[i], lesser), "max_of and min_of of %a and %a: %08x %08x", x, y, most[i], least[i]);
    WANT(same(root[i], sqrtf(x)), "sqrt_of(%a)", x);
    WANT(size[i] == (in[3 * i] & 0x7fffffff), "abs_of(%a)", x);
    float p = (float)exp2((double)x), got = number(power[i]);
    WANT(same(power[i], p) || fabsf(got - p) <= p * 0x1p-22f, "ex2(%a) is %a", x, got);
  }
}

static void shuffle_test() {
  for (u32 which = 19; which <= 22; which++) {
    now = "shuffle " + std::to_string(which);
    for (u32 mask : {1u, 2u, 16u, 31u, 5u}) {
      std::vector<u32> in;
      for (int i = 0; i < 96; i++) { in.push_back(chance()); }
      std::vector<u32> out = one(which, in, mask);
      for (u32 i = 0; i < 32; i++) {
        u32 from = which % 2 == 1 ? in[3 * i + 1] % 32 : i ^ mask;
        WANT(out[i] == in[3 * from], "lane %u has %x of lane %u", i, out[i], from);
      }
    }
  }
}

// PTX, "Matrix Fragments for mma.m16n8k16": element i of a lane.
static int a_row(int lane, int i) { return lane / 4 + (i % 4 < 2 ? 0 : 8); }
static int a_column(int lane, int i) { return lane % 4 * 2 + i % 2 + (i < 4 ? 0 : 8); }
static int b_row(int lane, int i) { return lane % 4 * 2 + i % 2 + (i < 2 ? 0 : 8); }
static int d_row(int lane, int i) { return lane / 4 + (i < 2 ? 0 : 8); }
static int d_column(int lane, int i) { return lane % 4 * 2 + i % 2; }

static void mma_test(u32 way) {
  now = way == 72 ? "mma of device72.h" : "mma";
  for (int n = 0; n < 50; n++) {
    std::vector<u32> all[4] = {std::vector<u32>(256), std::vector<u32>(128), std::vector<u32>(256), std::vector<u32>(256)};
    double a[2][16][16], b[2][16][8], d[2][16][8];
    auto half = [&](int i) { // the same for the lanes that share it
      u16 h = (u16)(chance() & 0x83ff) | (u16)((10 + (chance() + (u32)i) % 8) << 10);
      return h;
    };
    for (int w = 0; w < 2; w++) {
      for (int lane = 0; lane < 32; lane++) {
        int at = 32 * w + lane;
        for (int i = 0; i < 8; i++) {
          u16 h = half(i);
          a[w][a_row(lane, i)][a_column(lane, i)] = (double)exact(h);
          all[0][4 * at + i / 2] |= (u32)h << 16 * (i % 2);
        }
        for (int i = 0; i < 4; i++) {
          u16 h = half(i);
          b[w][b_row(lane, i)][lane / 4] = (double)exact(h);
          all[1][2 * at + i / 2] |= (u32)h << 16 * (i % 2);
          float f = (float)exact(half(i)) * 3;
          d[w][d_row(lane, i)][d_column(lane, i)] = f;
          all[2][4 * at + i] = bits(f);
        }
      }
    }
    Call c;
    for (int i = 0; i < 4; i++) { c.b[i] = all[i].data(); }
    c.p[0] = way;
    std::string error = run("words_mma", c, 64);
    WANT(error.empty(), "%s", error.c_str());
    for (int w = 0; w < 2; w++) {
      for (int lane = 0; lane < 32; lane++) {
        for (int i = 0; i < 4; i++) {
          int row = d_row(lane, i), column = d_column(lane, i);
          double sum = 0, size = fabs(d[w][row][column]);
          for (int k = 0; k < 16; k++) {
            sum += a[w][row][k] * b[w][k][column];
            size += fabs(a[w][row][k] * b[w][k][column]);
          }
          sum += d[w][row][column];
          float got = number(all[3][4 * (32 * w + lane) + i]);
          WANT(way == 72 ? fabs(got - sum) <= size * 1e-6 : got == (float)sum, "row %d, column %d is %a, want %a", row, column, got, sum);
        }
      }
    }
  }
}

// PTX, ldmatrix: lane l has elements 2 (l % 4) and the next one of row l / 4 of each
// matrix; with .trans, of column l / 4.
static void ldmatrix_test() {
  for (u32 way = 0; way < 4; way++) {
    now = "ldmatrix " + std::to_string(way);
    for (u32 stride : {16u, 48u, 80u}) {
      std::vector<u32> in(128), out(128);
      for (u32 i = 0; i < 256; i++) { in[i / 2] |= i << 16 * (i % 2); } // element i: matrix i / 64, row i / 8 % 8, column i % 8
      Call c;
      c.b[0] = in.data();
      c.b[1] = out.data();
      c.p[0] = way;
      c.p[1] = stride;
      std::string error = run("words_ldmatrix", c, 32, 32 * stride);
      WANT(error.empty(), "%s", error.c_str());
      for (u32 lane = 0; lane < 32; lane++) {
        for (u32 m = 0; m < 4; m++) {
          for (u32 j = 0; j < 2; j++) {
            u32 row = lane / 4, column = 2 * (lane % 4) + j;
            if (way % 2 == 1) { std::swap(row, column); }
            u32 got = out[4 * lane + m] >> 16 * j & 0xffff;
            WANT(got == 64 * m + 8 * row + column, "lane %u, matrix %u, element %u is %u", lane, m, j, got);
          }
        }
      }
    }
  }
}

static void memory_test() {
  now = "stream";
  std::vector<u32> in(160), out(32);
  for (u32 &x : in) { x = chance(); }
  Call c;
  c.b[0] = in.data();
  c.b[1] = out.data();
  std::string error = run("words_stream", c, 32);
  WANT(error.empty(), "%s", error.c_str());
  for (u32 i = 0; i < 32; i++) {
    const u32 *x = &in[4 * i], *y = &in[2 * i];
    WANT(out[i] == x[0] + x[1] + x[2] + x[3] + y[0] + y[1] + in[i] + (x[0] ^ x[1]) + x[2] - x[3], "thread %u", i);
  }
  c.p[0] = 1;
  error = run("words_stream", c, 32);
  WANT(error.find("stream2 of what is not aligned to 8 bytes") != std::string::npos, "%s", error.c_str());

  now = "grid and shared memory";
  std::vector<u32> count(1024 * 5 * 3 * 2);
  c = {};
  c.b[1] = count.data();
  c.p[0] = 3;
  error = run("words_grid", c, 1024, 4096, 5, 3, 2);
  WANT(error.empty(), "%s", error.c_str());
  for (size_t i = 0; i < count.size(); i++) { WANT(count[i] == 1, "thread %zu of block %zu ran %u times", i % 1024, i / 1024, count[i]); }

  now = "copy16";
  std::vector<u32> source(128 * 4 * 5);
  for (u32 &x : source) { x = chance(); }
  for (u32 without = 0; without < 4; without++) {
    std::vector<u32> sums(128);
    c = {};
    c.b[0] = source.data();
    c.b[1] = sums.data();
    c.p[0] = without;
    error = run("words_copy", c, 128);
    WANT(error.empty(), "%s", error.c_str());
    int wrong = 0;
    for (u32 i = 0; i < 128; i++) {
      u32 want = 0;
      for (u32 step = 0; step < 4; step++) {
        for (u32 j = 0; j < 4; j++) { want += source[4 * (128 * step + 127 - i) + j]; }
      }
      wrong += sums[i] != want;
    }
    if (without == 0) {
      WANT(wrong == 0, "%d threads have wrong sums", wrong);
    } else {
      WANT(wrong > 0, "what is left out (%u) is not seen", without);
    }
  }
}

static void wrong_test() {
  now = "errors";
  std::vector<u32> room(2048), written(64);
  auto fails = [&](u32 how, u32 more, const char *want, unsigned threads = 128, const char *kernel = "words_wrong") {
    Call c;
    c.b[0] = c.b[1] = room.data();
    c.b[2] = written.data();
    c.p[0] = how;
    c.p[1] = more;
    std::string error = run(kernel, c, threads, 512);
    WANT(error.find(want) != std::string::npos, "kernel %s, %u: error \"%s\", want \"%s\"", kernel, how, error.c_str(), want);
  };
  fails(0, 0, "kernel words_wrong, block (0, 0, 0), its threads wait for each other: 127 threads in sync_block (the first is thread 0), 1 thread ended (the first is thread 7)");
  fails(1, 0, "its threads wait for each other: 32 threads in sync_block (the first is thread 0), 96 threads ended (the first is thread 32)");
  fails(2, 0, "while other lanes of its warp wait in");
  fails(6, 0, "copy16 to what is not shared memory");
  fails(7, 0, "copy16 to what is not aligned to 16 bytes");
  fails(8, 1, "copy16 from what is not aligned to 16 bytes");
  fails(9, 0, "its shared arrays, the last of them large, take 52512 bytes: more than 49152");
  fails(11, 0, "thread 5: it ends without wait_for_inputs");
  fails(12, 0, "constant4 of what kernels write");
  fails(13, 0, "stream of what kernels write");
  fails(14, 0, "handed1 of what is not the run's");
  fails(15, 0, "copy16 before wait_for_inputs of what kernels write");
  fails(16, 0, "cached before wait_for_inputs");
  fails(17, 0, "load4 before wait_for_inputs");
  fails(18, (u32)((32 - (size_t)room.data() % 32) % 32 / 4), "copy16_in_place to another place in 32 bytes"); // arrays are aligned to 16 alone
  fails(1, 0, "shuffle in a warp of 8 threads", 40);
  fails(0, 0, "a launch of 129 threads, and it is made for at most 128", 129);
  fails(0, 0, "kernel words_none: there is none of this name", 32, "words_none");
#ifndef __SANITIZE_ADDRESS__
  fails(3, 1, "something wrote 0 bytes after its shared array x");
  fails(4, 1, "something wrote 0 bytes after its shared array the launch's");
#endif
  Call none;
  WANT(run("words_wrong", none, 128, 0, 0).find("a grid of 0 x 1 x 1 blocks") != std::string::npos, "an empty grid");
  // Blocks run in any order: the last one to write is not always the same.
  now = "order of blocks";
  u32 seen = 0;
  for (int i = 0; i < 40; i++) {
    Call c;
    c.b[1] = room.data();
    c.p[0] = 10;
    run("words_wrong", c, 1, 512, 4);
    seen |= 1u << room[0];
  }
  WANT(seen == 15, "of four blocks those of %x came last", seen);
}

int main(int count, char **words) {
  if (count > 2) {
    std::vector<u32> room(128);
    Call c;
    c.b[0] = c.b[1] = room.data();
    c.p[0] = (u32)atoi(words[1]);
    c.p[1] = (u32)atoi(words[2]);
    printf("not stopped: %s\n", run("words_wrong", c, 128, 512).c_str());
    return 0;
  }
  halves_test();
  arithmetic_test();
  bits_test();
  floats_test();
  shuffle_test();
  mma_test(80);
  mma_test(72);
  ldmatrix_test();
  memory_test();
  wrong_test();
  printf("%d failures\n", failures);
  return failures != 0;
}

// The best 128 of parts of rows, and the sum of exponentials (package shader's Top): a
// block for 4,096 floats, or for up to 64 lists that such blocks left. b[0] is the arena,
// b[1] the run, b[2] what is read back; parameters are those of top.comp.
//
// Nothing is sorted but the last 128. Candidates are numbers of 64 bits that all differ
// (order.h); the 128th largest is found eight bits at a time, by counting how many have
// each value of the next eight beneath those found so far, and who is no smaller is
// taken. Floats that differ are told apart after three or four rounds; equal ones at the
// cut take up to eight, for then ids decide.
//
// A list is 128 keys, in any order, as many complements of ids, the largest float of the
// part and the sum of exponentials relative to it.
#include "order.h"
#include "functions.h"

namespace {

enum : u32 {
  FIRST = 1, LAST = 2, // places in Args.c
  COUNT = 128, PARTIAL = 2 * COUNT + 2,
  SLOTS = 16, // candidates of a thread
  LISTS = SLOTS * THREADS / COUNT,
  PART = 8 * THREADS,
  WARPS = THREADS / 32,
};

struct Room { // shared memory
  u32x4 bins[64]; // 256 numbers
  u64 list[COUNT];
  float warps[WARPS], sums[WARPS];
  u32 digit, wanted, inside, taken; // see narrow
};

DEVICE float lowest() { return float_of(0xff800000u); }

// log_of is the natural logarithm of a positive normal number, as order.part has it.
DEVICE float log_of(float x) {
  u32 u = bits_of(x);
  if (u >= 0x7f800000u) { return x; }
  int e = (int)(u >> 23) - 127;
  float m = float_of((u & 0x7fffffu) | 0x3f800000u);
  if (m > 1.41421356f) {
    m = m * 0.5f;
    e = e + 1;
  }
  float z = (m - 1.0f) / (m + 1.0f), s = z * z;
  float series = 1.0f + s * (0.333333333f + s * (0.2f + s * (0.142857143f + s * 0.111111111f)));
  return 2.0f * z * series + (float)e * 0.693147181f;
}

DEVICE float warp_max(float x) {
  LOOPED for (u32 distance = 16; distance > 0; distance /= 2) { x = max_of(x, shuffle_xor(x, distance)); }
  return x;
}
DEVICE float warp_sum(float x) {
  LOOPED for (u32 distance = 16; distance > 0; distance /= 2) { x += shuffle_xor(x, distance); }
  return x;
}

// narrow finds in which bin the wanted-th candidate from the top lies: digit is its
// number, inside what it holds, wanted the place in it. Where there are fewer candidates,
// digit is 256. Bins are empty after. One warp does it: a lane has eight bins, the first
// lane the highest.
DEVICE void narrow(Room &room) {
  const u32 lane = thread_id(), low = 248 - 8 * lane, wanted = room.wanted;
  const u32x4 x = room.bins[low / 4], y = room.bins[low / 4 + 1];
  room.bins[low / 4] = room.bins[low / 4 + 1] = {0, 0, 0, 0};
  const u32 count[8] = {x.x, x.y, x.z, x.w, y.x, y.y, y.z, y.w};
  u32 sum = 0;
  UNROLLED for (u32 i = 0; i < 8; i++) { sum += count[i]; }
  u32 above = sum; // with those of the lanes before
  LOOPED for (u32 distance = 1; distance < 32; distance *= 2) {
    u32 before = shuffle(above, (lane - distance) & 31);
    if (lane >= distance) { above += before; }
  }
  if (lane == 31 && above < wanted) { room.digit = 256; }
  above -= sum;
  if (above < wanted && above + sum >= wanted) { // this lane has it
    UNROLLED for (u32 j = 8; j > 0; j--) {
      u32 i = j - 1;
      if (above < wanted && above + count[i] >= wanted) {
        room.digit = low + i;
        room.inside = count[i];
        room.wanted = wanted - above;
      }
      above += count[i];
    }
  }
}

// threshold is a number that COUNT candidates are no smaller than, or all where there
// are fewer. All bins are empty, and wanted is COUNT.
DEVICE u64 threshold(const u64 (&c)[SLOTS], u32 slots, Room &room) {
  u64 prefix = 0;
  LOOPED for (u32 shift = 56;; shift -= 8) {
    UNROLLED for (u32 i = 0; i < SLOTS; i++) {
      // Twice, for a shift by 64 is none.
      if (i < slots && c[i] != 0 && (c[i] >> shift >> 8) == prefix) { shared_add((u32 *)room.bins + ((u32)(c[i] >> shift) & 255), 1); }
    }
    sync_block();
    if (thread_id() < 32) { narrow(room); }
    sync_block();
    const u32 digit = room.digit;
    if (digit > 255) { return 1; }
    prefix = prefix << 8 | digit;
    if (room.inside == room.wanted || shift == 0) { return best_of(prefix << shift, 1); } // 0 is none
  }
}

} // namespace

KERNEL_OF(ENTRY, THREADS, 1) {
  let_next_start();
  wait_for_inputs();
  SHARED_ARRAY(Room, rooms, 1);
  Room &room = rooms[0];
  const u32 n = a.p[2], parts = a.p[3], g = block_y() * 32768 + block_x(), row = g / parts, part = g % parts;
  if (row >= rows_of(a)) { return; } // all of the block
  const u32 id = thread_id(), warp = id / 32;
  if (id < 64) { room.bins[id] = {0, 0, 0, 0}; }
  if (id < COUNT) { room.list[id] = 0; }
  if (id == 0) {
    room.wanted = COUNT;
    room.taken = 0;
  }

  u64 c[SLOTS];
  u32 slots = SLOTS / 2;
  float largest = lowest(), sum = 0;
  if (a.c[FIRST] == 1) {
    const float *const x = (const float *)a.b[0] + a.p[0] + (u64)row * n;
    float v[SLOTS / 2];
    UNROLLED for (u32 h = 0; h < 2; h++) {
      const u32 i = part * PART + h * (PART / 2) + 4 * id;
      const f32x4 w = next4(x, i, n);
      v[4 * h] = w.x, v[4 * h + 1] = w.y, v[4 * h + 2] = w.z, v[4 * h + 3] = w.w;
      UNROLLED for (u32 j = 0; j < 4; j++) {
        c[4 * h + j] = candidate(v[4 * h + j], i + j);
        c[SLOTS / 2 + 4 * h + j] = 0;
        largest = max_of(largest, v[4 * h + j]); // passes NaN over
        if (i + j >= n) { v[4 * h + j] = lowest(); }
      }
    }
    largest = warp_max(largest);
    if (id % 32 == 0) { room.warps[warp] = largest; }
    sync_block();
    UNROLLED for (u32 i = 0; i < WARPS; i++) { largest = max_of(largest, room.warps[i]); }
    UNROLLED for (u32 i = 0; i < SLOTS / 2; i++) {
      if (v[i] != lowest()) { sum += exponential(v[i] - largest); } // NaN if one is NaN
    }
    sum = warp_sum(sum);
    if (id % 32 == 0) { room.sums[warp] = sum; }
  } else {
    const u32 lists = min_of(LISTS, n - part * LISTS);
    const u32 *const from = a.b[0] + a.p[0] + ((u64)row * n + part * LISTS) * PARTIAL;
    slots = (lists * COUNT + THREADS - 1) / THREADS;
    UNROLLED for (u32 i = 0; i < SLOTS; i++) {
      const u32 k = i * THREADS + id, list = k / COUNT;
      c[i] = 0;
      if (list < lists) {
        const u32 *const p = from + list * PARTIAL + k % COUNT;
        c[i] = (u64)p[0] << 32 | p[COUNT];
      }
    }
    if (warp == 0) {
      for (u32 i = id; i < lists; i += 32) { largest = max_of(largest, float_of(from[i * PARTIAL + 2 * COUNT])); }
      largest = warp_max(largest);
      for (u32 i = id; i < lists; i += 32) {
        const float m = float_of(from[i * PARTIAL + 2 * COUNT]);
        if (m != lowest()) { sum = fma(float_of(from[i * PARTIAL + 2 * COUNT + 1]), m == largest ? 1.0f : exponential(m - largest), sum); }
      }
      sum = warp_sum(sum);
    }
    sync_block();
  }

  const u64 least = threshold(c, slots, room);
  UNROLLED for (u32 i = 0; i < SLOTS; i++) {
    if (i < slots && c[i] >= least) { room.list[shared_add(&room.taken, 1)] = c[i]; }
  }
  sync_block();
  if (id == 0 && a.c[FIRST] == 1) {
    sum = 0;
    for (u32 i = 0; i < WARPS; i++) { sum += room.sums[i]; }
  }
  if (a.c[LAST] == 1) {
    // A candidate's place is how many are better. Four threads count for one.
    u32 *const to = a.b[2] + a.p[1] + (u64)row * (2 * COUNT + 1);
    const u32 mine = id / 4;
    const u64 self = room.list[mine];
    u32 place = 0;
    LOOPED for (u32 i = id % 4; i < COUNT; i += 4) {
      const u64 other = room.list[i];
      if (other > self || (other == self && i < mine)) { place++; }
    }
    place += shuffle_xor(place, 1);
    place += shuffle_xor(place, 2);
    if (id % 4 == 0) {
      to[place] = id_of(self);
      to[COUNT + place] = value_of(self);
    }
    if (id == 0) { to[2 * COUNT] = bits_of(sum == 0 ? lowest() : largest + log_of(sum)); }
  } else {
    u32 *const to = a.b[0] + a.p[1] + (u64)g * PARTIAL;
    if (id < COUNT) {
      to[id] = key_of(room.list[id]);
      to[COUNT + id] = (u32)room.list[id];
    }
    if (id == 0) {
      to[2 * COUNT] = bits_of(largest);
      to[2 * COUNT + 1] = bits_of(sum);
    }
  }
}

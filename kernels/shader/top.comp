// The best 128 of parts of rows, sorted, and the sum of exponentials (package
// shader's Top): a workgroup for 1,024 floats, or for eight such results. B0 is the
// arena, B1 the run, B2 what is read back.
CONSTANT(1, FIRST)
CONSTANT(2, LAST)
INCLUDE(order)
SHARED(uint, keys, 1024)
SHARED(uint, ids, 1024)
SHARED(float, red, WG)
#define RED(i) red[i]
// Whether candidate a stands before b.
#define BEFORE(a, b) (keys[a] > keys[b] || (keys[a] == keys[b] && ids[a] < ids[b]))
#define SWAP(a, b) { uint k = keys[a]; keys[a] = keys[b]; keys[b] = k; k = ids[a]; ids[a] = ids[b]; ids[b] = k; }
#define PARTIAL 258u

KERNEL(top) {
  LOCAL(uint, keys, 1024)
  LOCAL(uint, ids, 1024)
  LOCAL(float, red, WG)
  uint n = PARAM(2);
  uint parts = PARAM(3);
  uint rows = EXTENT(B1, PARAM(4), PARAM(5));
  uint g = GROUP_Y * 32768u + GROUP_X;
  uint row = g / parts;
  bool live = row < rows;
  if (!live) { row = 0u; }
  uint part = g % parts;
  float infinity = UF(0x7f800000u);
  float largest = 0.0f - infinity;
  float sum = 0.0f;

  if (FIRST == 1u) {
    uint begin = part * 1024u;
    uint from = PARAM(0) + row * n;
    uint best = 0u;
    for (uint i = LID; i < 1024u; i += WG) {
      uint k = 0u;
      uint id = 0xffffffffu;
      if (begin + i < n) {
        k = order_key(B0[from + begin + i]);
        if (k > 0u) { id = begin + i; }
      }
      keys[i] = k;
      ids[i] = id;
      best = UMAX(best, k);
    }
    red[LID] = best > 0u ? UF(key_bits(best)) : largest;
    BARRIER;
    for (uint tree = 64u; tree > 0u; tree = tree >> 1) {
      if (LID < tree) { red[LID] = FMAX(red[LID], red[LID + tree]); }
      BARRIER;
    }
    largest = red[0];
    BARRIER;
    for (uint i = LID; i < 1024u && begin + i < n; i += WG) {
      float v = UF(B0[from + begin + i]);
      if (FU(v) != 0xff800000u) { sum = sum + EXP(v - largest); }
    }
    TREE_SUM(RED, sum)
    sum = red[0];
    BARRIER;
    // Sorts of 128, in turn down and up.
    for (uint size = 2u; size <= 128u; size = size * 2u) {
      for (uint step = size / 2u; step > 0u; step = step / 2u) {
        for (uint i = LID; i < 512u; i += WG) {
          uint a = (i / step) * (2u * step) + i % step;
          uint b = a + step;
          bool down = (a & size) == 0u;
          if (down ? BEFORE(b, a) : BEFORE(a, b)) { SWAP(a, b) }
        }
        BARRIER;
      }
    }
  } else {
    // Lists 1, 3, 5, 7 are read backwards.
    for (uint i = LID; i < 1024u; i += WG) {
      uint list = i / 128u;
      uint j = (list & 1u) == 0u ? i % 128u : 127u - i % 128u;
      uint k = 0u;
      uint id = 0xffffffffu;
      if (part * 8u + list < n) {
        uint at = PARAM(0) + (row * n + part * 8u + list) * PARTIAL + j;
        k = B0[at];
        id = B0[at + 128u];
      }
      keys[i] = k;
      ids[i] = id;
    }
    uint lists = UMIN(8u, n - part * 8u);
    uint at = PARAM(0) + (row * n + part * 8u) * PARTIAL + 256u;
    for (uint i = 0u; i < lists; i++) { largest = FMAX(largest, UF(B0[at + i * PARTIAL])); }
    for (uint i = 0u; i < lists; i++) {
      float m = UF(B0[at + i * PARTIAL]);
      if (FU(m) != 0xff800000u) { sum = FMA(UF(B0[at + i * PARTIAL + 1u]), m == largest ? 1.0f : EXP(m - largest), sum); }
    }
    BARRIER;
  }

  // Two lists at a time, one down and one up, become the best 128 of both.
  for (uint size = 128u; size < 1024u; size = size * 2u) {
    for (uint i = LID; i < 65536u / size; i += WG) {
      uint a = (i / 128u) * (2u * size) + i % 128u;
      uint b = a + size;
      if (BEFORE(b, a)) { SWAP(a, b) }
    }
    BARRIER;
    for (uint step = 64u; step > 0u; step = step / 2u) {
      for (uint i = LID; i < 32768u / size; i += WG) {
        uint list = i / 64u;
        uint j = i % 64u;
        uint a = list * (2u * size) + (j / step) * (2u * step) + j % step;
        uint b = a + step;
        if ((list & 1u) == 0u ? BEFORE(b, a) : BEFORE(a, b)) { SWAP(a, b) }
      }
      BARRIER;
    }
  }

  if (live) {
    if (LAST == 1u) {
      uint to = PARAM(1) + row * 257u;
      B2[to + LID] = ids[LID];
      B2[to + 128u + LID] = key_bits(keys[LID]);
      if (LID == 0u) { B2[to + 256u] = FU(sum == 0.0f ? 0.0f - infinity : largest + log_of(sum)); }
    } else {
      uint to = PARAM(1) + g * PARTIAL;
      B0[to + LID] = keys[LID];
      B0[to + 128u + LID] = ids[LID];
      if (LID == 0u) {
        B0[to + 256u] = FU(largest);
        B0[to + 257u] = FU(sum);
      }
    }
  }
}

// Norms and rotates heads of q and k, stores k and v (package shader's RopeCache):
// a workgroup for a row and head. B0 is the arena, B1 the run, B2 the keys, B3 the
// values.
CONSTANT(1, KEY_DIM)
CONSTANT(2, F32)
CONSTANT(3, QNORM)
CONSTANT(4, KNORM)
CONSTANT(5, PAIRS)
CONSTANT(6, DIMS)
SHARED(float, red, WG)
SHARED(float, turned, KEY_DIM + 1u)
#define RED(i) red[i]
#define NORMED(k) (norm ? RMS(UF(B0[x + k]), factor) * UF(B0[weight + k]) : UF(B0[x + k]))

KERNEL(rope_cache) {
  LOCAL(float, red, WG)
  LOCAL(float, turned, KEY_DIM + 1u)
  uint heads = PARAM(11);
  uint kv = PARAM(12);
  uint vdim = PARAM(13);
  uint per = heads + 2u * kv;
  uint g = GROUP_Y * 32768u + GROUP_X;
  uint row = g / per;
  uint head = g % per;
  bool live = row < HANDED(0u);
  if (!live) { row = 0u; }
  bool query = head < heads;
  bool key = !query && head < heads + kv;
  if (!query) { head = key ? head - heads : head - heads - kv; }

  uint slot = 0u;
  uint page = 0u;
  if (live && !query) {
    uint info = PARAM(10) + 4u * row;
    slot = HANDED(info);
    page = HANDED(HANDED(info + 1u) + slot / 64u) * kv + head;
  }

  INPUTS;
  uint x = PARAM(0) + row * PARAM(2);
  uint weight = 0u;
  bool norm = false;
  if (query) {
    x = x + PARAM(3) + head * KEY_DIM;
    weight = PARAM(6);
    norm = QNORM == 1u;
  } else if (key) {
    x = x + PARAM(4) + head * KEY_DIM;
    weight = PARAM(7);
    norm = KNORM == 1u;
  } else {
    x = x + PARAM(5) + head * vdim;
  }

  float factor = 1.0f;
  if (QNORM == 1u || KNORM == 1u) {
    float sum = 0.0f;
    if (norm) {
      for (uint k = LID; k < KEY_DIM; k += WG) {
        float v = UF(B0[x + k]);
        sum = FMA(v, v, sum);
      }
    }
    TREE_SUM(RED, sum)
    factor = RMS_FACTOR(RED(0u), KEY_DIM, UF(PARAM(8)));
  }
  if (query || key) {
    uint table = PARAM(9) + row * DIMS;
    for (uint j = LID; j < DIMS / 2u; j += WG) {
      float c = UF(B1[table + j]);
      float s = UF(B1[table + DIMS / 2u + j]);
      uint first = PAIRS == 1u ? 2u * j : j;
      uint second = PAIRS == 1u ? first + 1u : first + DIMS / 2u;
      float u = NORMED(first);
      float v = NORMED(second);
      turned[first] = FMA(u, c, 0.0f - v * s);
      turned[second] = FMA(u, s, v * c);
    }
    for (uint k = DIMS + LID; k < KEY_DIM; k += WG) { turned[k] = NORMED(k); }
  }
  BARRIER;

  if (live && query) {
    for (uint k = LID; k < KEY_DIM; k += WG) { B0[PARAM(1) + (row * heads + head) * KEY_DIM + k] = FU(turned[k]); }
  } else if (live) {
    uint dim = key ? KEY_DIM : vdim;
    uint words = F32 == 1u ? dim : (dim + 1u) / 2u;
    for (uint w = LID; w < words; w += WG) {
      uint word = 0u;
      if (F32 == 1u) {
        word = key ? FU(turned[w]) : B0[x + w];
      } else {
        word = half_bits(key ? turned[2u * w] : UF(B0[x + 2u * w]));
        if (2u * w + 1u < dim) {
          word = word | (half_bits(key ? turned[2u * w + 1u] : UF(B0[x + 2u * w + 1u])) << 16);
        }
      }
      if (key) {
        B2[(page * words + w) * 64u + slot % 64u] = word;
      } else {
        B3[(page * 64u + slot % 64u) * words + w] = word;
      }
    }
  }
}

// Attention over a paged cache (package shader's Attention). A workgroup takes the
// heads of one key-value head, of one or of several rows that follow each other in
// a segment, and 256 positions at a time: a split. An invocation computes the scores
// of two positions; then it adds up two dims of the values of every GROUPS-th
// position. What is outside of what a row sees has the weight 0, which changes no
// bit, so that a row's result does not depend on the rows beside it. What adds up
// over the splits is in shared memory and in the result itself, not in registers.
// B0 is the arena, B1 the run, B2 the keys, B3 the values.
CONSTANT(1, KEY_DIM)
CONSTANT(2, VALUE_DIM)
CONSTANT(3, F32)
CONSTANT(4, HEADS)
CONSTANT(5, ROWS)
CONSTANT(6, MANY)
CONSTANT(7, CAUSAL)
CONSTANT(8, CAP)
INCLUDE(attention)
#define QUERIES (HEADS * ROWS)
#define KEY_PAIRS ((KEY_DIM + 1u) / 2u)
#define VALUE_PAIRS ((VALUE_DIM + 1u) / 2u)
#define KEY_WORDS (F32 == 1u ? KEY_DIM : KEY_PAIRS)
#define VALUE_WORDS (F32 == 1u ? VALUE_DIM : VALUE_PAIRS)
#define OWN ((VALUE_PAIRS + WG - 1u) / WG)
#define GROUPS (VALUE_PAIRS >= WG ? 1u : WG / VALUE_PAIRS)
// Loads that are on their way at once: pairs of a key, positions of values.
#define AHEAD (KEY_PAIRS % 4u == 0u ? 4u : 1u)
#define DEEP 4u
SHARED(float, queries, 2u * KEY_PAIRS * QUERIES)
SHARED(float, scores, 256u * QUERIES)
SHARED(float, red, WG)
SHARED(float, state, 5u * QUERIES)
SHARED(uint, page, 4u)
// Of each query: the maximum of this split; maximum and sum of all up to it; the
// factors of what was there before and of this split.
#define HERE(q) state[q]
#define TOP(q) state[QUERIES + (q)]
#define SUM(q) state[2u * QUERIES + (q)]
#define KEEP(q) state[3u * QUERIES + (q)]
#define TAKE(q) state[4u * QUERIES + (q)]
// Whether query q is one, and its place among the rows' heads.
#define IS_QUERY(q) ((q) / HEADS < rows && part + (q) % HEADS < group)
#define PLACE(q) ((row0 + (q) / HEADS) * heads + kv * group + part + (q) % HEADS)
// PUT adds value to dim d of query q.
#define PUT(q, d, value) \
  if (IS_QUERY(q)) { \
    if (whole) { \
      uint at = PARAM(1) + PLACE(q) * VALUE_DIM + (d); \
      float all = (value) * TAKE(q); \
      if (s > split) { all = FMA(UF(B0[at]), KEEP(q), all); } \
      if (s + 1u == stop && SUM(q) != 0.0f) { all = all / SUM(q); } \
      B0[at] = FU(all); \
    } else { \
      B0[PARAM(2) + (PLACE(q) * most + GROUP_Z) * (VALUE_DIM + 2u) + (d)] = FU(value); \
    } \
  }

KERNEL(attention) {
  LOCAL(float, queries, 2u * KEY_PAIRS * QUERIES)
  LOCAL(float, scores, 256u * QUERIES)
  LOCAL(float, red, WG)
  LOCAL(float, state, 5u * QUERIES)
  LOCAL(uint, page, 4u)
  uint window = PARAM(7);
  uint heads = PARAM(4);
  uint kv_heads = PARAM(5);
  uint group = heads / kv_heads;
  uint kv = GROUP_Y / PARAM(6);
  uint part = (GROUP_Y % PARAM(6)) * HEADS; // first head within the group
  uint most = ATTENTION_SPLITS(B1, window, PARAM(10));
  bool whole = MANY == 1u || most <= 1u; // the result is written here, not merged

  // The rows of each segment are cut into tiles of ROWS: which one is this?
  uint row0 = GROUP_X;
  uint rows = 1u;
  if (ROWS > 1u) {
    uint tile = GROUP_X;
    uint n = B1[PARAM(3) + 2u] - B1[PARAM(3)] + 1u; // rows of the segment from row0 on
    row0 = 0u;
    while (row0 < B1[0] && tile >= (n + ROWS - 1u) / ROWS) {
      tile = tile - (n + ROWS - 1u) / ROWS;
      row0 = row0 + n;
      uint next = PARAM(3) + 4u * UMIN(row0, B1[0] - 1u);
      n = B1[next + 2u] - B1[next] + 1u;
    }
    row0 = row0 + tile * ROWS;
    rows = UMIN(ROWS, n - tile * ROWS);
  }
  bool idle = row0 >= B1[0];
  if (idle) { row0 = 0u; }
  uint info = PARAM(3) + 4u * row0;
  uint slot0 = B1[info];
  uint slot1 = slot0 + rows - 1u;
  uint pages = B1[info + 1u];
  uint last = B1[info + 2u];
  uint begin = ATTENTION_LOW(slot0, window);
  uint end = ATTENTION_HIGH(slot1, last, CAUSAL, window);
  uint split = begin / 256u;
  uint stop = (end + 255u) / 256u;
  if (MANY == 0u) {
    split = split + GROUP_Z;
    stop = UMIN(stop, split + 1u);
  }
  if (idle || split >= stop) {
    rows = 0u;
    end = 0u;
    stop = split;
  }

  for (uint i = LID; i < 2u * KEY_PAIRS * QUERIES; i += WG) {
    uint q = (i / 2u) % QUERIES;
    uint d = i / (2u * QUERIES) * 2u + i % 2u;
    float v = 0.0f;
    if (IS_QUERY(q) && d < KEY_DIM) { v = UF(B0[PARAM(0) + PLACE(q) * KEY_DIM + d]) * UF(PARAM(8)); }
    queries[i] = v;
  }
  if (LID < QUERIES) {
    TOP(LID) = ATTENTION_NONE;
    SUM(LID) = 0.0f;
  }

  // The body runs once at least, and only once where each split has a workgroup:
  // PoCL takes a condition around barriers for something else than it is.
  uint s = split;
  do {
    uint base = s * 256u;
    uint from = UMAX(begin, base) - base;
    uint to = end == 0u ? 0u : UMIN(end - base, 256u);
    if (LID < 4u && 64u * LID < to) { page[LID] = B1[pages + 4u * s + LID]; }
    BARRIER;

    // Scores. A position that is not there reads one that is.
    float score[2u * QUERIES];
    UNROLL for (uint q = 0u; q < 2u * QUERIES; q++) { score[q] = 0.0f; }
    if ((LID >= from && LID < to) || (LID + WG >= from && LID + WG < to)) {
      uint p0 = UMIN(UMAX(LID, from), to - 1u);
      uint p1 = UMIN(UMAX(LID + WG, from), to - 1u);
      uint at0 = (page[p0 / 64u] * kv_heads + kv) * KEY_WORDS * 64u + p0 % 64u;
      uint at1 = (page[p1 / 64u] * kv_heads + kv) * KEY_WORDS * 64u + p1 % 64u;
      for (uint d = 0u; d < KEY_PAIRS; d += AHEAD) {
        vec4 k[AHEAD];
        UNROLL for (uint j = 0u; j < AHEAD; j++) {
          if (F32 == 1u) {
            uint i = 128u * (d + j);
            k[j] = VEC4(UF(B2[at0 + i]), 0.0f, UF(B2[at1 + i]), 0.0f);
            if (2u * (d + j) + 1u < KEY_DIM) {
              k[j].y = UF(B2[at0 + i + 64u]);
              k[j].w = UF(B2[at1 + i + 64u]);
            }
          } else {
            uint w0 = B2[at0 + 64u * (d + j)];
            uint w1 = B2[at1 + 64u * (d + j)];
            k[j] = VEC4(HALF_LO(w0), HALF_HI(w0), HALF_LO(w1), HALF_HI(w1));
          }
        }
        UNROLL for (uint j = 0u; j < AHEAD; j++) {
          UNROLL for (uint q = 0u; q < QUERIES; q++) {
            float q0 = queries[2u * ((d + j) * QUERIES + q)];
            float q1 = queries[2u * ((d + j) * QUERIES + q) + 1u];
            score[q] = FMA(q1, k[j].y, FMA(q0, k[j].x, score[q]));
            score[QUERIES + q] = FMA(q1, k[j].w, FMA(q0, k[j].z, score[QUERIES + q]));
          }
        }
      }
    }
    UNROLL for (uint i = 0u; i < 2u * QUERIES; i++) {
      uint q = i % QUERIES;
      uint p = LID + i / QUERIES * WG;
      uint low = ATTENTION_LOW(slot0 + q / HEADS, window);
      uint high = ATTENTION_HIGH(slot0 + q / HEADS, last, CAUSAL, window);
      float x = ATTENTION_NONE;
      if (p >= from && p < to && base + p >= low && base + p < high) {
        x = score[i];
        if (CAP == 1u) { x = soft_cap(UF(PARAM(9)), x); }
      }
      scores[p * QUERIES + q] = x;
    }
    BARRIER;

    // Sixteen invocations for each query find the maximum, then one of them.
    if (LID / 16u < QUERIES) {
      float x = ATTENTION_NONE;
      for (uint i = LID % 16u; i < 256u; i += 16u) { x = FMAX(x, scores[i * QUERIES + LID / 16u]); }
      red[LID] = x;
    }
    BARRIER;
    if (LID < QUERIES) {
      float x = red[16u * LID];
      for (uint i = 1u; i < 16u; i++) { x = FMAX(x, red[16u * LID + i]); }
      HERE(LID) = x;
    }
    BARRIER;
    for (uint i = LID; i < 256u * QUERIES; i += WG) {
      float x = scores[i];
      scores[i] = x == ATTENTION_NONE ? 0.0f : EXP(x - HERE(i % QUERIES));
    }
    BARRIER;
    if (LID / 16u < QUERIES) {
      float x = 0.0f;
      for (uint i = LID % 16u; i < 256u; i += 16u) { x = x + scores[i * QUERIES + LID / 16u]; }
      red[LID] = x;
    }

    // Values: positions mine, mine + GROUPS, ... from the first that is there.
    float acc0[QUERIES * OWN];
    float acc1[QUERIES * OWN];
    UNROLL for (uint i = 0u; i < QUERIES * OWN; i++) {
      acc0[i] = 0.0f;
      acc1[i] = 0.0f;
    }
    uint mine = GROUPS == 1u ? 0u : LID / VALUE_PAIRS;
    uint pair = LID - mine * VALUE_PAIRS;
    if (mine < GROUPS && pair < VALUE_PAIRS) {
      uint t = (from + GROUPS - 1u - mine) / GROUPS * GROUPS + mine;
      for (; t < to; t += DEEP * GROUPS) {
        UNROLL for (uint o = 0u; o < OWN; o++) {
          uint w = UMIN(pair + o * WG, VALUE_PAIRS - 1u);
          vec2 v[DEEP];
          UNROLL for (uint j = 0u; j < DEEP; j++) {
            uint p = UMIN(t + j * GROUPS, to - 1u);
            uint at = ((page[p / 64u] * kv_heads + kv) * 64u + p % 64u) * VALUE_WORDS;
            if (F32 == 1u) {
              v[j].x = UF(B3[at + 2u * w]);
              v[j].y = UF(B3[at + UMIN(2u * w + 1u, VALUE_DIM - 1u)]);
            } else {
              uint word = B3[at + w];
              v[j].x = HALF_LO(word);
              v[j].y = HALF_HI(word);
            }
          }
          UNROLL for (uint j = 0u; j < DEEP; j++) {
            uint p = t + j * GROUPS;
            if (p < to) {
              UNROLL for (uint q = 0u; q < QUERIES; q++) {
                float weight = scores[p * QUERIES + q];
                acc0[q * OWN + o] = FMA(weight, v[j].x, acc0[q * OWN + o]);
                acc1[q * OWN + o] = FMA(weight, v[j].y, acc1[q * OWN + o]);
              }
            }
          }
        }
      }
    }
    BARRIER;

    // The sum of the weights, and how this split adds to those before it.
    if (LID < QUERIES) {
      float top = TOP(LID);
      float sum = SUM(LID);
      float m = HERE(LID);
      float l = red[16u * LID];
      for (uint i = 1u; i < 16u; i++) { l = l + red[16u * LID + i]; }
      float keep = 0.0f;
      float take = 0.0f;
      if (!whole && IS_QUERY(LID)) {
        uint at = PARAM(2) + (PLACE(LID) * most + GROUP_Z) * (VALUE_DIM + 2u) + VALUE_DIM;
        B0[at] = FU(m);
        B0[at + 1u] = FU(l);
      }
      ATTENTION_MERGE(top, sum, m, l, keep, take)
      TOP(LID) = top;
      SUM(LID) = sum;
      KEEP(LID) = keep;
      TAKE(LID) = take;
    }
    if (OWN == 1u && mine < GROUPS) {
      UNROLL for (uint q = 0u; q < QUERIES; q++) {
        uint i = 256u * q + 2u * LID;
        scores[i] = acc0[q * OWN];
        scores[i + 1u] = acc1[q * OWN];
      }
    }
    BARRIER;
    if (OWN == 1u) {
      for (uint i = LID; i < QUERIES * VALUE_DIM; i += WG) {
        uint q = i / VALUE_DIM;
        uint d = i % VALUE_DIM;
        float x = 0.0f;
        for (uint g = 0u; g < GROUPS; g++) { x = x + scores[256u * q + 2u * g * VALUE_PAIRS + d]; }
        PUT(q, d, x)
      }
    } else {
      UNROLL for (uint q = 0u; q < QUERIES; q++) {
        UNROLL for (uint o = 0u; o < OWN; o++) {
          uint d = 2u * (LID + o * WG);
          if (d < VALUE_DIM) { PUT(q, d, acc0[q * OWN + o]) }
          if (d + 1u < VALUE_DIM) { PUT(q, d + 1u, acc1[q * OWN + o]) }
        }
      }
    }
    s = s + 1u;
  } while (MANY == 1u && s < stop);
}

// Attention over a paged cache (package shader's Attention). A workgroup takes the
// queries (heads of one key-value head, of one or several rows), 256 positions at a
// time: a split. An invocation computes the scores of two positions; then it adds
// up two dims of the values of every GROUPS-th position. What is outside of what a
// row sees has the weight 0, which changes no bit, so that a row's result does not
// depend on the rows beside it. B0 is the arena, B1 the run, B2 the keys, B3 the
// values.
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
SHARED(float, queries, 2u * KEY_PAIRS * QUERIES)
SHARED(float, scores, 256u * QUERIES)
SHARED(float, red, WG)

KERNEL(attention) {
  LOCAL(float, queries, 2u * KEY_PAIRS * QUERIES)
  LOCAL(float, scores, 256u * QUERIES)
  LOCAL(float, red, WG)
  uint window = PARAM(7);
  uint heads = PARAM(4);
  uint kv_heads = PARAM(5);
  uint group = heads / kv_heads;
  uint kv = GROUP_Y / PARAM(6);
  uint part = (GROUP_Y % PARAM(6)) * HEADS; // first head within the group
  uint row0 = GROUP_X * ROWS;
  uint rows = UMIN(ROWS, B1[0] - row0);
  uint most = ATTENTION_SPLITS(B1, window, PARAM(10));
  bool whole = MANY == 1u || most <= 1u; // the result is written here, not merged

  for (uint i = LID; i < 2u * KEY_PAIRS * QUERIES; i += WG) {
    uint q = i / (2u * KEY_PAIRS);
    uint d = i % (2u * KEY_PAIRS);
    uint row = row0 + q / HEADS;
    uint head = part + q % HEADS;
    float v = 0.0f;
    if (q / HEADS < rows && head < group && d < KEY_DIM) {
      v = UF(B0[PARAM(0) + (row * heads + kv * group + head) * KEY_DIM + d]) * UF(PARAM(8));
    }
    queries[i] = v;
  }

  uint low[ROWS];
  uint high[ROWS];
  float score[QUERIES];
  float most_of[QUERIES];
  float sum_of[QUERIES];
  float acc0[QUERIES * OWN];
  float acc1[QUERIES * OWN];
  float top[QUERIES];
  float sum[QUERIES];
  float out0[QUERIES * OWN];
  float out1[QUERIES * OWN];

  // Rows of one segment at a time: they share a page table.
  uint next = 0u;
  for (uint first = 0u; first < rows; first = next) {
    uint info = PARAM(3) + 4u * (row0 + first);
    uint segment = B1[info + 3u];
    for (next = first + 1u; next < rows && B1[PARAM(3) + 4u * (row0 + next) + 3u] == segment; next++) { }
    uint pages = B1[info + 1u];
    BARRIER;
    uint begin = 0xffffffffu;
    uint end = 0u;
    UNROLL for (uint r = 0u; r < ROWS; r++) {
      uint lo = 0u;
      uint hi = 0u;
      if (r >= first && r < next) {
        ATTENTION_RANGE(B1, PARAM(3) + 4u * (row0 + r), CAUSAL, window, lo, hi)
        begin = UMIN(begin, lo);
        end = UMAX(end, hi);
      }
      low[r] = lo;
      high[r] = hi;
    }
    uint split = begin / 256u;
    uint stop = (end + 255u) / 256u;
    if (MANY == 0u) {
      split = split + GROUP_Z;
      stop = UMIN(stop, split + 1u);
    }

    UNROLL for (uint q = 0u; q < QUERIES; q++) {
      top[q] = ATTENTION_NONE;
      sum[q] = 0.0f;
      UNROLL for (uint o = 0u; o < OWN; o++) {
        out0[q * OWN + o] = 0.0f;
        out1[q * OWN + o] = 0.0f;
      }
    }
    bool wrote = split < stop;
    uint nth = GROUP_Z;
    for (; split < stop; split++) {
      uint base = split * 256u;
      uint from = UMAX(begin, base);
      uint to = UMIN(end, base + 256u);

      for (uint side = 0u; side < 256u; side += WG) {
        uint p = base + side + LID;
        UNROLL for (uint q = 0u; q < QUERIES; q++) { score[q] = 0.0f; }
        if (p >= from && p < to) {
          uint at = ((B1[pages + p / 64u] * kv_heads + kv) * KEY_WORDS) * 64u + p % 64u;
          for (uint d = 0u; d < KEY_PAIRS; d++) {
            float k0 = 0.0f;
            float k1 = 0.0f;
            if (F32 == 1u) {
              k0 = UF(B2[at + 128u * d]);
              if (2u * d + 1u < KEY_DIM) { k1 = UF(B2[at + 128u * d + 64u]); }
            } else {
              uint word = B2[at + 64u * d];
              k0 = HALF_LO(word);
              k1 = HALF_HI(word);
            }
            UNROLL for (uint q = 0u; q < QUERIES; q++) {
              uint i = 2u * (q * KEY_PAIRS + d);
              score[q] = FMA(queries[i], k0, score[q]);
              score[q] = FMA(queries[i + 1u], k1, score[q]);
            }
          }
        }
        UNROLL for (uint q = 0u; q < QUERIES; q++) {
          float s = ATTENTION_NONE;
          if (p >= low[q / HEADS] && p < high[q / HEADS]) {
            s = score[q];
            if (CAP == 1u) { s = soft_cap(UF(PARAM(9)), s); }
          }
          scores[256u * q + side + LID] = s;
        }
      }
      BARRIER;

      // Sixteen invocations for each query find the maximum, then all of them.
      if (LID / 16u < QUERIES) {
        float t = ATTENTION_NONE;
        for (uint i = 0u; i < 16u; i++) { t = FMAX(t, scores[256u * (LID / 16u) + 16u * i + LID % 16u]); }
        red[LID] = t;
      }
      BARRIER;
      UNROLL for (uint q = 0u; q < QUERIES; q++) {
        most_of[q] = red[16u * q];
        for (uint i = 1u; i < 16u; i++) { most_of[q] = FMAX(most_of[q], red[16u * q + i]); }
      }
      UNROLL for (uint q = 0u; q < QUERIES; q++) {
        for (uint side = 0u; side < 256u; side += WG) {
          float s = scores[256u * q + side + LID];
          scores[256u * q + side + LID] = s == ATTENTION_NONE ? 0.0f : EXP(s - most_of[q]);
        }
      }
      BARRIER;
      if (LID / 16u < QUERIES) {
        float t = 0.0f;
        for (uint i = 0u; i < 16u; i++) { t = t + scores[256u * (LID / 16u) + 16u * i + LID % 16u]; }
        red[LID] = t;
      }
      UNROLL for (uint q = 0u; q < QUERIES * OWN; q++) {
        acc0[q] = 0.0f;
        acc1[q] = 0.0f;
      }
      uint mine = LID / VALUE_PAIRS;
      uint pair = LID % VALUE_PAIRS;
      if (GROUPS == 1u) {
        mine = 0u;
        pair = LID;
      }
      if (mine < GROUPS) {
        uint t = from - base + GROUPS - 1u - mine;
        for (t = t / GROUPS * GROUPS + mine; t < to - base; t += GROUPS) {
          uint p = base + t;
          uint at = ((B1[pages + p / 64u] * kv_heads + kv) * 64u + p % 64u) * VALUE_WORDS;
          UNROLL for (uint o = 0u; o < OWN; o++) {
            uint w = pair + o * WG;
            float v0 = 0.0f;
            float v1 = 0.0f;
            if (w < VALUE_PAIRS) {
              if (F32 == 1u) {
                v0 = UF(B3[at + 2u * w]);
                if (2u * w + 1u < VALUE_DIM) { v1 = UF(B3[at + 2u * w + 1u]); }
              } else {
                uint word = B3[at + w];
                v0 = HALF_LO(word);
                v1 = HALF_HI(word);
              }
            }
            UNROLL for (uint q = 0u; q < QUERIES; q++) {
              float weight = scores[256u * q + t];
              acc0[q * OWN + o] = FMA(weight, v0, acc0[q * OWN + o]);
              acc1[q * OWN + o] = FMA(weight, v1, acc1[q * OWN + o]);
            }
          }
        }
      }
      BARRIER;
      UNROLL for (uint q = 0u; q < QUERIES; q++) {
        sum_of[q] = red[16u * q];
        for (uint i = 1u; i < 16u; i++) { sum_of[q] = sum_of[q] + red[16u * q + i]; }
      }
      if (GROUPS > 1u && mine < GROUPS) {
        UNROLL for (uint q = 0u; q < QUERIES; q++) {
          uint i = 256u * q + 2u * (mine * VALUE_PAIRS + pair);
          scores[i] = acc0[q * OWN];
          scores[i + 1u] = acc1[q * OWN];
        }
      }
      BARRIER;
      if (GROUPS > 1u && LID < VALUE_PAIRS) {
        UNROLL for (uint q = 0u; q < QUERIES; q++) {
          float a = 0.0f;
          float b = 0.0f;
          for (uint i = 0u; i < GROUPS; i++) {
            a = a + scores[256u * q + 2u * (i * VALUE_PAIRS + LID)];
            b = b + scores[256u * q + 2u * (i * VALUE_PAIRS + LID) + 1u];
          }
          acc0[q * OWN] = a;
          acc1[q * OWN] = b;
        }
      }

      UNROLL for (uint q = 0u; q < QUERIES; q++) {
        float keep = 0.0f;
        float take = 0.0f;
        float m = most_of[q];
        float l = sum_of[q];
        if (whole) {
          ATTENTION_MERGE(top[q], sum[q], m, l, keep, take)
          UNROLL for (uint o = 0u; o < OWN; o++) {
            out0[q * OWN + o] = FMA(out0[q * OWN + o], keep, acc0[q * OWN + o] * take);
            out1[q * OWN + o] = FMA(out1[q * OWN + o], keep, acc1[q * OWN + o] * take);
          }
        } else {
          top[q] = m;
          sum[q] = l;
          UNROLL for (uint o = 0u; o < OWN; o++) {
            out0[q * OWN + o] = acc0[q * OWN + o];
            out1[q * OWN + o] = acc1[q * OWN + o];
          }
        }
      }
      BARRIER;
    }

    UNROLL for (uint q = 0u; q < QUERIES; q++) {
      uint row = q / HEADS;
      uint head = part + q % HEADS;
      if (row >= first && row < next && head < group && (wrote || whole)) {
        uint place = (row0 + row) * heads + kv * group + head;
        uint at = PARAM(1) + place * VALUE_DIM;
        float divide = sum[q] == 0.0f ? 1.0f : sum[q];
        if (!whole) {
          at = PARAM(2) + (place * most + nth) * (VALUE_DIM + 2u);
          divide = 1.0f;
          if (LID == 0u) {
            B0[at + VALUE_DIM] = FU(top[q]);
            B0[at + VALUE_DIM + 1u] = FU(sum[q]);
          }
        }
        UNROLL for (uint o = 0u; o < OWN; o++) {
          uint d = 2u * (LID + o * WG);
          if (d < VALUE_DIM) { B0[at + d] = FU(out0[q * OWN + o] / divide); }
          if (d + 1u < VALUE_DIM) { B0[at + d + 1u] = FU(out1[q * OWN + o] / divide); }
        }
      }
    }
  }
}

// A product's x, normed, as float16 in shared memory (product.cu).

// Where x lies in a warp's part of shared memory, in words: rows, and their sums.
DEVICE u32 row_words(u32 columns) { return columns / 2 + (NT > 1 ? 16 : 0); }
DEVICE u32 sum_words(u32 columns) { return columns / 16; }

// input is a row of x as it is read. Its factors are known, or not yet.
DEVICE Input input(const Args &a, u32 row, const Memory &memory) {
  const u32 k = a.p[0];
  Input in = {};
  in.k = k;
  in.stages = a.p[18];
  in.x = row_at(a.b[2], a.p[3] + (u64)row * k, k);
  if (in.stages > 0 && has(a, F_NORM_WEIGHT)) { in.weight = row_at(a.b[1], a.p[12], k); }
  if (in.stages == 2) {
    in.y = row_at(a.b[2], a.p[16] + (u64)row * k, k);
    if (has(a, F_ADD_WEIGHT)) { in.add_weight = row_at(a.b[1], a.p[14], k); }
  }
  in.factor = memory.factors[2 * row];
  in.add_factor = memory.factors[2 * row + 1];
  return in;
}

// prepare finds the factors of the norms of all rows, or the powers of the slices.
DEVICE void prepare(const Args &a, Memory &memory, u32 rows, u32 begin, u32 end) {
  const u32 lane = thread_id() & 31, warp = thread_id() >> 5;
  LOOPED for (u32 row = 0; row < rows; row++) {
    Input in = input(a, row, memory);
    if (in.stages > 0) {
      float *store = in.stages == 2 && block_x() == 0 ? (float *)a.b[2] + a.p[17] + (u64)row * in.k : nullptr;
      find_factors(in, float_of(a.p[15]), float_of(a.p[13]), store, memory.warps);
      if (thread_id() == 0) {
        memory.factors[2 * row] = in.factor;
        memory.factors[2 * row + 1] = in.add_factor;
      }
    }
    const float power = in.stages == 0 ? 1.0f / slice_power(largest_in(in, begin, end)) : 1.0f;
    if (lane == 0) { memory.powers[warp * NT + row] = power; }
  }
  sync_block();
}

// fill4 puts four columns, of which this is the first of the slice, into place.
DEVICE void fill4(f32x4 x, float power, u32 *to, u32 *sums_to, u32 i, bool live, bool sums) {
  const u32 lane = thread_id() & 31, step = i / 64;
  const u32x2 h = {halves(x.x * power, x.y * power), halves(x.z * power, x.w * power)};
  if (live) { *(u32x2 *)(to + 32 * step + (lane & 8) * 2 + (lane & 3) * 4 + (lane & 4) / 2) = h; }
  if (sums) {
    // Eight in order are those of this lane after those of the one before.
    const float first = half_low(h.x) + half_high(h.x) + half_low(h.y) + half_high(h.y);
    float s = shuffle_xor(first, 1) + half_low(h.x) + half_high(h.x) + half_low(h.y) + half_high(h.y);
    s += shuffle_xor(s, 2);
    const float third = shuffle_xor(s, 8); // 32 columns on
    if ((lane & 11) == 1 && live) { *(u32x2 *)(sums_to + 4 * step + (lane & 4) / 2) = split_sums(s, third); }
  }
}

// fill brings columns of x, from begin to end, into the warp's shared memory: of each
// step the columns of two fragments B side by side for each t.
DEVICE void fill(const Args &a, const Memory &memory, u32 *xs, u32 columns, u32 rows, u32 begin, u32 end, bool sums) {
  const u32 lane = thread_id() & 31, warp = thread_id() >> 5;
  sync_warp();
  LOOPED for (u32 row = 0; row < rows; row++) {
    const Input in = input(a, row, memory);
    const float power = 1.0f / memory.powers[warp * NT + row]; // exact
    u32 *to = xs + row * row_words(columns), *sums_to = xs + NT * row_words(columns) + row * sum_words(columns);
    LOOPED for (u32 at = begin; at < end; at += 256) { // twice 4 columns a lane: what is loaded together
      const u32 i = at + 4 * lane;
      const f32x4 x = normed4(in, added4(in, i), i), y = normed4(in, added4(in, i + 128), i + 128);
      fill4(x, power, to, sums_to, i - begin, i < end, sums);
      fill4(y, power, to, sums_to, i + 128 - begin, i + 128 < end, sums);
    }
  }
  sync_warp();
}

// Held is what a thread has of a row of x, and of the norm's weights, in registers: for a
// product of one row that is short enough, these are read once, and at once.
struct Held {
  enum : u32 { MOST = 16 }; // four columns each
  bool normed;              // x is to be normed, and weights are here
  f32x4 x[MOST], weights[MOST / 2];
};

// hold_weights reads a norm's weights, if x will be held: columns 1024 m + 4 thread_id().
DEVICE Held hold_weights(const Args &a) {
  Held h;
  const u32 k = a.p[0];
  h.normed = NT == 1 && a.p[18] == 1 && k <= 4 * 256 * Held::MOST / 2 && k % 4 == 0 && a.p[3] % 4 == 0 && a.p[12] % 4 == 0;
  if (h.normed) {
    UNROLLED for (u32 m = 0; m < Held::MOST / 2; m++) {
      h.weights[m] = {1, 1, 1, 1};
      if (has(a, F_NORM_WEIGHT) && 1024 * m < k) { h.weights[m] = constant4((const float *)a.b[1] + a.p[12] + min_of(1024 * m + 4 * thread_id(), k - 4)); }
    }
  }
  return h;
}

// fill_normed norms a row by norm.h's sums and brings it to all warps' shared memory: who
// has read four columns norms them and finds the slice that they are of.
DEVICE void fill_normed(const Args &a, Memory &memory, Held &h, u32 *all, u32 unit_steps, bool sums) {
  const u32 id = thread_id(), columns = a.c[4], words = row_words(columns) + sum_words(columns);
  const u32 units = units_of(a, unit_steps), slices = min_of(units, (u32)WARPS), padded = units * unit_steps * 64;
  const Input in = input(a, 0, memory);
  UNROLLED for (u32 m = 0; m < Held::MOST / 2; m++) {
    h.x[m] = {0, 0, 0, 0};
    if (1024 * m < in.k) { h.x[m] = load4(in.x.p + min_of(1024 * m + 4 * id, in.k - 4)); }
  }
  f32x4 s = {0, 0, 0, 0};
  UNROLLED for (u32 m = 0; m < Held::MOST / 2; m++) {
    if (1024 * m + 4 * id >= in.k) { h.x[m] = {0, 0, 0, 0}; }
    s = add_squares(h.x[m], s);
  }
  const float factor = rms_factor(block_sum((s.x + s.y) + (s.z + s.w), memory.warps), in.k, float_of(a.p[13]));
  if (id < WARPS) { memory.powers[id] = 1; }
  const float inverse = 1.0f / (float)units;
  UNROLLED for (u32 m = 0; m < Held::MOST / 2; m++) {
    if (1024 * m >= padded) { break; }
    const u32 i = 1024 * m + 4 * id, unit = min_of(i, padded - 4) / (64 * unit_steps);
    // The last slice that begins at the unit or before it: ((unit + 1) * slices - 1) / units.
    const u32 slice = (u32)(((float)((unit + 1) * slices - 1) + 0.5f) * inverse);
    const u32 begin = (slices == WARPS ? slice * units / WARPS : slice) * unit_steps * 64;
    const f32x4 w = h.weights[m];
    f32x4 x = {h.x[m].x * factor, h.x[m].y * factor, h.x[m].z * factor, h.x[m].w * factor};
    if (has(a, F_NORM_WEIGHT)) { x = {x.x * w.x, x.y * w.y, x.z * w.z, x.w * w.w}; }
    u32 *to = all + slice * words;
    fill4(x, 1, to, to + row_words(columns), i - begin, i < padded, sums);
  }
  sync_block();
}

// fill_held is for a row that is not normed: a warp reads its slice, finds its power and
// brings it to its shared memory.
DEVICE void fill_held(const Args &a, Memory &memory, Held &h, u32 *xs, u32 begin, u32 end, bool sums) {
  const u32 lane = thread_id() & 31, warp = thread_id() >> 5;
  const Input in = input(a, 0, memory);
  UNROLLED for (u32 m = 0; m < Held::MOST; m++) {
    h.x[m] = {0, 0, 0, 0};
    if (begin + 128 * m < end) { h.x[m] = load4(in.x.p + min_of(begin + 128 * m + 4 * lane, in.k - 4)); }
  }
  float largest = 0;
  UNROLLED for (u32 m = 0; m < Held::MOST; m++) {
    f32x4 &x = h.x[m];
    if (begin + 128 * m + 4 * lane >= in.k) { x = {0, 0, 0, 0}; }
    if (begin + 128 * m + 4 * lane < end) {
      largest = max_of(largest, max_of(max_of(abs_of(x.x), abs_of(x.y)), max_of(abs_of(x.z), abs_of(x.w))));
    }
  }
  LOOPED for (u32 distance = 16; distance > 0; distance /= 2) { largest = max_of(largest, shuffle_xor(largest, distance)); }
  const float power = slice_power(largest);
  if (lane == 0) { memory.powers[warp] = 1.0f / power; }
  UNROLLED for (u32 m = 0; m < Held::MOST; m++) {
    const u32 i = 128 * m + 4 * lane;
    if (begin + 128 * m < end) { fill4(h.x[m], power, xs, xs + row_words(a.c[4]), i, begin + i < end, sums); }
  }
  sync_warp();
}

// ready makes x ready to be read, if shared memory holds all of a slice.
DEVICE void ready(const Args &a, Memory &memory, Held &h, u32 *xs, u32 rows, const Slice &slice, u32 unit_steps, bool sums) {
  const u32 begin = slice.begin * 64, end = begin + slice.steps * 64, warp = thread_id() >> 5;
  if (NT == 1 && h.normed) {
    fill_normed(a, memory, h, xs - warp * (row_words(a.c[4]) + sum_words(a.c[4])), unit_steps, sums);
    return;
  }
  if (NT == 1 && a.p[18] == 0 && a.c[4] <= 128 * Held::MOST && a.p[0] % 4 == 0 && a.p[3] % 4 == 0) {
    fill_held(a, memory, h, xs, begin, end, sums);
    return;
  }
  prepare(a, memory, rows, begin, end);
  if (WHOLE || end - begin <= a.c[4]) { fill(a, memory, xs, a.c[4], rows, begin, end, sums); }
}

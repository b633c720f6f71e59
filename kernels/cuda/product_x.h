// A product's x, normed, as float16 in shared memory (product.cu).

// Where x lies in a warp's part of shared memory, in words: rows, and their sums.
DEVICE u32 row_words(u32 columns) { return columns / 2 + (NT > 1 ? 16 : 0); }
DEVICE u32 sum_words(u32 columns) { return columns / 16; }

// pad makes zeros of the columns up to a multiple of 4 steps: a group of weights that has
// fewer is filled up with zeros, and what these are multiplied with has to be numbers.
DEVICE void pad(u32 *row, u32 *row_sums, u32 steps, bool sums) {
  const u32 lane = thread_id() & 31;
  LOOPED for (u32 i = 32 * steps + lane; i < (steps + 3) / 4 * 128; i += 32) { row[i] = 0; }
  if (sums && lane < 4 * ((0 - steps) & 3)) { row_sums[4 * steps + lane] = 0; }
}

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

// fill4 puts four columns into place; to is where their step is, sums_to where its sums are.
DEVICE void fill4(f32x4 x, float power, u32 *to, u32 *sums_to, bool live, bool sums) {
  const u32 lane = thread_id() & 31;
  const u32x2 h = {halves(x.x * power, x.y * power), halves(x.z * power, x.w * power)};
  if (live) { shared_put2(to + (lane & 8) * 2 + (lane & 3) * 4 + (lane & 4) / 2, h); }
  if (sums) {
    // Eight in order are those of this lane after those of the one before.
    const float first = half_low(h.x) + half_high(h.x) + half_low(h.y) + half_high(h.y);
    float s = shuffle_xor(first, 1) + half_low(h.x) + half_high(h.x) + half_low(h.y) + half_high(h.y);
    s += shuffle_xor(s, 2);
    const float third = shuffle_xor(s, 8); // 32 columns on
    if ((lane & 11) == 1 && live) { shared_put2(sums_to + (lane & 4) / 2, split_sums(s, third)); }
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
      const u32 step = (i - begin) / 64;
      fill4(x, power, to + 32 * step, sums_to + 4 * step, i < end, sums);
      fill4(y, power, to + 32 * (step + 2), sums_to + 4 * (step + 2), i + 128 < end, sums);
    }
    pad(to, sums_to, (end - begin) / 64, sums);
  }
  sync_warp();
}

// How many times four columns of x a thread has in registers at most: a row that is
// short enough is read once, and at once. Each comes in two sizes, for what a short row
// has no use for costs it instructions all the same.
enum : u32 {
  MOST_NORMED = 8, // of the row, a block's threads side by side
  MOST_PLAIN = 16, // of the slice, a warp's lanes side by side
};

// held_normed says whether x is a row that fill_normed can take.
DEVICE bool held_normed(const Args &a) {
  return NT == 1 && a.p[18] == 1 && a.p[0] <= 1024 * MOST_NORMED && a.p[0] % 4 == 0 && a.p[3] % 4 == 0 && a.p[12] % 4 == 0;
}

// Norm is what a thread has of the norm's weights, if x is held and there are any: read
// before the kernel before has ended, and all at once. The others have no value, which
// nobody reads.
struct Norm { f32x4 weights[MOST_NORMED]; };

DEVICE Norm norm_of(const Args &a) {
  Norm n;
  if (held_normed(a) && has(a, F_NORM_WEIGHT)) {
    const float *const row = (const float *)a.b[1] + a.p[12];
    auto load = [&](u32 m) { n.weights[m] = constant4(row + min_of(1024 * m + 4 * thread_id(), a.p[0] - 4)); };
    UNROLLED for (u32 m = 0; m < MOST_NORMED / 2; m++) { load(m); }
    if (a.p[0] > 1024 * MOST_NORMED / 2) {
      UNROLLED for (u32 m = MOST_NORMED / 2; m < MOST_NORMED; m++) { load(m); }
    }
  }
  return n;
}

// fill_normed norms a row by norm.h's sums and brings it to all warps' shared memory: who
// has read four columns norms them and finds the slice that they are of.
template <u32 MOST> DEVICE void fill_normed(const Args &a, Memory &memory, const Norm &norm, u32 *all, const Slice &slice, u32 unit_steps, bool sums) {
  const u32 id = thread_id(), warp = id >> 5, columns = a.c[4], words = row_words(columns) + sum_words(columns);
  const u32 k = a.p[0], units = units_of(a, unit_steps), slices = min_of(units, (u32)WARPS), padded = units * unit_steps * 64;
  const float *const row = (const float *)a.b[2] + a.p[3];
  f32x4 x[MOST], s = {0, 0, 0, 0};
  UNROLLED for (u32 m = 0; m < MOST; m++) { x[m] = load4(row + min_of(1024 * m + 4 * id, k - 4)); }
  u32 to[MOST], sums_to[MOST]; // found while x is on its way
  const float inverse = 1.0f / (float)units;
  UNROLLED for (u32 m = 0; m < MOST; m++) {
    const u32 i = min_of(1024 * m + 4 * id, padded - 4), unit = i / (64 * unit_steps);
    // The last slice that begins at the unit or before it: ((unit + 1) * slices - 1) / units.
    const u32 of = (u32)(((float)((unit + 1) * slices - 1) + 0.5f) * inverse);
    const u32 step = i / 64 - (slices == WARPS ? of * units / WARPS : of) * unit_steps;
    to[m] = opaque(of * words + 32 * step);
    sums_to[m] = sums ? opaque(of * words + row_words(columns) + 4 * step) : 0;
  }
  UNROLLED for (u32 m = 0; m < MOST; m++) {
    if (1024 * m + 4 * id >= k) { x[m] = {0, 0, 0, 0}; }
    s = add_squares(x[m], s);
  }
  write_sum((s.x + s.y) + (s.z + s.w), memory.warps);
  sync_block();
  const float factor = rms_factor(read_sum(memory.warps), k, float_of(a.p[13]));
  if (id < WARPS) { memory.powers[id] = 1; }
  UNROLLED for (u32 m = 0; m < MOST; m++) {
    if (1024 * m >= padded) { break; }
    f32x4 y = {x[m].x * factor, x[m].y * factor, x[m].z * factor, x[m].w * factor};
    if (has(a, F_NORM_WEIGHT)) {
      const f32x4 w = norm.weights[m];
      y = {y.x * w.x, y.y * w.y, y.z * w.z, y.w * w.w};
    }
    fill4(y, 1, all + to[m], all + sums_to[m], 1024 * m + 4 * id < padded, sums);
  }
  pad(all + warp * words, all + warp * words + row_words(columns), slice.steps, sums);
  sync_block();
}

// fill_plain is for a row that is not normed: a warp reads its slice, finds its power and
// brings it to its shared memory. What no longer fits registers is read twice.
template <u32 MOST> DEVICE void fill_plain(const Args &a, Memory &memory, u32 *xs, u32 begin, u32 end, bool sums) {
  constexpr u32 AGAIN = 4;
  const u32 lane = thread_id() & 31, warp = thread_id() >> 5, k = a.p[0];
  const float *const row = (const float *)a.b[2] + a.p[3];
  auto at = [&](u32 i) { // columns begin + i and the three after it
    const u32 c = begin + i;
    f32x4 x = {0, 0, 0, 0};
    if (c < end) { x = load4(row + min_of(c, k - 4)); }
    return c < min_of(end, k) ? x : f32x4{0, 0, 0, 0};
  };
  float largest = 0;
  auto put = [&](f32x4 x, float power, u32 i) { fill4(x, power, xs + 32 * (i / 64), xs + row_words(a.c[4]) + 4 * (i / 64), begin + i < end, sums); };

  LOOPED for (u32 i = 128 * MOST + 4 * lane; begin + i - 4 * lane < end; i += 128 * AGAIN) {
    f32x4 x[AGAIN];
    UNROLLED for (u32 m = 0; m < AGAIN; m++) { x[m] = at(i + 128 * m); }
    UNROLLED for (u32 m = 0; m < AGAIN; m++) { largest = max_of(largest, largest_of(x[m])); }
  }
  f32x4 x[MOST];
  UNROLLED for (u32 m = 0; m < MOST; m++) { x[m] = at(128 * m + 4 * lane); }
  UNROLLED for (u32 m = 0; m < MOST; m++) { largest = max_of(largest, largest_of(x[m])); }
  UNROLLED for (u32 distance = 16; distance > 0; distance /= 2) { largest = max_of(largest, shuffle_xor(largest, distance)); }
  const float power = slice_power(largest);
  if (lane == 0) { memory.powers[warp] = 1.0f / power; }
  UNROLLED for (u32 m = 0; m < MOST; m++) {
    if (begin + 128 * m < end) { put(x[m], power, 128 * m + 4 * lane); }
  }
  LOOPED for (u32 i = 128 * MOST + 4 * lane; begin + i - 4 * lane < end; i += 128 * AGAIN) {
    f32x4 x[AGAIN];
    UNROLLED for (u32 m = 0; m < AGAIN; m++) { x[m] = at(i + 128 * m); }
    UNROLLED for (u32 m = 0; m < AGAIN; m++) { put(x[m], power, i + 128 * m); }
  }
  pad(xs, xs + row_words(a.c[4]), (end - begin) / 64, sums);
  sync_warp();
}

// ready makes x ready to be read, if shared memory holds all of a slice.
DEVICE void ready(const Args &a, Memory &memory, const Norm &norm, u32 *xs, u32 rows, const Slice &slice, u32 unit_steps, bool sums) {
  const u32 begin = slice.begin * 64, end = begin + slice.steps * 64, warp = thread_id() >> 5;
  if (held_normed(a)) {
    u32 *const all = xs - warp * (row_words(a.c[4]) + sum_words(a.c[4]));
    if (a.p[0] <= 1024 * MOST_NORMED / 2) {
      fill_normed<MOST_NORMED / 2>(a, memory, norm, all, slice, unit_steps, sums);
    } else {
      fill_normed<MOST_NORMED>(a, memory, norm, all, slice, unit_steps, sums);
    }
    return;
  }
  if (NT == 1 && a.p[18] == 0 && a.p[0] % 4 == 0 && a.p[3] % 4 == 0) {
    if (a.c[4] <= 128 * MOST_PLAIN / 4) { // the longest slice
      fill_plain<MOST_PLAIN / 4>(a, memory, xs, begin, end, sums);
    } else {
      fill_plain<MOST_PLAIN>(a, memory, xs, begin, end, sums);
    }
    return;
  }
  prepare(a, memory, rows, begin, end);
  if (WHOLE || end - begin <= a.c[4]) { fill(a, memory, xs, a.c[4], rows, begin, end, sums); }
}

// What GPUs before sm_80 lack, in instructions they have: slower, with float32 sums in
// the order of the columns.

// shuffled columns: a lane's results are rows g, g + 8 and columns 2 t, 2 t + 1.
DEVICE void mma(float d[4], const u32 a[4], const u32 b[2]) {
  u32 lane = thread_id() & 31u, g = lane >> 2, t = lane & 3u;
  UNROLLED for (u32 part = 0; part < 2; part++) { // columns 2 i, 2 i + 1 of a, and 8 more
    // Not unrolled: a quarter more instructions run, but code is a fifth, and so is the time that a driver takes.
    LOOPED for (u32 i = 0; i < 4; i++) {
      u32 low = shuffle(a[2 * part], 4 * g + i), high = shuffle(a[2 * part + 1], 4 * g + i);
      u32 x = shuffle(b[part], 8 * t + i), y = shuffle(b[part], 8 * t + 4 + i);
      d[0] = fma(half_high(low), half_high(x), fma(half_low(low), half_low(x), d[0]));
      d[1] = fma(half_high(low), half_high(y), fma(half_low(low), half_low(y), d[1]));
      d[2] = fma(half_high(high), half_high(x), fma(half_low(high), half_low(x), d[2]));
      d[3] = fma(half_high(high), half_high(y), fma(half_low(high), half_low(y), d[3]));
    }
  }
}
DEVICE void ldmatrix4(u32 r[4], const void *row) {
  u32 lane = thread_id() & 31u, at = (u32)shared_address(row);
  UNROLLED for (u32 i = 0; i < 4; i++) {
    u32 from = shuffle(at, 8 * i + (lane >> 2)) + 4 * (lane & 3u);
    r[i] = shared_load(from);
  }
}
DEVICE void ldmatrix4_transposed(u32 r[4], const void *row) {
  u32 lane = thread_id() & 31u, at = (u32)shared_address(row);
  UNROLLED for (u32 i = 0; i < 4; i++) {
    u32 k = 2 * (lane & 3u);
    u32 first = shuffle(at, 8 * i + k) + 2 * (lane >> 2), second = shuffle(at, 8 * i + k + 1) + 2 * (lane >> 2);
    r[i] = shared_load_half(first) | shared_load_half(second) << 16;
  }
}
DEVICE void copy16(void *shared, const void *global, bool live) {
  u32x4 d = {0, 0, 0, 0};
  if (live) { d = *(const u32x4 *)global; }
  *(u32x4 *)shared = d;
}
DEVICE void copy_commit() {}
template <int N> DEVICE void copy_wait() {}

// How a product's weights come to a warp (product.cu), group by group: of all tiles of
// an item those columns of the slice that shared memory holds at a time, then the next
// columns, then the next item.
//
// From sm_80 on they are copied to a ring of stages in shared memory, a group each, c[5]
// words for each warp: what is on its way takes no registers, and as much of it as the
// memory's latency wants has room. F32, whose groups are large, and older GPUs have one
// group in registers, each step of which is replaced as soon as it was added.

// RINGS: GPUs copy to shared memory without registers.
#ifdef LEDGE_HOST
#ifdef LEDGE_SM72
#define RINGS false
#else
#define RINGS true
#endif
#else
#define RINGS (__CUDA_ARCH__ >= 800)
#endif

template <class W> constexpr bool ringed() { return RINGS && W::PARTS == 1; }

// group is how many steps a warp takes at a time: of what has units, one.
template <class W> constexpr u32 group() {
  if (BASIC && W::BLOCK > 0 && W::STEPS == 1) { return 2; } // registers are few, and memory is not what it waits for
  if (!ringed<W>()) { return W::BLOCK > 0 ? 4 : W::PARTS == 1 ? 2 : 1; }
  return W::BLOCK == 0 ? 1 : W::STEP > 256 ? 2 : 4;
}

template <class W> DEVICE constexpr u64 words_of(u32 steps) { return (u64)(steps / W::STEPS) * (W::STEPS * W::STEP + W::HEAD); }

// tile_at is tile r of an item.
template <class W> DEVICE const u32 *tile_at(const Args &a, u32 item, u32 r) {
  const u32 own = own_tiles(a), units = units_of(a, W::STEPS);
  const Place at = place_of(a, item);
  const u32 tile = min_of(at.tile + (r >= own ? r - own : r), tiles_in(a, at.piece) - 1);
  return tiles_of(a, at.piece + (r >= own ? 1 : 0)) + tile * (W::TILE_HEAD + words_of<W>(units * W::STEPS));
}

// Cursor walks over the groups that a warp loads. Where a block's tiles are takes a hundred
// instructions to find, many of which wait for each other: a warp's lanes find 32 of them at
// once, a tile each, and the warp asks the lane that has it.
template <class W> struct Cursor {
  const u32 *p; // this lane's four uints of the group's first 128
  u32 left;     // steps from here on in this tile and these columns; 0 at the end
  u32 n, from;  // the tile, of all that the block has; columns of the slice before these
  u32 steps;    // of the slice, if WHOLE
  u32 mine;     // where the slice begins in the lane's one of 32 tiles, in 16 bytes from b[0]
};
enum : u32 { NOWHERE = 0xffffffff }; // the block has no more tiles, or the slice no steps

template <class W> DEVICE const u32 *group_at(const Cursor<W> &c) { return c.p - 4 * (thread_id() & 31); }

// look_ahead finds tile n and the 31 after it.
template <class W> DEVICE void look_ahead(const Args &a, Cursor<W> &c) {
  static_assert(32 % R == 0, "all of an item are looked at together");
  const Slice slice = slice_of(a, W::STEPS);
  const u32 n = c.n + (thread_id() & 31), item = block_x() + n / R * blocks_x();
  c.mine = NOWHERE;
  if (item < a.p[2] && slice.steps > 0) {
    const u32 *const p = tile_at<W>(a, item, n % R) + W::TILE_HEAD + words_of<W>(slice.begin);
    c.mine = (u32)((u64)(p - a.b[0]) / 4);
  }
}

// steps_of is the slice's. Where there are columns to come back for, they are found once
// more: registers are few.
template <class W> DEVICE u32 steps_of(const Args &a, const Cursor<W> &c) { return WHOLE ? c.steps : slice_of(a, W::STEPS).steps; }

// begin_tile goes to tile n.
template <class W> DEVICE void begin_tile(const Args &a, Cursor<W> &c) {
  if (c.n % 32 == 0 && c.from == 0) { look_ahead(a, c); }
  const u32 at = shuffle(c.mine, c.n % 32);
  c.left = at == NOWHERE ? 0 : WHOLE ? c.steps : min_of(a.c[4] / 64, steps_of(a, c) - c.from);
  c.p = a.b[0] + (u64)at * 4 + words_of<W>(c.from) + 4 * (thread_id() & 31); // read if there are steps
}

template <class W> DEVICE void begin_all(const Args &a, Cursor<W> &c, const Slice &slice) {
  c = {};
  if (WHOLE) { c.steps = slice.steps; }
  begin_tile(a, c);
}

template <class W> DEVICE void next(const Args &a, Cursor<W> &c) {
  constexpr u32 N = group<W>();
  if (c.left > N) {
    c.left -= N;
    c.p += words_of<W>(N);
    return;
  }
  if (++c.n % R == 0 && !WHOLE) {
    c.from += a.c[4] / 64;
    if (c.from < steps_of(a, c)) {
      c.n -= R; // the same tiles, the next columns
    } else {
      c.from = 0;
    }
  }
  begin_tile(a, c);
}

// wait_for_oldest waits for the oldest of the groups of copies that this thread began, as
// many as a ring of so many uints has stages: four at most.
template <u32 STAGE> DEVICE void wait_for_oldest(u32 ring) {
  if (ring >= 4 * STAGE) {
    copy_wait<3>();
  } else if (ring == 3 * STAGE) {
    copy_wait<2>();
  } else if (ring == 2 * STAGE) {
    copy_wait<1>();
  } else {
    copy_wait<0>();
  }
}

// Stream gives a warp its groups one after the other: begin starts the first ones,
// take is before each and give after each; steps, and head if there is one, are the
// group's in between.
template <class W, bool RINGED = ringed<W>()> struct Stream;

template <class W> struct Stream<W, true> {
  // A stage is filled up to whole copies of a warp; what is behind the group is not read.
  static constexpr u32 N = group<W>(), WORDS = words_of<W>(N), STAGE = (WORDS + 127) / 128 * 128;
  static constexpr bool ZEROS = true; // steps behind a tile's end are there, and zero
  Cursor<W> c;
  typename W::Head head;
  u32 *ring; // this warp's
  u32 at;    // where in it the group is that is read

  // copy begins to copy the cursor's group; without one, the copies are an empty group. Of
  // a group that a tile's end cuts off, the steps behind it are zeros.
  METHOD void copy(const Args &a, Stream &s, u32 at) {
    if (s.c.left > 0) {
      const u32 lane = thread_id() & 31;
      u32 *const to = s.ring + at + 4 * lane;
      if (W::STEPS % N == 0 || s.c.left >= N) {
        UNROLLED for (u32 i = 0; i < WORDS; i += 128) { copy16_in_place(to + i, s.c.p + i, i + 128 <= WORDS || i + 4 * lane < WORDS); }
      } else {
        const u32 words = words_of<W>(s.c.left);
        LOOPED for (u32 i = 0; i < WORDS; i += 128) { copy16_in_place(to + i, s.c.p + i, i + 4 * lane < words); }
      }
      next(a, s.c);
    }
    copy_commit();
  }
  METHOD void begin(const Args &a, Stream &s) {
    s.at = a.c[5] - STAGE;
    LOOPED for (u32 to = 0; to < s.at; to += STAGE) { copy(a, s, to); }
  }
  METHOD void ready(Stream &) {}
  METHOD void take(const Args &a, Stream &s) {
    sync_warp(); // no lane reads the group before any more
    copy(a, s, s.at);
    s.at += STAGE;
    if (s.at == a.c[5]) { s.at = 0; }
    wait_for_oldest<STAGE>(a.c[5]);
    sync_warp();
    s.head = W::template load_head<FromRing>(s.ring + s.at + W::STEPS * W::STEP, thread_id() & 31);
  }
  METHOD typename W::Step step(const Stream &s, u32 i) { return W::template load_step<FromRing>(s.ring + s.at + i * W::STEP, thread_id() & 31); }
  METHOD void give(Stream &, u32) {}
};

template <class W> constexpr u32 stage_uints() {
  if constexpr (ringed<W>()) {
    return Stream<W>::STAGE;
  } else {
    return 0;
  }
}

template <class W> struct Stream<W, false> {
  static constexpr u32 N = group<W>();
  static constexpr bool ZEROS = false;
  Cursor<W> c;
  typename W::Step steps[N];
  typename W::Head head, ahead;
  u32 *ring;

  METHOD void begin(const Args &, Stream &) {}
  METHOD void ready(Stream &s) {
    const u32 lane = opaque(thread_id()) & 31;
    s.ahead = {};
    UNROLLED for (u32 i = 0; i < N; i++) {
      s.steps[i] = {}; // or registers are taken for what they had before
      give(s, i);
    }
    if (s.c.left > 0) { s.ahead = W::template load_head<FromGlobal>(group_at(s.c) + W::STEPS * W::STEP, lane); }
  }
  METHOD void take(const Args &a, Stream &s) {
    s.head = s.ahead;
    next(a, s.c);
    if (s.c.left > 0) { s.ahead = W::template load_head<FromGlobal>(group_at(s.c) + W::STEPS * W::STEP, opaque(thread_id()) & 31); }
  }
  METHOD typename W::Step step(const Stream &s, u32 i) { return s.steps[i]; }
  METHOD void give(Stream &s, u32 i) {
    if (i < s.c.left) { s.steps[i] = W::template load_step<FromGlobal>(group_at(s.c) + i * W::STEP, thread_id() & 31); }
  }
};

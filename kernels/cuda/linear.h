// Parameters and epilogue that product.cu and tile.cu have in common (package shader,
// tensor_product.go), of Args.p:
//
//	0 columns K  1 flags  2 the kernel's  3 x  4 out  5 columns of out
//	6, 7 rows of x (rows_of)  8 rows of the matrices, halved if gated  9 scale
//	10 soft cap  11 residual  12 to 19 the kernel's
//	20 + 3 i (i < 4) piece i: end, place, bias
//
// Pieces are matrices of one bank one below the other: the rows from the last one's end
// to end, whose tiles begin at uint place of b[0]; bias is where a bias of row 0 would
// stand in b[1]. After the last piece come those with no rows: their end is the last
// one's. Of a gated product pieces are pairs, gates and what they are multiplied with,
// with the same end: 0 and 1, 2 and 3. Of both, tile i has rows begin + 16 i and so on.
//
// Flags: 1 bit each as below, the activation from bit 8 on.
//
// b[0] weights, b[1] vectors, b[2] arena, b[3] run.
#pragma once
#include "functions.h"

enum : u32 {
  F_NORM_WEIGHT = 2, F_ADD_WEIGHT = 8, F_BIAS = 16, F_GATED = 32, F_CAP = 64, F_RESIDUAL = 128,
  F_ACTIVATION = 8, // where it begins
};

DEVICE bool has(const Args &a, u32 flag) { return (a.p[1] & flag) != 0; }
DEVICE u32 rows_of(const Args &a) { return a.p[6] == 0xffffffffu ? a.p[7] : a.b[3][a.p[6] & 15u] * a.p[7]; }
DEVICE u32 begin_of(const Args &a, u32 piece) { return piece == 0 ? 0 : a.p[17 + 3 * piece]; }
DEVICE u32 end_of(const Args &a, u32 piece) { return a.p[20 + 3 * piece]; }
DEVICE const u32 *tiles_of(const Args &a, u32 piece) { return a.b[0] + a.p[21 + 3 * piece]; }

// scaled is (sum + bias) * scale of a row of a piece.
DEVICE float scaled(const Args &a, u32 piece, u32 row, float sum) {
  if (has(a, F_BIAS)) { sum += float_of(a.b[1][a.p[22 + 3 * piece] + row]); }
  return sum * float_of(a.p[9]);
}

// result is column row of out, but for the residual: its sum is x; gated, y is the
// partner's, of the next piece.
DEVICE float result(const Args &a, u32 row, float x, float y, u32 piece) {
  float z = activate(a.p[1] >> F_ACTIVATION & 15u, scaled(a, piece, row, x));
  if (has(a, F_GATED)) { z *= scaled(a, piece + 1, row, y); }
  return has(a, F_CAP) ? soft_cap(float_of(a.p[10]), z) : z;
}

DEVICE float residual_of(const Args &a, u32 token, u32 row) { return float_of(a.b[2][a.p[11] + (u64)token * a.p[5] + row]); }

// finish stores it for a token, with the residual, if there is one.
DEVICE void finish(const Args &a, u32 token, u32 row, float x, float y, u32 piece, float residual) {
  float z = result(a, row, x, y, piece);
  if (has(a, F_RESIDUAL)) { z += residual; }
  a.b[2][a.p[4] + (u64)token * a.p[5] + row] = bits_of(z);
}

// plain: results are the sums.
DEVICE bool plain(const Args &a) {
  return !has(a, F_BIAS | F_GATED | F_CAP | 15u << F_ACTIVATION) && a.p[9] == bits_of(1.0f);
}

// Functions of float32 as package shader's common.comp has them.
#pragma once
#include "device.h"

// exponential is e^x within two units where it is no less than 2^-126; see exp_of of
// prelude.h, which has the rest, too.
DEVICE float exponential(float x) {
  float y = x < -104.0f ? -104.0f : x > 89.0f ? 89.0f : x; // 0, infinity; NaN stays
  float bits = fma(y, 1.44269502f, 12582912.0f); // a whole number in the last bits: one is worth 1
  float n = bits - 12582912.0f;
  float fraction = fma(y, 1.92596299e-8f, fma(y, 1.44269502f, 0.0f - n));
  int power = (int)(bits_of(bits) - 0x4b400000u), half = power >> 1;
  return ex2(fraction) * float_of((u32)(127 + half) << 23) * float_of((u32)(127 + power - half) << 23);
}

// sigmoid never computes the exponential of a positive number.
DEVICE float sigmoid(float x) {
  float e = exponential(0.0f - abs_of(x));
  return (x < 0.0f ? e : 1.0f) / (1.0f + e);
}

// tangent is tanh, accurate relative to its value, near zero by its series.
DEVICE float tangent(float x) {
  float s = x * x;
  if (s < 0.0625f) { return x * (1.0f + s * (-0.333333333f + s * (0.133333333f + s * (-0.0539682540f + s * 0.0218694885f)))); }
  float e = exponential(-2.0f * abs_of(x)), t = (1.0f - e) / (1.0f + e);
  return x < 0.0f ? 0.0f - t : t;
}

// error_function follows Abramowitz and Stegun, 7.1.6 near zero and 7.1.26 beyond: 1.5e-7.
DEVICE float error_function(float x) {
  float s = x * x;
  if (s < 0.25f) {
    return 1.128379167f * x * (1.0f + s * (-0.333333333f + s * (0.1f + s * (-0.0238095238f + s * (0.00462962963f - s * 0.000757575758f)))));
  }
  float t = 1.0f / (1.0f + 0.3275911f * abs_of(x));
  float p = t * (0.254829592f + t * (-0.284496736f + t * (1.421413741f + t * (-1.453152027f + t * 1.061405429f))));
  float y = 1.0f - p * exponential(0.0f - s);
  return x < 0.0f ? 0.0f - y : y;
}

// activate is package shader's Activation.
DEVICE float activate(u32 act, float x) {
  switch (act) {
  case 1: return x * sigmoid(x);
  case 2: return 0.5f * x * (1.0f + tangent(0.797884561f * (x + 0.044715f * x * x * x)));
  case 3: return 0.5f * x * (1.0f + error_function(0.707106781f * x));
  case 4: return x < 0.0f ? 0.0f : x;
  }
  return x;
}

DEVICE float soft_cap(float limit, float x) { return limit * tangent(x / limit); }

"""Writes the golden files of this folder with the `gguf` Python package.

    python3 make_goldens.py        (needs numpy and gguf; seed fixed)

dequant_TYPE.bin   uint32 n, then n blocks as stored, then their values as float32
quant_input.bin    float32 values, 32 to a block
quant_TYPE.bin     those values encoded as TYPE (iq4_nl, which gguf cannot encode, by
                   ggml's own library where LEDGE_TEST_LLAMA names its folder)

Everything is little-endian. Some blocks carry scales that are zero, subnormal,
the largest finite, infinite or NaN; the rest moderate or wholly random ones.
"""

import ctypes
import os
import struct

import numpy as np
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType as T
from gguf.quants import dequantize, quantize

HERE = os.path.dirname(os.path.abspath(__file__))
EXTREME_F16 = [0x0000, 0x8000, 0x0001, 0x8001, 0x03FF, 0x0400, 0x7BFF, 0xFBFF, 0x7C00, 0xFC00, 0x7E00]

# Byte offsets of the float16 fields of a block.
F16_FIELDS = {
    T.Q4_0: [0], T.Q4_1: [0, 2], T.Q5_0: [0], T.Q5_1: [0, 2], T.Q8_0: [0],
    T.Q2_K: [80, 82], T.Q3_K: [108], T.Q4_K: [0, 2], T.Q5_K: [0, 2], T.Q6_K: [208],
    T.IQ4_NL: [0], T.IQ4_XS: [0], T.MXFP4: [], T.F16: [0], T.BF16: [0],
}


def write(name, *parts):
    with open(os.path.join(HERE, name), "wb") as f:
        for p in parts:
            f.write(p if isinstance(p, bytes) else p.tobytes())


def blocks_of(rng, qtype):
    length, size = GGML_QUANT_SIZES[qtype]
    n = 16 if length == 256 else 48
    blocks = rng.integers(0, 256, size=(n, size), dtype=np.uint8)
    for i in range(n):
        for k, at in enumerate(F16_FIELDS[qtype]):
            if i < len(EXTREME_F16):
                bits = EXTREME_F16[(i + 3 * k) % len(EXTREME_F16)]
            elif i % 4 != 0:
                bits = int(np.float16(rng.normal() * 0.05).view(np.uint16))
            else:
                continue  # stays wholly random
            blocks[i, at:at + 2] = [bits & 255, bits >> 8]
        if qtype == T.MXFP4 and i < 8:
            blocks[i, 0] = [0, 1, 2, 3, 126, 127, 254, 255][i]
    return blocks


def main():
    rng = np.random.default_rng(20240511)
    np.seterr(all="ignore")
    for qtype in F16_FIELDS:
        blocks = blocks_of(rng, qtype)
        values = dequantize(blocks.reshape(1, -1), qtype).astype("<f4")
        write(f"dequant_{qtype.name.lower()}.bin", struct.pack("<I", len(blocks)), blocks, values)

    x = rng.normal(size=(72, 32)).astype(np.float32)
    x *= np.exp(rng.uniform(-18, 9, size=(72, 1))).astype(np.float32)
    x[0] = 0
    x[1] = -x[1, 0]  # all equal
    x[2, 1:] = 0
    x[3] = np.arange(32) - 16
    x[4] = (np.arange(32) - 16) / 2 + 0.25  # many ties
    x[5, 7], x[5, 20] = 9, -9  # two largest magnitudes
    x[6] = abs(x[6])
    x[7] = -abs(x[7])
    write("quant_input.bin", x.astype("<f4"))
    for qtype in (T.Q4_0, T.Q4_1, T.Q5_0, T.Q5_1, T.Q8_0, T.BF16, T.F16, T.MXFP4):
        write(f"quant_{qtype.name.lower()}.bin", quantize(x, qtype))
    if llama := os.environ.get("LEDGE_TEST_LLAMA"):
        lib = ctypes.CDLL(os.path.join(llama, "bin", "libggml-base.so"))
        out = np.zeros((len(x), 18), dtype=np.uint8)
        lib.quantize_row_iq4_nl_ref(
            x.ctypes.data_as(ctypes.c_void_p), out.ctypes.data_as(ctypes.c_void_p), ctypes.c_int64(x.size))
        out[0] = 0  # the indices of an all-zero block are uninitialised memory there
        write("quant_iq4_nl.bin", out)


if __name__ == "__main__":
    main()

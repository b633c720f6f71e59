"""Reads the file that a test wrote with the `gguf` Python package and checks it.

    python3 check_writer.py FILE
"""

import sys

from gguf import GGUFReader

r = GGUFReader(sys.argv[1])


def value(key):
    return r.get_field(key).contents()


expected = {
    "general.architecture": "tiny",
    "v.u8": 200, "v.i8": -7, "v.u16": 60000, "v.i16": -30000, "v.u32": 4000000000, "v.i32": -2000000000,
    "v.u64": 1 << 63, "v.i64": -(1 << 62), "v.f32": 0.25, "v.f64": 1e300, "v.yes": True, "v.no": False,
    "v.text": "grüße", "v.empty": "",
    "a.u32": [1, 2, 3], "a.i64": [-(1 << 40)], "a.f32": [1, -2], "a.bool": [True, False],
    "a.text": ["<s>", "", "▁the"],
}
for key, want in expected.items():
    assert value(key) == want, (key, value(key), want)

shapes = {  # as in the file: innermost first
    "token_embd.weight": ("Q8_0", [32, 3]), "scalar": ("F32", []), "blk.0.norm": ("F32", [5]),
    "blk.0.exps": ("Q4_0", [64, 3, 2]), "blk.0.odd": ("IQ2_XXS", [256, 1]),
}
assert [t.name for t in r.tensors] == list(shapes)
for t in r.tensors:
    assert (t.tensor_type.name, t.shape.tolist()) == shapes[t.name], t
    data = t.data.tobytes()
    assert len(data) == t.n_bytes
    assert all(b == (i * 7 + len(t.name)) % 256 for i, b in enumerate(data)), t.name
print("ok:", len(r.tensors), "tensors")

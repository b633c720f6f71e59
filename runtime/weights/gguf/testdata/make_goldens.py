"""Writes python.bin, a small GGUF file, with the `gguf` Python package.

    python3 make_goldens.py        (needs numpy and gguf)
"""

import os

import numpy as np
from gguf import GGUFWriter
from gguf.constants import GGMLQuantizationType
from gguf.quants import quantize

w = GGUFWriter(os.path.join(os.path.dirname(os.path.abspath(__file__)), "python.bin"), "tiny")
w.add_context_length(4096)
w.add_token_list(["<s>", "</s>", "▁hello"])
w.add_token_scores([0.0, -1.0, -2.5])
x = np.arange(64, dtype=np.float32).reshape(2, 32)
w.add_tensor("output.weight", quantize(x, GGMLQuantizationType.Q8_0), raw_dtype=GGMLQuantizationType.Q8_0)
w.add_tensor("norm.weight", np.array([1, 2, 3], dtype=np.float32))
w.write_header_to_file()
w.write_kv_data_to_file()
w.write_tensors_to_file()
w.close()

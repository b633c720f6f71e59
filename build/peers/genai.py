"""Reads prompts with OpenVINO GenAI and prints tokens a second as JSON: prefill, decode.

Arguments: MODEL THREADS PROMPT GEN. Every prompt has other random tokens, so that no prefix is found in the cache; the
first is a warm-up. What is printed are the others, three of each.
"""
import json
import random
import sys

import numpy
import openvino
import openvino_genai

path, threads, prompt, gen = sys.argv[1], *map(int, sys.argv[2:5])
pipe = openvino_genai.LLMPipeline(path, "CPU", INFERENCE_NUM_THREADS=threads)
config = openvino_genai.GenerationConfig()
config.max_new_tokens = gen
config.do_sample = False
config.ignore_eos = True
config.apply_chat_template = False
draw = random.Random(1)
read, write = [], []
for turn in range(4):
    ids = numpy.array([[draw.randrange(1000, 30000) for _ in range(prompt)]], dtype=numpy.int64)
    mask = numpy.ones_like(ids)
    inputs = openvino_genai.TokenizedInputs(openvino.Tensor(ids), openvino.Tensor(mask))
    metrics = pipe.generate(inputs, config).perf_metrics
    if metrics.get_num_input_tokens() != prompt:
        sys.exit(f"{metrics.get_num_input_tokens()} tokens were read instead of {prompt}")
    if turn > 0:
        read.append(prompt / metrics.get_ttft().mean * 1000)
        write.append(metrics.get_throughput().mean)
print(json.dumps({"prefill": read, "decode": write}))

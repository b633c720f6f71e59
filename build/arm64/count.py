#!/usr/bin/env python3
"""Counts the instructions that products with quantised weights take on arm64, ours and llama.cpp's.

Each kernel runs under qemu-aarch64-static, which logs every instruction in the kernel's range of addresses, with 1,024
and with 2,048 columns: the difference is what the inner loops execute, those around them included. It is divided by the
products of a weight with an activation in between. Nothing depends on how fast anything is. A cell is ours / llama.cpp's
lowest, and which kind of kernel that is: dot (of rows), gemv or gemm (repacked).

    count.py [--llama OUT] [--types q4_0,q8_0]     OUT as llama.sh leaves it; prints Markdown tables
"""
import argparse
import os
import subprocess
import sys
import tempfile

TYPES = "q4_0 q4_1 q5_0 q5_1 q8_0 q2_k q3_k q4_k q5_k q6_k iq4_nl iq4_xs mxfp4".split()
LEVELS = ["neon", "dotprod", "i8mm"]
WEIGHT_ROWS = 128  # as in BenchmarkProduct
FEW, MANY = 1024, 2048
# What llama.cpp has besides dot products, by level: type -> (name, rows of activations, rows of weights).
REPACKED = {
    "neon": {},
    "dotprod": {
        "q4_0": "q4_0_4x4_q8_0", "q8_0": "q8_0_4x4_q8_0", "iq4_nl": "iq4_nl_4x4_q8_0", "mxfp4": "mxfp4_4x4_q8_0",
        "q4_k": "q4_K_8x4_q8_K", "q5_k": "q5_K_8x4_q8_K", "q6_k": "q6_K_8x4_q8_K",
    },
    "i8mm": {
        "q4_0": "q4_0_4x8_q8_0", "q8_0": "q8_0_4x8_q8_0", "iq4_nl": "iq4_nl_4x4_q8_0", "mxfp4": "mxfp4_4x4_q8_0",
        "q4_k": "q4_K_8x8_q8_K", "q5_k": "q5_K_8x8_q8_K", "q6_k": "q6_K_8x8_q8_K",
    },
}
TWO_ROWS = {"i8mm": ["q4_0", "q4_1", "q8_0", "q4_k", "q6_k"]}  # dot products of two rows with two
OURS = {  # level -> rows of activations -> whose kernels they are
    "neon": {1: "neon", 2: "neon", 4: "neon"},
    "dotprod": {1: "dotprod", 2: "dotprod", 4: "dotprod", 8: "dotprod"},
    "i8mm": {1: "dotprod", 2: "dotprod", 4: "i8mm", 8: "i8mm"},
}


def symbols(binary):
    out = subprocess.run(["aarch64-linux-gnu-nm", "-S", binary], check=True, capture_output=True, text=True).stdout
    table = {}
    for line in out.splitlines():
        part = line.split()
        if len(part) == 4:
            table[part[3].rsplit("/", 1)[-1].removesuffix(".abi0")] = (int(part[0], 16), int(part[1], 16))
    return table


def executed(span, command, env=None):
    """The number of instructions in a range of addresses that a command executes."""
    with tempfile.TemporaryDirectory() as d:
        log = os.path.join(d, "log")
        qemu = ["qemu-aarch64-static", "-cpu", "max", "-singlestep", "-d", "exec,nochain",
                "-dfilter", f"{span[0]:#x}+{span[1]:#x}", "-D", log]
        subprocess.run(qemu + command, check=True, stdout=subprocess.DEVNULL, env=dict(os.environ, **(env or {})))
        with open(log, "rb") as f:
            return sum(1 for _ in f)


def per_weight(span, command, rows, weight_rows, env=None):
    few, many = (executed(span, command(n), env) for n in (FEW, MANY))
    return (many - few) / ((MANY - FEW) * rows * weight_rows)


def llama_name(typ):
    return typ.replace("_k", "_K")


def llama_dot(typ):
    if typ.endswith("_k") or typ == "iq4_xs":
        return llama_name(typ) + "_q8_K"
    return typ + ("_q8_1" if typ in ("q4_1", "q5_1") else "_q8_0")


def llama(out, level, typ, table, rows):
    """The fewest instructions of llama.cpp's kernels for the type, and which kernel that is."""
    binary = os.path.join(out, level, "run")
    tries = []

    def attempt(name, rows, weight_rows):
        command = lambda n: [binary, name, str(n), str(rows), str(weight_rows)]
        tries.append((per_weight(table[name], command, rows, weight_rows), name.split("_")[1 if "gem" in name else 2]))

    attempt("ggml_vec_dot_" + llama_dot(typ), 1, 1)
    if rows > 1 and typ in TWO_ROWS.get(level, []):
        attempt("ggml_vec_dot_" + llama_dot(typ), 2, 2)
    if typ in REPACKED[level]:
        if rows > 2:  # of eight rows and more it takes 16 at a time
            attempt("ggml_gemm_" + REPACKED[level][typ], 4 if rows == 4 else 16, 32)
        else:
            attempt("ggml_gemv_" + REPACKED[level][typ], 1, 32)
    return min(tries)


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--llama", help="folder that llama.sh wrote")
    args.add_argument("--types", default=",".join(TYPES))
    args = args.parse_args()
    worse = 0
    with tempfile.TemporaryDirectory() as d:
        binary = os.path.join(d, "cpu.test")
        root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
        subprocess.run(["go", "test", "-c", "-o", binary, "./kernels/cpu"], check=True, cwd=root,
                       env=dict(os.environ, GOARCH="arm64", CGO_ENABLED="0"))
        ours = symbols(binary)
        for level in LEVELS:
            theirs = symbols(os.path.join(args.llama, level, "run")) if args.llama else None
            print(f"\n{level}\n\n| type |", *(f"{rows} row{'s' if rows > 1 else ''} |" for rows in OURS[level]))
            print("| --- |" + " --- |" * len(OURS[level]), flush=True)
            for typ in args.types.split(","):
                cells = []
                for rows, prefix in OURS[level].items():
                    span = ours[f"cpu.{prefix}{typ.replace('_', '').upper()}{rows}x1"]
                    command = lambda n: [binary, "-test.run", "^$", "-test.benchtime", "1x",
                                         "-test.bench", f"^BenchmarkProduct$/^{typ}$/^{rows}x{n}$"]
                    mine = per_weight(span, command, rows, WEIGHT_ROWS, {"LEDGE_CPU": level})
                    cells.append(f"{mine:.3f}")
                    if theirs:
                        other, name = llama(args.llama, level, typ, theirs, rows)
                        cells[-1] += f" / {other:.3f} {name}"
                        worse += mine > other
                print(f"| {typ} |", *(c + " |" for c in cells), flush=True)
    if worse:
        sys.exit(f"{worse} kernels take more instructions than llama.cpp's")


if __name__ == "__main__":
    main()

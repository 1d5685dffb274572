"""The same weights in onnxruntime and llama.cpp, one thread each: how many tokens a second.

    slm_peers.py FOLDER        with model.onnx and model.gguf; driven by `cargo bench --bench slm`

The first line of stdin is {"prompts": [[token, ...], ...], "more": N, "context": N}: N tokens are to be written after
each prompt. Each further line asks for one round, which is answered by a line {"reader": {"written": tokens/s, "read":
tokens/s}}: greedy writing, and one pass over texts that are already there. onnxruntime reads only: the exported file has
no memory of earlier tokens, so for writing it would have to read the whole text anew for each token.
"""

import json
import sys
import time
from pathlib import Path


def onnxruntime(folder, asked):
    import numpy as np
    import onnxruntime as runtime

    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = runtime.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])
    texts = [np.array([text], dtype=np.int64) for text in asked["prompts"]]

    def measure():
        begin = time.perf_counter()
        for text in texts:
            session.run(["logits"], {"input_ids": text})
        return {"read": sum(text.size for text in texts) / (time.perf_counter() - begin)}

    return runtime.__version__, measure


def llama_cpp(folder, asked):
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(folder / "model.gguf")
    params.n_ctx = asked["context"]
    params.n_parallel = 1
    params.n_gpu_layers = 0
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.verbosity = -1
    server = xllamacpp.Server(params)

    def measure():
        read, written = [0, 0.0], [0, 0.0]
        for prompt in asked["prompts"]:
            wanted = {"prompt": prompt, "n_predict": asked["more"], "temperature": 0.0, "cache_prompt": False}
            timings = server.handle_completions(wanted | {"ignore_eos": True, "timings_per_token": False})["timings"]
            read = [read[0] + timings["prompt_n"], read[1] + timings["prompt_ms"] / 1e3]
            written = [written[0] + timings["predicted_n"], written[1] + timings["predicted_ms"] / 1e3]
        return {"read": read[0] / read[1], "written": written[0] / written[1]}

    return xllamacpp.__version__, measure


def main():
    folder, asked = Path(sys.argv[1]), json.loads(sys.stdin.readline())
    readers = {}
    for name, load in {"onnxruntime": onnxruntime, "llama.cpp (xllamacpp)": llama_cpp}.items():
        try:
            version, measure = load(folder, asked)
            readers[f"{name} {version}"] = measure
        except ImportError as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
    for _ in sys.stdin:
        print(json.dumps({name: measure() for name, measure in readers.items()}), flush=True)


if __name__ == "__main__":
    main()

"""Exports a model for other programs, lets them write, and compares with what Wayside computes.

    models.py PROGRAM MODEL
    models.py keep tests/llama

PROGRAM is `wayside`, MODEL a model folder. One JSON line for each of transformers, onnxruntime and xllamacpp
(llama.cpp): {"reader", "version", "bytes" of the export, "prompts", "tokens" written greedily, "equal": prompts with
the same tokens as Wayside's, "apart": largest difference of a logit, of a log-probability for llama.cpp}. A line more
for the way back: a small Llama model that transformers makes is read by Wayside. {"reader", "missing"} where a package
is not installed. The second form makes the small model that the tests read everywhere.
"""

import json
import math
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

# Models come from this machine alone.
os.environ["HF_HUB_OFFLINE"] = "1"

PROMPTS = 20
END = 4


class Wayside:
    """The program, and what it computes for a model."""

    def __init__(self, program):
        self.program = program

    def __call__(self, *args):
        done = subprocess.run([self.program, "model", *args], capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"wayside model {' '.join(map(str, args[:3]))}: {done.stderr}")
        return done.stdout

    def logits(self, model, tokens):
        """Logits `[tokens][vocabulary]`."""
        return json.loads(self("logits", model, *map(str, tokens), "--output", "json"))["logits"]

    def export(self, model, form, out):
        """The size of the files, bytes."""
        report = json.loads(self("export", model, "--format", form, "--out", out, "--output", "json"))
        return sum(file["bytes"] for file in report["files"])


def prompts(model):
    """Requests as a unit makes them, of the model's own marks."""
    names = json.loads((model / "vocabulary.json").read_text())["tokens"]
    draw = random.Random(1)
    of = lambda mark: draw.choice([name for name in names if name.startswith(mark + "=")])
    slots = [name.removeprefix("may=") for name in names if name.startswith("may=")]
    requests = []
    for nth in range(PROMPTS):
        request = ["<begin>", of("language"), of("problem")]
        request += [of("rows"), of("cols")] if nth % 2 else [of("chars")]
        for slot in slots:
            if draw.random() < 0.6:
                request += [f"{draw.choice(['may', 'must'])}={slot}", of("length")]
        requests.append(request + ["<text>"])
    return [[names.index(token) for token in request] for request in requests], names


def greedy(logits_of, prompt, context):
    """Likeliest tokens up to the end, with the logits that they were chosen by, from a function of all tokens."""
    tokens, rows = list(prompt), []
    while len(tokens) < context and (tokens == prompt or tokens[-1] != END):
        row = [float(logit) for logit in logits_of(tokens)]
        rows.append(row)
        tokens.append(max(range(len(row)), key=row.__getitem__))
    return tokens[len(prompt) :], rows


def compare(wayside, model, requests, write):
    """`write` makes of a prompt its tokens and, for each, scores by token; `scores` turns our logits into the same."""
    equal = tokens = 0
    apart = 0.0
    for prompt in requests:
        text, theirs, scores = write(prompt)
        ours = wayside.logits(model, prompt + text)[len(prompt) - 1 : -1]
        equal += text == [max(range(len(row)), key=row.__getitem__) for row in ours]
        tokens += len(text)
        for row, other in zip(map(scores, ours), theirs, strict=True):
            apart = max(apart, *(abs(row[token] - score) for token, score in other))
    return {"prompts": len(requests), "tokens": tokens, "equal": equal, "apart": apart}


def with_transformers(wayside, model, requests, names, folder):
    import torch
    import transformers

    torch.set_num_threads(1)
    size = wayside.export(model, "safetensors", folder)
    llama = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    for request in requests:
        text = " ".join(names[token] for token in request)
        assert tokenizer(text)["input_ids"] == request, text

    def write(prompt):
        with torch.no_grad():
            of = lambda tokens: llama(torch.tensor([tokens])).logits[0, -1].tolist()
            text, rows = greedy(of, prompt, llama.config.max_position_embeddings)
            # The same by its own loop, with its cache.
            again = llama.generate(torch.tensor([prompt]), do_sample=False, max_new_tokens=len(text))
        assert again[0, len(prompt) :].tolist() == text
        return text, map(enumerate, rows), lambda row: row

    return {"version": transformers.__version__, "bytes": size} | compare(wayside, model, requests, write)


def with_onnxruntime(wayside, model, requests, names, folder):
    import numpy as np
    import onnxruntime

    size = wayside.export(model, "onnx", folder)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])
    about = session.get_modelmeta().custom_metadata_map
    assert json.loads(about["tokens"]) == names
    run = lambda tokens: session.run(["logits"], {"input_ids": np.array(tokens, dtype=np.int64)})[0]
    # Two at once are what each is alone.
    pair = [requests[0][:6], requests[1][:6]]
    assert np.abs(run(pair)[1] - run(pair[1:])[0]).max() < 1e-4

    def write(prompt):
        text, rows = greedy(lambda tokens: run([tokens])[0, -1], prompt, int(about["context"]))
        return text, map(enumerate, rows), lambda row: row

    return {"version": onnxruntime.__version__, "bytes": size} | compare(wayside, model, requests, write)


def with_xllamacpp(wayside, model, requests, names, folder):
    import xllamacpp

    size = wayside.export(model, "gguf", folder)
    params = xllamacpp.CommonParams()
    params.model.path = str(folder / "model.gguf")
    params.n_ctx = json.loads((model / "card.json").read_text())["architecture"]["context"]
    params.n_parallel = 1
    params.n_gpu_layers = 0
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.warmup = False
    params.verbosity = -1
    # By default keys and values are rounded to two bytes.
    params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    server = xllamacpp.Server(params)

    def complete(prompt, room):
        """Tokens with the log-probabilities of the likeliest, and how many tokens the prompt had."""
        wanted = {"prompt": prompt, "n_predict": room, "temperature": 0.0, "n_probs": 5, "cache_prompt": False}
        answer = server.handle_completions(wanted)
        if "error" in answer:
            sys.exit(f"llama.cpp: {answer['error']}")
        steps = answer["choices"][0]["logprobs"]["content"]
        rows = [[(top["id"], top["logprob"]) for top in step["top_logprobs"]] for step in steps]
        return [step["id"] for step in steps], rows, answer["usage"]["prompt_tokens"]

    def write(prompt):
        room = params.n_ctx - len(prompt)
        text, rows, count = complete(prompt, room)
        # The same from words, which llama.cpp takes apart itself: a space before each that is no mark.
        words = "".join(names[token] if token <= END else " " + names[token] for token in prompt)
        assert complete(words, room) == (text, rows, count) and count == len(prompt), words
        return text, rows, log_shares

    found = compare(wayside, model, requests, write)
    return {"version": xllamacpp.__version__, "bytes": size} | found


def log_shares(row):
    most = max(row)
    total = most + math.log(sum(math.exp(logit - most) for logit in row))
    return [logit - total for logit in row]


def make(folder, kind):
    """A small Llama model by transformers in `folder`, in numbers of this kind; tokens and its logits after each."""
    import torch
    import transformers

    torch.manual_seed(7)
    config = transformers.LlamaConfig(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=64,
        rms_norm_eps=1e-5,
        tie_word_embeddings=True,
        initializer_range=0.3,
        dtype=kind,
    )
    llama = transformers.LlamaForCausalLM(config)
    with torch.no_grad():
        # Norms begin at one; others show whether they are where they belong.
        for name, values in llama.named_parameters():
            if "norm" in name:
                values.uniform_(0.5, 1.5)
    llama.to(getattr(torch, kind)).save_pretrained(folder)
    # Read again, since the numbers of positions were rounded with the weights. Computed with four bytes, as we do.
    llama = transformers.LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokens = [(at * 37 + 11) % 64 for at in range(48)]
    with torch.no_grad():
        return tokens, llama(torch.tensor([tokens])).logits[0].tolist()


def import_of_transformers(wayside, folder, kind):
    tokens, theirs = make(folder, kind)
    ours = wayside.logits(folder, tokens)
    apart = max(abs(a - b) for row, other in zip(ours, theirs, strict=True) for a, b in zip(row, other, strict=True))
    return {"dtype": kind, "apart": apart, "largest": max(abs(logit) for row in theirs for logit in row)}


def keep(folder):
    """Makes what `tests/llama` holds: a model and its logits at the end, for machines without transformers."""
    tokens, logits = make(folder, "float32")
    rows = [[round(logit, 6) for logit in row] for row in logits[-8:]]
    (folder / "logits.json").write_text(json.dumps({"tokens": tokens, "logits": rows}) + "\n")


def main():
    if sys.argv[1] == "keep":
        return keep(Path(sys.argv[2]))
    wayside, model = Wayside(sys.argv[1]), Path(sys.argv[2])
    requests, names = prompts(model)
    readers = {"transformers": with_transformers, "onnxruntime": with_onnxruntime, "xllamacpp": with_xllamacpp}
    say = lambda reader, found: print(json.dumps({"reader": reader} | found), flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        for reader, read in readers.items():
            try:
                found = read(wayside, model, requests, names, Path(scratch) / reader)
            except ImportError as error:
                found = {"missing": str(error)}
            say(reader, found)
        for kind in ("float32", "float16", "bfloat16"):
            try:
                found = import_of_transformers(wayside, Path(scratch) / kind, kind)
            except ImportError as error:
                found = {"missing": str(error)}
            say("import", found)


if __name__ == "__main__":
    main()

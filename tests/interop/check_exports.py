"""Checks exported models with the programs that people have. Called by exports_test.ts; prints one JSON object.

Needs gguf, numpy, safetensors, torch, transformers and xllamacpp (llama.cpp with its server).
"""

import importlib.metadata
import json
import os
import sys
import urllib.request

import gguf
import numpy as np
import torch
import transformers
import xllamacpp
from safetensors.numpy import load_file

# Architectures whose rows of q and k alternate between the halves of each head.
INTERLEAVED = {"llama", "granite", "smollm3"}
# Architectures whose norms are stored with one added.
OFFSET = {"gemma", "gemma2", "gemma3"}
PACKAGES = ["gguf", "torch", "transformers", "xllamacpp"]


def gguf_values(path):
    """Every tensor as gguf-py decodes it."""
    reader = gguf.GGUFReader(path)
    return {t.name: gguf.dequantize(t.data, t.tensor_type).astype(np.float32) for t in reader.tensors}, reader


def check_gguf(case):
    """The largest difference of a decoded tensor from what spiel decodes: 0 when all bits are the same."""
    values, reader = gguf_values(case["gguf"])
    arch = reader.get_field("general.architecture").contents()
    ours = load_file(os.path.join(case["decoded"], "model.safetensors"))
    names = gguf.get_tensor_name_map(next(k for k, v in gguf.MODEL_ARCH_NAMES.items() if v == arch), 8)
    stacked = {"self_attn.qkv_proj": ["q_proj", "k_proj", "v_proj"], "mlp.gate_up_proj": ["gate_proj", "up_proj"]}
    worst, used = 0.0, set()
    for name, ours_value in ours.items():
        stored = names.get_name(name, try_suffixes=(".weight", ".bias"))
        start = 0
        if stored not in values or values[stored].shape[0] != ours_value.shape[0]:
            layer, part = name.rsplit(".", 2)[0], name.split(".")[-2]
            group = next(k for k, v in stacked.items() if part in v)
            prefix = layer.rsplit(".", 1)[0]
            stored = names.get_name(f"{prefix}.{group}.weight", try_suffixes=(".weight",))
            for before in stacked[group][: stacked[group].index(part)]:
                start += ours[f"{layer}.{before}.weight"].shape[0]
        theirs = values[stored][start : start + ours_value.shape[0]]
        used.add(stored)
        if arch in INTERLEAVED and (".q_proj" in name or ".k_proj" in name):
            half = case["head_dim"] // 2
            heads = ours_value.shape[0] // case["head_dim"]
            theirs = theirs.reshape(heads, half, 2, -1).swapaxes(1, 2).reshape(ours_value.shape)
        if arch in OFFSET and name.endswith("norm.weight"):
            theirs = theirs - np.float32(1)
        worst = max(worst, float(np.abs(theirs - ours_value).max()))
    assert set(values) - used <= {"rope_freqs.weight"}, set(values) - used
    return worst


def check_transformers(case):
    """The largest difference of a logit from spiel's."""
    model = transformers.AutoModelForCausalLM.from_pretrained(case["folder"], dtype=torch.float32, attn_implementation="eager")
    with torch.no_grad():
        logits = model(torch.tensor([case["tokens"]])).logits[0].numpy()
    # The class of Gemma's tokenizers takes for granted that they are of SentencePiece's kind, which these are not.
    is_gemma = model.config.model_type.startswith("gemma")
    kind = transformers.PreTrainedTokenizerFast if is_gemma else transformers.AutoTokenizer
    tokenizer = kind.from_pretrained(case["folder"])
    return {
        "logits": float(np.abs(logits - np.array(case["logits"], dtype=np.float32).reshape(logits.shape)).max()),
        "ids": [tokenizer(text, add_special_tokens=False)["input_ids"] for text in case["texts"]],
    }


def check_llama_cpp(case, port):
    """Ids that llama.cpp makes of texts, and those that it generates greedily."""
    params = xllamacpp.CommonParams()
    params.model.path = case["gguf"]
    params.n_ctx = 256
    params.cpuparams.n_threads = 2
    # Random models have near ties, which keys and values in halves would decide.
    params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.port = port
    server = xllamacpp.Server(params)

    def ask(path, body):
        data = json.dumps(body).encode()
        request = urllib.request.Request(server.listening_address + path, data, {"Content-Type": "application/json"})
        return json.load(urllib.request.urlopen(request))

    def tokens(text):
        return ask("/tokenize", {"content": text, "add_special": False, "parse_special": True})["tokens"]

    body = {"prompt": case["tokens"], "n_predict": case["count"], "temperature": 0, "samplers": ["top_k"], "top_k": 1}
    answer = ask("/completion", {**body, "return_tokens": True, "cache_prompt": False})
    return {"ids": [tokens(text) for text in case["texts"]], "generated": answer["tokens"]}


def main():
    cases = json.load(open(sys.argv[1]))
    results = []
    for i, case in enumerate(cases):
        result = {"name": case["name"]}
        if "decoded" in case:
            result["decoded"] = check_gguf(case)
        if "folder" in case:
            result["transformers"] = check_transformers(case)
        if "count" in case:
            result["llama_cpp"] = check_llama_cpp(case, 18500 + i)
        results.append(result)
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    print(json.dumps({"versions": versions, "results": results}))


main()

"""Writes this folder: a tiny llama that bitsandbytes has quantised to NF4, with and without double quantisation.

Needs torch, transformers and bitsandbytes; their versions are written to dequantized.json.
"""

import hashlib
import json
import os
import tempfile

import bitsandbytes
import torch
import transformers
from bitsandbytes.functional import dequantize_4bit
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, LlamaConfig, LlamaForCausalLM

HERE = os.path.dirname(os.path.abspath(__file__))
# down_proj has 384 blocks, more than share a scale in double quantisation.
CONFIG = LlamaConfig(
    hidden_size=128,
    intermediate_size=192,
    num_hidden_layers=1,
    num_attention_heads=4,
    num_key_value_heads=2,
    vocab_size=264,
    max_position_embeddings=128,
    rms_norm_eps=1e-5,
)
CASES = {"nf4": (False, torch.float32), "nf4_double": (True, torch.bfloat16)}


def random_model():
    """A model whose rows have different scales, and one row of zeros."""
    torch.manual_seed(3)
    model = LlamaForCausalLM(CONFIG)
    for name, parameter in model.named_parameters():
        if parameter.dim() == 1:
            parameter.data.normal_(1, 0.2)
            continue
        parameter.data.normal_(0, 0.12)
        if "layers" in name:
            parameter.data *= torch.exp(torch.randn(parameter.shape[0], 1))
        if name.endswith("k_proj.weight"):
            parameter.data[3] = 0
    return model.to(torch.bfloat16)


def main():
    ids = torch.randint(0, CONFIG.vocab_size, (1, 24), generator=torch.Generator().manual_seed(5))
    tensors = {"input_ids": ids}
    modules = (torch, transformers, bitsandbytes)
    hashes = {"versions": {module.__name__: module.__version__ for module in modules}}
    with tempfile.TemporaryDirectory() as base:
        random_model().save_pretrained(base)
        for name, (double, dtype) in CASES.items():
            quantisation = BitsAndBytesConfig(
                load_in_4bit=True,
                bnb_4bit_quant_type="nf4",
                bnb_4bit_use_double_quant=double,
                bnb_4bit_compute_dtype=dtype,
            )
            options = {"device_map": "cpu", "dtype": dtype}
            model = AutoModelForCausalLM.from_pretrained(
                base, quantization_config=quantisation, **options
            )
            folder = f"{HERE}/{name}"
            model.save_pretrained(folder)
            os.remove(f"{folder}/generation_config.json")
            os.chmod(f"{folder}/model.safetensors", 0o644)
            loaded = AutoModelForCausalLM.from_pretrained(folder, **options)
            hashes[name], tensors[f"{name}.logits"] = dequantised(loaded, ids)
    save_file(tensors, f"{HERE}/expected.safetensors")
    os.chmod(f"{HERE}/expected.safetensors", 0o644)
    with open(f"{HERE}/dequantized.json", "w") as file:
        json.dump(hashes, file, indent=2)
        file.write("\n")


def dequantised(model, ids):
    """SHA-256 of each quantised matrix as f32, and the logits of the f32 model that holds them."""
    hashes, state = {}, {}
    for name, parameter in model.named_parameters():
        quantised = getattr(parameter, "quant_state", None)
        if quantised is None:
            state[name] = parameter.data.float()
            continue
        own = dequantize_4bit(parameter.data, quantised)
        quantised.dtype = torch.float32
        state[name] = dequantize_4bit(parameter.data, quantised).contiguous()
        assert torch.equal(state[name].to(own.dtype), own)
        hashes[name] = hashlib.sha256(state[name].numpy().tobytes()).hexdigest()
    plain = LlamaForCausalLM(CONFIG).float().eval()
    plain.load_state_dict(state)
    with torch.no_grad():
        return hashes, plain(ids).logits.contiguous()


if __name__ == "__main__":
    main()

"""Makes tiny_gemma, tiny_gemma2 and tiny_gemma3 with transformers: `python tests/golden/gemma.py OUT`.

Random models in f32 with eager attention, and what transformers computes with them: logits, losses of tokens, the stream
between blocks, the gradient of the mean loss in every weight, and a greedy continuation.
"""
import json
import os
import sys
from importlib.metadata import version

import torch
from safetensors.torch import save_file
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GemmaConfig,
    GemmaForCausalLM,
)

torch.set_num_threads(2)
VOCAB = 96
BASE = dict(
    vocab_size=VOCAB, hidden_size=32, intermediate_size=48, num_attention_heads=4, num_key_value_heads=2, head_dim=16,
    max_position_embeddings=128, pad_token_id=0, eos_token_id=1, bos_token_id=2,
)
DEFAULT = {"rope_type": "default", "rope_theta": 10000.0}
LINEAR = {"rope_type": "linear", "rope_theta": 100000.0, "factor": 4.0}


def randomise(model, seed):
    """Every matrix ~ N(0, 0.15), and norms, whose weights are offsets from one, 0.3 N(0, 1)."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in sorted(model.named_parameters()):
            std = 0.3 if name.endswith("norm.weight") else 0.15
            weight.copy_(std * torch.randn(weight.shape, generator=generator))


def write_json(path, value):
    with open(path, "w") as file:
        json.dump(value, file, indent=1)
        file.write("\n")


def token_losses(logits, labels):
    """[B, T - 1]: of logits[:, t] against labels[:, t + 1], 0 where a label is -100."""
    targets = labels[:, 1:]
    losses = torch.nn.functional.cross_entropy(
        logits[:, :-1].reshape(-1, logits.shape[-1]), targets.reshape(-1), ignore_index=-100, reduction="none")
    return losses.view(targets.shape)


def cases(model, seed):
    """The tensors and numbers to expect of one full batch and of one with padding on its right."""
    ids = torch.randint(1, VOCAB, (2, 24), generator=torch.Generator().manual_seed(seed))
    tensors, described = {}, {}
    for name, pads, prompt in [("full", 0, 0), ("right_pad", 8, 6)]:
        mask, labels, padded = torch.ones_like(ids), ids.clone(), ids.clone()
        if pads:
            mask[-1, -pads:] = 0
            padded[mask == 0] = 0
        labels[:, :prompt] = -100
        labels[mask == 0] = -100
        model.zero_grad(set_to_none=True)
        out = model(input_ids=padded, attention_mask=mask, labels=labels, use_cache=False, output_hidden_states=True)
        described[name] = {"shape": list(ids.shape), "mean_loss": out.loss.item()}
        tensors |= {
            f"{name}.input_ids": padded, f"{name}.attention_mask": mask, f"{name}.labels": labels,
            f"{name}.logits": out.logits, f"{name}.token_loss": token_losses(out.logits, labels),
        }
        if pads:
            out.loss.backward()
            tensors |= {f"{name}.hidden.{i}": state for i, state in enumerate(out.hidden_states)}
            tensors |= {f"{name}.grad.{weight}": p.grad for weight, p in model.named_parameters()}
    tokens = ids[:1, :8]
    prompt = tokens[0].tolist()
    with torch.no_grad():
        for _ in range(16):
            logits = model(input_ids=tokens, use_cache=False).logits[0, -1]
            tokens = torch.cat([tokens, logits.argmax().view(1, 1)], 1)
    return tensors, {"cases": described, "greedy": {"prompt": prompt, "new_tokens": tokens[0, 8:].tolist()}}


def older_spelling(config):
    """config.json as transformers 4 wrote it."""
    rope = config["rope_parameters"]
    newer = ("dtype", "layer_types", "rope_parameters", "_sliding_window_pattern")
    config = {key: value for key, value in config.items() if key not in newer}
    config |= {"torch_dtype": "float32", "transformers_version": "4.50.0"}
    if "full_attention" in rope:
        whole, local = rope["full_attention"], rope["sliding_attention"]
        scaling = {key: value for key, value in whole.items() if key != "rope_theta"}
        return {
            **config, "rope_theta": whole["rope_theta"], "rope_local_base_freq": local["rope_theta"],
            "rope_scaling": scaling, "sliding_window_pattern": 3,
        }
    return {**config, "rope_theta": rope["rope_theta"]}


def make(out, name, model_class, config, seed):
    folder = os.path.join(out, name)
    config._attn_implementation = "eager"
    model = model_class(config).float().eval()
    randomise(model, seed)
    model.save_pretrained(folder)
    generation = os.path.join(folder, "generation_config.json")
    if os.path.exists(generation):
        os.remove(generation)
    tensors, expected = cases(model, seed + 1)
    tensors = {key: value.detach().contiguous().clone() for key, value in tensors.items()}
    save_file(tensors, os.path.join(folder, "expected.safetensors"))
    made_by = {"torch": version("torch"), "transformers": version("transformers")}
    write_json(os.path.join(folder, "expected.json"), {**expected, "seed": seed, "versions": made_by})
    with open(os.path.join(folder, "config.json")) as file:
        config = json.load(file)
    write_json(os.path.join(folder, "config.v4.json"), older_spelling(config))


if __name__ == "__main__":
    out = sys.argv[1]
    make(out, "tiny_gemma", GemmaForCausalLM, GemmaConfig(**BASE, num_hidden_layers=2, rope_parameters=DEFAULT), 801)
    # Caps small enough to matter; a scale of scores that is not the heads' width.
    make(out, "tiny_gemma2", Gemma2ForCausalLM, Gemma2Config(
        **BASE, num_hidden_layers=2, rope_parameters=DEFAULT, sliding_window=6, query_pre_attn_scalar=9,
        attn_logit_softcapping=2.0, final_logit_softcapping=3.0), 811)
    make(out, "tiny_gemma3", Gemma3ForCausalLM, Gemma3TextConfig(
        **BASE, num_hidden_layers=3, rope_parameters={"full_attention": LINEAR, "sliding_attention": DEFAULT},
        sliding_window=6, sliding_window_pattern=3, query_pre_attn_scalar=9), 821)

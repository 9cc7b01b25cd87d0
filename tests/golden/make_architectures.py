"""Writes tiny random models of single architectures and what transformers computes with them.

    python make_architectures.py [name ...]

Made with transformers 5.24.0 and torch 2.15.0. A folder tiny_NAME holds the model in both spellings of its
configuration, and logits, losses, hidden states and gradients of padded batches, as `check_model.ts` reads them.
"""
import json
import pathlib
import sys

import torch
import transformers
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).parent
BASE = dict(vocab_size=48, hidden_size=16, intermediate_size=24, num_attention_heads=4,
            num_key_value_heads=2, max_position_embeddings=64, rms_norm_eps=1e-5, bos_token_id=1,
            eos_token_id=2, pad_token_id=0, attn_implementation="eager")
# Class, seed and what is not as in BASE.
MODELS = {
    "granite": ("Granite", 11, dict(
        num_hidden_layers=2, embedding_multiplier=12.0, attention_multiplier=0.3, residual_multiplier=0.22,
        logits_scaling=6.0, tie_word_embeddings=True)),
    "smollm3": ("SmolLM3", 12, dict(
        num_hidden_layers=4, no_rope_layers=[1, 0, 1, 0], use_sliding_window=True, sliding_window=5,
        layer_types=["full_attention", "sliding_attention", "sliding_attention", "full_attention"],
        rope_parameters={"rope_type": "default", "rope_theta": 5000.0}, tie_word_embeddings=True)),
    "olmo2": ("Olmo2", 13, dict(
        num_hidden_layers=2, rope_parameters={"rope_type": "default", "rope_theta": 5000.0},
        tie_word_embeddings=False)),
}
B, T = 2, 12


def randomise(model, seed):
    """Matrices of a standard deviation of 0.3, norms about 1, biases about 0."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in sorted(model.named_parameters()):
            noise = torch.randn(weight.shape, generator=generator)
            weight.copy_(1 + 0.2 * noise if name.endswith("norm.weight") else 0.3 * noise)
    model.tie_weights()


def save_json(path, value):
    path.write_text(json.dumps(value, indent=1) + "\n")


def older_spelling(config):
    config = dict(config)
    rope = dict(config.pop("rope_parameters"))
    config["rope_theta"] = rope.pop("rope_theta")
    config["rope_scaling"] = None if rope["rope_type"] == "default" else rope
    config["torch_dtype"] = config.pop("dtype")
    return config


def token_losses(logits, labels):
    loss = torch.nn.functional.cross_entropy(
        logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100, reduction="none")
    return loss.view(B, T - 1)


def run(model, tag, tensors, ids, mask, labels, positions=None, backward=False):
    model.zero_grad(set_to_none=True)
    extra = {} if positions is None else {"position_ids": positions}
    out = model(input_ids=ids, attention_mask=mask, labels=labels, use_cache=False,
                output_hidden_states=True, **extra)
    assert torch.isfinite(out.logits[mask.bool()]).all()
    found = {"input_ids": ids, "attention_mask": mask, "logits": out.logits}
    case = {"shape": [B, T]}
    if labels is not None:
        found |= {"labels": labels, "token_loss": token_losses(out.logits, labels)}
        case["mean_loss"] = out.loss.item()
    if backward:
        out.loss.backward()
        found |= {f"hidden.{i}": state for i, state in enumerate(out.hidden_states)}
        found |= {f"grad.{name}": weight.grad for name, weight in model.named_parameters()}
    tensors.update({f"{tag}.{key}": value.detach().clone() for key, value in found.items()})
    return case


def make(name):
    family, seed, changes = MODELS[name]
    config = getattr(transformers, f"{family}Config")(**{**BASE, **changes})
    model = getattr(transformers, f"{family}ForCausalLM")(config).float().eval()
    randomise(model, seed)
    folder = HERE / f"tiny_{name}"
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    save_json(folder / "config.v4.json", older_spelling(json.loads((folder / "config.json").read_text())))

    ids = torch.randint(3, BASE["vocab_size"], (B, T), generator=torch.Generator().manual_seed(seed))
    full = torch.ones(B, T, dtype=torch.long)
    right, left = full.clone(), full.clone()
    right[-1, -4:] = 0
    left[-1, :4] = 0
    prompt = ids.clone()
    prompt[:, :3] = -100
    prompt[right == 0] = -100
    prompt[0, T // 2] = -100
    tensors = {}
    cases = {
        "full": run(model, "full", tensors, ids, full, ids),
        "right_pad": run(model, "right_pad", tensors, ids * right, right, prompt, backward=True),
        "left_pad": run(model, "left_pad", tensors, ids * left, left, None, (left.cumsum(-1) - 1).clamp(min=0)),
    }
    current = ids[:1, :5]
    greedy = {"prompt": current[0].tolist(), "new_tokens": [], "top1_minus_top2": []}
    with torch.no_grad():
        for _ in range(8):
            top = model(input_ids=current, use_cache=False).logits[0, -1].topk(2)
            greedy["new_tokens"].append(top.indices[0].item())
            greedy["top1_minus_top2"].append((top.values[0] - top.values[1]).item())
            current = torch.cat([current, top.indices[:1].view(1, 1)], 1)
    save_file({key: value.contiguous() for key, value in tensors.items()}, folder / "expected.safetensors")
    save_json(folder / "expected.json", {"cases": cases, "greedy": greedy})


for name in sys.argv[1:] or MODELS:
    make(name)

"""Random tiny models by transformers, and adapters as PEFT loads them. Called by models_test.ts; prints one JSON object.

Needs torch, transformers and peft.
"""

import importlib.metadata
import json
import sys

import peft
import torch
import transformers

PACKAGES = ["torch", "transformers", "peft"]
# Of every family; those that a family does not know are passed over by it.
SIZES = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "vocab_size": 96,
    "max_position_embeddings": 64,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}


def logits(model, tokens):
    with torch.no_grad():
        return model.float().eval()(torch.tensor([tokens])).logits[0].flatten().tolist()


def make_model(case):
    """Saves a random model of a family; returns its logits."""
    torch.manual_seed(7)
    config = transformers.AutoConfig.for_model(case["model_type"], **SIZES)
    config._attn_implementation = "eager"
    model = transformers.AutoModelForCausalLM.from_config(config)
    for parameter in model.parameters():
        if parameter.dim() == 2:
            parameter.data.normal_(0, 0.1)
        else:
            parameter.data.add_(0.2 * torch.randn_like(parameter))
    model.save_pretrained(case["folder"])
    return logits(model, case["tokens"])


def load_adapter(case):
    """The logits of a model with an adapter."""
    base = transformers.AutoModelForCausalLM.from_pretrained(
        case["model"], dtype=torch.float32, attn_implementation="eager"
    )
    return logits(peft.PeftModel.from_pretrained(base, case["adapter"]), case["tokens"])


def main():
    with open(sys.argv[1]) as file:
        cases = json.load(file)
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    results = [load_adapter(case) if "adapter" in case else make_model(case) for case in cases]
    print(json.dumps({"versions": versions, "results": results}))


main()

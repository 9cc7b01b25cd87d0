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


# The matrices of a layer, whatever a family calls or stacks them.
PROJECTIONS = r".*layers\.\d+\.(self_attn|mlp)\.\w+_proj"


def tiny_config(model_type):
    """A small configuration; of a family that also sees, with as small an eye."""
    if "text_config" not in transformers.CONFIG_MAPPING[model_type].sub_configs:
        return transformers.AutoConfig.for_model(model_type, **SIZES)
    return transformers.AutoConfig.for_model(
        model_type,
        text_config=SIZES,
        vision_config={**SIZES, "image_size": 16, "patch_size": 8},
        mm_tokens_per_image=4,
    )


def make_model(case):
    """Saves a random model of a family; returns its logits."""
    torch.manual_seed(7)
    config = tiny_config(case["model_type"])
    config._attn_implementation = "eager"
    model = transformers.AutoModelForCausalLM.from_config(config)
    for parameter in model.parameters():
        if parameter.dim() == 2:
            parameter.data.normal_(0, 0.1)
        else:
            parameter.data.add_(0.2 * torch.randn_like(parameter))
    model.save_pretrained(case["model"])
    return logits(model, case["tokens"])


def make_adapter(case):
    """Saves a random LoRA adapter of all projections of a model; returns the model's logits with it."""
    torch.manual_seed(8)
    base = transformers.AutoModelForCausalLM.from_pretrained(
        case["model"], dtype=torch.float32, attn_implementation="eager"
    )
    config = peft.LoraConfig(
        r=4, target_modules=PROJECTIONS, exclude_modules=r".*vision.*", init_lora_weights=False
    )
    model = peft.get_peft_model(base, config)
    model.save_pretrained(case["adapter"])
    return logits(model, case["tokens"])


def load_adapter(case):
    """The logits of a model with an adapter."""
    base = transformers.AutoModelForCausalLM.from_pretrained(
        case["model"], dtype=torch.float32, attn_implementation="eager"
    )
    return logits(peft.PeftModel.from_pretrained(base, case["adapter"]), case["tokens"])


ANSWERS = {"model": make_model, "made adapter": make_adapter, "adapter": load_adapter}


def main():
    with open(sys.argv[1]) as file:
        cases = json.load(file)
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    results = [ANSWERS[case["kind"]](case) for case in cases]
    print(json.dumps({"versions": versions, "results": results}))


main()

"""Losses of a model before and after bitsandbytes quantises its layers. Called by bitsandbytes_loss.ts."""

import json
import sys

import bitsandbytes.functional
import torch
import transformers


def mean_loss(model, examples):
    """Over the trained tokens of all examples."""
    total = count = 0
    for example in examples:
        labels = torch.tensor([example["labels"]])
        trained = (labels[:, 1:] != -100).sum().item()
        loss = model(torch.tensor([example["ids"]]), labels=labels).loss.item()
        total, count = total + loss * trained, count + trained
    return total / count


@torch.no_grad()
def main(folder, file):
    with open(file) as text:
        examples = json.load(text)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    losses = {"f32": mean_loss(model, examples)}
    for name, weight in model.named_parameters():
        if weight.dim() == 2 and name.startswith("model.layers."):
            codes, state = bitsandbytes.functional.quantize_4bit(
                weight.data, blocksize=64, quant_type="nf4", compress_statistics=True
            )
            weight.data.copy_(bitsandbytes.functional.dequantize_4bit(codes, state))
    losses["nf4"] = mean_loss(model, examples)
    print(json.dumps(losses))


main(*sys.argv[1:])

"""Steps of one way to fine-tune, by PyTorch and PEFT, timed in this fresh process.

python torch_step.py REQUEST

REQUEST is JSON: `model` (a Hugging Face folder), `method` (a key of METHODS), `dtype` (float32 or bfloat16, of the base;
what PEFT adds keeps its own type), `sequences`, `length`, `threads`, `warmup` and `steps`. Prints one line of JSON; where
the installed PEFT lacks the method, that line has `missing`.
"""

import json
import resource
import statistics
import sys
import time

import torch
import transformers

TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
LEARNING_RATE = 1e-4


def adamw(model):
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    return torch.optim.AdamW(trained, lr=LEARNING_RATE, fused=True)


def full(model):
    return model, adamw(model)


def adapted(model, name, **options):
    """A PEFT method of that configuration class on all projections, by AdamW."""
    import peft

    if not hasattr(peft, name):
        raise ImportError(f"peft {peft.__version__} has no {name}")
    config = getattr(peft, name)(target_modules=TARGETS, task_type="CAUSAL_LM", **options)
    model = peft.get_peft_model(model, config)
    return model, adamw(model)


def projections(model):
    named = model.named_modules()
    return [module for name, module in named if name.rsplit(".", 1)[-1] in TARGETS]


def lora_parameters(model, rank):
    return rank * sum(layer.in_features + layer.out_features for layer in projections(model))


def supertuning(model, rank):
    weights = sum(layer.weight.numel() for layer in projections(model))
    return adapted(model, "SupertuningConfig", sparsity=1 - lora_parameters(model, rank) / weights)


def reference(model, rank):
    """SpIEL as its authors wrote it, in a fork of PEFT 0.6; outside of a selection window it takes no dense gradients."""
    from peft import SftConfig, get_peft_model
    from peft.tuners.sft import SftAdamW

    deltas = lora_parameters(model, rank)
    model = get_peft_model(model, SftConfig(num_tunable_weights=deltas, selection_algorithm="rigl"))
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    return model, SftAdamW(trained, lr=LEARNING_RATE)


METHODS = {
    "full": full,
    "lora-r8": lambda model: adapted(model, "LoraConfig", r=8, lora_alpha=16),
    "lora-r64": lambda model: adapted(model, "LoraConfig", r=64, lora_alpha=16),
    "shira-r8": lambda model: adapted(model, "ShiraConfig", r=8, random_seed=0),
    "supertuning-r8": lambda model: supertuning(model, 8),
    "reference-r8": lambda model: reference(model, 8),
}


def random_tokens(vocabulary, sequences, length):
    numbers = torch.arange(1, sequences * length + 1, dtype=torch.int64)
    return ((numbers * 2654435761) % 2**32 % vocabulary).reshape(sequences, length)


def versions():
    import peft

    modules = {"torch": torch, "transformers": transformers, "peft": peft}
    return {"python": sys.version.split()[0]} | {
        name: module.__version__ for name, module in modules.items()
    }


def measure(model, optimizer, tokens, warmup, steps):
    seconds = []
    for _ in range(warmup + steps):
        begun = time.perf_counter()
        model(input_ids=tokens, labels=tokens).loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds[warmup:])


def peak_bytes():
    """Most resident bytes: on Linux getrusage begins with the peak of the process that started this one."""
    if sys.platform == "linux":
        with open("/proc/self/status") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return 1024 * int(line.split()[1])
    # Linux tells KiB, macOS bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main(request):
    torch.set_num_threads(request["threads"])
    torch.manual_seed(0)
    transformers.logging.set_verbosity_error()
    dtype = getattr(torch, request["dtype"])
    model = transformers.AutoModelForCausalLM.from_pretrained(
        request["model"], dtype=dtype, attn_implementation="sdpa"
    )
    model.config.use_cache = False
    model.train()
    about = {"method": request["method"], "dtype": request["dtype"], "versions": versions()}
    try:
        model, optimizer = METHODS[request["method"]](model)
    except ImportError as error:
        return about | {"missing": str(error)}
    tokens = random_tokens(model.config.vocab_size, request["sequences"], request["length"])
    seconds = measure(model, optimizer, tokens, request["warmup"], request["steps"])
    trained = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    return about | {
        "trained": trained,
        "step_seconds": round(seconds, 4),
        "tokens_per_second": round(tokens.numel() / seconds, 1),
        "peak_bytes": peak_bytes(),
    }


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))

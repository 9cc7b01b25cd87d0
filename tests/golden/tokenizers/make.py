"""Writes the vectors of this folder: what the Python libraries make of small tokenizers.

Needs sentencepiece, tokenizers, gguf and llama-cpp-python; their versions are written to vectors.json.
"""

import json
import os
import tempfile

import gguf
import llama_cpp
import sentencepiece
import tokenizers

HERE = os.path.dirname(os.path.abspath(__file__))
CORPUS = """the cat sat on the mat and the dog sat on the log
a cat and a dog and a bird sing the song of the sea
how many birds sing? 12 birds, 345 cats and 6789 dogs sing!
she said: the sea isn't calm, it's the song that's calm
naïve café déjà vu, Ελληνικά και ελληνικά, мир и мир, 東京と京都
def add(a, b):\n    return a + b\n
the  double  space and the   triple   space
""".split("\n")
TEXTS = [
    "the cat sat",
    " the cat sat on the mat ",
    "a",
    " ",
    "   ",
    "",
    "the  double   space    and more",
    "line one\nline two\n\n\tindented\r\n",
    "12 birds, 345 cats and 6789 dogs!",
    "it's the song THAT'S calm, isn't it?",
    "naïve cafe\u0301 déjà vu ÿ",
    "Ελληνικά мир 東京と京都 ✓",
    "😀 smile 👩\u200d👩\u200d👧 family",
    "\ufeffmark and zero\u200bwidth and\u00a0no-break",
    "ｆｕｌｌ　ｗｉｄｔｈ ① ﬁne",
    "literal \u2581 sign and <0x41> text",
    "<s>the cat</s> and <sep>the dog<sep> sat",
    "x<sep> y <pad> z<word>z <word> end",
    "a\u0000b\u007f",
    "def add(a, b):\n    return a + b\n",
    "MixedCASEWords andCamelCase ÀÉ Éa",
    "... !!! --- ///\n//x a/b 1,000.50",
    "\u0663\u0664 ½ ² 1\u06632",
]
# What SentencePiece itself is asked: it knows no added tokens.
PLAIN = [text for text in TEXTS if "<" not in text]


def train(folder, name, **options):
    corpus = os.path.join(folder, "corpus.txt")
    with open(corpus, "w", encoding="utf-8") as file:
        file.write("\n".join(CORPUS))
    prefix = os.path.join(folder, name)
    sentencepiece.SentencePieceTrainer.train(
        input=corpus, model_prefix=prefix, minloglevel=2, num_threads=1, **options
    )
    return prefix + ".model"


def sentencepiece_models(folder):
    rules = os.path.join(folder, "rules.tsv")
    with open(rules, "w", encoding="utf-8") as file:
        # Full width to ASCII, a ligature, a composed letter, no-break and ideographic space, and a deletion.
        pairs = [([0xFF41 + i], [0x61 + i]) for i in range(26)]
        pairs += [([0xFB01], [0x66, 0x69]), ([0x65, 0x301], [0xE9]), ([0xA0], [0x20]), ([0x3000], [0x20]), ([0x200B], [])]
        for source, target in pairs:
            file.write(" ".join(f"{c:X}" for c in source) + "\t" + " ".join(f"{c:X}" for c in target) + "\n")
    common = dict(character_coverage=0.98, hard_vocab_limit=False)
    return {
        "bpe": train(
            folder, "bpe", model_type="bpe", vocab_size=340, byte_fallback=True, normalization_rule_name="identity",
            remove_extra_whitespaces=False, user_defined_symbols=["<sep>"], **common,
        ),
        "bpe_plain": train(
            folder, "bpe_plain", model_type="bpe", vocab_size=330, byte_fallback=True,
            normalization_rule_name="identity", add_dummy_prefix=False, remove_extra_whitespaces=False,
            user_defined_symbols=["\u2581\u2581", "\u2581\u2581\u2581", "\n"], **common,
        ),
        "unigram": train(
            folder, "unigram", model_type="unigram", vocab_size=90, normalization_rule_tsv=rules, **common
        ),
        "unigram_bytes": train(
            folder, "unigram_bytes", model_type="unigram", vocab_size=330, byte_fallback=True,
            normalization_rule_name="identity", remove_extra_whitespaces=False, **common,
        ),
    }


def sentencepiece_vectors(path):
    processor = sentencepiece.SentencePieceProcessor(model_file=path)
    return [{"text": text, "ids": processor.encode(text), "decoded": processor.decode(processor.encode(text))} for text in PLAIN]


def pieces_of(path):
    processor = sentencepiece.SentencePieceProcessor(model_file=path)
    types = []
    for i in range(processor.vocab_size()):
        is_user = processor.id_to_piece(i) in ("<sep>", "\u2581\u2581", "\u2581\u2581\u2581", "\n")
        types.append(
            2 if processor.is_unknown(i) else 3 if processor.is_control(i) else 6 if processor.is_byte(i) else 4 if is_user else 1
        )
    return {
        "tokens": [processor.id_to_piece(i) for i in range(processor.vocab_size())],
        "scores": [processor.get_score(i) for i in range(processor.vocab_size())],
        "types": types,
    }


def merges_of(vocabulary):
    scores = {t: s for t, s, k in zip(vocabulary["tokens"], vocabulary["scores"], vocabulary["types"]) if k in (1, 4)}
    merges = [(s, t[:i], t[i:]) for t, s in scores.items() for i in range(1, len(t)) if t[:i] in scores and t[i:] in scores]
    merges.sort(key=lambda m: (m[0], len(m[1]), len(m[2])), reverse=True)
    return [[left, right] for _, left, right in merges]


def json_cases(models):
    """tokenizer.json in the forms that published models of these families have."""
    space = "\u2581"
    to_space = {"type": "Replace", "pattern": {"String": " "}, "content": space}
    decoder = lambda *more: {
        "type": "Sequence",
        "decoders": [
            {"type": "Replace", "pattern": {"String": space}, "content": " "},
            {"type": "ByteFallback"},
            {"type": "Fuse"},
            *more,
        ],
    }
    strip = {"type": "Strip", "content": " ", "start": 1, "stop": 0}
    metaspace = lambda scheme, split: {"type": "Metaspace", "replacement": space, "prepend_scheme": scheme, "split": split}

    def added(vocabulary, *more):
        special = [{"id": i, "content": c} for i, c in enumerate(["<unk>", "<s>", "</s>"])]
        tokens = [{**t, "special": True, "normalized": False} for t in special]
        size = len(vocabulary["tokens"])
        tokens += [{"id": size + i, "special": False, "normalized": False, **t} for i, t in enumerate(more)]
        return [{"single_word": False, "lstrip": False, "rstrip": False, **t} for t in tokens]

    def bpe(vocabulary):
        return {
            "type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None,
            "end_of_word_suffix": None, "fuse_unk": True, "byte_fallback": True, "ignore_merges": False,
            "vocab": {t: i for i, t in enumerate(vocabulary["tokens"])}, "merges": merges_of(vocabulary),
        }

    def unigram(vocabulary, byte_fallback):
        return {
            "type": "Unigram", "unk_id": 0, "byte_fallback": byte_fallback,
            "vocab": [[t, s] for t, s in zip(vocabulary["tokens"], vocabulary["scores"])],
        }

    extra = [
        {"content": "<pad>", "lstrip": True, "rstrip": True},
        {"content": "<word>", "single_word": True},
        {"content": "song", "normalized": True},
    ]
    vocabulary, plain = pieces_of(models["bpe"]), pieces_of(models["bpe_plain"])
    small, with_bytes = pieces_of(models["unigram"]), pieces_of(models["unigram_bytes"])
    charsmap = charsmap_of(models["unigram"])
    prepend = {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": space}, to_space]}
    collapse = {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}
    sides = {"type": "Strip", "strip_left": False, "strip_right": True}
    compiled = {"type": "Precompiled", "precompiled_charsmap": charsmap}
    split = {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False}
    yield "llama 2", added(vocabulary), prepend, None, decoder(strip), bpe(vocabulary)
    yield "llama 2 with added tokens", added(vocabulary, *extra), prepend, None, decoder(strip), bpe(vocabulary)
    yield "mistral", added(vocabulary, *extra), None, metaspace("first", False), decoder(strip), bpe(vocabulary)
    yield "words", added(vocabulary), None, metaspace("always", True), decoder(strip), bpe(vocabulary)
    yield "gemma", added(plain), to_space, split, decoder(), bpe(plain)
    yield (
        "unigram", added(small), {"type": "Sequence", "normalizers": [compiled, sides, collapse]},
        metaspace("always", True), metaspace("always", True), unigram(small, False),
    )
    yield (
        "unigram with bytes", added(with_bytes), {"type": "NFKC"}, metaspace("never", False), decoder(),
        unigram(with_bytes, True),
    )


def charsmap_of(path):
    """Field 2 of the normalizer_spec."""
    import base64

    from sentencepiece import sentencepiece_model_pb2

    model = sentencepiece_model_pb2.ModelProto()
    with open(path, "rb") as file:
        model.ParseFromString(file.read())
    return base64.b64encode(model.normalizer_spec.precompiled_charsmap).decode()


def json_vectors(models):
    for name, added, normalizer, pre_tokenizer, decoder, model in json_cases(models):
        content = {
            "version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": normalizer,
            "pre_tokenizer": pre_tokenizer, "post_processor": None, "decoder": decoder, "model": model,
        }
        tokenizer = tokenizers.Tokenizer.from_str(json.dumps(content))
        vectors = []
        for text in TEXTS:
            ids = tokenizer.encode(text).ids
            vectors.append({"text": text, "ids": ids, "decoded": tokenizer.decode(ids, skip_special_tokens=False)})
        yield {"name": name, "json": content, "vectors": vectors}


def write_gguf(path, fields):
    writer = gguf.GGUFWriter(path, "llama")
    for key, value in [("context_length", 64), ("embedding_length", 8), ("block_count", 1), ("feed_forward_length", 8)]:
        writer.add_uint32(f"llama.{key}", value)
    writer.add_uint32("llama.attention.head_count", 1)
    writer.add_float32("llama.attention.layer_norm_rms_epsilon", 1e-5)
    fields(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()


def llama_ids(path, texts):
    model = llama_cpp.Llama(path, vocab_only=True, verbose=False)
    return [model.tokenize(text.encode(), add_bos=False, special=True) for text in texts]


def gguf_pieces(folder, models):
    for name, prefix in [("bpe", True), ("bpe_plain", False)]:
        vocabulary = pieces_of(models[name])

        def fields(writer):
            writer.add_tokenizer_model("llama")
            writer.add_token_list(vocabulary["tokens"])
            writer.add_token_scores(vocabulary["scores"])
            writer.add_token_types(vocabulary["types"])
            writer.add_add_space_prefix(prefix)

        path = os.path.join(folder, f"{name}.gguf")
        write_gguf(path, fields)
        texts = [text for text in TEXTS if "\0" not in text]
        vectors = [{"text": t, "ids": ids} for t, ids in zip(texts, llama_ids(path, texts))]
        yield {"name": name, "space_prefix": prefix, **vocabulary, "vectors": vectors}


PRE_TYPES = """smollm starcoder refact command-r codeshell exaone minerva-7b llama-bpe llama3 llama-v3 falcon3 pixtral dbrx
smaug-bpe glm4 chatglm-bpe qwen2 deepseek-r1-qwen stablelm2 hunyuan qwen35 tekken gpt-4o llama4 deepseek-v3 gpt-2 phi-2
olmo mpt jais exaone4 default""".split()


def gguf_pre(folder):
    """Merges learnt without any word borders, so that ids show where a pre-tokenizer puts them."""
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=900, show_progress=False, initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet()
    )
    tokenizer.train_from_iterator(CORPUS + TEXTS * 3, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].get)
    merges = [" ".join(merge) for merge in model["merges"]]
    texts = [text for text in TEXTS if "<" not in text and "\0" not in text]
    ids = {}
    for pre in PRE_TYPES:

        def fields(writer):
            writer.add_tokenizer_model("gpt2")
            writer.add_tokenizer_pre(pre)
            writer.add_token_list(tokens)
            writer.add_token_merges(merges)
            writer.add_bos_token_id(0)
            writer.add_eos_token_id(0)

        path = os.path.join(folder, f"{pre}.gguf")
        write_gguf(path, fields)
        ids[pre] = llama_ids(path, texts)
    return {"tokens": tokens, "merges": merges, "texts": texts, "ids": ids}


def main():
    with tempfile.TemporaryDirectory() as folder:
        models = sentencepiece_models(folder)
        for name, path in models.items():
            with open(path, "rb") as source, open(os.path.join(HERE, f"{name}.model"), "wb") as target:
                target.write(source.read())
        result = {
            "versions": {
                module.__name__: getattr(module, "__version__", None) or version(module.__name__)
                for module in (sentencepiece, tokenizers, gguf, llama_cpp)
            },
            "sentencepiece": {name: sentencepiece_vectors(path) for name, path in models.items()},
            "tokenizer_json": list(json_vectors(models)),
            "gguf_pieces": list(gguf_pieces(folder, models)),
            "gguf_pre": gguf_pre(folder),
        }
    with open(os.path.join(HERE, "vectors.json"), "w", encoding="utf-8") as file:
        json.dump(result, file, ensure_ascii=True, separators=(",", ":"))


def version(name):
    from importlib.metadata import version

    return version(name)


if __name__ == "__main__":
    main()

/** Split GGUF models: read as the whole file is, from any part and from the folder; parts that do not fit are refused. */
import assert from "node:assert/strict";
import { kindOfPath, modelsInside } from "../../../src/io/recognise.ts";
import { modelIdentity, openModelSource } from "../../../src/model/source.ts";
import { loadTokenizer } from "../../../src/data/tokenizer.ts";
import type { GgufField } from "../../support/gguf_builder.ts";
import { assertRefuses } from "../../support/refuses.ts";
import { splitGguf, splitPath } from "../../support/split_gguf.ts";
import { withTempDir } from "../../support/temp_dir.ts";
import { tinyGguf } from "../../support/tiny_model.ts";

const COUNT = 3;
const u32 = (value: number): GgufField => ({ type: "u32", value });

/** Writes the parts of a model, some changed or left out. */
function writeParts(folder: string, changes: Parameters<typeof splitGguf>[1] = {}): string[] {
  Deno.mkdirSync(folder, { recursive: true });
  return splitGguf(COUNT, changes).map((bytes, index) => {
    const path = splitPath(`${folder}/tiny`, index, COUNT);
    Deno.writeFileSync(path, bytes);
    return path;
  });
}

Deno.test("a split GGUF model is the whole one, from any part and from the folder", () =>
  withTempDir(async (dir) => {
    Deno.writeFileSync(`${dir}/whole.gguf`, tinyGguf("llama"));
    using whole = openModelSource(`${dir}/whole.gguf`);
    const identity = await modelIdentity(whole);
    const parts = writeParts(`${dir}/parts`);
    assert.equal(kindOfPath(`${dir}/parts`), "gguf");
    for (const path of [...parts, `${dir}/parts`]) {
      using split = openModelSource(path);
      assert.equal(await modelIdentity(split), identity);
      assert.equal(split.path, path);
      assert.deepEqual(split.huggingFaceConfig(), whole.huggingFaceConfig());
      // The tokenizer is looked for in the first part, whichever is named.
      assertRefuses(() => loadTokenizer(path), "data", parts[0]!, "tokenizer.ggml.model");
    }
  }));

Deno.test("a model that is named as the only part need not say that it is one", () =>
  withTempDir((dir) => {
    const path = `${dir}/tiny-00001-of-00001.gguf`;
    Deno.writeFileSync(path, tinyGguf("llama"));
    for (const named of [path, dir]) {
      using source = openModelSource(named);
      assert.equal(source.path, named);
    }
    const [other] = splitGguf(2, {});
    Deno.writeFileSync(path, other!);
    assertRefuses(() => openModelSource(path), "data", "split.count is 2; expected 1");
  }));

Deno.test("split GGUF models with missing, miscounted or mixed parts are refused by file and field", () =>
  withTempDir((dir) => {
    let number = 0;
    const refuses = (changes: Parameters<typeof splitGguf>[1], ...fragments: string[]) => {
      const [first] = writeParts(`${dir}/${number++}`, changes);
      assertRefuses(() => openModelSource(first!), "data", ...fragments);
    };
    refuses({ 1: { "split.no": null } }, "tiny-00002-of-00003.gguf: split.no is missing");
    refuses({ 1: { "split.no": u32(2) } }, "tiny-00002-of-00003.gguf: split.no is 2; expected 1");
    refuses({ 2: { "split.count": u32(4) } }, "00003-of-00003.gguf: split.count is 4; expected 3");
    refuses(
      { 0: { "split.tensors.count": u32(20) }, 1: { "split.tensors.count": u32(20) } },
      "00003-of-00003.gguf: split.tensors.count is not what tiny-00001-of-00003.gguf says",
    );
    refuses(
      Object.fromEntries([0, 1, 2].map((part) => [part, { "split.tensors.count": u32(20) }])),
      "split.tensors.count is 20; expected 21 in all parts",
    );
    refuses(
      { 1: { "general.architecture": { type: "string", value: "qwen2" } } },
      "general.architecture is not what tiny-00001-of-00003.gguf says",
      "different models",
    );
    const parts = writeParts(`${dir}/twice`);
    Deno.copyFileSync(parts[0]!, parts[2]!);
    assertRefuses(() => openModelSource(parts[0]!), "data", "00003-of-00003.gguf: split.no is 0");
    Deno.removeSync(parts[1]!);
    for (const path of [parts[0]!, `${dir}/twice`]) {
      assertRefuses(() => openModelSource(path), "data", parts[1]!, "missing", "part 2 of the 3");
    }
    Deno.renameSync(parts[0]!, `${dir}/renamed.gguf`);
    assertRefuses(
      () => openModelSource(`${dir}/renamed.gguf`),
      "data",
      "renamed.gguf: split.count is 3",
      "model-00001-of-00002.gguf",
    );
    Deno.writeFileSync(`${dir}/a-00004-of-00003.gguf`, tinyGguf("llama"));
    assertRefuses(() => openModelSource(`${dir}/a-00004-of-00003.gguf`), "data", "part 4 of 3");
  }));

Deno.test("a folder with two split models is none, and both are named", () =>
  withTempDir((dir) => {
    const parts = writeParts(dir);
    for (const path of parts) Deno.copyFileSync(path, path.replace("tiny", "other"));
    assert.equal(kindOfPath(dir), "folder");
    const first = splitPath(`${dir}/other`, 0, COUNT);
    assert.equal(modelsInside(dir), `did you mean "${first}" or "${parts[0]}"?`);
  }));

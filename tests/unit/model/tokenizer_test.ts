/** The tokens that end what a model writes. */

import assert from "node:assert/strict";
import { tokenizerFiles } from "../../../src/data/tokenizer.ts";
import { openModelSource } from "../../../src/model/source.ts";
import { tokenizerOf } from "../../../src/model/tokenizer.ts";
import { byteTokenizer } from "../../support/byte_tokenizer.ts";
import { withTempDir } from "../../support/temp_dir.ts";
import { tinyConfig, tinyWeights, writeTinyFolder } from "../../support/tiny_model.ts";

/** The strings that stop a model whose tokenizer has this chat template. */
async function stops(chatTemplate: string | null, vocabulary = 0): Promise<string[]> {
  const tokenizer = byteTokenizer({ chatTemplate });
  return await withTempDir((dir) => {
    const config = { ...tinyConfig("llama"), vocab_size: tokenizer.vocabSize + vocabulary };
    writeTinyFolder(dir, "llama", config, tinyWeights(config));
    for (const [name, text] of tokenizerFiles(tokenizer)) {
      Deno.writeTextFileSync(`${dir}/${name}`, text);
    }
    using source = openModelSource(dir);
    const { stopTokens } = tokenizerOf(source);
    return stopTokens.filter((id) => id > 255).map((id) => tokenizer.decode([id]));
  });
}

Deno.test("stop tokens: the end of a text, and of an assistant's turn where the template has one", async () => {
  assert.deepEqual(await stops(null), []);
  const { chatTemplate } = byteTokenizer();
  assert.deepEqual(await stops(chatTemplate), ["<|end|>"]);
  const plain = "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + '\n' }}{% endfor %}";
  assert.deepEqual(await stops(plain), []);
  assert.deepEqual(await stops("{{ raise_exception('never') }}"), []);
});

Deno.test("tokenizer: one with more ids than the model has embeddings is refused", async () => {
  await assert.rejects(() => stops(null, -1), { kind: "data", message: /do not belong together/ });
});

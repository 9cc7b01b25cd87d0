/** The Modelfile: templates in Ollama's words that say what the chat template does, or none. */
import assert from "node:assert/strict";
import { ChatTemplate, type Message } from "../../../src/data/chat_template.ts";
import type { Tokenizer } from "../../../src/data/tokenizer.ts";
import { modelfile } from "../../../src/export/modelfile.ts";
import { ollamaTemplate } from "../../../src/export/ollama_template.ts";
import { byteTokenizer } from "../../support/byte_tokenizer.ts";

/** Runs the few words of Go's template language that are written, as text/template does. */
function run(template: string, messages: readonly Message[]): string {
  const hasSystem = messages.some(({ role }) => role === "system");
  const shape =
    /^(?:\{\{ if not \.System \}\}([\s\S]*?)\{\{ end \}\})?\{\{ range \.Messages \}\}\{\{ if eq \.Role "system" \}\}([\s\S]*?)\{\{ else if eq \.Role "user" \}\}([\s\S]*?)\{\{ else \}\}([\s\S]*?)\{\{ end \}\}\{\{ end \}\}$/;
  const [, begin = "", system = "", user = "", assistant = ""] = shape.exec(template) ?? [];
  assert.notEqual(user, "", template);
  const bodies: Record<string, string> = { system, user, assistant };
  const said = messages.map(({ role, content }) =>
    bodies[role]!.split("{{ .Content }}").join(content ?? "")
  );
  return (hasSystem ? "" : begin) + said.join("");
}

const CHATML =
  "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|turn|>system\nBe good.<|end|>\n' }}{% endif %}" +
  "{{'<|turn|>' + message['role'] + '\n' + message['content'] + '<|end|>' + '\n'}}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|turn|>assistant\n' }}{% endif %}";
const LLAMA3 =
  "{% for m in messages %}{% set c = '<|turn|>' + m['role'] + '<|end|>\n\n' + m['content'] | trim + '</s>' %}" +
  "{% if loop.index0 == 0 %}{% set c = bos_token + c %}{% endif %}{{ c }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|turn|>assistant<|end|>\n\n' }}{% endif %}";
const INSTRUCTION =
  "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}{{ '### Q: ' + m['content'] + '\n### A:' }}" +
  "{% elif m['role'] == 'system' %}{{ m['content'] + '\n\n' }}{% else %}{{ m['content'] + eos_token }}{% endif %}{% endfor %}";

const CONVERSATIONS: Message[][] = [
  [{ role: "user", content: "hello" }],
  [{ role: "system", content: "Be brief." }, { role: "user", content: "hi there" }],
  [
    { role: "user", content: "one" },
    { role: "assistant", content: "two" },
    { role: "user", content: "three" },
  ],
];

function tokenizer(chatTemplate: string | null, addsBos = false): Tokenizer {
  return byteTokenizer(
    { chatTemplate },
    addsBos
      ? {
        post_processor: {
          type: "TemplateProcessing",
          single: [{ SpecialToken: { id: "<s>", type_id: 0 } }, {
            Sequence: { id: "A", type_id: 0 },
          }],
          pair: [],
          special_tokens: { "<s>": { id: "<s>", ids: [260], tokens: ["<s>"] } },
        },
      }
      : {},
  );
}

Deno.test("what is written for Ollama renders as the chat template does", () => {
  const own = byteTokenizer().chatTemplate;
  for (const source of [CHATML, LLAMA3, INSTRUCTION, own!]) {
    for (const addsBos of [false, true]) {
      const model = tokenizer(source, addsBos);
      const written = ollamaTemplate(model);
      assert.ok(written !== null, source);
      const template = new ChatTemplate(source, model);
      for (const messages of CONVERSATIONS) {
        const expected = template.render(messages, { addGenerationPrompt: true });
        // Ollama puts the begin token where the tokenizer does.
        const begun = addsBos && expected.startsWith("<s>") ? expected.slice(3) : expected;
        assert.equal(run(written, messages), begun, source);
      }
    }
  }
});

Deno.test("templates that Ollama's words cannot follow are left to the GGUF file", () => {
  const numbered =
    "{% for m in messages %}{{ loop.index ~ ':' ~ m['content'] ~ '<|end|>' }}{% endfor %}";
  const once = "{{ messages[0]['content'] }}";
  const refuses = "{{ raise_exception('no') }}";
  const braces = INSTRUCTION.replace("### A:", "' ~ '{' ~ '{' ~ '").replace("### Q", '"""');
  for (const source of [numbered, once, refuses, braces, null]) {
    assert.equal(ollamaTemplate(tokenizer(source)), null, `${source}`);
  }
  const model = { tokenizer: tokenizer(once), stopTokens: [261, 263] };
  assert.equal(
    modelfile("a.gguf", model),
    'FROM ./a.gguf\nPARAMETER stop "</s>"\nPARAMETER stop "<|end|>"\n',
  );
});

Deno.test("stops of a Modelfile are between quotes as they are, without escapes", () => {
  const [lineEnd, quote, eos] = [10, 34, 261];
  const model = { tokenizer: tokenizer(null), stopTokens: [lineEnd, quote, eos] };
  const quotes = '"'.repeat(3);
  assert.equal(
    modelfile("a.gguf", model),
    `FROM ./a.gguf\nPARAMETER stop "\n"\nPARAMETER stop ${quotes}"${quotes}\nPARAMETER stop "</s>"\n`,
  );
});

/** Chat templates: which parts of a rendered conversation are the assistant's, for templates of several families. */
import assert from "node:assert/strict";
import { ChatTemplate, type Message } from "../../../src/data/chat_template.ts";
import { findTurns } from "../../../src/data/chat_turns.ts";
import { JinjaTemplate } from "../../../src/data/jinja.ts";
import { WorkBudget } from "../../../src/data/jinja_bounds.ts";
import { CHAT_TEMPLATE, SPECIAL_TOKENS } from "../../support/byte_tokenizer.ts";
import { assertRefuses } from "../../support/refuses.ts";

const TOKENS = { bosToken: "<s>", eosToken: "</s>", specialTokens: SPECIAL_TOKENS };

const conversation = (...contents: string[]): Message[] =>
  contents.map((content, i) => ({ role: i % 2 === 0 ? "user" : "assistant", content }));

/** The trained pieces of a conversation. */
function trained(source: string, messages: Message[]): string[] {
  const { text, turns } = new ChatTemplate(source, TOKENS).renderForTraining({ messages });
  return turns.map(({ start, end }) => text.slice(start, end));
}

/** Trims contents, as LLaMA 3 does, and prints the header of an answer whether asked or not. */
const LLAMA3_LIKE = "{{ bos_token }}{% for m in messages %}{{ '<|turn|>' + m.role + '\n\n' }}" +
  "{{ m.content | trim + '<|end|>' }}{% endfor %}{{ '<|turn|>assistant\n\n' }}";

/** As Qwen3: only the last answer shows (empty) thoughts, those of earlier ones are cut away. */
const THINKING =
  "{% for m in messages %}{% if m.role == 'assistant' %}{{ '<|turn|>assistant\n' }}" +
  "{% set words = m.content.split('</think>')[-1].lstrip('\n') %}" +
  "{% if loop.last %}{{ '<think>\n\n</think>\n\n' }}{% endif %}{{ words + '<|end|>\n' }}" +
  "{% else %}{{ '<|turn|>user\n' + m.content + '<|end|>\n' }}{% endif %}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|turn|>assistant\n' }}{% endif %}";

/** As Mistral: no header, a space before the answer. */
const INSTRUCT = "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}" +
  "{{ '[INST] ' + m.content + ' [/INST]' }}{% else %}{{ ' ' + m.content + eos_token }}{% endif %}{% endfor %}";

const MARKED = "{% for m in messages %}{% if m.role == 'assistant' %}A: {%- generation -%}\n" +
  " {{ m.content + eos_token }}\n {%- endgeneration -%}{% else %}U: {{ m.content }}{% endif %}|{% endfor %}";

Deno.test("answers are trained with the token that ends them, in every family", () => {
  const two = conversation("q", "one", "r", "two");
  assert.deepEqual(trained(CHAT_TEMPLATE, two), ["one<|end|>", "two<|end|>"]);
  assert.deepEqual(trained(LLAMA3_LIKE, conversation("q", " one \n", "r", "two")), [
    "one<|end|>",
    "two<|end|>",
  ]);
  assert.deepEqual(trained(THINKING, conversation("q", "<think>x</think>\n\none", "r", "two")), [
    "one<|end|>",
    "<think>\n\n</think>\n\ntwo<|end|>",
  ]);
  assert.deepEqual(trained(INSTRUCT, two), [" one</s>", " two</s>"]);
  assert.deepEqual(trained(MARKED, two), ["one</s>", "two</s>"]);
});

/** As Zephyr's elders: the next turn's header stands behind an answer, and nothing ends it. */
const ENDLESS =
  "{% for m in messages %}{{ '<|turn|>' + m.role + '\n' + m.content + '\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|turn|>assistant\n' }}{% endif %}";

/** A separator between turns, which the last has not. */
const SEPARATED = "{% for m in messages %}{{ m.role + ': ' + m.content }}" +
  "{% if not loop.last %}{{ '<|end|>' }}{% endif %}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|end|>assistant: ' }}{% endif %}";

Deno.test("what begins the next turn is not trained, and an endless template's last answer is ended", () => {
  const two = conversation("q", "one", "r", "two");
  const followed = conversation("q", "one", "r");
  for (const source of [ENDLESS, SEPARATED]) {
    assert.deepEqual(trained(source, two), ["one", "two</s>"]);
    assert.deepEqual(trained(source, followed), ["one"]);
    const withoutEnd = new ChatTemplate(source, { ...TOKENS, eosToken: null });
    const { text, turns } = withoutEnd.renderForTraining({ messages: two });
    assert.deepEqual(turns.map(({ start, end }) => text.slice(start, end)), ["one", "two"]);
  }
  // One that is there already is not doubled.
  assert.deepEqual(trained(ENDLESS, conversation("q", "one</s>")), ["one</s>"]);
});

Deno.test("whether a template ends its answers", () => {
  const two = conversation("q", "one", "r", "two");
  const hasEnds = (source: string) =>
    new ChatTemplate(source, TOKENS).renderForTraining({ messages: two }).hasEnds;
  for (const source of [CHAT_TEMPLATE, LLAMA3_LIKE, THINKING, INSTRUCT, MARKED]) {
    assert.ok(hasEnds(source), source);
  }
  const blocks = MARKED.replace("m.content + eos_token", "m.content");
  for (const source of [ENDLESS, SEPARATED, blocks]) assert.ok(!hasEnds(source), source);
  // Blocks are taken at their word.
  assert.deepEqual(trained(blocks, two), ["one", "two"]);
});

Deno.test("white space and strange contents stay inside their answer", () => {
  for (
    const content of ["", " ", " a ", "\n", "a<|end|>b", "{{ x }}", "\\", "assistant\n", "\uE000"]
  ) {
    const [piece] = trained(CHAT_TEMPLATE, conversation("q", content));
    assert.equal(piece, `${content}<|end|>`);
  }
});

Deno.test("generation blocks are found as transformers finds them, however their tags are written", () => {
  const answers = (inner: string) =>
    `{% for m in messages %}{% if m.role == 'assistant' %}${inner}{% endif %}{% endfor %}`;
  const cases: [source: string, text: string, ...trained: string[]][] = [
    [
      "{% for m in messages %}\n{% if m.role == 'assistant' %}\n{% generation %}\n{{ m.content }}</s>\n" +
      "{% endgeneration %}\n{% else %}\nU: {{ m.content }}\n{% endif %}\n{% endfor %}",
      "U: q\nab</s>\n",
      "ab</s>\n",
    ],
    [
      "{% for m in messages %}\n  {% if m.role == 'assistant' %}\n    {% generation %}\n" +
      "    {{ m.content }}</s>\n    {% endgeneration %}\n  {% endif %}\n{% endfor %}",
      "    ab</s>\n",
      "    ab</s>\n",
    ],
    [
      answers("A:  {%\n generation\n -%}  {{ m.content }}</s>  {%- endgeneration %}  x"),
      "A:  ab</s>  x",
      "ab</s>",
    ],
    [
      answers("\n {%+ generation +%}\n{{ m.content }}</s>{% endgeneration %}"),
      " \nab</s>",
      "\nab</s>",
    ],
    // A comment has no blocks, and the answer is looked for.
    [
      "{# no {% generation %} #}{% for m in messages %}{{ m.content }}</s>{% endfor %}",
      "q</s>ab</s>",
      "ab</s>",
    ],
  ];
  for (const [source, text, ...expected] of cases) {
    const messages = conversation("q", "ab");
    assert.equal(new ChatTemplate(source, TOKENS).render(messages), text, source);
    assert.deepEqual(trained(source, messages), expected, source);
  }
  assert.deepEqual(trained(MARKED, conversation("q\uE001", "\uE000one")), ["\uE000one</s>"]);
});

Deno.test("a long conversation takes renderings that do not grow with it", () => {
  for (const source of [CHAT_TEMPLATE, LLAMA3_LIKE, THINKING, INSTRUCT, ENDLESS, SEPARATED]) {
    const counted = (pairs: number) => {
      const messages = conversation(...Array.from({ length: 2 * pairs }, (_, i) => `text ${i}`));
      const template = new ChatTemplate(source, TOKENS);
      let renderings = 0;
      findTurns(messages, template.render(messages), {
        specialTokens: SPECIAL_TOKENS,
        render: (some, addGenerationPrompt) => {
          renderings++;
          return template.render(some, { addGenerationPrompt });
        },
      });
      return renderings;
    };
    assert.equal(counted(40), counted(10), source);
  }
});

Deno.test("answers in more places than there are marks are found", () => {
  const messages = conversation(...Array.from({ length: 6600 }, (_, i) => `${i}`));
  const pieces = trained(
    "{% for m in messages %}{{ m.role + m.content + '<|end|>' }}{% endfor %}" +
      "{% if add_generation_prompt %}assistant{% endif %}",
    messages,
  );
  assert.equal(pieces.length, 3300);
  assert.ok(pieces.every((piece, i) => piece === `${2 * i + 1}<|end|>`));
});

Deno.test("a conversation whose answers take too much work to find is refused, not searched further", () => {
  const template = new JinjaTemplate("{% for m in messages %}{{ m.content }}{% endfor %}");
  const budget = new WorkBudget(500);
  let renderings = 0;
  assertRefuses(
    () =>
      findTurns(conversation("q", "one", "r", "two"), "another text", {
        specialTokens: SPECIAL_TOKENS,
        render: (messages) => {
          renderings++;
          for (let i = 0; i < 10; i++) template.render({ messages }, budget);
          return "";
        },
      }),
    "data",
    "more than 500 operations to find its answers",
  );
  assert.ok(renderings < 5, `${renderings}`);
});

Deno.test("an answer that repeats the question is found where it stands", () => {
  const template = new ChatTemplate(CHAT_TEMPLATE, TOKENS);
  const { text, turns } = template.renderForTraining({ messages: conversation("same", "same") });
  assert.deepEqual(turns, [{
    message: 1,
    start: text.lastIndexOf("same"),
    end: text.length - 1,
  }]);
});

Deno.test("tool calls without content are located by what precedes and follows them", () => {
  const source = "{% for m in messages %}{{ '<|turn|>' + m.role + '\n' }}" +
    "{% if m.tool_calls %}{{ m.tool_calls[0].name }}{% else %}{{ m.content }}{% endif %}" +
    "{{ '<|end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|turn|>assistant\n' }}{% endif %}";
  const call: Message = { role: "assistant", content: null, tool_calls: [{ name: "look" }] };
  const messages: Message[] = [{ role: "user", content: "q" }, call, {
    role: "tool",
    content: "r",
  }];
  assert.deepEqual(trained(source, messages), ["look<|end|>"]);
});

Deno.test("a rendering is the same every day and has no special tokens of its own", () => {
  const template = new ChatTemplate(
    "{% if not date_string is defined %}{{ strftime_now('%d') }}{% endif %}{{ date_string }}",
    { ...TOKENS, bosToken: null },
  );
  assert.equal(template.render([]), "26 Jul 2024");
});

Deno.test("templates that hide the answer or fail are refused", () => {
  const one = conversation("q", "a");
  assertRefuses(() => new ChatTemplate("{% for %}", TOKENS), "data", "does not parse");
  assertRefuses(
    () => new ChatTemplate("{{ raise_exception('roles must alternate') }}", TOKENS).render(one),
    "data",
    "roles must alternate",
  );
  const counting =
    "{% for m in messages %}{{ messages | length }}{{ m.content | length }}{% endfor %}";
  assertRefuses(() => trained(counting, one), "data", "hides", "message 1");
  const twice = "{% for m in messages %}{% generation %}{% endfor %}{% endgeneration %}";
  assertRefuses(() => trained(twice, one), "data", "generation blocks");
});

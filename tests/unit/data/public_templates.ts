/**
 * Chat templates in the shapes of twelve public ones and of two that never ask, and what is trained of a conversation
 * in each, written by hand.
 *
 * The templates were written for these tests: they print what the public ones print for such conversations, and have
 * what made masks go wrong: headers that are asked for or not, trimmed contents, ends of turns that are no tokens of
 * their own, a system by default, systems in the first question, ends of text behind the last turn.
 */
import type { Message } from "../../../src/data/chat_template.ts";

/** One family of templates. */
export interface TemplateCase {
  name: string;
  /** Jinja source. */
  source: string;
  /** The strings that are single tokens; the first begins a text, the second ends one. */
  specialTokens: readonly [begin: string, end: string, ...others: string[]];
  /** The whole text of `CONVERSATION`, in which `⟦` and `⟧` stand around what is trained. */
  marked: string;
}

/** Two questions; contents have white space that some templates trim. */
export const CONVERSATION: readonly Message[] = [
  { role: "user", content: "Name a colour." },
  { role: "assistant", content: "Blue." },
  { role: "user", content: "Another?\n" },
  { role: "assistant", content: " Red, the\nwarmest. " },
];

const header = "{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}";
const ask = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

export const TEMPLATES: readonly TemplateCase[] = [
  {
    name: "ChatML",
    source: `{% for m in messages %}${header}{% endfor %}${ask}`,
    specialTokens: ["<s>", "<|im_end|>", "<|im_start|>"],
    marked: "<|im_start|>user\nName a colour.<|im_end|>\n" +
      "<|im_start|>assistant\n⟦Blue.<|im_end|>⟧\n" +
      "<|im_start|>user\nAnother?\n<|im_end|>\n" +
      "<|im_start|>assistant\n⟦ Red, the\nwarmest. <|im_end|>⟧\n",
  },
  {
    // The system goes into the first question; every pair begins and ends a text; contents are trimmed.
    name: "Llama 2",
    source: "{% if messages[0]['role'] == 'system' %}" +
      "{% set system = '<<SYS>>\n' + messages[0]['content'] + '\n<</SYS>>\n\n' %}{% set rest = messages[1:] %}" +
      "{% else %}{% set system = '' %}{% set rest = messages %}{% endif %}" +
      "{% for m in rest %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}" +
      "{{ raise_exception('roles must alternate') }}{% endif %}" +
      "{% if loop.first %}{% set content = system + m['content'] %}{% else %}{% set content = m['content'] %}{% endif %}" +
      "{% if m['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}" +
      "{% else %}{{ ' ' + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}",
    specialTokens: ["<s>", "</s>"],
    marked: "<s>[INST] Name a colour. [/INST]⟦ Blue. </s>⟧" +
      "<s>[INST] Another? [/INST]⟦ Red, the\nwarmest. </s>⟧",
  },
  {
    // Trims, and puts the begin of a text before the first header.
    name: "Llama 3",
    source:
      "{% for m in messages %}{% set content = '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n' " +
      "+ m['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}" +
      "{{ content }}{% endfor %}" +
      "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}",
    specialTokens: [
      "<|begin_of_text|>",
      "<|end_of_text|>",
      ...["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
    ],
    marked:
      "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nName a colour.<|eot_id|>" +
      "<|start_header_id|>assistant<|end_header_id|>\n\n⟦Blue.<|eot_id|>⟧" +
      "<|start_header_id|>user<|end_header_id|>\n\nAnother?<|eot_id|>" +
      "<|start_header_id|>assistant<|end_header_id|>\n\n⟦Red, the\nwarmest.<|eot_id|>⟧",
  },
  {
    // No headers, and nothing between the question's end and the answer but a space.
    name: "Mistral",
    source: "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}" +
      "{{ '[INST] ' + m['content'] + ' [/INST]' }}{% elif m['role'] == 'assistant' %}" +
      "{{ ' ' + m['content'] + eos_token }}{% else %}{{ raise_exception('only user and assistant') }}{% endif %}{% endfor %}",
    specialTokens: ["<s>", "</s>", "[INST]", "[/INST]"],
    marked: "<s>[INST] Name a colour. [/INST]⟦ Blue.</s>⟧" +
      "[INST] Another?\n [/INST]⟦  Red, the\nwarmest. </s>⟧",
  },
  {
    // The assistant is the model; contents are trimmed.
    name: "Gemma",
    source:
      "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}" +
      "{% for m in messages %}{% if m['role'] == 'assistant' %}{% set role = 'model' %}{% else %}{% set role = m['role'] %}" +
      "{% endif %}{{ '<start_of_turn>' + role + '\n' + m['content'] | trim + '<end_of_turn>\n' }}{% endfor %}" +
      "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}",
    specialTokens: ["<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"],
    marked: "<bos><start_of_turn>user\nName a colour.<end_of_turn>\n" +
      "<start_of_turn>model\n⟦Blue.<end_of_turn>⟧\n" +
      "<start_of_turn>user\nAnother?<end_of_turn>\n" +
      "<start_of_turn>model\n⟦Red, the\nwarmest.<end_of_turn>⟧\n",
  },
  {
    // What does not ask for an answer ends the text, behind the end of the last turn.
    name: "Phi",
    source:
      "{% for m in messages %}{{ '<|' + m['role'] + '|>\n' + m['content'] + '<|end|>\n' }}{% endfor %}" +
      "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}",
    specialTokens: [
      "<s>",
      "<|endoftext|>",
      ...["<|system|>", "<|user|>", "<|assistant|>", "<|end|>"],
    ],
    marked: "<|user|>\nName a colour.<|end|>\n<|assistant|>\n⟦Blue.<|end|>⟧\n" +
      "<|user|>\nAnother?\n<|end|>\n<|assistant|>\n⟦ Red, the\nwarmest. <|end|>⟧\n<|endoftext|>",
  },
  {
    // A default system; tools in it; tool messages are a user's.
    name: "Qwen",
    source: "{% if messages[0].role == 'system' %}{% set system = messages[0].content %}" +
      "{% else %}{% set system = 'You are a helpful assistant.' %}{% endif %}" +
      "{{ '<|im_start|>system\n' + system }}{% if tools %}{{ '\n\n# Tools' }}{% for tool in tools %}" +
      "{{ '\n' }}{{ tool | tojson }}{% endfor %}{% endif %}{{ '<|im_end|>\n' }}" +
      "{% for m in messages %}{% if m.role == 'user' or (m.role == 'assistant' and not m.tool_calls) %}" +
      `${header}{% elif m.role == 'assistant' %}` +
      "{{ '<|im_start|>assistant' }}{% if m.content %}{{ '\n' + m.content }}{% endif %}{% for call in m.tool_calls %}" +
      "{% if call.function is defined %}{% set call = call.function %}{% endif %}" +
      "{{ '\n<tool_call>\n{\"name\": \"' + call.name + '\", \"arguments\": ' }}{{ call.arguments | tojson }}{{ '}\n</tool_call>' }}" +
      "{% endfor %}{{ '<|im_end|>\n' }}{% elif m.role == 'tool' %}" +
      "{{ '<|im_start|>user\n<tool_response>\n' + m.content + '\n</tool_response><|im_end|>\n' }}{% endif %}{% endfor %}" +
      ask,
    specialTokens: ["<|endoftext|>", "<|im_end|>", "<|im_start|>"],
    marked: "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n" +
      "<|im_start|>user\nName a colour.<|im_end|>\n<|im_start|>assistant\n⟦Blue.<|im_end|>⟧\n" +
      "<|im_start|>user\nAnother?\n<|im_end|>\n<|im_start|>assistant\n⟦ Red, the\nwarmest. <|im_end|>⟧\n",
  },
  {
    // Roles are text, not tokens; every turn ends with the end of a text.
    name: "Zephyr",
    source:
      "{% for m in messages %}{% if m['role'] == 'user' %}{{ '<|user|>\n' + m['content'] + eos_token }}" +
      "{% elif m['role'] == 'system' %}{{ '<|system|>\n' + m['content'] + eos_token }}" +
      "{% elif m['role'] == 'assistant' %}{{ '<|assistant|>\n' + m['content'] + eos_token }}{% endif %}{{ '\n' }}" +
      "{% if loop.last and add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}{% endfor %}",
    specialTokens: ["<s>", "</s>"],
    // The newline behind the header is not part of what asks for an answer: the model writes it.
    marked: "<|user|>\nName a colour.</s>\n<|assistant|>⟦\nBlue.</s>⟧\n" +
      "<|user|>\nAnother?\n</s>\n<|assistant|>⟦\n Red, the\nwarmest. </s>⟧\n",
  },
  {
    // As Zephyr's, but that only answers have an end, and that the last one has no newline behind it.
    name: "Tülu",
    source:
      "{% for m in messages %}{% if m['role'] == 'system' %}{{ '<|system|>\n' + m['content'] + '\n' }}" +
      "{% elif m['role'] == 'user' %}{{ '<|user|>\n' + m['content'] + '\n' }}{% elif m['role'] == 'assistant' %}" +
      "{% if not loop.last %}{{ '<|assistant|>\n' + m['content'] + eos_token + '\n' }}" +
      "{% else %}{{ '<|assistant|>\n' + m['content'] + eos_token }}{% endif %}{% endif %}" +
      "{% if loop.last and add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}{% endfor %}",
    specialTokens: ["<s>", "</s>"],
    marked: "<|user|>\nName a colour.\n<|assistant|>\n⟦Blue.</s>⟧\n" +
      "<|user|>\nAnother?\n\n<|assistant|>\n⟦ Red, the\nwarmest. </s>⟧",
  },
  {
    // Plain text whose turns nothing ends: the end of a text is put behind the last answer alone.
    name: "Alpaca text",
    source:
      "{{ 'Below is an instruction that describes a task.\n\n' }}{% for m in messages %}{% if m['role'] == 'user' %}" +
      "{{ '### Instruction:\n' + m['content'] + '\n\n' }}{% else %}{{ '### Response:\n' + m['content'] + '\n\n' }}{% endif %}" +
      "{% endfor %}{% if add_generation_prompt %}{{ '### Response:\n' }}{% endif %}",
    specialTokens: ["<s>", "</s>"],
    marked: "Below is an instruction that describes a task.\n\n" +
      "### Instruction:\nName a colour.\n\n### Response:\n⟦Blue.⟧\n\n" +
      "### Instruction:\nAnother?\n\n\n### Response:\n⟦ Red, the\nwarmest.</s>⟧",
  },
  {
    // A line of text; the space behind the colon belongs to the answer.
    name: "Vicuna",
    source:
      "{{ 'A chat between a user and an assistant. ' }}{% for m in messages %}{% if m['role'] == 'user' %}" +
      "{{ 'USER: ' + m['content'] + ' ' }}{% else %}{{ 'ASSISTANT: ' + m['content'] + eos_token }}{% endif %}{% endfor %}" +
      "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}",
    specialTokens: ["<s>", "</s>"],
    marked: "A chat between a user and an assistant. USER: Name a colour. ASSISTANT:⟦ Blue.</s>⟧" +
      "USER: Another?\n ASSISTANT:⟦  Red, the\nwarmest. </s>⟧",
  },
  {
    // ChatML with a system of its own, printed with the first message.
    name: "SmolLM2",
    source: "{% for m in messages %}{% if loop.first and messages[0]['role'] != 'system' %}" +
      "{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM<|im_end|>\n' }}{% endif %}" +
      `${header}{% endfor %}${ask}`,
    specialTokens: ["<|endoftext|>", "<|im_end|>", "<|im_start|>"],
    marked: "<|im_start|>system\nYou are a helpful AI assistant named SmolLM<|im_end|>\n" +
      "<|im_start|>user\nName a colour.<|im_end|>\n<|im_start|>assistant\n⟦Blue.<|im_end|>⟧\n" +
      "<|im_start|>user\nAnother?\n<|im_end|>\n<|im_start|>assistant\n⟦ Red, the\nwarmest. <|im_end|>⟧\n",
  },
  {
    // Prints headers with answers only, and none to ask for one.
    name: "headers unasked",
    source: `{% for m in messages %}${header}{% endfor %}`,
    specialTokens: ["<s>", "<|im_end|>", "<|im_start|>"],
    marked: "<|im_start|>user\nName a colour.<|im_end|>\n" +
      "<|im_start|>assistant\n⟦Blue.<|im_end|>⟧\n" +
      "<|im_start|>user\nAnother?\n<|im_end|>\n" +
      "<|im_start|>assistant\n⟦ Red, the\nwarmest. <|im_end|>⟧\n",
  },
  {
    // The same in words, with a space before what is said.
    name: "words unasked",
    source: "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + eos_token }}{% endfor %}",
    specialTokens: ["<s>", "</s>"],
    marked: "user: Name a colour.</s>assistant:⟦ Blue.</s>⟧user: Another?\n</s>" +
      "assistant:⟦  Red, the\nwarmest. </s>⟧",
  },
];

/** Compares a tokenizer and its chat template with a folder of golden vectors. */
import { ChatTemplate, type Message } from "../../src/data/chat_template.ts";
import { makeTokenizer, type Tokenizer } from "../../src/data/tokenizer.ts";

interface Vector {
  text: string;
  ids: number[];
  ids_with_special: number[];
  decoded: string;
  decoded_skip_special: string;
}

interface Rendering {
  text: string;
  ids: number[];
}

interface Conversation {
  messages: Message[];
  plain: Rendering;
  generation_prompt: Rendering;
}

/** What was compared, and a line per difference. */
export interface TokenizerCheck {
  vectors: number;
  renderings: number;
  differences: string[];
}

/** The tokenizer of `tokenizer.json.gz`, `tokenizer_config.json` and `chat_template.jinja`. */
export async function goldenTokenizer(folder: string): Promise<Tokenizer> {
  const file = await Deno.open(`${folder}/tokenizer.json.gz`);
  const text = new Response(file.readable.pipeThrough(new DecompressionStream("gzip"))).text();
  const config = JSON.parse(Deno.readTextFileSync(`${folder}/tokenizer_config.json`));
  return makeTokenizer({
    where: `${folder}/tokenizer.json.gz`,
    json: JSON.parse(await text),
    config,
    bosToken: config.bos_token,
    eosToken: config.eos_token,
    eosTokenIds: [],
    chatTemplate: Deno.readTextFileSync(`${folder}/chat_template.jinja`),
  });
}

/** Compares ids, decoded text and rendered conversations; all must be identical. */
export function checkTokenizer(tokenizer: Tokenizer, folder: string): TokenizerCheck {
  const differences: string[] = [];
  const compare = (what: string, found: string, expected: string) => {
    if (found !== expected) differences.push(`${what}: ${found} instead of ${expected}`);
  };
  const vectors: Vector[] = JSON.parse(
    Deno.readTextFileSync(`${folder}/tokenizer_vectors.json`),
  );
  for (const { text, ids, ids_with_special, decoded, decoded_skip_special } of vectors) {
    const name = JSON.stringify(text);
    const bare = tokenizer.encode(text, { addSpecialTokens: false });
    compare(`ids of ${name}`, bare.join(), ids.join());
    compare(`ids with special of ${name}`, tokenizer.encode(text).join(), ids_with_special.join());
    compare(
      `ids with offsets of ${name}`,
      tokenizer.encodeWithOffsets(text).ids.join(),
      ids_with_special.join(),
    );
    compare(`text of ${name}`, tokenizer.decode(ids), decoded);
    const skipped = tokenizer.decode(ids, { skipSpecialTokens: true });
    compare(`text without special of ${name}`, skipped, decoded_skip_special);
  }
  const chat: { template: string; conversations: Conversation[] } = JSON.parse(
    Deno.readTextFileSync(`${folder}/chat_template.json`),
  );
  compare("template", tokenizer.chatTemplate ?? "(none)", chat.template);
  const template = new ChatTemplate(chat.template, tokenizer);
  chat.conversations.forEach(({ messages, plain, generation_prompt }, index) => {
    for (const addGenerationPrompt of [false, true]) {
      const expected = addGenerationPrompt ? generation_prompt : plain;
      const text = template.render(messages, { addGenerationPrompt });
      const ids = tokenizer.encode(text, { addSpecialTokens: false });
      compare(`rendering of conversation ${index}`, text, expected.text);
      compare(`ids of conversation ${index}`, ids.join(), expected.ids.join());
    }
  });
  return { vectors: vectors.length, renderings: 2 * chat.conversations.length, differences };
}

/** What is odd about a tokenizer's chat template, as far as a short conversation shows it. */
import { SpielError } from "../errors.ts";
import { ChatTemplate } from "./chat_template.ts";
import type { Tokenizer } from "./tokenizer.ts";

const QUESTION = [{ role: "user", content: "spiel-question" }];

/** Sentences for people who look at their data; empty where nothing is odd. */
export function templateNotes(tokenizer: Tokenizer): string[] {
  if (tokenizer.chatTemplate === null) {
    return ["the tokenizer has no chat template: prompt and completion are joined as they are"];
  }
  try {
    const template = new ChatTemplate(tokenizer.chatTemplate, tokenizer);
    const asked = template.render(QUESTION, { addGenerationPrompt: true });
    const notes: string[] = [];
    if (asked === template.render(QUESTION)) {
      notes.push("the chat template prints the same whether an answer is asked for or not");
    }
    const { bosToken } = tokenizer;
    const beginsText = bosToken !== null && tokenizer.decode(tokenizer.encode("a")) !== "a";
    if (beginsText && !asked.startsWith(bosToken)) {
      notes.push(
        `the chat template begins without "${bosToken}", which the tokenizer puts before text`,
      );
    }
    const own = asked.slice(0, asked.indexOf(QUESTION[0]!.content)).match(/[^\n]{40,}/)?.[0];
    if (own !== undefined) {
      notes.push(`the chat template says something of its own: "${own}"`);
    }
    return notes;
  } catch (error) {
    if (error instanceof SpielError && error.kind === "data") return [error.message];
    throw error;
  }
}

/** First words with which models decline to describe a picture, in lower case with straight apostrophes. */
export const REFUSAL_PHRASES: readonly string[] = [
  ...["i'm sorry", 'i am sorry', "i'm really sorry", 'sorry, but i', 'sorry, i', 'i apologize', 'my apologies'],
  ...["i can't", 'i cannot', 'i can not', "i'm unable", 'i am unable', "i'm not able", 'i am not able', "i won't"],
  ...['i will not', 'i must decline', 'i have to decline', 'as an ai', 'as a language model', 'unfortunately, i'],
  ...['as a large language model', "i don't feel comfortable", "i'm not comfortable", 'this image violates'],
];

/** Whether a text begins with the words of a refusal. */
export function isRefusal(text: string): boolean {
  const start = text.slice(0, 100).trimStart().toLowerCase().replaceAll('\u2019', "'");
  return REFUSAL_PHRASES.some((phrase) => start.startsWith(phrase) && !/^[a-z]/.test(start.slice(phrase.length)));
}

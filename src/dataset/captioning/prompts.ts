/** The prompts that every account has, by name. */
export const BUILTIN_PROMPTS: Readonly<Record<string, string>> = {
  tags: 'List what this picture shows as comma-separated tags in lower case, the most important first, as on image boards: subject, count, appearance, clothing, pose, action, background, light, style. Answer with the tags alone.',
  sentence:
    'Describe this picture in one plain English sentence, for training an image model: the subject first, then what it does, the place and the light. Name only what can be seen. Answer with the sentence alone.',
  paragraph:
    'Describe this picture in one detailed English paragraph of three to six sentences, for training an image model: subject, appearance, clothing, pose, surroundings, composition, light, colors and style. Name only what can be seen, and guess nothing. Answer with the paragraph alone.',
  clip: 'Describe this clip in one English paragraph of two to four sentences, for training a video model: the action first and in its order, then the subject, the place, the movement of the camera and the light. Do not mention frames. Answer with the paragraph alone.',
};

export const DEFAULT_PROMPT = 'sentence';

export interface PromptValues {
  /** Without its extension. */
  readonly name: string;
  /** Empty if there is none. */
  readonly caption: string;
  readonly trigger: string;
}

/** Whether the prompt of a file depends on its caption. */
export function usesCaption(template: string): boolean {
  return /\{(caption|tags)\}/.test(template);
}

/** Fills in `{caption}`, `{tags}`, `{name}` and `{trigger}`; other braces stay. `{tags}` is a caption that is a list of tags. */
export function promptOf(template: string, values: PromptValues, leaveOut: readonly string[]): string {
  const { name, caption, trigger } = values;
  const known: Readonly<Record<string, string>> = { name, caption, trigger, tags: isTagList(caption) ? caption : '' };
  const text = template.replace(/\{(caption|tags|name|trigger)\}/g, (_, variable: string) => known[variable] ?? '');
  return leaveOut.length === 0 ? text : `${text}\n\nDo not mention: ${leaveOut.join(', ')}.`;
}

function isTagList(caption: string): boolean {
  const parts = caption.split(',');
  return parts.length > 1 && parts.every((part) => part.trim().split(/\s+/).length <= 5);
}

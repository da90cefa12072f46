/** What may go wrong when a model is asked for a caption, and what to do. Only `cut_off` leaves a text. */
export const CAPTION_OUTCOMES = {
  cut_off: ['The answer was cut off.', 'Edit the proposal, or start another run with more max_tokens.'],
  empty: ['The model answered without a text.', 'Try another prompt, or another model.'],
  thought_too_long: [
    'The model thought until its budget was spent, and wrote no caption.',
    'Turn thinking off in the body of the endpoint, use a model without it, or raise max_tokens.',
  ],
  refused: ['The model refused to describe it.', 'Write this caption by hand, or use another model.'],
  no_vision: [
    "The model can't see pictures.",
    'Serve a vision model; with llama.cpp, start llama-server with --mmproj.',
  ],
  image_rejected: ['The server rejected the picture.', 'Try a smaller longestSide, fewer frames, or another model.'],
  context_too_small: [
    "The picture and the prompt don't fit in the context of the model.",
    'Serve it with a larger context, or set a smaller longestSide, fewer frames or fewer max_tokens.',
  ],
  model_missing: ['The server has no such model.', 'Pull or load the model, or correct the name in the settings.'],
  unauthorized: ['The server rejected the key.', 'The operator corrects the key of the endpoint (keyEnv or keyFile).'],
  timeout: ['The server did not answer in time.', 'Raise timeoutSeconds of the endpoint, or use a smaller model.'],
  unreachable: ['The server could not be reached.', 'Start it, check the URL of the endpoint, and resume the run.'],
  server_error: ['The model server failed.', 'Its log has more.'],
  not_sent: ['No picture of it could be made.', 'Write this caption by hand, or convert the file to JPEG, PNG or MP4.'],
  rejected: ['The text is no valid caption.', 'Write this caption by hand.'],
} as const satisfies Record<string, readonly [words: string, advice: string]>;

export type CaptionOutcome = keyof typeof CAPTION_OUTCOMES;

/** They meet one file; the next may succeed. */
export const OUTCOMES_OF_ONE_FILE: readonly CaptionOutcome[] = [
  'empty',
  'refused',
  'image_rejected',
  'not_sent',
  'rejected',
];

/** After so many in a row, an outcome that meets all files stops the run. */
export const MAX_FAILURES_IN_A_ROW = 3;

/** @param message the words of the server */
export function outcomeWords(outcome: CaptionOutcome, message: string | null): string {
  const [words, advice] = CAPTION_OUTCOMES[outcome];
  return [words, ...(message ? [message.replace(/[.\s]*$/, '.')] : []), advice].join(' ');
}

const COUNT_WORDS: Readonly<Record<string, string>> = { ready: 'written', applied: 'stored', gone: 'removed' };

/** What became of the files of a run, such as `12 stored, 3 proposed, 1 failed`. */
export function runCountsText(counts: Readonly<Record<string, number>>): string {
  const shown = Object.entries(counts).filter(([, files]) => files > 0);
  return shown.map(([what, files]) => `${files.toLocaleString('en')} ${COUNT_WORDS[what] ?? what}`).join(', ');
}

interface OutcomeRow {
  /** Completes "cat.jpg: ". */
  readonly words: string;
  readonly advice: string;
  /** It will meet every file, so a run stops after three in a row. */
  readonly meetsAll?: true;
}

/** What may go wrong when a model is asked for a caption, and what to do. Only `cut_off` leaves a text. */
export const CAPTION_OUTCOMES = {
  cut_off: {
    words: 'the answer was cut off',
    advice: 'Edit the proposal before you accept it, or start another run with more max_tokens.',
  },
  empty: { words: 'the model answered without a text', advice: 'Try another prompt, or a model that follows prompts.' },
  thought_too_long: {
    words: 'the model thought until its budget was spent, and wrote no caption',
    advice: 'Turn thinking off in the body of the endpoint, use a model without it, or raise max_tokens.',
    meetsAll: true,
  },
  refused: {
    words: 'the model refused to describe it',
    advice: 'Write this caption by hand, or use another model.',
  },
  no_vision: {
    words: "the model can't see pictures",
    advice: 'Serve a vision model; with llama.cpp, start llama-server with --mmproj.',
    meetsAll: true,
  },
  image_rejected: {
    words: 'the model server rejected the picture',
    advice: 'Look at the words of the server. A smaller longestSide, fewer frames, or another model may help.',
  },
  context_too_small: {
    words: "the picture and the prompt don't fit in the context of the model",
    advice: 'Serve the model with a larger context, or set a smaller longestSide, fewer frames or fewer max_tokens.',
    meetsAll: true,
  },
  model_missing: {
    words: 'the server has no such model',
    advice: 'Pull or load the model, or correct the name in the settings of the endpoint.',
    meetsAll: true,
  },
  unauthorized: {
    words: 'the server rejected the key',
    advice: 'The operator corrects the key of the endpoint (keyEnv or keyFile).',
    meetsAll: true,
  },
  timeout: {
    words: 'the server did not answer in time',
    advice: 'Raise timeoutSeconds of the endpoint, or use a smaller model.',
    meetsAll: true,
  },
  unreachable: {
    words: 'the server could not be reached',
    advice: 'Start the model server, check the URL of the endpoint, and resume the run.',
    meetsAll: true,
  },
  server_error: {
    words: 'the model server failed',
    advice: 'Look at the words of the server and at its log.',
    meetsAll: true,
  },
  not_sent: {
    words: 'no picture of it could be made',
    advice: 'Write this caption by hand, or convert the file to JPEG, PNG or MP4.',
  },
  rejected: { words: 'the text is no valid caption', advice: 'Write this caption by hand.' },
} as const satisfies Record<string, OutcomeRow>;

export type CaptionOutcome = keyof typeof CAPTION_OUTCOMES;

export const CAPTION_OUTCOME_NAMES = Object.keys(CAPTION_OUTCOMES) as CaptionOutcome[];

/** After so many in a row, an outcome that meets all files stops the run. */
export const MAX_FAILURES_IN_A_ROW = 3;

export function meetsAllFiles(outcome: CaptionOutcome): boolean {
  return (CAPTION_OUTCOMES[outcome] as OutcomeRow).meetsAll === true;
}

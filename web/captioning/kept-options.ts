const KEY = 'trainyard-caption-options';

/** As they are typed. */
const DEFAULTS = {
  endpoint: '',
  preset: 'sentence',
  prompt: '',
  trigger: '',
  leaveOut: '',
  maxTokens: '400',
  frames: '8',
};

export type CaptionOptions = typeof DEFAULTS;

/** The options of the last run that this browser started. */
export function keptOptions(): CaptionOptions {
  return { ...DEFAULTS, ...(JSON.parse(localStorage.getItem(KEY) ?? '{}') as Partial<CaptionOptions>) };
}

export function keepOptions(options: CaptionOptions): void {
  localStorage.setItem(KEY, JSON.stringify(options));
}

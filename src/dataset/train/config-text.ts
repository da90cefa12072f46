import { shellWord } from '../../command-line.js';
import { type MediaChoice, numbered, type TrainingDataset } from './training-dataset.js';

/** A configuration file of a trainer, or a block of one. */
export interface TrainConfig {
  readonly format: 'yaml' | 'toml' | 'json';
  /** The usual name of the file, which the trainer takes as an argument. */
  readonly filename: string;
  /** The text, with advice in comments where the format has comments. It ends without a line end. */
  readonly text: string;
  /** Advice that JSON has no comments for; one or two sentences each. */
  readonly notes: readonly string[];
}

/** The datasets have nothing that the trainer trains on. The message says what to do. */
export class NothingToTrainOn extends Error {}

const COMMENT_COLUMNS = 116;

/** Wraps sentences into comments of YAML and TOML. */
export function commentLines(text: string, indent = ''): string[] {
  const width = COMMENT_COLUMNS - indent.length;
  const lines = [''];
  for (const word of text.split(' ')) {
    const line = lines.at(-1) ?? '';
    if (line !== '' && line.length + word.length >= width) lines.push(word);
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`;
  }
  return lines.map((line) => `${indent}# ${line}`);
}

/** A sentence that says how many captions have several lines, or that it is not known; `undefined` if none has. */
export function multiLineFinding(datasets: readonly TrainingDataset[]): string | undefined {
  if (datasets.some(({ captions }) => captions === undefined)) {
    return 'The captions could not be read here, and some may have several lines.';
  }
  const multiLine = datasets.reduce((sum, { captions }) => sum + (captions?.multiLine ?? 0), 0);
  return multiLine === 0 ? undefined : `${numbered(multiLine, 'caption has', 'captions have')} several lines.`;
}

/** The line that mounts one kind of media of a dataset. */
export function mountLine({ name, root }: Pick<TrainingDataset, 'name' | 'root'>, only: MediaChoice): string {
  return `trainyard mount ${shellWord(name)} --into ${shellWord(root)} --only ${only}`;
}

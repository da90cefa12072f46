import type { Pair } from '../../live/pairs.js';
import { drafts } from './drafts.js';
import { displayText } from './drafts.js';
import { textStateOf } from './texts.js';

/**
 * Rewrites the caption of a pair, with what is typed and not saved, and saves it as a field does.
 *
 * @returns the text after it; `undefined` if the text is not known, is too long, or is in conflict
 */
export function rewriteCaption(
  datasetId: string,
  { stem, caption }: Pair,
  rewrite: (text: string) => string,
): string | undefined {
  const name = { datasetId, filename: caption?.filename ?? `${stem}.txt` };
  const { draft, newer } = drafts.entry(name) ?? {};
  const read = caption && textStateOf(caption.sha256);
  const ofFile = caption && read?.state === 'read' ? { sha256: caption.sha256, text: read.text } : undefined;
  const isNewer = newer?.replaced.has(caption?.sha256) === true;
  const saved = isNewer ? newer?.saved : ofFile;
  const isUnknown = !isNewer && caption !== undefined && ofFile === undefined;
  if (isUnknown || saved?.text === null || draft?.state === 'conflict') return undefined;
  const before = draft?.text ?? displayText(saved?.text ?? '');
  const after = rewrite(before);
  if (after === before) return after;
  drafts.edit(name, after, saved);
  drafts.save(name);
  return after;
}

import type { DatasetFile } from '../../src/client/client.js';
import { isInCategory, type Pair } from '../live/pairs.js';

const STYLE = 'ml-auto shrink-0 rounded-full px-2 py-0.5 text-xs font-medium';

/** A badge for a missing caption, a blank one, or one without media. */
export function CaptionBadge({ pair }: { pair: Pair }) {
  if (isInCategory(pair, 'missing')) return <span className={`${STYLE} bg-bad-soft text-bad`}>No caption</span>;
  if (isInCategory(pair, 'blank')) return <span className={`${STYLE} bg-warn-soft text-warn`}>Blank caption</span>;
  if (isInCategory(pair, 'orphan')) return <span className={`${STYLE} bg-warn-soft text-warn`}>No media</span>;
  return null;
}

/** A badge for a caption in a control or mask dataset. */
export function UnusedCaptionBadge({ pair: { caption } }: { pair: Pair }) {
  if (caption === undefined) return null;
  return (
    <span title={unusedCaptionText(caption)} className={`${STYLE} bg-raised text-muted`}>
      Unused caption
    </span>
  );
}

export function unusedCaptionText({ filename }: Pick<DatasetFile, 'filename'>): string {
  return `${filename} is not used: the trainer reads captions of the training dataset only.`;
}

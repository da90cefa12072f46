import type { DatasetFile } from '../../src/client/client.js';
import { messageOf } from '../ui/format.js';
import { useText } from './editing/texts.js';

interface PlainCaptionProps {
  readonly datasetId: string;
  /** `undefined` if there is no caption. */
  readonly caption: DatasetFile | undefined;
  /** The revision that has it, if the dataset may not have it any more. */
  readonly revision?: number;
  readonly className: string;
}

/** A caption to read, or why it can't be read. */
export function PlainCaption({ datasetId, caption, revision, className }: PlainCaptionProps) {
  const { state, retry } = useText(datasetId, caption, revision);
  if (caption === undefined) return <p className="text-muted italic">No caption</p>;
  if (state.state === 'loading') return <p className="text-muted">…</p>;
  if (state.state === 'failed') {
    return (
      <p className="text-bad">
        Could not read the caption. {messageOf(state.error)}{' '}
        <button type="button" onClick={retry} className="cursor-pointer text-link">
          Try again
        </button>
      </p>
    );
  }
  if (state.text === null) return <p className="text-muted italic">This caption is too long to show here.</p>;
  return (
    <p className={`wrap-anywhere ${className}`} title={state.text.trim()}>
      {state.text.trim() === '' ? 'A blank caption' : state.text}
    </p>
  );
}

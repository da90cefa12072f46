import type { ReactNode } from 'react';
import type { DatasetFile } from '../../../src/client/client.js';

/** A picture that is compared with another one. */
export interface ComparedPicture {
  readonly datasetId: string;
  readonly file: DatasetFile;
  /** What it is, such as `control`, and which file. */
  readonly label: string;
}

interface FittedFrameProps {
  readonly file: DatasetFile;
  readonly children: ReactNode;
  /** Shown below the frame. */
  readonly below: ReactNode;
}

/** A frame with the proportions of a file, as large as its parent allows, so that pictures in it cover one another exactly. */
export function FittedFrame({ file: { width = 1, height = 1 }, children, below }: FittedFrameProps) {
  return (
    <div className="flex size-full flex-col">
      <div className="flex min-h-0 grow items-center justify-center [container-type:size]">
        <div
          className="relative overflow-hidden has-focus-visible:outline-2 has-focus-visible:outline-offset-2 has-focus-visible:outline-accent"
          style={{ aspectRatio: `${width} / ${height}`, width: `min(100cqw, 100cqh * ${width / height})` }}
        >
          {children}
        </div>
      </div>
      <div className="flex flex-wrap items-center justify-center gap-x-4 px-2 py-1 text-xs text-muted">{below}</div>
    </div>
  );
}

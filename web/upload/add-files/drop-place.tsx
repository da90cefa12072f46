import type { ReactNode } from 'react';
import { type DroppedFile, listDroppedFiles } from './dropped-files.js';

interface DropPlaceProps {
  readonly onFiles: (files: Promise<readonly DroppedFile[]>) => void;
  readonly className: string;
  readonly children: ReactNode;
}

/** A part of the page that takes the files that are dropped onto it. `DropTarget` marks it, and leaves prevented drops to it. */
export function DropPlace({ onFiles, className, children }: DropPlaceProps) {
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: each place has a button that chooses the files
    <div
      data-drop-place
      onDrop={(event) => {
        // Places may be within places, and the innermost one takes the files.
        if (event.defaultPrevented || !event.dataTransfer.types.includes('Files')) return;
        event.preventDefault();
        onFiles(listDroppedFiles(event.dataTransfer));
      }}
      className={`${className} data-dragged-over:outline-2 data-dragged-over:outline-accent`}
    >
      {children}
    </div>
  );
}

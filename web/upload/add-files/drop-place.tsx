import { type HTMLAttributes, useState } from 'react';
import { type DroppedFile, listDroppedFiles } from './dropped-files.js';

const ATTRIBUTE = 'data-drop-place';

/** Whether the pointer is over a place that takes the files itself, so that the page does not. */
export function isOverDropPlace({ target }: Event): boolean {
  return target instanceof Element && target.closest(`[${ATTRIBUTE}]`) !== null;
}

/** Whether the page shows such a place: a hint must not cover it. */
export function hasDropPlaces(): boolean {
  return document.querySelector(`[${ATTRIBUTE}]`) !== null;
}

interface DropPlaceProps extends Omit<HTMLAttributes<HTMLDivElement>, 'onDrop'> {
  readonly onFiles: (files: Promise<readonly DroppedFile[]>) => void;
}

/** A part of the page that takes the files that are dropped onto it. The innermost of several takes them. */
export function DropPlace({ onFiles, className = '', children, ...rest }: DropPlaceProps) {
  const [isDraggedOver, setDraggedOver] = useState(false);
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: a button in it does the same by keyboard
    <div
      {...rest}
      {...{ [ATTRIBUTE]: '' }}
      onDragOver={(event) => {
        if (!event.dataTransfer.types.includes('Files')) return;
        setDraggedOver(innermostPlaceOf(event.target) === event.currentTarget);
      }}
      onDragLeave={({ currentTarget, relatedTarget }) => {
        if (!(relatedTarget instanceof Node && currentTarget.contains(relatedTarget))) setDraggedOver(false);
      }}
      onDrop={(event) => {
        setDraggedOver(false);
        if (innermostPlaceOf(event.target) !== event.currentTarget) return;
        if (event.dataTransfer.types.includes('Files')) onFiles(listDroppedFiles(event.dataTransfer));
      }}
      className={`${className} ${isDraggedOver ? 'outline-2 outline-accent' : ''}`}
    >
      {children}
    </div>
  );
}

function innermostPlaceOf(target: EventTarget): Element | null {
  return target instanceof Element ? target.closest(`[${ATTRIBUTE}]`) : null;
}

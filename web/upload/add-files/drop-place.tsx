import type { HTMLAttributes } from 'react';
import type { DroppedFile } from './dropped-files.js';

type TakeFiles = (files: Promise<readonly DroppedFile[]>) => void;

const places = new WeakMap<Element, TakeFiles>();

/** Marks the innermost place under the pointer, of which `DropTarget` drops the files; `undefined`: none. */
export function markDropPlace(place: Element | undefined): void {
  document.querySelector('[data-dragged-over]')?.removeAttribute('data-dragged-over');
  place?.setAttribute('data-dragged-over', '');
}

/** The innermost place under the pointer, which takes the files itself, so that the page does not. */
export function dropPlaceAt({ target }: Event): { readonly place: Element; readonly take: TakeFiles } | undefined {
  const place = target instanceof Element ? target.closest('[data-drop-place]') : null;
  const take = place && places.get(place);
  return take ? { place: place!, take } : undefined;
}

/** Whether the page shows such a place: a hint must not cover it. */
export function hasDropPlaces(): boolean {
  return document.querySelector('[data-drop-place]') !== null;
}

/** A part of the page that takes the files that are dropped onto it. */
export function DropPlace({
  onFiles,
  className = '',
  ...rest
}: HTMLAttributes<HTMLDivElement> & { onFiles: TakeFiles }) {
  return (
    <div
      {...rest}
      data-drop-place
      ref={(place) => void (place && places.set(place, onFiles))}
      className={`${className} data-dragged-over:outline-2 data-dragged-over:outline-accent`}
    />
  );
}

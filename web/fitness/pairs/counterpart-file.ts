import type { LinkSlot } from '../../../src/dataset/dataset.js';
import { extensionOf, mediaTypeOf } from '../../../src/dataset/media.js';
import { roleOfSlot } from '../../../src/dataset/pairs/roles.js';

interface Place {
  /** The target that lacks a control or mask. */
  readonly stem: string;
  readonly slot: LinkSlot;
  /** Whether the target is a clip, which may have a clip as its control. */
  readonly isClip: boolean;
}

/**
 * Names a file that becomes the control or mask of a target: as the target, with its own extension.
 *
 * @throws Error with the reason why the trainer would not take a file of this kind, and what to do
 */
export function counterpartNameOf(filename: string, { stem, slot, isClip }: Place): string {
  const fault = faultOf(filename, { slot, isClip });
  if (fault !== undefined) {
    const what = `the ${roleOfSlot(slot)} of ${stem}`;
    throw new Error(`${filename} can't be ${what}: ${fault} Choose a JPEG, PNG or WebP image.`);
  }
  return `${stem}${extensionOf(filename)}`;
}

function faultOf(filename: string, { slot, isClip }: Omit<Place, 'stem'>): string | undefined {
  const type = mediaTypeOf(filename);
  if (type === undefined) return 'it is not an image by its extension.';
  if (type.kind === 'caption') return 'it is a caption.';
  if (type.kind === 'video' && (slot === 'mask' || !isClip)) return 'it is a clip.';
  return type.trainable ? undefined : `the trainer does not read ${extensionOf(filename)} files.`;
}

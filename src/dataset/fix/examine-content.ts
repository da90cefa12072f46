import { type ImageFormat, mediaTypeOfContent } from '../media.js';
import { FileBytes } from '../inspect/byte-source.js';
import { detectContent } from '../inspect/detect-content.js';

/** @throws NotFixable, StructureError, InspectionError, OutOfMemory, the system's errors */
export type RequireConvertible = (
  file: FileBytes,
  image: { readonly path: string; readonly format: ImageFormat; readonly description: string },
) => Promise<void>;

export type ExaminedContent = Awaited<ReturnType<typeof examineContent>>;

/** Identifies content. @throws the system's errors, and for an image that the trainer ignores those of `requireConvertible` */
export async function examineContent(path: string, requireConvertible: RequireConvertible) {
  const file = FileBytes.open(path);
  try {
    const content = file.size === 0 ? undefined : await detectContent(file);
    if (content === undefined || content.kind === 'other') return { kind: 'other' } as const;
    const isTrainable = mediaTypeOfContent(content.format, '').trainable;
    if (content.kind === 'image' && !isTrainable) await requireConvertible(file, { path, ...content });
    return { ...content, isTrainable };
  } finally {
    file.close();
  }
}

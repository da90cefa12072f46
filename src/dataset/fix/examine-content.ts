import { type ImageFormat, mediaTypeOfContent, type VideoFormat } from '../media.js';
import { FileBytes } from '../inspect/byte-source.js';
import { detectContent } from '../inspect/detect-content.js';

export type ExaminedContent =
  | { readonly kind: 'other' }
  | {
      readonly kind: 'image' | 'video';
      readonly format: ImageFormat | VideoFormat;
      readonly description: string;
      readonly isTrainable: boolean;
      /** For an image that the trainer ignores, as the rest of a sentence. */
      readonly whyNotConverted?: string;
    };

/** The rest of a sentence; `undefined` if the image can be converted. */
export type WhyNotConverted = (
  file: FileBytes,
  image: { readonly path: string; readonly format: ImageFormat; readonly description: string },
) => Promise<string | undefined>;

/** Identifies content, and whether an ignored image can be converted. @throws the system's errors, OutOfMemory */
export async function examineContent(path: string, whyNot: WhyNotConverted): Promise<ExaminedContent> {
  const file = FileBytes.open(path);
  try {
    if (file.size === 0) return { kind: 'other' };
    const content = await detectContent(file);
    if (content.kind === 'other') return { kind: 'other' };
    const { kind, format, description } = content;
    const isTrainable = mediaTypeOfContent(format, '').trainable;
    const examined = { kind, format, description, isTrainable };
    if (content.kind === 'video' || isTrainable) return examined;
    const whyNotConverted = await whyNot(file, { path, format: content.format, description });
    return whyNotConverted === undefined ? examined : { ...examined, whyNotConverted };
  } finally {
    file.close();
  }
}

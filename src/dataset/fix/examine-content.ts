import { type ImageFormat, mediaTypeOfContent, type VideoFormat } from '../media.js';
import { FileBytes } from '../inspect/byte-source.js';
import { detectContent } from '../inspect/detect-content.js';

/** The content of a file, by its bytes. */
export type ExaminedContent =
  | { readonly kind: 'other' }
  | {
      readonly kind: 'image' | 'video';
      readonly format: ImageFormat | VideoFormat;
      readonly description: string;
      readonly isTrainable: boolean;
      /**
       * For an image that the trainer ignores: why `convertImage` does not convert it, as the rest of a sentence that begins with
       * the file's name.
       */
      readonly whyNotConverted?: string;
    };

/** Why an image is not converted, as the rest of a sentence that begins with its name; `undefined` if it can be. */
export type WhyNotConverted = (
  file: FileBytes,
  image: { readonly path: string; readonly format: ImageFormat; readonly description: string },
) => Promise<string | undefined>;

/** Identifies the content, and whether an image that the trainer ignores can be converted. @throws the system's errors, OutOfMemory */
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

import { type ImageFormat, mediaTypeOfContent } from '../media.js';
import { FileBytes } from '../inspect/byte-source.js';
import { detectContent } from '../inspect/detect-content.js';

/** The rest of a sentence; `undefined` if the image can be converted. */
export type WhyNotConverted = (
  file: FileBytes,
  image: { readonly path: string; readonly format: ImageFormat; readonly description: string },
) => Promise<string | undefined>;

export type ExaminedContent = Awaited<ReturnType<typeof examineContent>>;

/** Identifies content, and whether an ignored image can be converted. @throws the system's errors, OutOfMemory */
export async function examineContent(path: string, whyNot: WhyNotConverted) {
  const file = FileBytes.open(path);
  try {
    const content = file.size === 0 ? undefined : await detectContent(file);
    if (content === undefined || content.kind === 'other') return { kind: 'other' } as const;
    const isTrainable = mediaTypeOfContent(content.format, '').trainable;
    const isIgnoredImage = content.kind === 'image' && !isTrainable;
    const whyNotConverted = isIgnoredImage ? await whyNot(file, { path, ...content }) : undefined;
    return { ...content, isTrainable, whyNotConverted };
  } finally {
    file.close();
  }
}

import * as media from '../fixtures/media.js';

/** What a client sends as a file: two different files that are fit, nothing, or bytes that no file of the kind has. */
export const CONTENT_NAMES = ['red', 'blue', 'empty', 'unfit'] as const;
export type ContentName = (typeof CONTENT_NAMES)[number];

export interface Content {
  readonly bytes: Buffer;
  /** Whether the server accepts it as a file of that name. */
  readonly isFit: boolean;
}

const unfit: Content = { bytes: Buffer.from([0xff, 0xfe, 0xfd, ...Buffer.from('not a file')]), isFit: false };
const nothing = Buffer.alloc(0);
const size = { width: 24, height: 24 };

const CONTENTS: Record<string, Record<ContentName, Content>> = {
  '.txt': { ...pair('a red wagon', 'a blue wagon'), empty: { bytes: nothing, isFit: true }, unfit },
  '.jpg': await pictures(media.jpeg),
  '.png': await pictures(media.png),
  '.gif': await pictures(media.gif),
};

function pair(red: string | Buffer, blue: string | Buffer) {
  return { red: { bytes: Buffer.from(red), isFit: true }, blue: { bytes: Buffer.from(blue), isFit: true } };
}

async function pictures(make: typeof media.jpeg): Promise<Record<ContentName, Content>> {
  const [red, blue] = [await make({ ...size, seed: 1 }), await make({ ...size, seed: 2 })];
  return { ...pair(red, blue), empty: { bytes: nothing, isFit: false }, unfit };
}

/** The extension with its dot, in lower case. */
export function extensionOf(filename: string): string {
  return /\.[^.]*$/.exec(filename)?.[0].toLowerCase() ?? '';
}

/** The content of that name for a file; a file of a type that the server does not know gets that of a caption. */
export function contentFor(filename: string, name: ContentName): Content {
  const contents = CONTENTS[extensionOf(filename)] ?? CONTENTS['.txt'];
  return (contents as Record<ContentName, Content>)[name];
}

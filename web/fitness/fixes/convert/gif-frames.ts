const EXTENSION = 0x21;
const IMAGE = 0x2c;
const TRAILER = 0x3b;

/** Counts the pictures of a GIF, block by block to its trailer (GIF89a specification); `undefined` if it is damaged. */
export function gifFramesOf(bytes: Uint8Array): number | undefined {
  let at = 13 + colourTableBytes(bytes[10]);
  for (let frames = 0; at < bytes.length; ) {
    const block = bytes[at];
    if (block === TRAILER) return frames;
    if (block === IMAGE) {
      frames++;
      at += 11 + colourTableBytes(bytes[at + 9]);
    } else if (block === EXTENSION) at += 2;
    else return undefined;
    // Sub-blocks, each with its length before it, and an empty one at the end.
    for (; bytes[at] !== 0; at += 1 + bytes[at]!) if (at >= bytes.length) return undefined;
    at++;
  }
  return undefined;
}

function colourTableBytes(flags = 0): number {
  return (flags & 0x80) === 0 ? 0 : 3 << ((flags & 7) + 1);
}

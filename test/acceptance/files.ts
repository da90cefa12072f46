import { readFileSync } from 'node:fs';
import { crc32, deflateSync } from 'node:zlib';

/** A PNG of 64 × 64 pixels of one colour, uncompressed; another `seed` gives other bytes and the same size. */
export function png(seed = 0): Buffer {
  const size = 64;
  // Eight bits a channel, red, green and blue.
  const header = Buffer.of(0, 0, 0, size, 0, 0, 0, size, 8, 2, 0, 0, 0);
  const row = Buffer.concat([Buffer.of(0), Buffer.alloc(size * 3, Buffer.of(seed % 256, 80, 160))]);
  const pixels = deflateSync(Buffer.concat(Array(size).fill(row)), { level: 0 });
  const signature = Buffer.from('89504e470d0a1a0a', 'hex');
  return Buffer.concat([signature, chunk('IHDR', header), chunk('IDAT', pixels), chunk('IEND', Buffer.alloc(0))]);
}

function chunk(type: string, content: Buffer): Buffer {
  const named = Buffer.concat([Buffer.from(type), content]);
  const whole = Buffer.concat([Buffer.alloc(4), named, Buffer.alloc(4)]);
  whole.writeUInt32BE(content.length, 0);
  whole.writeUInt32BE(crc32(named), named.length + 4);
  return whole;
}

/** A grey JPEG of 8 × 8 pixels. */
export function jpeg(): Buffer {
  return Buffer.from(JPEG, 'base64');
}

/** A clip of one second. */
export function clip(): Buffer {
  return readFileSync(new URL('../fixtures/clips/upright.mp4', import.meta.url));
}

export const HTML = '<!doctype html><title>Not found</title>';

const JPEG =
  '/9j/2wBDABALDA4MChAODQ4SERATGCgaGBYWGDEjJR0oOjM9PDkzODdASFxOQERXRTc4UG1RV19iZ2hnPk1xeXBkeFxlZ2P/2wBD' +
  'ARESEhgVGC8aGi9jQjhCY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2P/wAARCAAIAAgD' +
  'ASIAAhEBAxEB/8QAFAABAAAAAAAAAAAAAAAAAAAAAP/EABQQAQAAAAAAAAAAAAAAAAAAAAD/xAAUAQEAAAAAAAAAAAAAAAAAAAAA' +
  '/8QAFBEBAAAAAAAAAAAAAAAAAAAAAP/aAAwDAQACEQMRAD8AAA//2Q==';

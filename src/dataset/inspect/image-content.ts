import type { ImageFormat } from '../media.js';

const AVIF_BRANDS = ['avif', 'avis'];
const HEIF_BRANDS = ['heic', 'heix', 'heim', 'heis', 'hevc', 'hevx', 'mif1', 'msf1'];

/** By the first bytes. Runs in Node and in browsers. */
export function imageFormatOf(header: Uint8Array): ImageFormat | undefined {
  const text = (start: number, end: number) => String.fromCharCode(...header.subarray(start, end));
  if (text(0, 3) === '\xff\xd8\xff') return 'jpeg';
  if (text(0, 4) === '\x89PNG') return 'png';
  if (text(0, 4) === 'RIFF' && text(8, 12) === 'WEBP') return 'webp';
  if (/^GIF8[79]a/.test(text(0, 6))) return 'gif';
  if (['II*\0', 'MM\0*', 'II+\0', 'MM\0+'].includes(text(0, 4))) return 'tiff';
  if (text(0, 2) === 'BM' && header.length >= 26) {
    const headerBytes = new DataView(header.buffer, header.byteOffset).getUint32(14, true);
    return headerBytes >= 12 && headerBytes <= 124 ? 'bmp' : undefined;
  }
  if (text(4, 8) !== 'ftyp') return undefined;
  const [major = '', ...compatible] = isoBrandsOf(header);
  if (major === 'qt  ') return undefined;
  if ([major, ...compatible].some((brand) => AVIF_BRANDS.includes(brand))) return 'avif';
  return HEIF_BRANDS.includes(major) ? 'heic' : undefined;
}

/** The major brand comes first (`ftyp`, ISO/IEC 14496-12, 4.3). */
export function isoBrandsOf(header: Uint8Array): string[] {
  const end = Math.min(new DataView(header.buffer, header.byteOffset).getUint32(0), header.length);
  const brands = [String.fromCharCode(...header.subarray(8, 12))];
  for (let at = 16; at + 4 <= end; at += 4) brands.push(String.fromCharCode(...header.subarray(at, at + 4)));
  return brands;
}

import { fileTypeFromBuffer } from 'file-type';
import type { ImageFormat, VideoFormat } from '../media.js';
import { FIX_ADVICE, type Warning, warningIn } from '../problems.js';
import type { FileBytes } from './byte-source.js';
import { imageFormatOf, isoBrandsOf } from './image-content.js';

/** By the first bytes. `description` has an article: `a PNG image`. */
export type DetectedContent =
  | { readonly kind: 'image'; readonly format: ImageFormat; readonly description: string }
  | { readonly kind: 'video'; readonly format: VideoFormat; readonly description: string }
  | { readonly kind: 'other'; readonly description: string };

const HEADER_BYTES = 4096;

const DESCRIPTIONS: Record<ImageFormat | VideoFormat, string> = {
  jpeg: 'a JPEG image',
  png: 'a PNG image',
  webp: 'a WebP image',
  gif: 'a GIF image',
  bmp: 'a BMP image',
  tiff: 'a TIFF image',
  avif: 'an AVIF image',
  heic: 'a HEIC image',
  mp4: 'an MP4 video',
  mov: 'a QuickTime video',
  webm: 'a WebM video',
  mkv: 'a Matroska video',
  avi: 'an AVI video',
  wmv: 'a Windows Media video',
  flv: 'a Flash video',
};

const image = (format: ImageFormat) => ({ kind: 'image', format, description: DESCRIPTIONS[format] }) as const;
const video = (format: VideoFormat) => ({ kind: 'video', format, description: DESCRIPTIONS[format] }) as const;
const other = (description: string) => ({ kind: 'other', description }) as const;

/** Tries the accepted formats first, then file-type. */
export async function detectContent(file: FileBytes): Promise<DetectedContent> {
  const header = file.upTo(0, HEADER_BYTES);
  return acceptedFormatOf(header) ?? (await otherContentOf(Buffer.from(header)));
}

/** `shown` is the name for messages. */
export function contentDiffers(named: { filename: string; shown: string }, content: DetectedContent): Warning {
  const message = `${named.shown} is actually ${content.description}. It is accepted; rename it to match its content. ${FIX_ADVICE}`;
  return warningIn(named.filename, 'CONTENT_DIFFERS', message);
}

function acceptedFormatOf(header: Buffer): DetectedContent | undefined {
  const text = (start: number, end: number) => header.toString('latin1', start, end);
  const imageFormat = imageFormatOf(header);
  if (imageFormat !== undefined) return image(imageFormat);
  if (text(0, 4) === 'RIFF' && text(8, 12) === 'AVI ') return video('avi');
  if (header.toString('hex', 0, 16) === '3026b2758e66cf11a6d900aa0062ce6c') return video('wmv');
  if (text(0, 4) === 'FLV\x01') return video('flv');
  if (header.toString('hex', 0, 4) === '1a45dfa3') return matroska(header);
  if (/^(?:ftyp|moov|mdat|wide|free|skip|pnot)$/.test(text(4, 8))) return isoMedia(header);
  return undefined;
}

/** WebM is a profile of Matroska; the document type in the EBML header tells them apart. */
function matroska(header: Buffer): DetectedContent {
  const at = header.indexOf(Buffer.from([0x42, 0x82]), 4);
  const bytes = at === -1 ? 0 : (header[at + 2] ?? 0x80) & 0x7f;
  return video(header.toString('latin1', at + 3, at + 3 + bytes).replace(/\0+$/, '') === 'webm' ? 'webm' : 'mkv');
}

/** QuickTime files from before the box `ftyp` begin with another one. */
function isoMedia(header: Buffer): DetectedContent {
  if (header.toString('latin1', 4, 8) !== 'ftyp') return video('mov');
  const [major] = isoBrandsOf(header);
  if (major === 'qt  ') return video('mov');
  if (major === 'crx ') return other('a Canon raw photo');
  return video('mp4');
}

/** Text formats come first: file-type knows only formats with a magic number. */
async function otherContentOf(header: Buffer): Promise<DetectedContent> {
  const text = header.toString('utf8').trimStart().toLowerCase();
  if (/^(?:<!doctype html|<html|<head|<body)/.test(text)) return other('HTML text');
  if (/^(?:<\?xml[\s\S]*)?<svg/.test(text)) return other('an SVG drawing');
  if (text.startsWith('<?xml')) return other('XML text');
  if (text.startsWith('%pdf')) return other('a PDF document');
  if (text.startsWith('version https://git-lfs')) return other('a Git LFS pointer instead of the file');
  if (header.every((byte) => byte === 0)) return other('nothing but zeros');
  const type = await fileTypeFromBuffer(header).catch(() => undefined);
  if (type !== undefined) return other(`${type.ext.toUpperCase()} data (${type.mime})`);
  if (/^[[{]\s*["\]}[{]/.test(text)) return other('JSON text');
  const printable = header.every((byte) => byte >= 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d);
  return other(printable ? 'plain text' : 'data of an unknown kind');
}

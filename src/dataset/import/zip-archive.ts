// The part that reads; the whole library is twice as large.
import { type FileEntry, type Reader, ZipReader } from '@zip.js/zip.js/lib/zip-core-reader.js';
import { ServiceError } from '../errors.js';
import type { ImportEntry } from './survey.js';

/** Twice the files of the largest dataset, each with its twin in `__MACOSX`. */
const MAX_ENTRIES = 80_000;

/** The list of entries is in memory as a whole. */
const MAX_LIST_BYTES = 64 * 1024 * 1024;

const MAX_PATH_LENGTH = 2048;

/** Images and clips are compressed themselves. Only below this size may they unpack to many times of what is stored. */
const MAX_DENSE_BYTES = 64 * 1024 * 1024;
const MAX_RATIO = 100;

/** A whole archive may not unpack to more, unless it is packed as images and clips are. */
const MAX_DENSE_ARCHIVE_BYTES = 4 * 1024 * 1024 * 1024;

/** https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, 4.4.5 */
const [STORED, DEFLATED] = [0, 8];
const LOCAL_HEADER_BYTES = 30;
const LOCAL_HEADER = 0x04034b50;
/** Of CRC-32 (4.4.7), reflected. */
const CRC_POLYNOMIAL = 0xedb88320;

/** Where the bytes of an entry are. */
type PackedPlace = Pick<FileEntry, 'offset' | 'compressedSize' | 'uncompressedSize' | 'crc32' | 'compressionMethod'>;

/** A file of an archive. It is read when its bytes are asked for. */
export interface PackedEntry extends ImportEntry {
  /** Unpacks the file, and verifies its CRC-32 and its size. @throws Error if they differ, or of the sink */
  readonly unpackTo: (sink: WritableStream<Uint8Array>) => Promise<void>;
  readonly unpacked: () => Promise<Blob>;
}

/**
 * Lists the files of a zip without unpacking them. What an entry says of itself and can't be is its `fault`.
 *
 * @throws ServiceError `invalid_content` if it is no zip, is damaged, or is beyond a limit
 */
export async function openZip(blob: Blob, name: string): Promise<PackedEntry[]> {
  // Names are checked here, for each file alone.
  const zip = new ZipReader(readerOf(blob), { useWebWorkers: false, filenameValidation: 'tolerant' });
  const listed: PackedEntry[] = [];
  const unreadable = (reason: string, cause?: unknown) =>
    new ServiceError('invalid_content', `${name} can't be read as a zip: ${reason}`, { cause });
  try {
    let bytes = 0;
    let entries = 0;
    for await (const entry of zip.getEntriesGenerator()) {
      if (++entries > MAX_ENTRIES) throw unreadable(`it has more than ${MAX_ENTRIES} entries. Import parts of it.`);
      bytes += entry.uncompressedSize;
      if (!entry.directory) listed.push(packedEntry(blob, entry));
    }
    if (bytes > MAX_DENSE_ARCHIVE_BYTES && bytes > blob.size * MAX_RATIO) {
      throw unreadable(
        `it would unpack to ${bytes} bytes from ${blob.size}, as only an archive made to fill disks does.`,
      );
    }
  } catch (error) {
    if (error instanceof ServiceError) throw error;
    const reason = (error as Error).message.replace(/\.$/, '');
    throw unreadable(`${reason}. If it is incomplete, copy or download it again.`, error);
  }
  const last = new Map(listed.map((entry) => [entry.path, entry]));
  return listed.map((entry) => {
    const isOld = last.get(entry.path) !== entry;
    return { ...entry, fault: entry.fault ?? (isOld ? OLD : undefined) };
  });
}

const OLD = 'The archive has a later file of this name.';

function readerOf(blob: Blob): Reader<Blob> {
  const reader = {
    size: blob.size,
    init: () => {},
    readUint8Array: async (offset: number, length: number) => {
      if (length > MAX_LIST_BYTES) throw new Error('its list of entries is too long');
      return new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer());
    },
  };
  return reader as unknown as Reader<Blob>;
}

/** Keeps nothing of the library's entry, which is twenty times as large. */
function packedEntry(blob: Blob, entry: FileEntry): PackedEntry {
  const { offset, compressedSize, uncompressedSize, crc32 = 0, compressionMethod, lastModDate } = entry;
  const readers = readersOf(blob, { offset, compressedSize, uncompressedSize, crc32, compressionMethod });
  const [path, modified, fault] = [pathOf(entry), lastModDate.getTime(), faultOf(entry)];
  return { path, sizeBytes: uncompressedSize, modified, fault, ...readers };
}

function readersOf(blob: Blob, place: PackedPlace) {
  const unpackTo = async (sink: WritableStream<Uint8Array>) => {
    try {
      await (await contentOf(blob, place)).pipeTo(sink);
    } catch (error) {
      // Unless it has begun, nothing else closes the sink.
      await sink.abort(error).catch(() => {});
      // The sink fails with errors of the system.
      if (!(error instanceof Error) || 'syscall' in error) throw error;
      throw new Error(`the archive is damaged there (${error.message})`, { cause: error });
    }
  };
  const unpacked = async () => {
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const content = new Response(readable).blob();
    // It fails with the stream, and a browser does not say why.
    content.catch(() => {});
    await unpackTo(writable);
    return content;
  };
  const bytes = async () => new Uint8Array(await (await unpacked()).arrayBuffer());
  return { unpackTo, unpacked, bytes };
}

/** The bytes of an entry, which fail at once beyond their size, and at the end with another size or CRC-32. */
async function contentOf(
  blob: Blob,
  { offset, compressedSize, uncompressedSize: sizeBytes, crc32, compressionMethod }: PackedPlace,
): Promise<ReadableStream<Uint8Array>> {
  const header = new DataView(await blob.slice(offset, offset + LOCAL_HEADER_BYTES).arrayBuffer());
  if (header.byteLength < LOCAL_HEADER_BYTES || header.getUint32(0, true) !== LOCAL_HEADER) {
    throw new Error('it does not begin where the list says');
  }
  // The name and the extra field may have other lengths than in the list (4.3.7).
  const start = offset + LOCAL_HEADER_BYTES + header.getUint16(26, true) + header.getUint16(28, true);
  const packed = blob.slice(start, start + compressedSize).stream();
  let [bytes, found] = [0, -1];
  const check = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      bytes += chunk.length;
      if (bytes > sizeBytes) throw new Error(`it has more than ${sizeBytes} bytes`);
      found = crc32With(found, chunk);
      controller.enqueue(chunk);
    },
    flush() {
      if (bytes !== sizeBytes) throw new Error(`it has ${bytes} of ${sizeBytes} bytes`);
      if (~found >>> 0 !== crc32) throw new Error('it has another checksum');
    },
  });
  const isDeflated = compressionMethod === DEFLATED;
  const content = isDeflated ? packed.pipeThrough(new DecompressionStream('deflate-raw')) : packed;
  return content.pipeThrough(check);
}

const CRC_TABLE = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? CRC_POLYNOMIAL : 0);
  return crc;
});

/** Continues a CRC-32, whose bits are inverted at both ends. */
function crc32With(crc: number, bytes: Uint8Array): number {
  let next = crc;
  for (const byte of bytes) next = (next >>> 8) ^ CRC_TABLE[(next ^ byte) & 0xff]!;
  return next;
}

/** Programs of Windows may write backslashes (APPNOTE 4.4.17.1 demands slashes). */
function pathOf(entry: FileEntry): string {
  const name = isOfUnknownEncoding(entry) ? entry.filename : entry.filename.replaceAll('\\', '/');
  return name.replace(/^(\.\/)+/, '');
}

/** In Shift-JIS and GBK, the second byte of a character may be that of a backslash. */
function isOfUnknownEncoding({ filename, rawFilename }: FileEntry): boolean {
  return /[^\p{ASCII}]\\/u.test(filename) && filename !== new TextDecoder().decode(rawFilename);
}

function faultOf(entry: FileEntry): string | undefined {
  const { encrypted, compressionMethod, uncompressedSize, compressedSize, symlink } = entry;
  const path = pathOf(entry);
  if (path.length > MAX_PATH_LENGTH) return 'Its path is too long.';
  if (isOfUnknownEncoding(entry)) {
    return 'Its name is in an encoding that the archive does not tell. Unpack the archive where it was made, and add the folder.';
  }
  if (/^\/|^[a-z]:/i.test(path) || path.split('/').includes('..')) return 'Its path leads out of the archive.';
  if (symlink) return 'It is a link and not a file.';
  if (encrypted) return 'It is encrypted. Unpack the archive with its password, and add the folder.';
  if (compressionMethod !== STORED && compressionMethod !== DEFLATED) {
    return `It is packed with a method that is not supported (${compressionMethod}). Unpack the archive, and add the folder.`;
  }
  if (uncompressedSize > MAX_DENSE_BYTES && uncompressedSize > compressedSize * MAX_RATIO) {
    return `It would unpack to ${uncompressedSize} bytes from ${compressedSize}: no image, clip or caption does that.`;
  }
  return undefined;
}

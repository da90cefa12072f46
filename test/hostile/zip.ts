import { crc32, deflateRawSync } from 'node:zlib';

/** An entry as a program of ours would write it, and what a hostile one writes in place of the truth. */
export interface ZipEntry {
  readonly name: string | Buffer;
  readonly bytes?: Buffer | string;
  readonly isStored?: boolean;
  readonly flags?: number;
  readonly method?: number;
  readonly crc?: number;
  /** What both headers say. */
  readonly size?: number;
  readonly packedSize?: number;
  /** `0o120777` for a link. */
  readonly unixMode?: number;
}

/** Writes a zip (APPNOTE.TXT 4.3). Nothing is checked. */
export function zipOf(entries: readonly ZipEntry[], { count = entries.length }: { count?: number } = {}): Buffer {
  const parts: Buffer[] = [];
  const list: Buffer[] = [];
  let at = 0;
  for (const entry of entries) {
    const bytes = Buffer.from(entry.bytes ?? 'x');
    const packed = entry.isStored ? bytes : deflateRawSync(bytes);
    const name = Buffer.from(entry.name);
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(entry.flags ?? 0x800, 2);
    common.writeUInt16LE(entry.method ?? (entry.isStored ? 0 : 8), 4);
    common.writeUInt32LE(0x5d7f0000, 6);
    common.writeUInt32LE(entry.crc ?? crc32(bytes), 10);
    common.writeUInt32LE(entry.packedSize ?? packed.length, 14);
    common.writeUInt32LE(entry.size ?? bytes.length, 18);
    common.writeUInt16LE(name.length, 22);
    parts.push(Buffer.from('PK\x03\x04'), common, name, packed);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(((entry.unixMode ?? 0) << 16) >>> 0, 6);
    tail.writeUInt32LE(at, 10);
    // Made on Unix, so that the mode counts.
    list.push(Buffer.from('PK\x01\x02'), Buffer.from([20, 3]), common, tail, name);
    at += 30 + name.length + packed.length;
  }
  const directory = Buffer.concat(list);
  const end = Buffer.alloc(18);
  end.writeUInt16LE(count, 4);
  end.writeUInt16LE(count, 6);
  end.writeUInt32LE(directory.length, 8);
  end.writeUInt32LE(at, 12);
  return Buffer.concat([...parts, directory, Buffer.from('PK\x05\x06'), end]);
}

import { createHash } from 'node:crypto';
import type { ZipForm } from '../../api/request-schemas.js';
import { kohyaFolderOf } from '../../dataset/groups.js';
import { mountedNameOf, stemOf } from '../../dataset/media.js';
import type { Downloads, ExportedDataset, HashedFile } from './downloads.js';
import { type ArchivedFile, readAhead } from './read-ahead.js';
import { type MadeFile, zipOf } from './zip.js';

interface Entry extends ArchivedFile {
  readonly file: HashedFile;
}

/** A row of `metadata.jsonl` or of a csv, with the column names that Hugging Face reads (datasets, `folder_based_builder.py`). */
interface Row {
  readonly name: string;
  readonly caption: HashedFile | undefined;
}

/** The most bytes of JSON for a byte of a text. */
const MAX_ESCAPED = 6;

const PAGE_CHARACTERS = 32 * 1024;

/** Who downloads, and how files are read. */
interface Reader {
  readonly accountId: string;
  readonly downloads: Downloads;
}

/** @returns with `metadata`, a stream of unknown size @see zipOf */
export function zipExport(
  dataset: ExportedDataset,
  form: ZipForm,
  reader: Reader,
): { etag: string } & ReturnType<typeof zipOf<Entry>> {
  const { entries, rows } = contentsOf(dataset, form);
  const hash = createHash('sha256');
  // Bytes are named by the id.
  for (const { id, filename, upload } of entries) hash.update(`${id} ${upload.finalizedAt} ${filename}\n`);
  const { accountId, downloads } = reader;
  const read = ({ file }: Entry) => downloads.archived(accountId, file, () => downloads.intactBytes(file));
  return { etag: `"${hash.digest('hex')}"`, ...zipOf(entries, read, rows && metadataOf(rows, reader)) };
}

function contentsOf({ name, groups, files }: ExportedDataset, form: ZipForm): { entries: Entry[]; rows?: Row[] } {
  const entryOf = (file: HashedFile, path = file.filename): Entry => {
    return { id: file.id, filename: path, upload: file.upload, file };
  };
  if (form === 'captions')
    return { entries: files.filter(({ kind }) => kind === 'caption').map((file) => entryOf(file)) };
  if (form === 'kohya') {
    const folderOf = kohyaFolderOf(name, groups);
    const names = new Set(files.map(({ filename }) => filename));
    // As a mount names it, unless another file has that name.
    const nameOf = (own: string) => (names.has(mountedNameOf(own)) ? own : mountedNameOf(own));
    return { entries: files.map((file) => entryOf(file, `${folderOf(file.group)}/${nameOf(file.filename)}`)) };
  }
  if (form === 'files') return { entries: files.map((file) => entryOf(file)) };
  const { rows, others } = rowsOf(files);
  return { entries: others.map((file) => entryOf(file)), rows };
}

/** A row for each image and clip; the others are no captions of a row. */
function rowsOf(files: readonly HashedFile[]): { rows: Row[]; others: HashedFile[] } {
  // Another extension, also `.TXT`, stays a file.
  const byName = new Map(files.map((file) => [file.filename, file]));
  const rows = files
    .filter(({ kind }) => kind !== 'caption')
    .map(({ filename }) => ({ name: filename, caption: byName.get(`${stemOf(filename)}.txt`) }));
  const inRows = new Set(rows.map(({ caption }) => caption));
  return { rows, others: files.filter((file) => !inRows.has(file)) };
}

function metadataOf(rows: readonly Row[], reader: Reader): MadeFile {
  const sizeOf = ({ name, caption }: Row) =>
    40 + MAX_ESCAPED * (Buffer.byteLength(name) + (caption?.upload.sizeBytes ?? 0));
  const finalizedAt = Math.max(0, ...rows.map(({ caption }) => caption?.upload.finalizedAt ?? 0));
  const lineOf = (name: string, text: string | null) => `${JSON.stringify({ file_name: name, text })}\n`;
  return {
    ...{ id: 'metadata.jsonl', filename: 'metadata.jsonl', upload: { finalizedAt } },
    maxBytes: rows.reduce((sum, row) => sum + sizeOf(row), 0),
    open: () => inPages(withTexts(rows, reader), lineOf),
  };
}

/** The captions as csv (RFC 4180), without images and clips that have none. */
export function captionsCsv({ files }: ExportedDataset, reader: Reader): AsyncGenerator<Buffer> {
  const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`;
  const { rows, others } = rowsOf(files);
  const captioned = [
    ...rows.filter(({ caption }) => caption),
    ...others.flatMap((caption) => (caption.kind === 'caption' ? [{ name: caption.filename, caption }] : [])),
  ];
  const lineOf = (name: string, text: string | null) => `${quoted(name)},${quoted(text ?? '')}\r\n`;
  return inPages(withTexts(captioned, reader), lineOf, 'file_name,text\r\n');
}

/** The text is exactly that of the file, with a byte order mark if it has one. */
async function* withTexts(
  rows: readonly Row[],
  { accountId, downloads }: Reader,
): AsyncGenerator<{ name: string; text: string | null }> {
  // Copies: two files of one stem have the same caption.
  const captions = rows.flatMap(({ caption }) => (caption === undefined ? [] : [{ ...caption }]));
  const files = readAhead(captions, (file) => downloads.archived(accountId, file, () => downloads.intactBytes(file)));
  try {
    for (const { name, caption } of rows) {
      const found = caption && (await files.next()).value;
      const chunks: Buffer[] = [];
      for await (const chunk of found?.bytes ?? []) chunks.push(chunk);
      const text = () => new TextDecoder('utf-8', { ignoreBOM: true }).decode(Buffer.concat(chunks));
      yield { name, text: caption === undefined ? null : text() };
    }
  } finally {
    await files.return(undefined);
  }
}

async function* inPages(
  rows: AsyncIterable<{ name: string; text: string | null }>,
  lineOf: (name: string, text: string | null) => string,
  header = '',
): AsyncGenerator<Buffer> {
  let page = header;
  for await (const { name, text } of rows) {
    page += lineOf(name, text);
    if (page.length < PAGE_CHARACTERS) continue;
    yield Buffer.from(page);
    page = '';
  }
  if (page !== '') yield Buffer.from(page);
}

import { Readable } from 'node:stream';
import type { WireCaptions } from '../../../api/schemas.js';
import type { StoredFile } from '../../../dataset/dataset.js';
import type { Downloads } from '../../../service/download/downloads.js';
import { etagOf } from '../../conditions.js';

/** The total size of the captions that are read at a time. */
const PAGE_BYTES = 256 * 1024;

/**
 * The answer with the texts of captions. Texts of more than 256 KiB become a stream of JSON, which reads the next ones as the
 * client takes them: whole, a thousand captions of the largest size and their JSON would take hundreds of megabytes.
 *
 * @throws ServiceError `bytes_replaced` if one of the first 256 KiB is damaged; later ones destroy the stream
 */
export async function captionTexts(
  downloads: Downloads,
  files: readonly StoredFile[],
): Promise<WireCaptions | Readable> {
  const [first = [], ...others] = pagesOf(files);
  const captions = await textsOf(downloads, first);
  if (others.length === 0) return { captions };
  return Readable.from(jsonOf(downloads, captions, others), { objectMode: false });
}

function pagesOf(files: readonly StoredFile[]): StoredFile[][] {
  const pages: StoredFile[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const file of files) {
    bytes += file.upload.sizeBytes;
    if (bytes > PAGE_BYTES) {
      pages.push([]);
      bytes = file.upload.sizeBytes;
    }
    pages.at(-1)?.push(file);
  }
  return pages;
}

async function textsOf(downloads: Downloads, page: readonly StoredFile[]): Promise<WireCaptions['captions']> {
  const texts = await downloads.texts(page);
  return page.map((file) => {
    const { filename, upload } = file;
    return { filename, sha256: upload.sha256, etag: etagOf(upload), text: texts.get(file) ?? null };
  });
}

async function* jsonOf(
  downloads: Downloads,
  first: WireCaptions['captions'],
  others: readonly (readonly StoredFile[])[],
): AsyncGenerator<string> {
  const elementsOf = (captions: WireCaptions['captions']) => JSON.stringify(captions).slice(1, -1);
  yield `{"captions":[${elementsOf(first)}`;
  for (const page of others) yield `,${elementsOf(await textsOf(downloads, page))}`;
  yield ']}';
}

import type { Downloads, HashedFile } from '../../../service/download/downloads.js';
import { etagOf } from '../../conditions.js';
import { jsonElements, textPages } from './json-parts.js';

/** The answer with the texts of at least one caption, as `sendJsonParts` takes it. @throws ServiceError `bytes_replaced` */
export async function* captionTexts(
  downloads: Downloads,
  accountId: string,
  files: readonly HashedFile[],
): AsyncGenerator<Buffer, void, void> {
  let before = '{"captions":[';
  for (const page of textPages(files, ({ upload }) => upload.sizeBytes)) {
    const elements = await elementsOf(downloads, accountId, page);
    yield Buffer.from(before);
    yield elements;
    before = ',';
  }
  yield Buffer.from(']}');
}

/** A function of its own, so that the texts are not held while their JSON is sent. */
async function elementsOf(downloads: Downloads, accountId: string, page: readonly HashedFile[]): Promise<Buffer> {
  const texts = await downloads.texts(accountId, page);
  const captions = page.map((file) => {
    const { filename, upload } = file;
    return { filename, sha256: upload.sha256, etag: etagOf(upload), text: texts.get(file) ?? null };
  });
  return jsonElements(captions);
}

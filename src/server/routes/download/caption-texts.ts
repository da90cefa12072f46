import type { Downloads } from '../../../service/download/downloads.js';
import type { HashedFile } from '../../../storage/catalog/history/download-files.js';
import { etagOf } from '../../conditions.js';
import { jsonElements, textPages } from './json-parts.js';

/** The answer with the texts of at least one caption, as `sendJsonParts` takes it. @throws ServiceError `bytes_replaced` */
export async function* captionTexts(
  downloads: Downloads,
  accountId: string,
  files: readonly HashedFile[],
): AsyncGenerator<string, void, void> {
  for (const [i, page] of textPages(files, ({ upload }) => upload.sizeBytes).entries()) {
    const texts = await downloads.texts(accountId, page);
    const captions = page.map((file) => {
      const { filename, upload } = file;
      return { filename, sha256: upload.sha256, etag: etagOf(upload), text: texts.get(file) ?? null };
    });
    yield `${i === 0 ? '{"captions":[' : ','}${jsonElements(captions)}`;
  }
  yield ']}';
}

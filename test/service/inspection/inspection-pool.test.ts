import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import sharp from 'sharp';
import { expect, test } from 'vitest';
import * as media from '../../fixtures/media.js';
import { folderWith } from '../../harness/folder.js';

const DECODE = new URL('../../../dist/dataset/inspect/image/decode.js', import.meta.url);

const opens = (bytes: Buffer) =>
  sharp(bytes)
    .metadata()
    .then(
      () => true,
      () => false,
    );

/** From the built program, since its workers load files by name. */
async function openPool() {
  const { InspectionPool } = await import(
    fileURLToPath(new URL('../../../dist/service/inspection/inspection-pool.js', import.meta.url))
  );
  return new InspectionPool();
}

test('formats are restricted before a thread decodes, and another thread does not restrict them again', async () => {
  expect(await opens(media.damaged.svg())).toBe(true);
  const folder = await folderWith({ 'a.jpg': await media.jpeg() });
  const pool = await openPool();
  const file = { filename: 'a.jpg', path: `${folder}/a.jpg`, sizeBytes: 1 };
  expect(await pool.inspect(file, { accountId: 'a', signal: new AbortController().signal })).toMatchObject({
    ok: true,
  });
  await pool.close();
  expect(await opens(media.damaged.svg())).toBe(false);

  // A thread that restricted formats again would briefly block image decoders in all other threads.
  sharp.unblock({ operation: ['VipsForeignLoadSvg'] });
  const [code] = await once(new Worker(DECODE), 'exit');
  expect(code).toBe(0);
  expect(await opens(media.damaged.svg())).toBe(true);
});

import { rm } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import type { WireDatasetWithFiles } from '../../../src/api/schemas.js';
import { Api } from '../../harness/api.js';
import { type Ended, trainyard } from '../../harness/command.js';
import { discardServer, eventually, startServer } from '../../harness/server.js';
import { newFolder, pathOfBytes } from '../../harness/transferring.js';
import { clip } from '../../fixtures/media.js';
import { openPlace, PLACES } from '../check/check-service.js';

/** A data folder whose dataset has a clip that is received and not decoded yet. */
async function unfinished(): Promise<{ folder: string; token: string; id: string }> {
  const { newInstance, folder, token, key, view } = await openPlace(PLACES[0]!);
  const { upload } = newInstance();
  await upload('long.mp4');
  await upload('long.txt', 'a dog');
  expect((await view()).status).toBe('UPLOADING');
  return { folder, token, id: key.id };
}

/** Serves a folder until the dataset is READY or FAILED. */
async function checkedIn(
  dataFolder: string,
  { token, id, env = {} }: { token: string; id: string; env?: Record<string, string> },
): Promise<WireDatasetWithFiles> {
  const server = await startServer({ 'caption-grace-seconds': 0 }, { dataFolder, env });
  try {
    const api = new Api(server.url, token);
    return await eventually(async () => {
      const { body } = await api.status(id);
      return body.status === 'UPLOADING' ? undefined : body;
    });
  } finally {
    await discardServer(server);
  }
}

function expectSuccess({ code, stderr }: Ended): void {
  expect([code, code === 0 ? '' : stderr]).toEqual([0, '']);
}

const READY = { status: 'READY', files: [{ filename: 'long.mp4' }, { filename: 'long.txt' }] };

describe('a clip that is received and not decoded yet', () => {
  test('is backed up and restored with its bytes, and checked then', async () => {
    const { folder, token, id } = await unfinished();
    const [copy, restored] = [await newFolder(), await newFolder()];
    expectSuccess(await trainyard(['backup', copy, '--data', folder]));
    // A second backup keeps the bytes too.
    expectSuccess(await trainyard(['backup', copy, '--data', folder]));
    expectSuccess(await trainyard(['restore', copy, '--data', restored]));
    expect(await checkedIn(restored, { token, id })).toMatchObject(READY);
  });

  test('whose bytes were lost in the backup is rejected after the restore', async () => {
    const { folder, token, id } = await unfinished();
    const [copy, restored] = [await newFolder(), await newFolder()];
    expectSuccess(await trainyard(['backup', copy, '--data', folder]));
    await rm(await pathOfBytes(copy, clip('faststart.mp4')));
    expect((await trainyard(['restore', copy, '--data', restored])).code).not.toBe(0);
    await trainyard(['restore', copy, '--data', restored, '--skip-damaged']);
    const { status, error } = await checkedIn(restored, { token, id });
    expect(status).toBe('FAILED');
    expect(error?.problems).toContainEqual(expect.objectContaining({ code: 'BYTES_LOST', filename: 'long.mp4' }));
  });
});

import { createHash } from 'node:crypto';
import { link, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { PartialFile } from '../../../../src/service/mount/receive/partial-file.js';
import { receiveFile } from '../../../../src/service/mount/receive/receive-file.js';
import { newRoot } from '../../../harness/mounting.js';

const MIB = 1024 * 1024;
const PIECES = 8;
const bytes = Buffer.alloc((PIECES + 1) * MIB, 'wagon ');
const sha256 = createHash('sha256').update(bytes).digest('hex');
const file = { filename: 'clip.mp4', sizeBytes: bytes.length, sha256 };

/** Opens a file of an earlier attempt. */
const openStarted = (path: string) => new PartialFile(path, file, { isNew: false, onBytes: () => {} });

/** A clip that an earlier attempt received but for the last piece. */
async function started(): Promise<string> {
  const path = join(await newRoot(), 'clip.mp4');
  await writeFile(path, bytes.subarray(0, PIECES * MIB));
  return path;
}

/** Answers with the rest of the clip, and remembers from where. */
function restOfClip() {
  const asked: number[] = [];
  const read = async (_: object, from: number) => {
    asked.push(from);
    return { from, body: [bytes.subarray(from)] as never };
  };
  return { asked, read };
}

/** Counts the turns of the event loop until `work` has ended, and calls `onTurn` in each. */
async function turnsDuring(work: Promise<unknown>, onTurn: () => void = () => {}): Promise<number> {
  let [turns, hasEnded] = [0, false];
  const count = () => {
    if (hasEnded) return;
    turns++;
    onTurn();
    setImmediate(count);
  };
  setImmediate(count);
  await work.finally(() => {
    hasEnded = true;
  });
  return turns;
}

test('the bytes of an earlier attempt are hashed with turns of others in between', async () => {
  const path = await started();
  const part = openStarted(path);
  const turns = await turnsDuring((async () => part.resume(new AbortController().signal))());
  expect(part.bytes).toBe(PIECES * MIB);
  part.close();
  expect(turns).toBeGreaterThanOrEqual(PIECES);
  const { asked, read } = restOfClip();
  await receiveFile(read, file, { open: () => openStarted(path), signal: new AbortController().signal });
  expect(asked).toEqual([PIECES * MIB]);
  expect((await readFile(path)).equals(bytes)).toBe(true);
});

test('a stop meanwhile ends the attempt, and the bytes are kept', async () => {
  const path = await started();
  const { asked, read } = restOfClip();
  const stopping = new AbortController();
  const received = receiveFile(read, file, { open: () => openStarted(path), signal: stopping.signal });
  await expect(turnsDuring(received, () => stopping.abort(new Error('stopped')))).rejects.toThrow('stopped');
  expect(asked).toEqual([]);
  expect((await readFile(path)).equals(bytes.subarray(0, PIECES * MIB))).toBe(true);
});

test.each([
  ['shorter', Buffer.from('an older clip')],
  ['longer', Buffer.alloc(bytes.length + 1, 'an older clip')],
])('a stored file that an earlier mount hard-linked stays as it is, also if it is %s', async (_, older) => {
  const [store, staging] = [await newRoot(), await newRoot()];
  const [stored, path] = [join(store, 'stored'), join(staging, 'clip.mp4')];
  await writeFile(stored, older);
  await link(stored, path);
  const { asked, read } = restOfClip();
  await receiveFile(read, file, { open: () => openStarted(path), signal: new AbortController().signal });
  expect(asked).toEqual([0]);
  expect((await readFile(path)).equals(bytes)).toBe(true);
  expect((await readFile(stored)).equals(older)).toBe(true);
});

import sharp from 'sharp';
import { expect, test } from 'vitest';
import type { Inspector } from '../../../src/service/dependencies.js';
import { maskPng } from '../../fixtures/masks.js';
import { eventually } from '../../harness/server.js';
import { onPlaces } from '../check/check-service.js';

const BLACK = maskPng({ width: 9, height: 9, colour: 0, depth: 8, pixel: () => [0] });
const COLOURED = maskPng({ width: 9, height: 9, colour: 2, depth: 8, pixel: () => [200, 0, 0] });
const blackJpeg = () =>
  sharp({ create: { width: 16, height: 16, channels: 3, background: '#000' } })
    .jpeg()
    .toBuffer();

/** Lets inspections wait in a role until `open` is called. */
function gateIn(role: string, inspect: Inspector) {
  const waiting: string[] = [];
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  const gated: Inspector = async (file, options) => {
    const inspection = await inspect(file, options);
    if (options.role === role) {
      waiting.push(file.filename);
      await opened;
    }
    return inspection;
  };
  return { waiting, open, inspect: gated };
}

onPlaces('masks', (open) => {
  async function openMasks() {
    const opened = await open();
    const { view } = opened;
    /** The warnings of the files, as `b.png BLACK_MASK`, once they are as expected. */
    const findings = async () => {
      const { warnings } = (await view()).findings;
      return warnings
        .filter(({ code }) => !['ORPHAN_CAPTION', 'UNUSED_CAPTION'].includes(code))
        .map(({ filename, code }) => `${filename} ${code}`);
    };
    const becomes = (...expected: string[]) =>
      eventually(async () => JSON.stringify(await findings()) === JSON.stringify(expected) || undefined);
    return { ...opened, findings, becomes };
  }

  test('a dataset that becomes masks is inspected as such, and as others once it is none any more', async () => {
    const { newInstance, becomes, findings, view, key } = await openMasks();
    const { upload, rechecks, rechecked, progress, datasets, errors } = newInstance();
    await upload('a.jpg', await blackJpeg());
    await upload('b.png', COLOURED);
    await upload('c.png', BLACK);
    expect(await findings()).toEqual([]);
    rechecks.start();
    await datasets.change(key, { role: 'mask' });
    await becomes('a.jpg BLACK_MASK', 'b.png MASK_NOT_GRAYSCALE', 'c.png BLACK_MASK');
    expect((await rechecked()).recheck).toMatchObject({ total: 3, remaining: 0 });
    expect((await view()).status).toBe('READY');
    // A mask that is uploaded now is inspected as one.
    await upload('d.png', BLACK);
    await becomes('a.jpg BLACK_MASK', 'b.png MASK_NOT_GRAYSCALE', 'c.png BLACK_MASK', 'd.png BLACK_MASK');
    await datasets.change(key, { role: 'control' });
    await becomes();
    const { recheck } = await rechecked();
    // Training images and controls are inspected alike.
    await datasets.change(key, { role: 'training', name: 'other' });
    expect((await progress()).recheck).toEqual(recheck);
    expect(errors).toEqual([]);
  });

  test('a recheck that runs begins anew', async () => {
    const { newInstance, becomes, key } = await openMasks();
    const gate = gateIn('training', newInstance().dependencies.inspect);
    const uploader = newInstance();
    await uploader.upload('a.png', BLACK);
    await uploader.upload('b.png', BLACK);
    const { rechecks, startRecheck, rechecked, datasets, errors } = newInstance({ inspect: gate.inspect });
    rechecks.start();
    await startRecheck();
    await eventually(() => gate.waiting[0]);
    await datasets.change(key, { role: 'mask' });
    gate.open();
    await becomes('a.png BLACK_MASK', 'b.png BLACK_MASK');
    expect((await rechecked()).recheck).toMatchObject({ total: 2, remaining: 0 });
    expect(errors).toEqual([]);
  });

  test('an upload that was inspected before the change of the role is inspected again', async () => {
    const { newInstance, becomes, key } = await openMasks();
    const gate = gateIn('training', newInstance().dependencies.inspect);
    const uploader = newInstance({ inspect: gate.inspect });
    const { rechecks, rechecked, datasets } = newInstance();
    rechecks.start();
    const uploaded = uploader.upload('a.png', BLACK);
    await eventually(() => gate.waiting[0]);
    await datasets.change(key, { role: 'mask' });
    expect((await rechecked()).recheck).toMatchObject({ total: 0, remaining: 0 });
    gate.open();
    await uploaded;
    await becomes('a.png BLACK_MASK');
  });
});

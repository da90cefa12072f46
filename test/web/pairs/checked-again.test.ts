import { expect, test } from 'vitest';
import type { WireRecheck } from '../../../src/api/schemas.js';
import * as media from '../../fixtures/media.js';
import { describeInBrowser } from '../../harness/describe-in-browser.js';
import { eventually } from '../../harness/server.js';
import { flipBit, pathOfBytes } from '../../harness/transferring.js';
import { cardOf, close, filterOf, soon } from './pairs-page.js';

describeInBrowser('a file that a recheck found damaged', (site) => {
  test('stays among the pairs, shows its problem, and can be deleted', async () => {
    const { api, server } = site;
    const id = await api.newDataset();
    const image = await media.jpeg({ seed: 11 });
    await api.upload(id, 'wagon.jpg', image);
    await api.upload(id, 'wagon.txt', 'a wagon');
    const visited = await site.open(`/datasets/${id}`);
    const { page } = visited;
    await page.getByText('READY', { exact: true }).waitFor();
    await flipBit(await pathOfBytes(server.dataFolder, image));
    await api.request<WireRecheck>('POST', `/${id}/recheck`);
    await page.getByText('FAILED', { exact: true }).waitFor();
    const card = cardOf(page, 'wagon.jpg');
    await card.getByRole('img', { name: 'The bytes of wagon.jpg were changed in the store' }).waitFor();
    expect(await card.getByRole('textbox').inputValue()).toBe('a wagon');
    // It is no rejected upload, which could only be dismissed.
    expect(await filterOf(page, 'Rejected').textContent()).toBe('Rejected 0');
    await page.getByRole('link', { name: 'Fit to train?' }).click();
    await page.getByText('Missing from storage').waitFor();
    await api.request('DELETE', `/${id}/files/wagon.jpg`);
    await eventually(async () => ((await api.status(id)).body.damaged === undefined ? true : undefined));
    await page.getByRole('link', { name: 'Files', exact: true }).click();
    await soon(() => cardOf(page, 'wagon.jpg').count()).toBe(0);
    await close(visited);
  });
});

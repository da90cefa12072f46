import { expect, test } from 'vitest';
import { describeInBrowser } from '../../harness/describe-in-browser.js';
import { controlsOf, datasetWith, linkDatasets, targetsOf } from '../linked-datasets.js';

describeInBrowser('a shared dataset with controls', (site) => {
  test('is shown alone, and says that they are not shared', async () => {
    const { api } = site;
    const id = await datasetWith(api, await targetsOf(['a', 'b']), { name: 'shared with controls' });
    const control = await datasetWith(api, await controlsOf(['a']), { role: 'control', name: 'secret depth' });
    await linkDatasets(api, id, { control_1: control });
    const { url } = (await api.json<{ url: string }>('POST', `/${id}/shares`, {})).body;
    const { page, browserErrors } = await site.open();
    const answers: number[] = [];
    page.on('response', (response) => answers.push(response.status()));
    await page.goto(url);
    await page.getByText('It is trained with controls or masks, which are not shared.').waitFor();
    await page.getByRole('button', { name: 'Open a.jpg' }).waitFor();
    await page.getByText('a wagon at b').waitFor();
    expect(await page.getByText('secret depth').count()).toBe(0);
    expect(answers.filter((status) => status >= 400)).toEqual([]);
    expect(browserErrors).toEqual([]);
  });

  test('without controls says nothing of them', async () => {
    const id = await datasetWith(site.api, await targetsOf(['a']));
    const { url } = (await site.api.json<{ url: string }>('POST', `/${id}/shares`, {})).body;
    const { page } = await site.open();
    await page.goto(url);
    await page.getByText("You can't change it.").waitFor();
    expect(await page.getByText('not shared').count()).toBe(0);
  });
});

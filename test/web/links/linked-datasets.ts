import type { WireDatasetWithFiles } from '../../../src/api/schemas.js';
import type { Role } from '../../../src/dataset/dataset.js';
import * as media from '../../fixtures/media.js';
import type { Api } from '../../harness/api.js';

/** Creates a dataset of this role with one image of each stem, and a caption for each if it is a training dataset. */
export async function datasetOfRole(api: Api, name: string, role: Role, stems: readonly string[]): Promise<string> {
  const { id } = (await api.json<{ id: string }>('POST', '', { name, role })).body;
  for (const stem of stems) {
    await api.upload(id, `${stem}.jpg`, await media.jpeg({ seed: role.length }));
    if (role === 'training') await api.upload(id, `${stem}.txt`, `the caption of ${stem}`);
  }
  return id;
}

/** Links datasets to a training dataset. */
export async function link(api: Api, id: string, links: Record<string, string>): Promise<void> {
  const { status, body } = await api.json('PUT', `/${id}/links`, links);
  if (status !== 200) throw new Error(`PUT /links: ${status} ${JSON.stringify(body)}`);
}

export async function statusOf(api: Api, id: string): Promise<WireDatasetWithFiles> {
  return (await api.status(id)).body;
}

import { expect, test } from 'vitest';
import type { PendingFile } from '../../../src/dataset/dataset.js';
import { reserve } from '../../../src/dataset/upload-transitions.js';
import { PresignedUploads } from '../../../src/service/upload/presigned-uploads.js';
import { eventually } from '../../harness/server.js';
import { openPlace, PLACES, SECOND } from '../check/check-service.js';

const DATASETS = 12;
/** Listings that are in flight together. */
const AT_ONCE = 4;

for (const place of PLACES.filter(({ name }) => name.endsWith('disk'))) {
  test.skipIf(place.leftOut)(
    `the store is asked for uploads of the accounts in turns, with ${place.name}`,
    async () => {
      const { catalog, key, newInstance, newNeighbour, now } = await openPlace(place);
      const { dependencies } = newInstance();
      const reserveIn = async (datasetId: string) => {
        const upload = {
          state: 'pending',
          via: 'presigned',
          expectedBytes: 1,
          leaseUntil: null,
          leaseToken: null,
        } as const;
        const file: PendingFile = {
          id: dependencies.newId(),
          datasetId,
          filename: 'a.txt',
          kind: 'caption',
          createdAt: now(),
          upload: { ...upload, expiresAt: now() + 3600 * SECOND },
        };
        const change = { datasetId, filenames: ['a.txt'], now: now(), isActivity: true };
        await catalog.change(change, (group) => reserve(group, file));
      };
      for (let i = 0; i < DATASETS; i++) {
        const id = dependencies.newId();
        await catalog.createDataset({ ...key, id, name: `dogs ${i}`, createdAt: 1 });
        await reserveIn(id);
      }
      const neighbour = await newNeighbour();
      await reserveIn(neighbour.id);
      const listed: string[] = [];
      const listObjects = async (datasetId: string) => {
        listed.push(datasetId);
        await eventually(() => listed.length >= AT_ONCE || undefined);
        return { objects: [], next: undefined };
      };
      const onError = (error: unknown) => {
        throw error;
      };
      const uploads = new PresignedUploads(dependencies, {
        listObjects,
        onFinalized: () => {},
        onRejected: () => {},
        onError,
      });
      await uploads.pollAll();
      expect(listed).toHaveLength(DATASETS + 1);
      expect(listed.slice(0, AT_ONCE)).toContain(neighbour.id);
      await uploads.stop();
    },
  );
}

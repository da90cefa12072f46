import { expect, test } from 'vitest';
import { ITEMS_PER_PIECE } from '../../../src/pieces.js';
import { recordParts, recordText } from '../../../src/service/mount/mounted-folder.js';

test.each([0, 1, ITEMS_PER_PIECE, ITEMS_PER_PIECE + 1, 4 * ITEMS_PER_PIECE])(
  'the record of %i files has the same bytes if it is made in parts',
  async (count) => {
    const files = Array.from({ length: count }, (_, i) => {
      const name = `"files": []\\ ${i}é.jpg`;
      return { filename: name, mounted_name: name, sha256: 'ab', size_bytes: i, mtime_ms: 1 };
    });
    const record = { dataset_id: 'd', name: '"files": []', digest: 'ab', source: 'tar', boot_id: null };
    const parts = [...recordParts(record, files, (file) => file)];
    expect(Buffer.concat(parts).toString()).toBe(recordText({ ...record, files }));
    expect(parts).toHaveLength(count === 0 ? 1 : 2 + Math.ceil(count / ITEMS_PER_PIECE));
  },
);

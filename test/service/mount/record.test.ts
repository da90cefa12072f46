import { expect, test } from 'vitest';
import { ITEMS_PER_PIECE } from '../../../src/pieces.js';
import { recordInPieces, recordText } from '../../../src/service/mount/mounted-folder.js';

test.each([0, 1, ITEMS_PER_PIECE, ITEMS_PER_PIECE + 1, 4 * ITEMS_PER_PIECE])(
  'the record of %i files has the same bytes if it is written in pieces',
  async (count) => {
    const files = Array.from({ length: count }, (_, i) => {
      const name = `"files": []\\ ${i}é.jpg`;
      return { filename: name, mounted_name: name, sha256: 'ab', size_bytes: i, mtime_ms: 1 };
    });
    const record = { dataset_id: 'd', name: '"files": []', digest: 'ab', source: 'tar', boot_id: null, files };
    let pauses = 0;
    const pause = async () => {
      pauses++;
    };
    const written = await recordInPieces(record, { begin: async () => {}, pause });
    expect(written.toString()).toBe(recordText(record));
    expect(pauses).toBe(count > ITEMS_PER_PIECE ? Math.ceil(count / ITEMS_PER_PIECE) : 0);
  },
);

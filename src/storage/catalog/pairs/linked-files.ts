import type { LinkSlot } from '../../../dataset/dataset.js';
import type { FileKind } from '../../../dataset/media.js';
import type { PairFile } from '../../../dataset/pairs/pair-faults.js';
import { LINK_SLOTS } from '../../../dataset/pairs/roles.js';
import type { Warning } from '../../../dataset/problems.js';
import type { Query } from '../../database/database.js';
import { factsReader } from '../rows.js';

/** A stored file of a linked dataset, as its targets need it. */
export interface LinkedFile extends PairFile {
  readonly upload: PairFile['upload'] & {
    readonly sha256: string;
    /** Of a mask alone: those of a control decide nothing in a target. */
    readonly warnings: readonly Warning[];
    readonly isDamaged: boolean;
  };
}

interface LinkedFileRow {
  readonly filename: string;
  readonly kind: string;
  readonly facts: string | null;
  readonly sha256: string | null;
  readonly warnings?: string | null;
  readonly problem: string | null;
}

/** Selects the stored files of the datasets that targets link to in a slot. */
export function selectLinkedFiles(query: Query, slot: LinkSlot) {
  return query
    .selectFrom('link')
    .innerJoin('file', 'file.dataset_id', 'link.linked_id')
    .select(['file.filename', 'file.kind', 'file.facts', 'file.sha256', 'file.problem'])
    .$if(slot === 'mask', (files) => files.select('file.warnings'))
    .where('link.slot', '=', slot)
    .where('file.state', '=', 'stored');
}

/** The files of each slot, unordered. @param rows those of each of `LINK_SLOTS` */
export function linkedFilesOf(rows: readonly (readonly LinkedFileRow[])[]): Map<LinkSlot, LinkedFile[]> {
  const factsOf = factsReader();
  const files = (slot: readonly LinkedFileRow[]): LinkedFile[] =>
    slot.map(({ filename, kind, facts, sha256, warnings = '[]', problem }) => ({
      filename,
      kind: kind as FileKind,
      upload: {
        facts: factsOf(facts),
        sha256: sha256 ?? '',
        warnings: warnings === '[]' ? NO_WARNINGS : JSON.parse(warnings ?? '[]'),
        isDamaged: problem !== null,
      },
    }));
  return new Map(LINK_SLOTS.flatMap((slot, i) => (rows[i]?.length ? [[slot, files(rows[i])]] : [])));
}

const NO_WARNINGS: readonly Warning[] = [];

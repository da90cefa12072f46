import type { DatasetWithFiles, Link, LinkSlot, Links, Status } from '../../client/client.js';
import { linksIn, slotText } from '../../dataset/pairs/roles.js';
import type { Painter } from '../terminal/print.js';
import { printable, tableOf } from '../terminal/text.js';

export const STATUS_COLOURS = { DRAFT: 'dim', UPLOADING: 'yellow', READY: 'green', FAILED: 'red' } as const;

const MAX_NAMED = 10;

/** The service lists no more than these. */
const MAX_LISTED_BY_SERVICE = 100;

/** The controls and the mask of a training dataset; the datasets that link to a control or mask. */
export function linkLines({ links, linked_from: linkedFrom = [] }: DatasetWithFiles, paint: Painter): string[] {
  const lines = tableOf(
    linksIn(links).map((link) => [slotText(link.slot), printable(link.name), link.status, faultsOf(link)]),
    (cell, { column }) => (column === 2 ? paint(STATUS_COLOURS[cell as Status], cell) : cell),
  );
  if (linkedFrom.length === 0) return lines;
  const names = linkedFrom.slice(0, MAX_NAMED).map(({ name }) => `"${printable(name)}"`);
  const others = linkedFrom.length - MAX_NAMED;
  const isCut = linkedFrom.length >= MAX_LISTED_BY_SERVICE;
  const more = others > 0 ? ` and ${isCut ? 'at least ' : ''}${others} more` : '';
  return [...lines, `linked from ${names.join(', ')}${more}`];
}

/** `1 missing, 3 extra` */
function faultsOf({ missing, extra, ambiguous, misfit, stretched }: Link): string {
  const sizes = { 'of a size that does not fit': misfit, 'of another aspect ratio': stretched };
  const counts = { missing, extra, ambiguous, ...sizes };
  return Object.entries(counts)
    .flatMap(([word, { count }]) => (count === 0 ? [] : [`${count.toLocaleString('en')} ${word}`]))
    .join(', ');
}

export type LinkIds = Readonly<Partial<Record<LinkSlot, string>>>;

export function linkIdsOf(links: Links | undefined): LinkIds {
  return Object.fromEntries(linksIn(links).map(({ slot, dataset_id }) => [slot, dataset_id]));
}

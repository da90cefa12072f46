import type { WireRevisionDiff } from '../../../api/history-schemas.js';
import type { StoredFile } from '../../../dataset/dataset.js';
import type { FileDifference } from '../../../dataset/history/revision-states.js';
import type { Downloads } from '../../../service/download/downloads.js';
import { type RevisionDifference, textBytesOf } from '../../../service/history/revision-difference.js';
import { fileToWire } from '../../to-wire.js';
import { jsonElements, textPages } from './json-parts.js';

type List = 'added' | 'removed' | 'changed';
type Texts = ReadonlyMap<StoredFile, string>;

/**
 * The answer with the difference of two revisions and the texts of captions, as `sendJsonParts` takes it. Texts that the store
 * has lost are missing: without them, the differences can be seen and undone.
 */
export async function* differenceTexts(
  downloads: Downloads,
  { accountId, from, to }: { accountId: string; from: number; to: number },
  { total, files, isLast }: RevisionDifference,
): AsyncGenerator<Buffer, void, void> {
  const lists: Record<List, FileDifference[]> = { added: [], removed: [], changed: [] };
  for (const file of files) lists[listOf(file)].push(file);
  let json = JSON.stringify({ from, to, total }).slice(0, -1);
  for (const [name, list] of Object.entries(lists)) {
    json += `,"${name}":[`;
    let separator = '';
    for (const page of textPages(list, textBytesOf)) {
      const elements = await elementsOf(downloads, accountId, page);
      yield Buffer.from(json + separator);
      yield elements;
      json = '';
      separator = ',';
    }
    json += ']';
  }
  const next: Pick<WireRevisionDiff, 'next_after'> = { next_after: isLast ? null : (files.at(-1)?.filename ?? null) };
  yield Buffer.from(`${json},${JSON.stringify(next).slice(1)}`);
}

/** A function of its own, so that the texts are not held while their JSON is sent. */
async function elementsOf(downloads: Downloads, accountId: string, page: readonly FileDifference[]): Promise<Buffer> {
  const versions = page.flatMap((file) => [file.from, file.to]).filter((file) => file !== undefined);
  const texts = await downloads.texts<StoredFile>(accountId, versions, { leavesOutDamaged: true });
  return jsonElements(page.map((file) => differenceToWire(file, texts)));
}

function listOf({ from, to }: FileDifference): List {
  if (from === undefined) return 'added';
  return to === undefined ? 'removed' : 'changed';
}

function differenceToWire({ filename, from, to }: FileDifference, texts: Texts): WireRevisionDiff[List][number] {
  const fromText = from && texts.get(from);
  const toText = to && texts.get(to);
  if (from !== undefined && to !== undefined) {
    return {
      filename,
      from: fileToWire(from),
      to: fileToWire(to),
      ...(fromText !== undefined && { from_text: fromText }),
      ...(toText !== undefined && { to_text: toText }),
    };
  }
  const text = toText ?? fromText;
  return { ...fileToWire((to ?? from)!), ...(text !== undefined && { text }) };
}

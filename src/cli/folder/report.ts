import type { Role } from '../../dataset/dataset.js';
import { groupedBy } from '../../dataset/grouped-by.js';
import { isTextCaption, mediaTypeOf, stemOf } from '../../dataset/media.js';
import { type Painter, problemLine } from '../terminal/print.js';
import { counted, formatBytes } from '../terminal/text.js';
import type { FolderReport, InspectedFile } from './inspect-files.js';

const MAX_LINES = 40;

export function kindsOf(filenames: readonly string[]): string {
  const count = (kind: string) => filenames.filter((name) => mediaTypeOf(name)?.kind === kind).length;
  const words = kindCounts({ image: count('image'), video: count('video'), caption: count('caption') });
  const last = words.pop() ?? 'nothing';
  return words.length === 0 ? last : `${words.join(', ')} and ${last}`;
}

export function kindCounts(counts: Record<'image' | 'video' | 'caption', number>): string[] {
  return Object.entries(counts).flatMap(([kind, number]) => (number > 0 ? [counted(number, kind)] : []));
}

/**
 * A line for each problem. Of a kind with more than three, the first in full and the names of some others.
 *
 * @param options.lists the flag that lists all; `undefined` if it was given
 */
export function problemLines(
  { findings, skipped, faults, unreadable }: FolderReport,
  paint: Painter,
  { lists }: { lists: string | undefined } = { lists: '--json' },
): string[] {
  const lines = (mark: '✗' | '!' | '-', problems: readonly Finding[]) =>
    (lists === undefined ? problems.map(({ message }) => message) : summariesOf(problems, lists)).map((message) =>
      problemLine(paint, mark, localAdvice(message)),
    );
  return [
    ...lines('✗', [...faults, ...findings.errors]),
    ...lines('✗', unreadable),
    ...lines('!', findings.warnings),
    ...lines('-', skipped),
  ];
}

/** A message of the service's checks to a person who has the files in a folder, and uploads none by hand. */
export function localAdvice(message: string): string {
  return message
    .replace(/ and upload (it again|that|those|the new file)(?=\.)/, '')
    .replace(/(?<=[.”] )Upload an intact copy/, 'Replace it with an intact copy')
    .replace(/(?<=[.,”] )(U|u)pload (?=.)/, (_, first) => (first === 'U' ? 'Add ' : 'add '));
}

/** Without `filename` it is about all files together. */
export interface Finding {
  readonly code: string;
  readonly filename?: string;
  readonly message: string;
}

const MAX_ALIKE = 3;

function summariesOf(problems: readonly Finding[], flag: string): string[] {
  return [...groupedBy(problems, ({ code }) => code).values()].flatMap((alike) => {
    const messages = alike.map(({ message }) => message);
    if (alike.length <= MAX_ALIKE) return messages;
    const named = alike.slice(1, 1 + MAX_ALIKE).flatMap(({ filename }) => filename ?? []);
    const names = named.length === 0 ? '' : `: ${named.join(', ')}${alike.length > named.length + 1 ? ', …' : ''}`;
    return [`${messages[0]} And ${alike.length - 1} more like it${names} (${flag} lists them)`];
  });
}

/** A single problem is the sentence itself. */
export function problemsBeside<P extends { readonly message: string }>(sentence: string, problems: readonly P[]): P[] {
  return problems.filter(({ message }) => message !== sentence);
}

export function firstLines(lines: readonly string[], one: string, many = `${one}s`): string[] {
  if (lines.length <= MAX_LINES) return [...lines];
  const more = counted(lines.length - MAX_LINES, `more ${one}`, `more ${many}`);
  return [...lines.slice(0, MAX_LINES), `  … and ${more}; --json lists them all.`];
}

export function errorCount({ findings, faults }: FolderReport): number {
  return findings.errors.length + faults.length;
}

export function trainerLines({ inspected }: FolderReport, role: Role = 'training'): string[] {
  const captions = inspected.filter(({ file }) => isTextCaption(file.filename));
  const usable = captions.filter(({ inspection }) => inspection.ok);
  const captioned = new Set(usable.map(({ file }) => stemOf(file.filename)));
  const aCaption = usable.length === captions.length ? 'a caption' : 'a usable caption';
  return (['image', 'video'] as const).flatMap((kind) => {
    const good = inspected.filter(({ file, inspection }) => {
      const type = mediaTypeOf(file.filename);
      return type?.kind === kind && type.trainable && inspection.ok;
    });
    if (good.length === 0) return [];
    const bare = good.filter(({ file }) => !captioned.has(stemOf(file.filename))).length;
    const withCaption = `, ${good.length === 1 ? '' : 'each '}with its caption`;
    const captionText = bare === 0 ? withCaption : `, ${bare.toLocaleString('en')} of them without ${aCaption}`;
    const use = role === 'training' ? captionText : ` as ${counted(good.length, role)}`;
    return [`The trainer will see ${counted(good.length, kind)}${use}${sizesOf(good)}.`];
  });
}

/** `, 512 to 4000 pixels wide and 512 to 3000 high`. */
function sizesOf(inspected: readonly InspectedFile[]): string {
  const facts = inspected.flatMap(({ inspection }) =>
    inspection.ok && 'width' in inspection.facts ? inspection.facts : [],
  );
  const sidesOf = (side: 'width' | 'height') => {
    const sorted = facts.flatMap((file) => file[side] || []).sort((a, b) => a - b);
    const [least, most] = [sorted[0], sorted.at(-1)];
    return least === most ? least : `${least} to ${most}`;
  };
  const wide = sidesOf('width');
  return wide === undefined ? '' : `, ${wide} pixels wide and ${sidesOf('height')} high`;
}

export function reportDocument(report: FolderReport): Record<string, unknown> {
  const { inspected, findings, skipped, faults, unreadable } = report;
  const withoutSeverity = <T extends { severity: unknown }>({ severity: _, ...rest }: T) => rest;
  return {
    files: inspected.map(({ file, inspection }) => ({
      filename: file.filename,
      size_bytes: file.sizeBytes,
      ...(inspection.ok && { content_type: inspection.contentType, ...inspection.facts }),
    })),
    errors: [...faults, ...findings.errors.map(withoutSeverity)],
    warnings: findings.warnings.map(withoutSeverity),
    unreadable,
    skipped,
  };
}

export function totalsOf(files: readonly { filename: string; sizeBytes: number }[]): string {
  const bytes = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  return `${kindsOf(files.map(({ filename }) => filename))}, ${formatBytes(bytes)}`;
}

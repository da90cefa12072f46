import { constants, openAsBlob } from 'node:fs';
import { access } from 'node:fs/promises';
import type { PushFile } from '../../client/client.js';
import { hasErrno } from '../../dataset/errors.js';
import { stemOf } from '../../dataset/media.js';
import { type FileInspector, type FolderReport, findingsIn } from '../folder/inspect-files.js';
import type { LocalFile } from '../folder/read-folder.js';
import { CommandError, EXIT } from '../terminal/exit-codes.js';
import { printable } from '../terminal/text.js';

/** The options that decide about files with problems. */
export interface PlanRules {
  /** The text of generated captions, for media without a caption. */
  readonly captionText: string | undefined;
  readonly allowsUncaptioned: boolean;
  /** Leaves out files with problems. If false, one such file prevents the whole push. */
  readonly skipsBad: boolean;
  /** Removes files of the dataset that are not in the folder. */
  readonly replaces: boolean;
}

/** A problem with one file; without `filename`, with all files together. */
export interface PushProblem {
  readonly code: string;
  readonly filename?: string;
  readonly message: string;
}

/** What a push will send and remove. */
export interface PushPlan {
  /** Its findings are those of the dataset after the push. */
  readonly report: FolderReport;
  readonly files: readonly PushFile[];
  /** The names of the generated captions in `files`. */
  readonly generated: readonly string[];
  /** Files that are left out, and why. */
  readonly leftOut: readonly PushProblem[];
  /** Problems that prevent the push. */
  readonly blockers: readonly PushProblem[];
  readonly toRemove: readonly string[];
}

/**
 * Decides which local files a push sends, and which files of the dataset it removes.
 *
 * @param options.stored names of the dataset's files
 * @param options.unfinished names of rejected, expired and pending uploads
 */
export function planOf(
  report: FolderReport,
  options: { stored: readonly string[]; unfinished: readonly string[]; rules: PlanRules; inspector: FileInspector },
): PushPlan {
  const { stored, unfinished, rules, inspector } = options;
  const local = report.inspected.map(({ file }) => file.filename);
  // Files with faults and unreadable files are in the folder, too: `replaces` must not remove them from the dataset.
  const faulty = [...report.faults, ...report.unreadable].map(({ filename }) => filename.normalize('NFC'));
  const inFolder = new Set([...local, ...faulty]);
  const leftOut = new Map<string, PushProblem>();
  for (;;) {
    const inspected = report.inspected.filter(({ file }) => !leftOut.has(file.filename));
    const sent = new Set(inspected.map(({ file }) => file.filename));
    const kept = stored.filter((name) => !sent.has(name) && (!rules.replaces || inFolder.has(name)));
    const missing = findingsIn(inspected, kept).errors.flatMap(({ code, filename = '' }) =>
      code === 'MISSING_CAPTION' && sent.has(filename) ? [`${stemOf(filename)}.txt`] : [],
    );
    const generated = rules.captionText === undefined ? [] : [...new Set(missing)];
    const findings = findingsIn(inspected, [...kept, ...generated]);
    const errors = findings.errors.filter(({ code, filename }) => {
      if (code === 'MISSING_CAPTION' && rules.allowsUncaptioned) return false;
      return filename === undefined || sent.has(filename);
    });
    const bad = rules.skipsBad ? errors.filter(({ filename }) => filename !== undefined) : [];
    if (bad.length > 0) {
      // Leaving out a file can leave its caption or image alone, so the findings are computed again.
      for (const error of bad) leftOut.set(error.filename ?? '', error);
      continue;
    }
    const text = rules.captionText ?? '';
    return {
      report: {
        ...report,
        faults: rules.skipsBad ? [] : report.faults,
        findings: { errors, warnings: findings.warnings },
      },
      files: [
        ...inspected.map(({ file }) => pushFile(file, inspector)),
        ...generated.map((name) => captionFile(name, text)),
      ],
      generated,
      leftOut: rules.skipsBad ? [...report.faults, ...leftOut.values()] : [],
      blockers: [...(rules.skipsBad ? [] : report.faults), ...errors],
      toRemove: rules.replaces
        ? [...new Set([...stored, ...unfinished])].filter((name) => !inFolder.has(name) && !generated.includes(name))
        : [],
    };
  }
}

function pushFile(file: LocalFile, inspector: FileInspector): PushFile {
  const { filename: name, sizeBytes: size } = file;
  return { name, size, sha256: () => inspector.sha256(file), open: () => openFile(file) };
}

/** Opens the file as it is now; the client's `push` rejects it if its size has changed. */
async function openFile({ filename, path }: LocalFile): Promise<Blob> {
  try {
    await access(path, constants.R_OK);
    // Reads the bytes while they are sent, and fails if the file changes after this.
    return await openAsBlob(path);
  } catch (error) {
    const isGone = hasErrno(error, 'ENOENT');
    const reason = isGone ? 'is gone: it was deleted after the folder was read' : `can't be opened: ${String(error)}`;
    throw new CommandError(EXIT.ioError, `${printable(filename)} ${reason}.`, { cause: error });
  }
}

function captionFile(name: string, text: string): PushFile {
  const blob = new Blob([text]);
  return { name, size: blob.size, open: async () => blob };
}

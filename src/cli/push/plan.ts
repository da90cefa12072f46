import { constants, openAsBlob } from 'node:fs';
import { access } from 'node:fs/promises';
import type { PushFile } from '../../client/client.js';
import { hasErrno } from '../../dataset/errors.js';
import { stemOf } from '../../dataset/media.js';
import { type FileInspector, findingsIn } from '../folder/inspect-files.js';
import type { LocalFile } from '../folder/read-folder.js';
import type { FolderReport } from '../folder/report.js';
import { CommandError, EXIT } from '../terminal/exit-codes.js';
import { shown } from '../terminal/terminal.js';

/** What a person may decide about files that are not fit as they are. */
export interface PlanRules {
  /** The text of a caption for media that have none. */
  readonly captionText: string | undefined;
  readonly allowsUncaptioned: boolean;
  /** Leaves out what would be refused, instead of sending nothing. */
  readonly skipsBad: boolean;
  /** The dataset is to have the folder's files and no others. */
  readonly replaces: boolean;
}

/** What is wrong with one file, or with the whole. */
export interface Blocker {
  readonly code: string;
  readonly filename?: string;
  readonly message: string;
}

/** What is to be sent. */
export interface PushPlan {
  /** With findings for the dataset as it would be, the files that it has already included. */
  readonly report: FolderReport;
  readonly files: readonly PushFile[];
  /** Of `files`: the captions that were made up. */
  readonly generated: readonly string[];
  /** Why files were left out. */
  readonly leftOut: readonly Blocker[];
  /** What keeps everything from being sent. */
  readonly obstacles: readonly Blocker[];
  /** What the dataset has, or what keeps it from READY, and is to be removed. */
  readonly toRemove: readonly string[];
}

/**
 * Decides what of the files goes into a dataset.
 *
 * @param names of the files that the dataset has, and of those that were refused or promised and never came
 */
export function planOf(
  report: FolderReport,
  { there, broken }: { there: readonly string[]; broken: readonly string[] },
  rules: PlanRules,
  examiner: FileInspector,
): PushPlan {
  const local = new Set(report.examined.map(({ file }) => file.filename));
  // A file that is bad now or can't be read is still in the folder.
  const lost = [...report.faults, ...report.unreadable].map(({ filename }) => filename.normalize('NFC'));
  const inFolder = new Set([...local, ...lost]);
  const leftOut = new Map<string, Blocker>();
  for (;;) {
    const examined = report.examined.filter(({ file }) => !leftOut.has(file.filename));
    const sent = new Set(examined.map(({ file }) => file.filename));
    const others = there.filter((name) => !sent.has(name) && (!rules.replaces || inFolder.has(name)));
    const bare = findingsIn(examined, others).errors.filter(({ code }) => code === 'MISSING_CAPTION');
    const madeUp =
      rules.captionText === undefined
        ? []
        : captionNamesFor(bare.map(({ filename = '' }) => filename).filter((name) => sent.has(name)));
    const findings = findingsIn(examined, [...others, ...madeUp]);
    const errors = findings.errors.filter(({ code, filename }) => {
      if (code === 'MISSING_CAPTION' && rules.allowsUncaptioned) return false;
      return filename === undefined || sent.has(filename);
    });
    const bad = rules.skipsBad ? errors.filter(({ filename }) => filename !== undefined) : [];
    if (bad.length > 0) {
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
      files: [...examined.map(({ file }) => pushFile(file, examiner)), ...madeUp.map((name) => madeUpFile(name, text))],
      generated: madeUp,
      leftOut: rules.skipsBad ? [...report.faults, ...leftOut.values()] : [],
      obstacles: [...(rules.skipsBad ? [] : report.faults), ...errors],
      toRemove: rules.replaces
        ? [...new Set([...there, ...broken])].filter((name) => !inFolder.has(name) && !madeUp.includes(name))
        : [],
    };
  }
}

function captionNamesFor(filenames: readonly string[]): string[] {
  return [...new Set(filenames.map((filename) => `${stemOf(filename)}.txt`))];
}

function pushFile(file: LocalFile, examiner: FileInspector): PushFile {
  return {
    name: file.filename,
    size: file.sizeBytes,
    sha256: () => examiner.sha256(file),
    open: () => opened(file),
  };
}

/** The bytes as they are now; `push` itself compares their number with what was promised. */
async function opened({ filename, path }: LocalFile): Promise<Blob> {
  try {
    await access(path, constants.R_OK);
    // Bytes are read as they are sent, and reading fails once the file is no longer what it was here.
    return await openAsBlob(path);
  } catch (error) {
    const isGone = hasErrno(error, 'ENOENT');
    const reason = isGone ? 'is gone: it was there when the folder was read' : `can't be opened: ${String(error)}`;
    throw new CommandError(EXIT.ioError, `${shown(filename)} ${reason}.`, { cause: error });
  }
}

function madeUpFile(name: string, text: string): PushFile {
  const blob = new Blob([text]);
  return { name, size: blob.size, open: async () => blob };
}

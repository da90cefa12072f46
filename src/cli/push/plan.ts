import { constants, openAsBlob } from 'node:fs';
import { access } from 'node:fs/promises';
import type { PushFile } from '../../client/client.js';
import type { Role } from '../../dataset/dataset.js';
import { hasErrno } from '../../dataset/errors.js';
import { mediaTypeOf, stemOf } from '../../dataset/media.js';
import { type FileInspector, type FolderReport, findingsIn } from '../folder/inspect-files.js';
import type { LocalFile } from '../folder/read-folder.js';
import { type Decisions, type Hashes, type SyncPlan, type SyncRules, syncPlanOf } from '../sync/compare.js';
import { CommandError, EXIT } from '../terminal/exit-codes.js';
import { printable } from '../terminal/text.js';

/** The options that decide about files with problems, and about files that the dataset has in another version. */
export interface PlanRules extends SyncRules {
  /** The text of generated captions, for media without a caption. */
  readonly captionText: string | undefined;
  readonly allowsUncaptioned: boolean;
  /** Leaves out files with problems. If false, one such file prevents the whole push. */
  readonly skipsBad: boolean;
  /** With `replaces`, also withdraws rejected and pending uploads of files that are not in the folder. */
  readonly withdraws: boolean;
}

/** A problem with one file; without `filename`, with all files together. */
export interface PushProblem {
  readonly code: string;
  readonly filename?: string;
  readonly message: string;
}

/** What folder and dataset have, and last had in common. */
export interface PushSides {
  readonly folder: Hashes;
  /** With the files that it has received and not stored yet, as far as their SHA-256 is known. */
  readonly dataset: Hashes;
  /** The files that the dataset has stored; conditions of writes are about them. */
  readonly stored: Hashes;
  /** Files that an earlier push has sent to a bucket, where the service has not found them yet. They are not sent again. */
  readonly awaited: ReadonlySet<string>;
  /** Files that an earlier push has sent, and that the service still checks. A newer version takes their place. */
  readonly checking: ReadonlySet<string>;
  /** Files of the dataset that a recheck found damaged; `dataset` has none of them. */
  readonly damaged: Hashes;
  readonly common: Hashes;
  /** Names of rejected, expired and pending uploads. */
  readonly unfinished: readonly string[];
  /** Names of files in the folder that can't be read or sent. */
  readonly unusable: ReadonlySet<string>;
  /** Whether the folder is pushed as a whole, so that a file that is missing in it was removed. */
  readonly isWholeFolder: boolean;
}

/** What a push will send and remove. */
export interface PushPlan {
  /** Its findings are those of the dataset after the push. */
  readonly report: FolderReport;
  /** What is sent, and what is the same already. */
  readonly files: readonly PushFile[];
  /** The names of those that are sent. */
  readonly toSend: readonly string[];
  readonly sync: SyncPlan;
  readonly sides: PushSides;
  /** The names of the generated captions in `files`. */
  readonly generated: readonly string[];
  /** Files that are left out, and why. */
  readonly leftOut: readonly PushProblem[];
  /** Problems that prevent the push. */
  readonly blockers: readonly PushProblem[];
  /** Files to remove from the dataset. */
  readonly toRemove: readonly string[];
  /** Names of rejected and pending uploads to withdraw. */
  readonly toWithdraw: readonly string[];
}

/** Decides which local files a push sends, and which files of the dataset it removes. */
export function planOf(
  report: FolderReport,
  options: {
    sides: PushSides;
    /** The role of the dataset. */
    role: Role;
    rules: PlanRules;
    decisions: Decisions;
    /** Files to leave out, and why. */
    without: readonly PushProblem[];
    inspector: FileInspector;
  },
): PushPlan {
  const { sides, role, rules, decisions, without, inspector } = options;
  // `replaces` must not remove files from the dataset that are in the folder and can't be sent.
  const inFolder = new Set([...sides.folder.keys(), ...sides.unusable]);
  const isInScope = (name: string) =>
    sides.folder.has(name) || (!sides.unusable.has(name) && (sides.isWholeFolder || rules.replaces));
  const sync = syncPlanOf(
    {
      common: sides.common,
      source: sides.folder,
      target: new Map([...sides.dataset].filter(([name]) => isInScope(name))),
    },
    { ...rules, decisions },
  );
  const removed = new Set(sync.remove);
  // Neither sent nor in the dataset, such as a file that was removed from it.
  const heldBack = new Set([...sync.kept['removed-from-target'], ...sync.kept['target-wins'], ...sync.conflicts]);
  for (const name of sides.dataset.keys()) heldBack.delete(name);
  // A caption that can't be used was written by a person: it is fixed, never replaced by a generated one.
  const captionStems = new Set([...inFolder].filter((name) => mediaTypeOf(name)?.kind === 'caption').map(stemOf));
  const hasOwnCaption = (name: string) => captionStems.has(stemOf(name));
  const leftOut = new Map(without.map((problem) => [problem.filename ?? '', problem]));
  for (;;) {
    const inspected = report.inspected.filter(
      ({ file }) => !leftOut.has(file.filename) && !heldBack.has(file.filename),
    );
    const sent = new Set(inspected.map(({ file }) => file.filename));
    const kept = [...sides.dataset.keys()].filter((name) => !sent.has(name) && !removed.has(name));
    const missing = findingsIn(inspected, { others: kept, role }).errors.flatMap(({ code, filename = '' }) =>
      code === 'MISSING_CAPTION' && sent.has(filename) ? [`${stemOf(filename)}.txt`] : [],
    );
    const generated =
      rules.captionText === undefined ? [] : [...new Set(missing)].filter((name) => !hasOwnCaption(name));
    const findings = findingsIn(inspected, { others: [...kept, ...generated], role });
    const errors = findings.errors.filter(({ code, filename }) => {
      if (filename === undefined) return heldBack.size === 0;
      const isAllowed =
        code === 'MISSING_CAPTION' && (rules.allowsUncaptioned || heldBack.has(`${stemOf(filename)}.txt`));
      return sent.has(filename) && !isAllowed;
    });
    const bad = rules.skipsBad ? errors.filter(({ filename }) => filename !== undefined) : [];
    if (bad.length > 0) {
      // Leaving out a file can leave its caption or image alone, so the findings are computed again.
      for (const error of bad) leftOut.set(error.filename ?? '', error);
      continue;
    }
    const text = rules.captionText ?? '';
    const written = sync.write.filter((name) => !leftOut.has(name));
    const pushed = new Set([...written, ...sync.same]);
    const files = inspected
      .filter(({ file }) => pushed.has(file.filename))
      .map(({ file }) => pushFile(file, inspector));
    const toSend = [...written, ...generated];
    return {
      report: {
        ...report,
        faults: rules.skipsBad ? [] : report.faults,
        // The service decodes what this check left to it, and has the last word about what is sent.
        findings: { errors, warnings: findings.warnings.filter(({ code }) => code !== 'NOT_FULLY_CHECKED') },
      },
      files: [...files, ...generated.map((name) => captionFile(name, text))],
      toSend,
      sync,
      sides,
      generated,
      leftOut: rules.skipsBad ? [...report.faults, ...leftOut.values()] : [],
      blockers: [...(rules.skipsBad ? [] : report.faults), ...errors],
      toRemove: sync.remove.filter((name) => !generated.includes(name)),
      toWithdraw:
        rules.replaces && rules.withdraws
          ? [...new Set(sides.unfinished)].filter((name) => !inFolder.has(name) && !generated.includes(name))
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

import { memo, useMemo } from 'react';
import { Link } from 'wouter';
import { MAX_LISTED } from '../../src/api/limits.js';
import type { DatasetFile, DatasetWithFiles, Problem } from '../../src/client/client.js';
import { commandLine } from '../../src/command-line.js';
import { FIX_ADVICE } from '../../src/dataset/problems.js';
import { useWithdrawal } from '../live/use-withdrawal.js';
import { useCanWrite } from '../session/account.js';
import { WriteButton } from '../session/write-button.js';
import { Alert } from '../ui/loaded.js';
import { CopyLine } from '../ui/copy.js';
import { numberOf } from '../ui/format.js';
import { Button } from '../ui/button.js';
import { LongList } from '../ui/long-list.js';
import { Panel } from '../ui/panel.js';
import { FindingGroup } from './finding-group.js';
import { useConvert } from './fixes/conversions.js';
import { ConversionNote, DeleteButton, FixButtons } from './fixes/fix-buttons.js';
import { fixesOf, type ProblemFix } from './fixes/problem-fixes.js';
import { groupProblems, type ProblemGroup } from './problem-kinds.js';
import { ReplaceButton } from '../upload/add-files/replace-button.js';

interface ProblemsPanelProps {
  readonly title: string;
  readonly dataset: DatasetWithFiles;
  readonly problems: readonly Problem[];
  /** How many the service lists, those that other panels show included. */
  readonly found: number;
  readonly areErrors?: boolean;
}

/** Lists problems by kind, each with a link to its file and, for errors, with the actions that resolve it. */
export const ProblemsPanel = memo(function ProblemsPanel(props: ProblemsPanelProps) {
  const { title, dataset, problems, found, areErrors = false } = props;
  // A problem of any other file is about an upload.
  const files = useMemo(
    () => new Map([...dataset.files, ...(dataset.damaged ?? [])].map((file) => [file.filename, file])),
    [dataset],
  );
  const groups = useMemo(() => groupProblems(problems), [problems]);
  const fixes = useMemo(() => fixesOf(problems, files), [problems, files]);
  if (problems.length === 0) return null;
  return (
    <Panel title={title}>
      {found >= MAX_LISTED && (
        <p className="text-sm text-muted">
          Only the first {numberOf(MAX_LISTED)} are listed. Fix these to see the others.
        </p>
      )}
      <div className="flex flex-col gap-2">
        {groups.map((group) => (
          <Group key={group.code} {...{ dataset, files, areErrors, group, fixes }} />
        ))}
      </div>
    </Panel>
  );
});

const ACTIONS = 'flex flex-wrap items-center gap-3 border-b border-line px-3 py-2 text-sm text-muted';

interface GroupProps {
  readonly dataset: DatasetWithFiles;
  /** The files in the dataset, by name. */
  readonly files: ReadonlyMap<string, DatasetFile>;
  readonly areErrors: boolean;
  readonly group: ProblemGroup;
  readonly fixes: ReadonlyMap<Problem, ProblemFix>;
}

function Group({ group, dataset, files, areErrors, fixes }: GroupProps) {
  const canWrite = useCanWrite();
  const { faults } = useConvert(dataset.id);
  const withdrawal = useWithdrawal(dataset.id);
  const uploads = useMemo(
    () => group.problems.flatMap(({ filename }) => (filename === undefined || files.has(filename) ? [] : filename)),
    [group, files],
  );
  const filter = group.filter ?? (areErrors && uploads.length > 0 ? 'rejected' : undefined);
  const canFix = areErrors && canWrite;
  const ofGroup = group.problems.flatMap((problem) => fixes.get(problem) ?? []);
  const row = { dataset, files, faults, withdrawal: canFix ? withdrawal : undefined };
  return (
    <FindingGroup title={group.title} count={group.problems.length} areErrors={areErrors}>
      {canFix && (group.advice !== undefined || uploads.length > 1) && (
        <div className={ACTIONS}>
          <p className="mr-auto max-w-prose">{group.advice}</p>
          {uploads.length > 1 && (
            <Button disabled={withdrawal.withdrawing.size > 0} onClick={() => void withdrawal.withdraw(uploads)}>
              Dismiss all {numberOf(uploads.length)}
            </Button>
          )}
        </div>
      )}
      {canWrite && (
        <div className={`${ACTIONS} justify-end empty:hidden`}>
          <ConversionNote datasetId={dataset.id} fixes={ofGroup} />
          {ofGroup.length > 1 && <FixButtons datasetId={dataset.id} fixes={ofGroup} />}
        </div>
      )}
      <Alert className="px-3 py-2">{withdrawal.failure}</Alert>
      <LongList
        label={group.title}
        items={group.problems}
        // A message may quote what is changed while its fix is open. Without a fix, a file may have two of a kind.
        keyOf={(problem) => (fixes.has(problem) && problem.filename) || problem.message}
      >
        {(problem) => <Row {...row} problem={problem} fix={canWrite ? fixes.get(problem) : undefined} />}
      </LongList>
      {canWrite && group.problems.some(({ message }) => message.includes(FIX_ADVICE)) && <FixLine dataset={dataset} />}
      {((filter !== undefined && group.problems.length > 1) || group.search !== undefined) && (
        <p className="border-t border-line px-3 py-2 text-sm">
          <Link
            href={`/datasets/${dataset.id}?${new URLSearchParams(group.search === undefined ? { filter: filter! } : { q: group.search })}`}
            className="text-link"
          >
            Show these in the workbench
          </Link>
        </p>
      )}
    </FindingGroup>
  );
}

interface RowProps extends Pick<GroupProps, 'dataset' | 'files'> {
  readonly problem: Problem;
  readonly fix: ProblemFix | undefined;
  /** `undefined` where nothing can be fixed. */
  readonly withdrawal: ReturnType<typeof useWithdrawal> | undefined;
  /** Why files were not converted or renamed, by name. */
  readonly faults: ReadonlyMap<string, string>;
}

function Row({ problem, dataset: { id: datasetId }, files, fix, withdrawal, faults }: RowProps) {
  const { code, filename, message } = problem;
  // None if the problem is about an upload, or about the whole dataset.
  const file = files.get(filename ?? '');
  const changes = fix?.kind === 'delete' || fix?.kind === 'encoding' ? [] : (fix?.files ?? []);
  const fault = changes.flatMap((changed) => faults.get(changed.filename) ?? [])[0];
  const query = file === undefined ? 'filter=rejected' : `file=${encodeURIComponent(file.filename)}`;
  return (
    <div className="flex flex-col items-start gap-x-4 gap-y-1 px-3 py-2 text-sm sm:flex-row sm:items-center">
      <div className="min-w-0 grow wrap-anywhere">
        <p>{message}</p>
        <Alert>{fault}</Alert>
      </div>
      {filename !== undefined && (
        <div className="flex shrink-0 flex-wrap items-center gap-2">
          <Link href={`/datasets/${datasetId}?${query}`} aria-label={`Show the file ${filename}`} className="text-link">
            Show the file
          </Link>
          {fix !== undefined && <FixButtons datasetId={datasetId} fixes={[fix]} />}
          {withdrawal !== undefined && code !== 'NAME_COLLISION' && (
            <ReplaceButton datasetId={datasetId} filename={filename} etag={file?.etag} />
          )}
          {withdrawal !== undefined && file === undefined && (
            <WriteButton
              aria-label={`Dismiss ${filename}`}
              disabled={withdrawal.withdrawing.has(filename)}
              onClick={() => void withdrawal.withdraw([filename])}
            >
              Dismiss
            </WriteButton>
          )}
          {withdrawal !== undefined && file !== undefined && <DeleteButton datasetId={datasetId} files={[file]} />}
        </div>
      )}
    </div>
  );
}

/** The command that fixes the files in the folder that they came from, and uploads them again. */
function FixLine({ dataset: { name } }: Pick<ProblemsPanelProps, 'dataset'>) {
  return (
    <div className="flex flex-col gap-1 border-t border-line px-3 py-2 text-sm">
      <p className="text-muted">
        Or fix them in the folder that they came from, here FOLDER, and upload them again. The originals are kept:
      </p>
      <CopyLine
        text={commandLine(location.origin, ['push', 'FOLDER', '--name', name, '--fix'])}
        what="the line that fixes files and uploads them"
      />
    </div>
  );
}

import { useQueryClient } from '@tanstack/react-query';
import { useEffect, useRef, useState } from 'react';
import { Link } from 'wouter';
import type { Dataset, DatasetFile, PushFile } from '../../../src/client/client.js';
import { stemOf } from '../../../src/dataset/media.js';
import { groupedBy } from '../../../src/dataset/grouped-by.js';
import { putDataset, useDatasets } from '../../live/datasets.js';
import type { Pair } from '../../live/pairs.js';
import { type Connect, newChangeId, signOutIfUnauthorized, useClient, useConnect } from '../../session/client.js';
import { Alert } from '../../ui/loaded.js';
import { Button } from '../../ui/button.js';
import { Chooser } from '../../ui/chooser.js';
import { Dialog, DialogActions } from '../../ui/dialog.js';
import { countOf, foldCase, messageOf, numberOf } from '../../ui/format.js';
import { ProgressBar } from '../../ui/progress-bar.js';
import { withdrawAwaited } from '../../upload/queue/withdraw-awaited.js';
import { recordChange } from '../../undo/recent-change.js';

interface CopyDialogProps {
  readonly dataset: Pick<Dataset, 'id' | 'name'>;
  readonly pairs: readonly Pair[];
  readonly verb: 'copy' | 'move';
  /** Deletes the pairs here that have arrived there. */
  readonly onArrived: (pairs: readonly Pair[]) => void;
  readonly onClose: () => void;
}

type State =
  | { readonly is: 'asking'; readonly failure?: string }
  | { readonly is: 'copying'; readonly to: Dataset; readonly done: number }
  | ({ readonly is: 'done'; readonly to: Dataset } & CopyOutcome);

/** Asks for another dataset, and copies or moves pairs to it. Closing it stops a copy. */
export function CopyDialog({ dataset, pairs, verb, onArrived, onClose }: CopyDialogProps) {
  const connect = useConnect();
  const client = useClient();
  const queries = useQueryClient();
  const { data: datasets = [] } = useDatasets();
  const [state, setState] = useState<State>({ is: 'asking' });
  const stop = useRef(new AbortController());
  useEffect(() => () => stop.current.abort(), []);
  const hasBegun = useRef(false);
  const copy = async (choose: () => Promise<Dataset>) => {
    // A double click makes one dataset.
    if (hasBegun.current) return;
    hasBegun.current = true;
    const { signal } = stop.current;
    try {
      const to = await choose();
      const onProgress = (done: number) => setState({ is: 'copying', to, done });
      onProgress(0);
      const outcome = await copyPairs(pairs, { connect, from: dataset, to, signal, onProgress });
      setState({ is: 'done', to, ...outcome });
      if (verb === 'move' && outcome.arrived.length > 0) onArrived(outcome.arrived);
    } catch (error) {
      if (signal.aborted) return;
      hasBegun.current = false;
      setState({ is: 'asking', failure: messageOf(error) });
      signOutIfUnauthorized(error);
    }
  };
  const create = async () => {
    const created = await client.create();
    putDataset(queries, created);
    return created;
  };
  const others = datasets.filter(({ id }) => id !== dataset.id);
  const what = pairs.length === 1 ? pairs[0]!.stem : countOf(pairs.length, 'pair');
  return (
    <Dialog title={`${verb === 'copy' ? 'Copy' : 'Move'} ${what} to`} onClose={onClose} staysOnClickOutside>
      {state.is === 'asking' && (
        <>
          <Chooser
            label="Dataset"
            placeholder="The name of a dataset"
            groups={[
              {
                title: 'Datasets',
                choices: others.map((to) => ({ key: to.id, label: to.name, choose: () => void copy(async () => to) })),
              },
              { title: 'Or', choices: [{ key: 'new', label: 'A new dataset', choose: () => void copy(create) }] },
            ]}
          />
          <p className="text-sm text-muted">
            What the other dataset has stays there: a pair whose name is taken gets “{dataset.name}_” in front.
          </p>
          <Alert>{state.failure}</Alert>
        </>
      )}
      {state.is === 'copying' && <Copying {...state} total={pairs.reduce((sum, { files }) => sum + files.length, 0)} />}
      {state.is === 'done' && <Done {...state} verb={verb} />}
      <DialogActions>
        <Button onClick={onClose}>
          {state.is === 'asking' ? 'Cancel' : state.is === 'copying' ? 'Stop' : 'Close'}
        </Button>
      </DialogActions>
    </Dialog>
  );
}

function Copying({ to, done, total }: { to: Dataset; done: number; total: number }) {
  return (
    <div className="flex flex-col gap-2 text-sm">
      <ProgressBar label={`Copying to ${to.name}`} uploaded={done} total={total} />
      <p className="tabular-nums">
        {numberOf(done)} of {countOf(total, 'file')} to {to.name}
      </p>
    </div>
  );
}

function Done({ to, arrived, renamed, failures, verb }: CopyOutcome & { to: Dataset; verb: 'copy' | 'move' }) {
  return (
    <div className="flex flex-col gap-2 text-sm">
      <p role="status" className="wrap-anywhere">
        {countOf(arrived.length, 'pair')} {verb === 'copy' ? 'copied' : 'moved'} to{' '}
        <Link href={`/datasets/${to.id}`} className="text-link underline">
          {to.name}
        </Link>
        {renamed > 0 && `, ${numberOf(renamed)} with another name`}. You can undo it there.
      </p>
      {failures.length > 0 && (
        <ul role="alert" className="flex max-h-48 flex-col gap-1 overflow-y-auto text-bad">
          {failures.map(({ filename, reason }) => (
            <li key={filename} className="wrap-anywhere">
              {filename}: {reason}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

interface CopyOptions {
  readonly connect: Connect;
  readonly from: Pick<Dataset, 'id' | 'name'>;
  readonly to: Pick<Dataset, 'id'>;
  readonly signal: AbortSignal;
  readonly onProgress: (finishedFiles: number) => void;
}

type CopyOutcome = Awaited<ReturnType<typeof copyPairs>>;

/**
 * Copies pairs to another dataset, whose files all stay: a pair whose name is taken there is put beside it, with the name of its
 * dataset in front. What is there already is not sent. One revision of the other dataset, which can be undone there.
 *
 * @throws TrainyardError, TypeError without an answer, the signal's reason
 */
async function copyPairs(pairs: readonly Pair[], options: CopyOptions) {
  const { connect, from, to, signal, onProgress } = options;
  const changeId = newChangeId();
  const client = connect({ how: 'bulk', id: changeId });
  const names = namesThere(pairs, (await client.status(to.id, { signal })).files, from.name);
  const files = new Map(pairs.flatMap((pair) => pair.files.map((file) => [nameOf(file, names.get(pair)!), file])));
  const pushed = [...files].map(
    ([name, { filename, size_bytes: size, sha256 }]): PushFile => ({
      ...{ name, size, sha256: async () => sha256 },
      open: async () => (await client.file(from.id, filename, { signal })).blob(),
    }),
  );
  const ifMatch = Object.fromEntries(pushed.map(({ name }) => [name, null]));
  let hasStored = false;
  const unsent = new Set(pushed.map(({ name }) => name));
  const { failed } = await client
    .push(to, pushed, {
      ...{ ifMatch, signal },
      onProgress: ({ finishedFiles }) => onProgress(finishedFiles),
      onFileFinished: ({ name }, outcome) => {
        if (!(outcome instanceof Error)) unsent.delete(name);
        hasStored ||= outcome === 'stored';
      },
    })
    .finally(async () => {
      if (hasStored) recordChange(to.id, { text: `Copied from ${from.name}.`, made: { changeId } });
      // Nothing else would send them.
      if (unsent.size > 0) await withdrawAwaited(client, to.id, { names: unsent }).catch(() => {});
    });
  const missing = new Set(failed.map(({ name }) => files.get(name)));
  return {
    /** The files of these pairs are all in the other dataset. */
    arrived: pairs.filter((pair) => !pair.files.some((file) => missing.has(file))),
    /** Pairs that got another name, since theirs was taken. */
    renamed: pairs.filter((pair) => names.get(pair) !== pair.stem).length,
    failures: failed.map(({ name, error }) => ({ filename: files.get(name)!.filename, reason: messageOf(error) })),
  };
}

function nameOf({ filename }: DatasetFile, stem: string): string {
  return stem + filename.slice(stemOf(filename).length);
}

/** The stems that pairs get in a dataset with these files. */
function namesThere(
  pairs: readonly Pair[],
  existing: readonly DatasetFile[],
  source: string,
): ReadonlyMap<Pair, string> {
  const there = groupedBy(existing, ({ filename }) => foldCase(stemOf(filename)));
  const taken = new Set([...there.keys(), ...pairs.map(({ stem }) => foldCase(stem))]);
  const prefix = source.replace(/[^\p{L}\p{N}._-]+/gu, '_');
  return new Map(
    pairs.map((pair) => {
      const others = there.get(foldCase(pair.stem)) ?? [];
      const isOurs = ({ filename, sha256 }: DatasetFile) =>
        pair.files.some((file) => file.filename === filename && file.sha256 === sha256);
      if (others.every(isOurs)) return [pair, pair.stem];
      const base = `${prefix}_${pair.stem}`;
      let stem = base;
      for (let number = 2; taken.has(foldCase(stem)); number++) stem = `${base}_${number}`;
      taken.add(foldCase(stem));
      return [pair, stem];
    }),
  );
}

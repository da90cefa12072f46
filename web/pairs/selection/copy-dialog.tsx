import { useEffect, useRef, useState } from 'react';
import { Link } from 'wouter';
import type { Dataset } from '../../../src/client/client.js';
import { putDataset, useDatasets } from '../../live/datasets.js';
import { useQueryClient } from '@tanstack/react-query';
import type { Pair } from '../../live/pairs.js';
import { signOutIfUnauthorized, useClient, useConnect } from '../../session/client.js';
import { Button } from '../../ui/button.js';
import { Chooser } from '../../ui/chooser.js';
import { Dialog, DialogActions } from '../../ui/dialog.js';
import { ProgressBar } from '../../ui/progress-bar.js';
import { countOf, messageOf, numberOf } from '../../ui/format.js';
import { type CopyOutcome, copyPairs } from './copy-pairs.js';

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
  const copy = async (choose: () => Promise<Dataset>) => {
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
          <p role="alert" className="text-sm text-bad empty:hidden">
            {state.failure}
          </p>
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

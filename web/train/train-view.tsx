import { type ReactNode, useState } from 'react';
import { Link } from 'wouter';
import type { DatasetWithFiles, TarLink } from '../../src/client/client.js';
import { installLine, shellWord, tarCommands } from '../../src/command-line.js';
import { type MediaChoice, needsGroupFolders } from '../../src/dataset/train/training-dataset.js';
import { GroupsPanel } from '../groups/groups-panel.js';
import { GuideLink } from '../guide/guide-panel.js';
import { useDigest } from '../live/dataset.js';
import { useClient } from '../session/client.js';
import { useRequesting } from '../session/dialog-form.js';
import { LoopbackNote } from '../session/loopback-note.js';
import { TrainerConfig } from './trainer-config.js';
import { dateOf, momentOf } from '../ui/ago.js';
import { Alert } from '../ui/loaded.js';
import { Button } from '../ui/button.js';
import { CopyButton, CopyLine } from '../ui/copy.js';
import { TextField } from '../ui/fields.js';
import { Choices, Panel } from '../ui/panel.js';

/** The view Train: the steps to a training run, or why there is none yet. */
export function TrainView({ dataset }: { dataset: DatasetWithFiles }) {
  const isReady = dataset.status === 'READY';
  // What was chosen stays when the dataset is not READY for a moment.
  const [wasReady, setWasReady] = useState(isReady);
  if (isReady && !wasReady) setWasReady(true);
  return (
    <div className="mx-auto flex w-full max-w-6xl flex-col gap-4">
      {dataset.groups !== undefined && <GroupsPanel datasetId={dataset.id} groups={dataset.groups} />}
      {wasReady && (
        <div hidden={!isReady}>
          <TrainPanel dataset={dataset} />
        </div>
      )}
      {!isReady && (
        <Panel title="Not ready to train on">
          <p>
            The steps to a training run appear here once the dataset is READY.{' '}
            <Link href={`/datasets/${dataset.id}/fitness`} className="text-link">
              See what is missing
            </Link>
          </p>
        </Panel>
      )}
    </div>
  );
}

/** The folder of datasets in the trainer's container image (ai-toolkit `docker/`). */
const USUAL_ROOT = '/workspace/datasets';

const MEDIA_OPTIONS = { all: 'Images and clips', images: 'Images', videos: 'Clips' } as const;

const MACHINES = { node: 'has Node.js 20 or later', curl: 'has curl and tar alone' } as const;

/** The steps from a READY dataset to a training run, with the lines and settings to copy. */
function TrainPanel({ dataset }: { dataset: DatasetWithFiles }) {
  const digest = useDigest(dataset);
  // While it is read again, made lines stay.
  const [lastDigest, setLastDigest] = useState(digest);
  if (digest !== undefined && digest !== lastDigest) setLastDigest(digest);
  const [root, setRoot] = useState(USUAL_ROOT);
  const [media, setMedia] = useState<MediaChoice | 'all'>('all');
  const [machine, setMachine] = useState<keyof typeof MACHINES>('node');
  const isMixed = dataset.counts.images > 0 && dataset.counts.videos > 0;
  // An archive has all files.
  const canChoose = isMixed && machine === 'node';
  const only = canChoose && media !== 'all' ? media : undefined;
  const mount = [
    // The command would parse a name that begins with a dash as an option.
    ...['trainyard', 'mount', dataset.name.startsWith('-') ? dataset.id : dataset.name, '--into', root],
    ...(needsGroupFolders(dataset) ? ['--layout', 'kohya'] : []),
    ...(only === undefined ? [] : ['--only', only]),
    ...(digest === undefined ? [] : ['--digest', digest]),
  ];
  return (
    <Panel title="Train" aside={<GuideLink place="mounting">How mounting works</GuideLink>}>
      {digest !== undefined && (
        <p className="flex flex-wrap items-center gap-x-2 text-sm">
          <span className="text-muted">Fingerprint (digest) of exactly these files</span>
          <span className="flex min-w-0 items-center">
            <code className="wrap-anywhere">{digest}</code>
            <CopyButton text={digest} what="the fingerprint" />
          </span>
        </p>
      )}
      <div className="flex flex-wrap items-center gap-x-6 gap-y-2">
        <Choices label="The training machine" options={MACHINES} value={machine} onChange={setMachine} />
        <RootField root={root} onChange={setRoot} />
        {canChoose && <Choices label="Train on" options={MEDIA_OPTIONS} value={media} onChange={setMedia} />}
      </div>
      <LoopbackNote url={location.origin} then="copy the lines there" />
      <ol className="flex flex-col gap-4">
        {machine === 'curl' && lastDigest !== undefined && (
          <Step title="1. Mount exactly these files by a link">
            {needsGroupFolders(dataset) && (
              <p className="text-sm text-warn">
                An archive has no folders for groups. Mount with Node.js, or the settings below find no files.
              </p>
            )}
            <TarLines key={lastDigest} datasetId={dataset.id} digest={lastDigest} root={root} />
          </Step>
        )}
        {machine === 'node' && (
          <>
            <Step title="1. Install the command">
              <CopyLine text={installLine(location.origin)} what="the line that installs the command" />
            </Step>
            <Step title="2. Sign in">
              <CopyLine text={`trainyard login ${shellWord(location.origin)}`} what="the line that signs in" />
            </Step>
            <Step title="3. Mount exactly these files">
              <CopyLine text={mount.map(shellWord).join(' ')} what="the line that mounts the dataset" />
            </Step>
          </>
        )}
        <Step title={`${machine === 'node' ? 4 : 2}. Give the trainer these settings`}>
          <TrainerConfig dataset={dataset} root={root} only={only} />
        </Step>
      </ol>
    </Panel>
  );
}

function Step({ title, children }: { title: string; children: ReactNode }) {
  return (
    <li className="flex min-w-0 flex-col gap-1">
      <h3 className="text-sm font-medium">{title}</h3>
      {children}
    </li>
  );
}

/** An absolute path of Linux or Windows. Quoted in the lines, `~` would not be expanded; and no trainer finds a folder without a name. */
const ABSOLUTE_PATH = /^(\/|[A-Za-z]:[\\/])/;

/** Calls `onChange` with absolute paths only, and says of others that the lines keep the last one. */
function RootField({ root, onChange }: { root: string; onChange: (root: string) => void }) {
  const [text, setText] = useState(root);
  const isAbsolute = ABSOLUTE_PATH.test(text.trim());
  const change = (next: string) => {
    setText(next);
    if (ABSOLUTE_PATH.test(next.trim())) onChange(next.trim());
  };
  return (
    <TextField
      label="Folder of datasets there"
      isBeside
      spellCheck={false}
      value={text}
      onChange={change}
      error={isAbsolute ? '' : `Write a path from the root, such as ${USUAL_ROOT}. The lines below still have ${root}.`}
      className="font-mono"
    />
  );
}

const VALIDITIES = { 3600: '1 hour', 86400: '1 day', 604800: '7 days' } as const;

interface TarLinesProps {
  readonly datasetId: string;
  /** The state that the lines download. */
  readonly digest: string;
  /** The folder of datasets on the training machine. */
  readonly root: string;
}

/** Makes lines that mount a READY dataset on a machine without Node. Give it a key with the digest: a link is of one state. */
function TarLines({ datasetId, digest, root }: TarLinesProps) {
  const client = useClient();
  const [seconds, setSeconds] = useState(3600);
  const { failure, isBusy, run } = useRequesting();
  const [link, setLink] = useState<TarLink>();
  const make = async () => {
    setLink(undefined);
    setLink(await client.tarLink(datasetId, { digest, seconds }));
  };
  const commands = link && tarCommands(link, root);
  return (
    <div className="flex flex-col gap-3">
      <div className="flex flex-wrap items-center gap-3">
        <Choices label="Valid for" options={VALIDITIES} value={seconds} onChange={setSeconds} />
        <Button disabled={isBusy} onClick={() => void run(make)}>
          Create a link
        </Button>
      </div>
      <Alert>{failure}</Alert>
      {link !== undefined && commands !== undefined && (
        <>
          <p role="status" className="text-sm text-muted">
            Each holder of the link can download this version of the dataset
            {link.links !== undefined && ', with its controls and its mask,'} until {momentOf(dateOf(link.expires_at))}.
          </p>
          <p className="text-sm text-muted">Download, check and mount, with curl, tar and sha256sum:</p>
          <CopyLine text={commands.mount} what="the command that mounts without Node" />
          <p className="text-sm text-muted">Or download and unpack, then compare every file with its SHA-256:</p>
          <CopyLine text={commands.unpack} what="the command that unpacks the dataset" />
          <CopyLine text={commands.verify} what="the command that checks the files" />
        </>
      )}
    </div>
  );
}

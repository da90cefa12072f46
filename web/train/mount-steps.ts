import type { DatasetWithFiles } from '../../src/client/client.js';
import { installLine, shellWord } from '../../src/command-line.js';
import { type MediaChoice, needsGroupFolders } from '../../src/dataset/train/training-dataset.js';

/** A step on the training machine. */
export interface MountStep {
  readonly title: string;
  /** For a POSIX shell. */
  readonly line: string;
  /** A noun phrase for the label of the copy button. */
  readonly what: string;
}

interface MountStepsOptions {
  /** Without a slash at its end. */
  readonly serviceUrl: string;
  /** The folder of datasets on the training machine. */
  readonly root: string;
  /** Mounts the images or the clips alone. */
  readonly only: MediaChoice | undefined;
  /** With it, exactly these files are mounted, even if the dataset has changed since. */
  readonly digest: string | undefined;
}

/** The steps that mount a dataset on a machine with Node. */
export function mountSteps(
  { id, name, groups }: Pick<DatasetWithFiles, 'id' | 'name' | 'groups'>,
  { serviceUrl, root, only, digest }: MountStepsOptions,
): readonly MountStep[] {
  const mount = [
    // The command would parse a name that begins with a dash as an option.
    ...['trainyard', 'mount', name.startsWith('-') ? id : name, '--into', root],
    ...(needsGroupFolders({ groups }) ? ['--layout', 'kohya'] : []),
    ...(only === undefined ? [] : ['--only', only]),
    ...(digest === undefined ? [] : ['--digest', digest]),
  ];
  return [
    { title: 'Install the command', line: installLine(serviceUrl), what: 'the line that installs the command' },
    { title: 'Sign in', line: `trainyard login ${shellWord(serviceUrl)}`, what: 'the line that signs in' },
    {
      title: 'Mount exactly these files',
      line: mount.map(shellWord).join(' '),
      what: 'the line that mounts the dataset',
    },
  ];
}

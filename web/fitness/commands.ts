import type { Dataset } from '../../src/client/client.js';

/** The folder of datasets in the trainer's container image (ai-toolkit `docker/`). Elsewhere, the user edits it. */
const MOUNT_ROOT = '/workspace/datasets';

export interface Command {
  readonly text: string;
  /** A noun phrase for the label of the copy button. */
  readonly what: string;
}

/** Commands that mount a dataset for the trainer, quoted for a POSIX shell. */
export function commandsFor(dataset: Pick<Dataset, 'id' | 'name'>, digest: string | undefined): Command[] {
  const name = quotedNameOf(dataset);
  const mount = `npx trainyard mount ${name} --into ${MOUNT_ROOT}`;
  return [
    { text: mount, what: 'the command that mounts the dataset' },
    ...(digest === undefined
      ? []
      : [{ text: `${mount} --digest ${digest}`, what: 'the command that mounts exactly this version' }]),
    {
      text: `npx trainyard mount-config ${name} --into ${MOUNT_ROOT}`,
      what: "the command that prints the job's settings",
    },
  ];
}

/** Dataset names contain letters, digits, spaces, dots, dashes and underscores only, so never a quote. */
function quotedNameOf({ id, name }: Pick<Dataset, 'id' | 'name'>): string {
  // The command would parse such a name as an option.
  if (name.startsWith('-')) return id;
  return /^[A-Za-z0-9._-]+$/.test(name) ? name : `'${name}'`;
}

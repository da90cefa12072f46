import type { Dataset } from '../../src/client/client.js';

/** Where the trainer's datasets are in its own container image (ai-toolkit `docker/`); a person changes it to theirs. */
const ROOT = '/workspace/datasets';

export interface Command {
  readonly text: string;
  readonly what: string;
}

/** The lines that bring a dataset to a trainer, ready to be pasted into a POSIX shell. */
export function commandsFor(dataset: Pick<Dataset, 'id' | 'name'>, digest: string | undefined): Command[] {
  const name = quotedFor(dataset);
  const mount = `npx trainyard mount ${name} --into ${ROOT}`;
  return [
    { text: mount, what: 'the command that mounts it' },
    ...(digest === undefined
      ? []
      : [{ text: `${mount} --digest ${digest}`, what: 'the command that mounts exactly this state of it' }]),
    { text: `npx trainyard mount-config ${name} --into ${ROOT}`, what: "the command that prints the job's settings" },
  ];
}

/** Names have letters, digits, spaces, dots, dashes and underscores only, so that quotes are never within. */
function quotedFor({ id, name }: Pick<Dataset, 'id' | 'name'>): string {
  // An option to any command, but the id means the same dataset.
  if (name.startsWith('-')) return id;
  return /^[A-Za-z0-9._-]+$/.test(name) ? name : `'${name}'`;
}

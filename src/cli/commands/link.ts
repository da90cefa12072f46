import { type Command, Option } from 'commander';
import type { TarLink } from '../../client/client.js';
import { isLoopback, tarCommands } from '../../command-line.js';
import { linksIn, slotText } from '../../dataset/pairs/roles.js';
import { revisionArgument, secondsIn } from '../arguments.js';
import { type Call, onDataset } from '../remote.js';
import type { Output } from '../terminal/print.js';
import { counted, formatBytes, minuteOf, printable } from '../terminal/text.js';

interface Options {
  readonly into: string;
  readonly expires: number;
  readonly digest?: string;
  readonly revision?: number;
}

/** The folder of datasets in the images of GPU clouds and of ai-toolkit. */
const ROOT = '/workspace/datasets';
const MAX_DAYS = 7;

const HELP = `
For a machine without Node: the lines need curl (or wget, for the script), tar and sha256sum. Each holder of the link can download
the dataset in the state it has now, until the link expires or your token does; revoking the token ends it too. A dataset with
controls and a mask comes with these, each in its folder, all in the state of the same moment.

In a script, write "set -o pipefail" (bash) before the first line: otherwise its exit code is that of tar alone.

Examples:
  $ trainyard link railway
  $ trainyard link railway --into /app/ai-toolkit/datasets --expires 7d
  $ trainyard link railway --digest 3f9a…            exactly these files; --revision 12 names them by number
  $ ssh gpu "$(trainyard link railway --json | jq -r .commands.mount)"`;

/** `trainyard link` */
export function addLinkCommand(program: Command): void {
  const command = program
    .command('link')
    .description('Print the lines that download a READY dataset on a machine without Node.')
    .argument('<name>', 'the name or ID of the dataset')
    .option('--into <root>', 'the folder on that machine in which the dataset becomes a folder', ROOT)
    .addOption(
      new Option('--expires <duration>', `how long the link is valid: 1h, 90m, up to ${MAX_DAYS}d`)
        .argParser((text) => secondsIn(text, { maxDays: MAX_DAYS }))
        .default(3600, '1h'),
    )
    .addOption(
      new Option('--digest <sha256>', 'these files: the latest, or an earlier state that is kept').conflicts(
        'revision',
      ),
    )
    .addOption(new Option('--revision <number>', 'an earlier revision').argParser(revisionArgument));
  onDataset(command, HELP, link);
}

async function link({ id }: { id: string }, { client, options, signal }: Call<Options>): Promise<Output> {
  const { digest, revision, expires: seconds, into } = options;
  const found = await client.tarLink(id, { digest, revision, seconds, signal });
  const commands = tarCommands(found, into);
  return { lines: linesOf(found, commands), document: { ...found, commands } };
}

const FOR_OTHERS =
  'For other machines, start the service with --host 0.0.0.0 (or --public-url), log in at the address that it prints, and link again.';

function linesOf(link: TarLink, { unpack, verify, mount }: ReturnType<typeof tarCommands>): string[] {
  const content = `${counted(link.files, 'file')}, ${formatBytes(link.bytes)}, digest ${link.digest.slice(0, 12)}`;
  const linked = linksIn(link.links).map(({ slot, name }) => `${slotText(slot)} ${printable(name)}`);
  const names = [printable(link.name), ...(linked.length > 0 ? [`with ${linked.join(', ')}`] : [])].join(' ');
  const isLocal = isLoopback(link.url);
  return [
    `${names}: ${content}. The link is valid without a token until ${minuteOf(link.expires_at)} UTC.`,
    ...(isLocal ? [`Only this machine can open ${new URL(link.url).origin}. ${FOR_OTHERS}`] : []),
    '',
    'Download and unpack:',
    unpack,
    '',
    'Then compare each file with its SHA-256:',
    verify,
    '',
    'Or both, into place only if complete, and with an earlier mount replaced:',
    mount,
  ];
}

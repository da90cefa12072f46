import { randomUUID } from 'node:crypto';
import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { TABLE_EXTENSIONS } from '../../dataset/import/caption-table.js';
import {
  groupsToSave,
  isHiddenPath,
  type KohyaGroup,
  kohyaGroupsOf,
  kohyaOf,
  lastPartOf,
  topFolderOf,
} from '../../dataset/import/entry-paths.js';
import { type FoundFile, type ImportChoices, type ImportSurvey, surveyEntries } from '../../dataset/import/survey.js';
import { extensionOf, stemOf } from '../../dataset/media.js';
import { pairFoldersOf } from '../../dataset/pairs/pair-folders.js';
import { concurrencyOption, notBlank, roleOption } from '../arguments.js';
import { FileInspector } from '../folder/inspect-files.js';
import type { FolderContents } from '../folder/read-folder.js';
import { firstLines } from '../folder/report.js';
import { importContents, readSource, type SourceEntry } from '../import/read-source.js';
import { type PushReport, dryRunDocument, pushOnce } from '../push/push.js';
import { type PushFlags, type PushPlan, type PushTask, datasetNameFor, pushTaskFrom } from '../push/plan.js';
import { type Call, clientFrom, explainMissingRoute, onService } from '../remote.js';
import { CommandError, EXIT } from '../terminal/exit-codes.js';
import { printMessage } from '../terminal/print.js';
import { counted, formatBytes, printable } from '../terminal/text.js';
import { canAsk, confirms } from '../terminal/prompts.js';

const HELP = `
SOURCE is a zip, or a folder with all that is in it: flat, nested, kohya's folders ("10_red wagon"), or files with a table of
captions: metadata.jsonl or .csv (Hugging Face), another .jsonl (musubi), captions.json (diffusion-pipe). Captions may also end in
.caption, .cap or .tags. Names of files in folders become flat; where two would be the same, the folder is put before the name.
A table alone, or a zip of captions, is for the files that the dataset has, by their names.

The command first shows what comes in, what is left out and why, which columns of a table it reads, and what changes. On a
terminal it asks before it writes. A file that the dataset has with other bytes is a conflict, as in "push". Run again after ctrl-C,
it sends only what is missing. All of it is one revision, which "trainyard undo" takes back.

Examples:
  $ trainyard import wagons.zip                          becomes the dataset "wagons"
  $ trainyard import kohya --dry-run                     shows what would come in, and changes nothing
  $ trainyard import photos.csv                          captions the files of the dataset "photos"
  $ trainyard import hf-export --caption-column short    takes captions from this column of a table
  $ trainyard import wagons.zip said --captions .caption  sentences of .caption files before tags of .txt files
  $ trainyard import wagons.zip photos --ours            in conflicts, replaces the dataset's version

Exit codes are those of "push": 0 the dataset is READY, 1 it is FAILED, 65 nothing was sent because of errors, 66 no files found,
69 or 75 the service is unavailable, 73 there are conflicts, 74 a file could not be read or sent, 130 interrupted by ctrl-C.`;

type ImportFlags = Omit<PushFlags, 'name'> & ImportChoices;

/** `trainyard import` */
export function addImportCommand(program: Command): void {
  const command = program
    .command('import')
    .description('Bring a zip or a folder of another program into a dataset.')
    .argument('<source>', 'a zip, a folder, or a table of captions')
    .argument('[name]', 'name or ID of the dataset (default: the name of the source)')
    .addOption(roleOption('the role of a new dataset: training (default), control or mask'))
    .option('--dry-run', 'show what would be done, and change nothing')
    .option('--yes', 'do not ask on a terminal')
    .option('--captions <source>', 'take captions from this extension or table first, such as .caption', notBlank)
    .option('--file-column <name>', 'the column of a table that names the files', notBlank)
    .option('--caption-column <name>', 'the column of a table that has the captions', notBlank)
    .addOption(new Option('--ours', "in conflicts, replace the dataset's version").conflicts('theirs'))
    .addOption(new Option('--theirs', "in conflicts, keep the dataset's version"))
    .option('--follow', 'follow links that lead out of the folder')
    .option('--skip-bad', 'leave out files with errors, and media without a caption')
    .option('--allow-uncaptioned', 'send media without a caption, to caption them later')
    .option('--trigger <word>', 'use this word as the caption of media that have none', notBlank)
    .option('--caption-all <text>', 'use this text as the caption of media that have none', notBlank)
    .addOption(concurrencyOption('files sent at a time, 1 to 64 (default: 4)'))
    .option('--no-wait', 'do not wait for READY after the last file');
  onService(command, HELP, importSource);
}

async function importSource(
  { options: flags, signal, display }: Call<ImportFlags>,
  source: string,
  given: string | undefined,
): Promise<undefined> {
  // All changes of one import are one revision of the dataset.
  const client = clientFrom(flags, { change: { how: 'push', id: randomUUID() } });
  const tools = { client, inspector: new FileInspector(), display, signal };
  const temporary = await mkdtemp(join(tmpdir(), 'trainyard-import-'));
  try {
    const entries = await readSource(source, { temporary, follow: flags.follow === true, signal });
    const name = importNameFor(source, given);
    requireNoPairs(entries, source);
    const found = await client.find(name, { signal });
    const present = found === undefined ? [] : (await client.status(found.id, { signal })).files;
    const survey = await surveyEntries(entries, { choices: flags, known: present.map(({ filename }) => filename) });
    requireChoices(survey, { source, flags });
    const { files, contents } = await importContents(survey, temporary);
    if (files.length === 0) throw nothingFound(source, name, contents);
    const preview: ImportPreview = { survey, files, groups: kohyaGroupsOf(files) };
    const base = await pushTaskFrom(flags, { paths: [source], name, role: flags.role, tools });
    const task: PushTask = {
      ...base,
      contents,
      // What the source does not have stays in the dataset.
      isWholeFolder: false,
      // Not what a push of the folder remembers: names of the dataset are not those of files in the folder.
      pair: { url: `${base.pair.url} import`, folders: [await realpath(source)] },
    };
    await pushOnce(task, {
      lines: previewLines(preview),
      document: (plan) => previewDocument(preview, plan),
      agree: (plan) => requireConsent(plan, preview),
      finish: (report) => saveGroups(report, preview),
    });
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

/** `wagons` for `wagons.zip` and for a folder `10_wagons`. */
function importNameFor(source: string, given: string | undefined): string {
  const own = basename(resolve(source));
  const name = ['.zip', ...TABLE_EXTENSIONS].includes(extensionOf(own)) ? stemOf(own) : own;
  return datasetNameFor(given, kohyaOf(name)?.name ?? name);
}

/** What an import has read from a source. */
interface ImportPreview {
  readonly survey: ImportSurvey<SourceEntry>;
  /** Under their names in the dataset. */
  readonly files: readonly FoundFile<SourceEntry>[];
  readonly groups: readonly KohyaGroup[];
}

function nothingFound(source: string, name: string, { skipped }: FolderContents): CommandError {
  const reasons = skipped.map(({ message }) => `- ${message}`);
  const message = `${printable(source)}: no image, video or caption found for "${printable(name)}".`;
  const lines = [message, ...firstLines(reasons, 'entry left out', 'entries left out')];
  return new CommandError(EXIT.noInput, lines.join('\n'));
}

/** @throws CommandError with 64 for a choice that the source does not have */
function requireChoices(
  { captionSources, tables }: ImportSurvey<SourceEntry>,
  { source, flags }: { source: string; flags: ImportFlags },
): void {
  const columns = [...new Set(tables.flatMap((table) => table.columns))];
  const sources = captionSources.map(({ name }) => name);
  const choices = [
    ['captions', flags.captions, sources],
    ['column', flags.fileColumn, columns],
    ['column', flags.captionColumn, columns],
  ] as const;
  for (const [what, chosen, known] of choices) {
    if (chosen === undefined || known.includes(chosen)) continue;
    const has = known.length === 0 ? 'none' : known.map(printable).join(', ');
    throw new CommandError(EXIT.usage, `${printable(source)} has no ${what} ${printable(chosen)}. It has: ${has}.`);
  }
}

function requireNoPairs(entries: readonly SourceEntry[], source: string): void {
  const shown = entries.filter(({ path }) => !isHiddenPath(path));
  const root = topFolderOf(shown);
  const start = root === '' ? 0 : root.length + 1;
  const folders = new Set(
    shown.map(({ path }) => path.slice(start).split('/')).flatMap(([top, ...rest]) => (rest.length > 0 ? top! : [])),
  );
  if (pairFoldersOf([...folders]) === undefined) return;
  const message = `${printable(source)} has folders of targets, controls or masks, which become linked datasets. Unpack it if it is a zip, and run: trainyard push FOLDER --pairs`;
  throw new CommandError(EXIT.dataError, message);
}

/** Keeps the repeats of the files that are in the dataset now, or soon. */
async function saveGroups({ plan, dataset, result }: PushReport, { groups }: ImportPreview): Promise<void> {
  const { client, signal } = plan.task;
  const sent = new Set([...result.stored, ...result.unchanged]);
  for (const { name, change } of groupsToSave(groups, dataset)) {
    const add = change.add.filter((filename) => sent.has(filename));
    if (add.length === 0) continue;
    const saved = client.groups.save(dataset.id, name, { ...change, add }, { signal });
    await saved.catch(explainMissingRoute).catch((error) => {
      // The files are there, and another service keeps no repeats.
      if (!(error instanceof CommandError)) throw error;
      printMessage(`the repeats of "${printable(name)}" were not kept: ${error.message}`);
    });
  }
}

/** The decisions that a person may want to change, before anything is written. */
function previewLines({ survey, files, groups }: ImportPreview): string[] {
  const { tables, captionSources, severalSources } = survey;
  const [first, ...others] = captionSources;
  const columns = tables.map(({ path, columns, fileColumn, captionColumn, used, severalCaptions }) => {
    const unused = columns.filter((column) => column !== fileColumn && column !== captionColumn);
    const rest = unused.length === 0 ? '' : `; not used: ${unused.map(printable).join(', ')}`;
    const first =
      severalCaptions === 0 ? '' : ` ${counted(severalCaptions, 'row')} with several captions: the first is taken.`;
    const from = `files from "${printable(fileColumn)}", captions from "${printable(captionColumn)}"`;
    return `${printable(path)}: ${counted(used, 'caption')}; ${from}${rest}.${first}`;
  });
  const several = counted(severalSources, 'file has', 'files have');
  const choice = others.map(({ name }) => `--captions ${printable(name)}`).join(' or ');
  const sources =
    severalSources === 0 || first === undefined
      ? []
      : [
          `${several} several captions: those of ${printable(first.name)} are taken first. To change that, add ${choice}.`,
        ];
  const renamed = renamedIn(files).map(({ from, to }) => `${printable(from)} becomes ${printable(to)}`);
  const repeats = groups.map(({ name, files: members, ...group }) => {
    const kind = group.is_reg ? ', for regularization' : '';
    return `Group "${printable(name)}": ${counted(members.length, 'file')}, ${counted(group.repeats, 'repeat')}${kind}.`;
  });
  return [
    ...columns,
    ...sources,
    ...firstLines(renamed, 'file that gets another name', 'files that get another name'),
    ...repeats,
  ];
}

/** The same for `--json`. */
function previewDocument({ survey, files, groups }: ImportPreview, { report }: PushPlan) {
  return {
    tables: survey.tables.map((table) => ({
      path: table.path,
      columns: table.columns,
      file_column: table.fileColumn,
      caption_column: table.captionColumn,
      captions: table.used,
    })),
    caption_sources: survey.captionSources,
    renamed: renamedIn(files),
    groups,
    skipped: report.skipped,
  };
}

/** The files whose name is not that of their entry, as `evening/1.jpg becomes evening_1.jpg`. */
function renamedIn(files: readonly FoundFile<SourceEntry>[]): { from: string; to: string }[] {
  return files.flatMap(({ name, path, content }) =>
    'text' in content || lastPartOf(path).normalize('NFC') === name ? [] : [{ from: path, to: name }],
  );
}

/** Asks on a terminal, unless nothing is to be written. @throws CommandError with 65 if the answer is no */
async function requireConsent(plan: PushPlan, { groups }: ImportPreview): Promise<void> {
  const { task, dataset, toSend } = plan;
  const isGrouping = dataset !== undefined && groupsToSave(groups, dataset).length > 0;
  if ((toSend.length === 0 && !isGrouping) || task.flags.yes || task.flags.json || !canAsk()) return;
  const into = `${dataset === undefined ? 'the new dataset ' : ''}"${printable(task.name)}"`;
  const files = `Import ${counted(toSend.length, 'file')}, ${formatBytes(dryRunDocument(plan).send_bytes)}, into ${into}?`;
  const question = toSend.length > 0 ? files : `Put files of ${into} into groups?`;
  if (await confirms(question, task.signal)) return;
  throw new CommandError(EXIT.dataError, 'nothing was imported.');
}

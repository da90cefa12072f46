import { randomUUID } from 'node:crypto';
import { type Command, Option } from 'commander';
import { MAX_BATCH_FILES } from '../../api/limits.js';
import { slicesOf } from '../../client/calls.js';
import type { CaptionProposal, CaptionRun, Dataset, TrainyardClient } from '../../client/client.js';
import { sleep } from '../../client/retry.js';
import { shellWord } from '../../command-line.js';
import { runCountsText } from '../../dataset/captioning/outcomes.js';
import { collect, numberIn } from '../arguments.js';
import { firstLines } from '../folder/report.js';
import { type Call, clientFrom, onDataset } from '../remote.js';
import { CommandError, EXIT } from '../terminal/exit-codes.js';
import { type Output, painterOf, print, tableLines, withOwnCommand } from '../terminal/print.js';
import { bar, percent } from '../terminal/progress.js';
import { isConfirmed } from '../terminal/prompts.js';
import { counted, minuteOf, printable } from '../terminal/text.js';
import { wordLines } from '../terminal/word-lines.js';

const POLL_MS = 1000;

const CAPTION_HELP = `
Examples:
  $ trainyard caption wagons --dry-run                       how many files have no caption, and who wrote the others
  $ trainyard caption wagons --missing --endpoint local --wait
  $ trainyard caption wagons --all --preset tags --trigger p3nny
  $ trainyard caption wagons --prompt "Describe the wagon in {caption} with its colour."
  $ trainyard caption wagons --stop

The operator of the service names the endpoints. Files without a caption get one, all of a run as one revision. Where a
caption stands, it stays, and the text of the model is a proposal: see "trainyard proposals". The run goes on in the
service: ctrl-C ends only the wait.

Exit codes with --wait: 0 all files have an answer, 74 some have none, 75 the run was stopped.`;

const PROPOSALS_HELP = `
Examples:
  $ trainyard proposals wagons                        lists them, with the words that differ
  $ trainyard proposals wagons red.jpg --accept
  $ trainyard proposals wagons --dismiss --yes        all of them

[-removed-] {+added+}. A caption that was changed since the model was asked is not replaced: its proposal is "outdated", and
the exit code is 73. An answer that was cut off is accepted only by name. The page shows proposals beside their pictures.`;

interface CaptionOptions {
  readonly all?: true;
  readonly byModel?: true;
  readonly endpoint?: string;
  readonly preset?: string;
  readonly prompt?: string;
  readonly trigger?: string;
  readonly leaveOut?: readonly string[];
  readonly frames?: number;
  readonly maxTokens?: number;
  readonly seed?: number;
  readonly dryRun?: true;
  readonly stop?: true;
  readonly runs?: true;
  readonly wait?: true;
}

/** `trainyard caption|proposals` */
export function addCaptionCommands(program: Command): void {
  const command = (name: string, description: string) =>
    program.command(name).description(description).argument('<dataset>', 'its name or ID');
  const which = (flag: string, help: string, ...others: string[]) => new Option(flag, help).conflicts(others);
  const caption = command('caption', 'Have a model write captions.')
    .addOption(which('--missing', 'images and clips without a caption (default)', 'byModel', 'all'))
    .addOption(which('--by-model', 'those whose caption a model wrote', 'missing', 'all'))
    .addOption(which('--all', 'all images and clips', 'missing', 'byModel'))
    .option('--endpoint <name>', 'a model server that the operator has named (default: the first)')
    .option('--preset <name>', 'tags, sentence, paragraph, clip, or one of yours (default: sentence)')
    .addOption(which('--prompt <text>', 'instead of a preset; may use {caption} {tags} {name} {trigger}', 'preset'))
    .option('--trigger <word>', 'put in front of each text that does not have it')
    .option('--leave-out <word>', 'what is not mentioned; repeatable', collect<string>)
    .option('--frames <number>', 'frames of a clip (default: 8)', numberIn({ min: 1, max: 32 }))
    .option('--max-tokens <number>', 'the length of an answer (default: 400)', numberIn({ min: 16, max: 32_768 }))
    .option('--seed <number>', 'another one asks the same question anew', numberIn({ min: 0, max: 2_147_483_647 }))
    .option('--dry-run', 'only count')
    .option('--stop', 'stop the runs of the dataset; what is written stays')
    .option('--runs', 'list the runs of the dataset, newest first, with what became of their files')
    .option('--wait', 'until all files have an answer');
  onDataset(caption, CAPTION_HELP, captionDataset);
  const proposals = command('proposals', 'List what models propose in place of captions; accept or dismiss it.')
    .argument('[file...]', 'only of these images and clips')
    .addOption(which('--accept', 'replace the captions', 'dismiss'))
    .addOption(which('--dismiss', 'keep the captions', 'accept'))
    .option('--yes', 'do not ask for confirmation');
  onDataset(proposals, PROPOSALS_HELP, decideProposals);
}

async function captionDataset(dataset: Dataset, call: Call<CaptionOptions>): Promise<Output> {
  const { client, options, signal } = call;
  if (options.stop) return stopRuns(dataset, call);
  if (options.runs) {
    const runs = await client.captioning.runs(dataset.id, { signal });
    return { document: { runs }, lines: tableLines(runs, 'No model has captioned this dataset.', RUN_COLUMNS) };
  }
  const { endpoint, preset, prompt, trigger, frames, maxTokens, seed, leaveOut } = options;
  const request = {
    ...{ endpoint, preset, prompt, trigger, frames, max_tokens: maxTokens, seed },
    ...(leaveOut !== undefined && { leave_out: [...leaveOut] }),
    files: options.all ? ('all' as const) : options.byModel ? ('model' as const) : ('missing' as const),
  };
  if (options.dryRun) {
    const plan = await client.captioning.plan(dataset.id, request, { signal });
    return { document: plan, lines: [printable(plan.summary)] };
  }
  const started = await client.captioning.start(dataset.id, request, { signal });
  const { run } = started;
  if (run === null) return { document: started, lines: ['No file is left to caption.'] };
  if (!options.wait) {
    return { document: started, lines: [`${printable(run.model)} captions ${counted(run.total, 'file')}.`] };
  }
  const ended = await endOf(call, run);
  call.display.clear();
  const { counts, problems = [], reason } = ended;
  if (ended.state === 'stopped') process.exitCode = EXIT.temporaryFailure;
  else if (counts.failed > 0) process.exitCode = EXIT.ioError;
  const paint = painterOf(process.stderr);
  const failed = problems.map(({ filename, message }) => `! ${printable(filename)}: ${printable(message)}`);
  if (!options.json) for (const line of firstLines(failed, 'file')) print(paint('yellow', line), process.stderr);
  const summary = `${counted(counts.applied, 'caption')}, ${counted(counts.proposed, 'proposal')}, ${counts.failed} failed`;
  const stopped = ended.state === 'stopped' ? [printable(`The run was stopped. ${reason ?? ''}`.trim())] : [];
  return { document: { ...started, run: ended }, lines: [`${summary}.`, ...stopped, ...nextLines(dataset, ended)] };
}

const RUN_COLUMNS = {
  'started (utc)': ({ started_at }: CaptionRun) => minuteOf(started_at),
  model: ({ model }: CaptionRun) => model,
  prompt: ({ preset }: CaptionRun) => preset ?? 'its own',
  state: ({ state }: CaptionRun) => state,
  outcomes: ({ counts }: CaptionRun) => runCountsText(counts),
};

/** What a person may run next. */
function nextLines({ name }: Dataset, { revision, counts: { proposed } }: CaptionRun): string[] {
  const dataset = shellWord(printable(name));
  return [
    ...(revision === null ? [] : [`To take the captions back, run: trainyard undo ${dataset} ${revision}`]),
    ...(proposed === 0 ? [] : [`To see the proposals, run: trainyard proposals ${dataset}`]),
  ].map((line) => withOwnCommand(line));
}

async function endOf(
  { client, display, signal }: Call,
  { id, dataset_id: datasetId }: CaptionRun,
): Promise<CaptionRun> {
  for (;;) {
    const run = await client.captioning.run(datasetId, id, { signal });
    if (run.state === 'done' || run.state === 'stopped') return run;
    const done = run.total - run.counts.waiting;
    const busy = run.busy_until === null ? '' : ', the server is busy or loads the model';
    const files = `${done} of ${counted(run.total, 'file')}${busy}`;
    display.update(() => [`${bar(done, run.total)} ${percent(done, run.total)}  ${files}`]);
    await sleep(POLL_MS, signal);
  }
}

async function stopRuns({ id, name }: Dataset, { client, signal }: Call): Promise<Output> {
  const active = (await client.captioning.runs(id, { signal })).filter(({ state }) => state === 'running');
  const runs = await Promise.all(active.map((run) => client.captioning.stop(id, run.id, { signal })));
  const stopped = `Stopped ${counted(runs.length, 'run')} of "${printable(name)}".`;
  return { document: { runs }, lines: [runs.length === 0 ? 'No run of this dataset is active.' : stopped] };
}

async function decideProposals(
  dataset: Dataset,
  { client, options, signal }: Call<{ accept?: true; dismiss?: true; yes?: true }>,
  names: readonly string[],
): Promise<Output> {
  const { accept, dismiss } = options;
  const open = await openProposals(client, dataset, { names, signal });
  const proposals = accept && names.length === 0 ? open.filter((each) => !each.cut_off) : open;
  const cutOff = counted(open.length - proposals.length, 'proposal was', 'proposals were');
  const left = open.length > proposals.length ? [`${cutOff} cut off. To accept one as it is, name its file.`] : [];
  if (proposals.length === 0)
    return { document: { proposals }, lines: [left[0] ?? 'No proposal waits for a decision.'] };
  if (!accept && !dismiss) return listed(dataset, proposals, { client, signal });
  const verb = accept ? 'Accept' : 'Dismiss';
  const question = `${verb} ${counted(proposals.length, 'proposal')} of "${printable(dataset.name)}"?`;
  const isAgreed = names.length > 0 || (await isConfirmed(options, { what: 'to decide about all', question, signal }));
  if (!isAgreed) return { document: { accepted: [], dismissed: [] }, lines: ['Nothing was changed.'] };
  // All of one command are one revision.
  const { captioning } = clientFrom(options, { change: { how: 'edit', id: randomUUID() } });
  const answers = [];
  for (const ids of slicesOf(proposals.map(({ id }) => id))) {
    const decisions = accept ? { accept: ids.map((id) => ({ id })) } : { dismiss: ids };
    answers.push(await captioning.decide(dataset.id, decisions, { signal }));
  }
  const accepted = answers.flatMap((answer) => answer.accepted);
  const dismissed = answers.flatMap((answer) => answer.dismissed);
  const failed = accepted.filter(({ outcome }) => outcome !== 'accepted');
  if (failed.length > 0) process.exitCode = EXIT.cannotCreate;
  const nameOf = new Map(proposals.map(({ id, filename }) => [id, filename]));
  const revision = answers.flatMap((answer) => answer.revision ?? []).at(-1);
  const decided = counted(accepted.length - failed.length + dismissed.length, 'proposal');
  const done = `${verb}ed ${decided}${revision === undefined ? '' : ` as revision ${revision}`}.`;
  const kept = failed.map(({ id, outcome }) => `! ${printable(nameOf.get(id) ?? id)}: ${outcome.replace('_', ' ')}`);
  return { document: { accepted, dismissed, revision }, lines: [done, ...left, ...firstLines(kept, 'file')] };
}

/** @throws CommandError with 66 if a named file has none */
async function openProposals(
  client: TrainyardClient,
  { id, name }: Dataset,
  { names, signal }: { names: readonly string[]; signal: AbortSignal },
): Promise<CaptionProposal[]> {
  const { proposals: found } = await client.captioning.proposals(id, { limit: MAX_BATCH_FILES }, { signal });
  const wanted = new Set(names.map((each) => each.normalize('NFC')));
  const proposals = names.length === 0 ? found : found.filter(({ filename }) => wanted.has(filename));
  const missing = [...wanted].find((each) => !proposals.some(({ filename }) => filename === each));
  if (missing === undefined) return proposals;
  throw new CommandError(EXIT.noInput, `no model proposes a caption for ${missing} in "${name}".`);
}

/** Each with the words in which it differs from the caption. */
async function listed(
  { id }: Dataset,
  proposals: readonly CaptionProposal[],
  { client, signal }: Pick<Call, 'client' | 'signal'>,
): Promise<Output> {
  const captions = proposals.filter(({ current_etag }) => current_etag !== null).map(({ caption }) => caption);
  const read = await client.bulk.captions(id, captions, { signal });
  const texts = new Map(read.map(({ filename, text }) => [filename, text ?? '']));
  const paint = painterOf(process.stdout);
  const lines = proposals.flatMap(({ filename, caption, text = '', model, outdated, cut_off }) => {
    const about = `by ${printable(model)}${outdated ? ', outdated' : ''}${cut_off ? ', cut off' : ''}`;
    const isSame = texts.get(caption) === text;
    const words = isSame ? [paint('dim', '    the same text')] : wordLines(texts.get(caption) ?? '', text, paint);
    return [`${paint('yellow', printable(filename))}  ${about}`, ...words];
  });
  return { document: { proposals }, lines };
}

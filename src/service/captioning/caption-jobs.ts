import { createHash } from 'node:crypto';
import type { ModelAnswer } from '../../dataset/captioning/answers.js';
import { withTrigger } from '../../dataset/captioning/clean.js';
import { CAPTION_OUTCOMES, type CaptionOutcome } from '../../dataset/captioning/outcomes.js';
import { promptOf, usesCaption } from '../../dataset/captioning/prompts.js';
import type { CaptionOrigin, Micros, StoredFile } from '../../dataset/dataset.js';
import { ServiceError } from '../../dataset/errors.js';
import { stemOf } from '../../dataset/media.js';
import type {
  CaptionRun,
  CaptionRuns,
  CaptionRunView,
  Proposal,
  ProposalChange,
} from '../../storage/catalog/captioning.js';
import { eventPayload } from '../../storage/catalog/webhooks/deliveries.js';
import type { CaptionResult, CaptionWrites } from '../bulk/caption-writes.js';
import type { ServiceDependencies } from '../dependencies.js';
import type { Downloads } from '../download/downloads.js';
import type { JobHandler } from '../jobs/job-runner.js';
import { messageId } from '../webhooks/announce-job.js';
import { NotShown, type PictureParts, shownOf } from './model-pictures.js';
import { type ModelServers, NotWanted } from './model-servers.js';

/** Files that are prepared while the models answer for others. */
const PREPARED = 2;

export interface CaptionJobParts extends Omit<PictureParts, 'blobs'> {
  readonly runs: CaptionRuns;
  readonly servers: ModelServers;
  readonly downloads: Downloads;
  readonly captionWrites: CaptionWrites;
  /** The run as the API has it. */
  readonly toWire: (run: CaptionRunView) => object;
}

export function originOf({ model, preset }: Pick<CaptionRun, 'model' | 'preset'>): CaptionOrigin {
  return { by: 'model', model, ...(preset !== null && { preset }) };
}

export function outcomeWords(outcome: CaptionOutcome, message = ''): string {
  const { words, advice } = CAPTION_OUTCOMES[outcome];
  const said = message === '' ? '' : ` ${message.replace(/[.\s]*$/, '.')}`;
  return `${words.charAt(0).toUpperCase()}${words.slice(1)}.${said} ${advice}`;
}

/** Asks a model about a file, whose id in a run is the key. */
export function captionFileJob(dependencies: ServiceDependencies, parts: CaptionJobParts): JobHandler {
  const { catalog, now } = dependencies;
  const { runs, servers } = parts;
  return {
    kind: 'caption-file',
    atOnce: servers.concurrency + PREPARED,
    run: async ({ key: id, accountId }, signal) => {
      const found = await runs.waiting(id);
      if (found === undefined) return 'done';
      const { file, run } = found;
      if (!servers.names.includes(run.endpoint)) {
        const reason = `The operator has removed the endpoint ${run.endpoint}. Start another run.`;
        await runs.stop(run.id, { now: now(), reason });
        return 'done';
      }
      const wait = async (busyUntil: Micros) => {
        await runs.markBusy(run, busyUntil);
        return { dueAt: busyUntil };
      };
      if (servers.busyUntil(run.endpoint) > now()) return wait(servers.busyUntil(run.endpoint));
      const named = { datasetId: run.dataset_id, filenames: [file.filename, file.caption] };
      const stored = new Map((await catalog.storedFiles(named)).map((each) => [each.filename, each]));
      const [medium, caption] = [stored.get(file.filename), stored.get(file.caption)];
      const isGone = medium === undefined || medium.upload.problem !== undefined;
      const asked = isGone
        ? { state: 'gone' as const }
        : await answerFor(dependencies, parts, { id, run, medium, caption, accountId, signal });
      if (asked === undefined) return { dueAt: now() };
      if ('busyUntil' in asked) return wait(asked.busyUntil);
      const { isReused = false, ...change } = asked;
      const reason = change.outcome ? outcomeWords(change.outcome, change.message ?? '') : '';
      await runs.record(file, change, { isReused, reason, now: now() });
      if (change.question) servers.recorded(change.question);
      return 'done';
    },
  };
}

interface FileToCaption {
  readonly id: string;
  readonly run: CaptionRun;
  readonly medium: StoredFile;
  readonly caption: StoredFile | undefined;
  readonly accountId: string;
  readonly signal: AbortSignal;
}

/** Asks, unless the answer to the same question is known. @returns `undefined` if it is known by now, or the run has ended */
async function answerFor(
  { blobs }: ServiceDependencies,
  { runs, servers, downloads, pool, ffmpeg }: CaptionJobParts,
  { id, run, medium, caption, accountId, signal }: FileToCaption,
): Promise<(ProposalChange & { isReused?: boolean }) | { busyUntil: number } | undefined> {
  const { trigger, leaveOut, frames, maxTokens, temperature, seed } = run.options;
  const texts = caption && usesCaption(run.prompt) ? await downloads.texts(accountId, [caption]) : undefined;
  const values = { name: stemOf(medium.filename), caption: (caption && texts?.get(caption)) ?? '', trigger };
  const prompt = promptOf(run.prompt, values, leaveOut);
  const endpoint = servers.endpoint(run.endpoint);
  const { name, longestSide, body, video } = endpoint;
  const options = [maxTokens, temperature, seed, frames, name, longestSide, body, video];
  const key = createHash('sha256')
    .update(JSON.stringify([accountId, medium.upload.sha256, run.model, prompt, options]))
    .digest('hex');
  const base = caption?.upload.sha256 ?? null;
  const known = await runs.answerTo(key);
  if (known?.answer != null) {
    return { ...stateOf({ base, outcome: known.outcome }), base, question: key, ...known, isReused: true };
  }
  try {
    const { note, ...shown } = await shownOf({ pool, ffmpeg, blobs }, medium, {
      endpoint,
      count: frames,
      accountId,
      signal,
    });
    const question = {
      ...shown,
      prompt: note === undefined ? prompt : `${note}\n\n${prompt}`,
      maxTokens,
      temperature,
      seed,
    };
    // Another run may have asked the same while the pictures were made.
    const isWanted = async () => (await runs.waiting(id)) !== undefined && (await runs.answerTo(key)) === undefined;
    const answer = await servers.ask({ endpoint: name, model: run.model, key }, question, {
      accountId,
      signal,
      isWanted,
    });
    return 'busyUntil' in answer ? answer : { ...changeOf(answer, base), question: key };
  } catch (error) {
    if (error instanceof NotWanted) return undefined;
    if (!(error instanceof NotShown)) throw error;
    return { state: 'failed', outcome: 'not_sent', message: error.message.slice(0, 500) };
  }
}

function changeOf(answer: ModelAnswer, base: string | null): ProposalChange {
  if (answer.text === undefined) return { state: 'failed', outcome: answer.outcome, message: answer.message };
  const outcome = answer.outcome ?? null;
  return { ...stateOf({ base, outcome }), base, answer: answer.text, outcome };
}

/** An answer that was cut off is never stored without a person. */
function stateOf({ base, outcome }: Pick<Proposal, 'base' | 'outcome'>): Pick<Proposal, 'state'> {
  return { state: base === null && outcome === null ? 'ready' : 'proposed' };
}

/** Stores the captions of a run that ends, whose id is the key, in one revision, and records its event. */
export function captionRunJob(
  { catalog, now, newId }: ServiceDependencies,
  { runs, captionWrites, toWire }: CaptionJobParts,
): JobHandler {
  return {
    kind: 'caption-run',
    atOnce: 2,
    run: async ({ key: id, accountId }, signal) => {
      const ending = await runs.ending(id);
      const datasetKey = { accountId, id: ending?.run.dataset_id ?? '' };
      const dataset = await catalog.record(datasetKey);
      if (ending === undefined || dataset === undefined) return 'done';
      const { run, ready } = ending;
      const captions = ready.map(({ caption: filename, answer }) => ({
        ...{ filename, text: withTrigger(answer ?? '', run.options.trigger) },
        ...{ condition: { ifNoneMatch: '*' as const }, origin: originOf(run) },
      }));
      const author = {
        tokenId: run.token_id,
        tokenName: `captions by ${run.model}`,
        how: 'caption',
        changeId: id,
      } as const;
      let reason: string | null = null;
      const changes = new Map<string, ProposalChange>();
      try {
        const saved =
          captions.length === 0 ? [] : (await captionWrites.save(datasetKey, captions, { author, signal })).captions;
        for (const [i, result] of saved.entries()) changes.set(ready[i]!.id, appliedOf(result, captions[i]!.text));
      } catch (error) {
        if (!(error instanceof ServiceError) || error.code !== 'quota_exceeded') throw error;
        reason = `The captions became proposals: ${error.message}`;
        for (const proposal of ready) changes.set(proposal.id, { state: 'proposed' });
      }
      const at = now();
      const event = (ended: CaptionRunView) => ({
        ...({ event: 'captions.finished', datasetId: run.dataset_id, at } as const),
        idFor: () => messageId(newId),
        payload: eventPayload('captions.finished', at, { id: dataset.id, name: dataset.name, run: toWire(ended) }),
      });
      await runs.finish(run, changes, { at, reason, event });
      return 'done';
    },
  };
}

/** A caption that a person has written meanwhile stays; after a crash, it may be the one that this run has stored. */
function appliedOf(result: CaptionResult, text: string): ProposalChange {
  if (result.outcome === 'saved') return { state: 'applied' };
  if (result.outcome === 'rejected') return { state: 'failed', outcome: 'rejected', message: result.problem.message };
  const base = result.current?.sha256 ?? null;
  const own = createHash('sha256').update(text).digest('hex');
  return base === own ? { state: 'applied' } : { state: 'proposed', base };
}

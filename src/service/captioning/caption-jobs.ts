import { createHash } from 'node:crypto';
import { MAX_CAPTION_TEXT_BYTES } from '../../api/limits.js';
import type { ModelAnswer } from '../../dataset/captioning/answers.js';
import { withTrigger } from '../../dataset/captioning/clean.js';
import { promptOf, usesCaption } from '../../dataset/captioning/prompts.js';
import { type CaptionOrigin, MICROS_PER_SECOND, type Micros, type StoredFile } from '../../dataset/dataset.js';
import { type ErrorCode, ServiceError } from '../../dataset/errors.js';
import { stemOf } from '../../dataset/media.js';
import type {
  CaptionRun,
  CaptionRuns,
  CaptionRunView,
  Proposal,
  ProposalChange,
} from '../../storage/catalog/captioning.js';
import { eventPayload } from '../../storage/catalog/webhooks.js';
import type { CaptionResult, CaptionWrites } from '../bulk.js';
import type { ServiceDependencies } from '../dependencies.js';
import type { Downloads } from '../download/downloads.js';
import type { JobEnd, JobHandler } from '../jobs/job-runner.js';
import { messageId } from '../webhooks/webhook-service.js';
import { NotShown, type PictureParts, shownOf } from './model-pictures.js';
import type { ModelServers } from './model-servers.js';

/** A run waits for a store that is back. */
const LONGEST_RETRY: Micros = 60 * MICROS_PER_SECOND;

/** Why captions can't be stored now or later. */
const LASTING: readonly ErrorCode[] = ['quota_exceeded', 'invalid_name', 'invalid_field'];

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

/** Asks a model about a file, whose id in a run is the key. */
export function captionFileJob(dependencies: ServiceDependencies, parts: CaptionJobParts): JobHandler {
  const { catalog, now } = dependencies;
  const { runs, servers } = parts;
  return {
    kind: 'caption-file',
    // An account that waits for a slow server leaves places for others.
    atOnce: servers.filesAtOnce * 4,
    ofAccount: servers.filesAtOnce,
    longestRetry: LONGEST_RETRY,
    run: async ({ key: id, accountId }, signal) => {
      const found = await runs.waiting(id);
      if (found === undefined) return 'done';
      const { file, run } = found;
      if (!servers.names.includes(run.endpoint)) {
        const reason = `The operator has removed the endpoint ${run.endpoint}. Start another run.`;
        await runs.stop(run.id, { now: now(), reason });
        return 'done';
      }
      const named = { datasetId: run.dataset_id, filenames: [file.filename, file.caption] };
      const stored = new Map((await catalog.storedFiles(named)).map((each) => [each.filename, each]));
      const [medium, caption] = [stored.get(file.filename), stored.get(file.caption)];
      if (medium === undefined || medium.upload.problem !== undefined) {
        await runs.record(file, { state: 'gone' }, now());
        return 'done';
      }
      return captionFile(dependencies, parts, { file, run, medium, caption, accountId, signal });
    },
  };
}

interface FileToCaption {
  readonly file: Proposal;
  readonly run: CaptionRun;
  readonly medium: StoredFile;
  readonly caption: StoredFile | undefined;
  readonly accountId: string;
  readonly signal: AbortSignal;
}

/** Asks, unless the answer to the same question is known, and records the answer. */
async function captionFile(
  { blobs, now }: ServiceDependencies,
  { runs, servers, downloads, pool, ffmpeg }: CaptionJobParts,
  { file, run, medium, caption, accountId, signal }: FileToCaption,
): Promise<JobEnd> {
  const { trigger, leaveOut, frames, maxTokens, seed } = run.options;
  const texts = caption && usesCaption(run.prompt) ? await downloads.texts(accountId, [caption]) : undefined;
  const values = { name: stemOf(medium.filename), caption: (caption && texts?.get(caption)) ?? '', trigger };
  const prompt = promptOf(run.prompt, values, leaveOut);
  const endpoint = servers.endpoint(run.endpoint);
  const { name, longestSide, body, video } = endpoint;
  const asked = [maxTokens, seed, frames, name, longestSide, body, video, run.model, prompt];
  const question = textDigestOf(JSON.stringify([accountId, medium.upload.sha256, ...asked]));
  const base = caption?.upload.sha256 ?? null;
  const record = async (change: ProposalChange): Promise<JobEnd> => {
    await runs.record(file, { ...change, base, question }, now());
    return 'done';
  };
  const end = await servers.withFile(name, { question, accountId, signal }, async () => {
    const known = await runs.answerTo(question);
    if (known !== undefined) return record({ ...stateOf({ base, ...known }), ...known });
    const options = { endpoint, count: frames, accountId, signal };
    const shown = await shownOf({ pool, ffmpeg, blobs }, medium, options).catch((error) => {
      if (error instanceof NotShown) return error;
      throw error;
    });
    if (shown instanceof NotShown) return record({ state: 'failed', outcome: 'not_sent', message: shown.message });
    const { note, ...pictures } = shown;
    const text = note === undefined ? prompt : `${note}\n\n${prompt}`;
    return servers.inTurn(name, { accountId, signal }, async () => {
      // Meanwhile the run may have ended.
      if ((await runs.waiting(file.id)) === undefined) return 'done';
      const asked = { ...pictures, prompt: text, maxTokens, seed };
      const answer = await servers.ask(name, run.model, asked, signal);
      if (!('busyUntil' in answer)) return record(changeOf(answer, { base, trigger }));
      await runs.markBusy(run, answer.busyUntil);
      return { dueAt: answer.busyUntil };
    });
  });
  return end ?? { dueAt: now() + MICROS_PER_SECOND };
}

function changeOf(answer: ModelAnswer, { base, trigger }: { base: string | null; trigger: string }): ProposalChange {
  const { text, outcome = null } = answer;
  if (text === undefined) return { state: 'failed', outcome, message: answer.message };
  if (Buffer.byteLength(withTrigger(text, trigger)) > MAX_CAPTION_TEXT_BYTES) {
    return { state: 'failed', outcome: 'rejected', message: `It has more than ${MAX_CAPTION_TEXT_BYTES} bytes.` };
  }
  return { ...stateOf({ base, outcome }), answer: text, outcome };
}

export function textDigestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
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
    longestRetry: LONGEST_RETRY,
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
        // What a later attempt may save is tried again.
        if (!(error instanceof ServiceError) || !LASTING.includes(error.code)) throw error;
        reason = `The captions became proposals: ${error.message}`;
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
  return base === textDigestOf(text) ? { state: 'applied' } : { state: 'proposed', base };
}

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { MAX_CAPTION_TEXT_BYTES } from '../../api/limits.js';
import type { ModelAnswer } from '../../dataset/captioning/answers.js';
import { withTrigger } from '../../dataset/captioning/clean.js';
import { promptOf, usesCaption } from '../../dataset/captioning/prompts.js';
import { type CaptionOrigin, type Micros, MICROS_PER_SECOND, type StoredFile } from '../../dataset/dataset.js';
import { type ErrorCode, ServiceError } from '../../dataset/errors.js';
import { stemOf, type VideoFormat } from '../../dataset/media.js';
import {
  type CaptionRun,
  type CaptionRuns,
  type CaptionRunView,
  endpointOfOwner,
  type Proposal,
  type ProposalChange,
} from '../../storage/catalog/captioning.js';
import { eventPayload } from '../../storage/catalog/webhooks.js';
import type { CaptionResult, CaptionWrites } from '../bulk.js';
import { fetchIntact } from '../check.js';
import type { ServiceDependencies } from '../dependencies.js';
import type { Downloads } from '../download/downloads.js';
import { clipFrames } from '../inspection/clip/clip-pictures.js';
import type { Ffmpeg } from '../inspection/clip/ffmpeg.js';
import type { InspectionPool } from '../inspection/inspection-pool.js';
import { type JobHandler, SOON } from '../jobs/job-runner.js';
import { messageId } from '../webhooks/webhook-service.js';
import type { ModelQuestion, ModelServers } from './model-servers.js';

/** Larger clips are sent as frames: the request is in memory as a whole. */
const MAX_CLIP_BYTES = 32_000_000;

/** Why captions can't be stored now or later. */
const LASTING: readonly ErrorCode[] = ['quota_exceeded', 'invalid_name', 'invalid_field'];

export interface CaptionJobParts extends Pick<ServiceDependencies, 'catalog' | 'blobs' | 'now' | 'newId'> {
  readonly pool: InspectionPool;
  readonly ffmpeg: () => Promise<Ffmpeg | undefined>;
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
export function captionFileJob(parts: CaptionJobParts): JobHandler {
  const { runs, servers, now } = parts;
  /** The questions that are being asked: two runs may have the same. */
  const asking = new Set<string>();
  return {
    kind: 'caption-file',
    // Runs that wait for a slow server leave places for others.
    atOnce: servers.filesAtOnce() * 4,
    ofAccount: (owner) => servers.filesAtOnce(endpointOfOwner(owner)),
    longestRetry: SOON,
    run: async ({ key: id }, signal) => {
      const found = await runs.waiting(id);
      if (found === undefined) return 'done';
      const { file, run } = found;
      if (!servers.names.includes(run.endpoint)) {
        const reason = `The operator has removed the endpoint ${run.endpoint}. Start another run.`;
        await runs.stop(run, { now: now(), reason });
        return 'done';
      }
      const question = await questionOf(parts, found);
      if (question === undefined) {
        await runs.record(file, { state: 'gone' }, now());
        return 'done';
      }
      const { digest } = question;
      if (asking.has(digest)) return { dueAt: now() + MICROS_PER_SECOND };
      asking.add(digest);
      const busyUntil = await ask(parts, { file, run, signal }, question).finally(() => asking.delete(digest));
      if (busyUntil === undefined) return 'done';
      await runs.markBusy(run, busyUntil);
      return { dueAt: busyUntil };
    },
  };
}

interface Question {
  readonly medium: StoredFile;
  readonly prompt: string;
  /** Of all on which the answer depends, and of the account. */
  readonly digest: string;
  /** The SHA-256 of the caption that it is about. */
  readonly base: string | null;
}

/** What a model is asked about a file; `undefined` if it is gone. */
async function questionOf(
  { catalog, servers, downloads }: CaptionJobParts,
  { file, run }: { file: Proposal; run: CaptionRun },
): Promise<Question | undefined> {
  const named = { datasetId: run.dataset_id, filenames: [file.filename, file.caption] };
  const stored = new Map((await catalog.storedFiles(named)).map((each) => [each.filename, each]));
  const [medium, caption] = [stored.get(file.filename), stored.get(file.caption)];
  if (medium === undefined || medium.upload.problem !== undefined) return undefined;
  const { trigger, leaveOut, frames, maxTokens, seed } = run.options;
  const texts = caption && usesCaption(run.prompt) ? await downloads.texts(run.account_id, [caption]) : undefined;
  const values = { name: stemOf(medium.filename), caption: (caption && texts?.get(caption)) ?? '', trigger };
  const prompt = promptOf(run.prompt, values, leaveOut);
  const { name, longestSide, body, video } = servers.endpoint(run.endpoint);
  const asked = [maxTokens, seed, frames, name, longestSide, body, video, run.model, prompt];
  const digest = textDigestOf(JSON.stringify([run.account_id, medium.upload.sha256, ...asked]));
  return { medium, prompt, digest, base: caption?.upload.sha256 ?? null };
}

type Answer = Pick<Proposal, 'answer' | 'outcome'> & Partial<Pick<Proposal, 'message'>>;

interface Asking {
  readonly file: Proposal;
  readonly run: CaptionRun;
  readonly signal: AbortSignal;
}

/**
 * Answers a question of a run, unless the run has ended by the turn of its account. A model is asked once.
 *
 * @returns until when the server is busy, if it is
 */
async function ask(
  parts: CaptionJobParts,
  { file, run, signal }: Asking,
  { medium, prompt, digest, base }: Question,
): Promise<Micros | undefined> {
  const { runs, servers, now } = parts;
  const record = (answer: Answer) => runs.record(file, { ...recorded(answer, base), question: digest }, now());
  const known = await runs.answerTo(digest);
  if (known !== undefined) {
    await record(known);
    return undefined;
  }
  const { account_id: accountId, model } = run;
  const { maxTokens, seed, trigger } = run.options;
  try {
    const { note, ...pictures } = await shownOf(parts, medium, { run, signal });
    const noted = note === undefined ? prompt : `${note}\n\n${prompt}`;
    return await servers.inTurn(run.endpoint, { accountId, signal }, async (askModel) => {
      if ((await runs.waiting(file.id)) === undefined) return undefined;
      const answer = await askModel({ model, ...pictures, prompt: noted, maxTokens, seed });
      if ('busyUntil' in answer) return answer.busyUntil;
      // Before the next turn, so that no file is asked after the failure that stops the run.
      await record(answerOf(answer, trigger));
      return undefined;
    });
  } catch (error) {
    if (!(error instanceof NotShown)) throw error;
    await record({ answer: null, outcome: 'not_sent', message: error.message });
    return undefined;
  }
}

function answerOf(answer: ModelAnswer, trigger: string): Answer {
  if (answer.text === undefined) return { answer: null, ...answer };
  const { text, outcome = null } = answer;
  if (Buffer.byteLength(withTrigger(text, trigger)) <= MAX_CAPTION_TEXT_BYTES) return { answer: text, outcome };
  return { answer: null, outcome: 'rejected', message: `It has more than ${MAX_CAPTION_TEXT_BYTES} bytes.` };
}

/** An answer that was cut off is never stored without a person. @param base the caption that the model was asked about */
function recorded(answer: Answer, base: string | null): ProposalChange {
  if (answer.answer === null) return { ...answer, state: 'failed', base };
  return { ...answer, state: base === null && answer.outcome === null ? 'ready' : 'proposed', base };
}

function textDigestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** Stores the captions of a run that ends, whose id is the key, in one revision, and records its event. */
export function captionRunJob({ catalog, runs, captionWrites, toWire, now, newId }: CaptionJobParts): JobHandler {
  return {
    kind: 'caption-run',
    atOnce: 2,
    longestRetry: SOON,
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
      const changes = new Map<string, ProposalChange>();
      let reason: string | null = null;
      try {
        const options = { author, signal };
        const saved = captions.length === 0 ? [] : (await captionWrites.save(datasetKey, captions, options)).captions;
        for (const [i, result] of saved.entries()) changes.set(ready[i]!.id, appliedOf(result, captions[i]!.text));
      } catch (error) {
        // What a later attempt may save is tried again.
        if (!(error instanceof ServiceError) || !LASTING.includes(error.code)) throw error;
        reason = `The captions became proposals: ${error.message}`;
        for (const { id } of ready) changes.set(id, { state: 'proposed' });
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

/** A caption that a person has written meanwhile stays. */
function appliedOf(result: CaptionResult, text: string): ProposalChange {
  if (result.outcome === 'rejected') return { state: 'failed', outcome: 'rejected', message: result.problem.message };
  if (hasText(result, text)) return { state: 'applied' };
  return { state: 'proposed', base: result.outcome === 'saved' ? null : (result.current?.sha256 ?? null) };
}

/** Whether a text is the caption now: an earlier attempt may have stored it, and lost its answer. */
export function hasText(result: Exclude<CaptionResult, { outcome: 'rejected' }>, text: string): boolean {
  return result.outcome === 'saved' || result.current?.sha256 === textDigestOf(text);
}

/** What a model is shown of a file. */
type Shown = Pick<ModelQuestion, 'pictures' | 'clip'> & { readonly note?: string };

/** For a file that can't be shown; the message says why. */
class NotShown extends Error {}

/** Makes the pictures of an image or a clip. @throws NotShown; the signal's reason; errors that a later attempt may not have */
async function shownOf(
  { servers, pool, ffmpeg, blobs }: CaptionJobParts,
  file: StoredFile,
  { run, signal }: Omit<Asking, 'file'>,
): Promise<Shown> {
  const accountId = run.account_id;
  const endpoint = servers.endpoint(run.endpoint);
  const fetched = await fetchIntact(blobs, file, { accountId, signal });
  if ('problem' in fetched) throw new NotShown(fetched.problem.message);
  const { path } = fetched.blob.content;
  const { facts, contentType, sizeBytes } = file.upload;
  try {
    if (facts.kind !== 'video') {
      const jpeg = await pool.picture({ path, maxPixels: endpoint.longestSide }, { accountId, signal });
      return { pictures: [jpeg] };
    }
    if (endpoint.video === 'url' && endpoint.dialect === 'openai' && sizeBytes <= MAX_CLIP_BYTES) {
      return { pictures: [], clip: `data:${contentType};base64,${await readFile(path, 'base64')}` };
    }
    const found = await ffmpeg();
    if (found === undefined) throw new NotShown('The server has no ffmpeg, which makes the frames of clips.');
    const { durationSeconds = 1, format } = facts;
    const clip = { path, format: format as VideoFormat, durationSeconds };
    const made = await clipFrames({ ffmpeg: found, pool }, clip, { count: run.options.frames, accountId, signal });
    if (made === undefined) throw new NotShown('No frame of it can be decoded.');
    return {
      pictures: made.frames.map((jpeg) => jpeg.toString('base64')),
      note: `The pictures are frames of one clip, at ${made.times.join(', ')} s.`,
    };
  } catch (error) {
    signal.throwIfAborted();
    // The server stops, or can't start a process.
    if (error instanceof ServiceError || error instanceof NotShown) throw error;
    throw new NotShown(error instanceof Error ? error.message : String(error), { cause: error });
  } finally {
    await fetched.blob.discard();
  }
}

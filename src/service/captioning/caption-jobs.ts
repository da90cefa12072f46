import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { MAX_CAPTION_TEXT_BYTES } from '../../api/limits.js';
import type { ModelAnswer } from '../../dataset/captioning/answers.js';
import { withTrigger } from '../../dataset/captioning/clean.js';
import { promptOf, usesCaption } from '../../dataset/captioning/prompts.js';
import { type Micros, MICROS_PER_SECOND, type StoredFile, type WriteCondition } from '../../dataset/dataset.js';
import { type ErrorCode, ServiceError } from '../../dataset/errors.js';
import { stemOf, type VideoFormat } from '../../dataset/media.js';
import {
  type CaptionRun,
  type CaptionRuns,
  type CaptionRunView,
  endpointOfOwner,
  type OpenProposal,
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
import type { JobHandler } from '../jobs/job-runner.js';
import type { ModelQuestion, ModelServer, ModelServers } from './model-servers.js';

/** Larger clips are sent as frames: the request is in memory as a whole. */
const MAX_CLIP_BYTES = 32_000_000;

/** Why captions can't be stored now or later. */
const LASTING: readonly ErrorCode[] = ['quota_exceeded', 'invalid_name', 'invalid_field'];

export interface CaptionJobParts extends Pick<ServiceDependencies, 'catalog' | 'blobs' | 'now'> {
  readonly pool: InspectionPool;
  readonly ffmpeg: () => Promise<Ffmpeg | undefined>;
  readonly runs: CaptionRuns;
  readonly servers: ModelServers;
  readonly downloads: Downloads;
  readonly captionWrites: CaptionWrites;
  /** The run as the API has it. */
  readonly toWire: (run: CaptionRunView) => object;
}

/** Asks a model about a file, whose id in a run is the key. */
export function captionFileJob(parts: CaptionJobParts): JobHandler {
  const { runs, servers, now } = parts;
  const filesAtOnce = servers.all.reduce((sum, server) => sum + server.filesAtOnce, 0);
  /** The questions that are being asked: two runs may have the same. */
  const asking = new Set<string>();
  return {
    kind: 'caption-file',
    // Runs that wait for a slow server leave places for others. The endpoint of a run may have been removed.
    atOnce: Math.max(1, filesAtOnce) * 4,
    ofAccount: (owner) => servers.find(endpointOfOwner(owner))?.filesAtOnce ?? 1,
    run: async ({ key: id }, signal) => {
      const found = await runs.waiting(id);
      if (found === undefined) return 'done';
      const { file, run } = found;
      const server = servers.find(run.endpoint);
      if (server === undefined) {
        const reason = `The operator has removed the endpoint ${run.endpoint}. Start another run.`;
        await runs.stop(run, { now: now(), reason });
        return 'done';
      }
      const question = await questionOf(parts, { file, run, server, signal });
      if (question === undefined) {
        await runs.record(file, { state: 'gone' }, now());
        return 'done';
      }
      const { digest } = question;
      if (asking.has(digest)) return { dueAt: now() + MICROS_PER_SECOND };
      asking.add(digest);
      const answering = answerTo(question, parts, { file, run, server, signal });
      const busyUntil = await answering.finally(() => asking.delete(digest));
      if (busyUntil === undefined) return 'done';
      await runs.markBusy(run, busyUntil);
      return { dueAt: busyUntil };
    },
  };
}

interface Asking {
  readonly file: Proposal;
  readonly run: CaptionRun;
  readonly server: ModelServer;
  readonly signal: AbortSignal;
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
  { catalog, downloads }: CaptionJobParts,
  { file, run, server }: Asking,
): Promise<Question | undefined> {
  const named = { datasetId: run.dataset_id, filenames: [file.filename, file.caption] };
  const stored = new Map((await catalog.storedFiles(named)).map((each) => [each.filename, each]));
  const [medium, caption] = [stored.get(file.filename), stored.get(file.caption)];
  if (medium === undefined || medium.upload.problem !== undefined) return undefined;
  const { trigger, leaveOut, frames, maxTokens, seed } = run.options;
  const read = caption !== undefined && usesCaption(run.prompt) ? [caption] : [];
  const [text = ''] = (await downloads.texts(run.account_id, read, { leavesOutDamaged: true })).values();
  const prompt = promptOf(run.prompt, { name: stemOf(medium.filename), caption: text, trigger }, leaveOut);
  const { name, longestSide, body, video } = server.endpoint;
  const asked = [maxTokens, seed, frames, name, longestSide, body, video, run.model, prompt];
  const digest = textDigestOf(JSON.stringify([run.account_id, medium.upload.sha256, ...asked]));
  return { medium, prompt, digest, base: caption?.upload.sha256 ?? null };
}

/**
 * Answers a question of a run, unless the run has ended by the turn of its account. A model is asked once.
 *
 * @returns until when the server is busy, if it is
 */
async function answerTo(question: Question, parts: CaptionJobParts, asking: Asking): Promise<Micros | undefined> {
  const { runs, now } = parts;
  const { file, run, server, signal } = asking;
  const { maxTokens, seed, trigger } = run.options;
  const record = async (answer: ModelAnswer): Promise<undefined> => {
    await runs.record(file, changeBy(answer, question, trigger), now());
  };
  const known = await runs.answerTo(question.digest);
  if (known !== undefined) return record(known);
  const shown = await shownOf(question.medium, parts, asking);
  if (typeof shown === 'string') return record({ outcome: 'not_sent', message: shown });
  const { note = '', ...pictures } = shown;
  const asked = { model: run.model, ...pictures, prompt: `${note}${question.prompt}`, maxTokens, seed };
  const ask = async () => {
    if ((await runs.waiting(file.id)) === undefined) return undefined;
    const answer = await server.ask(asked, signal);
    // Recorded before the next turn, so that no file is asked after the failure that stops the run.
    return 'busyUntil' in answer ? answer.busyUntil : record(answer);
  };
  return server.queue.run(run.account_id, ask, { signal });
}

/** What a file becomes by an answer. One that was cut off is never stored without a person. */
function changeBy(answer: ModelAnswer, { base, digest }: Question, trigger: string): ProposalChange {
  const { text = null, outcome = null, message = null } = answer;
  const asked = { base, question: digest, answer: null };
  if (text === null) return { ...asked, state: 'failed', outcome, message };
  if (Buffer.byteLength(withTrigger(text, trigger)) > MAX_CAPTION_TEXT_BYTES) {
    const reason = `It has more than ${MAX_CAPTION_TEXT_BYTES} bytes.`;
    return { ...asked, state: 'failed', outcome: 'rejected', message: reason };
  }
  const state = base === null && outcome === null ? 'ready' : 'proposed';
  return { ...asked, state, answer: text, outcome, message };
}

/** Stores the captions of a run that ends, whose id is the key, in one revision, and records its event. */
export function captionRunJob({ catalog, runs, captionWrites, toWire, now }: CaptionJobParts): JobHandler {
  return {
    kind: 'caption-run',
    atOnce: 2,
    run: async ({ key: id, accountId }, signal) => {
      const ending = await runs.ending(id);
      const datasetKey = { accountId, id: ending?.run.dataset_id ?? '' };
      const dataset = await catalog.record(datasetKey);
      if (ending === undefined || dataset === undefined) return 'done';
      const { run, ready: answered } = ending;
      const named = { datasetId: run.dataset_id, filenames: answered.map(({ filename }) => filename) };
      const files = await catalog.storedFiles(named);
      // A restored file keeps its time, and is in a revision of its own.
      const revisions = await catalog.revisions.page(run.dataset_id);
      const starts = new Map(revisions.map(({ number, startedAt }) => [number, startedAt]));
      const storedAt = ({ upload: { finalizedAt, addedIn = 0 } }: StoredFile) =>
        Math.max(finalizedAt, starts.get(addedIn) ?? 0);
      const stored = new Map(files.map((file) => [file.filename, storedAt(file)]));
      // The model may have seen an earlier picture of this name.
      const isNewer = ({ filename }: Proposal) => (stored.get(filename) ?? 0) > run.started_at;
      const isReady = (file: Proposal) => stored.has(file.filename) && !isNewer(file);
      const [ready, others] = [answered.filter(isReady), answered.filter((file) => !isReady(file))];
      const { token_id: tokenId, model } = run;
      const author = { tokenId, tokenName: `captions by ${model}`, how: 'caption', changeId: id } as const;
      const captions = ready.map((file) => writeOf({ ...run, ...file }));
      const changes = new Map<string, ProposalChange>(
        others.map((file) => [file.id, { state: isNewer(file) ? 'proposed' : 'gone' }]),
      );
      let reason: string | null = null;
      try {
        const options = { author, signal };
        const saved = captions.length === 0 ? [] : (await captionWrites.save(datasetKey, captions, options)).captions;
        for (const [i, result] of saved.entries()) {
          if (!hasText(result, captions[i]!.text)) changes.set(ready[i]!.id, notStored(result));
        }
      } catch (error) {
        // What a later attempt may save is tried again.
        if (!(error instanceof ServiceError) || !LASTING.includes(error.code)) throw error;
        reason = `The captions became proposals: ${error.message}`;
      }
      const at = now();
      const event = (ended: CaptionRunView) => ({
        ...({ event: 'captions.finished', datasetId: run.dataset_id, at } as const),
        payload: eventPayload('captions.finished', at, { id: dataset.id, name: dataset.name, run: toWire(ended) }),
      });
      await runs.finish(run, changes, { at, reason, event });
      return 'done';
    },
  };
}

/** A caption that a person has written meanwhile stays. */
function notStored(result: CaptionResult): ProposalChange {
  if (result.outcome === 'rejected') return { state: 'failed', outcome: 'rejected', message: result.problem.message };
  return { state: 'proposed', base: result.outcome === 'conflict' ? (result.current?.sha256 ?? null) : null };
}

/** Whether a text is the caption now: an earlier attempt may have stored it, and lost its answer. */
export function hasText(result: CaptionResult, text: string): boolean {
  if (result.outcome === 'conflict') return result.current?.sha256 === textDigestOf(text);
  return result.outcome === 'saved';
}

/** The caption of a proposal. A text of a person, unless it is the model's, counts as theirs. */
export function writeOf(
  proposal: Pick<OpenProposal, 'caption' | 'answer' | 'base' | 'options' | 'model' | 'preset'>,
  { text: given, condition }: { text?: string | undefined; condition?: WriteCondition | undefined } = {},
) {
  const { caption: filename, answer, base, options, model, preset } = proposal;
  const own = withTrigger(answer ?? '', options.trigger);
  const text = given ?? own;
  const expected = base === null ? { ifNoneMatch: '*' as const } : { ifMatch: [base] };
  const origin = { by: 'model', model, ...(preset !== null && { preset }) } as const;
  return { filename, text, condition: condition ?? expected, ...(text === own && { origin }) };
}

function textDigestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** What a model is shown of a file. */
type Shown = Pick<ModelQuestion, 'pictures' | 'clip'> & { readonly note?: string };

/** @returns why, for a file that can't be shown. @throws the signal's reason; errors that a later attempt may not have */
async function shownOf(file: StoredFile, parts: CaptionJobParts, asking: Asking): Promise<Shown | string> {
  const { run, signal } = asking;
  const fetched = await fetchIntact(parts.blobs, file, { accountId: run.account_id, signal });
  if ('problem' in fetched) return fetched.problem.message;
  try {
    return await picturesOf({ file, path: fetched.blob.path }, parts, asking);
  } catch (error) {
    signal.throwIfAborted();
    // The server stops, or can't start a process.
    if (error instanceof ServiceError) throw error;
    return error instanceof Error ? error.message : String(error);
  } finally {
    await fetched.blob.discard();
  }
}

/** @throws an error whose message says why a file can't be shown */
async function picturesOf(
  { file, path }: { file: StoredFile; path: string },
  { pool, ffmpeg }: CaptionJobParts,
  { run, server, signal }: Asking,
): Promise<Shown> {
  const accountId = run.account_id;
  const { longestSide, video, dialect } = server.endpoint;
  const { facts, contentType, sizeBytes } = file.upload;
  if (facts.kind !== 'video') {
    const jpeg = await pool.picture({ path, maxPixels: longestSide }, { accountId, signal });
    return { pictures: [jpeg] };
  }
  if (video === 'url' && dialect === 'openai' && sizeBytes <= MAX_CLIP_BYTES) {
    return { pictures: [], clip: `data:${contentType};base64,${await readFile(path, 'base64')}` };
  }
  const found = await ffmpeg();
  if (found === undefined) throw new Error('The server has no ffmpeg, which makes the frames of clips.');
  const { durationSeconds = 1, format } = facts;
  const clip = { path, format: format as VideoFormat, durationSeconds };
  const made = await clipFrames({ ffmpeg: found, pool }, clip, { count: run.options.frames, accountId, signal });
  if (made === undefined) throw new Error('No frame of it can be decoded.');
  return {
    pictures: made.frames.map((jpeg) => jpeg.toString('base64')),
    note: `The pictures are frames of one clip, at ${made.times.join(', ')} s.\n\n`,
  };
}

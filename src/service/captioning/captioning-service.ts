import type {
  WireCaptionEndpoint,
  WireCaptionPreset,
  WireCaptionTest,
  WireDecisions,
  WireStartedRun,
} from '../../api/caption-schemas.js';
import type { BodyOf } from '../../api/routes.js';
import { outcomeWords } from '../../dataset/captioning/outcomes.js';
import { BUILTIN_PROMPTS, DEFAULT_PROMPT } from '../../dataset/captioning/prompts.js';
import type { Author, WriteCondition } from '../../dataset/dataset.js';
import { ServiceError } from '../../dataset/errors.js';
import { isTextCaption, stemOf } from '../../dataset/media.js';
import { normalizedFilename, parseDatasetName } from '../../dataset/names.js';
import type { CaptionRuns, CaptionRunView, OpenProposal, Proposal } from '../../storage/catalog/captioning.js';
import type { CaptionWrites } from '../bulk.js';
import { type DatasetKey, findRecord, storedFilesIn } from '../datasets.js';
import type { ServiceDependencies } from '../dependencies.js';
import { hasText, writeOf } from './caption-jobs.js';
import type { ModelServers } from './model-servers.js';

const MAX_RUNNING = 10;
const MAX_PRESETS = 100;

/** A red square, 64 × 64. */
const TEST_PICTURE =
  '/9j/2wBDABsSFBcUERsXFhceHBsgKEIrKCUlKFE6PTBCYFVlZF9VXVtqeJmBanGQc1tdhbWGkJ6jq62rZ4C8ybqmx5moq6T/2wBDARweHigjKE4rK0' +
  '6kbl1upKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKT/wAARCABAAEADASIAAhEBAxEB/8QAFQABAQAAAAAA' +
  'AAAAAAAAAAAAAAT/xAAUEAEAAAAAAAAAAAAAAAAAAAAA/8QAFgEBAQEAAAAAAAAAAAAAAAAAAAQG/8QAFBEBAAAAAAAAAAAAAAAAAAAAAP/aAAwDAQ' +
  'ACEQMRAD8AgARtIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA//9k=';

const TEST = { prompt: BUILTIN_PROMPTS.sentence!, pictures: [TEST_PICTURE], maxTokens: 400, seed: 1 };

type RunRequest = BodyOf<'caption-run.start'>;
type RunCounts = WireStartedRun['counts'];
type AcceptedProposal = WireDecisions['accepted'][number];

interface Acceptance {
  readonly id: string;
  readonly text?: string | undefined;
  readonly condition?: WriteCondition | undefined;
}

/** Runs of captions by a model, and the decisions about their proposals. */
export class CaptioningService {
  readonly #dependencies: ServiceDependencies;
  readonly #runs: CaptionRuns;
  readonly #servers: ModelServers;
  readonly #captionWrites: CaptionWrites;

  constructor(
    dependencies: ServiceDependencies,
    { runs, servers, captionWrites }: { runs: CaptionRuns; servers: ModelServers; captionWrites: CaptionWrites },
  ) {
    this.#dependencies = dependencies;
    [this.#runs, this.#servers, this.#captionWrites] = [runs, servers, captionWrites];
  }

  /** @throws the signal's reason */
  endpoints(signal: AbortSignal): Promise<WireCaptionEndpoint[]> {
    return Promise.all(this.#servers.all.map((server) => server.state(signal)));
  }

  /** Shows a model a small picture. @throws ServiceError `caption_endpoint_not_found`; the signal's reason */
  async test(
    endpoint: string,
    { accountId, signal }: { accountId: string; signal: AbortSignal },
  ): Promise<Omit<WireCaptionTest, 'seconds'>> {
    const server = this.#servers.named(endpoint);
    const { model, error } = await server.state(signal);
    const failed = { ok: false, text: null };
    if (model === null) return { ...failed, outcome: 'model_missing', message: error };
    const answer = await server.queue.run(accountId, () => server.ask({ model, ...TEST }, signal), { signal });
    if ('busyUntil' in answer) {
      const message = 'The server is busy, or loads the model. Test it again in a moment.';
      return { ...failed, outcome: null, message };
    }
    const { text = null, outcome = null, message = null } = answer;
    return { ok: outcome === null, text, outcome, message: outcome && outcomeWords(outcome, message) };
  }

  /** Built-in ones first. */
  async presets(accountId: string): Promise<WireCaptionPreset[]> {
    const builtin = Object.entries(BUILTIN_PROMPTS).map(([name, prompt]) => ({ name, prompt, builtin: true }));
    return [...builtin, ...(await this.#runs.presets(accountId)).map((preset) => ({ ...preset, builtin: false }))];
  }

  /** @throws ServiceError `invalid_name`, `quota_exceeded` */
  async savePreset(accountId: string, rawName: string, prompt: string) {
    const name = parseDatasetName(rawName);
    if (Object.hasOwn(BUILTIN_PROMPTS, name)) {
      throw new ServiceError('invalid_name', `The prompt ${name} is built in. Save yours under another name.`);
    }
    const own = await this.#runs.presets(accountId);
    if (own.length >= MAX_PRESETS && !own.some((preset) => preset.name === name)) {
      throw new ServiceError('quota_exceeded', `The account has ${MAX_PRESETS} prompts, the most. Delete one first.`);
    }
    await this.#runs.savePreset({ account_id: accountId, name, prompt });
    return { name, prompt, builtin: false };
  }

  /** @throws ServiceError `caption_preset_not_found` */
  async removePreset(accountId: string, name: string): Promise<void> {
    if (!(await this.#runs.removePreset(accountId, name.normalize('NFC')))) throw presetNotFound(name);
  }

  /** Counts the files of a run. @throws ServiceError as the route */
  async plan(key: DatasetKey, request: RunRequest) {
    const { name, role } = await findRecord(this.#dependencies.catalog, key);
    if (role !== 'training') {
      const message = `"${name}" is a ${role} dataset, whose captions the trainer does not read. Caption its training dataset.`;
      throw new ServiceError('wrong_role', message);
    }
    const server = this.#servers.named(request.endpoint ?? this.#servers.all[0]?.endpoint.name ?? '');
    return { server, ...(await this.#promptOf(key.accountId, request)), ...(await this.#filesOf(key, request)) };
  }

  /** Starts a run, unless it is dry or no file is left. @throws ServiceError as the route */
  async start(
    key: DatasetKey,
    request: RunRequest,
    { author, signal }: { author: Author; signal: AbortSignal },
  ): Promise<{ run: CaptionRunView | undefined; counts: RunCounts }> {
    const { jobs, now, newId } = this.#dependencies;
    const { files, counts, server, preset, prompt } = await this.plan(key, request);
    if (request.dry_run || files.length === 0) return { run: undefined, counts };
    const { name: endpoint, model, error } = await server.state(signal);
    if (model === null) {
      throw new ServiceError('caption_endpoint_unusable', `The endpoint ${endpoint} can't be used: ${error}`);
    }
    await this.#requireRoom(key.accountId);
    const { trigger, leave_out: leaveOut, frames, max_tokens: maxTokens, seed } = request;
    const run = {
      ...({ id: newId(), account_id: key.accountId, dataset_id: key.id, started_at: now(), ended_at: null } as const),
      ...({ state: 'running', reason: null, busy_until: null, streak: 0 } as const),
      ...{ endpoint, model, preset, prompt, token_id: author.tokenId },
      options: { trigger, leaveOut, frames, maxTokens, seed },
    };
    const asked = files.map((file) => ({ id: newId(), ...file }));
    await this.#runs.start(run, asked);
    jobs.wake();
    return { run: await this.run(key, run.id), counts };
  }

  async #requireRoom(accountId: string): Promise<void> {
    if ((await this.#runs.running(accountId)) < MAX_RUNNING) return;
    const message = `The account has ${MAX_RUNNING} runs of captions that are not done. Wait for one, or stop it.`;
    throw new ServiceError('quota_exceeded', message);
  }

  async #promptOf(accountId: string, { preset: given, prompt }: Pick<RunRequest, 'preset' | 'prompt'>) {
    if (prompt !== undefined && given !== undefined) {
      const message = 'The request is not valid. It has a prompt and a preset: send one of them.';
      throw new ServiceError('invalid_field', message);
    }
    if (prompt !== undefined) return { preset: null, prompt };
    const name = (given ?? DEFAULT_PROMPT).normalize('NFC');
    const found = (await this.presets(accountId)).find((preset) => preset.name === name);
    if (found === undefined) throw presetNotFound(name);
    return { preset: name, prompt: found.prompt };
  }

  /** One file for each stem, since images and clips of one stem share a caption. */
  async #filesOf(key: DatasetKey, { files: which, filenames }: Pick<RunRequest, 'files' | 'filenames'>) {
    const { catalog } = this.#dependencies;
    const stored = storedFilesIn(await catalog.readMany(key.accountId, () => catalog.files(key.id)));
    const texts = stored.filter(({ filename }) => isTextCaption(filename));
    const captions = new Map(texts.map((file) => [stemOf(file.filename), file]));
    const named = filenames && new Set(filenames.map(normalizedFilename));
    const media = stored.filter(({ kind, filename }) => kind !== 'caption' && (named?.has(filename) ?? true));
    const counts = { without_caption: 0, by_model: 0, by_person: 0, others: 0 };
    const files: Pick<Proposal, 'filename' | 'caption'>[] = [];
    const counted = new Set<string>();
    for (const { filename, upload } of media) {
      const stem = stemOf(filename);
      const caption = captions.get(stem);
      const isByModel = caption?.upload.origin?.by === 'model';
      const kind = caption === undefined ? 'without_caption' : isByModel ? 'by_model' : 'by_person';
      if (upload.problem !== undefined || counted.has(stem)) continue;
      counted.add(stem);
      counts[kind]++;
      const isIncluded = which === 'all' || kind === (which === 'model' ? 'by_model' : 'without_caption');
      if (isIncluded) files.push({ filename, caption: caption?.filename ?? `${stem}.txt` });
    }
    counts.others = (named?.size ?? media.length) - counted.size;
    return { files, counts };
  }

  /** Newest first. @throws ServiceError `dataset_not_found` */
  async list(key: DatasetKey): Promise<CaptionRunView[]> {
    await findRecord(this.#dependencies.catalog, key);
    return this.#runs.list(key.id);
  }

  /** @throws ServiceError `dataset_not_found`, `caption_run_not_found` */
  async run(key: DatasetKey, id: string): Promise<CaptionRunView> {
    await findRecord(this.#dependencies.catalog, key);
    const [run] = await this.#runs.list(key.id, { ids: [id] });
    if (run === undefined) throw new ServiceError('caption_run_not_found', `The dataset has no run of captions ${id}.`);
    return run;
  }

  problems(run: CaptionRunView, limit: number): Promise<Proposal[]> {
    return this.#runs.problems(run.id, limit);
  }

  /** @throws as `run` */
  async stop(key: DatasetKey, id: string): Promise<CaptionRunView> {
    const run = await this.run(key, id);
    await this.#runs.stop(run, { now: this.#dependencies.now() });
    this.#dependencies.jobs.wake();
    return this.run(key, id);
  }

  /** @throws as `run`; ServiceError `caption_endpoint_not_found`, `quota_exceeded` */
  async resume(key: DatasetKey, id: string): Promise<CaptionRunView> {
    const run = await this.run(key, id);
    this.#servers.named(run.endpoint);
    if (run.ended_at !== null) await this.#requireRoom(key.accountId);
    await this.#runs.resume(run, this.#dependencies.now());
    this.#dependencies.jobs.wake();
    return this.run(key, id);
  }

  /** @throws ServiceError `dataset_not_found` */
  async proposals(
    key: DatasetKey,
    page: { after?: string | undefined; limit: number },
  ): Promise<{ proposals: OpenProposal[]; isLast: boolean; total: number }> {
    await findRecord(this.#dependencies.catalog, key);
    const { proposals: found, total } = await this.#runs.open(key.id, { ...page, limit: page.limit + 1 });
    return { proposals: found.slice(0, page.limit), isLast: found.length <= page.limit, total };
  }

  /**
   * Stores accepted proposals in one transaction, each if its caption is still the expected one, and dismisses others.
   *
   * @throws ServiceError `dataset_not_found`, `invalid_field`, `quota_exceeded`
   */
  async decide(
    key: DatasetKey,
    { accept, dismiss }: { accept: readonly Acceptance[]; dismiss: readonly string[] },
    options: { author: Author; signal: AbortSignal },
  ): Promise<{ accepted: AcceptedProposal[]; dismissed: string[]; revision: number | undefined }> {
    await findRecord(this.#dependencies.catalog, key);
    const open = await this.#runs.openOf(key.id, [...accept.map(({ id }) => id), ...dismiss]);
    const writes = new Map<string, ReturnType<typeof writeOf> & { id: string }>();
    for (const each of accept) {
      const proposal = open.get(each.id);
      // Two runs on two machines may have proposed for one caption at the same moment.
      if (proposal !== undefined) writes.set(proposal.caption, { id: each.id, ...writeOf(proposal, each) });
    }
    const saved = writes.size === 0 ? undefined : await this.#captionWrites.save(key, [...writes.values()], options);
    const results = new Map<string, AcceptedProposal>();
    for (const [i, { id, text }] of [...writes.values()].entries()) {
      const result = saved!.captions[i]!;
      if (result.outcome === 'rejected') {
        const { code, filename, message } = result.problem;
        results.set(id, { id, outcome: 'rejected', problem: { code, filename, message } });
      } else results.set(id, { id, outcome: hasText(result, text) ? 'accepted' : 'outdated' });
    }
    const accepted = accept.map(({ id }) => results.get(id) ?? ({ id, outcome: 'not_open' } as const));
    const stored = accepted.filter(({ outcome }) => outcome === 'accepted').map(({ id }) => id);
    await this.#runs.decide(stored, 'accepted');
    const opened = dismiss.filter((id) => open.has(id));
    return { accepted, dismissed: await this.#runs.decide(opened, 'dismissed'), revision: saved?.revision };
  }
}

function presetNotFound(name: string): ServiceError {
  const message = `There is no prompt ${JSON.stringify(name.slice(0, 80))}. GET /caption-presets lists those that there are.`;
  return new ServiceError('caption_preset_not_found', message);
}

import { type RawBuilder, sql } from 'kysely';
import type { ModelAnswer } from '../../dataset/captioning/answers.js';
import {
  type CaptionOutcome,
  MAX_FAILURES_IN_A_ROW,
  OUTCOMES_OF_ONE_FILE,
  outcomeWords,
} from '../../dataset/captioning/outcomes.js';
import type { Micros } from '../../dataset/dataset.js';
import { type ChangeFeed, type Database, query, type Statement, type Transaction } from '../database/database.js';
import type { Schema } from '../database/schema.js';
import { enqueue } from './jobs.js';
import { insertAll } from './rows.js';
import { insertDeliveries, type NewEvent, receivers } from './webhooks.js';

/** What became of a proposal. Replaced: a later run has made another one. */
type Decision = 'accepted' | 'dismissed' | 'replaced';

/** Gone: the image or clip was removed. */
export type ProposalState = 'waiting' | 'ready' | 'applied' | 'proposed' | Decision | 'failed' | 'gone';

export interface AskedOptions {
  readonly trigger: string;
  readonly leaveOut: readonly string[];
  readonly frames: number;
  readonly maxTokens: number;
  readonly seed: number;
}

type RunRow = Schema['caption_run'];
type ProposalRow = Schema['caption_proposal'];

export interface CaptionRun extends Omit<RunRow, 'options' | 'state' | 'streak_of'> {
  readonly state: 'running' | 'ending' | 'done' | 'stopped';
  readonly options: AskedOptions;
}

export type RunKey = Pick<CaptionRun, 'id' | 'dataset_id'>;

export interface CaptionRunView extends CaptionRun {
  readonly counts: Readonly<Partial<Record<ProposalState, number>>>;
  readonly revision: number | null;
}

/** A file of a run. */
export interface Proposal extends Omit<ProposalRow, 'state' | 'outcome'> {
  readonly state: ProposalState;
  readonly outcome: CaptionOutcome | null;
}

/** An open proposal with what its run tells. */
export interface OpenProposal extends Proposal, Pick<CaptionRun, 'model' | 'preset' | 'options'> {
  /** The SHA-256 of the caption now. */
  readonly current: string | null;
}

/** What became of a file. */
export type ProposalChange = Pick<Proposal, 'state'> &
  Partial<Pick<Proposal, 'base' | 'question' | 'answer' | 'outcome' | 'message'>>;

/** The stored file of a proposal's dataset with this name. The first two conditions let the index of names be used. */
function storedAs(filename: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`file.dataset_id = proposal.dataset_id and file.filename = ${filename}
    and file.state <> 'pending' and file.state <> 'received' and file.state = 'stored'`;
}

/** Its image or clip is still there. */
const IS_OPEN = sql`proposal.state = 'proposed' and exists (select 1 from file where ${storedAs(sql`proposal.filename`)})`;

/** The owner of the jobs of a run, so that runs on two endpoints do not wait for each other. */
function ownerOf({ account_id, endpoint }: Pick<RunRow, 'account_id' | 'endpoint'>): string {
  return `${account_id} ${endpoint}`;
}

/** The endpoint in the owner of a job that asks about a file. */
export function endpointOfOwner(owner: string): string {
  return owner.slice(owner.lastIndexOf(' ') + 1);
}

/** Runs that are kept besides those with open proposals. */
const KEPT_RUNS = 20;

/** Runs of captions by a model, their proposals, and the prompts of accounts. */
export class CaptionRuns {
  readonly #db: Database;
  readonly #changes: ChangeFeed;

  constructor(db: Database, changes: ChangeFeed) {
    this.#db = db;
    this.#changes = changes;
  }

  /** Starts a run: each file is a job. Call `Jobs.wake` after it. */
  async start(run: CaptionRun, files: readonly Pick<Proposal, 'id' | 'filename' | 'caption'>[]): Promise<void> {
    const { id: run_id, dataset_id, started_at: now } = run;
    const none = { base: null, question: null, answer: null, outcome: null, message: null };
    const rows = files.map((file) => ({ ...file, run_id, dataset_id, state: 'waiting', ...none }));
    const owned = { kind: 'caption-file', accountId: ownerOf(run) } as const;
    const jobs = files.map(({ id: key }, i) => ({ ...owned, key, dueAt: now + i }));
    const announced = { datasetId: dataset_id, captionRun: run_id };
    const newest = sql`select id from caption_run where dataset_id = ${dataset_id} order by started_at desc limit ${sql.lit(KEPT_RUNS)}`;
    await this.#db.transact({ isDurable: true }, ({ commit }) =>
      commit([
        ...this.#changes.notification(announced),
        ...insertAll('caption_run', [{ ...run, options: JSON.stringify(run.options), streak_of: null } as RunRow]),
        ...insertAll('caption_proposal', rows),
        ...enqueue(jobs),
        sql`delete from caption_run where dataset_id = ${dataset_id} and state in ('done', 'stopped')
          and id not in (${newest}) and not exists
          (select 1 from caption_proposal where run_id = caption_run.id and state = 'proposed')`,
      ]),
    );
    this.#changes.announce(announced);
  }

  async running(accountId: string): Promise<number> {
    const runs = sql`select id from caption_run where account_id = ${accountId} and state in ('running', 'ending')`;
    return (await this.#db.run(runs)).length;
  }

  /** Newest first. @param options.ids only these */
  async list(
    datasetId: string,
    { ids, read = this.#db.read }: { ids?: readonly string[]; read?: Database['read'] } = {},
  ): Promise<CaptionRunView[]> {
    const revision = sql`(select max(number) from revision
      where revision.dataset_id = caption_run.dataset_id and change_id = caption_run.id) as revision`;
    const state = sql`case when state = 'proposed' and not (${IS_OPEN}) then 'gone' else state end as state`;
    const ofDataset = sql`dataset_id = ${datasetId} ${ids === undefined ? sql`` : sql`and id in (${sql.join(ids)})`}`;
    const [runs, counts] = await read([
      sql<RunRow & { revision: number | null }>`select caption_run.*, ${revision} from caption_run
        where ${ofDataset} order by started_at desc`,
      sql<{ run_id: string; state: ProposalState; files: number }>`select run_id, ${state}, count(*) as files
        from caption_proposal as proposal where run_id in (select id from caption_run where ${ofDataset}) group by 1, 2`,
    ]);
    return runs.map((run) => ({
      ...runOf(run),
      revision: run.revision,
      counts: Object.fromEntries(
        counts.filter(({ run_id }) => run_id === run.id).map(({ state, files }) => [state, Number(files)]),
      ),
    }));
  }

  /** The files of a run with an outcome, by name. */
  problems(runId: string, limit: number): Promise<Proposal[]> {
    const files = sql`run_id = ${runId} and state in ('failed', 'proposed') and outcome is not null`;
    return this.#db.run(sql<Proposal>`select * from caption_proposal where ${files} order by filename limit ${limit}`);
  }

  /** A file that waits, and its run, which is running. */
  async waiting(id: string): Promise<{ file: Proposal; run: CaptionRun } | undefined> {
    const runId = sql`select run_id from caption_proposal where id = ${id}`;
    const [[file], [run]] = await this.#db.read([
      sql<Proposal>`select * from caption_proposal where id = ${id} and state = 'waiting'`,
      sql<RunRow>`select * from caption_run where id = (${runId}) and state = 'running'`,
    ]);
    return file && run && { file, run: runOf(run) };
  }

  /** What a model has answered to a question, in any run. */
  async answerTo(question: string): Promise<ModelAnswer | undefined> {
    const known = sql<{ answer: string; outcome: 'cut_off' | null }>`select answer, outcome from caption_proposal
      where question = ${question} and answer is not null limit 1`;
    const [row] = await this.#db.run(known);
    return row && { text: row.answer, ...(row.outcome && { outcome: row.outcome }) };
  }

  /** Ends a run after its last file, and after several in a row whose outcome meets all files. */
  async record({ id, run_id, dataset_id }: Proposal, change: ProposalChange, now: Micros): Promise<void> {
    await this.#withRun({ id: run_id, dataset_id }, false, async (run, { send, commit }) => {
      // The answer of a run that was stopped meanwhile is kept for its resumption.
      const kept = run.state === 'running' ? change : { ...change, state: 'waiting' as const };
      // Another process may have recorded the file meanwhile.
      const answered = updateOf(id, kept).where('state', '=', 'waiting');
      if (run.state !== 'running') return void (await commit([answered]));
      const { outcome = null } = change;
      const streak = outcome === null || outcome === 'cut_off' ? 0 : outcome === run.streak_of ? run.streak + 1 : 1;
      const meetsAll = outcome !== null && !OUTCOMES_OF_ONE_FILE.includes(outcome);
      const reason = meetsAll && streak >= MAX_FAILURES_IN_A_ROW ? outcomeWords(outcome, change.message ?? null) : null;
      const left = sql`select id from caption_proposal where run_id = ${run_id} and state = 'waiting' limit 1`;
      const replaced = kept.state === 'proposed' ? [replaceEarlier(run, sql`id = ${id} and state = 'proposed'`)] : [];
      const [, others] = await send([answered, left, ...replaced]);
      await commit([
        sql`update caption_run set streak = ${streak}, streak_of = ${outcome}, busy_until = null
          where id = ${run_id}`,
        ...(reason !== null || others.length === 0 ? this.#ending(run, { reason, now }) : []),
      ]);
    });
  }

  /** Postpones the files of a run. */
  async markBusy(run: CaptionRun, until: Micros): Promise<void> {
    await this.#withRun(run, false, async ({ id }, { commit }) => {
      await commit([
        sql`update caption_run set busy_until = ${until} where id = ${id} and state = 'running'`,
        sql`update job set due_at = ${until} where kind = 'caption-file' and account_id = ${ownerOf(run)}
          and due_at < ${until} and lease is null and key in (select id from caption_proposal where run_id = ${id})`,
      ]);
    });
  }

  /** Stops a running run. Call `Jobs.wake` after it. @param reason why, unless a person stops it */
  async stop(key: RunKey, { now, reason = null }: { now: Micros; reason?: string | null }): Promise<void> {
    await this.#withRun(key, true, async (run, { commit }) => {
      if (run.state === 'running') await commit(this.#ending(run, { reason, now }));
    });
  }

  /** Asks about the files of an ended run that wait or have failed. Call `Jobs.wake` after it. */
  async resume(key: RunKey, now: Micros): Promise<void> {
    await this.#withRun(key, true, async (run, { send, commit }) => {
      if (run.state === 'running' || run.state === 'ending') return;
      const [left] = await send([
        // An answer that came after the run was stopped stays one that was cut off.
        sql<{ id: string }>`update caption_proposal set state = 'waiting', message = null,
          outcome = case when state = 'waiting' and answer is not null then outcome end
          where run_id = ${run.id} and state in ('waiting', 'failed') returning id`,
      ]);
      if (left.length === 0) return;
      const owned = { kind: 'caption-file', accountId: ownerOf(run), dueAt: now } as const;
      const jobs = left.map(({ id: key }) => ({ ...owned, key }));
      await commit([
        sql`update caption_run set state = 'running', reason = null, ended_at = null, streak = 0
          where id = ${run.id}`,
        ...enqueue(jobs),
      ]);
    });
  }

  #ending(run: RunRow, { reason, now }: { reason: string | null; now: Micros }) {
    const { id: key, account_id: accountId } = run;
    return [
      sql`update caption_run set state = 'ending', reason = ${reason} where id = ${key}`,
      // Those that run lose their lease.
      sql`delete from job where kind = 'caption-file' and account_id = ${ownerOf(run)}
        and key in (select id from caption_proposal where run_id = ${key})`,
      ...enqueue([{ kind: 'caption-run', key, accountId, dueAt: now }]),
    ];
  }

  /** A run that is ending, and its captions to store. */
  async ending(runId: string): Promise<{ run: CaptionRun; ready: Proposal[] } | undefined> {
    const [[run], ready] = await this.#db.read([
      sql<RunRow>`select * from caption_run where id = ${runId} and state = 'ending'`,
      sql<Proposal>`select * from caption_proposal where run_id = ${runId} and state = 'ready'`,
    ]);
    return run && { run: runOf(run), ready };
  }

  /** Ends a run, and records its event. @param changes of the captions that were not stored. @param reason why all became proposals */
  async finish(
    key: RunKey,
    changes: ReadonlyMap<string, ProposalChange>,
    { at, reason, event }: { at: Micros; reason: string | null; event: (ended: CaptionRunView) => NewEvent },
  ): Promise<void> {
    await this.#withRun(key, true, async (run, { send, commit }) => {
      // Another process has finished it, and it may have been resumed since.
      if (run.state !== 'ending') return;
      const why = reason ?? run.reason;
      const waiting = sql`select 1 from caption_proposal where run_id = ${run.id} and state = 'waiting'`;
      const isStopped = why === null ? sql`exists (${waiting})` : sql`1 = 1`;
      await send([
        ...[...changes].flatMap(([id, change]) => {
          const replaced = change.state === 'proposed' ? [replaceEarlier(run, sql`id = ${id}`)] : [];
          return [...replaced, updateOf(id, change)];
        }),
        ...(reason === null ? [] : [replaceEarlier(run, sql`run_id = ${run.id} and state = 'ready'`)]),
        sql`update caption_proposal set state = ${reason === null ? 'applied' : 'proposed'}
          where run_id = ${run.id} and state = 'ready'`,
        sql`update caption_run set state = case when ${isStopped} then 'stopped' else 'done' end,
          ended_at = ${at}, busy_until = null, reason = ${why} where id = ${run.id}`,
      ]);
      const [ended] = await this.list(run.dataset_id, { ids: [run.id], read: send });
      const [webhooks] = await send([receivers(run.account_id, 'captions.finished')]);
      await commit(ended === undefined ? [] : insertDeliveries(webhooks, event(ended)));
    });
  }

  /** Open proposals by the name of their captions, and the number of all. */
  async open(datasetId: string, { after = '', limit }: { after?: string | undefined; limit: number }) {
    const ofDataset = sql`proposal.dataset_id = ${datasetId}`;
    const proposals = await this.#open(sql`${ofDataset} and proposal.caption > ${after}`, limit);
    const [count] = await this.#db.run<{ files: number }>(
      sql`select count(*) as files from caption_proposal as proposal where ${ofDataset} and ${IS_OPEN}`,
    );
    return { proposals, total: Number(count?.files) };
  }

  async openOf(datasetId: string, ids: readonly string[]): Promise<Map<string, OpenProposal>> {
    if (ids.length === 0) return new Map();
    const open = this.#open(sql`proposal.dataset_id = ${datasetId} and proposal.id in (${sql.join(ids)})`, ids.length);
    return new Map((await open).map((proposal) => [proposal.id, proposal]));
  }

  async #open(condition: RawBuilder<unknown>, limit: number): Promise<OpenProposal[]> {
    const rows = await this.#db.run<OpenProposal & { options: string }>(sql`
      select proposal.*, run.model, run.preset, run.options, file.sha256 as current
      from caption_proposal as proposal join caption_run as run on run.id = proposal.run_id
      left join file on ${storedAs(sql`proposal.caption`)}
      where ${condition} and ${IS_OPEN} order by proposal.caption limit ${limit}`);
    return rows.map((row) => ({ ...row, options: JSON.parse(row.options) }));
  }

  /** Decides open proposals. @returns those that were open */
  async decide(ids: readonly string[], state: Exclude<Decision, 'replaced'>): Promise<string[]> {
    if (ids.length === 0) return [];
    const decided = sql`update caption_proposal set state = ${state}
      where id in (${sql.join(ids)}) and state = 'proposed' returning id`;
    return (await this.#db.run<{ id: string }>(decided)).map(({ id }) => id);
  }

  /** By name. */
  presets(accountId: string): Promise<{ name: string; prompt: string }[]> {
    return this.#db.run(sql`select name, prompt from caption_preset where account_id = ${accountId} order by name`);
  }

  async savePreset({ account_id, name, prompt }: Schema['caption_preset']): Promise<void> {
    await this.#db.run(sql`insert into caption_preset (account_id, name, prompt) values (${account_id}, ${name}, ${prompt})
      on conflict (account_id, name) do update set prompt = excluded.prompt`);
  }

  async removePreset(accountId: string, name: string): Promise<boolean> {
    const removal = sql`delete from caption_preset where account_id = ${accountId} and name = ${name} returning name`;
    return (await this.#db.run(removal)).length > 0;
  }

  /** Runs work that holds the lock of a run, so that its last file is recorded once, and announces its progress. */
  async #withRun(
    { id, dataset_id: datasetId }: RunKey,
    isDurable: boolean,
    work: (run: RunRow, transaction: Transaction) => Promise<void>,
  ): Promise<void> {
    const announced = { datasetId, captionRun: id };
    const locked = query.selectFrom('caption_run').selectAll().where('id', '=', id).forNoKeyUpdate();
    await this.#db.transact({ isDurable }, async (transaction) => {
      const [[run]] = await transaction.send([locked, ...this.#changes.notification(announced)]);
      if (run !== undefined) await work(run, transaction);
    });
    this.#changes.announce(announced);
  }
}

function updateOf(id: string, change: ProposalChange) {
  return query.updateTable('caption_proposal').set(change).where('id', '=', id);
}

/** A file has one open proposal: new ones of a run replace those of others. @param newer selects them */
function replaceEarlier({ id, dataset_id }: RunKey, newer: RawBuilder<unknown>): Statement {
  const captions = sql`select caption from caption_proposal where ${newer}`;
  return sql`update caption_proposal set state = 'replaced'
    where dataset_id = ${dataset_id} and caption in (${captions}) and run_id <> ${id} and state = 'proposed'`;
}

function runOf(row: RunRow): CaptionRun {
  return { ...row, state: row.state as CaptionRun['state'], options: JSON.parse(row.options) };
}

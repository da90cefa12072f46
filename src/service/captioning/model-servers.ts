import type { ModelAnswer } from '../../dataset/captioning/answers.js';
import { MICROS_PER_SECOND, type Micros } from '../../dataset/dataset.js';
import { ServiceError } from '../../dataset/errors.js';
import { FairQueue } from '../../storage/limits.js';
import { askModel, type CaptionEndpoint, type ModelQuestion } from './model-client.js';

/** For a server that does not say how long it is busy. */
const PAUSE_SECONDS = 5;
const LONGEST_RETRY_AFTER_SECONDS = 600;

/** Files that are prepared while a model answers for others. */
const PREPARED = 2;

interface ModelServer {
  readonly endpoint: CaptionEndpoint;
  readonly queue: FairQueue;
  /** Until then it is not asked. */
  busyUntil: Micros;
}

interface AskOptions {
  readonly accountId: string;
  readonly signal: AbortSignal;
  readonly isWanted?: () => Promise<boolean>;
  readonly onAnswer?: (answer: ModelAnswer) => Promise<unknown>;
}

/** Asks the model servers that the operator has named, each with its requests at once, fairly by account. */
export class ModelServers {
  readonly #servers: ReadonlyMap<string, ModelServer>;
  readonly #now: () => Micros;
  readonly #onAsked: (outcome: string) => void;

  constructor(
    endpoints: readonly CaptionEndpoint[],
    options: { now: () => Micros; onAsked: (outcome: string) => void },
  ) {
    const server = (endpoint: CaptionEndpoint): ModelServer => {
      return { endpoint, queue: new FairQueue(endpoint.concurrency), busyUntil: 0 };
    };
    this.#servers = new Map(endpoints.map((endpoint) => [endpoint.name, server(endpoint)]));
    this.#now = options.now;
    this.#onAsked = options.onAsked;
  }

  get names(): string[] {
    return [...this.#servers.keys()];
  }

  /** Files that are prepared and asked about at once, by all servers or by one; at least one, for an endpoint that was removed. */
  filesAtOnce(name?: string): number {
    const servers = [...this.#servers.values()].filter(({ endpoint }) => name === undefined || endpoint.name === name);
    return Math.max(
      1,
      servers.reduce((sum, { endpoint }) => sum + endpoint.concurrency + PREPARED, 0),
    );
  }

  get inFlight(): number {
    return [...this.#servers.values()].reduce((sum, { queue }) => sum + queue.held, 0);
  }

  /** @throws ServiceError `caption_endpoint_not_found` */
  endpoint(name: string): CaptionEndpoint {
    return this.#server(name).endpoint;
  }

  #server(name: string): ModelServer {
    const server = this.#servers.get(name);
    if (server !== undefined) return server;
    const { names } = this;
    const message =
      names.length === 0
        ? 'The service has no model for captions. Its operator adds one with --caption-endpoint NAME=URL.'
        : `The service has no caption endpoint ${JSON.stringify(name)}. The operator has named: ${names.join(', ')}.`;
    throw new ServiceError('caption_endpoint_not_found', message);
  }

  /**
   * Asks when it is the turn of the account; `undefined` if by then the answer is not wanted.
   *
   * @param options.onAnswer ends before the next turn
   * @throws ServiceError `caption_endpoint_not_found`; the signal's reason
   */
  ask(name: string, question: ModelQuestion, { accountId, signal, isWanted, onAnswer }: AskOptions) {
    const server = this.#server(name);
    const ask = async () => {
      if ((await isWanted?.()) === false) return undefined;
      if (server.busyUntil > this.#now()) return { busyUntil: server.busyUntil };
      const answer = await askModel(server.endpoint, question, signal);
      const isBusy = 'retryAfterSeconds' in answer;
      this.#onAsked(isBusy ? 'busy' : (answer.outcome ?? 'written'));
      if (!isBusy) {
        await onAnswer?.(answer);
        return answer;
      }
      const seconds = Math.min(answer.retryAfterSeconds ?? PAUSE_SECONDS, LONGEST_RETRY_AFTER_SECONDS);
      server.busyUntil = this.#now() + Math.ceil(seconds * MICROS_PER_SECOND);
      return { busyUntil: server.busyUntil };
    };
    return server.queue.run(accountId, ask, { signal });
  }
}

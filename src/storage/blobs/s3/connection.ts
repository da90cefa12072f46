import { setMaxListeners } from 'node:events';
import { readFile } from 'node:fs/promises';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { withAnySignal } from '../../../abort-signals.js';
import { ServiceError } from '../../../dataset/errors.js';
import { BackendUnusable } from '../../backend-unusable.js';
import type { S3Location } from './location.js';

/** Connections to the store for everything but reading the bytes of objects. */
const MAX_SOCKETS = 128;

/**
 * Reads of objects that may last as long as their clients are slow, each on a connection that holds some 200 KB. Further
 * connections are for reads that never wait for a client.
 */
export const MAX_SLOW_READS = 1000;

/** Replaces the default logger of the SDK, which prints errors that we handle. */
const QUIET = { trace() {}, debug() {}, info() {}, warn() {}, error() {} };

/** Timeouts and attempts of requests to a store. */
export interface Timeouts {
  /** For opening a connection, in milliseconds. */
  readonly connectMs: number;
  /** For the next byte in either direction, in milliseconds. */
  readonly idleMs: number;
  /** Including the first one. */
  readonly attempts: number;
}

export const TIMEOUTS: Timeouts = { connectMs: 5000, idleMs: 15_000, attempts: 3 };

/** The SDK's clients of a bucket. */
export type Connection = Awaited<ReturnType<typeof connect>>;

/** The key of a user of the store. */
export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/**
 * Creates the clients, without a request.
 *
 * @param linkCredentials sign the presigned links, by default those of the service
 * @throws BackendUnusable if the CA file can't be read
 */
export async function connect(location: S3Location, timeouts: Timeouts, linkCredentials?: S3Credentials) {
  const { region, endpoint, publicEndpoint, isPathStyle } = location;
  const { connectMs, idleMs, attempts } = timeouts;
  const agents = await agentsOf(location, MAX_SOCKETS);
  const patientAgents = await agentsOf(location, MAX_SLOW_READS + MAX_SOCKETS);
  const config: S3ClientConfig = {
    ...(region !== undefined && { region }),
    ...(endpoint !== undefined && { endpoint }),
    forcePathStyle: isPathStyle,
    maxAttempts: attempts,
    // By default the SDK sends `aws-chunked` bodies with a trailing checksum, which many stores save as part of the object.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    expectContinueHeader: false,
    logger: QUIET,
  };
  const handler = { connectionTimeout: connectMs, logger: QUIET };
  /** Times out when the store neither reads nor answers. */
  const client = new S3Client({ ...config, requestHandler: { ...handler, ...agents, socketTimeout: idleMs } });
  // The clients share one provider, which refreshes credentials before they expire.
  const { credentials } = client.config;
  const answerTimeout = { socketTimeout: 0, requestTimeout: idleMs, throwOnRequestTimeout: true };
  const requestHandler = { ...handler, ...patientAgents, ...answerTimeout };
  /** For requests that may last: times out when the store does not begin to answer. It has its own connections. */
  const patient = new S3Client({ ...config, credentials, requestHandler });
  const signing = { ...config, credentials: linkCredentials ?? credentials };
  /** Signs links with the endpoint of this service, which may not reach that of the clients. */
  const probeSigner = new S3Client(signing);
  /** Signs links with the endpoint that clients use. */
  const signer = new S3Client({ ...signing, ...(publicEndpoint !== undefined && { endpoint: publicEndpoint }) });
  const closing = new AbortController();
  // Every call adds a listener.
  setMaxListeners(0, closing.signal);
  for (const each of [client, patient]) abortCallsBy(closing.signal, each);
  return {
    ...{ timeouts, client, patient, signer, probeSigner },
    /** Rejects all calls, those in flight too, with ServiceError `shutting_down`; not reads of objects that have begun. */
    abort: () => closing.abort(new ServiceError('shutting_down', 'The server is shutting down. Try again.')),
    close: () => {
      for (const each of [client, patient, signer, probeSigner]) each.destroy();
      for (const { httpAgent, httpsAgent } of [agents, patientAgents]) {
        httpAgent.destroy();
        httpsAgent.destroy();
      }
    },
  };
}

async function agentsOf({ caFile }: S3Location, maxSockets: number) {
  const options = { keepAlive: true, maxSockets };
  const ca = caFile && (await readFile(caFile, 'utf8').catch(throwUnreadable));
  return { httpAgent: new HttpAgent(options), httpsAgent: new HttpsAgent({ ...options, ...(ca && { ca }) }) };
}

function throwUnreadable(cause: Error): never {
  throw new BackendUnusable(`the file of ca= in BLOBS_URL can't be read: ${cause.message}`, {
    cause,
    isTemporary: false,
  });
}

/** Makes the calls of a client reject with the reason of the signal once it fires. */
function abortCallsBy(closing: AbortSignal, client: S3Client): void {
  type Options = { readonly abortSignal?: AbortSignal };
  const send = client.send.bind(client) as unknown as (command: unknown, options: Options) => Promise<unknown>;
  const sendUntilClosing = async (command: unknown, { abortSignal, ...options }: Options = {}): Promise<unknown> => {
    closing.throwIfAborted();
    try {
      return await withAnySignal([abortSignal, closing], (either) =>
        send(command, { ...options, abortSignal: either }),
      );
    } catch (error) {
      closing.throwIfAborted();
      throw error;
    }
  };
  Object.assign(client, { send: sendUntilClosing });
}

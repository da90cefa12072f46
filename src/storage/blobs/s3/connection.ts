import { setMaxListeners } from 'node:events';
import { readFile } from 'node:fs/promises';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { withAnySignal } from '../../../abort-signals.js';
import { ServiceError } from '../../../dataset/errors.js';
import { BackendUnusable } from '../../backend-unusable.js';
import type { S3Location } from './location.js';

/** Connections for everything but reading the bytes of objects. */
const MAX_SOCKETS = 128;

/** Reads that last as long as their clients are slow, on connections that hold some 200 KB each. Others are extra. */
export const MAX_SLOW_READS = 1000;

/** The default logger of the SDK prints errors that we handle. */
const QUIET = { trace() {}, debug() {}, info() {}, warn() {}, error() {} };

export interface Timeouts {
  /** For opening a connection. */
  readonly connectMs: number;
  /** For the next byte in either direction. */
  readonly idleMs: number;
  /** Including the first one. */
  readonly attempts: number;
}

export const TIMEOUTS: Timeouts = { connectMs: 5000, idleMs: 15_000, attempts: 3 };

export type Connection = Awaited<ReturnType<typeof connect>>;

export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** Creates the clients, without a request. @throws BackendUnusable if the CA file can't be read */
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
    // The SDK's default `aws-chunked` bodies have a trailing checksum, which many stores save as part of the object.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    expectContinueHeader: false,
    logger: QUIET,
  };
  const handler = { connectionTimeout: connectMs, logger: QUIET };
  /** Times out when the store neither reads nor answers. */
  const client = new S3Client({ ...config, requestHandler: { ...handler, ...agents, socketTimeout: idleMs } });
  // One provider refreshes the credentials of all clients.
  const { credentials } = client.config;
  const answerTimeout = { socketTimeout: 0, requestTimeout: idleMs, throwOnRequestTimeout: true };
  const requestHandler = { ...handler, ...patientAgents, ...answerTimeout };
  /** For requests that may last: times out until the answer begins. */
  const patient = new S3Client({ ...config, credentials, requestHandler });
  const signing = { ...config, credentials: linkCredentials ?? credentials };
  /** Signs with the endpoint of the service, which clients may not reach. */
  const probeSigner = new S3Client(signing);
  /** Signs with the endpoint that clients use. */
  const signer = new S3Client({ ...signing, ...(publicEndpoint !== undefined && { endpoint: publicEndpoint }) });
  const closing = new AbortController();
  // Every call adds a listener.
  setMaxListeners(0, closing.signal);
  for (const each of [client, patient]) abortCallsBy(closing.signal, each);
  return {
    ...{ timeouts, client, patient, signer, probeSigner },
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

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

/** Incomplete, since responses to HEAD have no body and stores differ in names. */
const TRANSIENT_NAMES = [
  'TimeoutError',
  'RequestTimeout',
  'OperationAborted',
  'ConditionalRequestConflict',
  // The clock of this machine was set. The SDK has corrected its own by the time of the answer.
  'RequestTimeTooSkewed',
  // The bytes were changed or cut short on their way.
  'BadDigest',
  'IncompleteBody',
  'XAmzContentSHA256Mismatch',
];

/** Errors of the SDK that have no status. */
const OF_STORE = ['TimeoutError', 'AbortError', 'CredentialsProviderError'];

/** Codes of the system, its resolver and broken streams; a wrong certificate or protocol stays wrong. */
const TRANSIENT_CODE = /^(E(?!RR_|PROTO)[A-Z_]+|ERR_STREAM_PREMATURE_CLOSE)$/;

export function statusOfError(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('$metadata' in error)) return undefined;
  return (error.$metadata as { httpStatusCode?: number }).httpStatusCode;
}

function hasName(error: unknown, names: readonly string[]): boolean {
  return error instanceof Error && names.includes(error.name);
}

/** True if the object of a GET does not exist. A 404 without this name comes from a proxy or a load balancer. */
export function isMissing(error: unknown): boolean {
  return hasName(error, ['NoSuchKey']);
}

/** True if a condition such as `If-None-Match` was not met. */
export function isPreconditionFailed(error: unknown): boolean {
  return statusOfError(error) === 412;
}

/** True for a GET of an object that its client has encrypted with a key of its own. */
export function isRefusedRead(error: unknown): error is Error {
  return statusOfError(error) === 400 && hasName(error, ['InvalidRequest', 'InvalidArgument']);
}

export function isTransient(error: unknown): boolean {
  const status = statusOfError(error);
  return (
    hasName(error, TRANSIENT_NAMES) ||
    (error instanceof Error && 'code' in error && TRANSIENT_CODE.test(String(error.code))) ||
    status === 429 ||
    (status !== undefined && status >= 500 && status !== 501)
  );
}

/** The answer for an error of the store or of the connection; a bug of ours is returned unchanged. */
export function storeError(error: unknown): unknown {
  if (error instanceof ServiceError || !(error instanceof Error)) return error;
  if (hasName(error, ['QuotaExceeded'])) {
    return new ServiceError('no_space', 'The store has no space left for this file. Free some and try again.', {
      cause: error,
    });
  }
  // Node's errors of networks and TLS have a code, and so have some for wrong arguments.
  const isOfConnection = 'code' in error && !(error instanceof TypeError || error instanceof RangeError);
  const isOfStore = statusOfError(error) !== undefined || hasName(error, OF_STORE);
  return isOfStore || isOfConnection ? unavailable(error) : error;
}

function unavailable(cause: Error): ServiceError {
  return new ServiceError('unavailable', 'The file store does not answer right now. Try again.', { cause });
}

/** For a successful answer that a store would not give, such as a proxy's login page. */
export function notOfStore(what: string): ServiceError {
  return unavailable(new Error(`The answer to the ${what} is not that of an S3 store.`));
}

/** Explains to the operator why a store can't be used. @param permission the S3 action that failed */
export function startError(thrown: unknown, { bucket, endpoint }: S3Location, permission: string): BackendUnusable {
  const error = thrown instanceof ServiceError ? thrown.cause : thrown;
  const status = statusOfError(error);
  const where = endpoint === undefined ? '' : ` at ${endpoint}`;
  const reason = error instanceof Error ? error.message || error.name : String(error);
  const unusable = (message: string, isTemporary = false) =>
    new BackendUnusable(message, { cause: error, isTemporary });
  if (hasName(error, ['NoSuchBucket']) || status === 404) {
    return unusable(`there is no bucket "${bucket}"${where}. Create it, or correct BLOBS_URL.`);
  }
  if (hasName(error, ['InvalidAccessKeyId', 'SignatureDoesNotMatch', 'ExpiredToken', 'InvalidToken'])) {
    return unusable(`the store${where} does not accept the credentials (${error instanceof Error ? error.name : ''}).`);
  }
  if (hasName(error, ['CredentialsProviderError'])) {
    return unusable(`there are no credentials for S3: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (${reason}).`);
  }
  if (status === 403) {
    const advice = 'Grant this permission, or correct the access key and its secret.';
    return unusable(`the credentials may not ${permission} on the bucket "${bucket}"${where}. ${advice}`);
  }
  if (status === 301 || hasName(error, ['PermanentRedirect', 'AuthorizationHeaderMalformed'])) {
    return unusable(`the bucket "${bucket}" is in another region (${reason}). Set region= in BLOBS_URL.`);
  }
  if (/region is missing/i.test(reason)) return unusable('the region of S3 is not known. Set region= in BLOBS_URL.');
  if (isTransient(error)) {
    // The answer to a HEAD has no body that names the error.
    const failure = status !== undefined && status >= 500 ? `fails with ${status}` : `does not answer (${reason})`;
    return unusable(`the file store${where} ${failure}.`, true);
  }
  return unusable(`the bucket "${bucket}"${where} can't be used: ${reason} (during ${permission}).`);
}
